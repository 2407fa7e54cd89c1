"""What a run's manifest says of its study, its parameters and how to repeat it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import xarray as xr

from chymist import catalogue
from chymist.params import Params, describe_range
from chymist.study import Experiment, Study


def describe(study: Study, experiments: Sequence[Experiment]) -> dict[str, Any]:
    """Return what a reader without the study's source needs to understand the run."""
    return {
        "slug": study.slug,
        "title": study.title,
        "question": study.question,
        "family": study.family,
        "theory": study.theory,
        "limits": study.limits,
        "story": catalogue.story(study),
        "references": [vars(r) for r in study.references],
        "experiments": [
            {
                "name": e.name,
                "says": e.says,
                "claims": [
                    {
                        "name": c.name,
                        "sentence": c.sentence,
                        "digest": c.digest(),
                        "published": [asdict(p) for p in c.published],
                    }
                    for c in e.claims
                ],
                "control": {
                    "says": e.control.says,
                    "change": dict(e.control.change),
                    "flips": list(e.control.flips),
                },
                "figures": [{"name": f.name, "caption": f.caption} for f in e.figures],
            }
            for e in experiments
        ],
    }


def parameter_help(params: type[Params]) -> dict[str, Any]:
    """Return each parameter's meaning, range and default."""
    defaults = params().model_dump(mode="json")
    return {
        name: {
            "description": info.description or "",
            "range": describe_range(params, name),
            "default": defaults[name],
        }
        for name, info in params.model_fields.items()
    }


def count_diverged(data: xr.Dataset) -> int:
    """Return the number of lanes that diverged."""
    marks = (data[name] for name in data.data_vars if "diverged_at" in str(name))
    return int(sum(mark.notnull().sum() for mark in marks))


def command_line(
    name: str,
    preset: str,
    parameters: Mapping[str, Any],
    sweep: Mapping[str, Sequence[Any]],
    data: str | Path | None,
    until_decided: Mapping[str, Any] | None,
    refine: Mapping[str, Any] | None,
) -> str:
    """Return the command line that repeats a run."""

    def text(value: Any) -> str:
        if isinstance(value, tuple | list):
            return ",".join(map(str, value))
        return str(value)

    words = ["chymist", "run", name]
    words += ["--preset", preset] if preset != "quick" else []
    for flag, value in parameters.items():
        words += [f"--{flag.replace('_', '-')}", text(value)]
    for flag, values in sweep.items():
        words += ["--sweep", f"{flag}={text(tuple(values))}"]
    words += ["--data", Path(data).resolve().name] if data is not None else []
    if until_decided:
        words += ["--until-decided", "--max-seeds", str(until_decided["max_seeds"])]
    if refine:
        names = ",".join(name.replace("_", "-") for name in refine["parameters"])
        words += ["--refine", names, "--on", refine["claim"], "--points", str(refine["points"])]
    return shlex.join(words)
