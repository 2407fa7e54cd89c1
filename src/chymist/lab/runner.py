"""Running a study: plan its chunks, compute each, judge, draw, seal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import xarray as xr

from chymist import provenance
from chymist.bench import Bench
from chymist.claims import judge, overall
from chymist.errors import BadInput, BadParameter, BadStudy, CannotWrite, did_you_mean
from chymist.figures import themed
from chymist.files import sha256, write_text, write_whole
from chymist.lab import manifest
from chymist.lab.lab import Lab
from chymist.lab.plan import Chunk, plan, sweep_points
from chymist.lab.run import INPUT, Run
from chymist.lab.seal import FORMAT, VERDICTS, seal_manifest
from chymist.study import Experiment, Study

Observer = Callable[["Event"], None]


@dataclass(frozen=True)
class Event:
    """Where a run stands: chunk `chunk` of `chunks`, in it step `done` of `steps` of `label`."""

    chunk: int
    chunks: int
    experiment: str
    arm: str
    label: str
    done: int
    steps: int


def ignore(event: Event) -> None:
    """Observe nothing."""


def run(
    study: Study,
    *,
    preset: str = "quick",
    data: str | Path | None = None,
    lab: str | Path | None = None,
    sweep: Mapping[str, Sequence[Any]] | None = None,
    threads: int | None = None,
    device: str = "cpu",
    name: str = "",
    observe: Observer = ignore,
    **parameters: Any,
) -> Run:
    """Run a study and return its sealed run.

    `parameters` override those of the preset; `sweep` repeats the study at each of several values
    of a parameter; `data` is the user's file, for a study that takes one; `name` is what the user
    calls the study (a file), where that is not its slug. Nothing is written before
    parameters and data have been checked, and a run that fails leaves nothing behind.

    Raises:
        BadParameter: a parameter, preset or sweep is not possible.
        BadInput: the data cannot be used, or the study takes none.
        BadStudy: an experiment or a claim breaks the contract.
        CannotWrite: the lab refuses.
    """
    if preset not in study.presets:
        raise BadParameter(f"unknown preset {preset}", did_you_mean(preset, study.presets))
    base = {**study.presets[preset], **{n.replace("-", "_"): v for n, v in parameters.items()}}
    points = sweep_points(study.params, base, sweep or {})
    given, experiments = _read_input(study, data)
    chunks = list(plan(study, experiments, base, points))
    if device != "cpu" and not (device == "cuda" and torch.cuda.is_available()):
        raise BadParameter(f"device {device} is not available here", "use cpu")
    if threads is not None and threads < 1:
        raise BadParameter(f"threads cannot be {threads}", "allowed: integer >= 1")
    before = torch.get_num_threads()
    home = Lab(lab)
    folder = home.create()
    try:
        torch.set_num_threads(threads or before)
        return _run_in(
            folder,
            study,
            experiments,
            chunks,
            given,
            observe,
            {
                "preset": preset,
                "parameters": study.params.parse(base).model_dump(mode="json"),
                "changed": sorted(n.replace("-", "_") for n in parameters),
                "sweep": {name: list(values) for name, values in (sweep or {}).items()},
                "input": {
                    "name": Path(data).name,
                    "sha256": sha256(Path(data)),
                    "says": study.input.says,
                }
                if data is not None and study.input
                else None,
                "command": manifest.command_line(
                    name or study.slug, preset, parameters, sweep or {}, data
                ),
                "threads": threads or before,
                "device": device,
            },
        )
    except BaseException:
        home.discard(folder)
        raise
    finally:
        torch.set_num_threads(before)


def _read_input(
    study: Study, data: str | Path | None
) -> tuple[xr.Dataset | None, tuple[Experiment, ...]]:
    if data is None:
        return None, study.experiments
    readers = tuple(e for e in study.experiments if e.reads_input)
    if study.input is None or not readers:
        raise BadInput(f"{study.slug} takes no data file", "leave --data out")
    return study.input.read(Path(data)), readers


def _run_in(
    folder: Path,
    study: Study,
    experiments: Sequence[Experiment],
    chunks: Sequence[Chunk],
    given: xr.Dataset | None,
    observe: Observer,
    facts: dict[str, Any],
) -> Run:
    started, clock = datetime.now(UTC), time.perf_counter()
    files: dict[str, str] = {}
    log: list[dict[str, Any]] = [{"event": "started", "at": started.isoformat()}]
    if given is not None:
        files[INPUT] = _write_dataset(folder / INPUT, given)
    parts: dict[tuple[str, str], list[tuple[Mapping[str, Any], xr.Dataset]]] = {}
    for number, chunk in enumerate(chunks):
        begun = time.perf_counter()
        data = _compute(study, chunk, given, facts["device"], observe, number, len(chunks))
        parts.setdefault((chunk.experiment, chunk.arm), []).append((chunk.place, data))
        log.append(
            {
                "event": "computed",
                "experiment": chunk.experiment,
                "arm": chunk.arm,
                "at": dict(chunk.place),
                "seconds": round(time.perf_counter() - begun, 3),
            }
        )
    measured = {key: _joined(several) for key, several in parts.items()}
    for (experiment, arm), data in measured.items():
        name = f"chunks/{experiment}.{arm}.nc"
        files[name] = _write_dataset(folder / name, data)
    outcome = _judge_all(experiments, measured)
    files[VERDICTS] = write_text(folder / VERDICTS, _json(outcome))
    for experiment_ in experiments:
        for figure in experiment_.figures:
            chart = figure.draw(
                measured[experiment_.name, "treatment"], measured[experiment_.name, "control"]
            )
            (folder / "figures").mkdir(exist_ok=True)
            name = f"figures/{figure.name}.json"
            files[name] = write_text(folder / name, _json(themed(chart)))
    log.append({"event": "finished", "at": datetime.now(UTC).isoformat()})
    files["log.jsonl"] = write_text(
        folder / "log.jsonl", "".join(json.dumps(line) + "\n" for line in log)
    )
    record = {
        "format": FORMAT,
        "id": folder.name,
        "status": "sealed",
        "verdict": "broken" if outcome["broken"] else outcome["status"],
        **facts,
        "study": manifest.describe(study, experiments),
        "parameter_help": manifest.parameter_help(study.params),
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - clock, 1),
        "machine": provenance.machine(),
        "versions": provenance.versions(),
        "source": provenance.source(study.experiments[0].run),
        "diverged": manifest.count_diverged(measured),
        "files": files,
    }
    seal_manifest(folder, _json(record))
    return Run.open(folder)


def _compute(
    study: Study,
    chunk: Chunk,
    given: xr.Dataset | None,
    device: str,
    observe: Observer,
    number: int,
    chunks: int,
) -> xr.Dataset:
    experiment = study.experiment(chunk.experiment)

    def progress(label: str, done: int, steps: int) -> None:
        observe(Event(number, chunks, chunk.experiment, chunk.arm, label, done, steps))

    progress("starting", 0, 1)
    bench = Bench(
        study=study.slug,
        experiment=experiment.name,
        seeds=tuple(range(chunk.cell.seeds)),
        input=given,
        device=device,
        progress=progress,
    )
    data = experiment.run(chunk.cell, bench)
    if not isinstance(data, xr.Dataset) or "seed" not in data.dims:
        raise BadStudy(
            f"experiment {experiment.name} returned no xarray Dataset with dimension seed",
            "return the measured variables as one Dataset",
        )
    for name, variable in data.data_vars.items():
        if name in study.params.model_fields:
            raise BadStudy(
                f"experiment {experiment.name}: variable {name} is called like a parameter",
                "give the variable another name",
            )
        if not {"long_name", "units"} <= set(variable.attrs):
            raise BadStudy(
                f"experiment {experiment.name}: variable {name} lacks long_name or units",
                'set variable.attrs = {"long_name": ..., "units": ...}',
            )
    if experiment.prediction is not None:
        theory = experiment.prediction(chunk.cell, data)
        for name in theory.data_vars:
            if name not in data.data_vars:
                raise BadStudy(
                    f"experiment {experiment.name} predicts {name}, which it does not measure",
                    did_you_mean(str(name), map(str, data.data_vars)),
                )
            theory[name].attrs = {**data[name].attrs, **theory[name].attrs}
        data = data.merge(
            theory.rename({n: f"predicted_{n}" for n in theory.data_vars}), join="exact"
        )
    progress("done", 1, 1)
    return data


def _joined(parts: list[tuple[Mapping[str, Any], xr.Dataset]]) -> xr.Dataset:
    """Join the cells of an experiment along the dimensions that tell them apart."""
    placed = [data.expand_dims({n: [v] for n, v in place.items()}) for place, data in parts]
    if len(placed) == 1:
        return placed[0]
    return xr.combine_by_coords(placed, join="outer", combine_attrs="override")  # type: ignore[return-value]


def _judge_all(
    experiments: Sequence[Experiment], measured: Mapping[tuple[str, str], xr.Dataset]
) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for experiment in experiments:
        claims = {c.name: c for c in experiment.claims}
        verdicts = [judge(c, measured[experiment.name, "treatment"]) for c in claims.values()]
        controls = []
        for name in experiment.control.flips:
            verdict = judge(claims[name], measured[experiment.name, "control"])
            controls.append(
                {
                    "claim": name,
                    "flipped": verdict.status == "refuted",
                    "verdict": verdict.to_json(),
                }
            )
        results[experiment.name] = {"claims": [v.to_json() for v in verdicts], "control": controls}
    statuses = [c["status"] for e in results.values() for c in e["claims"]]
    flipped = [c["flipped"] for e in results.values() for c in e["control"]]
    return {"status": overall(statuses), "broken": not all(flipped), "experiments": results}


def _write_dataset(path: Path, data: xr.Dataset) -> str:
    packed = {
        name: {"zlib": True, "complevel": 4}
        for name, v in data.variables.items()
        if v.dtype.kind in "fiu" and v.ndim
    }

    def write(aside: Path) -> None:
        # Not through memory: the bytes of an in-memory netCDF file differ from call to call.
        try:
            data.to_netcdf(aside, engine="netcdf4", format="NETCDF4", encoding=packed)
        except (RuntimeError, OSError) as error:
            raise CannotWrite(
                f"cannot write {path}: {error}",
                "free some space, or name another folder with --lab",
            ) from error

    return write_whole(path, write)


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, default=_plain) + "\n"


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
