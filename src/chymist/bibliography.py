"""The literature that studies cite: one table, keyed as in BibTeX."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class Reference:
    """A publication."""

    key: str
    authors: tuple[str, ...]
    title: str
    venue: str
    year: int
    arxiv: str = ""
    doi: str = ""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Reference:
        """Read a record of the fields, as a manifest or the bibliography holds it."""
        return cls(**{**record, "authors": tuple(record["authors"])})

    def __str__(self) -> str:
        """One line for people."""
        link = f", arXiv:{self.arxiv}" if self.arxiv else f", doi:{self.doi}" if self.doi else ""
        return f"{', '.join(self.authors)}. {self.title}. {self.venue}, {self.year}{link}."

    @property
    def short(self) -> str:
        """Who wrote it, and when.

        >>> references("xu2020frequency")[0].short
        'Xu et al. (2020)'
        """
        names = [(author.split() or ["?"])[-1] for author in self.authors]
        who = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
        return f"{who} ({self.year})"

    @property
    def url(self) -> str:
        """Where to read it, or an empty string."""
        if self.arxiv:
            return f"https://arxiv.org/abs/{self.arxiv}"
        return f"https://doi.org/{self.doi}" if self.doi else ""

    def bibtex(self) -> str:
        """Return a BibTeX entry."""
        fields = {
            "author": " and ".join(self.authors),
            "title": f"{{{self.title}}}",
            "howpublished": self.venue,
            "year": str(self.year),
            "eprint": self.arxiv,
            "archiveprefix": "arXiv" if self.arxiv else "",
            "doi": self.doi,
        }
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
        return "\n".join([f"@misc{{{self.key},", *lines, "}"])


@cache
def bibliography() -> dict[str, Reference]:
    """Return every reference by key."""
    text = resources.files("chymist").joinpath("bibliography.toml").read_text(encoding="utf-8")
    return {
        key: Reference.from_json({"key": key, **entry})
        for key, entry in tomllib.loads(text).items()
    }


def references(*keys: str) -> tuple[Reference, ...]:
    """Look references up.

    Raises:
        KeyError: a key is not in the bibliography.
    """
    table = bibliography()
    missing = [key for key in keys if key not in table]
    if missing:
        raise KeyError(f"not in bibliography.toml: {', '.join(missing)}")
    return tuple(table[key] for key in keys)
