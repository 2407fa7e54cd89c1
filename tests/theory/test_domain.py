import numpy as np
import pytest

from chymist.theory import domain


@pytest.mark.parametrize(
    ("check", "value", "message"),
    [
        (lambda v: domain.positive(lr=v), 0.0, "lr must be positive, got 0.0"),
        (lambda v: domain.positive(lr=v), np.inf, "lr must be positive, got inf"),
        (lambda v: domain.at_least(1, depth=v), 0.5, "depth must be at least 1, got 0.5"),
        (
            lambda v: domain.between(0, 1, momentum=v),
            1.0,
            r"momentum must lie in \[0, 1\), got 1.0",
        ),
        (lambda v: domain.whole(1, batch=v), 2.5, "batch must be a whole number from 1, got 2.5"),
        (lambda v: domain.finite(bias_variance=v), -np.inf, "bias variance must be finite"),
    ],
)
def test_the_first_number_outside_is_named(check, value, message):
    with pytest.raises(ValueError, match=message):
        check(value)
    with pytest.raises(ValueError, match=message):
        check(np.array([[0.75 if "lie" in message else 1.0, value]]))
    with pytest.raises(ValueError, match="nan"):
        check(np.nan)
