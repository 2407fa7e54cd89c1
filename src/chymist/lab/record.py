"""What the records of a run hold: the manifest, and the verdicts.

Whoever reads a record may rely on what is here being there and of its type. More may be there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from chymist.errors import DamagedRun
from chymist.lab.layout import CHECKUP, MANIFEST, VERDICTS
from chymist.lab.seal import is_run

Status = Literal["supported", "refuted", "inconclusive"]
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")]
Text = Annotated[str, Field(max_length=1_000_000)]
Count = Annotated[int, Field(ge=0, le=10**12)]
Finite = Annotated[float, Field(allow_inf_nan=False, ge=-1e300, le=1e300)]


def _run(command: str) -> str:
    if not is_run(command):
        raise ValueError("is no call of chymist run")
    return command


class _Record(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _Reference(_Record):
    key: Text
    authors: list[Text]
    title: Text
    venue: Text
    year: int
    arxiv: Annotated[str, Field(pattern=r"^[A-Za-z0-9./-]*$")]
    doi: Annotated[str, Field(pattern=r"^[A-Za-z0-9./:;()_-]*$")]


class _Published(_Record):
    value: Finite
    setting: Text
    source: Text


class _Claim(_Record):
    name: Slug
    sentence: Text
    digest: Text
    published: list[_Published] = []


class _Control(_Record):
    says: Text
    change: dict[Text, Any]
    flips: list[Text]


class _Figure(_Record):
    name: Slug
    caption: Text


class _Experiment(_Record):
    name: Slug
    says: Text
    claims: list[_Claim]
    control: _Control
    figures: list[_Figure]


class _Study(_Record):
    slug: Slug
    title: Text
    question: Text
    family: Text
    theory: Text
    limits: Text
    story: Text = ""
    references: list[_Reference]
    experiments: list[_Experiment]


class _Help(_Record):
    description: Text
    range: Text
    default: Any = None


class _Input(_Record):
    name: Text
    sha256: Text
    says: Text


class _Machine(_Record):
    system: Text
    processor: Text
    cores: Count
    python: Text


class _Source(_Record):
    module: Text
    sha256: Text


class _Versions(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")
    __pydantic_extra__: dict[str, Text]
    chymist: Text


class _Growth(_Record):
    max_seeds: Count


class Manifest(_Record):
    """What run.json holds."""

    status: Text
    verdict: Literal["supported", "refuted", "inconclusive", "broken"]
    preset: Text
    parameters: dict[Text, Any]
    sweep: dict[Text, Any]
    until_decided: _Growth | None = None
    input: _Input | None
    command: Annotated[Text, AfterValidator(_run)]
    threads: Count
    study: _Study
    parameter_help: dict[Text, _Help]
    started: Text
    finished: Text
    seconds: Annotated[float, Field(allow_inf_nan=False, ge=0, le=1e12)]
    machine: _Machine
    versions: _Versions
    source: _Source
    diverged: dict[Text, Count]


class _Interval(_Record):
    estimate: float
    low: float
    high: float
    level: Annotated[float, Field(ge=0, le=1)]


class _Row(_Record):
    where: dict[Text, Any]
    values: list[float | None]
    interval: _Interval | None
    status: Status


class _Certificate(_Record):
    model_config = ConfigDict(strict=True, extra="forbid")

    says: Text
    shows: Text
    holds: bool


class _Verdict(_Record):
    # Exactly these: they become the fields of `chymist.claims.Verdict`.
    model_config = ConfigDict(strict=True, extra="forbid")

    claim: Slug
    sentence: Text
    region: Text
    region_low: Finite | None
    region_high: Finite | None
    statistic: Text
    centre: Text
    status: Status
    rows: list[_Row]
    note: Text = ""
    anytime: bool = False
    kind: Literal["sampled", "exact"] = "sampled"
    certificates: list[_Certificate] = []


class _Flip(_Record):
    claim: Slug
    flipped: bool
    verdict: _Verdict


class _Judged(_Record):
    claims: list[_Verdict]
    control: list[_Flip]


class _Map(_Record):
    parameters: list[Text]
    points: Count
    edges: list[Annotated[list[Finite], Field(min_length=2, max_length=2)]]


class Outcome(_Record):
    """What verdicts.json holds."""

    status: Status
    broken: bool
    experiments: dict[Slug, _Judged]
    maps: dict[Slug, _Map] = {}


State = Literal["healthy", "warning", "critical", "unmeasured"]
Unfinite = Literal["nan", "inf", "-inf"]
Number = int | float | Unfinite
"""What is not finite is text, since JSON has no such numbers."""


class WatchedManifest(_Record):
    """What run.json holds of a watched training."""

    status: Text
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
    verdict: State
    started: Text
    finished: Text
    seconds: Annotated[float, Field(allow_inf_nan=False, ge=0, le=1e12)]
    training: dict[Text, Any]
    every: Count
    machine: _Machine
    versions: _Versions


class _Finding(_Record):
    # Exactly these: they become the fields of `chymist.doctor.finding.Finding`.
    model_config = ConfigDict(strict=True, extra="forbid")

    rule: Slug
    severity: Literal["note", "warning", "critical"]
    says: Text
    value: Number
    threshold: Number
    formula: Text
    why: Text
    remedy: Text
    study: Slug
    layer: Text
    error: Number
    unit: Text
    step: Count
    because: Text
    provisional: bool


class _Reading(_Record):
    step: Count
    values: dict[Text, Number]
    errors: dict[Text, Number]


class _Chart(_Record):
    facts: dict[Text, Any]
    readings: dict[Text, list[_Reading]]
    off: dict[Text, Text]


class Checkup(_Record):
    """What checkup.json holds."""

    verdict: State
    findings: list[_Finding]
    chart: _Chart


def check_watched(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Check that the manifest of a watched training says what every reader needs.

    Raises:
        DamagedRun: something is missing, or of another type or size.
    """
    _check(folder, MANIFEST, WatchedManifest, manifest)


def check_checkup(folder: Path, record: Mapping[str, Any]) -> None:
    """Check that a checkup is such as the doctor makes.

    Raises:
        DamagedRun: something is missing, or of another type or size.
    """
    _check(folder, CHECKUP, Checkup, record)


def check_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Check that a manifest says what every reader needs.

    Raises:
        DamagedRun: something is missing, or of another type or size.
    """
    _check(folder, MANIFEST, Manifest, manifest)
    for name in ("parameters", "sweep"):
        _bounded(folder, manifest[name])
    for experiment in manifest["study"]["experiments"]:
        _bounded(folder, experiment["control"]["change"])


def check_outcome(folder: Path, outcome: Mapping[str, Any]) -> None:
    """Check that the verdicts are such as `judge` gives.

    Raises:
        DamagedRun: something is missing, or of another type or size.
    """
    _check(folder, VERDICTS, Outcome, outcome)


def _check(folder: Path, name: str, kind: type[BaseModel], record: Mapping[str, Any]) -> None:
    try:
        kind.model_validate(record)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))[:100]
        raise DamagedRun(
            f"run {folder.name}: {name} cannot be read: {place}: {first['msg']}",
            "restore it from a copy, or run the study again",
            file=name,
        ) from None


def _bounded(folder: Path, value: Any) -> None:
    """Refuse numbers that cannot be written as ordinary ones."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            _bounded(folder, item)
    elif isinstance(value, int) and abs(value) > 10**300:
        raise DamagedRun(f"run {folder.name}: {MANIFEST} cannot be read: a number has no end")
    elif isinstance(value, float) and math.isnan(value):
        raise DamagedRun(f"run {folder.name}: {MANIFEST} cannot be read: a parameter is no number")
