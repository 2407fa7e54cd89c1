"""A watched training that is kept: however it ends, and without harm if it cannot be."""

import pytest
import torch
from doctor.test_harmless import plain
from doctor.watched_loops import with_and_without
from torch import nn

import chymist
from chymist.cli import execute
from chymist.doctor import diary
from chymist.doctor.chart import Chart
from chymist.doctor.checkup import Checkup
from chymist.doctor.schedule import Schedule
from chymist.errors import UsageError
from chymist.lab import Lab


def train(steps=4, **options):
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    loss = nn.MSELoss()
    with chymist.watch(model, loss, optimizer, **options) as w:
        for step in range(steps):
            optimizer.zero_grad()
            loss(model(x), x.sum(1, keepdim=True)).backward()
            optimizer.step()
            if options.get("name") == "cut" and step == 2:
                raise KeyboardInterrupt
    return w


def test_a_training_is_kept_under_its_name(lab, capsys):
    w = train(name="line")
    assert w.run.id == Lab().watched("line").id
    assert chymist.Checkup.kept("line").as_json() == w.checkup.as_json()
    assert w.run.manifest["training"]["steps"] == 4 and w.run.report.is_file()
    assert execute(["findings", "line"]) == w.checkup.exit_code
    assert "4 steps" in capsys.readouterr().out


def test_a_training_that_is_cut_short_is_kept(lab):
    with pytest.raises(KeyboardInterrupt):
        train(name="cut")
    assert Lab().watched("cut").manifest["training"]["steps"] == 3


def test_without_lab_or_name_nothing_is_written(lab):
    assert train().run is None
    assert not lab.exists()
    assert train(lab=lab).run.manifest["name"] == "training"


def test_a_name_that_cannot_be_is_refused_before_training(lab):
    with pytest.raises(UsageError, match="a training cannot be named 'a/b'"):
        train(name="a/b")
    assert not lab.exists()


def test_a_lab_that_refuses_ends_no_training(lab):
    lab.write_text("no folder")
    with pytest.warns(UserWarning, match="the checkup was not kept: cannot write"):
        w = train(name="line")
    assert w.run is None and w.steps == 4


@pytest.fixture
def often(monkeypatch):
    monkeypatch.setattr(diary, "APART", 0.0)
    monkeypatch.setattr(diary, "SHARE", 1e9)


def test_a_training_is_kept_as_it_goes(lab, often):
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    x, loss = torch.eye(2), nn.MSELoss()
    with chymist.watch(model, loss, optimizer, name="line") as w:
        for step in range(1, 4):
            loss(model(x), x.sum(1, keepdim=True)).backward()
            optimizer.step()
            now = Lab().watched("line")
            assert not now.finished and now.manifest["training"]["steps"] == step
            assert w.schedule.spent > 0
    assert w.run.id == now.id and w.run.finished


def test_keeping_changes_no_bit_of_a_training(lab, often):
    differ, w = with_and_without(plain, 10, name="line")
    assert differ == [] and w.run.finished


def test_records_are_as_far_apart_as_the_budget_wants(lab, monkeypatch):
    clock = iter(range(1000))
    plan = Schedule({}, 0.1, clock=lambda: next(clock))
    plan.begin()
    made = diary.Diary(lab, "line", plan)
    written = []
    monkeypatch.setattr(made._keeping, "write", lambda *_, **__: written.append(1))
    known = Checkup.of(Chart({"watch": {"elapsed": 1.0}}))
    for _ in range(100):
        made.write(lambda: known)
    # Writing takes one second by this clock: 50 of them are to lie between, a look takes one each.
    assert len(written) == 2


@pytest.mark.filterwarnings("default")
def test_a_lab_that_refuses_while_it_trains_is_told_of_once(lab, often):
    lab.write_text("no folder")
    with pytest.warns(UserWarning, match="the checkup was not kept") as told:
        w = train(name="line", steps=6)
    assert len(told) == 1 and w.steps == 6 and w.run is None and "watch" not in w.chart.off
