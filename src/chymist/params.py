"""Parameters of a study: constants, lanes (values that share a batch) and axes (shapes).

``Lane[float]`` values vary inside one batched program. ``Axis[int]`` values change shapes, so each
combination is computed by itself. Everything else is a constant; whatever is swept from outside is
treated as an axis. Bounds given to `Field` hold for every value of a lane or an axis.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeVar, Union, get_args

import xarray as xr
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chymist.errors import BadParameter, did_you_mean

T = TypeVar("T")


class _Marker:
    """Marks a field as a lane or an axis."""

    def __init__(self, kind: str) -> None:
        self.kind = kind


_LANE, _AXIS = _Marker("lane"), _Marker("axis")

if TYPE_CHECKING:
    # An experiment sees a lane as a named array and an axis as one value, a user gives several.
    Lane = Union[Any, T]  # noqa: UP007  an alias over T cannot be written with |
    Axis = Union[Any, T]  # noqa: UP007
else:
    Lane = Annotated[tuple[T, ...], _LANE]
    Axis = Annotated[tuple[T, ...], _AXIS]

__all__ = ["Axis", "ExactParams", "Field", "Lane", "Params"]


class Params(BaseModel):
    """The parameters of a study: frozen, validated, and the source of its command line.

    An experiment is handed a *cell*: lanes are named arrays (dimension and coordinate carry the
    field's name, so arithmetic on them broadcasts by name), axes are single values.

    >>> class P(Params):
    ...     lr: Lane[float] = Field((0.1, 0.2), gt=0, description="step size")
    ...     width: Axis[int] = Field((8,), ge=1, description="neurons")
    >>> P.parse({"width": "16,32"}).width
    (16, 32)
    >>> cells = P().cells()
    >>> cells[0].lr.dims, cells[0].width
    (('lr',), 8)
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    seeds: int = Field(8, ge=5, le=10_000, description="independent repetitions")

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Move the bounds of lanes and axes from the tuple to its items."""
        super().__pydantic_init_subclass__(**kwargs)
        moved = False
        for info in cls.model_fields.values():
            marker = next((m for m in info.metadata if isinstance(m, _Marker)), None)
            bounds = [m for m in info.metadata if m is not marker]
            if marker and bounds:
                item: Any = get_args(info.annotation)[0]
                info.annotation = tuple[Annotated[(item, *bounds)], ...]
                info.metadata = [marker]
                moved = True
        if moved:
            cls.model_rebuild(force=True)

    @classmethod
    def role_of(cls, name: str) -> str:
        """Return "lane", "axis" or "constant"."""
        for part in cls.model_fields[name].metadata:
            if isinstance(part, _Marker):
                return part.kind
        return "constant"

    @classmethod
    def parse(cls, given: dict[str, Any]) -> Self:
        """Build parameters from Python values or from text (commas separate several values).

        Raises:
            BadParameter: an unknown name, a wrong type, or a value out of range.
        """
        values: dict[str, Any] = {}
        for raw, value in given.items():
            name = raw.replace("-", "_")
            if name not in cls.model_fields:
                raise BadParameter(f"unknown parameter {raw}", did_you_mean(name, cls.model_fields))
            if cls.role_of(name) != "constant":
                if isinstance(value, str):
                    value = tuple(part.strip() for part in value.split(",") if part.strip())
                elif not isinstance(value, tuple | list):
                    value = (value,)
                if not value:
                    raise BadParameter(f"parameter {raw} is empty", "give at least one value")
                if len(set(map(str, value))) < len(value):
                    raise BadParameter(
                        f"parameter {raw} repeats a value: {', '.join(map(str, value))}",
                        "give each value once",
                    )
            values[name] = value
        try:
            return cls(**values)
        except ValidationError as error:
            raise _one_line(cls, error) from None

    def cells(self) -> list[Self]:
        """Return one cell for each combination of axes, in order."""
        cells = [self.model_copy(update=self._lanes())]
        axes = {n: getattr(self, n) for n in type(self).model_fields if self.role_of(n) == "axis"}
        for name, values in axes.items():
            cells = [c.model_copy(update={name: v}) for c in cells for v in values]
        return cells

    def _lanes(self) -> dict[str, xr.DataArray]:
        names = [n for n in type(self).model_fields if self.role_of(n) == "lane"]
        return {
            n: xr.DataArray(list(getattr(self, n)), dims=(n,), coords={n: list(getattr(self, n))})
            for n in names
        }


class ExactParams(Params):
    """The parameters of a study that has no seeds, all of whose claims are exact."""

    seeds: int = Field(1, ge=1, le=1, description="nothing is drawn, so nothing is repeated")


@cache
def describe_range(cls: type[Params], name: str) -> str:
    """Say in words which values a parameter takes, for help and errors.

    >>> describe_range(Params, "seeds")
    'integer from 5 to 10000'
    """
    schema = cls.model_json_schema()
    field = schema["properties"][name]
    several = "items" in field
    item = field["items"] if several else field
    if "$ref" in item:
        item = schema["$defs"][item["$ref"].rsplit("/", 1)[-1]]
    kind = {"integer": "integer", "number": "number", "string": "text", "boolean": "true or false"}
    if "enum" in item:
        words = "one of " + ", ".join(map(str, item["enum"]))
    elif "const" in item:
        words = str(item["const"])
    else:
        words = kind.get(item.get("type", ""), "value")
        if "pattern" in item and "examples" in item:
            words += f" such as {item['examples'][0]}"
        low = item.get("minimum", item.get("exclusiveMinimum"))
        high = item.get("maximum", item.get("exclusiveMaximum"))
        if low is not None and low == high:
            words = str(low)
        elif low is not None and high is not None and "minimum" in item and "maximum" in item:
            words += f" from {low} to {high}"
        else:
            if low is not None:
                words += f" {'>=' if 'minimum' in item else '>'} {low}"
            if high is not None:
                both = " and" if low is not None else ""
                words += f"{both} {'<=' if 'maximum' in item else '<'} {high}"
    return words + (", one or several" if several else "")


def _one_line(cls: type[Params], error: ValidationError) -> BadParameter:
    first = error.errors()[0]
    if not first["loc"]:
        return BadParameter(f"parameters do not fit together: {first['msg']}")
    name = str(first["loc"][0])
    flag = name.replace("_", "-")
    return BadParameter(
        f"parameter {flag} cannot be {first['input']!r}",
        f"allowed: {describe_range(cls, name)}",
    )
