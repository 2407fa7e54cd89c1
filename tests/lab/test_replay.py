"""A replay says "the same" only if every byte is, and otherwise what differs."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

import chymist
from chymist import provenance
from chymist.cli import execute
from chymist.errors import CannotResume
from chymist.lab import Lab
from chymist.lab.chunk import Chunk
from chymist.lab.replay import _differences


def test_a_replay_is_the_same_byte_for_byte(lab, pair, capsys):
    run = chymist.run(pair)
    before = {p: p.stat().st_mtime_ns for p in run.folder.rglob("*")}
    assert execute(["replay", "latest"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("✓ the same, byte for byte: 16 arrays in 8 chunks")
    assert "changed" not in out
    assert before == {p: p.stat().st_mtime_ns for p in run.folder.rglob("*")}


def test_the_same_in_another_process_with_another_order_of_hashes(lab, pair):
    chymist.run(pair)
    words = [sys.executable, "-m", "chymist", "replay", "--json"]
    # Whatever the order is here.
    other = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    environment = {**os.environ, "PYTHONHASHSEED": other}
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["same"] is True


def test_what_differs_is_named_with_its_size(lab, variant, capsys):
    path = variant("unused", "not used")
    run = chymist.run(path)
    path.write_text(path.read_text().replace("0.1 * rng", "0.1000001 * rng"))
    assert execute(["replay", run.id, "--json"]) == 6
    record = json.loads(capsys.readouterr().out)
    assert [(d["chunk"], d["variable"]) for d in record["differences"]] == [
        ("0000.means.treatment", "mean"),
        ("0001.means.control", "mean"),
    ]
    first = record["differences"][0]
    assert (first["values"], first["of"]) == (8, 8)
    assert 0 < first["relative"] < first["largest"] * 1.1 < 1e-6
    assert list(record["changed"]) == ["source of altered.py"]
    assert execute(["replay", run.id]) == 6
    out = capsys.readouterr().out
    assert "not the same: 2 of 6 arrays differ" in out
    assert "changed since: source of altered.py: was" in out


def test_a_study_that_does_not_repeat_is_found_out(lab, variant, capsys):
    path = variant('mean = values.mean("sample")', 'import time; mean = 0 * values.mean("sample") +'
                   " time.time()")  # fmt: skip
    run = chymist.run(path)
    assert execute(["replay", run.id]) == 6
    assert "this study does not repeat" in capsys.readouterr().out


def test_circumstances_that_changed_are_named_even_if_nothing_came_of_it(lab, tiny, monkeypatch):
    run = chymist.run(tiny)
    versions, machine = provenance.versions(), provenance.machine()
    monkeypatch.setattr(provenance, "versions", lambda: {**versions, "torch": "99.1"})
    monkeypatch.setattr(provenance, "machine", lambda: {**machine, "processor": "abacus"})
    done = run.replay(threads=run.manifest["threads"] + 1)
    assert done.same
    assert set(done.changed) == {"version of torch", "threads", "processor"}
    assert done.changed["processor"] == (machine["processor"], "abacus")


def test_a_run_without_a_plan_is_refused(refused, old_lab):
    line = refused("replay", "--lab", old_lab)
    assert "is of format 1, which says too little to replay it" in line
    assert "chymist run tiny.py" in line


def test_an_experiment_that_is_gone_is_named(lab, variant):
    path = variant("unused", "not used")
    run = chymist.run(path)
    path.write_text(
        path.read_text().replace('"means",\n            says', '"other",\n            says')
    )
    with pytest.raises(CannotResume, match="no experiment means any more"):
        run.replay()


def test_unfinished_runs_are_not_replayed(cut, refused):
    cut(2)
    assert "is unfinished: 2 of 8 chunks" in refused("replay")
    assert Lab().open().progress == (2, 8)


CHUNK = Chunk(0, "means", "control", {}, {}, (0, 5))


@pytest.mark.parametrize(
    ("other", "values"),
    [
        (np.array([1.0, 2.0, np.nan]), 0),
        (np.array([1.0, np.nextafter(2.0, 3), np.nan]), 1),
        (np.array([1.0, 2.0, 3.0]), 1),
        (np.array([1.0, 2.0, np.nan], dtype=np.float32), 3),
        (np.array([1, 2, 3]), 3),
        (np.array([1.0, 2.0, -np.nan]), 1),
    ],
)
def test_arrays_are_compared_by_bits(other, values):
    a = xr.Dataset({"a": ("x", np.array([1.0, 2.0, np.nan]))})
    found = list(_differences(CHUNK, a, xr.Dataset({"a": ("x", other)})))
    assert sum(d.values for d in found) == values


def test_arrays_that_are_missing_or_of_text_differ():
    a = xr.Dataset({"a": ("x", ["u", "v"]), "only": ("x", [1, 2])})
    b = xr.Dataset({"a": ("x", ["u", "w"])})
    found = {d.variable: d.values for d in _differences(CHUNK, a, b)}
    assert found == {"a": 1, "only": 2}
