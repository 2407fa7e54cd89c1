import importlib.util
import json
import math
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from chymist.claims import (
    Certificate,
    Claim,
    Region,
    Verdict,
    above,
    below,
    between,
    exactly,
    judge,
    overall,
)
from chymist.errors import BadStudy
from chymist.stats import Interval, mean_interval, median_interval

finite = st.floats(-100, 100)


def error(data):
    """The error."""
    return data.error


def claim(region=None, statistic=error, **options):
    return Claim("small", "The error is small.", statistic, region or below(1), **options)


def measured(values, **coords):
    coords = {"seed": list(range(np.shape(values)[-1])), **coords}
    dims = [*(d for d in coords if d != "seed"), "seed"]
    return xr.Dataset({"error": xr.DataArray(values, dims=dims, coords=coords)})


@given(finite, finite, finite, finite)
def test_a_region_supports_what_lies_inside_and_refutes_what_is_disjoint(a, b, c, d):
    low, high = sorted((a, b))
    region = Region(*sorted((c, d)))
    status = region.judge(Interval((low + high) / 2, low, high, 0.95))
    points = np.linspace(low, high, 201)
    inside = (points > region.low) & (points < region.high)
    if region.low == region.high:
        inside = points == region.low
    if status == "supported":
        assert inside.all()
    elif status == "refuted":
        assert not inside.any()
    else:
        assert low <= region.low < high or low < region.high <= high


@pytest.mark.parametrize(
    ("region", "low", "high", "status"),
    [
        (above(1), 1.1, 2.0, "supported"),
        (above(1), 1.0, 2.0, "inconclusive"),
        (above(1), 0.5, 1.0, "refuted"),
        (below(1), 0.5, 0.9, "supported"),
        (below(1), 0.5, 1.0, "inconclusive"),
        (below(1), 1.0, 1.5, "refuted"),
        (between(0, 1), 0.1, 0.9, "supported"),
        (between(0, 1), -1.0, 2.0, "inconclusive"),
        (between(0, 1), 1.0, 2.0, "refuted"),
        (between(0, 1), -2.0, 0.0, "refuted"),
    ],
)
def test_edges_of_regions_are_not_inside(region, low, high, status):
    assert region.judge(Interval((low + high) / 2, low, high, 0.95)) == status


def test_regions_say_what_they_allow_and_must_not_be_empty():
    texts = [str(r) for r in (above(0.5), below(2), between(-1, 1.25))]
    assert texts == ["above 0.5", "below 2", "between -1 and 1.25"]
    with pytest.raises(ValueError, match="low < high, got 1 and 1"):
        between(1, 1)


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (["supported"], "supported"),
        (["supported", "supported"], "supported"),
        (["supported", "inconclusive"], "inconclusive"),
        (["inconclusive", "refuted"], "refuted"),
        (["supported", "refuted"], "refuted"),
        ([], "inconclusive"),
    ],
)
def test_the_verdict_of_several_rows(statuses, expected):
    assert overall(statuses) == expected


@pytest.mark.parametrize(("centre", "make"), [("mean", mean_interval), ("median", median_interval)])
def test_a_verdict_states_values_interval_and_region(centre, make):
    values = np.array([0.1, 0.2, 0.15, 0.3, 0.12, 0.22, 0.18, 0.25])
    verdict = judge(claim(centre=centre), measured(values))
    [row] = verdict.rows
    assert verdict.status == row.status == "supported"
    assert row.values == tuple(values)
    assert row.interval == make(values, 0.95)
    assert row.where == {}
    assert (verdict.region, verdict.region_low, verdict.region_high) == ("below 1", None, 1.0)
    assert (verdict.statistic, verdict.centre, verdict.note) == ("The error.", centre, "")


def test_every_point_of_further_dimensions_gets_a_row_at_a_higher_level():
    values = np.stack([np.full(8, 0.2), np.full(8, 0.5)]) + 0.01 * np.arange(8)
    data = measured(np.stack([values, values + 2]), k=[3, 5], name=["a", "b"])
    verdict = judge(claim(), data)
    assert verdict.status == "refuted"
    assert [row.where for row in verdict.rows] == [
        {"k": k, "name": name} for k in (3, 5) for name in ("a", "b")
    ]
    assert [row.status for row in verdict.rows] == ["supported"] * 2 + ["refuted"] * 2
    for row in verdict.rows:
        assert row.interval.level == pytest.approx(1 - 0.05 / 4)
        assert row.interval == mean_interval(np.array(row.values), 1 - 0.05 / 4)
    order = judge(claim(statistic=lambda d: d.error.transpose("seed", "name", "k")), data)
    assert order.status == "refuted"
    assert len(order.rows) == 4


