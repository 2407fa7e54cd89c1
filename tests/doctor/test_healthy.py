"""Healthy nets of many kinds: no rule says more than a note before their first step."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from doctor.patients import (
    Case,
    Language,
    adam,
    classes,
    cross_entropy,
    curve,
    drawn,
    loud,
    mlp,
    of_tokens,
    pictures,
    sgd,
    squares,
    tokens,
)
from torch import Tensor, nn

import chymist


class Residual(nn.Module):
    """A block of a residual net with batch norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.one, self.two = (nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(2))
        self.norm, self.last = nn.BatchNorm2d(width), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.last(self.two(torch.relu(self.norm(self.one(x))))))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = nn.LSTM(6, 16, batch_first=True), nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.head(self.inner(x)[0][:, -1]))


def zero_head(model: nn.Sequential) -> nn.Sequential:
    nn.init.zeros_(model[-1].weight)  # type: ignore[arg-type]
    return model


def classifier(model: nn.Module, optimizer: Callable[..., torch.optim.Optimizer] = adam) -> Case:
    return model, cross_entropy, classes(), optimizer(model)


def regression(model: nn.Module, optimizer: Callable[..., torch.optim.Optimizer] = adam) -> Case:
    return model, squares, curve(), optimizer(model)


def language(model: nn.Module) -> Case:
    return model, of_tokens, tokens(), torch.optim.AdamW(model.parameters(), 1e-3)


def seen() -> Case:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), Residual(8), Residual(8), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(8, 5),
    )  # fmt: skip
    return model, cross_entropy, pictures(), sgd(model)


def in_sequence() -> Case:
    model, x = Recurrent(), torch.randn(32, 10, 6)
    return model, squares, (x, x.mean((1, 2))[:, None]), adam(model)


def binary() -> Case:
    model, (x, y) = mlp([20, 16, 1]), classes()
    return model, nn.BCEWithLogitsLoss(), (x, (y > 2).float()[:, None]), adam(model)


def encoder() -> Case:
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    inside = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    model = nn.Sequential(nn.Embedding(16, 32), inside, nn.Linear(32, 16))
    return language(model)


def by_line_search() -> Case:
    model = nn.Linear(20, 5)
    return model, cross_entropy, classes(), torch.optim.LBFGS(model.parameters())


HEALTHY: dict[str, Callable[[], Case]] = {
    "relu": lambda: classifier(mlp([20, 64, 64, 5]), sgd),
    "gelu": lambda: classifier(mlp([20, 64, 64, 5], nn.GELU)),
    "tanh of five layers": lambda: classifier(mlp([20, 64, 64, 64, 64, 5], nn.Tanh)),
    "relu of ten layers by He": lambda: classifier(drawn(mlp([20, *[64] * 10, 5]))),
    "tanh of ten layers by LeCun": lambda: classifier(
        drawn(mlp([20, *[64] * 10, 5], nn.Tanh), gain=1.0)
    ),
    "batch norm": lambda: classifier(mlp([20, 64, 64, 5], norm=True), sgd),
    "zero head": lambda: classifier(zero_head(mlp([20, 64, 5]))),
    "one sample": lambda: (m := mlp([20, 32, 5]), cross_entropy, classes(1), sgd(m, 0.01)),
    "tiny": lambda: (m := mlp([1, 4, 1], nn.Tanh), squares, curve(n=10), sgd(m)),
    "curve by tanh": lambda: regression(mlp([1, 64, 64, 1], nn.Tanh)),
    "curve by relu": lambda: regression(mlp([1, 64, 64, 1])),
    "residual": seen,
    "language": lambda: language(Language()),
    "language, default weights": lambda: language(Language(std=None, tied=False)),
    "encoder, norms after": encoder,
    "recurrent": in_sequence,
    "binary": binary,
    "line search": by_line_search,
    "no optimizer": lambda: (mlp([20, 32, 5]), cross_entropy, classes(), None),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_above_a_note(name: str) -> None:
    found = chymist.preflight(*HEALTHY[name]())
    assert loud(found) == []
    assert found.chart.off == {}
