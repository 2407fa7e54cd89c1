"""Maps: further points of a grid where a claim's statistic crosses the edge of its region.

The values of one or two parameters span a grid of boxes. A box whose corners differ (below, inside
or above the region, or missing) is split in the middle of each side, then its parts are looked at;
level by level, until the points that were granted are spent. No claim is judged on such points:
the data chose them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, pairwise, product
from typing import Any

import altair as alt
import numpy as np
import xarray as xr

from chymist import figures
from chymist.claims import Claim
from chymist.errors import BadParameter, did_you_mean
from chymist.lab.chunk import MAP, Chunk
from chymist.lab.growing import Round
from chymist.lab.layout import MAPS
from chymist.study import Experiment, Study

POINTS = 64
Point = tuple[Any, ...]
Box = tuple[tuple[Any, Any], ...]


@dataclass(frozen=True)
class Refinement:
    """Which parameters are refined, on which claim, and how many points more may be computed."""

    parameters: tuple[str, ...]
    experiment: str
    claim: str
    points: int

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Refinement:
        """Read what `describe` returned."""
        return cls(**{**record, "parameters": tuple(record["parameters"])})

    @classmethod
    def planned(cls, plan: Mapping[str, Any]) -> Refinement | None:
        """Return the refinement that a plan asks for, if any."""
        return cls.of(plan["refine"]) if plan.get("refine") else None

    @property
    def file(self) -> str:
        """Path of the map inside the run's folder."""
        return f"{MAPS}/{self.claim}.nc"

    @property
    def figure(self) -> str:
        """Name of the figure that shows the map."""
        return f"map-{self.claim}"

    @property
    def caption(self) -> str:
        """Words for the figure."""
        return (
            f"The statistic of {self.claim} over {' and '.join(self.parameters)}: a grid, refined "
            f"where it crosses an edge of the claim's region."
        )


def describe(
    study: Study,
    experiments: Sequence[Experiment],
    whole: Mapping[str, Any],
    swept: Mapping[str, Sequence[Any]],
    refine: Sequence[str],
    on: str,
    points: int | None,
) -> dict[str, Any]:
    """Return what a plan says of a refinement. `whole` holds all parameters, lanes as they are.

    Raises:
        BadParameter: a parameter or claim that cannot be refined, or no number of points.
    """
    names = tuple(name.replace("-", "_") for name in refine)
    if not 1 <= len(set(names)) == len(names) <= 2:
        raise BadParameter(
            f"refine cannot be {', '.join(names) or 'empty'}", "give one parameter, or two"
        )
    for name in names:
        if name not in study.params.model_fields:
            raise BadParameter(
                f"unknown parameter {name} to refine", did_you_mean(name, study.params.model_fields)
            )
        values = swept.get(name) or whole[name]
        several = isinstance(values, list | tuple) and len(values) > 1
        if not several or not all(type(v) in (int, float) for v in values):
            raise BadParameter(
                f"parameter {name} cannot be refined: it needs two numbers or more",
                f"give --{name.replace('_', '-')} several, or --sweep {name}=...",
            )
    claims = {c.name: e.name for e in experiments for c in e.claims}
    if on not in claims:
        raise BadParameter(
            f"unknown claim {on} to refine on" if on else "refine needs a claim",
            did_you_mean(on, claims) if on else f"give --on with one of {', '.join(claims)}",
        )
    if study.claim(on).kind == "exact":
        raise BadParameter(
            f"claim {on} is exact: it cannot be refined", "sweep the parameter with --sweep"
        )
    granted = POINTS if points is None else points
    if not 1 <= granted <= 10_000:
        raise BadParameter(f"points cannot be {granted}", "allowed: integer from 1 to 10000")
    return {
        "parameters": list(names),
        "experiment": claims[on],
        "claim": on,
        "points": granted,
    }


def announce(record: Mapping[str, Any], described: Mapping[str, Any]) -> None:
    """Add the figure of the map to what a plan says of its study."""
    asked = Refinement.of(record)
    for experiment in described["experiments"]:
        if experiment["name"] == asked.experiment:
            experiment["figures"].append({"name": asked.figure, "caption": asked.caption})