def test_a_dimension_without_coordinate_is_counted():
    verdict = judge(claim(), xr.Dataset({"error": (("part", "seed"), np.zeros((2, 6)))}))
    assert [row.where for row in verdict.rows] == [{"part": 0}, {"part": 1}]


def test_a_seed_without_a_finite_statistic_makes_it_inconclusive():
    values = np.full(8, 0.2) + 0.01 * np.arange(8)
    for absent in (np.nan, np.inf):
        holed = values.copy()
        holed[3] = absent
        verdict = judge(claim(), measured(holed))
        assert verdict.status == "inconclusive"
        assert verdict.rows[0].values[3] is None
        assert verdict.rows[0].interval == mean_interval(np.delete(values, 3))
        assert verdict.note == "1 of 8 values missing"
        assert judge(claim(missing=0.125), measured(holed)).status == "supported"
        assert judge(claim(missing=0.1), measured(holed)).status == "inconclusive"


def test_missing_seeds_do_not_refute_either():
    assert judge(claim(), measured([5.0, 5.1, 5.2, 5.3, np.nan])).status == "inconclusive"


@pytest.mark.parametrize("present", [0, 1])
def test_fewer_than_two_values_are_inconclusive_whatever_may_be_missing(present):
    values = np.full(6, np.nan)
    values[:present] = 0.1
    verdict = judge(claim(missing=1.0), measured(values))
    assert verdict.status == "inconclusive"
    assert verdict.rows[0].interval is None


@pytest.mark.parametrize(
    ("statistic", "got"),
    [
        (lambda d: d.error.mean("seed"), "dimensions ()"),
        (lambda d: d.error.values, "ndarray"),
        (lambda d: 1.0, "float"),
        (lambda d: d, "Dataset"),
    ],
)
def test_a_statistic_of_the_wrong_shape_is_one_line(statistic, got):
    with pytest.raises(BadStudy) as caught:
        judge(claim(statistic=statistic), measured(np.zeros(6)))
    line = str(caught.value)
    assert line.startswith("claim small: the statistic returned ")
    assert got in line
    assert line.endswith("(return an xarray DataArray that keeps the dimension seed)")
    assert "\n" not in line


@given(
    st.lists(st.floats(-5, 5) | st.just(math.nan), min_size=2, max_size=9),
    st.sampled_from([above(0), below(1), between(-1, 1)]),
    st.sampled_from(["mean", "median"]),
)
def test_a_verdict_survives_json(values, region, centre):
    verdict = judge(claim(region, centre=centre), measured(np.array([values, values]), k=[1, 2]))
    text = json.dumps(verdict.to_json(), allow_nan=False)
    assert Verdict.from_json(json.loads(text)) == verdict


MODULE = """
def statistic(data):
    return data.error{}
"""


def loaded(tmp_path, name, ending):
    path = tmp_path / f"{name}.py"
    path.write_text(MODULE.format(ending))
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.statistic


def test_a_digest_covers_what_decides_and_nothing_else(tmp_path):
    base = claim(statistic=loaded(tmp_path, "one", ""))
    same = claim(statistic=loaded(tmp_path, "two", ""))
    assert base.digest() == same.digest()
    assert base.digest() == replace(base, sentence="Said otherwise.").digest()
    changed = [
        replace(base, region=below(1.0000001)),
        replace(base, region=above(1)),
        replace(base, centre="median"),
        replace(base, missing=0.1),
        replace(base, statistic=loaded(tmp_path, "three", " / 2")),
        replace(base, statistic=partial(base.statistic)),
    ]
    digests = {base.digest(), *(c.digest() for c in changed)}
    assert len(digests) == 1 + len(changed)


def by_threshold(data, threshold=0.0):
    """The share of the error above a threshold."""
    return (data.error > threshold).astype(float)


def test_a_digest_covers_the_arguments_of_a_partial_statistic():
    digests = {
        claim(statistic=s).digest()
        for s in (
            by_threshold,
            partial(by_threshold, threshold=0.1),
            partial(by_threshold, threshold=0.2),
        )
    }
    assert len(digests) == 3


