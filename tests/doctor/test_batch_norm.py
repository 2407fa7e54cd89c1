"""Batch norms that normalise by nothing."""

from __future__ import annotations

import torch
from torch import nn

import chymist


def told(model: nn.Module) -> list[str]:
    x, y = torch.randn(32, 4), torch.arange(32) % 3
    found = chymist.preflight(model, nn.CrossEntropyLoss(), (x, y))
    return [f.layer for f in found.findings if f.rule == "batch-norm"]


def test_evaluation_mode_before_any_batch_is_told() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
        assert told(model.train()) == []
        assert told(model.eval()) == ["1"]
        model.train()(torch.randn(32, 4))
        assert told(model.eval()) == []


def test_norms_of_no_statistics_account_for_the_step_size() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 3))
        x, y = 30 * torch.randn(64, 4), torch.arange(64) % 3
        norm = nn.Sequential(nn.BatchNorm1d(4), model).eval()
        optimizer = torch.optim.SGD(norm.parameters(), 0.5)
        found = chymist.preflight(norm, nn.CrossEntropyLoss(), (x, y), optimizer).findings
    assert found[0].rule == "batch-norm"
    assert [f.because for f in found if f.rule == "step-size"] == ["batch-norm"]
