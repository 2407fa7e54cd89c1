from __future__ import annotations

import pytest
import torch
from doctor.patients import adam, classes, cross_entropy, first, mlp, squares, told
from torch import nn

import chymist
from chymist.doctor.chart import Chart, Reading
from chymist.doctor.rules.step_size import STEP_SIZE


def quadratic() -> tuple[nn.Module, tuple[torch.Tensor, torch.Tensor], float]:
    x = torch.randn(50, 3, dtype=torch.float64)
    largest = float(torch.linalg.eigvalsh(2 * x.T @ x / len(x))[-1])
    return nn.Linear(3, 1, bias=False).double(), (x, x.sum(1, keepdim=True)), largest


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_three_times_the_largest_stable_step(momentum: float, nesterov: bool) -> None:
    model, data, largest = quadratic()
    stable = (2 + 2 * momentum) / ((1 + 2 * momentum if nesterov else 1) * largest)
    made = torch.optim.SGD(
        model.parameters(), 3 * stable, momentum=momentum, nesterov=nesterov
    )  # fmt: skip
    found = first(model, squares, data, made)
    assert (found.rule, found.severity) == ("step-size", "critical")
    assert found.value / found.threshold == pytest.approx(3, rel=0.01)
    assert found.value == pytest.approx(largest, rel=0.01)


@pytest.mark.parametrize("rule", [torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop])
def test_adaptive_steps_that_lose_on_their_own_batch(rule: type[torch.optim.Optimizer]) -> None:
    model = mlp([20, 64, 64, 5])
    made = rule(model.parameters(), lr=0.5)  # type: ignore[call-arg]
    found = first(model, cross_entropy, classes(), made)
    assert (found.rule, found.severity, found.threshold) == ("step-size", "critical", 3.0)
    assert found.value > 10


def test_the_trial_leaves_the_optimizer_and_the_model_alone() -> None:
    model = mlp([20, 64, 5])
    made = adam(model)
    before = [p.detach().clone() for p in model.parameters()]
    found = chymist.preflight(model, cross_entropy, classes(), made)
    assert found.chart.last("trial_end") is not None
    assert not made.state and all(p.grad is None for p in model.parameters())
    assert all(torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))


def test_steps_that_are_far_too_small() -> None:
    model = mlp([20, 64, 5])
    for made in (torch.optim.SGD(model.parameters(), 1e-5), adam(model, 1e-7)):
        found = first(model, cross_entropy, classes(), made)
        assert (found.rule, found.severity) == ("small-step", "warning")
        assert found.value > found.threshold
    assert told("small-step", model, cross_entropy, classes(), adam(model, 1e-5)) == []


def tried(
    lr: float, rise: float = 1.0, end: float = 0.3, far: float = 0.0, width: int = 9
) -> list[str]:
    """Judge a chart of Adam on one matrix of weights of size 0.1, whose trial went like this."""
    layers = {"0": {"type": "Linear", "shape": [width, width]}}
    chart = Chart({"optimizer": {"rule": "Adam", "lr": lr}, "layers": layers})
    readings = {"trial_start": 1.0, "trial_peak": 1.0, "trial_end": end, "trial_rise": rise}
    for name, value in {**readings, "out_of_reach": far}.items():
        chart.add(name, Reading(0, {"": value}))
    chart.add("parameter_rms", Reading(0, {"0.weight": 0.1, "0.bias": 1e-9}))
    return [f.formula for f in STEP_SIZE.judge(chart) if f.severity != "note"]


def test_an_adaptive_step_as_large_as_the_initialisation() -> None:
    assert tried(0.05) == []  # Of rank one 0.75 times the norm of nine by nine such weights.
    (formula,) = tried(0.2)
    assert formula.startswith("lr sqrt(m n)")
    assert tried(0.025, width=2**12) == []  # 8 times, of gradients that are of a higher rank.


def test_steps_that_overshoot_and_leave_most_of_the_loss() -> None:
    assert tried(0.01, rise=1.2, end=0.3) == []  # It has learnt the batch all the same.
    assert tried(0.01, rise=1.0, end=0.9) == []  # Slow, and going down.
    assert tried(0.01, rise=1.2, end=0.9, far=0.9) == []  # The rest is out of reach.
    (formula,) = tried(0.01, rise=1.2, end=0.9)
    assert formula.startswith("1.05 times the least loss")


def watched(end: float, *, trial: bool) -> list[str]:
    """Judge a watched training whose loss went from 1 to `end`, ten times beyond at its start."""
    chart = Chart({"optimizer": {"rule": "SGD", "lr": 0.1}, "watch": {"steps": 100}})
    for name, value in {"sharpness": 200.0, "sharpness_threshold": 20.0}.items():
        chart.add(name, Reading(0, {"": value}))
    if trial:
        for name, value in {"start": 1.0, "peak": 1.2, "end": 0.9, "rise": 1.2}.items():
            chart.add(f"trial_{name}", Reading(0, {"": value}))
    for step in range(100):
        chart.add("loss", Reading(step, {"": 1.0 if step < 20 else end + 0.001 * (step % 3)}))
    return [f.severity for f in STEP_SIZE.judge(chart)]


def test_a_training_that_has_learnt_was_its_own_trial() -> None:
    assert watched(0.9, trial=False) == ["critical"]
    assert watched(0.1, trial=False) == ["note"]
    assert watched(0.9, trial=True) == ["warning"]
    assert watched(0.1, trial=True) == ["note"]


@pytest.mark.parametrize("clipped", [False, True])
def test_a_trial_does_not_clip_as_the_loop_does(clipped: bool) -> None:
    chart = Chart({"optimizer": {"rule": "Adam", "lr": 0.1}, "watch": {"steps": 100}})
    for name, value in {"start": 1.0, "peak": 9.0, "end": 3.0, "rise": 9.0}.items():
        chart.add(f"trial_{name}", Reading(0, {"": value}))
    for step in range(100):
        chart.add("loss", Reading(step, {"": 1.0 if step < 20 else 0.1 + 0.001 * (step % 3)}))
    for step in (1, 4, 16, 64):
        norm = 1.0 if clipped and step < 64 else 1 / step
        chart.add("gradient_norm", Reading(step, {"": norm}))
    assert [f.severity for f in STEP_SIZE.judge(chart)] == ["note" if clipped else "critical"]
