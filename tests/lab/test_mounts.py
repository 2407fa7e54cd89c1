"""File systems that other machines serve: no lock can be relied on there, and that is said."""

import re

import pytest

import chymist
from chymist.cli import execute
from chymist.lab import Lab, mounts

LINES = """\
/dev/sdb {0}/far/near xfs rw 0 0
/dev/vda / ext4 rw 0 0
tmpfs {0} tmpfs rw 0 0
server:/labs {0}/far nfs4 rw,vers=4.2 0 0
me@server:/ {0}/far/with\\040space fuse.sshfs rw 0 0
host {0}/farther 9p rw 0 0
"""


@pytest.fixture
def served(tmp_path, monkeypatch):
    """Say that parts of a folder are mounted from elsewhere."""
    table = tmp_path / "mounts"
    table.write_text(LINES.format(tmp_path))
    monkeypatch.setattr(mounts, "MOUNTS", table)
    return tmp_path


@pytest.mark.parametrize(
    ("place", "system"),
    [
        ("", ""),
        ("far", "nfs4"),
        ("far/away/from/here", "nfs4"),
        ("far/with space/lab", "fuse.sshfs"),
        ("far/near/lab", ""),
        ("farther", "9p"),
        ("fare", ""),
    ],
)
def test_the_nearest_mount_decides(served, place, system):
    assert mounts.shared_system(served / place) == system


def test_a_system_without_a_table_of_mounts_tells_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(mounts, "MOUNTS", tmp_path / "none")
    assert mounts.shared_system(tmp_path) == ""


def test_a_run_on_a_network_file_system_is_warned_of_once(served, tiny, capsys):
    lab = served / "far" / "lab"
    assert execute(["run", str(tiny), "--lab", str(lab)]) == 0
    warnings = [
        line for line in capsys.readouterr().err.splitlines() if "network file system" in line
    ]
    folder = Lab(lab).find()
    assert warnings == [
        f"chymist: {folder} is on a network file system (nfs4), where a lock may not keep out "
        "other machines: compute a run on one machine at a time, or name a folder on a local disk "
        "with --lab"
    ]
    assert execute(["run", str(tiny), "--lab", str(served / "lab")]) == 0
    assert "network file system" not in capsys.readouterr().err


def test_the_index_shares_no_memory_over_a_network(served, tiny):
    import sqlite3
    from contextlib import closing

    for place, journal in (("far/lab", "delete"), ("lab", "wal")):
        chymist.run(tiny, lab=served / place)
        assert len(Lab(served / place).listing()) == 1
        with closing(sqlite3.connect(served / place / "index.sqlite")) as db:
            assert db.execute("PRAGMA journal_mode").fetchone() == (journal,)


@pytest.fixture
def in_read_only(spare, tmp_path, monkeypatch, pair):
    """A lab of two runs, one unfinished, in folders that may only be read; commands for it."""
    monkeypatch.chdir(tmp_path)
    lab = tmp_path / "lab"
    done = chymist.run(pair, lab=lab, width=(4,))

    def observe(event):
        if event.sealed == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        chymist.run(pair, lab=lab, observe=observe)
    unfinished = Lab(lab).find()
    folders = [lab, *(p for p in lab.rglob("*") if p.is_dir())]
    for folder in folders:
        for file in folder.iterdir():
            file.chmod(0o555 if file.is_dir() else 0o444)
    lab.chmod(0o555)

    def call(*words):
        process = spare.start(*words, "--lab", lab, call="forked_calls:as_others")
        return process.wait(), *process.communicate()

    yield call, done.id, unfinished.name, lab
    for folder in folders:
        folder.chmod(0o755)


def test_a_read_only_lab_is_read(in_read_only):
    call, done, unfinished, _ = in_read_only
    for words in (
        ["runs", "--json"],
        ["show", done],
        ["show", unfinished],
        ["replay", done],
        ["export", done, "--csv"],
        ["cite", done],
        ["lab", "verify", done],
        ["lab", "rebuild"],
    ):
        code, out, err = call(*words)
        assert (words, code) == (words, 0), err
        assert out or words[0] == "export" or words[1] == "rebuild"


def test_what_would_write_a_read_only_lab_is_one_line(in_read_only, pair):
    call, done, unfinished, lab = in_read_only
    before = sorted(lab.rglob("*"))
    for words in (["run", pair], ["resume", unfinished], ["resume", done], ["report", done]):
        code, out, err = call(*words)
        assert (words, code) == (words, 7), err
        assert out == ""
        said = r"chymist: cannot write \S+: Permission denied \(name a folder .* with --lab\)\n"
        assert re.fullmatch(said, err)
    assert sorted(lab.rglob("*")) == before
