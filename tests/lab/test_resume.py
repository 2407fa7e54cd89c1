"""What was cut short goes on: nothing is lost, nothing is computed twice, nothing is mixed."""

import json
import os
import re
import shutil
import sys
import time

import numpy as np
import pytest

import chymist
from chymist import provenance
from chymist.cli import execute
from chymist.errors import (
    CannotResume,
    CannotWrite,
    DamagedRun,
    Interrupted,
    RunInUse,
    TooLarge,
    UnfinishedRun,
    UnknownRun,
)
from chymist.files import sha256
from chymist.lab import Lab, Run, lock, space
from chymist.lab.chunk import Chunk, Seal


def events(run):
    lines = (run.folder / "log.jsonl").read_text().splitlines()
    return [(e["event"], e.get("chunk", "")) for e in map(json.loads, lines)]


@pytest.mark.parametrize("sealed", [0, 5, 7])
def test_a_resumed_run_equals_the_uninterrupted_one(cut, pair, found, sealed):
    whole = chymist.run(pair)
    unfinished = cut(sealed)
    assert (unfinished.status, unfinished.progress) == ("unfinished", (sealed, 8))
    done = chymist.resume()
    assert done.id == unfinished.id
    assert done.sealed
    assert found(done) == found(whole)
    kinds = [kind for kind, _ in events(done)]
    assert kinds.count("sealed") == 8
    assert kinds.count("resumed") == 1
    assert len({chunk for kind, chunk in events(done) if kind == "sealed"}) == 8


def test_an_interrupted_run_says_how_to_go_on(lab, variant, capsys):
    path = variant('mean = values.mean("sample")', "raise KeyboardInterrupt")
    assert execute(["run", str(path)]) == 130
    [folder] = (lab / "runs").iterdir()
    line = capsys.readouterr().err
    assert line == (
        "chymist: interrupted: 0 of 2 chunks are kept "
        f"(to continue: chymist resume {folder.name})\n"
    )


def test_the_command_to_resume_names_the_lab(tmp_path, tiny, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def observe(event):
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=r"chymist resume \w{26} --lab elsewhere"):
        chymist.run(tiny, lab="elsewhere", observe=observe)