def test_a_digest_is_the_same_in_another_process(tmp_path):
    code = tmp_path / "digests.py"
    code.write_text(
        "from functools import partial\n"
        "import numpy as np\n"
        "from chymist.claims import Claim, below\n"
        "def f(data, t=0):\n    return data.error - t\n"
        "for s in (f, partial(f, t=2), np.add):\n"
        "    print(Claim('a', 'A.', s, below(1)).digest())\n"
    )
    runs = [
        subprocess.run([sys.executable, str(code)], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout
    assert len(set(runs[0].stdout.split())) == 3


@pytest.mark.parametrize(("seeds", "status"), [(5, "inconclusive"), (6, "supported")])
def test_too_few_seeds_for_the_level_are_inconclusive(seeds, status):
    values = xr.DataArray(np.arange(1.0, seeds + 1), dims="seed")
    claim = Claim("high", "It is high.", lambda run: run.value, above(0), centre="median")
    verdict = judge(claim, xr.Dataset({"value": values}))
    assert verdict.status == status
    assert ("too few seeds" in verdict.note) == (status == "inconclusive")


def test_a_point_may_be_named_by_a_word():
    words = np.array(["relu", "tanh"], dtype=object)
    verdict = judge(claim(), measured(np.zeros((2, 8)) + np.arange(8) / 100, variant=words))
    assert [row.where for row in verdict.rows] == [{"variant": "relu"}, {"variant": "tanh"}]


HOLDS = Certificate("two and two are four", "2 + 2 = 4", holds=True)
FAILS = Certificate("two and two are five", "2 + 2 = 5", holds=False)


def exact(region, *certificates):
    return claim(region, certificates=lambda data: certificates)


def table(values, **coords):
    dims = list(coords)
    return xr.Dataset({"error": xr.DataArray(values, dims=dims, coords=coords)})


@pytest.mark.parametrize(
    ("region", "value", "status"),
    [
        (exactly(2), 2.0, "supported"),
        (exactly(2), np.nextafter(2.0, 3), "refuted"),
        (exactly(2), np.nan, "inconclusive"),
        (below(2), 2.0, "refuted"),
        (below(2), 1.0, "supported"),
        (between(0, 1), 0.5, "supported"),
    ],
)
def test_an_exact_claim_is_judged_by_its_value(region, value, status):
    verdict = judge(exact(region, HOLDS), table(value))
    assert (verdict.status, verdict.kind) == (status, "exact")
    assert verdict.certificates == (HOLDS,)
    [row] = verdict.rows
    if status == "inconclusive":
        assert (row.values, row.interval) == ((None,), None)
        assert verdict.note == "1 of 1 values not known"
    else:
        assert row.interval == Interval(value, value, value, 1.0)


def test_every_point_of_an_exact_claim_gets_a_row():
    verdict = judge(exact(exactly(0), HOLDS), table([[0.0, 0.0], [0.0, 1.0]], k=[3, 5], n=[1, 2]))
    assert [row.status for row in verdict.rows] == ["supported"] * 3 + ["refuted"]
    assert verdict.rows[3].where == {"k": 5, "n": 2}
    assert verdict.status == "refuted"
    assert verdict.region == "exactly 0"


@pytest.mark.parametrize(("value", "status"), [(0.0, "inconclusive"), (1.0, "refuted")])
def test_with_a_certificate_that_fails_an_exact_claim_is_not_supported(value, status):
    verdict = judge(exact(exactly(0), HOLDS, FAILS), table(value))
    assert verdict.status == verdict.rows[0].status == status
    assert verdict.note == "a certificate fails: two and two are five"


def test_an_exact_claim_has_certificates_and_no_seeds():
    with pytest.raises(BadStudy, match="exact claim small has no certificate"):
        judge(exact(exactly(0)), table(0.0))
    with pytest.raises(BadStudy, match="without dimension seed"):
        judge(exact(exactly(0), HOLDS), measured(np.zeros(6)))
    with pytest.raises(BadStudy, match="no interval over seeds lies inside exactly 0"):
        claim(exactly(0))


def test_an_exact_verdict_survives_json():
    verdict = judge(exact(exactly(0), HOLDS, FAILS), table([0.0, np.nan], k=[1, 2]))
    text = json.dumps(verdict.to_json(), allow_nan=False)
    assert Verdict.from_json(json.loads(text)) == verdict


def test_a_digest_covers_what_makes_certificates(tmp_path):
    plain = claim(statistic=loaded(tmp_path, "four", ""))
    one, other = (replace(plain, certificates=loaded(tmp_path, n, e)) for n, e in CERTIFY.items())
    assert len({plain.digest(), one.digest(), other.digest()}) == 3


CERTIFY = {"five": "[:1]", "six": "[1:]"}
