import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from chymist.errors import CannotMeasure
from chymist.instruments import area_under, plateaus, time_to

curves = st.lists(st.floats(0, 10) | st.just(float("nan")), min_size=2, max_size=12)


def curve(values, steps=None):
    steps = steps if steps is not None else [i * i for i in range(len(values))]
    return xr.DataArray(values, dims="step", coords={"step": steps})


@given(curves, st.floats(0.01, 10))
def test_time_to_equals_a_plain_search(values, threshold):
    expected = next((i * i for i, v in enumerate(values) if v < threshold), np.nan)
    np.testing.assert_equal(float(time_to(curve(values), threshold)), float(expected))


def test_time_to_keeps_the_other_dimensions():
    values = np.stack([np.linspace(1, 0, 6), np.ones(6), np.full(6, np.nan)])
    error = xr.DataArray(
        np.stack([values, values / 2]),
        dims=("k", "seed", "step"),
        coords={"k": [1, 2], "seed": [3, 4, 5], "step": 10 * np.arange(6)},
    )
    time = time_to(error, 0.3)
    assert time.dims == ("k", "seed")
    assert "step" not in time.coords
    np.testing.assert_equal(time.values, [[40, np.nan, np.nan], [30, np.nan, np.nan]])
    assert time.attrs["units"] == "step"
    other = time_to(error.transpose("step", "seed", "k"), 0.3)
    xr.testing.assert_identical(other.transpose(), time)


@given(curves)
def test_a_harder_threshold_is_never_met_earlier(values):
    easy, hard = (float(time_to(curve(values), t)) for t in (2.0, 0.5))
    assert np.isnan(hard) or easy <= hard


@given(st.lists(st.floats(0, 10), min_size=2, max_size=12), st.floats(0.1, 20))
def test_area_under_equals_numpy(values, ceiling):
    steps = np.cumsum(1 + np.arange(len(values)) % 3)
    expected = np.trapezoid(np.minimum(values, ceiling), steps) / (steps[-1] - steps[0])
    ours = float(area_under(curve(values, steps), ceiling))
    np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-12)


def test_area_under_of_a_constant_is_the_constant_and_missing_stays_missing():
    error = curve([0.5, 0.5, 0.5]).expand_dims(seed=[0, 1]).copy()
    error[1, 2] = np.nan
    area = area_under(error)
    assert area.dims == ("seed",)
    np.testing.assert_equal(area.values, [0.5, np.nan])
    assert area_under(error.assign_attrs(units="dB")).attrs["units"] == "dB"


def test_area_under_needs_two_steps():
    with pytest.raises(CannotMeasure, match="two recorded steps"):
        area_under(curve([1.0]))


def test_plateaus_are_found_numbered_and_kept_apart():
    steps = np.unique(np.geomspace(1, 1e5, 200).round())
    loss = 1 / (1 + (steps / 100) ** 4) + 1e-3 / (1 + (steps / 2e4) ** 4)
    found = plateaus(curve(loss, [0.0, *steps][1:]))
    assert int(found.max()) == 2
    for number, low, high in ((1, 1, 40), (2, 1500, 8000)):
        inside = (steps >= low) & (steps <= high)
        assert (found.values[inside] == number).all()
    assert (found.values[(steps > 100) & (steps < 400)] == 0).all()
    assert int(plateaus(curve(loss, list(steps)), decades=1.0).max()) == 1
    np.testing.assert_array_equal(plateaus(curve(7 * loss, list(steps))), found)


def test_a_power_law_a_short_rest_and_what_is_not_finite_make_no_plateau():
    steps = np.geomspace(1, 1000, 60)
    assert int(plateaus(curve(1 / steps, list(steps))).max()) == 0
    assert int(plateaus(curve(np.ones(10), list(np.geomspace(1, 3, 10)))).max()) == 0
    broken = np.ones(60)
    broken[[15, 45]] = np.nan, -1.0
    found = plateaus(curve(broken, list(steps)))
    assert found.values[[0, 15, 30, 45, 59]].tolist() == [1, 0, 2, 0, 3]
    both = xr.concat([curve(broken, list(steps)), curve(1 / steps, list(steps))], "seed")
    assert plateaus(both).max("step").values.tolist() == [3, 0]
    assert (plateaus(curve(np.ones(4), [0, 1, 2, 9])).values == [0, 1, 1, 1]).all()
