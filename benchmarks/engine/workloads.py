"""Five workloads: what studies of training train, and their cost in floating-point operations."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, eq=False)
class Workload:
    """So many networks of one shape, trained by Adam on the same data."""

    name: str
    says: str
    build: Callable[[], nn.Module]
    lanes: int
    steps: int
    x: np.ndarray
    y: np.ndarray
    loss: Callable[[Tensor, Tensor], Tensor]
    flops: float
    """Floating-point operations of one step of one network."""
    product: tuple[int, int, int]
    """The matrix product that most of them are, (m, k, n)."""
    batch: int | None = None


def squared(prediction: Tensor, target: Tensor) -> Tensor:
    return ((prediction - target) ** 2).mean()


def cross_entropy(prediction: Tensor, target: Tensor) -> Tensor:
    return functional.cross_entropy(prediction, target)


def dense(*sizes: int) -> nn.Module:
    layers: list[nn.Module] = []
    for a, b in pairwise(sizes):
        layers += [nn.Linear(a, b), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def dense_flops(samples: int, *sizes: int) -> float:
    """Forward, and twice that backward, but for the gradient of the inputs, which nobody needs."""
    first, *rest = [a * b for a, b in pairwise(sizes)]
    return 2 * samples * (2 * first + 3 * sum(rest))


class Convolutional(nn.Module):
    """Two convolutions on 8 x 8 pixels and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.last = nn.Linear(16 * 64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.first(x.reshape(-1, 1, 8, 8)))
        x = functional.relu(self.second(x))
        return self.last(x.flatten(1))


class Transformer(nn.Module):
    """One pre-norm layer, four heads, on 16 tokens of four pixels each."""

    WIDTH, HEADS, TOKENS = 128, 4, 16

    def __init__(self) -> None:
        super().__init__()
        d = self.WIDTH
        self.embed, self.place = nn.Linear(4, d), nn.Parameter(0.02 * torch.randn(self.TOKENS, d))
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.up, self.down = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
        self.last = nn.Linear(d, 10)

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x.reshape(-1, self.TOKENS, 4)) + self.place
        q, k, v = (
            part.reshape(-1, self.TOKENS, self.HEADS, self.WIDTH // self.HEADS).transpose(1, 2)
            for part in self.qkv(self.norm1(h)).chunk(3, dim=-1)
        )
        weight = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), dim=-1)
        h = h + self.out((weight @ v).transpose(1, 2).reshape(-1, self.TOKENS, self.WIDTH))
        h = h + self.down(functional.gelu(self.up(self.norm2(h))))
        return self.last(h.mean(1))


def workloads() -> list[Workload]:
    rng = np.random.default_rng(0)
    line = np.linspace(-np.pi, np.pi, 200)[:, None]
    cloud = rng.normal(size=(20, 10))
    digits = load_digits()
    pixels, classes = digits.data[:1792] / 16, np.eye(10)[digits.target[:1792]]
    tokens = 32 * Transformer.TOKENS
    return [
        Workload("W1", "deep and narrow, full batch", lambda: dense(1, 200, 200, 200, 1), 64, 40,
                 line, np.sin(3 * line), squared,
                 dense_flops(200, 1, 200, 200, 200, 1), (200, 200, 200)),
        Workload("W2", "tiny two-layer, full batch", lambda: dense(10, 50, 1), 256, 300,
                 cloud, np.sin(cloud.sum(1, keepdims=True)), squared,
                 dense_flops(20, 10, 50, 1), (20, 10, 50)),
        Workload("W3", "digits, own minibatches of 64", lambda: dense(64, 128, 128, 10), 32, 500,
                 pixels, classes, cross_entropy,
                 dense_flops(64, 64, 128, 128, 10), (64, 128, 128), 64),
        Workload("W4", "small convolutions, minibatches of 64", Convolutional, 16, 60,
                 pixels, classes, cross_entropy,
                 2 * 64 * (2 * 64 * 9 * 8 + 3 * (64 * 9 * 8 * 16 + 16 * 64 * 10)),
                 (64 * 64, 72, 16), 64),
        Workload("W5", "small transformers, minibatches of 32", Transformer, 8, 48,
                 pixels, classes, cross_entropy,
                 6 * tokens * (12 * 128**2 + 2 * 16 * 128), (tokens, 128, 128), 32),
    ]  # fmt: skip
