"""The index is a cache: whatever becomes of it, listings show what the folder holds."""

import json
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from run_folders import copied, manifest_of, reseal

import chymist
from chymist.cli import execute
from chymist.lab import Lab, runner
from chymist.lab.lab import new_id
from chymist.lab.listed import COLUMNS
from chymist.lab.verify import verify

TINY = Path(__file__).parents[1] / "studies" / "tiny.py"


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    return chymist.run(TINY, lab=tmp_path_factory.mktemp("lab"))


def add(sealed, lab, **changes):
    folder = copied(sealed.folder, lab, new_id())
    reseal(folder, {**manifest_of(folder), **changes})
    return folder


@pytest.fixture
def five(sealed, tmp_path):
    """A lab of five runs, the numbers of which say how they differ."""
    lab = tmp_path / "five"
    verdicts = ("supported", "refuted", "supported", "inconclusive", "supported")
    ids = []
    for number, verdict in enumerate(verdicts):
        study = {**sealed.manifest["study"], "slug": f"study-{number % 2}"}
        ids.append(add(sealed, lab, verdict=verdict, seconds=number / 4, study=study).name)
        time.sleep(0.002)  # ids sort by the millisecond
    return lab, ids


def listed(lab, **options):
    return [row.id for row in Lab(lab).listing(**options)]


def test_sorting_filters_and_pages(five):
    lab, ids = five
    assert listed(lab) == ids[::-1]
    assert listed(lab, reverse=True) == ids
    assert listed(lab, sort="seconds", limit=2) == [ids[4], ids[3]]
    assert listed(lab, sort="seconds", limit=2, offset=2) == [ids[2], ids[1]]
    assert listed(lab, verdict="supported") == [ids[4], ids[2], ids[0]]
    assert listed(lab, study="study-1", verdict="refuted") == [ids[1]]
    assert listed(lab, sort="study") == [ids[4], ids[2], ids[0], ids[3], ids[1]]
    assert listed(lab, sort="study", reverse=True) == listed(lab, sort="study")[::-1]
    with pytest.raises(ValueError, match="no column"):
        listed(lab, sort="id; DROP TABLE runs")


def test_every_column_is_sorted_by_an_index(five):
    lab, _ = five
    listed(lab)
    with closing(sqlite3.connect(lab / "index.sqlite")) as db:
        for column in COLUMNS:
            plan = db.execute(
                f"EXPLAIN QUERY PLAN SELECT * FROM runs ORDER BY {column} LIMIT 50"
            ).fetchall()
            assert "USING INDEX" in plan[0][3], (column, plan)


def test_a_page_seen_just_before_is_not_looked_for_again(five, sealed):
    lab, _ = five
    home = Lab(lab)
    assert len(home.listing(within=60)) == 5
    new = add(sealed, lab).name
    assert len(home.listing(within=60)) == 5
    assert home.listing()[0].id == new
    assert len(home.listing(within=60)) == 6


def test_runs_that_come_go_and_change(five, sealed):
    lab, ids = five
    listed(lab)
    new = add(sealed, lab).name
    shutil.rmtree(lab / "runs" / ids[0])
    reseal(lab / "runs" / ids[1], {**manifest_of(lab / "runs" / ids[1]), "verdict": "broken"})
    assert listed(lab) == [new, *ids[:0:-1]]
    assert listed(lab, verdict="broken") == [ids[1]]


def test_what_is_no_run_is_not_listed(five, sealed, tmp_path):
    lab, ids = five
    begun = lab / "runs" / new_id()
    (begun / "chunks").mkdir(parents=True)
    (lab / "runs" / "notes").mkdir()
    (lab / "runs" / new_id()).write_text("a file")
    (lab / "runs" / new_id()).symlink_to(sealed.folder)
    assert listed(lab) == ids[::-1]


