"""`chymist info`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from chymist import catalogue
from chymist.cli.output import err, out, print_json
from chymist.errors import BadParameter, UsageError
from chymist.questions import QUESTIONS

if TYPE_CHECKING:
    from rich.console import Console

    from chymist.study import Input, Study


def info_(study: str, /, *, story: bool = False, language: str = "en", json: bool = False) -> None:
    """Show a study's question, claims, control, parameters, cost and references.

    Parameters
    ----------
    study
        A study's slug, or a Python file.
    story
        Print the study's story in Markdown, for a reader who has not read the papers.
    language
        Of the story: en, or zh (Chinese) where there is a translation.
    json
        Print JSON, the parameters as a JSON schema.
    """
    found = catalogue.find(study)
    if language not in catalogue.LANGUAGES:
        known = ", ".join(catalogue.LANGUAGES)
        raise BadParameter(f"language is {language!r}", f"one of {known}")
    told = catalogue.story(found, language)
    if story:
        if not told:
            kind = "story" if language == "en" else f"story in {language}"
            raise UsageError(
                f"{found.slug} has no {kind}", f"write {catalogue.story_file(found, language)}"
            )
        console = out()
        if console.is_terminal:
            from rich.markdown import Markdown

            console.print(Markdown(told))
        else:
            sys.stdout.write(told)
        return
    if json:
        print_json(_record(found))
        return
    from chymist.report.formulas import plain

    console = out()
    console.print(Text(found.title, style="bold"))
    console.print(Text(found.question))
    for experiment in found.experiments:
        console.print()
        console.print(
            Text(f"{experiment.name}: ", style="bold"), Text(plain(experiment.says)), sep=""
        )
        for claim in experiment.claims:
            console.print(Text(f"  {claim.name} ({claim.region}): {plain(claim.sentence)}"))
        change = ", ".join(f"{n}={_text(v)}" for n, v in experiment.control.change.items())
        flips = ", ".join(experiment.control.flips)
        console.print(Text(f"  control ({change}) must refute {flips}: {experiment.control.says}"))
    if found.input:
        console.print()
        _ways(console, found.input)
    console.print()
    console.print(_parameters(found))
    console.print()
    for preset in found.presets:
        cost = f"about {found.cost[preset]:.0f} s" if preset in found.cost else "cost not stated"
        console.print(Text(f"preset {preset}: {cost} on two cores"))
    if told:
        console.print(Text(f"\nthe story: chymist info {study} --story"))
    console.print()
    for reference in found.references:
        console.print(Text(str(reference)))


def show_parameters(words: list[str]) -> int:
    """Show the parameter flags of the study named among the words, if one is."""
    named = [w for w in words if not w.startswith("-")]
    if named:
        study = catalogue.find(named[0])
        console = out()
        console.print(_parameters(study))
        if study.input:
            console.print()
            _ways(console, study.input)
    else:
        err().print("The parameters of a study: chymist run STUDY --help")
    return 0


def _ways(console: Console, taken: Input) -> None:
    for way, says in taken.ways:
        console.print(Text(f"Your own input (--data {way}): {says}"))


def _parameters(study: Study) -> Table:
    from chymist.params import describe_range

    table = Table(box=None, pad_edge=False, show_edge=False)
    for column in ("parameter", "default", "allowed", "meaning"):
        table.add_column(column, no_wrap=column == "parameter")
    defaults = study.params.parse(dict(study.presets["quick"]))
    for name, field in study.params.model_fields.items():
        table.add_row(
            f"--{name.replace('_', '-')}",
            _text(getattr(defaults, name)),
            describe_range(study.params, name),
            field.description or "",
        )
    return table


def _record(study: Study) -> dict[str, Any]:
    return {
        "slug": study.slug,
        "title": study.title,
        "question": study.question,
        "family": study.family,
        "experiments": [
            {
                "name": e.name,
                "says": e.says,
                "claims": [
                    {"name": c.name, "sentence": c.sentence, "region": str(c.region)}
                    for c in e.claims
                ],
                "control": {
                    "says": e.control.says,
                    "change": dict(e.control.change),
                    "flips": list(e.control.flips),
                },
            }
            for e in study.experiments
        ],
        "input": study.input.says if study.input else None,
        "parameters": study.params.model_json_schema(),
        "presets": {name: dict(preset) for name, preset in study.presets.items()},
        "cost": dict(study.cost),
        "answers": [QUESTIONS[key] for key in study.answers],
        "story": catalogue.story(study),
        "references": [str(r) for r in study.references],
    }


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
