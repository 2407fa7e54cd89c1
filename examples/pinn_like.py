"""Solve Poisson's equation with a physics-informed net, with the doctor beside it.

Run: python examples/pinn_like.py [--fault high-frequency | small-init] [--steps 600]

-u'' = (k pi)^2 sin(k pi x) on (0, 1), u(0) = u(1) = 0, whose solution is sin(k pi x), with k = 1.
`high-frequency` asks for k = 12; `small-init` draws every weight with standard deviation 1e-3. What
chymist needs is marked. The model returns the residuals of the equation and of the boundary.
"""

from __future__ import annotations

import argparse
import math

import torch
from torch import Tensor, nn

import chymist  # chymist


class PINN(nn.Module):
    def __init__(self, k: int, width: int = 32) -> None:
        super().__init__()
        self.k = k * math.pi
        self.net = nn.Sequential(
            nn.Linear(1, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1)
        )
        for layer in self.net:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = x.clone().requires_grad_(True)
        u = self.net(x)
        u_x = torch.autograd.grad(u.sum(), x, create_graph=True)[0]
        u_xx = torch.autograd.grad(u_x.sum(), x, create_graph=True)[0]
        equation = u_xx / self.k**2 + torch.sin(self.k * x)
        boundary = self.net(torch.tensor([[0.0], [1.0]], device=x.device))
        return torch.cat([equation, 3 * boundary])


def loss_of(residuals: Tensor) -> Tensor:
    return residuals.square().mean()


def main(words: list[str] | None = None) -> tuple[chymist.Checkup, chymist.Checkup]:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fault", choices=["none", "high-frequency", "small-init"], default="none")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(words)
    torch.manual_seed(given.seed)

    model = PINN(k=12 if given.fault == "high-frequency" else 1)
    if given.fault == "small-init":
        for weight in model.parameters():
            nn.init.normal_(weight, std=1e-3)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    before = chymist.preflight(model, loss_of, torch.rand(128, 1), optimizer)  # chymist
    print(before)
    with chymist.watch(model, loss_of, optimizer) as watched:  # chymist
        for step in range(given.steps):
            x = torch.rand(128, 1)
            loss = loss_of(model(x))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step % 100 == 0 or step == given.steps - 1:
                print(f"step {step}: loss {loss.item():.5f}")
    print(watched.checkup)

    x = torch.linspace(0, 1, 201)[:, None]
    with torch.no_grad():
        error = (model.net(x) - torch.sin(model.k * x)).square().mean().sqrt()
    print(f"root mean square error of the solution: {error:.4f}")
    return before, watched.checkup


if __name__ == "__main__":
    main()