def test_an_unfinished_and_a_damaged_run_are_listed_as_such(five):
    lab, ids = five
    plan = lab / "runs" / new_id() / "plan.json"
    plan.parent.mkdir()
    plan.write_text(json.dumps({"study": {"slug": "tiny"}, "preset": "quick"}))
    (lab / "runs" / ids[0] / "run.json").unlink()
    manifest = lab / "runs" / ids[1] / "run.json"
    manifest.write_bytes(manifest.read_bytes()[:-1])
    newer = lab / "runs" / ids[2]
    reseal(newer, {**manifest_of(newer), "format": 4})
    rows = {row.id: row for row in Lab(lab).listing()}
    assert (rows[plan.parent.name].verdict, rows[plan.parent.name].study) == ("unfinished", "tiny")
    # Nothing vouches for it: it is as unfinished as the moment before it was sealed.
    assert rows[ids[0]].verdict == "unfinished"
    assert rows[ids[1]].verdict == "damaged"
    assert rows[ids[2]].verdict == "newer format"
    assert "upgrade chymist" in rows[ids[2]].note
    assert rows[ids[4]].verdict == "supported"
    # Without a sound plan, two sealed, of a newer version, cut, without its manifest.
    assert [m.get("status") for m in Lab(lab).manifests()] == [
        "damaged",
        "sealed",
        "sealed",
        "newer format",
        "damaged",
        "unfinished",
    ]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_harmed_index_changes_no_listing(five, data):
    lab, ids = five
    file = lab / "index.sqlite"
    Lab(lab).index.rebuild()
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(file.read_bytes())
    harm = data.draw(st.sampled_from(["flip", "truncate", "overwrite", "remove"]))
    place = data.draw(st.integers(0, len(content) - 1))
    if harm == "flip":
        content[place] ^= 1 << data.draw(st.integers(0, 7))
        file.write_bytes(content)
    elif harm == "truncate":
        file.write_bytes(content[:place])
    elif harm == "overwrite":
        content[place : place + 512] = data.draw(st.binary(min_size=512, max_size=512))
        file.write_bytes(content)
    else:
        file.unlink()
    home = Lab(lab)
    assert [row.id for row in home.listing(sort="seconds")] == ids[::-1]
    assert [row.id for row in home.listing(verdict="supported")] == [ids[4], ids[2], ids[0]]
    assert [m["id"] for m in home.manifests()] == ids[::-1]
    assert [m["seconds"] for m in home.manifests()] == [1.0, 0.75, 0.5, 0.25, 0.0]


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"refuted", b"refutee"), (b"study-1", b"study-0"), (b'"seconds": 0.75', b'"seconds": 9.75')],
)
def test_a_letter_changed_in_the_index_is_not_listed(five, old, new):
    lab, _ = five
    with closing(sqlite3.connect(lab / "index.sqlite")) as db:
        assert Lab(lab).listing()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = (lab / "index.sqlite").read_bytes()
    assert old in content
    (lab / "index.sqlite").write_bytes(content.replace(old, new))
    home = Lab(lab)
    assert [row.verdict for row in home.listing()].count("refuted") == 1
    assert [row.study for row in home.listing()].count("study-1") == 2
    assert [m["seconds"] for m in home.manifests()] == [1.0, 0.75, 0.5, 0.25, 0.0]


