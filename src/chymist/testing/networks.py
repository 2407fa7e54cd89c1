"""Small networks, losses and data on which instruments are checked, and their whole Hessians."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from chymist.keys import Key


def half_squared_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Half the squared error summed over outputs, mean over samples."""
    return 0.5 * (prediction - target).square().sum(-1).mean()


@dataclass(frozen=True, eq=False)
class Small:
    """A small network in float64 with a loss and data, and what is known of it by brute force.

    `hessian` and `gradient` are over all parameters, flattened in the order of
    `named_parameters`, by reverse over reverse mode, one entry of the gradient at a time.
    """

    name: str
    model: nn.Module
    loss: Callable[[Any, Tensor], Tensor]
    data: tuple[Tensor, Tensor]

    def value(self, row: Float[Tensor, " parameter"]) -> Tensor:
        """Return the loss at other parameters."""
        named = dict(self.model.named_parameters())
        parts = torch.split(row, [p.numel() for p in named.values()])
        own = {n: part.view_as(p) for (n, p), part in zip(named.items(), parts, strict=True)}
        x, y = self.data
        # The fast kernels of attention have no second derivative.
        with sdpa_kernel(SDPBackend.MATH):
            return self.loss(functional_call(self.model, own, (x,)), y)

    @property
    def row(self) -> Float[Tensor, " parameter"]:
        """The parameters as one vector."""
        return torch.cat([p.detach().flatten() for p in self.model.parameters()])

    @cached_property
    def gradient(self) -> Float[Tensor, " parameter"]:
        """The loss's gradient."""
        row = self.row.requires_grad_()
        return torch.autograd.grad(self.value(row), row)[0]

    @cached_property
    def hessian(self) -> Float[Tensor, "parameter parameter"]:
        """The loss's second derivatives."""
        hessian: Callable[..., Tensor] = torch.autograd.functional.hessian
        return hessian(self.value, self.row)


class Residual(nn.Module):
    """Two layers beside the identity."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(3, 4), nn.Linear(4, 3), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Map (sample, 3) to (sample, 3)."""
        out: Tensor = self.last(x + self.second(torch.tanh(self.first(x))))
        return out


class Tied(nn.Module):
    """A network whose first and last layer share their weight."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(3, 3), nn.Linear(3, 3)
        self.outer.weight = self.inner.weight

    def forward(self, x: Tensor) -> Tensor:
        """Map (sample, 3) to (sample, 3)."""
        out: Tensor = self.outer(torch.tanh(self.inner(x)))
        return out


class Attention(nn.Module):
    """Self-attention over three tokens of four numbers, between two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.write = nn.Linear(1, 4), nn.Linear(4, 3)
        self.attend = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (sample, 3) to (sample, 3)."""
        tokens = self.read(x[..., None])
        out: Tensor = self.write(self.attend(tokens, tokens, tokens, need_weights=False)[0].mean(1))
        return out


def two_layers() -> nn.Sequential:
    """Return a tanh network 3-6-3, whose hidden neurons can be told apart and exchanged."""
    return nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 3))


def rectified() -> nn.Sequential:
    """Return a ReLU network 3-6-3 with biases."""
    return nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 3))


def homogeneous() -> nn.Sequential:
    """Return a ReLU network 3-6-3 without biases: of twice the weights, four times the outputs."""
    return nn.Sequential(nn.Linear(3, 6, bias=False), nn.ReLU(), nn.Linear(6, 3, bias=False))


def convolutional() -> nn.Sequential:
    """Return a convolution over three numbers before a linear layer."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 3)), nn.Conv1d(1, 4, 2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3)
    )


_CASES: dict[str, tuple[Callable[[], nn.Module], bool]] = {
    "two layers, squared error": (two_layers, False),
    "two layers, cross-entropy": (two_layers, True),
    "residual, cross-entropy": (Residual, True),
    "tied, squared error": (Tied, False),
    "attention, cross-entropy": (Attention, True),
    "convolution, squared error": (convolutional, False),
}


def small_networks(samples: int = 9) -> list[Small]:
    """Return networks of at most 300 parameters: dense, residual, tied, attention, convolution."""
    return [
        small(name, build, classes=classes, samples=samples)
        for name, (build, classes) in _CASES.items()
    ]


def small(
    name: str, build: Callable[[], nn.Module], *, classes: bool = False, samples: int = 9
) -> Small:
    """Build a network that maps 3 features to 3 outputs, its weights and data drawn from `name`."""
    draw = Key("testing", "networks", 0, name).torch()
    normal = partial(torch.randn, generator=draw, dtype=torch.float64)
    with torch.random.fork_rng(devices=[]):
        model = build().double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.7 * normal(parameter.shape))
    x = normal(samples, 3)
    if classes:
        y = torch.randint(0, 3, (samples,), generator=draw)
        return Small(name, model, nn.functional.cross_entropy, (x, y))
    return Small(name, model, half_squared_error, (x, normal(samples, 3)))
