"""First crossings as bounds, rates of decay, and exponents of power laws with what was not seen."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments import decay_rate, first_crossing, rate_slope, time_to
from chymist.stats import log_slope, mean_interval

values = st.floats(0, 2) | st.just(float("nan"))


def curve(numbers, steps):
    return xr.DataArray(numbers, dims="step", coords={"step": steps})


@given(st.lists(values, min_size=1, max_size=12), st.floats(0.1, 1.5), st.integers(1, 7))
def test_bounds_are_those_of_a_plain_search(numbers, threshold, stride):
    steps = [stride * i for i in range(len(numbers))]
    found = first_crossing(curve(numbers, steps), threshold)
    seen = -1
    for step, value in zip(steps, numbers, strict=True):
        if value < threshold:
            assert (found.earliest, found.latest, found.crossed) == (seen + 1, step, True)
            break
        if np.isfinite(value):
            seen = step
    else:
        assert (found.earliest, found.latest, found.crossed) == (seen + 1, np.inf, False)


@given(st.lists(st.floats(0, 2), min_size=1, max_size=30), st.data())
def test_the_true_time_lies_within_bounds_however_sparsely_it_was_recorded(numbers, data):
    whole = curve(numbers, list(range(len(numbers))))
    monotone = whole.copy(data=np.minimum.accumulate(whole.values))
    true = time_to(monotone, 0.5)
    kept = data.draw(st.sets(st.integers(0, len(numbers) - 1), min_size=1))
    found = first_crossing(monotone.isel(step=sorted(kept)), 0.5)
    later = np.inf if np.isnan(true) else float(true)
    assert found.earliest <= later <= found.latest
    at_every_step = first_crossing(monotone, 0.5)
    if bool(at_every_step.crossed):
        assert at_every_step.earliest == at_every_step.latest == true


def test_other_dimensions_stay_and_a_diverged_curve_is_watched_to_its_end():
    numbers = np.array([[1, 0.4, 0.1], [1, np.nan, np.nan], [np.nan] * 3])
    error = xr.DataArray([numbers, numbers + 1], dims=("k", "seed", "step"), coords={
        "k": [1, 2], "seed": [3, 4, 5], "step": [0, 5, 9]})  # fmt: skip
    found = first_crossing(error.transpose("step", "seed", "k"), 0.3)
    assert set(found.sizes) == {"k", "seed"}
    assert found.earliest.sel(k=1).values.tolist() == [6, 1, 0]
    assert found.latest.sel(k=1).values.tolist() == [9, np.inf, np.inf]
    assert not found.crossed.sel(k=2).any()
    assert found.earliest.attrs["units"] == "step"


def power_law(exponent, k, seeds, spread, draw):
    k = np.asarray(k, dtype=float)
    noise = np.exp(spread * draw.normal(size=(seeds, len(k))))
    return xr.DataArray(
        20 * k**exponent * noise, {"seed": range(seeds), "k": k}, ("seed", "k")
    )  # fmt: skip


def test_known_values_have_the_slope_of_stats_and_students_interval():
    times = power_law(2, [1, 2, 4, 8], 6, 0.3, np.random.default_rng(0))
    found = rate_slope(times, "k")
    slopes = log_slope(times, "k").values
    expected = mean_interval(slopes)
    np.testing.assert_allclose(found.lowest, slopes, rtol=1e-12)
    np.testing.assert_allclose(found.highest, slopes, rtol=1e-12)
    assert (found.estimate, found.low, found.high) == pytest.approx(
        (expected.estimate, expected.low, expected.high)
    )
    assert found.unseen == 0
    exact = rate_slope(power_law(-1.5, [1, 3, 9], 2, 0.0, np.random.default_rng(0)), "k")
    assert (exact.low, exact.high) == pytest.approx((-1.5, -1.5))


@settings(max_examples=60)
@given(st.integers(2, 6), st.integers(0, 10**6))
def test_every_value_within_bounds_has_a_slope_within_bounds_and_the_ends_are_reached(n, seed):
    draw = np.random.default_rng(seed)
    k = np.sort(draw.uniform(1, 20, n))
    assume(np.diff(k).min() > 1e-3)
    low = draw.uniform(1, 50, (2, n))
    high = low * draw.uniform(1, 3, (2, n))
    names = {"seed": [0, 1], "k": k}
    bounds = xr.Dataset(
        {n: xr.DataArray(v, names, ("seed", "k")) for n, v in
         (("earliest", low), ("latest", high))}
    )  # fmt: skip
    found = rate_slope(bounds, "k")
    between = low + draw.uniform(0, 1, low.shape) * (high - low)
    slopes = log_slope(xr.DataArray(between, names, ("seed", "k")), "k").values
    assert (found.lowest <= slopes + 1e-9).all()
    assert (slopes <= found.highest + 1e-9).all()
    above = k > np.exp(np.log(k).mean())
    for end, numbers in (
        (found.highest, np.where(above, high, low)),
        (found.lowest, np.where(above, low, high)),
    ):
        reached = log_slope(xr.DataArray(numbers, names, ("seed", "k")), "k").values
        np.testing.assert_allclose(end, reached, rtol=1e-9, atol=1e-9)


def censored(times, limit):
    """What a training of `limit` steps would have seen of these times."""
    whole = np.ceil(times)
    return xr.Dataset({
        "earliest": whole.where(whole <= limit, limit + 1.0),
        "latest": whole.where(whole <= limit, np.inf),
    })  # fmt: skip


def test_a_time_that_was_not_seen_opens_one_end_and_dropping_it_would_mislead():
    times = power_law(2, [1, 2, 4, 8], 8, 0.1, np.random.default_rng(1))
    found = rate_slope(censored(times, 400), "k")
    assert found.unseen == 8
    assert (found.high, np.isnan(found.estimate)) == (np.inf, True)
    # At the limit in place of the unseen times the slope would be below 2, and 2 is not excluded.
    assert found.low < 2
    early = rate_slope(censored(times.assign_coords(k=1 / times.k), 400), "k")
    assert (early.low, early.high < 0) == (-np.inf, True)


def test_a_middle_frequency_that_was_not_seen_leaves_the_slope_as_it_is():
    names = {"seed": [0, 1], "k": [1.0, 2.0, 4.0]}
    rows = np.array([[10.0, 40.0, 160.0]] * 2)
    low, high = rows.copy(), rows.copy()
    low[0, 1], high[0, 1] = 1.0, np.inf
    bounds = xr.Dataset({
        "earliest": (("seed", "k"), low), "latest": (("seed", "k"), high)}, names)  # fmt: skip
    found = rate_slope(bounds, "k")
    np.testing.assert_allclose([found.low, found.high], 2, rtol=1e-9)
    assert found.unseen == 1


@pytest.mark.parametrize(("limit", "exactly"), [(10**9, True), (2500, False)])
def test_intervals_cover_the_exponent_as_often_as_they_say(limit, exactly):
    draw = np.random.default_rng(2)
    covered = 0
    for _ in range(400):
        times = power_law(2, [2, 4, 8, 16], 5, 0.2, draw)
        found = rate_slope(censored(times, limit), "k")
        covered += found.low <= 2 <= found.high
    # 95 % of 400, four standard errors about it; at least that where bounds are open.
    assert covered >= 380 - 18
    assert not exactly or covered <= 380 + 18


def test_rates_of_exact_exponentials_and_where_they_are_read():
    steps = np.array([0, 1, 2, 5, 10, 20])
    rates = np.array([0.05, 0.2, 1.0])
    error = xr.DataArray(
        3 * np.exp(-np.outer(rates, steps)), {"k": [1, 2, 3], "step": steps}, ("k", "step")
    )
    np.testing.assert_allclose(decay_rate(error), rates, rtol=1e-12)
    flat = error.clip(min=1e-3)
    np.testing.assert_allclose(decay_rate(flat, 1e-3), rates, rtol=1e-9)
    assert decay_rate(flat).sel(k=3) < 0.8 * rates[2]
    later = error.where(error.step != 5)
    np.testing.assert_allclose(decay_rate(later), rates, rtol=1e-12)
    assert decay_rate(error.where(error.step < 1)).isnull().all()
    assert decay_rate(error).attrs["units"] == "1 / step"


def test_a_curve_is_read_up_to_its_first_value_at_the_floor():
    error = curve([1.0, np.exp(-1), 0.0, 7.0], [0, 1, 2, 3])
    assert float(decay_rate(error)) == pytest.approx(1)


LINE = xr.DataArray(np.ones((2, 2)), {"seed": [0, 1], "k": [1.0, 2.0]}, ("seed", "k"))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: first_crossing(LINE, 0.1), "the curve has dimensions seed, k"),
        (lambda: first_crossing(curve([1.0, 2.0], [3, 1]), 0.1), "the steps do not rise"),
        (lambda: first_crossing(curve([1.0], [3]), float("nan")), "threshold is nan"),
        (lambda: decay_rate(LINE), "the curve has dimensions seed, k"),
        (lambda: decay_rate(curve([1.0], [3]), -1.0), "floor is -1.0"),
        (lambda: rate_slope(LINE.where(LINE.k < 2), "k"), "missing or not positive"),
        (lambda: rate_slope(0 * LINE, "k"), "missing or not positive"),
        (lambda: rate_slope(LINE.expand_dims(s=[1]), "k"), "values have dimensions s, seed, k"),
        (lambda: rate_slope(LINE.isel(seed=[0]), "k"), "there are 2 of k and 1 of seed"),
        (lambda: rate_slope(LINE.assign_coords(k=[0.0, 1.0]), "k"), "no positive coordinate"),
    ],
)
def test_what_has_no_slope_is_refused_in_one_line(call, says):
    with pytest.raises((BadParameter, CannotMeasure)) as caught:
        call()
    assert says in str(caught.value)
    assert caught.value.hint


def test_a_decay_ends_where_the_error_is_infinite_and_its_floor_is_a_number():
    step = np.arange(8)
    values = np.exp(-0.5 * step)
    values[5] = np.inf
    found = decay_rate(xr.DataArray(values, coords={"step": step}))
    np.testing.assert_allclose(found, 0.5)
    with pytest.raises(BadParameter, match="floor is inf"):
        decay_rate(xr.DataArray(values, coords={"step": step}), floor=np.inf)
