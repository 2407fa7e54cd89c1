"""A run folder from a stranger is read, or refused in one line; it does nothing else.

Every digest in these folders agrees with its file: whoever makes a run can make it so.
"""

from __future__ import annotations

import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import netCDF4
import numpy as np
import pytest
from run_folders import copied
from security import hostile

import chymist
from chymist.errors import DamagedRun
from chymist.lab.lab import new_id

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
TINY = HERE.parent / "studies" / "tiny.py"
CASES = {**hostile.HARMS, **hostile.NETCDF, **hostile.HDF5, **hostile.UNREAD, **hostile.FIGURES}
PICTURES = ("data:image/png;base64,", "data:image/svg+xml;base64,")
MEMORY = 1500
"""Megabytes. Importing torch and altair alone takes some 400."""


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    return chymist.run(TINY, lab=tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="module")
def outcome(sealed, tmp_path_factory):
    """Open every hostile run, and a sound one, in one guarded process; return what each did."""
    root = tmp_path_factory.mktemp("hostile")
    lab, out = root / "lab", root / "out"
    out.mkdir()
    ids, skipped, asked = {}, {}, []
    for name, change in {"sound": lambda run, outside: None, **CASES}.items():
        outside = root / "outside" / str(len(ids))
        outside.mkdir(parents=True)
        (outside / "secret.txt").write_text(hostile.SECRET)
        with netCDF4.Dataset(outside / "secret.nc", "w") as data:
            data.createDimension("x", 5)
            data.createVariable("secret", "f8", ("x",), zlib=True)[:] = np.full(5, 271828.0)
        run = copied(sealed.folder, lab, new_id())
        manifest = hostile.manifest_of(run)
        hostile.reseal(run, manifest)
        try:
            change(run, outside)
        except pytest.skip.Exception as reason:
            skipped[name] = str(reason)
        ids[name] = run.name
        asked.append(f"{run.name}:report" if name in hostile.ENDLESS else run.name)
    done = subprocess.run(
        [sys.executable, "-B", str(HERE / "guarded.py"), lab, out, root / "outside", *asked],
        capture_output=True,
        text=True,
        timeout=580,
        cwd=out,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    found["ids"], found["skipped"], found["out"], found["root"] = ids, skipped, out, root
    return found


def test_the_guard_itself_lets_a_sound_run_pass(outcome):
    said = outcome["runs"][outcome["ids"]["sound"]]
    assert {name: told["code"] for name, told in said.items()} == dict.fromkeys(said, 0), said
    assert not any(told["attempts"] for told in said.values())


def test_memory_stays_bounded(outcome):
    assert outcome["memory"] < MEMORY


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_hostile_run_is_refused_in_one_line_or_harmless(case, outcome):
    if case in outcome["skipped"]:
        pytest.skip(outcome["skipped"][case])
    said = outcome["runs"][outcome["ids"][case]]
    for verb, told in said.items():
        assert told["attempts"] == [], (verb, told)
        assert "Traceback" not in told["err"], (verb, told["err"])
        assert "\x1b" not in told["out"] + told["err"], (verb, told)
        assert hostile.SECRET not in told["out"] + told["err"], verb
        assert "271828" not in told["out"], (verb, told["out"])
        assert told["seconds"] < 60, (verb, told["seconds"])
        if verb.startswith("runs"):
            assert told["code"] == 0, (verb, told)
        elif told["code"] != 0:
            assert told["code"] == 6, (verb, told)
        if told["code"] == 6 and verb != "verify":
            lines = told["err"].strip().splitlines()
            assert len(lines) == 1, (verb, lines)
            assert lines[0].startswith(f"chymist: run {outcome['ids'][case]}"), (verb, lines)
    if case in hostile.HARMS:
        assert 6 in {told["code"] for told in said.values()}, "nothing was refused"
    for told in (said.get("notebook", {}), said.get("report", {})):
        assert "http://127" not in told.get("out", "")
    page = outcome["out"] / f"{outcome['ids'][case]}.html"
    assert not page.is_file() or "http://127" not in page.read_text()
    written = outcome["out"] / outcome["ids"][case]
    for path in written.rglob("*.csv") if written.is_dir() else ():
        text = path.read_text()
        assert hostile.SECRET not in text and "271828" not in text, path


REFUSED = {
    "report": ["a thousand million points", "an expression without end", "no specification",
               "a picture of a square kilometre"],
    "notebook": ["vast", "vaster", "ragged", "record", "texts", "nested", "external storage",
                 "external link", "cycle", "pickle", "only a signature"],
}  # fmt: skip


@pytest.mark.parametrize(("verb", "case"), [(v, c) for v, cases in REFUSED.items() for c in cases])
def test_what_could_do_harm_is_refused_and_not_only_survived(verb, case, outcome):
    if case in outcome["skipped"]:
        pytest.skip(outcome["skipped"][case])
    assert outcome["runs"][outcome["ids"][case]][verb]["code"] == 6


def test_nothing_was_hellebore_and_nothing_written_elsewhere(outcome):
    assert not list(outcome["root"].rglob("hellebore"))


@pytest.fixture(scope="module")
def scripted(sealed, tmp_path_factory):
    lab = tmp_path_factory.mktemp("scripted")
    run = copied(sealed.folder, lab, new_id())
    hostile.scripted(run, lab)
    return chymist.Lab(lab).open(run.name)


@pytest.mark.parametrize("made", ["report", "notebook"])
def test_script_in_every_text_is_shown_as_text(scripted, made, tmp_path):
    if made == "report":
        page = chymist.write_report(scripted, tmp_path / "page.html").read_text()
    else:
        page = scripted._repr_html_()
    assert "hellebore" in page, "the words are shown"
    seen = Elements()
    seen.feed(page)
    assert len(seen.found) > 10
    for tag, attributes in seen.found:
        assert tag not in ("script", "iframe", "object", "embed", "form", "base", "link"), tag
        for name, value in attributes:
            assert not name.startswith("on"), (tag, name)
            if name in ("href", "src", "xlink:href", "action"):
                allowed = ("#", "https://arxiv.org/", "https://doi.org/", *PICTURES)
                assert (value or "").startswith(allowed), (tag, name, value)


class Elements(HTMLParser):
    """Every element of a page with its attributes, as a browser would take them."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, attrs))


def test_markup_in_every_text_is_shown_as_text_on_the_terminal(scripted, capsys):
    from chymist.cli import execute

    where = ["--lab", str(scripted.folder.parents[1])]
    assert execute(["show", scripted.id, *where]) == 0
    assert "[/b]" in "".join(capsys.readouterr().out.split())
    assert execute(["runs", *where]) == 0


def test_a_figure_that_is_none_is_damage_in_python_too(sealed, tmp_path):
    run = copied(sealed.folder, tmp_path / "lab")
    hostile.FIGURES["no specification"](run, tmp_path)
    with pytest.raises(DamagedRun, match="a figure cannot be read"):
        _ = chymist.Run.open(run).figures