def test_an_early_look_is_marked_as_such(cut, pair, capsys):
    run = cut(5)
    whole = chymist.run(pair)
    assert list(run.verdicts) == ["first-located"]
    assert run.verdicts["first-located"] == whole.verdicts["first-located"]
    assert run.data["first"].to_dataset().equals(whole.data["first"].to_dataset())
    assert "second" not in run.data
    assert "pair: unfinished, 5 of 8 chunks; verdicts are provisional; first-located" in repr(run)
    assert "verdicts are provisional" in run._repr_html_()
    assert execute(["show", run.id]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "first-located" in out
    assert "second-located" not in out
    assert f"an early look, provisional: 5 of 8 chunks (chymist resume {run.id}" in out
    assert execute(["show", run.id, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["status"], record["provisional"]) == ("unfinished", True)
    assert record["chunks"] == {"sealed": 5, "of": 8}


def test_an_early_look_that_was_altered_is_not_shown(cut):
    run = cut(5)
    path = run.folder / "early.json"
    path.write_text(path.read_text().replace("supported", "refuted"))
    assert Run.open(run.folder).verdicts == {}


def test_the_list_shows_unfinished_runs(cut, capsys):
    run = cut(3)
    assert execute(["runs"]) == 0
    assert "… 3 of 8 chunks" in capsys.readouterr().out
    assert execute(["runs", "--json"]) == 0
    [record] = json.loads(capsys.readouterr().out)
    assert (record["id"], record["verdict"]) == (run.id, "unfinished")
    assert record["chunks"] == {"sealed": 3, "of": 8}


@pytest.mark.parametrize("verb", [["report"], ["export", "--csv"], ["cite"]])
def test_what_needs_a_finished_run_says_so(cut, refused, verb):
    run = cut(3)
    said = refused(verb[0], run.id, *verb[1:])
    assert said == (
        f"run {run.id} is unfinished: 3 of 8 chunks (chymist resume {run.id} continues it)"
    )
    with pytest.raises(UnfinishedRun):
        chymist.write_report(run)


def test_a_sealed_run_is_returned_as_it_is(lab, tiny, refused):
    run = chymist.run(tiny)
    before = (run.folder / "log.jsonl").read_bytes()
    assert Lab().resume(run.id).id == run.id
    assert (run.folder / "log.jsonl").read_bytes() == before
    with pytest.raises(UnknownRun, match="no unfinished run"):
        chymist.resume()


def test_latest_means_the_newest_unfinished_run(cut, tiny):
    unfinished = cut(2)
    chymist.run(tiny)
    assert chymist.resume().id == unfinished.id


def harmed(path, how):
    if how == "removed":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content[: -10 if how == "cut" else None])


@pytest.mark.parametrize("how", ["flipped", "cut", "removed"])
def test_a_damaged_chunk_is_named_and_computed_again(cut, pair, found, how):
    whole = chymist.run(pair)
    run = cut(6)
    harmed(run.folder / "chunks" / "0002.first.control.nc", how)
    with pytest.raises(DamagedRun, match=r"0002\.first\.control\.nc"):
        _ = Run.open(run.folder).data
    notices = []
    done = run.resume(observe=lambda event: notices.append(event.notice))
    assert [n for n in notices if n] == [
        n for n in notices if n.startswith("chunks/0002.first.control.nc was altered")
        or n.startswith("chunks/0002.first.control.nc is missing")
    ]  # fmt: skip
    assert any(notices)
    assert found(done) == found(whole)
    again = [chunk for kind, chunk in events(done)[events(done).index(("resumed", "")) :]]
    assert again.count("0002.first.control") == 4  # damaged, computing, trained, sealed


@pytest.mark.parametrize("how", ["flipped", "cut", "removed"])
def test_a_damaged_seal_is_no_seal(cut, pair, found, how):
    whole = chymist.run(pair)
    run = cut(6)
    harmed(run.folder / "chunks" / "0002.first.control.json", how)
    assert found(run.resume()) == found(whole)


def test_an_altered_plan_is_damage(cut):
    run = cut(2)
    path = run.folder / "plan.json"
    path.write_text(path.read_text().replace('"pause": 0.0', '"pause": 1.0', 1))
    with pytest.raises(DamagedRun, match=r"plan\.json was altered"):
        Run.open(run.folder)
    with pytest.raises(DamagedRun, match=r"plan\.json was altered"):
        run.resume()
    assert [m["status"] for m in Lab().manifests()] == ["damaged"]


@pytest.mark.parametrize("name", ["../../../x", "a/b", "", "A"])
def test_a_plan_cannot_lead_out_of_its_run(cut, name):
    from chymist.lab.plan import digest

    run = cut(2)
    plan = json.loads((run.folder / "plan.json").read_text())
    plan["chunks"][5]["experiment"] = name
    (run.folder / "plan.json").write_text(json.dumps({**plan, "digest": digest(plan)}))
    with pytest.raises(DamagedRun, match=r"plan\.json cannot be read"):
        run.resume()


def test_a_changed_study_is_refused_by_name(cut, variant, refused, tmp_path):
    path = variant("unused", "not used", "mine.py")
    run = cut(1, study=path)
    path.write_text(path.read_text().replace("0.1 *", "0.2 *"))
    line = refused("resume", run.id)
    assert f"run {run.id}: mine.py has changed since then" in line
    assert f"start again: chymist run {path}" in line
    path.unlink()
    assert "mine.py is gone" in refused("resume", run.id)


def test_a_changed_version_or_source_of_chymist_is_refused_by_name(cut, monkeypatch):
    run = cut(1)
    versions = provenance.versions()
    monkeypatch.setattr(provenance, "versions", lambda: {**versions, "torch": "99.1"})
    with pytest.raises(CannotResume, match=r"version of torch \(was .*, is 99\.1\)"):
        run.resume()
    monkeypatch.undo()
    monkeypatch.setattr(provenance, "code", lambda: "another")
    with pytest.raises(CannotResume, match="source of chymist"):
        run.resume()


def test_a_changed_claim_is_refused_by_name(cut, monkeypatch):
    run = cut(1)
    monkeypatch.setattr(chymist.Claim, "digest", lambda claim: "another")
    with pytest.raises(CannotResume, match=r"claim first-located .*claim second-located"):
        run.resume()


def test_code_that_came_with_a_run_is_not_run(cut, variant):
    from chymist.lab.plan import digest

    path = variant("unused", "not used", "mine.py")
    run = cut(1, study=path)
    evil = run.folder / "evil.py"
    evil.write_text("raise SystemExit('was run')")
    plan = json.loads((run.folder / "plan.json").read_text())
    plan["address"], plan["source"]["sha256"] = "evil.py", sha256(evil)
    (run.folder / "plan.json").write_text(json.dumps({**plan, "digest": digest(plan)}))
    with pytest.raises(CannotResume, match="lies in the lab"):
        run.resume()


def test_a_study_made_by_a_program_cannot_be_resumed(cut, lab):
    from dataclasses import replace

    study = chymist.find("frequency-principle")
    assert chymist.lab.planning.address(study, "", lab) == "frequency-principle"
    assert chymist.lab.planning.address(replace(study), "", lab) == ""


def test_the_users_data_are_kept_for_the_rest(cut, tiny, tmp_path, found):
    x = np.arange(64) / 64
    wave = tmp_path / "wave.csv"
    wave.write_text("\n".join(f"{a},{np.sin(2 * np.pi * a) + np.sin(10 * np.pi * a)}" for a in x))
    whole = chymist.run(tiny, data=wave)
    run = cut(1, study=tiny, data=wave)
    wave.unlink()
    kept = (run.folder / "input.nc").read_bytes()
    harmed(run.folder / "input.nc", "flipped")
    with pytest.raises(DamagedRun, match=r"input\.nc is missing or altered"):
        run.resume()
    (run.folder / "input.nc").write_bytes(kept)
    assert found(run.resume()) == found(whole)


def test_two_processes_cannot_compute_one_run(spare, cut):
    run = cut(3)
    with lock.only_one(run.folder):
        done = spare.start("resume", run.id)
        said = done.communicate()[1]
    assert done.returncode == 2
    assert said == (
        f"chymist: run {run.id} is being computed by another process (wait for it, or end it)\n"
    )
    assert Run.open(run.folder).progress == (3, 8)


def test_the_lock_is_free_again_and_leaves_no_file_in_a_sealed_run(cut):
    run = cut(3)
    with lock.only_one(run.folder), pytest.raises(RunInUse), lock.only_one(run.folder):
        pass
    done = run.resume()
    assert not (done.folder / ".lock").exists()


def test_what_a_killed_process_left_aside_is_removed(cut):
    run = cut(3)
    for name in (".x.tmp", "chunks/.0003.nc.abc.tmp"):
        (run.folder / name).write_text("half")
    done = run.resume()
    assert [p for p in done.folder.rglob("*") if p.name.endswith(".tmp")] == []


def test_a_disk_too_small_is_known_after_the_first_chunk(lab, pair, monkeypatch, refused):
    free = shutil.disk_usage(lab.parent)._replace(free=30_000)
    monkeypatch.setattr(space.shutil, "disk_usage", lambda folder: free)
    line = refused("run", pair, code=7)
    [folder] = (lab / "runs").iterdir()
    assert re.search(r"too little space in .*; 7 of 8 chunks to come need about \d+ kB", line)
    assert "30 kB are free; 1 of 8 chunks are kept" in line
    assert line.endswith(f"(free some space, then: chymist resume {folder.name})")
    with pytest.raises(CannotWrite, match="too little space"):
        chymist.resume()
    assert Lab().open("latest").progress == (1, 8)
    monkeypatch.undo()
    assert chymist.Lab(lab).resume(folder.name).sealed


def test_a_disk_that_fills_up_keeps_what_is_sealed(spare, lab, variant, found):
    """A limit on the size of files that the first chunk fits, and the second does not."""
    every = "values.assign_coords(sample=range(p.width)).assign_attrs(mean.attrs)"
    path = variant('{"mean": mean}', f'{{"mean": mean, "values": {every}}}')
    words = ["run", path, "--width", "1,64", "--seeds", "60"]
    done = spare.start(25_000, *words, call="forked_calls:with_small_files")
    said = done.communicate()[1]
    assert done.returncode == 7, said
    [line] = said.splitlines()
    run = Lab().open()
    assert re.search(r"cannot write .*0001\.means.*; 3 of 4 chunks to come need about \d+ kB", line)
    assert line.endswith(f"1 of 4 chunks are kept (free some space, then: chymist resume {run.id})")
    assert run.progress == (1, 4)
    assert not list(run.folder.glob("chunks/.*"))
    whole = chymist.run(path, width=(1, 64), seeds=60, lab=lab.parent / "whole")
    assert found(run.resume()) == found(whole)


def test_the_space_needed_is_extrapolated_by_experiment():
    chunks = [Chunk(i, "a" if i < 2 else "b", "control", {}, {}, (0, 5)) for i in range(5)]
    assert space.needed(chunks, {}) is None
    assert space.needed(chunks, {0: Seal("", 100, 1.0)}) == 400
    assert space.needed(chunks, {0: Seal("", 100, 1.0), 2: Seal("", 10, 1.0)}) == 120


def test_runs_of_version_0_1_0_are_read(old_lab, capsys):
    run = Lab(old_lab).open("tiny")
    assert (run.status, run.sealed, run.progress) == ("supported", True, (0, 0))
    assert dict(run.data["means"]["mean"].sizes) == {"centre": 2, "width": 2, "seed": 5}
    assert run.data["control/means"]["predicted_mean"].dims == ("width", "seed")
    assert len(run.verdicts["located"].rows) == 4
    assert execute(["show", run.id, "--lab", str(old_lab)]) == 0
    assert "✓ flipped" in capsys.readouterr().out


def test_interrupting_is_quick_and_leaves_the_terminal_as_it_was(lab, pair):
    """In a pseudo-terminal: Ctrl-C while a chunk is computed."""
    pid, terminal = os.forkpty()
    if pid == 0:  # pragma: no cover
        words = ["-m", "chymist", "run", str(pair), "--pause", "60"]
        os.execv(sys.executable, [sys.executable, *words])
    seen = b""
    while b"waiting" not in seen:
        seen += os.read(terminal, 4096)
    os.write(terminal, b"\x03")
    begun = time.monotonic()
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        if not piece:
            break
        seen += piece
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert time.monotonic() - begun < 2
    assert os.waitstatus_to_exitcode(status) == 130
    said = " ".join(seen.decode().split())
    assert "0 of 8 chunks are kept (to continue: chymist resume" in said
    assert seen.rindex(b"\x1b[?25h") > seen.rindex(b"\x1b[?25l")


def test_what_was_sealed_is_kept_when_memory_runs_short_later(lab, pair, monkeypatch):
    from chymist.lab import session

    compute, done = session.compute, []

    def short(*arguments):
        done.append(arguments)
        if len(done) == 3:
            raise TooLarge("networks need about 9 GiB", "free memory")
        return compute(*arguments)

    monkeypatch.setattr(session, "compute", short)
    with pytest.raises(TooLarge, match=r"2 of 8 chunks are kept .free memory; then: chymist"):
        chymist.run(pair)
    assert chymist.resume().sealed
    assert len(done) == 3 + 6
