"""What is drawn of a run while it trains: true to what is recorded, bounded, and harmless."""

import json

import pytest
import torch
from small_networks import SOLVERS, X, Y, networks
from web_server import STUDIES

import chymist
from chymist.ensemble import every
from chymist.instruments import Instrument, loss
from chymist.lab import runner
from chymist.web import sketch as module
from chymist.web.sketch import LINES, Sketch
from chymist.web.trace import MOST_LINES, MOST_PICTURES, Seen, Trace

FIT = STUDIES / "fit.py"


def computed(lab, onlooker=None, **parameters):
    """Compute the study that trains; return the run."""
    study = chymist.find(str(FIT))
    folder = runner.plan(study, lab=lab, name=str(FIT), threads=1, **parameters)
    return runner.resume(folder, onlooker=onlooker)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The same run unobserved and observed, and what was drawn of it."""
    lab, sketch = tmp_path_factory.mktemp("sketch"), Sketch()
    with pytest.MonkeyPatch.context() as patch:
        # So short a training would be looked at for a part of it only.
        patch.setattr(module, "GRACE", 60.0)
        runs = computed(lab), computed(lab, sketch.watcher)
    return *runs, list(sketch.taken())


def test_a_run_that_is_looked_at_has_the_same_bits(pair):
    alone, seen, drawn = pair
    data = [name for name in alone.manifest["files"] if name.endswith(".nc")]
    assert data and drawn
    for name in data:
        assert (alone.folder / name).read_bytes() == (seen.folder / name).read_bytes()


def test_lines_are_what_was_recorded_of_the_first_repetition(pair):
    _, run, drawn = pair
    lines = [line for message in drawn for line in message["lines"]]
    named = {(line["about"]["quantity"], line["about"]["arm"]) for line in lines}
    # The variable that the first claim reads stands beside the loss.
    assert named == {(q, a) for q in ("loss", "ends") for a in ("treatment", "control")}
    compared = 0
    for line in lines:
        about = line["about"]
        if about["arm"] == "control":
            continue
        first = run.data["parabola"].isel(seed=0, width=0)
        words = dict(part.split(" = ") for part in about["name"].split(", ") if " = " in part)
        if about["quantity"] == "loss":
            curve = first.loss.sel(lr=float(words["lr"]))
        else:
            curve = first.ends.isel(side=int(words["side"])).sel(lr=float(words["lr"]))
        for step, value in line["points"]:
            assert value == pytest.approx(float(curve.sel(step=step)), rel=1e-4)
            compared += 1
        assert [point[0] for point in line["points"]][:: len(line["points"]) - 1] == [0, 20]
    assert compared > 40


def test_pictures_fill_in_and_are_few(pair):
    pictures = [p for message in pair[2] for p in message["pictures"]]
    steps = [p["step"] for p in pictures if p["about"]["arm"] == "treatment"]
    assert steps == sorted(steps) and steps[0] == 0 and steps[-1] == 20
    assert len(steps) <= module.PICTURES
    assert all(p["url"].startswith("data:image/png;base64,") for p in pictures)


@pytest.mark.parametrize("engine", ["native", "stacked"])
def test_looking_on_changes_no_training_and_sees_its_loss(engine):
    from dataclasses import replace

    seen = []
    weights = Instrument(
        "weights", lambda s: torch.cat([p.flatten(1) for p in s.parameters.values()], 1), ("w",)
    )

    def onlooker(instruments, lanes, steps):
        return lambda i, step, rows, values: seen.append((i.name, step, values.clone()))

    ends = []
    for looks in (None, onlooker):
        start = replace(networks(), engine=engine, onlooker=looks)
        run = start.train(
            SOLVERS["adam"],
            torch.as_tensor(X),
            torch.as_tensor(Y[:, None]),
            steps=30,
            record={weights: every(3)},
        )
        ends.append(run)
    alone, looked = ends
    for name, values in alone.end.parameters.items():
        assert torch.equal(values, looked.end.parameters[name])
    assert alone.data.equals(looked.data)
    # The loss costs nothing in full batch, so it is shown though nothing records it.
    assert {name for name, *_ in seen} == {"weights", loss.name}
    assert all(len(values) == 3 for *_, values in seen)


def test_points_are_bounded_however_often_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "GRACE", 60.0)
    sketch = Sketch()
    computed(tmp_path, sketch.watcher, steps="2000", lr=",".join(f"0.{i:02}" for i in range(1, 15)))
    lines = [line for message in sketch.taken() for line in message["lines"]]
    losses = [n for n in lines if n["about"]["quantity"] == "loss"]
    assert len(losses) == 2 * LINES
    assert all(len(line["points"]) < 200 for line in lines)


def test_looking_stops_when_it_has_taken_its_share(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "GRACE", -1.0)
    sketch = Sketch()
    run = computed(tmp_path, sketch.watcher)
    assert run.sealed and not list(sketch.taken())


def test_what_goes_wrong_in_looking_harms_no_run(tmp_path, monkeypatch):
    monkeypatch.setattr(Sketch, "add", lambda *_: 1 / 0)
    assert computed(tmp_path, Sketch().watcher).sealed


def test_what_is_not_finite_can_be_told():
    sketch = Sketch()
    sketch.add(0, {}, 1, float("nan"))
    sketch.add(0, {}, 2, 1 / 3)
    [message] = sketch.taken()
    assert json.dumps(message, allow_nan=False)
    assert message["lines"][0]["points"] == [[1, None], [2, 0.33333]]
    assert not list(sketch.taken())


def test_a_trace_tells_each_page_what_it_has_not_seen():
    trace, early = Trace(), Seen()
    assert trace.since(early) is None
    trace.take({"lines": [{"line": 3, "about": {"a": 1}, "points": [[0, 1.0]]}], "pictures": []})
    assert trace.since(early)["lines"] == [{"line": 3, "about": {"a": 1}, "points": [[0, 1.0]]}]
    assert trace.since(early) is None
    trace.take({"lines": [{"line": 3, "about": {"a": 1}, "points": [[1, 2.0]]}],
                "pictures": [{"url": "data:"}]})  # fmt: skip
    assert trace.since(early) == {"lines": [{"line": 3, "points": [[1, 2.0]]}],
                                  "pictures": [{"url": "data:"}]}  # fmt: skip
    assert trace.since(Seen())["lines"][0]["points"] == [[0, 1.0], [1, 2.0]]


def test_a_trace_is_bounded():
    trace = Trace()
    for number in range(3 * MOST_LINES):
        points = [[0, 0.0]] * 500
        trace.take({"lines": [{"line": number, "about": {}, "points": points}],
                    "pictures": [{"url": str(number)}]})  # fmt: skip
    told = trace.since(Seen())
    assert len(told["lines"]) == MOST_LINES and told["lines"][-1]["line"] == 3 * MOST_LINES - 1
    assert len(told["pictures"]) == MOST_PICTURES
    assert max(len(line["points"]) for line in told["lines"]) == 400
