"""Trainings of physics-informed nets: the model returns its equation's residuals."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from case import LARGE_STEP, Case, Training
from networks import Init, Poisson, fixed, gaussian, mlp
from optimizers import Maker, adam
from torch import Tensor, nn


def mean_square(residuals: Tensor) -> Tensor:
    return residuals.square().mean()


def solve(optimizer: Maker, *, k: float = 1.0, init: Init | None = None) -> Training:
    """Set up Poisson's equation on (0, 1)."""
    model = Poisson(mlp([1, 32, 32, 1], nn.Tanh, init or gaussian(1.0)), k)
    chance = torch.Generator().manual_seed(int(torch.randint(2**31, ())))

    def points() -> Iterator[Tensor]:
        while True:
            yield torch.rand(64, 1, generator=chance)

    return Training(
        model, mean_square, points(), optimizer(model.parameters()),
        torch.linspace(0, 1, 200)[:, None],
    )  # fmt: skip


CASES = (
    Case("poisson", partial(solve, adam(5e-3)), level=0.02, steps=250),
    Case(
        "poisson-fast",
        partial(solve, adam(5e-3), k=12.0),
        ("high-frequency", "unlearnt-frequency"),
        "poisson",
        steps=250,
    ),
    Case(
        "poisson-init-small",
        partial(solve, adam(5e-3), init=fixed(1e-3)),
        ("small-init", "vanishing-gradient"),
        "poisson",
        steps=250,
    ),
    Case(
        "poisson-step-large",
        partial(solve, adam(0.3)),
        LARGE_STEP,
        "poisson",
        steps=250,
        held_out=True,
    ),
)
