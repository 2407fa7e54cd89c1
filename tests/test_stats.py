import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as referee

from chymist.claims import above, between
from chymist.stats import (
    Interval,
    best_octave,
    interval,
    kendall_tau,
    log_slope,
    mean_interval,
    mean_sequence,
    median_interval,
    median_sequence,
    sequence,
    simultaneous,
    slope_drift,
    spearman,
)

SETS = 2000
values = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40).filter(lambda v: np.std(v) > 1e-3)
levels = st.sampled_from([0.8, 0.95, 0.99, 0.999])


def outliers(rng, shape):
    return rng.normal(size=shape) * np.where(rng.random(shape) < 0.9, 1.0, 5.0)


def two_humps(rng, shape):
    return rng.normal(size=shape) + np.where(rng.random(shape) < 0.5, -3.0, 3.0)


def uneven_humps(rng, shape):
    return rng.normal(size=shape) + np.where(rng.random(shape) < 0.7, 0.0, 4.0)


DISTRIBUTIONS = {
    "normal": (lambda rng, shape: rng.normal(size=shape), 0.0, 0.0),
    "t3": (lambda rng, shape: rng.standard_t(3, size=shape), 0.0, 0.0),
    "outliers": (outliers, 0.0, 0.0),
    "two humps": (two_humps, 0.0, 0.0),
    "uneven humps": (uneven_humps, 1.2, None),
    "lognormal": (lambda rng, shape: rng.lognormal(size=shape), np.exp(0.5), 1.0),
}


def coverage(make, draw, truth, n, seed=0):
    drawn = draw(np.random.default_rng(seed), (SETS, n))
    found = [make(row) for row in drawn]
    return np.mean([i.low <= truth <= i.high for i in found])


@given(values, levels)
def test_the_t_interval_equals_scipys(given_values, level):
    array = np.array(given_values)
    low, high = referee.t.interval(level, len(array) - 1, array.mean(), referee.sem(array))
    ours = mean_interval(array, level)
    np.testing.assert_allclose([ours.low, ours.high], [low, high], rtol=1e-9, atol=1e-9)
    assert ours.estimate == pytest.approx(array.mean())
    assert ours.level == level


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
@pytest.mark.parametrize("n", range(2, 41))
def test_the_median_interval_is_the_narrowest_that_reaches_its_level(n, level):
    ours = median_interval(np.arange(float(n)), level)
    rank = int(ours.low)
    assert ours.high == n - 1 - rank

    def reached(rank):
        # The median lies between the order statistics unless at most `rank` values fall on a side.
        return 1 - 2 * sum(referee.binom.pmf(k, n, 0.5) for k in range(rank + 1))

    if rank == 0 and reached(0) < level:
        assert ours.level == pytest.approx(reached(0))
    else:
        assert reached(rank) >= level
        assert ours.level == level
    if rank + 1 < n / 2:
        assert reached(rank + 1) < level


def test_fewer_than_six_seeds_do_not_reach_95_percent_for_the_median_and_say_so():
    assert median_interval(np.arange(5.0)).level == pytest.approx(0.9375)
    assert median_interval(np.arange(6.0)).level == 0.95


@given(values, st.permutations(range(5)), st.floats(0.1, 10), st.floats(-5, 5))
def test_intervals_follow_shifts_scales_and_order(given_values, _, scale, shift):
    array = np.array(given_values)
    shuffled = np.random.default_rng(0).permutation(array)
    for centre in ("mean", "median"):
        for make in (interval, sequence):
            plain = make(array, centre)
            moved = make(scale * shuffled + shift, centre)
            if plain is None:
                assert moved is None
                continue
            for name in ("estimate", "low", "high"):
                expected = scale * getattr(plain, name) + shift
                np.testing.assert_allclose(getattr(moved, name), expected, rtol=1e-9, atol=1e-6)
            assert plain.low <= plain.estimate <= plain.high


SYMMETRIC = ["normal", "t3", "outliers", "two humps"]


