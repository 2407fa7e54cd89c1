"""The plan of a run: which chunks there are to compute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from chymist.errors import BadParameter, did_you_mean
from chymist.lab.run import ARMS
from chymist.params import Params
from chymist.study import Experiment, Study


@dataclass(frozen=True)
class Chunk:
    """The part of a run that one worker computes: an experiment, an arm, one cell of parameters."""

    experiment: str
    arm: str
    cell: Params
    place: Mapping[str, Any]


def sweep_points(
    params: type[Params], base: dict[str, Any], sweep: Mapping[str, Sequence[Any]]
) -> list[dict[str, Any]]:
    """Turn a sweep into points; a swept lane or axis is simply given these values in `base`.

    Raises:
        BadParameter: an unknown parameter, or values that repeat.
    """
    for name, values in list(sweep.items()):
        field = name.replace("-", "_")
        if field not in params.model_fields:
            raise BadParameter(
                f"unknown parameter {name} in sweep", did_you_mean(field, params.model_fields)
            )
        if params.role_of(field) != "constant":
            base[field] = tuple(values)
            sweep = {n: v for n, v in sweep.items() if n != name}
        elif field == "seeds":
            raise BadParameter("seeds cannot be swept", "use --seeds N")
        elif len(set(map(str, values))) < len(values) or not values:
            raise BadParameter(f"sweep of {name} needs distinct values", f"got {list(values)}")
    names = [name.replace("-", "_") for name in sweep]
    return [dict(zip(names, point, strict=True)) for point in product(*sweep.values())]


def plan(
    study: Study,
    experiments: Sequence[Experiment],
    base: dict[str, Any],
    points: Sequence[dict[str, Any]],
) -> Iterator[Chunk]:
    """Yield the chunks: each experiment, treatment then control, at each cell and sweep point.

    Raises:
        BadParameter: a point of the sweep, or the control there, is out of range.
    """
    axes = [n for n in study.params.model_fields if study.params.role_of(n) == "axis"]
    for experiment in experiments:
        for arm in ARMS:
            change = dict(experiment.control.change) if arm == "control" else {}
            seen = set()
            for point in points:
                whole = study.params.parse({**base, **point, **change})
                for cell in whole.cells():
                    swept = {n: getattr(whole, n) for n in point if n not in change}
                    place = {**swept, **{n: getattr(cell, n) for n in axes}}
                    if str(place) not in seen:
                        seen.add(str(place))
                        yield Chunk(experiment.name, arm, cell, place)
