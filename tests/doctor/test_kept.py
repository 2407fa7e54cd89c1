"""A watched training that is kept: however it ends, and without harm if it cannot be."""

import pytest
import torch
from torch import nn

import chymist
from chymist.cli import execute
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
