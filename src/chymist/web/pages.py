"""Templates, and the addresses in them: those of a server, or those of files beside one another."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Any
from urllib.parse import urlencode

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from chymist import rendering
from chymist.languages import LANGUAGES, SOURCE, TAGS, current, is_said, say
from chymist.report import page
from chymist.report.gallery import anchor

ASSETS = {
    "report.css": ("chymist.report", "templates/report.css", "text/css"),
    "checkup.css": ("chymist.report", "templates/checkup.css", "text/css"),
    "web.css": ("chymist.web", "static/web.css", "text/css"),
    "choices.js": ("chymist.web", "static/choices.js", "text/javascript"),
    "words.js": ("chymist.web", "static/words.js", "text/javascript"),
    "live.js": ("chymist.web", "static/live.js", "text/javascript"),
    "curves.js": ("chymist.web", "static/curves.js", "text/javascript"),
    "figures.js": ("chymist.web", "static/figures.js", "text/javascript"),
    "vega.js": ("", "", "text/javascript"),
}
"""What pages load: package, place in it, type. Nothing else is served from the package.

What draws figures in a browser, vega.js, lies in no package: it is made when it is first wanted.
"""
LIBRARY = "vega.js"

_WORDS = re.compile(r"""\bwords\(\s*("(?:[^"\\]|\\.)*")""")
KEPT_TEXTS = 5000


@dataclass(frozen=True)
class Served:
    """Addresses on a server, from the page at `path` with `query`, in the theme that is chosen."""

    live: bool = True
    path: str = "/"
    query: tuple[tuple[str, str], ...] = ()
    theme: str = ""

    def here(self, language: str) -> str:
        """Return this page in another language."""
        return f"{self.path}?{urlencode([*self.query, ('lang', language)])}"

    def home(self, **query: str) -> str:
        """Return where the atlas is, filtered."""
        return "/" + _query(query)

    def study(self, slug: str, **query: str) -> str:
        """Return where a study is, at a preset."""
        return f"/studies/{slug}" + _query(query)

    def run(self, run: str, what: str = "") -> str:
        """Return where a run is, or something of it."""
        return f"/runs/{run}" + (f"/{what}" if what else "")

    def lab(self, **query: Any) -> str:
        """Return where the runs are listed."""
        return "/runs" + _query(query)

    def picture(self, slug: str, preset: str, figure: str) -> str:
        """Return where a figure of the evidence is."""
        return f"/evidence/{slug}/{preset}/{figure}.svg"

    def spec(self, slug: str, preset: str, figure: str) -> str:
        """Return where the specification of a figure of the evidence is."""
        return f"/evidence/{slug}/{preset}/{figure}.json"

    def asset(self, name: str) -> str:
        """Return where a style sheet or a script is, as it is today."""
        decides = rendering.library_version().encode() if name == LIBRARY else asset(name)
        return f"/static/{name}?v={hashlib.sha256(decides).hexdigest()[:12]}"


@dataclass(frozen=True)
class Static:
    """Addresses of files, from `page` among those of its language.

    English is in the folder of the site, every other language in a folder of its own there.
    """

    page: str = "index.html"
    live: bool = False
    theme: str = ""

    @property
    def up(self) -> str:
        """The way to the first page."""
        return "../" * self.page.count("/")

    @property
    def root(self) -> str:
        """The way to the folder of the site."""
        return self.up + "../" * (current() != SOURCE)

    def here(self, language: str) -> str:
        """Return this page in another language."""
        return self.root + ("" if language == SOURCE else f"{language}/") + self.page

    def home(self, **query: str) -> str:
        """Return the page of the studies, or of those with a verdict."""
        wanted = query.get("verdict", "")
        return self.up + (f"verdict-{wanted}.html" if wanted else "index.html")

    def study(self, slug: str, **query: str) -> str:
        """Return the page of a study at a preset."""
        preset = query.get("preset", "")
        return f"{self.up}studies/{slug}{'.' + preset if preset else ''}.html"

    def picture(self, slug: str, preset: str, figure: str) -> str:
        """Return where a figure of the evidence is."""
        return f"{self.root}evidence/{slug}/{preset}/{figure}.svg"

    def spec(self, slug: str, preset: str, figure: str) -> str:
        """Return no address: the specification lies in the page."""
        return ""

    def asset(self, name: str) -> str:
        """Return where a style sheet or a script is."""
        return f"{self.root}{name}"


def script_words() -> dict[str, str]:
    """Return what the pages' scripts say, in the reader's language; nothing where it is theirs."""
    return {text: say(text) for text in script_texts() if current() != SOURCE and is_said(text)}


@cache
def script_texts() -> tuple[str, ...]:
    """Return the texts that the scripts mark: `words("...")`."""
    ours = (name for name, (_, _, kind) in ASSETS.items() if kind == "text/javascript")
    found = (text for name in ours for text in _WORDS.findall(asset(name).decode()))
    return tuple(dict.fromkeys(map(json.loads, found)))


def render(template: str, to: Served | Static, **context: Any) -> str:
    """Return a page."""
    return _environment().get_template(template).render(to=to, **context)


@cache
def asset(name: str) -> bytes:
    """Return what a page loads, by its name in `ASSETS`."""
    if name == LIBRARY:
        return rendering.library()
    package, place, _ = ASSETS[name]
    return resources.files(package).joinpath(place).read_bytes()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=ChoiceLoader(
            [
                PackageLoader("chymist.web", "templates"),
                PackageLoader("chymist.report", "templates"),
            ]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    page.speak(environment)
    environment.filters |= {**page.filters(), "anchor": anchor, "about": about}
    environment.globals |= {
        "languages": LANGUAGES,
        "tags": TAGS,
        "language": current,
        "script_words": script_words,
    }
    # The texts of studies are few and shown again and again; typesetting them takes most of a page.
    for name in ("page", "line", "plain"):
        environment.filters[name] = lru_cache(KEPT_TEXTS)(environment.filters[name])
    return environment


def about(seconds: float) -> str:
    """Write a time that is only known roughly.

    >>> about(3.2), about(48), about(83), about(100), about(7000)
    ('3 s', '50 s', '85 s', '2 min', '2 h')
    """
    if seconds >= 129_600:
        return say("%(n)s days", n=f"{seconds / 86_400:.0f}")
    if seconds >= 5400:
        return say("%(n)s h", n=f"{seconds / 3600:.0f}")
    if seconds >= 90:
        return say("%(n)s min", n=f"{seconds / 60:.0f}")
    return say("%(n)s s", n=5 * round(seconds / 5) if seconds > 10 else max(1, round(seconds)))


def _query(query: Mapping[str, Any]) -> str:
    given = {name: value for name, value in query.items() if value not in ("", None, 0)}
    return f"?{urlencode(given)}" if given else ""
