import pytest

from chymist.errors import BadParameter
from chymist.params import Axis, Field, Lane, Params, describe_range


class Some(Params):
    lr: Lane[float] = Field((0.1, 0.2), gt=0, description="step size")
    width: Axis[int] = Field((8, 16), ge=1, le=64, description="neurons")
    gain: float = Field(1.0, ge=0, description="gain")


def test_lanes_are_named_arrays_and_axes_single_values():
    cells = Some().cells()
    assert [c.width for c in cells] == [8, 16]
    assert cells[0].lr.dims == ("lr",)
    assert (cells[0].lr * 2).lr.values.tolist() == [0.1, 0.2]


def test_text_is_parsed_and_hyphens_are_allowed():
    p = Some.parse({"lr": "0.5, 1", "width": "4", "gain": "2.5"})
    assert (p.lr, p.width, p.gain) == ((0.5, 1.0), (4,), 2.5)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"widht": 3}, "unknown parameter widht (did you mean width?)"),
        ({"lr": "0.1,-1"}, "parameter lr cannot be '-1' (allowed: number > 0, one or several)"),
        (
            {"width": "65"},
            "parameter width cannot be '65' (allowed: integer from 1 to 64, one or several)",
        ),
        ({"gain": "much"}, "parameter gain cannot be 'much' (allowed: number >= 0)"),
        ({"width": "8,8"}, "parameter width repeats a value: 8, 8 (give each value once)"),
        ({"lr": ""}, "parameter lr is empty (give at least one value)"),
        ({"seeds": 2}, "parameter seeds cannot be 2 (allowed: integer from 5 to 10000)"),
        ({"gain": float("nan")}, "parameter gain cannot be nan (allowed: number >= 0)"),
    ],
)
def test_bad_parameters_are_one_clear_line(given, line):
    with pytest.raises(BadParameter) as caught:
        Some.parse(given)
    assert str(caught.value) == line


def test_ranges_in_words():
    assert describe_range(Some, "lr") == "number > 0, one or several"
    assert describe_range(Some, "seeds") == "integer from 5 to 10000"
