import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from chymist.lanes import Lanes, lane_dims

COORDS = {"lr": (0.1, 0.2), "k": (1, 3, 5), "seed": (0, 1, 2, 3)}


def named(**coords):
    shape = [len(c) for c in coords.values()]
    values = np.arange(np.prod(shape, dtype=int), dtype=float).reshape(shape)
    return xr.DataArray(values, dims=list(coords), coords={d: list(c) for d, c in coords.items()})


@st.composite
def arrays(draw):
    """Arrays over any of the lane dimensions and sample, feature, in any order."""
    dims = draw(st.permutations([*COORDS, "sample", "feature"]))
    dims = dims[: draw(st.integers(0, len(dims)))]
    array = named(**{d: COORDS.get(d, range(2)) for d in dims})
    return array.drop_vars([d for d in ("sample", "feature") if d in array.coords])


@given(arrays())
def test_place_agrees_with_xarray_broadcasting(array):
    lanes = Lanes(COORDS)
    inner = [d for d in array.dims if d not in COORDS]
    everywhere = named(**COORDS)
    placed = lanes.place(array)
    if not set(array.dims) & set(COORDS):
        np.testing.assert_array_equal(placed, array.values)
        return
    full = xr.broadcast(everywhere, array)[1].transpose(*COORDS, *inner)
    np.testing.assert_array_equal(placed, full.values.reshape(len(lanes), *full.shape[3:]))
    placed[...] = -1.0
    assert array.size == 0 or (array.values >= 0).all()


@given(st.permutations(["lr", "k", "seed"]))
def test_joined_keeps_order_of_arrival_and_seed_last(order):
    joined = Lanes({"seed": COORDS["seed"]}).joined([named(**{d: COORDS[d] for d in order})])
    assert joined.dims == (*(d for d in order if d != "seed"), "seed")
    assert joined.coords == {d: COORDS[d] for d in joined.dims}
    assert len(joined) == 24


def test_sample_and_feature_make_no_lanes():
    array = named(k=(1, 2), sample=range(3), feature=range(1))
    assert lane_dims(array) == ("k",)
    assert Lanes({"seed": (0,)}).joined([array]).dims == ("k", "seed")


def test_two_coordinates_of_one_dimension_are_refused():
    lanes = Lanes({"seed": (0, 1)}).joined([named(lr=(0.1, 0.2))])
    with pytest.raises(ValueError, match=r"lr has two different coordinates: \(0.1, 0.2\) and"):
        lanes.joined([named(lr=(0.1, 0.3))])
    with pytest.raises(ValueError, match="lr has two different"):
        lanes.place(named(lr=(0.2, 0.1)))


def test_a_dimension_needs_a_coordinate_without_repeats():
    with pytest.raises(ValueError, match="lr needs a coordinate"):
        Lanes({"seed": (0,)}).joined([xr.DataArray([0.1, 0.2], dims="lr")])
    with pytest.raises(ValueError, match="lr repeats a coordinate"):
        Lanes({"seed": (0,)}).joined([named(lr=(0.1, 0.1))])
