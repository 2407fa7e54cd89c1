"""Whatever address is asked for, no file outside the lab and the evidence is opened."""

import os
import random
import sys
from pathlib import Path

import pytest
from web_server import ROOT

import chymist
from chymist.web.app import routes

PIECES = [
    *("..", "/", "\\", "%2e%2e", "%2f", "%5c", "%00", "~", "$HOME", "CON", "NUL", "file:", "//"),
    *(
        "?",
        "#",
        "run.json",
        "secret",
        "*",
        "%u002e",
        "é",
        "%e2%80%ae",
        "%ed%a0%80",
        " ",
        "%0a",
        "-",
    ),
    *(".", "-", "latest", "tiny", ";", "|", "'", '"', "{}", "0" * 26, "z" * 26, "index.sqlite"),
    *(
        ".svg",
        "etc/passwd",
        "quick",
        "formulas",
        "early",
        "events",
        "web.css",
        "log.jsonl",
        "%25",
        "%252e",
    ),
]
DIRECTED = [
    f"{stem}{way}{place}"
    for stem in ("/runs/", "/evidence/", "/static/", "/studies/")
    for way in ("../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..\\", "../../", "x/../../", "%2f")
    for place in ("secret", "secret/log.jsonl", "run.json", "secret/quick/formulas.svg")
]
OPENING = ("open", "sqlite3.connect", "os.scandir", "os.listdir")


@pytest.fixture(scope="module")
def opened():
    """Collect every path that this process opens, while asked to."""
    seen, on = [], [False]

    def watch(event, given):
        path = given[0] if on[0] and event in OPENING else None
        if isinstance(path, str | bytes | os.PathLike) and path != ":memory:":
            seen.append(Path(os.fsdecode(path)).resolve())

    sys.addaudithook(watch)  # cannot be removed: it is switched off instead

    def during(work):
        seen.clear()
        on[0] = True
        try:
            work()
        finally:
            on[0] = False
        return list(seen)

    return during


def addresses(number, known):
    """Yield addresses of every route's shape, with nonsense where an id or a name belongs."""
    chance = random.Random(1)
    stems = sorted({route.path.partition("{")[0] for route in routes()})
    for _ in range(number):
        words = chance.choices([*PIECES, *known, *(k[:9] for k in known)], k=chance.randint(1, 5))
        yield chance.choice([*stems, "/"]) + "".join(words)


def test_two_thousand_addresses_open_nothing_outside(laboratory, opened):
    lab = laboratory.house.reading.lab.folder.resolve()
    secret = lab.parent / "secret"
    secret.mkdir(exist_ok=True)
    (secret / "run.json").write_text("{}")
    (lab.parent / "run.json").write_text("{}")
    known = [laboratory.house.sealed, laboratory.house.begun]
    places = [lab, ROOT / "docs" / "evidence", Path(chymist.__file__).parent, Path("/proc")]
    places += [Path(place).resolve() for place in (sys.prefix, sys.base_prefix)]
    statuses = []
    pieces = [f"/{piece}" for piece in PIECES] + [f"/runs/{piece}" for piece in PIECES]
    good_ones = known_addresses(laboratory.house)
    for target in [*pieces, *DIRECTED, *addresses(2000, known)]:

        def ask(target=target):
            answer = laboratory("GET", target)
            statuses.append(answer.status)
            # What a query or a fragment hides from the path is not asked for.
            bare = target.partition("?")[0]
            good = bare.rstrip("/") in good_ones
            assert answer.status == 404 or (answer.status < 500 and good), (target, answer.status)
            assert "Traceback" not in answer.text

        for path in opened(ask):
            inside = any(place == path or place in path.parents for place in places)
            assert inside, (target, path)
    assert statuses.count(404) > 1900


def known_addresses(house):
    runs = [f"/runs/{run}" for run in (house.sealed, house.begun)]
    more = [
        f"{run}/{what}" for run in runs for what in ("early", "events", "log.jsonl", "run.json")
    ]
    return {"", "/runs", "/events", "/static/web.css", "/studies/tiny", *runs, *more}


def test_the_watch_sees(laboratory, opened):
    target = f"/runs/{laboratory.house.sealed}/log.jsonl"
    folder = (laboratory.house.reading.lab.runs_folder / laboratory.house.sealed).resolve()
    assert folder / "log.jsonl" in opened(lambda: laboratory("GET", target))


def test_a_link_among_the_runs_is_no_run(laboratory, tmp_path, opened):
    lab = laboratory.house.reading.lab
    name = laboratory.house.sealed[:-1] + ("0" if laboratory.house.sealed[-1] != "0" else "1")
    there = lab.runs_folder / name
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "run.json").write_text("{}")
    there.symlink_to(tmp_path / "elsewhere")
    try:
        paths = opened(lambda: laboratory("GET", f"/runs/{name}"))
        assert laboratory("GET", f"/runs/{name}").status == 404
        assert not [path for path in paths if tmp_path / "elsewhere" in path.parents]
    finally:
        there.unlink()


def test_an_address_that_ends_in_a_line_break_is_another(laboratory):
    assert laboratory("GET", f"/runs/{laboratory.house.sealed}").status == 200
    assert laboratory("GET", f"/runs/{laboratory.house.sealed}%0a").status == 404
    assert laboratory("GET", f"/runs/{laboratory.house.sealed}/").status == 404
