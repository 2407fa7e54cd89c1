"""Claims, the regions their statistics must lie in, and the verdicts over seeds.

A verdict is `supported` when the confidence interval of the statistic lies inside the region,
`refuted` when it is disjoint from the region, and `inconclusive` otherwise, or when a seed has no
finite statistic (it diverged, or never got where the statistic looks), or when the seeds are too
few for an interval of the level.

What has no seeds, exact arithmetic or a proof by construction, is judged by an exact claim: its
statistic is a value without dimension `seed`, its interval has no width, and it is `supported` only
if its certificates hold, which a reader can check without chymist.
"""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import xarray as xr

from chymist import stats
from chymist.errors import BadStudy

Status = Literal["supported", "refuted", "inconclusive"]
Kind = Literal["sampled", "exact"]
LEVEL = 0.95


@dataclass(frozen=True)
class Region:
    """The values (low, high) that a claim allows its statistic; an open end is infinite.

    Where both are the same, that value alone is allowed.
    """

    low: float = -math.inf
    high: float = math.inf

    def __str__(self) -> str:
        if math.isinf(self.high):
            return f"above {self.low:.4g}"
        if math.isinf(self.low):
            return f"below {self.high:.4g}"
        if self.low == self.high:
            return f"exactly {self.low:.17g}"
        return f"between {self.low:.4g} and {self.high:.4g}"

    def judge(self, interval: stats.Interval) -> Status:
        """Compare an interval with this region.

        >>> above(1).judge(stats.Interval(2.0, 1.5, 2.5, 0.95))
        'supported'
        """
        if self.low == self.high:
            if interval.high < self.low or interval.low > self.high:
                return "refuted"
            return "supported" if interval.low == interval.high else "inconclusive"
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


def exactly(value: float) -> Region:
    """Allow this value alone: what only an exact claim can ask for.

    >>> exactly(2).judge(stats.Interval(2.0, 2.0, 2.0, 1.0))
    'supported'
    """
    return Region(float(value), float(value))


@dataclass(frozen=True)
class Certificate:
    """What a reader can check with pencil or program: what it `says`, and the text that shows it.

    `holds` is whether it was checked here, by other means than those that found it.
    """

    says: str
    shows: str
    holds: bool


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

    With `certificates`, a function of the data, the claim is exact: its statistic has no dimension
    `seed`, and the value at every point is judged as it is.

    Raises:
        BadStudy: a region of one value, and no certificates.
    """

    name: str
    sentence: str
    statistic: Callable[[xr.Dataset], xr.DataArray]
    region: Region
    centre: stats.Centre = "mean"
    missing: float = 0.0
    published: tuple[Published, ...] = ()
    certificates: Callable[[xr.Dataset], Sequence[Certificate]] | None = None

    def __post_init__(self) -> None:
        if self.certificates is None and self.region.low == self.region.high:
            raise BadStudy(
                f"claim {self.name}: no interval over seeds lies inside {self.region}",
                "give certificates to make it exact, or a region with some width",
            )

    @property
    def kind(self) -> Kind:
        """Whether the claim is about a sample of seeds, or about exact values."""
        return "sampled" if self.certificates is None else "exact"

    def digest(self) -> str:
        """Digest of what decides the claim: the sources of statistic and certificates, the rest."""
        decides = [repr(self.region), self.centre, repr(self.missing)]
        if self.certificates is not None:
            decides.append(_source(self.certificates))
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
    """What the data say of a claim.

    `anytime`: by intervals valid at any number of seeds. Of kind "exact": by values and
    certificates, with intervals of no width and level 1.
    """

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
    kind: Kind = "sampled"
    certificates: tuple[Certificate, ...] = ()

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
        shown = tuple(Certificate(**c) for c in record.get("certificates", ()))
        return cls(**{**record, "rows": rows, "certificates": shown})


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
        BadStudy: the statistic does not return an array with dimension `seed`; or, of an exact
            claim, returns one with it, or there are no certificates.
    """
    values = claim.statistic(data)
    if claim.certificates is not None:
        return _judge_exactly(claim, values, tuple(claim.certificates(data)))
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
    return _verdict(claim, rows, notes, anytime=anytime)


def _judge_exactly(
    claim: Claim, values: xr.DataArray, certificates: tuple[Certificate, ...]
) -> Verdict:
    if not isinstance(values, xr.DataArray) or "seed" in values.dims:
        got = f"dimensions {values.dims}" if isinstance(values, xr.DataArray) else type(values)
        raise BadStudy(
            f"exact claim {claim.name}: the statistic returned {got}",
            "return an xarray DataArray without dimension seed",
        )
    if not certificates:
        raise BadStudy(
            f"exact claim {claim.name} has no certificate", "return at least one for a reader"
        )
    others = list(values.dims)
    flat = np.asarray(values, dtype=float).ravel()
    rows = tuple(_exact_row(claim, v, _where(values, others, i)) for i, v in enumerate(flat))
    absent = sum(row.values[0] is None for row in rows)
    notes = [f"{absent} of {len(rows)} values not known"] if absent else []
    failed = [c for c in certificates if not c.holds]
    notes += [f"a certificate fails: {c.says}" for c in failed]
    if failed:
        rows = tuple(
            replace(row, status="inconclusive") if row.status == "supported" else row
            for row in rows
        )
    return _verdict(claim, rows, notes, certificates=certificates)


def _exact_row(claim: Claim, value: float, where: Mapping[str, Any]) -> Row:
    if not math.isfinite(value):
        return Row(where, (None,), None, "inconclusive")
    interval = stats.Interval(float(value), float(value), float(value), 1.0)
    return Row(where, (float(value),), interval, claim.region.judge(interval))


def _verdict(claim: Claim, rows: tuple[Row, ...], notes: Sequence[str], **more: Any) -> Verdict:
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
        kind=claim.kind,
        **more,
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
