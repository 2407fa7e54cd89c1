"""What does not fit ends a run in one line."""

import resource
import subprocess
import sys

import pytest

from chymist.cli import execute
from chymist.memory import free

STUDY = """
import numpy as np
from chymist import Claim, Control, Experiment, Field, Params, Study, above
from chymist.bench import samples
from chymist.ensemble import every
from chymist.instruments import loss
from chymist.solvers import Adam
from torch import nn


class P(Params):
    samples: int = Field(30_000_000, description="of a line")
    batch: int = Field(0, description="all, if 0")


def experiment(p, bench):
    x = samples(np.broadcast_to(np.float32(1), (p.samples, 1)))
    made = bench.networks(lambda: nn.Sequential(nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 1)))
    return bench.train(made, Adam(1e-2), x, x, steps=2, batch=p.batch or None,
                       record={loss: every()}).data


CLAIM = Claim("small", "The loss is small.", lambda run: run.loss.isel(step=-1), above(0))
STUDY = Study(
    slug="large", family="frequency", title="Large", question="Does it fit?", params=P,
    experiments=(Experiment("line", "A line.", experiment, claims=(CLAIM,), figures=(),
                            control=Control("None.", {"batch": 1}, ("small",))),),
    theory="", limits="", references=(), presets={"quick": {}}, cost={"quick": 1},
)
"""


def command(folder):
    """Write the study above; return the words that run it."""
    path = folder / "large.py"
    path.write_text(STUDY)
    return ["run", str(path), "--lab", str(folder / "lab")]


def ends_in_one_line(code, said, folder, words):
    assert code == 2, said
    assert "Traceback" not in said
    (line,) = [line for line in said.splitlines() if words in line]
    assert line.startswith("chymist: ")
    assert not list((folder / "lab").glob("runs/*"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ulimit -v is of Linux")
def test_under_a_limit_of_address_space_a_run_ends_in_one_line(tmp_path):
    assert free() > 2**20
    limit = 6 * 2**30
    done = subprocess.run(
        [sys.executable, "-m", "chymist", *command(tmp_path)],
        capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )  # fmt: skip
    words = "of 193 parameters on 30000000 samples at a step need about"
    ends_in_one_line(done.returncode, done.stderr, tmp_path, words)


def test_a_batch_larger_than_the_data_ends_a_run_in_one_line(tmp_path, capsys):
    code = execute([*command(tmp_path), "--samples", "100", "--batch", "101"])
    words = "batch 101 cannot be drawn from 100 samples (allowed: 1 to 100"
    ends_in_one_line(code, capsys.readouterr().err, tmp_path, words)
