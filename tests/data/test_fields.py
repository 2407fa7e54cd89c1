import numpy as np
import pytest

from chymist.data import field
from chymist.errors import BadInput


def write(path, x, *columns):
    names = ",".join([*(f"x{i}" for i in range(np.atleast_2d(x.T).shape[0])), "value"])
    table = np.column_stack([x, *columns])
    np.savetxt(path, table, delimiter=",", header=names, comments="")
    return path


def test_a_line_is_mapped_onto_the_unit_interval(tmp_path):
    x = np.linspace(10, 30, 41)
    made = field(write(tmp_path / "line.csv", x, 5 + 2 * np.sin(x)))
    assert (made.point.values[0, 0], made.point.values[-1, 0]) == (-1, 1)
    assert float((made.value**2).mean()) == pytest.approx(1)
    assert abs(float(made.value.mean())) < 1e-12
    assert made.attrs["spacing"] == pytest.approx(0.05)
    shape = 2 * np.sin(x) - (2 * np.sin(x)).mean()
    np.testing.assert_allclose(made.value / made.value[3], shape / shape[3])


def test_a_plane_keeps_its_axes_apart(tmp_path):
    x = np.random.default_rng(0).uniform(size=(64, 2)) * [1, 100]
    made = field(write(tmp_path / "plane.csv", x, x[:, 0]))
    assert made.point.dims == ("sample", "axis")
    np.testing.assert_allclose(made.point.min("sample"), -1)
    np.testing.assert_allclose(made.point.max("sample"), 1)
    assert made.attrs["spacing"] == pytest.approx(0.25)


LINE = np.arange(20.0)
CUBE = np.random.default_rng(0).normal(size=(20, 3))


@pytest.mark.parametrize(
    ("x", "line"),
    [
        (CUBE, "has 3 coordinates and 1 values a point"),
        (LINE[:9], "has 9 points"),
        (np.stack([LINE, 0 * LINE], 1), "coordinate 2 never changes"),
        (np.append(LINE, 3.0), "has a point twice"),
    ],
)
def test_other_tables_are_refused(tmp_path, x, line):
    y = np.sin(np.arange(len(x)))
    with pytest.raises(BadInput, match=line) as caught:
        field(write(tmp_path / "bad.csv", x, y))
    assert caught.value.hint
