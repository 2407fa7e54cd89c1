"""One battery of checks for any study."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from chymist import report
from chymist.claims import Claim, judge
from chymist.errors import BadInput, BadParameter, ChymistError
from chymist.lab import Run
from chymist.lab.compute import compute
from chymist.lab.measured import kept_input
from chymist.lab.runner import run
from chymist.lab.store import read_dataset
from chymist.rendering import render
from chymist.report.formulas import unread
from chymist.study import Study

FIGURE_BYTES = 300_000
REPORT_BYTES = 3_000_000
SAME = 1e-3
"""Difference of a number, relative to the largest of its kind, that counts as none."""


def check_study(
    study: Study, lab: str | Path | None = None, *, patience: float = 3.0, **options: Any
) -> Run:
    """Run a study's quick preset and hold everything it makes to the contract.

    Checked: its words, references and formulas; that bad parameters and bad input end in one line;
    that the controls flip; that each supported claim fails when its statistic changes sign, and
    each controlled claim when treatment and control change places; that every dimension has a
    coordinate and every prediction is finite; that two seeds measure by themselves what they do
    among all, and that what has no seeds comes out the same again, but for what a clock measured,
    on which no verdict may depend; that figures and report render and stay small, figures also
    where the control has other seeds; and that the time is within `patience` times the stated cost
    (machines differ). A verdict other than supported is no failure: it is a result. `options` go to
    the run (threads, seeds, ...).

    Raises:
        AssertionError: lists every check that failed.
    """
    failures = [*_words(study), *_bad_parameters(study), *_bad_input(study)]
    with tempfile.TemporaryDirectory() as folder:
        done = run(study, lab=lab or folder, **options)
        failures += [*_controls(study, done), *_data(done), *_clocks(study, done)]
        failures += [*_seeds(study, done), *_pictures(study, done)]
        stated = study.cost.get("quick", 0.0)
        if done.manifest["seconds"] > patience * stated:
            failures.append(f"took {done.manifest['seconds']} s; the stated cost is {stated} s")
        assert not failures, f"{study.slug}:\n" + "\n".join(f"- {f}" for f in failures)  # noqa: S101
        return done


def _words(study: Study) -> Iterator[str]:
    if not study.references:
        yield "cites nothing"
    if "quick" not in study.cost:
        yield "states no cost for the preset quick"
    for text in (study.theory, study.limits):
        yield from (f"a formula does not render: {formula}" for formula in unread(text))
    for experiment in study.experiments:
        for claim in experiment.claims:
            if not (claim.statistic.__doc__ or "").strip():
                yield f"the statistic of claim {claim.name} has no docstring"
    for name, field in study.params.model_fields.items():
        if not field.description:
            yield f"parameter {name} has no description"


def _bad_parameters(study: Study) -> Iterator[str]:
    wrong: tuple[dict[str, Any], ...] = ({"no-such-parameter": 1}, {"seeds": -1}, {"seeds": "many"})
    for given in wrong:
        yield from _refused(partial(study.params.parse, given), BadParameter, str(given))


def _bad_input(study: Study) -> Iterator[str]:
    if study.input is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        read = study.input.read
        for suffix in study.input.suffixes:
            absent, empty = Path(folder, f"absent{suffix}"), Path(folder, f"empty{suffix}")
            noise = Path(folder, f"noise{suffix}")
            empty.write_bytes(b"")
            noise.write_bytes(bytes(range(256)) * 8)
            for path in (absent, empty, noise):
                yield from _refused(partial(read, path), BadInput, path.name)
            if study.input.folder:
                files = partial(study.input.folder.read, [empty, noise])
                yield from _refused(files, BadInput, f"a folder of {suffix}")
    if study.input.function:
        for made in (None, "text", ()):
            yield from _refused(partial(study.input.function.read, made), BadInput, repr(made))


def _refused(action: Callable[[], object], kind: type[ChymistError], what: str) -> Iterator[str]:
    try:
        action()
    except kind as error:
        if not error.hint or len(str(error)) > 300:
            yield f"{what}: the refusal should be one short line with a hint: {error}"
    except Exception as error:
        yield f"{what}: ended in {type(error).__name__} rather than {kind.__name__}: {error}"
    else:
        yield f"{what}: was accepted"


def _controls(study: Study, done: Run) -> Iterator[str]:
    for experiment in study.experiments:
        measured = done.data[experiment.name].to_dataset()
        control = done.data[f"control/{experiment.name}"].to_dataset()
        for claim in experiment.claims:
            verdict = judge(claim, measured)
            if verdict.status != done.verdicts[claim.name].status:
                yield f"claim {claim.name} is judged otherwise from the stored data"
            mirrored = judge(_mirrored(claim), measured)
            if claim.kind == "exact" and mirrored.status == "supported":
                # Nothing and minus nothing are the same.
                mirrored = judge(_mirrored(claim, by=1), measured)
            if verdict.status == mirrored.status == "supported":
                yield f"claim {claim.name} is supported with its statistic's sign changed, too"
            if claim.name in experiment.control.flips:
                status = judge(claim, control).status
                if status != "refuted":
                    yield f"the control does not refute claim {claim.name}: {status}"


def _mirrored(claim: Claim, by: float = 0) -> Claim:
    return replace(claim, statistic=lambda data: -by - claim.statistic(data))


def _data(done: Run) -> Iterator[str]:
    for branch in done.data.leaves:
        for name, variable in branch.to_dataset().data_vars.items():
            bare = [d for d in variable.dims if d not in variable.coords]
            if bare:
                yield f"{branch.path}: {name} has dimensions without coordinates: {bare}"
            if str(name).startswith("predicted_") and not np.isfinite(variable).all():
                yield f"{branch.path}: {name} is not finite everywhere"


def _clocks(study: Study, done: Run) -> Iterator[str]:
    """Judge again without what a clock measured: a verdict must not depend on who is busy."""
    for experiment in study.experiments:
        measured = done.data[experiment.name].to_dataset()
        clocks = {n: v * np.nan for n, v in measured.data_vars.items() if "clock" in v.attrs}
        if not clocks:
            continue
        for claim in experiment.claims:
            if judge(claim, measured.assign(clocks)).status != done.verdicts[claim.name].status:
                yield f"claim {claim.name} depends on a clock: {', '.join(map(str, clocks))}"


def _seeds(study: Study, done: Run) -> Iterator[str]:
    """Compare two seeds with the same among all: a chunk may hold any of them.

    What has no seeds is compared with itself, computed again; what a clock measured is not.
    """
    for experiment in study.experiments:
        chunk = next(c for c in done.chunks if c.experiment == experiment.name)
        kept = read_dataset(done.folder / chunk.data)
        kept = kept.drop_vars([n for n, v in kept.data_vars.items() if "clock" in v.attrs])
        given = kept_input(done.folder, done.manifest)
        if experiment.exact:
            again = compute(study, chunk, given, "cpu", _unseen)
            for name in kept.data_vars:
                if not kept[name].equals(again[name]):
                    yield f"{experiment.name}: {name} is not the same when computed again"
            continue
        few = compute(study, replace(chunk, seeds=(0, 2)), given, "cpu", _unseen)
        for name in kept.data_vars:
            among = kept[name].isel(seed=slice(2)) if "seed" in kept[name].dims else kept[name]
            alone = few[name]
            if among.dtype.kind == "f":
                apart = abs(alone - among) / (abs(among).max() or 1)
                # Training can amplify the last bits of some numbers, not of most.
                same = among.shape == alone.shape and not float(apart.median()) > SAME
            else:
                same = among.equals(alone)
            if not same:
                yield f"{experiment.name}: {name} of a seed depends on which others there are"


def _unseen(label: str, done: int, steps: int) -> None:
    """Show no progress."""


def _pictures(study: Study, done: Run) -> Iterator[str]:
    for experiment in study.experiments:
        measured = done.data[experiment.name].to_dataset()
        fewer = done.data[f"control/{experiment.name}"].to_dataset()
        if not experiment.exact:
            fewer = fewer.isel(seed=slice(1, None))
        for figure in experiment.figures:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    render(figure.draw(measured, fewer).to_dict(), "svg")
            except Exception as error:
                yield f"figure {figure.name} fails where the control has other seeds: {error}"
    for name, spec in done.specs.items():
        size = len(json.dumps(spec))
        if size > FIGURE_BYTES:
            yield f"figure {name} has {size} bytes; at most {FIGURE_BYTES}"
        if b"<svg" not in render(spec, "svg"):
            yield f"figure {name} does not render"
    size = len(report.render_report(done.manifest, done.outcome, done.specs).encode())
    if size > REPORT_BYTES:
        yield f"the report has {size} bytes; at most {REPORT_BYTES}"
