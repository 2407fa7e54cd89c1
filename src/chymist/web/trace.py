"""What was drawn so far of a run that is being computed: bounded, for pages opened at any time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_LINES = 120
MOST_POINTS = 400
"""Of a line; a sketch draws about half as many."""
MOST_PICTURES = 96


@dataclass
class Seen:
    """What a page has been told of a trace: points of each line, and pictures."""

    points: dict[int, int] = field(default_factory=dict)
    pictures: int = 0


class Trace:
    """Lines and pictures of a run, the newest ones. What `Sketch.taken` yields goes in."""

    def __init__(self) -> None:
        self.lines: dict[int, tuple[Mapping[str, Any], list[Any]]] = {}
        self.pictures: dict[int, Mapping[str, Any]] = {}
        self._drawn = 0

    def take(self, message: Mapping[str, Any]) -> None:
        """Take in what was drawn."""
        for line in message["lines"]:
            _, points = self.lines.setdefault(line["line"], (line["about"], []))
            points += line["points"][: MOST_POINTS - len(points)]
        for picture in message["pictures"]:
            self._drawn += 1
            self.pictures[self._drawn] = picture
        for kept, most in ((self.lines, MOST_LINES), (self.pictures, MOST_PICTURES)):
            while len(kept) > most:
                del kept[next(iter(kept))]

    def since(self, seen: Seen) -> dict[str, Any] | None:
        """Return what a page has not been told yet, if anything, and note that it is told now."""
        lines: list[dict[str, Any]] = []
        for number, (about, points) in self.lines.items():
            told = seen.points.get(number, 0)
            if len(points) > told:
                lines.append({"line": number, "points": points[told:]})
                lines[-1] |= {} if number in seen.points else {"about": about}
                seen.points[number] = len(points)
        pictures = [picture for number, picture in self.pictures.items() if number > seen.pictures]
        seen.pictures = self._drawn
        return {"lines": lines, "pictures": pictures} if lines or pictures else None
