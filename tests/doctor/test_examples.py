"""The loops under examples/: the planted fault is read first, and healthy ones get only notes."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from chymist.doctor import Checkup

EXAMPLES = Path(__file__).parents[2] / "examples"
PLANTED = [
    ("nanogpt_like", "forgotten-sqrt", 20, "frozen-softmax"),
    ("nanogpt_like", "step", 80, "step-size"),
    ("resnet_like", "small-init", 100, "small-init"),
    ("resnet_like", "step", 100, "step-size"),
    ("pinn_like", "high-frequency", 400, "high-frequency"),
    ("pinn_like", "small-init", 100, "small-init"),
]
HEALTHY = [("nanogpt_like", 150), ("resnet_like", 100), ("pinn_like", 400)]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        yield
    torch.set_num_threads(threads)


def trained(name: str, fault: str, steps: int) -> tuple[Checkup, Checkup]:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    before, during = module.main(["--fault", fault, "--steps", str(steps)])
    return before, during


@pytest.mark.slow
@pytest.mark.parametrize(("name", "fault", "steps", "rule"), PLANTED)
def test_the_planted_fault_is_read_first(name: str, fault: str, steps: int, rule: str) -> None:
    before, during = trained(name, fault, steps)
    told = [f for f in (*before.findings, *during.findings) if f.severity != "note"]
    assert told and told[0].rule == rule


@pytest.mark.slow
@pytest.mark.parametrize(("name", "steps"), HEALTHY)
def test_a_healthy_loop_gets_no_more_than_notes(name: str, steps: int) -> None:
    for checkup in trained(name, "none", steps):
        assert checkup.worst in (None, "note"), [f.says for f in checkup.findings]
        assert not checkup.chart.off
