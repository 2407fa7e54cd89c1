"""`chymist preflight` and `chymist findings`, as a user calls them."""

import json
import subprocess
import sys

import pytest

import chymist
from chymist.cli import execute
from chymist.doctor.chart import Chart, Reading
from chymist.doctor.checkup import Checkup
from chymist.doctor.finding import Finding
from chymist.lab import Lab

FILE = '''
import torch
from torch import nn

def line(lr=0.1):
    """The Hessian of the mean square of w x + b is [[2 mean x^2, 0], [0, 2]] = [[8, 0], [0, 2]]."""
    x = torch.tensor([[2.0], [-2.0]])
    model = nn.Linear(1, 1)
    nn.init.constant_(model.weight, 0.5)
    return model, nn.MSELoss(), (x, 3 * x), torch.optim.SGD(model.parameters(), lr)

def too_long():
    return line(10.0)

def without_optimizer():
    return line()[:3]

def alone():
    return nn.Linear(1, 1)

def no_model():
    return 3, nn.MSELoss(), None

def no_optimizer():
    return *line()[:3], "adam"

def odd_batch():
    return *line()[:2], torch.zeros(1)
'''


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    sys.modules.pop("mine", None)  # another test's
    return tmp_path


def test_a_step_that_is_too_long_is_critical(mine, capsys):
    assert execute(["preflight", "mine:too_long"]) == 4
    shown = capsys.readouterr().out
    assert "✗ critical" in shown and "edge-of-stability" in shown


def test_json_is_what_python_gives(mine, capsys):
    code = execute(["preflight", "mine.py:too_long", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (code, found["verdict"]) == (4, "critical")
    checkup = Checkup.from_json(found)
    assert checkup.as_json() == found
    assert checkup.chart.last("sharpness").value == pytest.approx(8.0, rel=0.01)


def test_tables_and_reports_on_request(mine, capsys):
    assert execute(["preflight", "mine:too_long", "--table", "--report", "page.html"]) == 4
    printed = capsys.readouterr()
    assert "sharpness threshold" in printed.out
    assert printed.err == "report: page.html\n"
    assert "<!DOCTYPE html>" in (mine / "page.html").read_text()


def test_without_an_optimizer_all_else_is_examined(mine, capsys):
    assert execute(["preflight", "mine:without_optimizer", "--json"]) in (0, 3)
    assert "sharpness" in json.loads(capsys.readouterr().out)["chart"]["readings"]


@pytest.mark.parametrize(
    ("factory", "says"),
    [
        ("mine:alone", "mine:alone returned Linear (return (model, loss, batch)"),
        ("mine:no_model", "mine:no_model returned int as the model"),
        ("mine:no_optimizer", "mine:no_optimizer returned str as the optimizer"),
        ("mine:odd_batch", "the batch is of type Tensor"),
        ("mine:nothing", "mine has no function nothing"),
        ("mine", "factory mine cannot be read"),
        ("nowhere.py:line", "no file nowhere.py"),
    ],
)
def test_what_cannot_be_examined_is_one_line(mine, refused, factory, says):
    assert refused("preflight", factory).startswith(says)


def test_a_report_that_cannot_be_written_is_one_line(mine, refused):
    line = refused("preflight", "mine:line", "--report", "no/where.html", code=7)
    assert line.startswith("cannot write no/where.html")


NOTE = Finding("a", "note", "b", 1.0, 2.0, "c", "d", "e", "edge-of-stability")


def kept(*findings):
    chart = Chart({"watch": {"steps": 20, "elapsed": 3.5, "spent": 0.1}})
    for step in (0, 20):
        chart.add("sharpness", Reading(step, {"": 15.0 + step}))
    return Checkup(findings, chart).keep(name="mlp")


def test_findings_of_a_kept_training(lab, capsys):
    run = kept()
    assert "Watched" in repr(run) and run.manifest["seconds"] == 3.5
    assert "A watched" not in run.report.read_text() and "mlp" in run.report.read_text()
    assert execute(["findings", "mlp", "--table"]) == 0
    shown = capsys.readouterr().out
    assert "nothing above a note" in shown and "0 to 20" in shown
    assert execute(["findings", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["id"], found["name"]) == (run.id, "mlp")
    assert chymist.Checkup.kept("mlp").as_json() == Checkup.from_json(found).as_json()
    assert execute(["findings", run.id[:20], "--report", "page.html"]) == 0
    assert (lab.parent / "page.html").read_text() == run.report.read_text()


def test_a_checkup_writes_its_own_report(lab):
    checkup = Checkup.kept(kept().id, Lab())
    path = checkup.write_report(lab.parent / "own.html")
    assert "A watched training" in path.read_text()


@pytest.mark.parametrize("words", [["findings"], ["findings", "--table"], ["show"], ["runs"]])
def test_what_was_kept_is_read_without_torch(lab, words):
    kept(NOTE)
    code = (
        "import sys, json; from chymist.cli import execute\n"
        "code = execute(json.loads(sys.argv[1])); print('torch' in sys.modules, file=sys.stderr)\n"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(words)], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "False")


def test_tensorboard_that_is_not_there_is_named(lab, refused, monkeypatch):
    kept()
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert refused("findings", "--tensorboard", "there") == (
        "tensorboard is not installed (pip install tensorboard)"
    )
    assert not (lab.parent / "there").exists()
