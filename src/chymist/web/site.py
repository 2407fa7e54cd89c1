"""The atlas as a static site: files that need no server and ask nothing of the network.

Its script is its own, for figures that answer; what they are drawn from lies in the pages, since a
page that is a file can ask for nothing.

The pages are those of the server, without what only a server can do. `site.json` lists what was
written, so that a later writing removes what is no longer there, and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from chymist.errors import UsageError
from chymist.files import make_folder, refusals, write_json, write_whole
from chymist.lab import Lab
from chymist.languages import LANGUAGES, SOURCE, speaking
from chymist.web import home, study_page
from chymist.web.pages import Static, asset, render
from chymist.web.reading import Reading
from chymist.web.shelf import Shelf

LIST = "site.json"
_NAME = re.compile(r"[a-z0-9-]+(/[a-z0-9-]+)*(\.[a-z0-9-]+)*\.(html|css|svg|js)")


def build(folder: Path, evidence: Path) -> list[Path]:
    """Write the site of the installed studies and their evidence; return its files.

    Raises:
        UsageError: the folder holds something else.
        CannotWrite: the file system refuses.
    """
    before = _written(folder)
    make_folder(folder)
    names = []
    for name, content in _files(Shelf(), Reading(Lab(), evidence)):
        path = folder / name
        make_folder(path.parent)
        write_whole(path, lambda aside, content=content: _fill(aside, content))  # type: ignore[misc]
        names.append(name)
    for name in before - set(names):
        with refusals(folder / name):
            (folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            (folder / name).parent.rmdir()
    write_json(folder / LIST, {"site": "chymist atlas", "files": sorted(names)})
    return [folder / name for name in names]


def _fill(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _written(folder: Path) -> set[str]:
    """Return what an earlier writing wrote.

    Raises:
        UsageError: the folder is not empty and holds no site.
    """
    hint = "name an empty folder, or one that chymist atlas build wrote"
    if folder.is_dir() and not any(folder.iterdir()):
        return set()
    if not folder.exists():
        return set()
    try:
        record = json.loads((folder / LIST).read_text(encoding="utf-8"))
        names = set(record["files"]) if record["site"] == "chymist atlas" else None
    except (OSError, ValueError, KeyError, TypeError):
        names = None
    if names is None or not all(isinstance(n, str) and _NAME.fullmatch(n) for n in names):
        raise UsageError(f"{folder} holds something else than a site", hint)
    return names


def _files(shelf: Shelf, reading: Reading) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of every file."""
    here = Static()
    for name in ("report.css", "web.css", "choices.js", "words.js", "figures.js", "vega.js"):
        yield name, asset(name)
    for entry in shelf.entries():
        for preset, record in reading.presets(entry.slug).items():
            for figure in record["figures"]:
                path = reading.picture(entry.slug, preset, figure)
                if path is not None:
                    yield here.picture(entry.slug, preset, figure), path.read_bytes()
    for language in LANGUAGES:
        with speaking(language):
            for name, page in _pages(shelf, reading):
                yield (name if language == SOURCE else f"{language}/{name}"), page.encode()


def _pages(shelf: Shelf, reading: Reading) -> Iterator[tuple[str, str]]:
    """Yield the name and text of every page of one language, from its first page's folder."""
    here = Static()
    known = {card.verdict for card in home.cards(shelf, reading, here)}
    for verdict in ("", *sorted(known)):
        name = here.home(verdict=verdict)
        to = Static(name)
        yield name, render("home.html.j2", to, **home.context(shelf, reading, to, verdict=verdict))
    for entry in shelf.entries():
        for preset in ("", *reading.presets(entry.slug)):
            name = here.study(entry.slug, preset=preset)
            to = Static(name)
            context = study_page.context(shelf, reading, to, entry.slug, preset)
            yield name, render("study.html.j2", to, **context)
