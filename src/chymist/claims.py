"""Claims, the regions their statistics must lie in, and the verdicts over seeds.

A verdict is `supported` when the confidence interval of the statistic lies inside the region,
`refuted` when it is disjoint from the region, and `inconclusive` otherwise, or when a seed has no
finite statistic (it diverged, or never got where the statistic looks), or when the seeds are too
few for an interval of the level.
"""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import xarray as xr

from chymist import stats
from chymist.errors import BadStudy

Status = Literal["supported", "refuted", "inconclusive"]
LEVEL = 0.95


@dataclass(frozen=True)
class Region:
    """The values (low, high) that a claim allows its statistic; an open end is infinite."""

    low: float = -math.inf
    high: float = math.inf

    def __str__(self) -> str:
        if math.isinf(self.high):
            return f"above {self.low:.4g}"
        if math.isinf(self.low):
            return f"below {self.high:.4g}"
        return f"between {self.low:.4g} and {self.high:.4g}"

    def judge(self, interval: stats.Interval) -> Status:
        """Compare an interval with this region.

        >>> above(1).judge(stats.Interval(2.0, 1.5, 2.5, 0.95))
        'supported'
        """
        if self.low < interval.low and interval.high < self.high:
            return "supported"
        if interval.high <= self.low or interval.low >= self.high:
            return "refuted"
        return "inconclusive"


def above(low: float) -> Region:
    """Allow values above `low`."""
    return Region(low=float(low))


def below(high: float) -> Region:
    """Allow values below `high`."""
    return Region(high=float(high))


def between(low: float, high: float) -> Region:
    """Allow values between `low` and `high`."""
    if not low < high:
        raise ValueError(f"a region needs low < high, got {low} and {high}")
    return Region(float(low), float(high))


@dataclass(frozen=True)
class Published:
    """What a paper reports of a claim's statistic, on its scale, and in which setting.

    `source` is the key of one of the study's references. It stands beside our figure and decides
    nothing.
    """

    value: float
    setting: str
    source: str


@dataclass(frozen=True)
class Claim:
    """One falsifiable sentence: a statistic (one number a seed) and the region for its interval.

    The statistic maps the measured data to an array that keeps the dimension `seed`. Further
    dimensions (a lane, an axis, a sweep) mean that the claim must hold at every point of them: each
    gets an interval, and all hold together at 95 % (Bonferroni). `missing` is the share of seeds
    that may lack a finite statistic; none, unless the claim says why it may. What others found is
    `published`.
    """

    name: str
    sentence: str
    statistic: Callable[[xr.Dataset], xr.DataArray]
    region: Region
    centre: stats.Centre = "mean"
    missing: float = 0.0
    published: tuple[Published, ...] = ()

    def digest(self) -> str:
        """Digest of what decides the claim: statistic's source, region, centre, tolerance."""
        decides = [repr(self.region), self.centre, repr(self.missing)]
        text = "\n".join([_source(self.statistic), *decides])
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Row:
    """The verdict at one point of the statistic's further dimensions."""

    where: Mapping[str, Any]
    values: tuple[float | None, ...]
    interval: stats.Interval | None
    status: Status


@dataclass(frozen=True)
class Verdict:
    """What the data say of a claim; `anytime`: by intervals valid at any number of seeds."""

    claim: str
    sentence: str
    region: str
    region_low: float | None
    region_high: float | None
    statistic: str
    centre: str
    status: Status
    rows: tuple[Row, ...]
    note: str = ""
    anytime: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Verdict:
        """Read what `to_json` wrote."""
        rows = tuple(
            Row(
                row["where"],
                tuple(row["values"]),
                stats.Interval(**row["interval"]) if row["interval"] else None,
                row["status"],
            )
            for row in record["rows"]
        )
        return cls(**{**record, "rows": rows})


def _source(function: Callable[..., Any]) -> str:
    """What a function computes, as text that is the same in every process."""
    if isinstance(function, partial):
        given = [repr(function.args), repr(sorted(function.keywords.items()))]
        return "\n".join([_source(function.func), *given])
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return f"{function.__module__}.{getattr(function, '__qualname__', type(function))}"


