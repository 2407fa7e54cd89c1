"""Planning a run: which chunks there are, and all that is known before the first is computed."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate, pairwise, product
from pathlib import Path
from typing import Any

import xarray as xr

from chymist import catalogue, provenance
from chymist.errors import (
    BadParameter,
    BadStudy,
    CannotResume,
    UnknownStudy,
    did_you_mean,
)
from chymist.files import sha256
from chymist.lab import growing, manifest, refining
from chymist.lab.chunk import ARMS, Chunk
from chymist.native import build
from chymist.params import Params
from chymist.study import Experiment, Study

CHUNK = 60.0
"""Seconds that a chunk should take at most: what a crash can cost."""


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


def chunks(
    study: Study,
    experiments: Sequence[Experiment],
    base: dict[str, Any],
    points: Sequence[dict[str, Any]],
    preset: str,
) -> list[Chunk]:
    """Return the chunks: each experiment, treatment then control, at each cell and sweep point.

    Where the study's stated cost says that a chunk would take longer than `CHUNK`, its seeds are
    shared out among several. An exact experiment has no seeds: one chunk for each cell.

    Raises:
        BadParameter: a point of the sweep, or the control there, is out of range.
    """
    planned = list(_cells(study, experiments, base, points))
    usual = study.presets[preset]
    cells = sum(1 for _ in _cells(study, study.experiments, dict(usual), [{}]))
    seeds, usually = (study.params.parse(dict(p)).seeds for p in (base, usual))
    each = study.cost.get(preset, 0.0) / cells * seeds / usually
    exact = {e.name for e in experiments if e.exact}
    parts = [
        (*cell, part)
        for cell in planned
        for part in ([(0, 1)] if cell[0] in exact else _slices(seeds, each))
    ]
    return [Chunk(index, *whole) for index, whole in enumerate(parts)]


def _slices(seeds: int, seconds: float) -> list[tuple[int, int]]:
    """Share out seeds, at least two to a slice, among so many that each takes at most `CHUNK`.

    >>> _slices(8, 50.0), _slices(8, 170.0)
    ([(0, 8)], [(0, 3), (3, 6), (6, 8)])
    """
    count = max(1, min(math.ceil(seconds / CHUNK), seeds // 2))
    least, more = divmod(seeds, count)
    ends = [0, *accumulate(least + (i < more) for i in range(count))]
    return list(pairwise(ends))


def _cells(
    study: Study,
    experiments: Sequence[Experiment],
    base: dict[str, Any],
    points: Sequence[dict[str, Any]],
) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """Yield experiment, arm, parameters and place of each cell."""
    axes = [n for n in study.params.model_fields if study.params.role_of(n) == "axis"]
    for experiment in experiments:
        own = [n for n in axes if n not in experiment.ignores]
        for arm in ARMS:
            change = dict(experiment.control.change) if arm == "control" else {}
            seen = set()
            for point in points:
                whole = study.params.parse({**base, **point, **change}).model_dump(mode="json")
                swept = {n: whole[n] for n in point if n not in {*change, *experiment.ignores}}
                first = {n: whole[n][:1] for n in axes}
                for values in product(*(whole[n] for n in own)):
                    cell = dict(zip(own, values, strict=True))
                    place = {**swept, **cell}
                    if str(place) not in seen:
                        seen.add(str(place))
                        yield (
                            experiment.name,
                            arm,
                            {**whole, **first, **{n: [v] for n, v in cell.items()}},
                            place,
                        )


def describe(
    study: Study,
    *,
    preset: str,
    data: str | Path | None,
    given: xr.Dataset | None,
    sweep: Mapping[str, Sequence[Any]],
    threads: int,
    device: str,
    name: str,
    parameters: Mapping[str, Any],
    until_decided: bool,
    max_seeds: int | None,
    refine: Sequence[str],
    on: str,
    points: int | None,
) -> dict[str, Any]:
    """Return the plan of a run, still without its id, input, way to the study, and digest.

    Raises:
        BadParameter: a parameter, preset or sweep is not possible.
        BadStudy: no experiment reads what the user's file holds.
    """
    if preset not in study.presets:
        raise BadParameter(f"unknown preset {preset}", did_you_mean(preset, study.presets))
    base = {**study.presets[preset], **{n.replace("-", "_"): v for n, v in parameters.items()}}
    cells = sweep_points(study.params, base, sweep)
    experiments = experiments_of(study, given)
    whole = study.params.parse(base)
    growth = None
    if until_decided:
        if all(experiment.exact for experiment in experiments):
            raise BadParameter(
                f"{study.slug} has no seeds to add: its claims are exact", "leave until-decided out"
            )
        growth = growing.describe(whole.seeds, max_seeds)
    elif max_seeds is not None:
        raise BadParameter("max-seeds needs until-decided", "give --until-decided as well")
    described = manifest.describe(study, experiments)
    refinement = None
    if refine:
        if until_decided:
            raise BadParameter("until-decided and refine do not go together", "give one of them")
        refinement = refining.describe(
            study, experiments, whole.model_dump(mode="json"), sweep, refine, on, points
        )
        refining.announce(refinement, described)
    elif on or points is not None:
        raise BadParameter(f"{'on' if on else 'points'} needs refine", "give --refine as well")
    return {
        "preset": preset,
        "parameters": whole.model_dump(mode="json"),
        "changed": sorted(n.replace("-", "_") for n in parameters),
        "sweep": {name: list(values) for name, values in sweep.items()},
        "until_decided": growth,
        "refine": refinement,
        "input": None,
        "command": manifest.command_line(
            name or study.slug, preset, parameters, sweep, data, growth, refinement
        ),
        "threads": threads,
        "device": device,
        "study": described,
        "parameter_help": manifest.parameter_help(study.params),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": provenance.machine(),
        "versions": computed_with(),
        "code": provenance.code(),
        "source": provenance.source(study.experiments[0].run),
        "chunks": [c.to_json() for c in chunks(study, experiments, base, cells, preset)],
    }


def computed_with() -> dict[str, str]:
    """Return the versions of what computes a run's numbers, the compiled kernel's included."""
    return {**provenance.versions(), "kernel": build.identity()}


def experiments_of(study: Study, given: xr.Dataset | None) -> tuple[Experiment, ...]:
    """Return the experiments that run: with a user's file, those that read what it holds.

    Raises:
        BadStudy: nobody reads it.
    """
    if given is None:
        return study.experiments
    readers = tuple(e for e in study.experiments if e.reads in given)
    if not readers:
        raise BadStudy(
            f"{study.slug}: no experiment reads what the file holds: {', '.join(map(str, given))}",
            "let the reader name what an experiment reads",
        )
    return readers


def address(study: Study, name: str, folder: Path) -> str:
    """Return how a run finds its study again: a slug, or the way from its folder to a file.

    Empty for a study that was made by a program: such a run can be neither resumed nor replayed.
    """
    if name.endswith(".py"):
        return os.path.relpath(Path(name).resolve(), folder.resolve())
    try:
        return study.slug if catalogue.find(study.slug) is study else ""
    except UnknownStudy:
        return ""


def study_of(plan: Mapping[str, Any], folder: Path) -> Study:
    """Find the study of a planned run. A user's file is run, unless it lies inside the lab.

    Raises:
        CannotResume: there is no such study here.
    """
    slug, way = plan["study"]["slug"], str(plan["address"])
    again = f"start again: {plan['command']}"
    if not way:
        raise CannotResume(f"run {folder.name}: its study {slug} was made by a program", again)
    if not way.endswith(".py"):
        return catalogue.find(way)
    path = file_of(plan, folder)
    if not path.is_file():
        raise CannotResume(f"run {folder.name}: its study {path} is gone", "put it back")
    # A run may come from anybody: code that came with it must not be run.
    if folder.resolve().parent.parent in path.parents:
        raise CannotResume(f"run {folder.name}: its study {path} lies in the lab", again)
    return catalogue.load_file(path)


def planned_study(plan: Mapping[str, Any], folder: Path) -> Study:
    """Find the study of a planned run, if it and all that computes it is still as planned.

    Raises:
        CannotResume: there is no such study here, or something has changed.
    """
    again = f"put back what changed, or start again: {plan['command']}"
    if plan["address"].endswith(".py"):
        # Looked at before it is run: an altered file is not the study.
        path = file_of(plan, folder)
        if path.is_file() and sha256(path) != plan["source"]["sha256"]:
            raise CannotResume(f"run {folder.name}: {path.name} has changed since then", again)
    study = study_of(plan, folder)
    changed = changes(plan, study)
    if changed:
        said = ", ".join(f"{name} (was {was}, is {now})" for name, (was, now) in changed.items())
        raise CannotResume(f"run {folder.name}: changed since then: {said}", again)
    return study


def file_of(plan: Mapping[str, Any], folder: Path) -> Path:
    """Return where the user's file is that a run was planned from."""
    return (folder.resolve() / str(plan["address"])).resolve()


