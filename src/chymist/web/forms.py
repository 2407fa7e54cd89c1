"""The parameters of a study as a form, made from their JSON schema, and the form read back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl

from chymist.errors import BadParameter, did_you_mean
from chymist.lab import growing, refining
from chymist.params import Params, describe_range
from chymist.study import Study

MOST_FIELDS = 400
MOST_CELLS = 500
"""Combinations of values that are computed by themselves, in one run from a page."""
OPTIONS = ("max-seeds", "refine-over", "refine-on", "refine-points")
"""What a form asks beside the parameters, whose names have no hyphens."""
_MINIMUM = {"minimum": "min", "maximum": "max"}


@dataclass(frozen=True)
class Field:
    """One parameter: how it is asked for, what it is now, and what is wrong with that.

    `kind` is number, text, choice, several (values separated by commas) or switch (true, false).
    `usual` is the preset's value; what is left at it is not given to the run. `bounds` are HTML
    attributes. Several values of one that `sweeps`, separated by commas, repeat the experiments.
    """

    name: str
    kind: str
    value: str
    usual: str
    says: str
    range: str
    options: tuple[str, ...] = ()
    bounds: tuple[tuple[str, str], ...] = ()
    sweeps: bool = False
    wrong: str = ""

    @property
    def changed(self) -> bool:
        """Whether it is not what the preset says."""
        return self.value != self.usual

    @property
    def values(self) -> list[str]:
        """The values, of which there can be several where it sweeps or is a lane or an axis."""
        several = self.sweeps or self.kind == "several"
        parts = self.value.split(",") if several and "," in self.value else [self.value]
        return [part.strip() for part in parts if part.strip()]

    @property
    def swept(self) -> bool:
        """Whether experiments are repeated at each of its values."""
        return self.sweeps and "," in self.value


@dataclass(frozen=True)
class Form:
    """A study's parameters from one of its presets."""

    preset: str
    fields: tuple[Field, ...]
    until_decided: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    sweep: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    wrong: str = ""
    wrong_file: str = ""
    wrong_options: Mapping[str, str] = field(default_factory=dict)

    @property
    def sound(self) -> bool:
        """Whether it can be run."""
        wrong = self.wrong or self.wrong_file or self.wrong_fields
        return not (wrong or self.wrong_options)

    @property
    def wrong_fields(self) -> bool:
        """Whether something is wrong with a single parameter."""
        return any(field.wrong for field in self.fields)

    @property
    def changed(self) -> dict[str, str]:
        """What differs from the preset, but for what is swept."""
        return {f.name: f.value for f in self.fields if f.changed and not f.swept}

    @property
    def asked(self) -> dict[str, Any]:
        """What a run is asked beside its parameters: arguments of `runner.plan`, if sound."""
        given = {name: self.options.get(name, "") for name in OPTIONS}
        return {
            "sweep": dict(self.sweep),
            "until_decided": self.until_decided,
            "max_seeds": int(given["max-seeds"]) if given["max-seeds"] else None,
            "refine": _names(given["refine-over"]),
            "on": given["refine-on"],
            "points": int(given["refine-points"]) if given["refine-points"] else None,
        }


def blank(study: Study, preset: str) -> Form:
    """Return the form with the values of a preset.

    Raises:
        BadParameter: the study has no such preset.
    """
    if preset not in study.presets:
        raise BadParameter(
            f"{study.slug} has no preset {preset}", did_you_mean(preset, study.presets)
        )
    usual = study.params.parse(dict(study.presets[preset])).model_dump(mode="json")
    schema = study.params.model_json_schema()
    return Form(preset, tuple(_field(study.params, schema, name, usual[name]) for name in usual))


def pairs(body: bytes) -> list[tuple[str, str]]:
    """Return the names and values of a sent form.

    Raises:
        BadParameter: it is none, or too long.
    """
    try:
        return parse_qsl(
            body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=MOST_FIELDS
        )
    except (ValueError, UnicodeDecodeError):
        raise no_form() from None


def no_form() -> BadParameter:
    """Say that what was sent cannot be read."""
    return BadParameter("what was sent is no form", "send it from the study's page")


def filled(study: Study, sent: Sequence[tuple[str, str]]) -> Form:
    """Read a sent form: each parameter is looked at by itself, then all of them together.

    Raises:
        BadParameter: it names what the study does not have, or one thing twice.
    """
    given = dict(sent)
    if len(given) < len(sent):
        raise BadParameter("the form gives a parameter twice", "send it from the study's page")
    if "preset" not in given:
        raise BadParameter("the form names no preset", "send it from the study's page")
    form = blank(study, given.pop("preset"))
    until_decided = given.pop("until-decided", "") == "yes"
    options = {name: given.pop(name, "").strip() for name in OPTIONS}
    known = {field.name for field in form.fields}
    for name in given:
        if name not in known:
            raise BadParameter(f"unknown parameter {name[:80]!r}", did_you_mean(name, known))
    fields = []
    for asked in form.fields:
        field = replace(asked, value=given.get(asked.name, asked.usual).strip())
        fields.append(replace(field, wrong=_wrong(study, form.preset, field)))
    whole = Form(form.preset, tuple(fields), until_decided, options)
    if not whole.sound:
        return whole
    try:
        cells = math.prod(len(f.values) for f in fields if f.swept or _is_axis(study, f.name))
        if cells > MOST_CELLS:
            raise BadParameter(
                f"that is {cells} combinations of values",
                f"at most {MOST_CELLS} from a page; a terminal takes more, with --sweep",
            )
        preset = study.presets[form.preset]
        parsed = study.params.parse({**preset, **whole.changed})
        whole = replace(whole, sweep={f.name: _typed(study, preset, f) for f in fields if f.swept})
    except BadParameter as error:
        return replace(whole, wrong=str(error))
    return replace(whole, wrong_options=_wrong_options(study, parsed, whole))


