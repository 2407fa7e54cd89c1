"""The care of a lab: verify, rebuild, gc."""

import json
import os
import time

import pytest
from run_folders import manifest_of, reseal

import chymist
from chymist.cli import execute
from chymist.files import sha256
from chymist.lab.lab import new_id


@pytest.fixture
def sealed(lab, tiny):
    return chymist.run(tiny)


@pytest.fixture
def unfinished(lab, tiny):
    """A run as a kill leaves it: a plan, one sealed chunk, one unsealed, one half-written file."""
    folder = chymist.run(tiny).folder
    for name in ("run.json", "verdicts.json", "figures/means.json"):
        (folder / name).unlink()
    (folder / "chunks" / "0001.means.control.json").unlink()
    (folder / "chunks" / ".0001.means.control.nc.ab12.tmp").write_bytes(b"half")
    return folder


def age(path, seconds=10_000):
    then = time.time() - seconds
    for one in [*path.rglob("*"), path] if path.is_dir() else [path]:
        os.utime(one, (then, then))


def verify(capsys, *words, code=0):
    assert execute(["lab", "verify", *map(str, words)]) == code
    return capsys.readouterr().out


def test_a_sound_lab_verifies(sealed, capsys):
    assert "1 run, 9 files" in verify(capsys)
    assert "no damage" in verify(capsys, "latest")
    [record] = json.loads(verify(capsys, "--json"))
    assert record["sound"] and record["state"] == "sealed" and record["findings"] == []


def test_an_empty_lab_verifies(lab, capsys):
    assert "0 runs" in verify(capsys)
    assert not lab.exists()


def test_every_damaged_file_is_named_with_its_digests_and_a_remedy(sealed, tiny, capsys):
    other = chymist.run(tiny)
    chunk = sealed.folder / "chunks" / "0001.means.control.nc"
    chunk.write_bytes(chunk.read_bytes()[:-1])
    (sealed.folder / "figures" / "means.json").unlink()
    out = verify(capsys, code=6)
    assert "1 of the runs cannot be relied on" in out
    assert f"run {sealed.id}: figures/means.json is missing" in out
    assert f"run it again: chymist run {tiny}" in out
    assert other.id not in out
    record = next(r for r in json.loads(verify(capsys, "--json", code=6)) if r["run"] == sealed.id)
    found = {f["file"]: f for f in record["findings"]}
    assert (
        found["chunks/0001.means.control.nc"]["expected"]
        == sealed.manifest["files"]["chunks/0001.means.control.nc"]
    )
    assert found["chunks/0001.means.control.nc"]["found"] == sha256(chunk)
    assert verify(capsys, other.id)


def test_a_damaged_manifest_and_a_lost_one(sealed, tiny, capsys):
    path = sealed.folder / "run.json"
    text = path.read_text()
    path.write_text(text.replace("supported", "Supported", 1))
    assert "run.json was altered" in verify(capsys, sealed.id, code=6)
    path.unlink()
    assert "run.json is missing" in verify(capsys)
    again = chymist.Lab().resume(sealed.id).manifest["files"]
    assert {**again, "log.jsonl": ""} == {**sealed.manifest["files"], "log.jsonl": ""}
    assert "no damage" in verify(capsys, sealed.id)


def test_a_newer_format_is_not_called_damaged(sealed, capsys, refused):
    reseal(sealed.folder, {**manifest_of(sealed.folder), "format": 4})
    out = verify(capsys, code=6)
    assert out.startswith("newer format: ")
    assert "upgrade chymist" in out
    assert "upgrade chymist" in refused("show", sealed.id, code=6)
    assert execute(["runs"]) == 0
    printed = capsys.readouterr()
    assert "newer format" in printed.out
    assert "upgrade chymist" in printed.err


def test_a_run_of_version_0_1_0_still_opens(sealed, capsys):
    """Format 1 had no seal of its own."""
    manifest = {**manifest_of(sealed.folder), "format": 1}
    (sealed.folder / "run.json").write_text(json.dumps(manifest, indent=1))
    assert "no damage" in verify(capsys)
    assert chymist.Lab().open(sealed.id).status == "supported"
    # Format 2 without a seal is no format.
    (sealed.folder / "run.json").write_text(json.dumps({**manifest, "format": 2}, indent=1))
    assert "its seal is missing" in verify(capsys, code=6)


def test_the_seal_can_be_checked_with_standard_tools(sealed):
    import hashlib

    *body, last, end = (sealed.folder / "run.json").read_bytes().splitlines(keepends=True)
    assert json.loads(b"{" + last + end)["seal"] == hashlib.sha256(b"".join(body)).hexdigest()