@pytest.mark.parametrize(
    ("name", "n"),
    [(name, n) for name in SYMMETRIC for n in (5, 8, 16, 32)]
    + [("uneven humps", n) for n in (8, 16, 32)],
)
def test_the_mean_interval_covers_the_mean(name, n):
    draw, mean, _ = DISTRIBUTIONS[name]
    assert coverage(mean_interval, draw, mean, n) >= 0.92


@pytest.mark.parametrize("n", [6, 8, 16, 32])
@pytest.mark.parametrize("name", ["lognormal", "t3"])
def test_the_median_interval_covers_the_median(name, n):
    draw, _, median = DISTRIBUTIONS[name]
    # Distribution-free and at least 95 %: below 0.935 is three standard errors off.
    assert coverage(median_interval, draw, median, n) >= 0.935


@pytest.mark.parametrize(
    ("name", "n", "low", "high"),
    # Known to fall short, from 200 000 sets each: 0.899 and 0.830.
    [("uneven humps", 5, 0.88, 0.92), ("lognormal", 8, 0.80, 0.86)],
)
def test_the_mean_interval_falls_short_for_few_skewed_values(name, n, low, high):
    draw, mean, _ = DISTRIBUTIONS[name]
    assert low < coverage(mean_interval, draw, mean, n) < high


@pytest.mark.parametrize(("centre", "n"), [("mean", 5), ("mean", 8), ("median", 6), ("median", 8)])
@pytest.mark.parametrize("region", [above(0), between(-3.0, 0.0)])
def test_a_false_claim_is_rarely_supported(centre, n, region):
    # The truth is on the region's edge: the nearest that a false claim can be to a true one.
    drawn = np.random.default_rng(1).normal(size=(SETS, n))
    found = [region.judge(interval(row, centre)) for row in drawn]
    assert found.count("supported") / SETS <= 0.05
    assert found.count("refuted") / SETS <= 0.05


@pytest.mark.parametrize("rows", [2, 5])
def test_rows_hold_together_at_the_stated_level(rows):
    drawn = np.random.default_rng(2).normal(size=(SETS // 2, rows, 8))
    level = simultaneous(0.95, rows)
    missed = [
        any(not i.low <= 0 <= i.high for i in (mean_interval(v, level) for v in row))
        for row in drawn
    ]
    assert np.mean(missed) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / len(drawn))


LOOKS = (5, 8, 12, 18, 27, 41, 64)


def ever_missed(make, draw, truth, looks=LOOKS, sets=SETS):
    """Share of sequences in which one of the intervals looked at misses the truth."""
    drawn = draw(np.random.default_rng(3), (sets, looks[-1]))
    found = ([make(row[:n]) for n in looks] for row in drawn)
    return np.mean([any(i and not i.low <= truth <= i.high for i in row) for row in found])


@pytest.mark.parametrize("name", [*SYMMETRIC, "uneven humps"])
def test_one_may_look_at_the_mean_s_sequence_as_often_as_one_likes(name):
    draw, mean, _ = DISTRIBUTIONS[name]
    assert ever_missed(mean_sequence, draw, mean) <= 0.05
    # What it is for: with the ordinary interval one look in five or more misleads.
    assert ever_missed(mean_interval, draw, mean) >= 0.15


@pytest.mark.parametrize("name", ["lognormal", "t3"])
def test_one_may_look_at_the_median_s_sequence_as_often_as_one_likes(name):
    draw, _, median = DISTRIBUTIONS[name]
    assert ever_missed(median_sequence, draw, median) <= 0.05
    assert ever_missed(median_interval, draw, median, LOOKS[1:]) >= 0.08


@pytest.mark.parametrize(("make", "sets"), [(mean_sequence, 1000), (median_sequence, 300)])
def test_looking_after_every_value_is_allowed(make, sets):
    draw, truth, _ = DISTRIBUTIONS["normal"]
    missed = ever_missed(make, draw, truth, tuple(range(2, 129)), sets)
    # Three standard errors above the 5 % that are promised.
    assert missed <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / sets)


