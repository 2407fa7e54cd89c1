"""Data, streams of batches and schedules of the third set of cases."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import torch
from case import Training
from optimizers import Maker
from sklearn import datasets
from torch import Tensor, nn

Schedule = Callable[[torch.optim.Optimizer], Any]


def standard(x: Tensor) -> Tensor:
    """Return columns of zero mean and unit scale."""
    return (x - x.mean(0)) / (x.std(0) + 1e-8)


@cache
def digits() -> tuple[Tensor, Tensor]:
    """Return images of 8 x 8 in 0..1, with a channel, and their classes."""
    data = datasets.load_digits()
    x = torch.tensor(data.data, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    return x, torch.tensor(data.target)


def centred() -> tuple[Tensor, Tensor]:
    """Return the images with zero mean and unit variance over all pixels."""
    x, y = digits()
    return (x - x.mean()) / x.std(), y


def flat() -> tuple[Tensor, Tensor]:
    x, y = centred()
    return x.flatten(1), y


@cache
def table(name: str) -> tuple[Tensor, Tensor]:
    """Return features and targets as they come."""
    data = getattr(datasets, f"load_{name}")()
    x = torch.tensor(data.data, dtype=torch.float32)
    if name == "diabetes":
        return standard(x), torch.tensor(data.target, dtype=torch.float32)
    return x, torch.tensor(data.target)


@cache
def friedman() -> tuple[Tensor, Tensor]:
    x, y = datasets.make_friedman1(1000, noise=0.3, random_state=3)
    inputs, targets = (torch.tensor(v, dtype=torch.float32) for v in (x, y))
    return standard(inputs), standard(targets)[:, None]


@cache
def prose() -> tuple[Tensor, int]:
    """Return the characters of the data sets' descriptions as numbers, and how many kinds."""
    names = ("diabetes", "wine", "breast_cancer", "iris")
    text = "".join(getattr(datasets, f"load_{name}")().DESCR for name in names).lower()
    kinds = sorted(set(text))
    place = {c: i for i, c in enumerate(kinds)}
    return torch.tensor([place[c] for c in text]), len(kinds)


def passages(length: int) -> tuple[Tensor, Tensor]:
    """Return windows of the prose and the same windows one character on."""
    windows = prose()[0].unfold(0, length + 1, length // 2)
    return windows[:, :-1].contiguous(), windows[:, 1:].contiguous()


def stream(x: Tensor, y: Tensor | None, size: int) -> Iterator[Any]:
    """Yield batches drawn in the order of a new shuffle each epoch; all the data if size is 0."""
    while size == 0:
        yield x if y is None else (x, y)
    while True:
        order = torch.randperm(len(x))
        for start in range(0, len(x) - size + 1, size):
            take = order[start : start + size]
            yield x[take] if y is None else (x[take], y[take])


def fit(
    model: nn.Module,
    loss: Callable[..., Tensor],
    data: tuple[Tensor, Tensor] | Tensor,
    make: Maker,
    size: int = 64,
    schedule: Schedule | None = None,
    **others: Any,
) -> Training:
    """Return the training of all of a model's parameters on data."""
    x, y = data if isinstance(data, tuple) else (data, None)
    optimizer = make(p for p in model.parameters() if p.requires_grad)
    scheduler = schedule(optimizer) if schedule else None
    return Training(model, loss, stream(x, y, size), optimizer, data, scheduler=scheduler, **others)


def cosine(steps: int, warm: int = 0, floor: float = 0.02) -> Schedule:
    """Return a cosine's half period down to a floor, after a linear warm-up."""

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        part = min(1.0, (step - warm) / max(1, steps - warm))
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * part))

    return lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def decays(every: int, by: float) -> Schedule:
    return lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, every, by)


def mlp(*widths: int, act: Callable[[], nn.Module] = nn.ReLU) -> nn.Sequential:
    """Return linear layers of these widths with an activation between."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out), act()]
    return nn.Sequential(*layers[:-1])


def gained(model: nn.Module, gain: float) -> nn.Module:
    """Set the weights of linear layers to variance gain squared over fan-in, biases to zero."""
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.in_features))
            nn.init.zeros_(layer.bias)
    return model


class Block(nn.Module):
    """A pre-norm transformer block of one's own making, causal or not."""

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        causal: bool = False,
        scaled: bool = True,
        skip: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.heads, self.causal, self.skip = heads, causal, skip
        self.scale = (width // heads) ** -0.5 if scaled else 1.0
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.mlp = mlp(width, 2 * width, width, act=nn.GELU)
        self.drop = nn.Dropout(dropout)

    def attend(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = (
            layer(x).reshape(batch, length, self.heads, -1).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        logits = q @ k.transpose(-1, -2) * self.scale
        if self.causal:
            ahead = torch.ones(length, length, dtype=torch.bool).triu(1)
            logits = logits.masked_fill(ahead, -math.inf)
        mixed = logits.softmax(-1) @ v
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))

    def forward(self, x: Tensor) -> Tensor:
        if not self.skip:
            return self.attend(self.first(x))
        x = x + self.drop(self.attend(self.first(x)))
        return x + self.drop(self.mlp(self.second(x)))


class Reshape(nn.Module):
    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), *self.shape)
