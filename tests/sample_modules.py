"""Modules of all kinds, on two features: those whose calls the engine knows, and others."""

from typing import Any

import torch
from torch import Tensor, nn

from chymist import models
from chymist.models.coordinate import CoordinateMLP, Siren, positional


class Direct(nn.Module):
    """Uses its parameters and buffers without layers."""

    shift: Tensor

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.randn(()))
        self.offset = nn.Parameter(torch.randn(3))
        self.matrix = nn.Parameter(torch.randn(4, 3))
        self.register_buffer("shift", torch.randn(3))
        self.layer = nn.Linear(2, 3)

    def forward(self, x):
        h = torch.tanh(self.gain * self.layer(x) + self.offset) + self.shift
        return torch.cat([(h @ self.matrix.T).pow(2), h], dim=-1)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(2, 2, bias=False), nn.Linear(2, 2)
        self.act = nn.GELU()

    def forward(self, x):
        x = x + self.act(self.first(x))
        return 2 - self.second(x) / 3


class Normalised(nn.Module):
    """Holds a layer that only vmap knows."""

    def __init__(self):
        super().__init__()
        self.inner, self.norm, self.outer = nn.Linear(2, 5), nn.LayerNorm(5), nn.Linear(5, 1)

    def forward(self, x):
        return self.outer(torch.relu(self.norm(self.inner(x))))


class SampleMean(nn.Module):
    """Mixes samples: a rewriting that took it for element by element would be wrong."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x):
        return self.layer(x) - self.layer(x).mean(0)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 2)
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.b(torch.tanh(self.a(x)))


class Discarding(nn.Module):
    """Goes on computing after its output."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, x):
        out = self.layer(x)
        _ = out * 2
        return out


class Vector(nn.Module):
    """Multiplies a matrix by a vector, which stacked would be another product."""

    def __init__(self):
        super().__init__()
        self.matrix, self.vector = nn.Parameter(torch.ones(3, 3)), nn.Parameter(torch.ones(3))
        self.layer = nn.Linear(2, 3)

    def forward(self, x):
        return self.layer(x) * (self.matrix @ self.vector)


class Constant(nn.Module):
    """Returns a vector whatever the inputs."""

    def __init__(self):
        super().__init__()
        self.vector = nn.Parameter(torch.ones(3))

    def forward(self, x):
        return self.vector * 2


class ByFlag(nn.Module):
    """Branches on what is the same for all lanes."""

    def __init__(self, flag=True):
        super().__init__()
        self.layer, self.flag = nn.Linear(2, 1), flag

    def forward(self, x):
        return -self.layer(x) if self.flag else self.layer(x)


class ByShape(nn.Module):
    """Branches on the shape, of which the recorder sees one."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, x):
        return self.layer(x) if x.shape[0] > 3 else -self.layer(x)


class Convolutional(nn.Module):
    """Two convolutions and both kinds of pooling on what are two features a sample."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.spread = nn.Linear(2, 2 * 6 * 5)
        self.net = nn.Sequential(
            nn.Unflatten(1, (2, 6, 5)),
            nn.Conv2d(2, 3, 3, padding=options.get("dilation", 1), **options),
            nn.ReLU(),
            nn.AvgPool2d(2, stride=1),
            nn.Conv2d(3, 4, 2, stride=2, bias=False),
            nn.Tanh(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(4, 2),
        )

    def forward(self, x):
        return self.net(self.spread(x))


class Skipping(nn.Module):
    """A convolution beside its input, joined by channels and added."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)
        self.join, self.last = nn.Conv2d(2, 1, 1), nn.Linear(4, 1)

    def forward(self, x):
        x = torch.cat([x, x * x], dim=1).reshape(-1, 1, 2, 2)
        x = x + torch.relu(self.conv(x))
        return self.last(self.join(torch.cat([x, torch.sin(x)], dim=1)).flatten(1))


REWRITTEN = [
    lambda: models.MLP(2, 5, 4, 3, activation="tanh"),
    lambda: models.MLP(2, 5, 1, activation="hat", bias=False),
    lambda: models.MLP(2, 5, 1, activation="gelu"),
    lambda: models.TwoLayer(2, 6),
    lambda: Siren(5),
    lambda: CoordinateMLP(positional(8, 3.0), 6, scaling="standard"),
    lambda: nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2), nn.Sigmoid()),
    Direct,
    Residual,
    Tied,
    ByFlag,
    Discarding,
]
VECTORISED = [
    Normalised,
    SampleMean,
    ByShape,
    Vector,
    Constant,
    lambda: nn.Sequential(nn.Linear(2, 3), nn.ReLU(inplace=True), nn.Linear(3, 2)),
    lambda: nn.utils.parametrizations.orthogonal(nn.Linear(2, 2)),
]
