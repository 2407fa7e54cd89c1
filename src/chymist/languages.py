"""What pages say, in the reader's language: English is in the source, a catalogue has the rest.

A text is its own key. In Python it is marked by `say("...")`, in a template by
`{% trans %}...{% endtrans %}` or `_("...")`, in a script by `words("...")`; a text that is known
only when a page is made (a verdict's name, a study's title, an error) passes through `say`, too.
`messages.<language>.toml` translates them all, in four tables::

    [pages]     what the source marks; %(name)s is replaced by a value
    [words]     single words and phrases that constants of the source list
    [atlas]     titles and questions of the built-in studies
    [lines]     lines that come with values in them; {} in a key stands for whatever is there,
                {0}, {1} in a translation for the first and the second of those

What no table has stays English; `tongue` says so, so that pages can mark it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from importlib import resources

LANGUAGES = {"en": "English", "zh": "中文"}
"""Languages by the code in addresses and cookies, each by its own name."""
TAGS = {"en": "en", "zh": "zh-Hans"}
"""What pages state as their language."""
SOURCE = "en"
TABLES = ("pages", "words", "atlas", "lines")
_KEPT = 4000
_HINTED = re.compile(r"(.+?) \((.+)\)", re.DOTALL)
"""An error with its hint."""
_current: ContextVar[str] = ContextVar("language", default=SOURCE)


def current() -> str:
    """Return the language in which is spoken here: English unless `speaking` says otherwise."""
    return _current.get()


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Speak a language within a block; a thread or task that is begun there speaks it, too."""
    token = _current.set(language)
    try:
        yield
    finally:
        _current.reset(token)


def say(text: str, **values: object) -> str:
    """Return a text in the reader's language, with its values.

    >>> with speaking("zh"):
    ...     say("Atlas"), say("integer from 1 to 9"), say("no such words")
    ('图谱', '1 到 9 的整数', 'no such words')
    """
    said = _translated(current(), text)
    template = text if said is None else said
    return template % values if values else template


def is_said(text: str) -> bool:
    """Tell whether a text can be said in the reader's language."""
    return current() == SOURCE or _translated(current(), text) is not None


def tongue(text: str = "") -> str:
    """Return the tag of the language in which `say` gives a text; that of the source without one.

    >>> with speaking("zh"):
    ...     tongue("Atlas"), tongue("no such words"), tongue()
    ('zh-Hans', 'en', 'en')
    """
    return TAGS[current() if text and is_said(text) else SOURCE]


def preferred(header: str) -> str:
    """Return which language a browser asks for by its `Accept-Language`, English if none of them.

    >>> preferred("fr, zh-CN;q=0.9, en;q=0.8"), preferred("en-GB,zh;q=0.5"), preferred("x;q=y")
    ('zh', 'en', 'en')
    """
    best, weight = SOURCE, 0.0
    for part in header[:500].split(","):
        tag, _, rest = part.partition(";")
        code = tag.strip().lower().partition("-")[0]
        given = re.fullmatch(r"\s*q=([01](?:\.\d{0,3})?)\s*", rest) if rest else None
        asked = float(given[1]) if given else 0.0 if rest else 1.0
        if code in LANGUAGES and asked > weight:
            best, weight = code, asked
    return best


@cache
def catalogue(language: str) -> Mapping[str, Mapping[str, str]]:
    """Return the tables of a language; empty ones for the source's own."""
    if language == SOURCE:
        return {name: {} for name in TABLES}
    file = resources.files("chymist").joinpath(f"messages.{language}.toml")
    return tomllib.loads(file.read_text(encoding="utf-8"))


@lru_cache(_KEPT)
def _translated(language: str, text: str) -> str | None:
    tables = catalogue(language)
    for name in ("pages", "words", "atlas"):
        if text in tables[name]:
            return tables[name][text]
    if found := _HINTED.fullmatch(text):
        said, hint = (_line(language, part) for part in found.groups())
        if said and hint:
            return f"{said} ({hint})"
    return _line(language, text)


def _line(language: str, text: str) -> str | None:
    for pattern, translation in _patterns(language):
        if found := pattern.fullmatch(text):
            parts = (_line(language, part) or part for part in found.groups())
            return translation.format(*parts)
    return None


@cache
def _patterns(language: str) -> list[tuple[re.Pattern[str], str]]:
    return [
        (re.compile("(.+)".join(map(re.escape, key.split("{}"))), re.DOTALL), translation)
        for key, translation in catalogue(language)["lines"].items()
    ]
