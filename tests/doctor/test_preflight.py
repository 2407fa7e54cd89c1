"""The doctor before the first step, on planted faults and on the same nets without them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

import chymist
from chymist.doctor.chart import Chart
from chymist.doctor.checkup import Checkup
from chymist.doctor.rules import RULES


class Attention(nn.Module):
    """One head, with the division by sqrt(d) or without."""

    def __init__(self, width: int, divided: bool) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        for layer in (self.q, self.k, self.v):
            nn.init.normal_(layer.weight, std=width**-0.5)
        self.factor = width**-0.5 if divided else 1.0

    def forward(self, x: Tensor) -> Tensor:
        logits = self.q(x) @ self.k(x).transpose(-2, -1) * self.factor
        return torch.as_tensor(logits.softmax(-1) @ self.v(x))


def tokens_loss(out: Tensor, y: Tensor) -> Tensor:
    return nn.functional.cross_entropy(out.flatten(0, 1), y.flatten())


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def transformer(divided: bool) -> tuple[nn.Module, Tensor]:
    model = nn.Sequential(
        nn.Embedding(16, 64), Attention(64, divided), nn.LayerNorm(64), nn.Linear(64, 16)
    )
    return model, torch.randint(0, 16, (16, 20))


def test_the_forgotten_division_is_named_with_its_layer_and_threshold() -> None:
    model, x = transformer(divided=False)
    found = chymist.preflight(model, tokens_loss, (x, x), torch.optim.SGD(model.parameters(), 0.1))
    first = found.findings[0]
    assert (first.rule, first.layer, first.severity) == ("frozen-softmax", "1", "critical")
    assert first.threshold == pytest.approx(math.sqrt(2 * math.log(20)))
    assert first.study == "transformer-initialisation" and not first.provisional


def test_the_divided_net_is_healthy() -> None:
    model, x = transformer(divided=True)
    found = chymist.preflight(model, tokens_loss, (x, x), torch.optim.SGD(model.parameters(), 0.1))
    assert found.worst in (None, "note")
    assert not found.chart.off


@pytest.mark.parametrize(("times", "severity"), [(0.5, None), (1.5, "critical"), (3.0, "critical")])
def test_a_step_beyond_the_threshold(times: float, severity: str | None) -> None:
    x = torch.randn(50, 3, dtype=torch.float64)
    model = nn.Linear(3, 1, bias=False).double()
    largest = float(torch.linalg.eigvalsh(2 * x.T @ x / len(x))[-1])
    optimizer = torch.optim.SGD(model.parameters(), lr=times * 2 / largest)
    found = chymist.preflight(model, nn.MSELoss(), (x, x.sum(1, keepdim=True)), optimizer)
    told = [f for f in found.findings if f.rule == "step-size"]
    assert [f.severity for f in told] == ([severity] if severity else [])
    for finding in told:
        assert finding.value / finding.threshold == pytest.approx(times, rel=0.02)


def test_a_checkup_can_be_kept_and_judged_again() -> None:
    model, x = transformer(divided=False)
    found = chymist.preflight(model, tokens_loss, (x, x))
    kept = Checkup.from_json(found.as_json())
    assert kept.as_json() == found.as_json()
    assert Checkup.of(kept.chart).findings == found.findings


def test_no_rule_speaks_of_an_empty_chart() -> None:
    assert Checkup.of(Chart()).findings == ()
    assert len({rule.name for rule in RULES}) == len(RULES)