def test_an_index_of_another_lab_is_not_believed(five, sealed, tmp_path):
    lab, ids = five
    other = tmp_path / "other"
    mine = add(sealed, other).name
    listed(lab), listed(other)
    with closing(sqlite3.connect(lab / "index.sqlite")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(lab / "index.sqlite", other / "index.sqlite")
    assert listed(other) == [mine]
    # A copied lab may have runs of the same id with other content.
    moved = tmp_path / "moved"
    shutil.copytree(lab, moved)
    folder = moved / "runs" / ids[0]
    reseal(folder, {**manifest_of(folder), "verdict": "broken"})
    assert listed(moved, verdict="broken") == [ids[0]]


def test_another_programs_database_is_replaced_and_one_of_triggers_too(five):
    lab, ids = five
    for statement in ("CREATE TABLE runs (id, study)", "CREATE TABLE mine (x)"):
        (lab / "index.sqlite").unlink(missing_ok=True)
        with closing(sqlite3.connect(lab / "index.sqlite")) as db:
            db.execute(statement)
        assert listed(lab) == ids[::-1]
    with closing(sqlite3.connect(lab / "index.sqlite")) as db:
        db.execute("CREATE TRIGGER t AFTER DELETE ON runs BEGIN DELETE FROM runs; END")
        db.commit()
    shutil.rmtree(lab / "runs" / ids[0])
    assert listed(lab) == ids[:0:-1]


def test_a_link_in_the_index_place_is_not_followed(five, tmp_path):
    lab, ids = five
    mine = tmp_path / "mine.sqlite"
    with closing(sqlite3.connect(mine)) as db:
        db.execute("CREATE TABLE mine (x)")
        db.commit()
    before = mine.read_bytes()
    (lab / "index.sqlite").unlink(missing_ok=True)
    (lab / "index.sqlite").symlink_to(mine)
    assert listed(lab) == ids[::-1]
    assert mine.read_bytes() == before
    (lab / "index.sqlite").unlink()
    (lab / "index.sqlite").symlink_to(tmp_path / "nothing")
    assert listed(lab) == ids[::-1]
    assert not (tmp_path / "nothing").exists()


def test_a_lab_that_cannot_be_written_still_lists(five, monkeypatch):
    lab, ids = five
    # Not by permissions: the tests may run as root, which writes everywhere.
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert listed(lab) == ids[::-1]
    assert not (lab / "index.sqlite").exists()


@pytest.mark.parametrize("words", ["database or disk is full", "disk I/O error"])
def test_a_disk_that_refuses_the_index_still_lists(five, monkeypatch, words):
    lab, ids = five

    def refuse(db):
        error = sqlite3.OperationalError(words)
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr("chymist.lab.index._check", refuse)
    assert listed(lab) == ids[::-1]


def test_a_locked_index_delays_a_listing_by_less_than_a_second(five, sealed):
    lab, ids = five
    listed(lab)
    new = add(sealed, lab).name
    with closing(sqlite3.connect(lab / "index.sqlite", isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        begun = time.perf_counter()
        assert listed(lab) == [new, *ids[::-1]]
        assert time.perf_counter() - begun < 2
    assert (lab / "index.sqlite").is_file()


def test_a_lab_without_runs_gets_no_index(tmp_path, capsys):
    assert execute(["runs", "--lab", str(tmp_path / "none")]) == 0
    assert "no runs in" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", [25, pytest.param(200, marks=pytest.mark.slow)])
def test_two_processes_list_while_four_write(spare, sealed, tmp_path, count):
    lab, stop = tmp_path / "lab", tmp_path / "stop"
    (lab / "runs").mkdir(parents=True)

    readers = [spare.start(lab, stop, call="forked_calls:list_runs") for _ in range(2)]
    words, call = (sealed.folder, lab / "runs", count), "forked_calls:write_runs"
    writers = [spare.start(*words, call=call) for _ in range(4)]
    written = []
    for writer in writers:
        out, err = writer.communicate(timeout=300)
        assert writer.returncode == 0, err
        written += out.split()
    stop.touch()
    for reader in readers:
        out, err = reader.communicate(timeout=300)
        assert reader.returncode == 0, err
        slowest, seen = out.split()
        assert int(seen) == 4 * count
        # One second on an idle machine; tests share theirs.
        assert float(slowest) < 5
    assert sorted(listed(lab)) == sorted(written)
    assert {row.verdict for row in Lab(lab).listing()} == {"supported"}


def made_while_listed(spare, lab, tiny, each):
    """Let four processes make runs while two list them; return their ids, and the slowest [s]."""
    stop = lab.parent / "stop"

    readers = [spare.start(lab, stop, call="forked_calls:list_runs") for _ in range(2)]
    makers = [spare.start(tiny, lab, each, call="forked_calls:make_runs") for _ in range(4)]
    made, slowest = [], 0.0
    for maker in makers:
        out, err = maker.communicate(timeout=1200)
        assert (maker.returncode, err) == (0, "")
        made += out.split()
    stop.touch()
    for reader in readers:
        out, err = reader.communicate(timeout=300)
        assert (reader.returncode, err) == (0, "")
        seconds, seen = out.split()
        assert int(seen) == 4 * each
        slowest = max(slowest, float(seconds))
    assert len(made) == len(set(made)) == 4 * each
    assert sorted(listed(lab)) == sorted(made)
    # Every file of every run, against its digest.
    assert all(verify(folder).sound for folder in Lab(lab).folders())
    return made, slowest


def test_four_processes_make_runs_while_two_list(spare, tmp_path):
    # One second on an idle machine; tests share theirs.
    assert made_while_listed(spare, tmp_path / "lab", TINY, 3)[1] < 5


@pytest.mark.slow
@pytest.mark.evidence
def test_four_processes_make_two_hundred_runs_each_while_two_list(spare, tmp_path):
    begun = time.monotonic()
    made, slowest = made_while_listed(spare, tmp_path / "lab", TINY, 200)
    print(f"{len(made)} runs in {time.monotonic() - begun:.0f} s, slowest listing {slowest:.3f} s")
    assert time.monotonic() - begun > 60
    assert slowest < 1


def test_runs_filters_sorts_and_pages(five, capsys):
    lab, ids = five

    def rows(*words):
        assert execute(["runs", "--lab", str(lab), "--json", *words]) == 0
        return [row["id"] for row in json.loads(capsys.readouterr().out)]

    assert rows() == ids[::-1]
    assert rows("--study", "study-1") == [ids[3], ids[1]]
    assert rows("--verdict", "refuted") == [ids[1]]
    assert rows("--sort", "seconds", "--reverse", "--limit", "1", "--offset", "1") == [ids[1]]
    assert execute(["runs", "--lab", str(lab), "--limit", "2"]) == 0
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 3
    assert "--offset 2 goes on" in printed.err
    assert execute(["runs", "--lab", str(lab), "--study", "study"]) == 0
    assert "did you mean study-" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--sort", "secnds"], "cannot sort by secnds (did you mean seconds?)"),
        (["--limit", "-1"], "limit cannot be -1 (allowed: integer >= 0)"),
        (["--offset", "-1"], "offset cannot be -1"),
    ],
)
def test_what_runs_cannot_do_is_one_line(lab, refused, words, line):
    assert line in refused("runs", *words)


def test_runs_are_counted_and_the_newest_of_each_study_found(lab, tiny):
    first, second = chymist.run(tiny), chymist.run(tiny)
    runner.plan(chymist.find(str(tiny)), lab=lab, name=str(tiny))
    index = Lab(lab).index
    assert (index.count(), index.count(verdict="supported"), index.count(study="none")) == (3, 2, 0)
    newest = index.newest()
    assert {slug: line.id for slug, line in newest.items()} == {"tiny": max(first.id, second.id)}
