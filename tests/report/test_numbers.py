from __future__ import annotations

import math
from dataclasses import replace

import pytest

from chymist.claims import Row, Verdict
from chymist.report import numbers
from chymist.report.strip import ruler, strip
from chymist.stats import Interval


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (-1234.5678, "−1235"),
        (0.99999, "1"),
        (9999.96, "10000"),
        (123456.0, "123456"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (None, "missing"),
        (math.nan, "missing"),
        (0.00012345, "0.0001234"),
        (-2.5e-9, "−2.5\u00a0×\u00a010⁻⁹"),
        (6.02e23, "6.02\u00a0×\u00a010²³"),
    ],
)
def test_number(value: float | None, text: str) -> None:
    assert numbers.number(value) == text


@pytest.mark.parametrize(
    ("interval", "texts"),
    [
        ((1.0234, 1.0012, 1.0456), ("1.023", "1.001", "1.046")),
        ((2.0, 2.0, 2.0), ("2", "2", "2")),
        ((1000.5, 1000.4998, 1000.5002), ("1000.50000", "1000.49980", "1000.50020")),
        ((-0.01, -0.03, 0.01), ("−0.01000", "−0.03000", "0.01000")),
        ((0.0, 0.0, 0.0), ("0", "0", "0")),
    ],
)
def test_spread(interval: tuple[float, float, float], texts: tuple[str, str, str]) -> None:
    assert numbers.spread(Interval(*interval, level=0.95)) == texts


@pytest.mark.parametrize("level", [0.9, 0.95, 0.975, 0.99, 0.992, 0.9995, 0.99999])
def test_a_level_is_never_overstated(level: float) -> None:
    stated = float(numbers.percent(level).split("\u00a0")[0]) / 100
    assert stated <= level + 1e-12
    assert stated < 1


def test_times() -> None:
    assert numbers.duration(0.041) == "0.041 s"
    assert numbers.duration(59.0) == "59 s"
    assert numbers.duration(86_399.0) == "23 h 59 min"
    assert numbers.moment("not a time") == "not a time"


def test_the_strip_places_region_interval_and_seeds(verdict: Verdict) -> None:
    scale = ruler(verdict, verdict.rows)
    assert not scale.log
    row = verdict.rows[0]
    assert row.interval is not None
    assert scale(0.8) < scale(row.interval.low) < scale(row.interval.high) < scale(1.25)
    drawn = strip(verdict, [("", row)], scale)
    assert drawn.count("class='seed'") == 8
    assert drawn.count("class='edge'") == 2
    assert f"width='{scale(1.25) - scale(0.8):.1f}'" in drawn
    assert "8 seeds from" in drawn


def test_the_strip_is_logarithmic_over_decades_and_open_regions_reach_the_edge() -> None:
    rows = (Row({}, (1e-6, 1e-5, None, 1e-4), Interval(1e-5, 1e-6, 1e-4, 0.9), "supported"),)
    verdict = Verdict("c", "S.", "below 0.001", None, 1e-3, "s", "median", "supported", rows)
    scale = ruler(verdict, rows)
    assert scale.log
    assert scale.labels() == ["10⁻⁶", "10⁻⁵", "10⁻⁴", "10⁻³"]
    drawn = strip(verdict, [("", rows[0])], scale)
    assert "class='region' x='0.0'" in drawn
    assert drawn.count("class='seed'") == 3
    assert not ruler(replace(verdict, region_low=0.0), rows).log


@pytest.mark.parametrize("values", [(), (None, None), (1.0, 1.0), (0.0, 0.0), (-1e9, 1e9)])
def test_the_strip_draws_whatever_there_is(values: tuple[float | None, ...]) -> None:
    rows = (Row({}, values, None, "inconclusive"),)
    verdict = Verdict("c", "S.", "", None, None, "", "mean", "inconclusive", rows)
    scale = ruler(verdict, rows)
    assert scale.low < scale.high
    labels = scale.labels()
    assert 1 <= len(labels) <= 6
    assert len(set(labels)) == len(labels)
    assert strip(verdict, [("", rows[0])], scale).startswith("<svg")
