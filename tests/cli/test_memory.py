"""What does not fit ends a run in one line."""

import resource
import subprocess
import sys

import pytest

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


def run_study(folder, *words, limit=resource.RLIM_INFINITY):
    """Run the study above in a process of so much address space."""
    path = folder / "large.py"
    path.write_text(STUDY)
    return subprocess.run(
        [sys.executable, "-m", "chymist", "run", str(path), "--lab", str(folder / "lab"), *words],
        capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )  # fmt: skip


def ends_in_one_line(done, folder, words):
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if words in line]
    assert line.startswith("chymist: ")
    assert not list((folder / "lab").glob("runs/*"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ulimit -v is of Linux")
def test_under_a_limit_of_address_space_a_run_ends_in_one_line(tmp_path):
    assert free() > 2**20
    done = run_study(tmp_path, limit=6 * 2**30)
    ends_in_one_line(done, tmp_path, "of 193 parameters on 30000000 samples at a step need about")


def test_a_batch_larger_than_the_data_ends_a_run_in_one_line(tmp_path):
    done = run_study(tmp_path, "--samples", "100", "--batch", "101")
    ends_in_one_line(
        done, tmp_path, "batch 101 cannot be drawn from 100 samples (allowed: 1 to 100"
    )
