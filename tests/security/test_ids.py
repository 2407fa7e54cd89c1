"""Whatever is asked for as a run, no file outside the lab is opened."""

import os
import random
import sys
from pathlib import Path

import pytest

import chymist
from chymist.errors import ChymistError, UnknownRun
from chymist.lab import Lab

TINY = Path(__file__).parents[1] / "studies" / "tiny.py"
PIECES = [
    *("..", "/", "\\", "%2e%2e", "%2f", "\x00", "~", "$HOME", "CON", "NUL", "/dev/zero", "file://"),
    *("?", "#", "run.json", "secret", "*", "[a-z]", "\u202e", "\ud800", "é", " ", "\n", "-", "."),
    *(
        "latest",
        "tiny",
        ";",
        "|",
        "'",
        '"',
        "{}",
        "0" * 26,
        "z" * 26,
        "index.sqlite",
        "/etc/passwd",
    ),
]


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Collect every path that this process opens, while asked to."""
    seen, on = [], [False]

    def watch(event, given):
        if on[0] and event == "open" and isinstance(given[0], str | bytes | os.PathLike):
            seen.append(Path(os.fsdecode(given[0])).resolve())
        elif on[0] and event in ("sqlite3.connect", "os.scandir", "os.listdir"):
            seen.append(Path(os.fsdecode(given[0])).resolve() if given[0] != ":memory:" else None)

    sys.addaudithook(watch)  # cannot be removed: it is switched off instead

    def during(work):
        seen.clear()
        on[0] = True
        try:
            work()
        finally:
            on[0] = False
        return [path for path in seen if path is not None]

    return during


def fuzzed(number, ids):
    chance = random.Random(1)
    for _ in range(number):
        words = [
            chance.choice([*PIECES, *ids, *(i[:9] for i in ids)])
            for _ in range(chance.randint(1, 5))
        ]
        yield "".join(words)


def test_two_thousand_ids_open_nothing_outside_the_lab(tmp_path, opened):
    lab = tmp_path / "lab"
    sealed = chymist.run(TINY, lab=lab)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "run.json").write_text("{}")
    ours = (sys.prefix, sys.base_prefix, Path(chymist.__file__).parent, "/proc")
    outside = [Path(place).resolve() for place in ours]
    found = 0
    # Beside what is made of pieces, each piece by itself.
    for name in [*PIECES, *fuzzed(2000, [sealed.id])]:

        def ask(name=name):
            nonlocal found
            try:
                assert Lab(lab).open(name).id == sealed.id
                found += 1
            except UnknownRun as error:
                assert "\n" not in str(error)
            except ChymistError as error:
                raise AssertionError(f"{name!r}: {error}") from error

        for path in opened(ask):
            inside = path == lab or lab in path.parents
            assert inside or any(o in path.parents for o in outside), (name, path)
    assert found > 10


def test_the_watch_sees(tmp_path, opened):
    (tmp_path / "a").write_text("b")
    assert (tmp_path / "a").resolve() in opened(lambda: (tmp_path / "a").read_text())


def test_a_link_among_the_runs_is_no_run(tmp_path, opened):
    sealed = chymist.run(TINY, lab=tmp_path / "elsewhere")
    lab = tmp_path / "lab"
    (lab / "runs").mkdir(parents=True)
    (lab / "runs" / sealed.id).symlink_to(sealed.folder)

    def ask():
        with pytest.raises(UnknownRun):
            Lab(lab).open(sealed.id)

    assert not [p for p in opened(ask) if tmp_path / "elsewhere" in p.parents]
