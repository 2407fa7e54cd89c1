"""Nets, losses and batches that tests of the doctor share: healthy as they are."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

import chymist
from chymist.doctor import Checkup, Finding

Case = tuple[nn.Module, Callable[..., Tensor], Any, torch.optim.Optimizer | None]
"""What `preflight` takes."""
cross_entropy, squares = nn.CrossEntropyLoss(), nn.MSELoss()


def mlp(
    sizes: Sequence[int], activation: Callable[[], nn.Module] = nn.ReLU, *, norm: bool = False
) -> nn.Sequential:
    made: list[nn.Module] = []
    for inner, outer in itertools.pairwise(sizes):
        made.append(nn.Linear(inner, outer))
        if norm:
            made.append(nn.BatchNorm1d(outer))
        made.append(activation())
    return nn.Sequential(*made[: -2 if norm else -1])


def drawn(model: nn.Module, std: float | None = None, gain: float = 2.0) -> nn.Module:
    """Draw weights anew: of a standard deviation, or of sqrt(gain/fan-in); biases are zero."""
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            fan = layer.weight[0].numel()
            nn.init.normal_(layer.weight, std=(gain / fan) ** 0.5 if std is None else std)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return model


class Block(nn.Module):
    """A block of a transformer, its norms before the branches."""

    def __init__(self, width: int, heads: int, divided: bool = True) -> None:
        super().__init__()
        self.one, self.two = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = mlp([width, 4 * width, width], nn.GELU)
        self.heads, self.divided = heads, divided

    def attend(self, x: Tensor) -> Tensor:
        n, t, d = x.shape
        q, k, v = (p.view(n, t, self.heads, -1).transpose(1, 2) for p in self.qkv(x).split(d, -1))
        logits = q @ k.transpose(-2, -1)
        if self.divided:
            logits = logits / math.sqrt(q.shape[-1])
        later = torch.triu(torch.ones(t, t, dtype=torch.bool), 1)
        weights = logits.masked_fill(later, -torch.inf).softmax(-1)
        return torch.as_tensor(self.out((weights @ v).transpose(1, 2).reshape(n, t, d)))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attend(self.one(x))
        return torch.as_tensor(x + self.feed(self.two(x)))


class Language(nn.Module):
    """A causal language model, its weights drawn as GPT-2's unless `std` is None."""

    def __init__(
        self, width: int = 32, heads: int = 4, *, std: float | None = 0.02, tied: bool = True,
        divided: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.words, self.places = nn.Embedding(16, width), nn.Embedding(20, width)
        self.drop = nn.Dropout(0.1)
        self.blocks = nn.ModuleList(Block(width, heads, divided) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 16, bias=False)
        if std is not None:
            drawn(self, std)
            nn.init.normal_(self.words.weight, std=std)
            nn.init.normal_(self.places.weight, std=std)
        if tied:
            self.head.weight = self.words.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.drop(self.words(tokens) + self.places(torch.arange(tokens.shape[1])))
        for block in self.blocks:
            x = block(x)
        return torch.as_tensor(self.head(self.norm(x)))


def of_tokens(out: Tensor, y: Tensor) -> Tensor:
    return nn.functional.cross_entropy(out.flatten(0, 1), y.flatten())


def classes(n: int = 64) -> tuple[Tensor, Tensor]:
    x = torch.randn(n, 20)
    return x, (x @ torch.randn(20, 5)).argmax(1)


def curve(frequency: float = 1.0, n: int = 200) -> tuple[Tensor, Tensor]:
    x = torch.linspace(-1, 1, n)[:, None]
    return x, torch.sin(frequency * math.pi * x)


def tokens() -> tuple[Tensor, Tensor]:
    x = torch.randint(0, 16, (8, 20))
    return x, x.roll(-1, 1)


def pictures() -> tuple[Tensor, Tensor]:
    return torch.randn(16, 3, 8, 8), torch.randint(0, 5, (16,))


def adam(model: nn.Module, lr: float = 1e-3, **words: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr, **words)


def sgd(model: nn.Module, lr: float = 0.05, momentum: float = 0.9) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr, momentum=momentum)


def told(rule: str, *case: Any) -> list[Finding]:
    """Return a rule's findings of a preflight, those that are notes by another's cause too."""
    return [f for f in chymist.preflight(*case).findings if f.rule == rule]


def first(*case: Any) -> Finding:
    """Return what a preflight says first."""
    return chymist.preflight(*case).findings[0]


def loud(checkup: Checkup) -> list[str]:
    """Return the rules that found more than a note."""
    return [f.rule for f in checkup.findings if f.severity != "note"]
