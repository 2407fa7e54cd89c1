"""A chunk computed without the lab: the same bytes, or a line that says why not."""

import json
import re
import sys

import numpy as np
import pytest

import chymist
from chymist.errors import CannotResume
from chymist.lab import Lab
from chymist.lab.plan import chunks_of, read_plan
from chymist.lab.remote import Order, answer, order


@pytest.fixture
def alone(tmp_path, tiny, monkeypatch):
    """Return a planned run of a study that is made of two files, and its order."""
    home = tmp_path / "mine"
    home.mkdir()
    (home / "shift.py").write_text("BY = 0.0\n")
    text = tiny.read_text().replace("import xarray as xr\n", "import shift\nimport xarray as xr\n")
    text = text.replace('mean = values.mean("sample")', 'mean = values.mean("sample") + shift.BY')
    assert "shift.BY" in text
    (home / "mine.py").write_text(text)
    # As for the next test, which makes its own.
    monkeypatch.delitem(sys.modules, "shift", raising=False)
    with monkeypatch.context() as here:
        here.syspath_prepend(home)
        run = chymist.run(home / "mine.py", lab=tmp_path / "lab", threads=1)
    plan = read_plan(run.folder)
    assert plan["source"]["beside"].keys() == {"shift.py"}
    return run, plan, order(run.folder, plan)


def test_a_chunk_needs_nothing_of_the_lab(alone, tmp_path):
    run, plan, ordered = alone
    kept = {c.data: (run.folder / c.data).read_bytes() for c in run.chunks}
    (tmp_path / "mine").rename(tmp_path / "elsewhere")
    (tmp_path / "lab").rename(tmp_path / "gone")
    before = list(sys.path)
    for chunk in chunks_of(plan):
        said = answer(ordered, json.loads(json.dumps(chunk.to_json())))
        assert said["event"] == "computed", said
        assert said["content"] == kept[chunk.data]
    assert sys.path == before


def test_the_kept_input_travels(tmp_path, tiny):
    x = np.arange(64) / 64
    wave = tmp_path / "wave.csv"
    wave.write_text("\n".join(f"{a},{np.sin(2 * np.pi * a) + np.sin(10 * np.pi * a)}" for a in x))
    run = chymist.run(tiny, data=wave, lab=tmp_path / "lab", threads=1)
    ordered = order(run.folder, read_plan(run.folder))
    [chunk, *_] = run.chunks
    assert answer(ordered, chunk.to_json())["content"] == (run.folder / chunk.data).read_bytes()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"versions": {"torch": "99.1"}}, r"version of torch \(was 99\.1, is "),
        ({"code": "0" * 64}, r"source of chymist \(was 000000000000, is "),
        ({"source": {"sha256": "1" * 64}}, r"source of mine\.py \(was 111111111111, is "),
    ],
)
def test_a_machine_that_differs_from_the_plan_computes_nothing(alone, change, says):
    run, plan, ordered = alone
    [(name, value)] = change.items()
    other = {**plan, name: {**plan[name], **value} if isinstance(value, dict) else value}
    said = answer(Order(json.dumps(other), *list(vars(ordered).values())[1:]), plan["chunks"][0])
    assert (said["event"], said["kind"]) == ("failed", "BadCluster")
    assert re.search(
        f"node .* is not what run {run.id} was planned with: .*{says}", said["message"]
    )


def test_a_study_that_is_not_installed_there_is_named(alone):
    _, plan, ordered = alone
    other = json.dumps({**plan, "address": "not-there"})
    said = answer(Order(other, (), ordered.input), plan["chunks"][0])
    assert said["kind"] == "BadCluster"
    assert "unknown study not-there" in said["message"]


def test_a_file_that_changed_since_the_plan_does_not_travel(alone, tmp_path):
    run, plan, _ = alone
    (tmp_path / "mine" / "shift.py").write_text("BY = 1.0\n")
    with pytest.raises(CannotResume, match=r"shift\.py has changed since then"):
        order(run.folder, plan)
    assert Lab(tmp_path / "lab").open().id == run.id