def _is_axis(study: Study, name: str) -> bool:
    return study.params.role_of(name) == "axis"


def _typed(study: Study, preset: Mapping[str, Any], field: Field) -> list[Any]:
    """Return the values of a swept parameter as what they are."""
    parsed = [study.params.parse({**preset, field.name: value}) for value in field.values]
    return [one.model_dump(mode="json")[field.name] for one in parsed]


def _wrong_options(study: Study, parsed: Params, form: Form) -> dict[str, str]:
    """Say beside which option what is wrong with it, as far as it is known before the plan."""
    wrong = {
        name: f"cannot be {value[:40]!r}: a whole number"
        for name in ("max-seeds", "refine-points")
        if (value := form.options[name])
        and not (value.isascii() and value.isdigit() and len(value) < 10)
    }
    if wrong:
        return wrong
    asked = form.asked
    try:
        if asked["max_seeds"] is not None and not form.until_decided:
            return {"max-seeds": "needs “add seeds until decided”"}
        if form.until_decided:
            growing.describe(parsed.seeds, asked["max_seeds"])
    except BadParameter as error:
        return {"max-seeds": str(error)}
    if not (asked["refine"] or asked["on"] or asked["points"] is not None):
        return {}
    if form.until_decided:
        return {"refine-over": "seeds until decided and refinement do not go together: choose one"}
    if not asked["refine"]:
        return {"refine-over": "name one parameter of several values, or two"}
    values = parsed.model_dump(mode="json")
    try:
        given = asked["refine"], asked["on"], asked["points"]
        refining.describe(study, study.experiments, values, form.sweep, *given)
    except BadParameter as error:
        about_claim = "claim" in error.message
        name = "on" if about_claim else "points" if error.message.startswith("points ") else "over"
        hint = error.hint.partition(", or --sweep")[0] if name == "over" else error.hint
        hint = "give it several, separated by commas" if hint.startswith("give --") else hint
        return {f"refine-{name}": f"{error.message}: {hint}" if hint else error.message}
    return {}


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _wrong(study: Study, preset: str, field: Field) -> str:
    """Say what is wrong with one field beside the preset's others; that they fit, is seen later."""
    values = field.values if field.swept else [field.value]
    if len(values) > 1 and len(set(values)) < len(values):
        return f"{field.name} repeats a value: give each once"
    if field.swept and not values:
        return f"{field.name} is empty: give at least one value"
    for value in values:
        try:
            study.params.parse({**study.presets[preset], field.name: value})
        except BadParameter as error:
            name = field.name
            if error.message.startswith(
                (f"parameter {name} ", f"parameter {name.replace('_', '-')} ")
            ):
                # Beside the field, which parameter is meant is plain to see.
                said = error.message.removeprefix("parameter ")
                return f"{said}: {error.hint}" if error.hint else said
    return ""


def _field(params: type[Params], schema: Mapping[str, Any], name: str, usual: Any) -> Field:
    part = schema["properties"][name]
    item = part.get("items", part)
    options: tuple[str, ...] = ()
    bounds: tuple[tuple[str, str], ...] = ()
    if "items" in part:
        kind = "several"
    elif "enum" in item:
        kind, options = "choice", tuple(map(str, item["enum"]))
    elif item.get("type") == "boolean":
        kind, options = "choice", ("true", "false")
    elif item.get("type") == "integer":
        kind = "number"
        bounds = tuple((_MINIMUM[key], str(item[key])) for key in _MINIMUM if key in item)
        bounds += (("step", str(item.get("multipleOf", 1))),)
    else:
        kind = "text"
    number = item.get("type") in ("integer", "number") and "const" not in item
    return Field(
        name=name,
        kind=kind,
        value=written(usual),
        usual=written(usual),
        says=params.model_fields[name].description or "",
        range=describe_range(params, name).replace(">=", "≥").replace("<=", "≤"),
        options=options,
        bounds=bounds,
        sweeps=number and "items" not in part and name != "seeds",
    )


def written(value: Any) -> str:
    """Return a value as one types it.

    >>> written([1, 2.5]), written(True)
    ('1, 2.5', 'true')
    """
    if isinstance(value, list | tuple):
        return ", ".join(map(written, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