def test_the_mean_s_sequence_falls_short_for_few_skewed_values():
    draw, mean, _ = DISTRIBUTIONS["lognormal"]
    # Known, and as for the ordinary interval (which misses in 40 %): the median is for these.
    assert 0.10 < ever_missed(mean_sequence, draw, mean) < 0.22


@pytest.mark.parametrize("centre", ["mean", "median"])
@pytest.mark.parametrize("region", [above(0), between(-3.0, 0.0)])
def test_seeds_added_until_decided_rarely_support_a_false_claim(centre, region):
    # The truth is on the region's edge, and one stops as soon as the interval leaves it.
    drawn = np.random.default_rng(4).normal(size=(SETS, LOOKS[-1]))
    found = []
    for row in drawn:
        looks = (sequence(row[:n], centre) for n in LOOKS)
        verdicts = [region.judge(i) for i in looks if i]
        found.append(next((v for v in verdicts if v != "inconclusive"), "inconclusive"))
    assert found.count("supported") / SETS <= 0.05
    assert found.count("refuted") / SETS <= 0.05


@pytest.mark.parametrize("n", [5, 8, 33])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.995])
def test_the_mean_s_sequence_keeps_what_the_mixture_of_likelihoods_does_not_exclude(n, level):
    from scipy.integrate import quad

    values = np.random.default_rng(n).normal(1.0, 2.0, size=n)
    ours = mean_sequence(values, level)

    def ratio(m):
        # The likelihood of the t statistic under an effect size, by its noncentral distribution.
        t = np.sqrt(n) * (values.mean() - m) / values.std(ddof=1)
        density = referee.norm.pdf
        mixed, _ = quad(
            lambda d: density(d) * referee.nct.pdf(t, n - 1, np.sqrt(n) * d), -6, 6, limit=200
        )
        return mixed / referee.t.pdf(t, n - 1)

    if ours is None:
        # However far away, nothing is excluded.
        far = values.mean() + 1e3 * values.std() * np.array([-1, 1])
        assert all(ratio(m) < 1 / (1 - level) for m in far)
        return
    for edge in (ours.low, ours.high):
        assert ratio(edge) == pytest.approx(1 / (1 - level), rel=1e-4)


@pytest.mark.parametrize("n", [8, 20, 41])
def test_the_median_s_sequence_keeps_what_the_mixture_of_shares_does_not_exclude(n):
    from scipy.integrate import quad

    def excluded(below):
        mixed, _ = quad(lambda q: 2 * (q / 0.5) ** below * ((1 - q) / 0.5) ** (n - below), 0, 0.5)
        return mixed >= 40

    ours = median_sequence(np.arange(float(n)))
    # Just below the interval's end lie `low` values, and that is few enough; at it, one more.
    assert excluded(int(ours.low))
    assert not excluded(int(ours.low) + 1)
    assert ours.high == n - 1 - ours.low


def test_few_values_bear_no_sequence():
    assert mean_sequence(np.arange(4.0)) is None
    assert mean_sequence(np.arange(5.0)) is not None
    assert median_sequence(np.arange(7.0)) is None
    assert median_sequence(np.arange(8.0)) is not None


@pytest.mark.parametrize("make", [mean_interval, median_interval, mean_sequence, median_sequence])
def test_one_value_has_no_interval(make):
    with pytest.raises(ValueError, match="needs two values, got 1"):
        make(np.array([1.0]))


def test_equal_values_have_an_interval_of_no_width():
    for make in (mean_sequence, median_sequence, mean_interval, median_interval):
        ours = make(np.full(8, 2.5))
        assert (ours.low, ours.estimate, ours.high) == (2.5, 2.5, 2.5)
    assert isinstance(ours, Interval)