def changes(plan: Mapping[str, Any], study: Study) -> dict[str, tuple[str, str]]:
    """Return what decides a run's numbers and is no longer as planned: what it was, what it is."""
    was = _deciding(
        plan["source"],
        {c["name"]: c["digest"] for e in plan["study"]["experiments"] for c in e["claims"]},
        plan["code"],
        plan["versions"],
    )
    now = _deciding(
        provenance.source(study.experiments[0].run),
        {c.name: c.digest() for e in study.experiments for c in e.claims},
        provenance.code(),
        computed_with(),
    )
    names = dict.fromkeys([*was, *now])
    planned = {e["name"] for e in plan["study"]["experiments"]}
    idle = {f"claim {c.name}" for e in study.experiments if e.name not in planned for c in e.claims}
    return {
        name: (was.get(name, "absent"), now.get(name, "absent"))
        for name in names
        if was.get(name) != now.get(name) and name not in idle
    }


def _deciding(
    source: Mapping[str, Any], claims: Mapping[str, str], code: str, versions: Mapping[str, str]
) -> dict[str, str]:
    return {
        f"source of {source['module']}": source["sha256"][:12],
        **{f"source of {name}": sha[:12] for name, sha in source["beside"].items()},
        **{f"claim {name}": sha[:12] for name, sha in claims.items()},
        **{f"version of {name}": version for name, version in versions.items()},
        "source of chymist": code[:12],
    }
