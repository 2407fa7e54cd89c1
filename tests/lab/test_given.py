"""What a user names with --data: a folder of files, or a function of theirs."""

import hashlib

import numpy as np
import pytest
import xarray as xr

import chymist
from chymist.cli import execute
from chymist.lab import given
from chymist.lab.replay import replay

TAKES = """    input=Input("a two-column CSV", (".csv",), signal,
                folder=Source("such files, the last counts", lambda files: signal(files[-1])),
                function=Source("the path of one", lambda made: signal(made()))),
"""


@pytest.fixture
def wave(tmp_path):
    path = tmp_path / "wave.csv"
    x = np.arange(64) / 64
    rows = zip(x, np.sin(2 * np.pi * x) + np.sin(10 * np.pi * x), strict=True)
    path.write_text("\n".join(f"{a},{b}" for a, b in rows))
    return path


@pytest.fixture
def taker(variant):
    path = variant('    input=Input("a two-column CSV", (".csv",), signal),\n', TAKES)
    text = path.read_text()
    path.write_text("from chymist.study import Source\n".join(("", text)))
    return path


@pytest.fixture
def folder(tmp_path, wave):
    (tmp_path / "waves" / "b").mkdir(parents=True)
    for name in ("b/2.csv", "1.csv", ".hidden.csv", "3.txt"):
        (tmp_path / "waves" / name).write_bytes(wave.read_bytes())
    return tmp_path / "waves"


def test_the_files_of_a_folder_are_handed_over_by_name(folder):
    found = given.files_of(folder, (".csv",))
    assert [f.relative_to(folder).as_posix() for f in found] == ["1.csv", "b/2.csv"]


def test_a_folder_is_kept_and_told_by_its_files_digests(lab, taker, folder, wave):
    run = chymist.run(taker, data=folder)
    digest = hashlib.sha256(wave.read_bytes()).hexdigest()
    lines = f"{digest}  1.csv\n{digest}  b/2.csv\n"
    told = run.manifest["input"]
    assert told["name"] == "waves"
    assert told["says"] == "such files, the last counts"
    assert told["sha256"] == hashlib.sha256(lines.encode()).hexdigest()
    assert run.manifest["command"].endswith("--data waves")
    assert xr.load_dataset(run.folder / "input.nc").y.size == 63


def test_what_a_function_made_is_kept_and_it_is_not_called_again(lab, taker, tmp_path, wave):
    calls = tmp_path / "calls"
    code = tmp_path / "mine.py"
    code.write_text(
        "from pathlib import Path\n"
        "def made():\n"
        f"    with open({str(calls)!r}, 'a') as told:\n"
        "        told.write('x')\n"
        f"    return lambda: Path({str(wave)!r})\n"
    )
    run = chymist.run(taker, data=f"{code}:made")
    told = run.manifest["input"]
    assert told["name"] == "mine.py:made"
    assert told["sha256"] == hashlib.sha256((run.folder / "input.nc").read_bytes()).hexdigest()
    assert told["kept"] == told["sha256"]
    code.unlink()
    assert replay(run).same
    assert calls.read_text() == "x"


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ("mine.py:made", "no file mine.py"),
        ("nomodule:made", "no module nomodule"),
        ("json:absent", "json has no function absent"),
        ("json:dumps", "json:dumps failed in"),
        ("empty", "empty holds no file of the kinds .csv"),
    ],
)
def test_what_cannot_be_had_is_one_line(lab, taker, refused, tmp_path, data, line):
    (tmp_path / "empty").mkdir()
    assert line in refused("run", taker, "--data", data)
    assert not lab.exists()


def test_what_a_study_does_not_take_is_one_line(lab, tiny, refused, tmp_path):
    (tmp_path / "waves").mkdir()
    assert "is a folder, and tiny takes none" in refused("run", tiny, "--data", "waves")
    assert "names a function, and tiny takes none" in refused("run", tiny, "--data", "json:dumps")
    assert not lab.exists()


def test_help_and_info_say_what_is_taken(taker, capsys):
    for words in (["run", str(taker), "--help"], ["info", str(taker)]):
        execute(words)
        said = " ".join(capsys.readouterr().out.split())
        for way in ("FILE): a two-column CSV", "FOLDER): such files", "FUNCTION): the path"):
            assert way in said


def test_more_files_than_are_taken_are_refused(folder, monkeypatch):
    monkeypatch.setattr(given, "MOST", 1)
    with pytest.raises(chymist.ChymistError, match="more than 1 files"):
        given.files_of(folder, (".csv",))


def test_data_of_a_run_are_those_that_were_kept(lab, taker, folder, refused):
    chymist.run(taker, data=folder)
    kept = next(lab.rglob("input.nc"))
    kept.write_bytes(kept.read_bytes()[:-1] + b"?")
    assert "input.nc" in refused("replay", "latest", code=6)
