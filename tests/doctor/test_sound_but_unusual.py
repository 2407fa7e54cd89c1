"""Sound trainings of unusual parts which look like faults, and the faults they look like."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from doctor.patients import adam, classes, cross_entropy, first, mlp, squares, told
from torch import Tensor, nn

import chymist
from chymist.doctor.chart import Chart, Reading
from chymist.doctor.rules.clipped import CLIPPED
from chymist.doctor.rules.no_gradient import NO_GRADIENT
from chymist.doctor.rules.slow_descent import SLOW_DESCENT
from chymist.doctor.rules.step_size import STEP_SIZE


class Coded(nn.Module):
    """Numbers in a table whose first column is the number of a kind."""

    def __init__(self, looked_up: bool) -> None:
        super().__init__()
        self.kinds, self.looked_up = nn.Embedding(40, 4), looked_up
        self.body = mlp([8 if looked_up else 5, 32, 1])

    def forward(self, x: Tensor) -> Tensor:
        coded = self.kinds(x[:, 0].long()) if self.looked_up else x[:, :1]
        return torch.as_tensor(self.body(torch.cat([coded, x[:, 1:]], 1)))


@pytest.mark.parametrize("looked_up", [True, False])
def test_codes_that_are_looked_up_have_no_size(looked_up: bool) -> None:
    x = torch.cat([torch.randint(40, (64, 1)).float(), torch.randn(64, 4)], 1)
    model = Coded(looked_up)
    found = told("input-scale", model, squares, (x, x[:, 1:2]), adam(model))
    assert [f.severity for f in found] == ([] if looked_up else ["warning"])


def test_an_input_that_nothing_comes_back_to_is_still_judged() -> None:
    model, (x, y) = mlp([20, 32, 5]), classes()
    nn.init.zeros_(model[2].weight)
    assert told("input-scale", model, cross_entropy, (100 * x, y), adam(model))


@pytest.mark.parametrize("weight_too", [False, True])
def test_a_bias_whose_signals_cancel_is_a_note(weight_too: bool) -> None:
    chart = Chart({})
    still = {"head.bias": 1.0, **({"head.weight": 1.0} if weight_too else {})}
    slopes = {"body.weight": 0.1, "head.weight": 0.0 if weight_too else 0.1, "head.bias": 0.0}
    for name, values in {"gradient_rms": slopes, "trial_no_gradient": still}.items():
        chart.add(name, Reading(0, values))
    found = [f.severity for f in NO_GRADIENT.judge(chart)]
    assert found == ["critical" if weight_too else "note"]


@pytest.mark.parametrize(("peak", "said"), [(1.0, []), (1.2, ["warning"])])
def test_momentum_swings_no_higher_than_it_came_from(peak: float, said: list[str]) -> None:
    chart = Chart({"optimizer": {"rule": "SGD", "lr": 0.1, "momentum": 0.9}})
    for name, value in {"start": 1.0, "peak": peak, "end": 0.7, "rise": 1.7}.items():
        chart.add(f"trial_{name}", Reading(0, {"": value}))
    assert [f.severity for f in STEP_SIZE.judge(chart)] == said


@pytest.mark.parametrize(("rule", "end", "said"), [
    ("Adagrad", 0.01, "note"), ("Adagrad", 0.9, "warning"), ("Adam", 0.01, "warning"),
])  # fmt: skip
def test_a_rule_whose_first_step_is_its_largest(rule: str, end: float, said: str) -> None:
    chart = Chart({"optimizer": {"rule": rule, "lr": 0.1}})
    for name, value in {"start": 1.0, "peak": 6.0, "end": end, "rise": 6.0}.items():
        chart.add(f"trial_{name}", Reading(0, {"": value}))
    assert [f.severity for f in STEP_SIZE.judge(chart)] == [said]


def test_spectral_norms_follow_their_weights_in_the_trial() -> None:
    model = nn.Sequential(
        nn.utils.parametrizations.spectral_norm(nn.Linear(20, 32)), nn.Tanh(),
        nn.utils.parametrizations.spectral_norm(nn.Linear(32, 5)),
    )  # fmt: skip
    x, y = classes()
    twin = [p.detach().clone() for p in model.parameters()]
    made = chymist.preflight(model, cross_entropy, (x, y), torch.optim.SGD(model.parameters(), 1.0))
    assert all(torch.equal(p, t) for p, t in zip(model.parameters(), twin, strict=True))
    optimizer = torch.optim.SGD(model.parameters(), 1.0)
    for _ in range(21):
        optimizer.zero_grad()
        loss = cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    end = made.chart.last("trial_end")
    assert end is not None
    # Both iterate once a step; the preflight has iterated a few times more at the start.
    assert end.values[""] == pytest.approx(float(loss.detach()), rel=0.01)


def test_missing_values_of_a_later_batch_are_the_datas_fault() -> None:
    model, (x, y) = mlp([20, 32, 5]), classes()
    optimizer = adam(model)
    with chymist.watch(model, cross_entropy, optimizer, budget=0.5) as watched:
        for step in range(6):
            given = x.clone()
            if step == 3:
                given[0, 0] = torch.nan
            optimizer.zero_grad()
            cross_entropy(model(given), y).backward()
            optimizer.step()
    assert [(f.rule, f.severity) for f in watched.findings][:1] == [("non-finite", "critical")]
    assert "inputs of the batch at step 3" in watched.findings[0].says
    assert all(f.rule != "divergence" for f in watched.findings)


def scheduled(factor: float, every: int, fallen: float) -> list[Any]:
    """Judge 120 steps whose size went down by a factor every so many, and what was learnt."""
    chart = Chart({"optimizer": {"rule": "SGD", "lr": 1.0}, "watch": {"steps": 120}})
    for step in range(120):
        size = factor ** (step // every)
        chart.add("lr", Reading(step, {"": size}))
        chart.add("update_ratio", Reading(step, {"": 0.001 * size}))
        chart.add("loss", Reading(step, {"": 1.0 if step < 10 else 1 - fallen + 1e-3 * (step % 3)}))
    return [f.rule for f in SLOW_DESCENT.judge(chart)]


def test_a_schedule_that_leaves_nothing_to_the_second_half() -> None:
    assert scheduled(0.4, 12, 0.4) == ["slow-descent"]
    assert scheduled(0.4, 12, 0.95) == []  # It has learnt all the same.
    assert scheduled(0.1, 40, 0.4) == []  # A tenth at each third of a training.
    assert scheduled(1.0, 120, 0.4) == []


@pytest.mark.parametrize(("size", "said"), [(100.0, "warning"), (2.0, "note")])
def test_clipping_that_leaves_little_of_a_stable_step(size: float, said: str) -> None:
    chart = Chart({"optimizer": {"rule": "SGD", "lr": 0.1}, "watch": {"steps": 60}})
    chart.add("gradient_size", Reading(0, {"": size}))
    for step in range(60):
        chart.add("gradient_norm", Reading(step, {"": 1.0}))
        chart.add("sharpness", Reading(step, {"": 10.0}))
        chart.add("sharpness_threshold", Reading(step, {"": 20.0}))
    assert [f.severity for f in CLIPPED.judge(chart)] == [said]


def test_a_model_that_returns_its_loss_is_measured() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = mlp([20, 32, 20])

        def forward(self, x: Tensor) -> Tensor:
            return (self.body(x) - x).square().mean()

    model, (x, _) = Own(), classes()
    made = chymist.preflight(model, lambda loss: loss, x, adam(model))
    assert "objective" not in made.chart.off
    assert made.chart.last("gradient_rms") is not None


def test_a_fault_is_still_read_first_among_codes() -> None:
    model = Coded(looked_up=True)
    x = torch.cat([torch.randint(40, (64, 1)).float(), 500 * torch.randn(64, 4)], 1)
    assert first(model, squares, (x, x[:, 1:2] / 500), adam(model)).rule == "input-scale"


class Graph(nn.Module):
    """Nodes that take the mean of all others: none can be computed alone."""

    def __init__(self, nodes: int) -> None:
        super().__init__()
        self.mean = torch.full((nodes, nodes), 1 / nodes)
        self.body = mlp([20, 32, 5])

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.body(x - self.mean @ x))


class Residual(nn.Module):
    """A branch whose weight is a single number, of no dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = mlp([20, 32, 20]), nn.Linear(20, 5)
        self.share = nn.Parameter(torch.tensor(0.1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.head(x + self.share * self.body(x)))


@pytest.mark.parametrize("kind", ["graph", "residual"])
def test_what_cannot_be_measured_is_said_in_a_line(kind: str) -> None:
    x, y = classes()
    model = Graph(len(x)) if kind == "graph" else Residual()
    optimizer = adam(model)
    with chymist.watch(model, cross_entropy, optimizer, budget=0.9) as watched:
        for _ in range(30):
            optimizer.zero_grad()
            cross_entropy(model(x), y).backward()
            optimizer.step()
    off = watched.chart.off
    assert all("a part of its batch" in why for why in off.values()), off
    assert {"noise", "kernel"} & set(off) == ({"noise", "kernel"} if kind == "graph" else set())
    assert bool(watched.chart.series("noise_trace")) == (kind == "residual")
