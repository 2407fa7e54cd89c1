"""What a watched loop shows, in all the forms in which loops are written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import chymist
from chymist.doctor.during_training import Watch
from chymist.errors import BadParameter, UsageError


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
    torch.set_num_threads(threads)


def line() -> tuple[nn.Module, torch.optim.Optimizer, Tensor, Tensor, float]:
    """A quadratic, its data, and its sharpness."""
    x = torch.randn(32, 3, dtype=torch.float64)
    model = nn.Linear(3, 1, bias=False).double()
    y = x.sum(1, keepdim=True)
    largest = float(torch.linalg.eigvalsh(2 * x.T @ x / len(x))[-1])
    return model, torch.optim.SGD(model.parameters(), lr=0.5 / largest), x, y, largest


def run(given: Any, called: Callable[..., Tensor], *, tell: bool = False) -> tuple[Watch, float]:
    model, optimizer, x, y, largest = line()
    with chymist.watch(model, given(model, x, y) if tell else given, optimizer, budget=1.0) as w:
        for _ in range(40):
            optimizer.zero_grad()
            called(model(x), y).backward()
            optimizer.step()
    return w, largest


class Criterion:
    def __call__(self, out: Tensor, y: Tensor) -> Tensor:
        return (out - y).square().mean()

    def method(self, out: Tensor, y: Tensor) -> Tensor:
        return (out - y).square().mean()


MODULE = nn.MSELoss()
OBJECT = Criterion()


def function(out: Tensor, y: Tensor) -> Tensor:
    return (out - y).square().mean()


@pytest.mark.parametrize(
    ("given", "called"),
    [
        (MODULE, MODULE),
        (function, function),
        (OBJECT, OBJECT),
        (OBJECT.method, OBJECT.method),
        (functional.mse_loss, functional.mse_loss),
        (function, functional.mse_loss),
        (None, functional.mse_loss),
        (nn.MSELoss(), nn.MSELoss()),
    ],
    ids=["module", "function", "object", "method", "torch", "instead", "none", "another"],
)
def test_the_target_is_seen_however_the_loss_is_written(given: Any, called: Any) -> None:
    w, largest = run(given, called)
    assert w.chart.off == {}
    assert [r.value for r in w.chart.readings["sharpness"]] == pytest.approx(
        [largest] * len(w.chart.readings["sharpness"]), rel=0.01
    )
    assert w.chart.readings["loss"][0].step == 0


def test_a_closure_is_measured_at_the_models_parameters() -> None:
    def given(model: nn.Module, x: Tensor, y: Tensor) -> Callable[[], Tensor]:
        return lambda: 0.5 * function(model(x), y) + 0.5 * function(model(x), y)

    w, largest = run(given, function, tell=True)
    assert w.chart.off == {}
    assert w.chart.readings["sharpness"][-1].value == pytest.approx(largest, rel=0.01)


def test_a_model_that_computes_its_own_loss() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(3, 1, bias=False)

        def forward(
            self, x: Tensor, targets: Tensor | None = None, scale: float = 1.0
        ) -> tuple[Tensor, Tensor | None]:
            out = self.inner(x)
            return out, None if targets is None else scale * function(out, targets)

    model, x = Own(), torch.randn(32, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with chymist.watch(model, lambda out: out[1], optimizer, budget=1.0) as w:
        for _ in range(20):
            _, loss = model(x, targets=x.sum(1, keepdim=True), scale=2.0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    largest = float(torch.linalg.eigvalsh(4 * x.T @ x / len(x))[-1])
    assert w.chart.off == {}
    assert w.chart.readings["sharpness"][-1].value == pytest.approx(largest, rel=0.01)


def test_tokens_that_the_loop_flattens_for_the_loss() -> None:
    model = nn.Sequential(nn.Embedding(7, 8), nn.Linear(8, 7))
    x = torch.randint(0, 7, (5, 6))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with chymist.watch(model, functional.cross_entropy, optimizer, budget=1.0) as w:
        for _ in range(20):
            optimizer.zero_grad()
            functional.cross_entropy(model(x).view(-1, 7), x.view(-1)).backward()
            optimizer.step()
    assert w.chart.off == {}
    assert w.chart.readings["sharpness"][-1].value > 0


def test_a_loss_that_is_never_called_is_said_so_in_one_line() -> None:
    w, _ = run(lambda out, y: (out - y).square().mean(), lambda out, y: (out - y).pow(2).mean())
    assert "the loss was not called" in w.chart.off["target"]
    assert set(w.chart.off) == {"target"}
    assert "sharpness" not in w.chart.readings
    assert {"gradient_norm", "update_ratio"} <= set(w.chart.readings)


def test_a_loss_can_be_told() -> None:
    model, optimizer, x, y, largest = line()
    with chymist.watch(model, function, optimizer, budget=1.0) as w:
        for _ in range(20):
            optimizer.zero_grad()
            w.loss(model(x), y).backward()
            optimizer.step()
    assert w.chart.readings["sharpness"][-1].value == pytest.approx(largest, rel=0.01)


def test_evaluation_between_steps_is_not_taken_for_training() -> None:
    model, optimizer, x, y, largest = line()
    with chymist.watch(model, function, optimizer, budget=1.0) as w:
        for _ in range(20):
            optimizer.zero_grad()
            function(model(x), y).backward()
            with torch.no_grad():
                function(model(100 * x), y)
            optimizer.step()
    values = [r.value for r in w.chart.readings["sharpness"]]
    assert values == pytest.approx([largest] * len(values), rel=0.01)


@pytest.mark.parametrize(("where", "kind"), [("layer", "layer"), ("loss", "loss")])
def test_the_first_value_that_is_not_finite_is_named(where: str, kind: str) -> None:
    class Bad(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.at = 0
            self.flag = False

        def forward(self, x: Tensor) -> Tensor:
            return x / 0.0 if self.flag and where == "layer" else x

    bad = Bad()
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), bad, nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    x = torch.randn(8, 3)

    def loss(out: Tensor, y: Tensor) -> Tensor:
        return function(out, y) * (float("nan") if bad.flag and where == "loss" else 1.0)

    with chymist.watch(model, loss, optimizer) as w:
        for step in range(20):
            bad.flag = step >= 12
            optimizer.zero_grad()
            loss(model(x), x[:, :1]).backward()
            optimizer.step()
    found = w.chart.facts["non_finite"]
    assert (found["step"], found["kind"]) == (12, kind)
    assert found["layer"] == ("2" if where == "layer" else "")


def test_bad_arguments_are_told_in_a_line() -> None:
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(BadParameter, match="budget is 2"):
        chymist.watch(model, function, optimizer, budget=2)
    with pytest.raises(BadParameter, match="every is 0"):
        chymist.watch(model, function, optimizer, every=0)
    with pytest.raises(UsageError, match="the optimizer is of type int"):
        chymist.watch(model, function, 3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="the loss takes 3 arguments"):
        chymist.watch(model, lambda a, b, c: a, optimizer)
