import pytest
import torch

from chymist.errors import BadParameter
from chymist.models import activation, multiplicity


@pytest.mark.parametrize(
    ("name", "order"),
    [("tanh", 1), ("xtanh", 2), ("x2tanh", 3), ("sin", 1), ("gelu", 1), ("sigmoid", 0)],
)
def test_multiplicity_is_the_leading_power(name, order):
    function = activation(name)
    assert multiplicity(function) == order
    # phi(2 z) / phi(z) = 2^p near 0.
    z = torch.tensor(1e-3, dtype=torch.float64)
    assert float(function(2 * z) / function(z)) == pytest.approx(2**order, rel=2e-3)


@pytest.mark.parametrize("name", ["relu", "hat"])
def test_a_kink_has_no_multiplicity(name):
    with pytest.raises(BadParameter, match="kink at 0"):
        multiplicity(activation(name))


@pytest.mark.parametrize("function", [torch.zeros_like, lambda x: x**9, lambda x: x.detach() * 0])
def test_what_is_flat_has_none_either(function):
    with pytest.raises(BadParameter, match="up to order 6 are 0"):
        multiplicity(function)