def check(asked: Refinement, claim: Claim, data: xr.Dataset) -> None:
    """Check on the first data that the claim has a statistic at each value by itself.

    Raises:
        BadParameter: it keeps no such dimension, or compares the values with each other.
    """
    values = claim.statistic(data)
    for name in asked.parameters:
        if name not in values.dims:
            raise BadParameter(
                f"claim {claim.name} cannot be refined over {name}: its statistic has no value "
                f"at each {name}",
                f"it keeps {', '.join(map(str, values.dims))}",
            )
        one = {name: slice(0, 1)}
        alone, among = claim.statistic(data.isel(one)), values.isel(one)
        if not np.allclose(alone, among, rtol=1e-6, equal_nan=True):
            raise BadParameter(
                f"claim {claim.name} cannot be refined over {name}: its statistic compares "
                f"different {name}",
                "refine on another claim",
            )


def groups(asked: Refinement, chunks: Sequence[Chunk]) -> list[list[Chunk]]:
    """Return the chunks of the map: those of the grid, then those of each refinement's values.

    What a group measured is joined before the statistic is taken, as it is for a verdict.
    """
    found: dict[str, list[Chunk]] = {}
    for chunk in chunks:
        if chunk.experiment == asked.experiment and chunk.arm in ("treatment", MAP):
            refined = chunk.arm == MAP and [chunk.parameters[n] for n in asked.parameters]
            found.setdefault(str(refined), []).append(chunk)
    return list(found.values())


def at_points(
    asked: Refinement, claim: Claim, parts: Sequence[xr.Dataset]
) -> dict[Point, xr.DataArray]:
    """Return the statistic at each point, from what the groups measured."""
    found = {}
    for data in parts:
        values = claim.statistic(data)
        for places in product(*(range(values.sizes[n]) for n in asked.parameters)):
            one = values.isel(dict(zip(asked.parameters, places, strict=True)))
            point = tuple(one[n].item() for n in asked.parameters)
            found[point] = one.drop_vars(asked.parameters)
    return found


def next_round(
    study: Study, asked: Refinement, chunks: Sequence[Chunk], points: Mapping[Point, xr.DataArray]
) -> Round | None:
    """Return the points that are to be computed next; None if all are that may be."""
    states = {point: _state(study.claim(asked.claim), values) for point, values in points.items()}
    grid = [sorted(set(values)) for values in zip(*_first(asked, chunks), strict=True)]
    logarithmic = [_evenly_by_ratio(values) for values in grid]
    known: set[Point] = set(product(*grid))
    boxes: list[Box] = list(product(*(pairwise(values) for values in grid)))
    left = asked.points
    while boxes:
        level: list[Point] = []
        parts: list[Box] = []
        for box in boxes:
            if len({states[corner] for corner in product(*box)}) == 1:
                continue
            sides = [_halved(side, log) for side, log in zip(box, logarithmic, strict=True)]
            new = [p for p in product(*sides) if p not in known and p not in level]
            if len(level) + len(new) <= left and any(len(side) > 2 for side in sides):
                level += new
                parts += product(*(pairwise(side) for side in sides))
        missing = [point for point in level if point not in states]
        if missing:
            said = f"{asked.claim} crosses an edge of its region: {_count(missing)} more"
            return Round(tuple(_planned(study, asked, chunks, missing)), said)
        known.update(level)
        left -= len(level)
        boxes = parts
    return None


def dataset(asked: Refinement, claim: Claim, points: Mapping[Point, xr.DataArray]) -> xr.Dataset:
    """Return the map: the statistic along `point` and whatever dimensions it keeps.

    The parameters are coordinates of `point`, in ascending order.
    """
    order = sorted(points)
    values = xr.concat(
        [points[point] for point in order],
        "point",
        join="outer",
        coords="minimal",
        compat="override",
    )
    says = " ".join((claim.statistic.__doc__ or claim.name).split())
    values.attrs = {"long_name": says, "units": values.attrs.get("units", "1")}
    columns = zip(asked.parameters, zip(*order, strict=True), strict=True)
    coordinates: dict[str, Any] = {name: ("point", list(column)) for name, column in columns}
    coordinates["point"] = range(len(order))
    return values.assign_coords(coordinates).to_dataset(name="statistic")


def edges(
    asked: Refinement, claim: Claim, points: Mapping[Point, xr.DataArray]
) -> list[tuple[float, float]]:
    """Return neighbouring values between which the statistic crosses an edge; of one parameter."""
    if len(asked.parameters) > 1:
        return []
    order = sorted(points)
    states = [_state(claim, points[point]) for point in order]
    crossed = zip(pairwise(order), pairwise(states), strict=True)
    return [(a[0], b[0]) for (a, b), (one, other) in crossed if one != other]


