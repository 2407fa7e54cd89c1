"""A study: the question of one phenomenon, its experiments, and what would refute the answer.

A study is one file of plain functions wired by frozen records at the end. An `Experiment` measures
one thing with many networks; its claims are judged on what it measured, and its control runs the
same experiment with parameters changed so that named claims must come out the other way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import altair as alt
import xarray as xr

from chymist.bench import Bench
from chymist.bibliography import Reference
from chymist.claims import Claim
from chymist.errors import BadStudy, did_you_mean
from chymist.params import Params
from chymist.questions import QUESTIONS

FAMILIES = (
    "frequency", "dynamics", "landscape", "overparameterisation", "approximation",
    "generalisation", "architecture", "symmetry", "geometry", "transformers", "generative",
    "information", "physics", "numbers",
)  # fmt: skip


@dataclass(frozen=True)
class Control:
    """A change of parameters under which the claims named in `flips` must be refuted."""

    says: str
    change: Mapping[str, Any]
    flips: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """What a user may bring but a file: `read` turns it into named data, or raises `BadInput`.

    It is handed the files of a folder, or what a function of the user's has returned.
    """

    says: str
    read: Callable[[Any], xr.Dataset]


@dataclass(frozen=True)
class Input:
    """What a user may bring: `read` turns a file into named data, or raises `BadInput`.

    Some studies take a `folder` as well, of which they are handed the files with one of the
    suffixes, by name; or what a `function` returns that is named as module:function or
    file.py:function and called without arguments. However they came, the data are kept with the
    run, and a replay computes with what was kept: nothing is read or called again.
    """

    says: str
    suffixes: tuple[str, ...]
    read: Callable[[Path], xr.Dataset]
    folder: Source | None = None
    function: Source | None = None

    @property
    def ways(self) -> tuple[tuple[str, str], ...]:
        """What may follow --data, each with what the study says of it."""
        others = (("FOLDER", self.folder), ("FILE.py:FUNCTION", self.function))
        return (("FILE", self.says), *((way, s.says) for way, s in others if s is not None))


@dataclass(frozen=True)
class Figure:
    """A drawing of an experiment's data (and of the control's, when it is given)."""

    name: str
    caption: str
    draw: Callable[[xr.Dataset, xr.Dataset | None], alt.TopLevelMixin]


@dataclass(frozen=True)
class Output:
    """A file for other programs that `chymist export --outputs` writes of an experiment's data.

    `write(p, data, given)` yields its text: of the parameters, the measured data and the user's
    input, if any.
    """

    name: str
    says: str
    write: Callable[[Any, xr.Dataset, xr.Dataset | None], Iterator[str]]


@dataclass(frozen=True)
class Experiment:
    """One measurement with its prediction, claims, figures and control.

    `run(p, bench)` returns the data: every variable has `long_name` and `units`, and the dimension
    `seed`; where all claims are exact there are no seeds, and nothing has it. `prediction(p, data)`
    returns what theory expects under the names of the measured variables; it may use what was
    measured before training (a kernel at step 0), nothing later. It is stored beside the data as
    `predicted_<name>`. What a clock measured has the attribute `clock`: it is never the same twice,
    so no claim may depend on it. An experiment that `reads` a variable uses the user's file
    (`bench.input`) when that has it; then only the experiments run whose variable the file has, so
    that a picture and a sound go each to their own. It runs once for each combination of axes, but
    for those that it `ignores`. `outputs` are files that can be made of what was measured. `live`
    names what a page draws of a training beside the loss while it goes on: the variable that the
    first claim reads, unless given.
    """

    name: str
    says: str
    run: Callable[[Any, Bench], xr.Dataset]
    claims: tuple[Claim, ...]
    figures: tuple[Figure, ...]
    control: Control
    prediction: Callable[[Any, xr.Dataset], xr.Dataset] | None = None
    reads: str = ""
    ignores: tuple[str, ...] = ()
    outputs: tuple[Output, ...] = ()
    live: str = ""

    @property
    def exact(self) -> bool:
        """Whether it has no seeds: every claim is exact."""
        return all(claim.kind == "exact" for claim in self.claims)


@dataclass(frozen=True)
class Study:
    """A question with the experiments that answer it.

    `theory` is Markdown with formulas between dollar signs. `cost` is the stated time in seconds
    of each preset, control included, on two cores. `answers` are keys of `chymist.questions`, under
    which the atlas lists the study; `cover` names the figure that stands for it there, the first
    unless given. Its story is `stories/<slug>.md` beside the study's file.
    """

    slug: str
    title: str
    question: str
    family: str
    params: type[Params]
    experiments: tuple[Experiment, ...]
    theory: str
    references: tuple[Reference, ...]
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"quick": {}})
    cost: Mapping[str, float] = field(default_factory=dict)
    input: Input | None = None
    limits: str = ""
    answers: tuple[str, ...] = ()
    cover: str = ""

    def __post_init__(self) -> None:
        """Hold the study to its contract.

        Raises:
            BadStudy: a name is not what it must be, or refers to nothing.
        """
        if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", self.slug):
            raise BadStudy(f"slug {self.slug!r}", "use lower-case words joined by hyphens")
        if self.family not in FAMILIES:
            raise BadStudy(
                f"{self.slug}: unknown family {self.family!r}", did_you_mean(self.family, FAMILIES)
            )
        if "quick" not in self.presets:
            raise BadStudy(f"{self.slug}: no preset quick", "give presets={'quick': {}, ...}")
        if not self.experiments:
            raise BadStudy(f"{self.slug}: no experiment", "give at least one Experiment")
        for what, names in (
            ("experiment", [e.name for e in self.experiments]),
            ("claim", [c.name for e in self.experiments for c in e.claims]),
            ("figure", [f.name for e in self.experiments for f in e.figures]),
        ):
            for name in names:
                if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
                    raise BadStudy(
                        f"{self.slug}: {what} name {name!r}",
                        "use lower-case words joined by hyphens",
                    )
                if names.count(name) > 1:
                    raise BadStudy(
                        f"{self.slug}: two {what}s are called {name}", "give each its own name"
                    )
        for experiment in self.experiments:
            known = {c.name for c in experiment.claims}
            for name in experiment.control.flips:
                if name not in known:
                    raise BadStudy(
                        f"{self.slug}: the control of {experiment.name} flips unknown claim {name}",
                        did_you_mean(name, known),
                    )
            for name in experiment.ignores:
                if name not in self.params.model_fields or self.params.role_of(name) != "axis":
                    raise BadStudy(
                        f"{self.slug}: {experiment.name} ignores {name}, which is no axis",
                        did_you_mean(name, self.params.model_fields),
                    )
            if not experiment.control.flips:
                raise BadStudy(
                    f"{self.slug}: the control of {experiment.name} flips no claim",
                    "name at least one claim that must be refuted under it",
                )
        for answer in self.answers:
            if answer not in QUESTIONS:
                hint = did_you_mean(answer, QUESTIONS)
                raise BadStudy(f"{self.slug}: answers unknown question {answer!r}", hint)
        drawn = [f.name for e in self.experiments for f in e.figures]
        if self.cover and self.cover not in drawn:
            hint = did_you_mean(self.cover, drawn)
            raise BadStudy(f"{self.slug}: the cover is unknown figure {self.cover!r}", hint)
        cited = {reference.key for reference in self.references}
        for claim in (c for e in self.experiments for c in e.claims):
            for published in claim.published:
                if published.source not in cited:
                    raise BadStudy(
                        f"{self.slug}: claim {claim.name} has a figure published in "
                        f"{published.source!r}, which the study does not cite",
                        did_you_mean(published.source, cited),
                    )
        for preset in self.presets.values():
            self.params.parse(dict(preset))
            for experiment in self.experiments:
                self.params.parse({**preset, **experiment.control.change})

    def experiment(self, name: str) -> Experiment:
        """Return the experiment of this name."""
        return next(e for e in self.experiments if e.name == name)

    def claim(self, name: str) -> Claim:
        """Return the claim of this name."""
        return next(c for e in self.experiments for c in e.claims if c.name == name)
