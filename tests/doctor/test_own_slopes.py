"""Models that differentiate by their own inputs, as physics-informed nets do."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import chymist


class Oscillator(nn.Module):
    """The residuals of u'' + u = 0, u(0) = 0."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = x.clone().requires_grad_(True)
        u = self.net(x)
        slope = torch.autograd.grad(u.sum(), x, create_graph=True)[0]
        inside = torch.autograd.grad(slope.sum(), x, create_graph=True)[0] + u
        return torch.cat([inside, self.net(torch.zeros(1, 1))])


def test_every_instrument_measures_a_physics_informed_net() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Oscillator()
        x = torch.rand(16, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    found = chymist.preflight(model, lambda out: out.square().mean(), x, optimizer)
    assert not found.chart.off
    assert {"saturated_values", "sharpness"} <= set(found.chart.readings)
    # Called at the points and at the edge; no third time, which would be a first try.
    signal = found.chart.last("signal")
    assert signal is not None and {"net", "net#2"} <= set(signal.values)
    assert "net#3" not in signal.values
    assert type(model) is Oscillator
