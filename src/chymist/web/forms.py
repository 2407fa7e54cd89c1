"""The parameters of a study as a form, made from their JSON schema, and the form read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from chymist.errors import BadParameter, did_you_mean
from chymist.params import Params, describe_range
from chymist.study import Study

MOST_FIELDS = 400
_MINIMUM = {"minimum": "min", "maximum": "max"}


@dataclass(frozen=True)
class Field:
    """One parameter: how it is asked for, what it is now, and what is wrong with that.

    `kind` is number, text, choice, several (values separated by commas) or switch (true, false).
    `usual` is the preset's value; what is left at it is not given to the run. `bounds` are HTML
    attributes.
    """

    name: str
    kind: str
    value: str
    usual: str
    says: str
    range: str
    options: tuple[str, ...] = ()
    bounds: tuple[tuple[str, str], ...] = ()
    wrong: str = ""

    @property
    def changed(self) -> bool:
        """Whether it is not what the preset says."""
        return self.value != self.usual


@dataclass(frozen=True)
class Form:
    """A study's parameters from one of its presets."""

    preset: str
    fields: tuple[Field, ...]
    until_decided: bool = False
    wrong: str = ""
    wrong_file: str = ""

    @property
    def sound(self) -> bool:
        """Whether it can be run."""
        return not (self.wrong or self.wrong_file or self.wrong_fields)

    @property
    def wrong_fields(self) -> bool:
        """Whether something is wrong with a single parameter."""
        return any(field.wrong for field in self.fields)

    @property
    def changed(self) -> dict[str, str]:
        """What differs from the preset."""
        return {field.name: field.value for field in self.fields if field.changed}


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
    known = {field.name for field in form.fields}
    for name in given:
        if name not in known:
            raise BadParameter(f"unknown parameter {name[:80]!r}", did_you_mean(name, known))
    fields = []
    for field in form.fields:
        value = given.get(field.name, field.usual).strip()
        wrong = _wrong(study, form.preset, field.name, value)
        fields.append(Field(**{**vars(field), "value": value, "wrong": wrong}))
    whole = Form(form.preset, tuple(fields), until_decided)
    if not whole.sound:
        return whole
    try:
        study.params.parse({**study.presets[form.preset], **whole.changed})
    except BadParameter as error:
        return Form(form.preset, tuple(fields), until_decided, str(error))
    return whole


def _wrong(study: Study, preset: str, name: str, value: str) -> str:
    """Say what is wrong with one value beside the preset's others; that they fit, is seen later."""
    try:
        study.params.parse({**study.presets[preset], name: value})
    except BadParameter as error:
        if error.message.startswith((f"parameter {name} ", f"parameter {name.replace('_', '-')} ")):
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
    return Field(
        name=name,
        kind=kind,
        value=written(usual),
        usual=written(usual),
        says=params.model_fields[name].description or "",
        range=describe_range(params, name).replace(">=", "≥").replace("<=", "≤"),
        options=options,
        bounds=bounds,
    )


def written(value: Any) -> str:
    """Return a value as one types it.

    >>> written([1, 2.5]), written(True)
    ('1, 2.5', 'true')
    """
    if isinstance(value, list | tuple):
        return ", ".join(map(written, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