def draw(asked: Refinement, claim: Claim, map_: xr.Dataset) -> alt.TopLevelMixin:
    """Draw a map: the statistic against one parameter, or as colour over two."""
    values = map_["statistic"].median("seed")
    axes = [map_[name].values for name in asked.parameters]
    scales: list[figures.Scale] = [
        "log" if _evenly_by_ratio(sorted(set(values.tolist()))) else "linear" for values in axes
    ]
    titles = [name.replace("_", " ") for name in asked.parameters]
    if len(asked.parameters) == 1:
        return figures.scatter(
            values, *asked.parameters, title=claim.name, x_title=titles[0], x_scale=scales[0],
            edges=_finite(claim),
        )  # fmt: skip
    inside = (values > claim.region.low) & (values < claim.region.high)
    x, y = asked.parameters
    return figures.phases(
        values, inside, x, y, title=claim.name, titles=(titles[0], titles[1]),
        scales=(scales[0], scales[1]),
    )  # fmt: skip


def _finite(claim: Claim) -> list[float]:
    return [e for e in (claim.region.low, claim.region.high) if math.isfinite(e)]


def _first(asked: Refinement, chunks: Sequence[Chunk]) -> list[Point]:
    """Return the points of the grid that the run began with."""
    found: list[Point] = []
    for chunk in chunks:
        if (chunk.experiment, chunk.arm) == (asked.experiment, "treatment"):
            values = (chunk.parameters[n] for n in asked.parameters)
            found += product(*(v if isinstance(v, list | tuple) else [v] for v in values))
    return found


def _planned(
    study: Study, asked: Refinement, chunks: Sequence[Chunk], missing: Sequence[Point]
) -> Iterator[Chunk]:
    """Yield chunks for points: those that differ in the first lane alone share one."""
    lanes = [n for n in asked.parameters if study.params.role_of(n) == "lane"]
    shared = asked.parameters.index(lanes[0]) if lanes else None
    together: dict[Point, list[Point]] = {}
    for point in missing:
        apart = tuple(v for i, v in enumerate(point) if i != shared) if lanes else point
        together.setdefault(apart, []).append(point)
    numbers = count(len(chunks))
    for several in together.values():
        seen = set()
        for cell in chunks:
            others = {n: v for n, v in cell.place.items() if n not in asked.parameters}
            key = (str(others), cell.seeds)
            if (cell.experiment, cell.arm) != (asked.experiment, "treatment") or key in seen:
                continue
            seen.add(key)
            parameters, place = dict(cell.parameters), dict(cell.place)
            for name, values in zip(asked.parameters, zip(*several, strict=True), strict=True):
                constant = study.params.role_of(name) == "constant"
                parameters[name] = values[0] if constant else list(dict.fromkeys(values))
                if name in place:
                    place[name] = values[0]
            yield replace(cell, index=next(numbers), arm=MAP, parameters=parameters, place=place)


def _count(points: Sequence[Point]) -> str:
    return "1 point" if len(points) == 1 else f"{len(points)} points"


def _state(claim: Claim, values: xr.DataArray) -> tuple[int, ...]:
    """Say for each entry whether it is missing, below, inside or above the claim's region."""
    centre = values.median("seed") if claim.centre == "median" else values.mean("seed")
    low, high = claim.region.low, claim.region.high
    return tuple(
        0 if not math.isfinite(v) else 1 if v <= low else 3 if v >= high else 2
        for v in np.ravel(centre.values).tolist()
    )


def _evenly_by_ratio(values: Sequence[float]) -> bool:
    """Whether values are spaced evenly by ratio rather than by difference."""
    if values[0] <= 0:
        return False
    by_ratio, by_difference = np.diff(np.log(values)), np.diff(values)
    spread = [np.std(steps) / np.mean(steps) for steps in (by_ratio, by_difference)]
    return bool(spread[0] <= spread[1])


def _halved(side: tuple[Any, Any], logarithmic: bool) -> tuple[Any, ...]:
    """Return the ends of a side with its middle, unless there is no number between.

    >>> _halved((8, 32), True), _halved((1.0, 2.0), False), _halved((3, 4), False)
    ((8, 16, 32), (1.0, 1.5, 2.0), (3, 4))
    """
    a, b = side
    middle = math.sqrt(a * b) if logarithmic else (a + b) / 2
    middle = round(middle) if isinstance(a, int) and isinstance(b, int) else float(f"{middle:.4g}")
    return (a, middle, b) if a < middle < b else side