@given(st.floats(-3, 3), st.floats(0.01, 100), st.integers(0, 10**6))
def test_log_slope_finds_exponents_and_equals_polyfit(exponent, factor, seed):
    x = np.array([1.0, 2.0, 5.0, 30.0])
    y = factor * x**exponent * np.random.default_rng(seed).lognormal(0, 0.1, size=(3, 4))
    array = xr.DataArray(y, dims=("seed", "k"), coords={"k": x})
    expected = np.polyfit(np.log(x), np.log(y).T, 1)[0]
    np.testing.assert_allclose(log_slope(array, "k"), expected, rtol=1e-8, atol=1e-8)


def test_log_slope_of_what_is_missing_or_not_positive_is_missing():
    y = xr.DataArray(
        [[1.0, 2.0, 4.0], [1.0, np.nan, 4.0], [1.0, 0.0, 4.0], [1.0, -2.0, 4.0]],
        dims=("seed", "k"),
        coords={"k": [1.0, 2.0, 4.0]},
    )
    np.testing.assert_allclose(log_slope(y, "k"), [1, np.nan, np.nan, np.nan])


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=10, unique=True))
def test_kendall_tau_equals_scipys_without_ties(given_values):
    ours = float(kendall_tau(xr.DataArray([float(v) for v in given_values], dims="k"), "k"))
    expected = referee.kendalltau(range(len(given_values)), given_values).statistic
    assert ours == pytest.approx(expected)


def test_kendall_tau_counts_ties_as_nothing_and_keeps_what_is_missing():
    y = xr.DataArray([[1.0, 1.0, 2.0], [1.0, np.nan, 2.0]], dims=("seed", "k"))
    np.testing.assert_allclose(kendall_tau(y, "k"), [2 / 3, np.nan])


def score(values, sigma=(1.0, 2.0, 4.0, 8.0)):
    return xr.DataArray(np.asarray(values, float), {"sigma": list(sigma)}, ("sigma",))


def test_the_best_octave_lies_between_points():
    assert best_octave(score([0, 1, 1, 0])) == pytest.approx(1.5)


@pytest.mark.parametrize(("values", "expected"), [([0, 1, 2, 9], 3), ([9, 2, 1, 0], 0)])
def test_the_best_octave_stays_on_the_grid(values, expected):
    assert best_octave(score(values)) == pytest.approx(expected)


def test_a_level_score_has_its_middle_and_two_points_have_none():
    assert np.isfinite(best_octave(score([1, 1, 1, 1])))
    assert np.isnan(best_octave(score([1, 2], (1.0, 2.0))))


def test_spearman_agrees_with_scipy_and_leaves_missing_pairs_out():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 6, (2, 3, 20)).astype(float)
    a, b = (xr.DataArray(v, dims=("seed", "step")) for v in (x, y))
    found = spearman(a, b, "step")
    expected = [referee.spearmanr(x[i], y[i]).statistic for i in range(3)]
    np.testing.assert_allclose(found, expected)
    holes = a.where(a != 3)
    keep = x[1] != 3
    one = referee.spearmanr(x[1][keep], y[1][keep]).statistic
    assert float(spearman(holes, b, "step")[1]) == pytest.approx(one)
    assert spearman(0 * a, b, "step").isnull().all()
    assert spearman(a * np.nan, b, "step").isnull().all()


def test_a_power_law_s_slope_does_not_drift_and_a_bend_s_does():
    m = np.array([8.0, 16.0, 32.0, 64.0, 128.0, 256.0])
    law, bent = (xr.DataArray(y, {"m": m}) for y in (3 * m**-1.5, 1 / m + 1e-3))
    assert float(slope_drift(law, "m")) == pytest.approx(0, abs=1e-12)
    early, late = (log_slope(bent.isel(m=part), "m") for part in (slice(3), slice(3, None)))
    assert float(slope_drift(bent, "m")) == pytest.approx(float(late - early))
    assert np.isnan(slope_drift(law.isel(m=slice(2)), "m"))
