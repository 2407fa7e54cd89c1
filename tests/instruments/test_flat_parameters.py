"""Parameters of no dimension, and parameters by which a loss is straight."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from chymist import instruments
from chymist.instruments import dense, hessian, objective


class Scaled(nn.Module):
    """A layer times a single number."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.share = nn.Linear(4, 3), nn.Parameter(torch.tensor(0.3))

    def forward(self, x: Tensor) -> Tensor:
        return self.share * torch.tanh(self.layer(x))


def test_samples_gradients_by_a_single_number() -> None:
    torch.manual_seed(0)
    model, x, y = Scaled(), torch.randn(12, 4), torch.randn(12, 3)
    own = []
    for i in range(12):
        loss = nn.functional.mse_loss(model(x[i : i + 1]), y[i : i + 1])
        own.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, model.parameters())]))
    made = instruments.sampler(model, nn.MSELoss(), (x, y))((x, y))
    assert float(made.squares().double().mean()) == pytest.approx(
        float(torch.stack(own).square().sum(1).mean()), rel=1e-4
    )


@pytest.mark.parametrize("block", [1, 2, 3])
def test_curvature_where_the_loss_is_straight_in_a_bias(block: int) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    x, y = torch.randn(40, 4).double(), 10 + torch.randn(40, 3).double()

    def straight(out: Tensor, target: Tensor) -> Tensor:
        return (target - out).abs().mean()  # Far below every target: linear in the outputs.

    found = instruments.sharpness(model, straight, (x, y), k=2, block=block, tolerance=1e-8)
    whole = dense(hessian(objective(model, straight, (x, y))))
    exact = np.linalg.eigvalsh(whole[0].numpy())[::-1][:2]
    assert np.allclose(np.asarray(found.values).squeeze(), exact, rtol=1e-5)


def test_norms_and_updates_of_a_single_number() -> None:
    torch.manual_seed(0)
    model, x = Scaled(), torch.randn(12, 4)
    stacked = {"share": torch.tensor([0.5, 2.0])}
    moved = {"share": torch.tensor([0.25, 3.0])}
    assert instruments.stacked_update_ratio(stacked, moved)["share"].tolist() == [0.5, 0.5]
    found = instruments.max_margin_stationarity(model, (x, model(x).argmax(1)))
    assert 0 <= float(found.residual) <= 1