def test_an_unfinished_run_is_checked_by_chunks(unfinished, capsys):
    [record] = json.loads(verify(capsys, "--json"))
    assert record["state"] == "unfinished"
    assert [(f["kind"], f["file"]) for f in record["findings"]] == [
        ("unsealed", "chunks/0001.means.control.nc"),
        ("left-over", "chunks/.0001.means.control.nc.ab12.tmp"),
    ]
    assert f"chymist resume {unfinished.name}" in verify(capsys, unfinished.name)
    (unfinished / "chunks" / "0000.means.treatment.nc").write_bytes(b"DATA" * 9)
    out = verify(capsys, code=6)
    assert "0000.means.treatment.nc was altered" in out
    (unfinished / "chunks" / "0000.means.treatment.nc").unlink()
    assert "0000.means.treatment.nc is missing" in verify(capsys, code=6)
    (unfinished / "chunks" / "0000.means.treatment.json").write_text("{}")
    assert "0000.means.treatment.json gives no digest" in verify(capsys, code=6)


def test_what_nothing_names_is_named_and_does_no_harm(sealed, capsys):
    (sealed.folder / "notes\x1b[2J.txt").write_text("mine")
    out = verify(capsys)
    assert "unlisted" in out
    assert "\x1b" not in out


def test_gc_lists_and_asks(sealed, unfinished, capsys):
    half = sealed.folder / ".run.json.cd34.tmp"
    half.write_bytes(b"half")
    other = unfinished / "chunks" / ".0001.means.control.nc.ab12.tmp"
    age(half)
    age(other)
    before = sorted(sealed.folder.parent.rglob("*"))
    assert execute(["lab", "gc"]) == 0
    printed = capsys.readouterr()
    assert set(printed.out.split()) == {str(half), str(other)}
    assert "--yes removes them" in printed.err
    assert sorted(sealed.folder.parent.rglob("*")) == before
    assert execute(["lab", "gc", "--yes"]) == 0
    assert "removed 2 things" in capsys.readouterr().err
    assert sorted(sealed.folder.parent.rglob("*")) == [p for p in before if p not in (half, other)]


def test_gc_keeps_what_may_be_in_use(sealed, unfinished, capsys):
    assert execute(["lab", "gc", "--unfinished", "--yes"]) == 0
    printed = capsys.readouterr()
    assert "may still be running" in printed.err
    assert "nothing to remove" in printed.err
    assert unfinished.is_dir()


def test_gc_removes_unfinished_runs_only_on_demand_and_never_a_sealed_one(
    sealed, unfinished, capsys
):
    computed = unfinished.parent / new_id()
    computed.mkdir()
    for name in ("plan.json", "verdicts.json"):
        (computed / name).write_text("{}")
    broken = unfinished.parent / new_id()
    broken.mkdir()
    (broken / "run.json").write_text("{")
    for folder in (sealed.folder, unfinished, computed, broken):
        age(folder)
    assert execute(["lab", "gc", "--yes"]) == 0
    assert unfinished.is_dir()
    assert execute(["lab", "gc", "--unfinished", "--yes"]) == 0
    printed = capsys.readouterr()
    assert not unfinished.exists()
    assert f"kept {computed}" in printed.err
    assert {f.name for f in computed.parent.iterdir()} == {sealed.id, computed.name, broken.name}


def test_gc_does_not_follow_links(sealed, tmp_path, capsys):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / ".a.tmp").write_text("mine")
    age(outside)
    (sealed.folder / "chunks" / "link").symlink_to(outside)
    (sealed.folder.parent / new_id()).symlink_to(outside)
    assert execute(["lab", "gc", "--unfinished", "--yes"]) == 0
    assert (outside / ".a.tmp").exists()


def test_a_run_sealed_while_it_is_cleared_is_put_back(unfinished):
    from chymist.lab import Lab
    from chymist.lab.clearing import clear, left_over

    age(unfinished)
    found = left_over(Lab(), unfinished=True)
    (unfinished / "run.json").write_text("{}")
    assert clear(Lab(), found) == 0
    assert (unfinished / "run.json").exists()


def test_rebuild_counts(sealed, capsys, lab):
    (lab / "index.sqlite").write_bytes(b"nonsense")
    assert execute(["lab", "rebuild"]) == 0
    assert "1 run in" in capsys.readouterr().err
    assert execute(["runs"]) == 0
    assert sealed.id in capsys.readouterr().out
