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
