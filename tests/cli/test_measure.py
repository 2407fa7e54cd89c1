"""Instruments on the user's own network, from the command line."""

import json
import re
import sys

import pytest
import torch

from chymist.cli import execute

FILE = '''
import torch
from torch import nn

def line():
    """Half the squared error of w x + b: the Hessian is [[mean x^2, mean x], [mean x, 1]]."""
    torch.manual_seed(0)
    x = torch.tensor([[2.0], [-2.0]])
    return nn.Linear(1, 1), lambda out, y: 0.5 * (out - y).square().mean(), (x, 3 * x)

def classes():
    torch.manual_seed(0)
    x = torch.randn(40, 2)
    y = (x[:, 0] > 0).long() + (x[:, 1] > 0.5)
    return nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 3)), nn.CrossEntropyLoss(), (x, y)

def model_alone():
    return nn.Linear(1, 1)

def breaks():
    return 1 / 0

def moving():
    model, loss, data = line()
    return nn.Sequential(model, nn.Dropout(0.5)), loss, data
'''


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    sys.modules.pop("mine", None)  # another test's
    return tmp_path / "mine.py"


@pytest.mark.parametrize("factory", ["mine:line", "mine.py:line"])
def test_a_network_of_known_curvature(mine, capsys, factory):
    words = [factory, "--instrument", "sharpness,trace,inertia", "--k", "2", "--json"]
    assert execute(["measure", *words]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sharpness"]["values"] == pytest.approx([4.0, 1.0])
    assert found["trace"]["value"] == pytest.approx(5.0)
    assert found["inertia"]["positive"] == 2
    assert "vectors" not in found["sharpness"]


def test_a_table_for_people(mine, capsys):
    assert execute(["measure", "mine:line", "--instrument", "sharpness", "--k", "2"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"sharpness +values +4, 1\b", shown)
    assert "gradients" in shown


def test_without_a_factory_the_instruments_are_listed(capsys):
    assert execute(["measure", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {"sharpness", "trace", "spectral-density"} <= set(listed)
    assert "objective" not in listed
    assert all(listed.values())


def test_long_results_are_told_by_their_shape(mine, capsys):
    from chymist import measuring

    shown = measuring.plain(torch.arange(2000.0))
    assert shown == {"value": {"shape": [2000], "least": 0.0, "largest": 1999.0}}
    assert measuring.plain(torch.arange(2.0)) == {"value": [0.0, 1.0]}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["mine:model_alone", "--instrument", "trace"],
         "mine:model_alone returned Linear (return (model, loss, (inputs, targets)))"),
        (["mine:breaks", "--instrument", "trace"],
         "mine:breaks failed in mine.py, line 21: ZeroDivisionError: division by zero"),
        (["mine:nothing", "--instrument", "trace"], "mine has no function nothing"),
        (["nowhere:line", "--instrument", "trace"], "nowhere:line: no module nowhere"),
        (["nowhere.py:line", "--instrument", "trace"], "no file nowhere.py"),
        (["mine", "--instrument", "trace"], "factory mine cannot be read (write module:function)"),
        (["mine:line", "--instrument", "trase"], "unknown instrument trase (did you mean trace?)"),
        (["mine:line"], "no instrument is named (give some of"),
        (["mine:line", "--instrument", "trace", "--kk", "3"], "no instrument takes kk"),
        (["mine:line", "--instrument", "sharpness", "--k", "3"], "k is 3"),
        (["mine:moving", "--instrument", "trace"], ""),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_one_line(mine, refused, words, says):
    line = refused("measure", *words)
    assert line.startswith(says)
    if not says:
        assert "eval()" in line


UNFIT = {
    "attention-saturation": "no softmax of attention was seen",
    "normalised-margin": "the network is not homogeneous in its weights",
    "token-similarity": "every layer hands on no (sample, token, feature)",
}


def test_every_listed_instrument_measures_a_classifier_or_says_why_not(mine, capsys):
    """What is listed can be called with nothing but a factory."""
    assert execute(["measure", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {"ntk", "noise-scale", "margins", "second-moments", "layer-norms"} <= set(listed)
    assert {"frequency-error", "filter-error"} <= set(listed)
    assert set(UNFIT) <= set(listed)
    for name in listed:
        code = execute(["measure", "mine:classes", "--instrument", name, "--json"])
        printed = capsys.readouterr()
        if name in UNFIT:
            assert (code, printed.out) == (2, "")
            assert printed.err.startswith(f"chymist: {UNFIT[name]}"), printed.err
        else:
            assert code == 0, printed.err
            assert json.loads(printed.out)[name]
