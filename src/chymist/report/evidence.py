"""Evidence: what the presets of a study found, kept beside the source, one JSON file a study.

::

    docs/evidence/<slug>.json                    a record a preset
    docs/evidence/<slug>/<preset>/<figure>.svg   its figures
    docs/evidence/<slug>/<preset>/<figure>.json  their Vega-Lite specifications

A record holds the digests of the claims that were judged and the parameters they were judged at, so
that evidence of claims that have changed since is known to be stale. Nothing in it names a machine,
a folder or a person.
"""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from chymist.errors import DamagedRun, UsageError
from chymist.files import as_json, make_folder, refusals, write_json, write_text
from chymist.lab import Run
from chymist.report.drawing import standalone
from chymist.study import Study

FORMAT = 1
FIGURE_BYTES = 300_000
FOLDER = Path("docs/evidence")


def gather(run: Run, study: Study) -> dict[str, Any]:
    """Return what a sealed run of one of the study's presets found, as plain JSON values.

    Raises:
        UsageError: the run is not of this study as it is, or not of a preset as it is.
        UnfinishedRun: the run is not sealed.
    """
    manifest = run.require_sealed().manifest
    preset = str(manifest["preset"])
    again = f"chymist evidence {study.slug} --preset {preset} makes a run"
    if manifest["study"]["slug"] != study.slug:
        raise UsageError(f"run {run.id} is of {manifest['study']['slug']}", again)
    altered = [*manifest.get("changed", ()), *manifest["sweep"]]
    for what in ("input", "until_decided", "refine"):
        altered += [what] if manifest.get(what) else []
    if altered:
        raise UsageError(f"run {run.id} is not of a preset: {', '.join(altered)} given", again)
    record = {
        "command": _without_folder(manifest["command"]),
        "parameters": manifest["parameters"],
        "made": manifest["finished"][:10],
        "seconds": manifest["seconds"],
        "threads": manifest["threads"],
        "machine": manifest["machine"],
        "versions": manifest["versions"],
        "diverged": manifest["diverged"],
        "claims": {
            claim["name"]: claim["digest"]
            for experiment in manifest["study"]["experiments"]
            for claim in experiment["claims"]
        },
        **run.outcome,
    }
    wrong = stale(study, preset, record)
    if wrong:
        raise UsageError(f"run {run.id} is no evidence any more: {'; '.join(wrong)}", again)
    return dict(json.loads(as_json(record)))


def keep(run: Run, study: Study, folder: Path = FOLDER) -> Path:
    """Write a run's evidence in place of what there was of its preset; return the JSON file.

    Raises:
        UsageError, UnfinishedRun: see `gather`.
        DamagedRun: a figure cannot be drawn in `FIGURE_BYTES`.
        CannotWrite: the file system refuses.
    """
    record = gather(run, study)
    preset = str(run.manifest["preset"])
    drawn = {}
    for name, spec in run.specs.items():
        try:
            drawn[name] = standalone(spec, FIGURE_BYTES)
        except ValueError as error:
            raise DamagedRun(f"run {run.id}: figure {name} cannot be drawn: {error}") from error
    path = folder / f"{study.slug}.json"
    presets = {**(read(path)["presets"] if path.is_file() else {}), preset: record}
    pictures = folder / study.slug / preset
    make_folder(pictures.parent)
    with refusals(pictures):
        shutil.rmtree(pictures, ignore_errors=True)
        pictures.mkdir()
    record["figures"] = {name: write_text(pictures / f"{name}.svg", drawn[name]) for name in drawn}
    # Evidence of before figures could be read in a browser has none.
    record["specs"] = {
        name: write_text(pictures / f"{name}.json", json.dumps(spec, separators=(",", ":")) + "\n")
        for name, spec in run.specs.items()
    }
    ordered = {name: presets[name] for name in study.presets if name in presets}
    write_json(path, {"format": FORMAT, "study": study.slug, "presets": ordered})
    return path


def read(path: Path) -> dict[str, Any]:
    """Return a study's evidence.

    Raises:
        UsageError: the file is missing or no evidence that this version reads.
    """
    hint = "chymist evidence STUDY writes it anew; remove what is there first"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        known = found["format"] == FORMAT and isinstance(found["presets"], dict)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} cannot be read as evidence: {error!r:.200}", hint) from error
    if not known:
        raise UsageError(f"{path} has a format other than {FORMAT}", hint)
    return dict(found)


def _without_folder(command: str) -> str:
    """Return `chymist run FILE ...` with the name of the file alone."""
    words = shlex.split(command)
    return shlex.join([*words[:2], Path(words[2]).name, *words[3:]])


def stale(study: Study, preset: str, record: Mapping[str, Any]) -> list[str]:
    """Say what of the study has changed since the record was made; empty if it is still evidence.

    Compared are the names of the experiments, from which random numbers come, the claims (their
    statistic's source, region, centre and tolerance) and the preset's parameters, not what the
    statistic is made of.
    """
    wrong = _renamed("experiment", [e.name for e in study.experiments], record["experiments"])
    now = {c.name: c.digest() for e in study.experiments for c in e.claims}
    then = record["claims"]
    wrong += _renamed("claim", now, then)
    wrong += [f"claim {n} has changed" for n in now if n in then and now[n] != then[n]]
    if preset not in study.presets:
        return [*wrong, f"preset {preset} is gone"]
    parameters = study.params.parse(dict(study.presets[preset])).model_dump(mode="json")
    for name in dict.fromkeys([*parameters, *record["parameters"]]):
        if parameters.get(name) != record["parameters"].get(name):
            wrong.append(f"parameter {name} has changed")
    return wrong


def _renamed(what: str, now: Iterable[str], then: Iterable[str]) -> list[str]:
    """Say which names there were not, and which there are no more."""
    now, then = list(now), list(then)
    wrong = [f"{what} {name} is new" for name in now if name not in then]
    return wrong + [f"{what} {name} is gone" for name in then if name not in now]