def judge(claim: Claim, data: xr.Dataset, *, anytime: bool = False) -> Verdict:
    """Evaluate a claim on measured data.

    With `anytime` by intervals that stay valid where seeds are added until a claim is decided.

    Raises:
        BadStudy: the statistic does not return an array with dimension `seed`.
    """
    values = claim.statistic(data)
    if not isinstance(values, xr.DataArray) or "seed" not in values.dims:
        got = f"dimensions {values.dims}" if isinstance(values, xr.DataArray) else type(values)
        raise BadStudy(
            f"claim {claim.name}: the statistic returned {got}",
            "return an xarray DataArray that keeps the dimension seed",
        )
    others = [d for d in values.dims if d != "seed"]
    flat = values.stack(point=others) if others else values.expand_dims("point")
    flat = flat.transpose("point", "seed")
    # A dimension may be empty (one network, nothing to compare it with): no row, inconclusive.
    level = stats.simultaneous(LEVEL, max(1, flat.sizes["point"]))
    make = stats.sequence if anytime else stats.interval
    rows = tuple(
        _judge_row(claim, np.asarray(flat[i], dtype=float), _where(values, others, i), level, make)
        for i in range(flat.sizes["point"])
    )
    absent = sum(v is None for row in rows for v in row.values)
    notes = [f"{absent} of {values.size} values missing"] if absent else []
    if any(_too_few(row, level) for row in rows):
        notes.append(f"too few seeds for an interval of the {claim.centre} at {100 * level:.4g} %")
    return Verdict(
        claim=claim.name,
        sentence=claim.sentence,
        region=str(claim.region),
        region_low=None if math.isinf(claim.region.low) else claim.region.low,
        region_high=None if math.isinf(claim.region.high) else claim.region.high,
        statistic=" ".join((claim.statistic.__doc__ or "").split()),
        centre=claim.centre,
        status=overall([row.status for row in rows]),
        rows=rows,
        note="; ".join(notes),
        anytime=anytime,
    )


def overall(statuses: Sequence[Status]) -> Status:
    """Combine: refuted if any is refuted, supported only if all are.

    >>> overall(["supported", "inconclusive"])
    'inconclusive'
    """
    if "refuted" in statuses:
        return "refuted"
    if statuses and all(status == "supported" for status in statuses):
        return "supported"
    return "inconclusive"


def _judge_row(
    claim: Claim,
    values: np.ndarray,
    where: Mapping[str, Any],
    level: float,
    make: Callable[[np.ndarray, stats.Centre, float], stats.Interval | None],
) -> Row:
    finite = values[np.isfinite(values)]
    shown = tuple(float(v) if np.isfinite(v) else None for v in values)
    if len(finite) < 2:
        return Row(where, shown, None, "inconclusive")
    interval = make(finite, claim.centre, level)
    if interval is None:
        return Row(where, shown, None, "inconclusive")
    status = claim.region.judge(interval)
    absent = 1 - len(finite) / len(values)
    if absent > claim.missing or _below(interval, level):
        status = "inconclusive"
    return Row(where, shown, interval, status)


def _too_few(row: Row, level: float) -> bool:
    """Whether the row's finite values bear no interval of this level."""
    if row.interval is None:
        return sum(v is not None for v in row.values) >= 2
    return _below(row.interval, level)


def _below(interval: stats.Interval, level: float) -> bool:
    """Whether so few seeds bear no interval of this level (order statistics of a median)."""
    return interval.level < level - 1e-9


def _where(values: xr.DataArray, others: Sequence[Any], index: int) -> dict[str, Any]:
    if not others:
        return {}
    shape = [values.sizes[d] for d in others]
    places = np.unravel_index(index, shape)
    return {
        str(d): values[d].values.tolist()[i] if d in values.coords else int(i)
        for d, i in zip(others, places, strict=True)
    }
