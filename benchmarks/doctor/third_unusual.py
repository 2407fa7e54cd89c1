"""Unusual but sound trainings of the third set, and a few with faults."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from case import LARGE_STEP, Case, Training
from optimizers import Maker, adam, adamw, rmsprop, sgd
from third_data import centred, cosine, digits, fit, flat, friedman, gained, mlp, standard, table
from third_tables import moons
from torch import Tensor, nn
from torch.nn import functional as F

CE, MSE = nn.CrossEntropyLoss(), nn.MSELoss()


class Averaged(nn.Module):
    """A model whose slow average answers in eval mode."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__()
        self.model, self.slow = model, deepcopy(model).requires_grad_(False)
        self.decay = decay

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return self.slow(x)
        with torch.no_grad():
            for slow, fast in zip(self.slow.parameters(), self.model.parameters(), strict=True):
                slow.lerp_(fast, 1 - self.decay)
        return self.model(x)


def averaged() -> Training:
    return fit(Averaged(mlp(64, 64, 64, 10), 0.95), CE, flat(), adam(8e-3), 32)


def normed(norm: Callable[[nn.Module], nn.Module], make: Maker) -> Training:
    """A net whose inner layers are reparametrised."""
    return fit(
        nn.Sequential(
            norm(nn.Linear(64, 64)), nn.LeakyReLU(0.1), norm(nn.Linear(64, 64)),
            nn.LeakyReLU(0.1), nn.Linear(64, 10),
        ), CE, flat(), make, 64,
    )  # fmt: skip


def zeroed() -> Training:
    model = mlp(64, 96, 96, 10, act=nn.SiLU)
    nn.init.zeros_(model[-1].weight)
    nn.init.zeros_(model[-1].bias)
    return fit(model, CE, flat(), adamw(1e-2, weight_decay=0.01), 64)


def backbone() -> Training:
    """A trunk trained on the lower half of the classes, frozen; a head for all of them."""
    x, y = flat()
    trunk, first = nn.Sequential(nn.Linear(64, 96), nn.ReLU()), nn.Linear(96, 10)
    optimizer = torch.optim.Adam([*trunk.parameters(), *first.parameters()], lr=5e-3)
    few = y < 7
    for _ in range(60):
        optimizer.zero_grad()
        CE(first(trunk(x[few])), y[few]).backward()
        optimizer.step()
    trunk.requires_grad_(False)
    trunk.zero_grad()
    return fit(nn.Sequential(trunk, mlp(96, 64, 10)), CE, (x, y), adam(5e-3), 64)


def distilled() -> Training:
    """A small net learns the softened answers of a larger one."""
    x, y = flat()
    teacher = mlp(64, 128, 10)
    optimizer = torch.optim.Adam(teacher.parameters(), lr=5e-3)
    for _ in range(40):
        optimizer.zero_grad()
        CE(teacher(x), y).backward()
        optimizer.step()
    soft = (teacher(x) / 2).softmax(-1).detach()

    def loss(out: Tensor, targets: Tensor) -> Tensor:
        return F.kl_div((out / 2).log_softmax(-1), targets, reduction="batchmean")

    return fit(mlp(64, 32, 10), loss, (x, soft), adam(1e-2), 64)


class Depthwise(nn.Module):
    """A block of a depthwise convolution, layer norm, an inverted bottleneck and layer scale."""

    def __init__(self, width: int, scale: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm, self.body = nn.LayerNorm(width), mlp(width, 2 * width, width, act=nn.GELU)
        self.scale = nn.Parameter(torch.full((width,), scale))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.body(self.norm(self.conv(x).permute(0, 2, 3, 1))) * self.scale
        return x + inner.permute(0, 3, 1, 2)


def depthwise() -> Training:
    blocks = [Depthwise(32, 0.1) for _ in range(3)]
    model = nn.Sequential(
        nn.Conv2d(1, 32, 2, 2), *blocks, nn.Flatten(), nn.LayerNorm(512), nn.Linear(512, 10)
    )
    return fit(model, CE, centred(), adamw(8e-3, weight_decay=0.05), 48, cosine(100, 8))


class Mixer(nn.Module):
    """Mixing over tokens, then over channels, with pre-norm and residuals."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.across = mlp(tokens, 32, tokens, act=nn.GELU)
        self.within = mlp(width, 2 * width, width, act=nn.GELU)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.across(self.first(x).transpose(1, 2)).transpose(1, 2)
        return x + self.within(self.second(x))


def mixer(make: Maker) -> Training:
    model = nn.Sequential(
        nn.Conv2d(1, 32, 2, 2), nn.Flatten(2), Turn(), Mixer(16, 32), Mixer(16, 32),
        nn.LayerNorm(32), nn.Flatten(), nn.Linear(512, 10),
    )  # fmt: skip
    return fit(model, CE, centred(), make, 48)


class Turn(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)


def accumulated() -> Training:
    """Four small batches to a step, with dropout."""
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10))
    return fit(model, CE, flat(), sgd(0.07, momentum=0.9), 16, every=4)


def selu() -> Training:
    model = gained(mlp(64, *[64] * 6, 10, act=nn.SELU), 1.0)
    return fit(model, CE, flat(), sgd(0.01, momentum=0.9), 32)


class Shrink(nn.Module):
    """A small U: down, up, and a skip across, with group norms."""

    def __init__(self) -> None:
        super().__init__()
        self.into = nn.Sequential(nn.Conv2d(1, 16, 3, 1, 1), nn.GroupNorm(4, 16), nn.SiLU())
        self.down = nn.Sequential(nn.Conv2d(16, 32, 3, 2, 1), nn.GroupNorm(4, 32), nn.SiLU())
        self.up = nn.ConvTranspose2d(32, 16, 2, 2)
        self.out = nn.Conv2d(32, 1, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.into(x)
        return self.out(torch.cat([first, self.up(self.down(first))], 1))


def cleaned() -> Training:
    x = centred()[0]
    noise = 0.7 * torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
    return fit(Shrink(), MSE, (x + noise, x), adam(5e-3), 32)


class Experts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(mlp(10, 32, 1) for _ in range(4))
        self.gate = nn.Linear(10, 4)

    def forward(self, x: Tensor) -> Tensor:
        answers = torch.cat([expert(x) for expert in self.experts], -1)
        return (self.gate(x).softmax(-1) * answers).sum(-1, keepdim=True)


class Euler(nn.Module):
    """A field integrated in eight steps, from features with zeros beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.field, self.out = mlp(6, 32, 6, act=nn.Tanh), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (0, 4))
        for _ in range(8):
            x = x + self.field(x) / 8
        return self.out(x)


def mixture() -> Training:
    """Two answers for an input: a mixture density of three normals."""
    draw = torch.Generator().manual_seed(41)
    x = 4 * torch.rand(1000, 1, generator=draw) - 2
    side = torch.randint(2, (1000, 1), generator=draw) * 2 - 1
    y = side * (1 + 0.3 * x) + 0.15 * torch.randn(1000, 1, generator=draw)

    def loss(out: Tensor, targets: Tensor) -> Tensor:
        weight, mean, log = out.chunk(3, -1)
        spread = -0.5 * ((targets - mean) / log.exp()) ** 2 - log - 0.5 * math.log(2 * math.pi)
        return -torch.logsumexp(weight.log_softmax(-1) + spread, -1).mean()

    return fit(mlp(1, 48, 48, 9, act=nn.Tanh), loss, (x, y), adam(5e-3), 64)


def quantiles() -> Training:
    """Three quantiles of the patients' progression."""
    x, y = table("diabetes")
    levels = torch.tensor([0.1, 0.5, 0.9])

    def loss(out: Tensor, targets: Tensor) -> Tensor:
        gap = targets - out
        return torch.maximum(levels * gap, (levels - 1) * gap).mean()

    return fit(mlp(10, 32, 3), loss, (x, standard(y)[:, None]), adam(5e-3), 32)


def counts() -> Training:
    draw = torch.Generator().manual_seed(43)
    x = torch.randn(1000, 6, generator=draw)
    y = torch.poisson((0.5 * x[:, :1] - 0.4 * x[:, 1:2].abs() + 1).exp(), generator=draw)
    return fit(mlp(6, 32, 32, 1), nn.PoissonNLLLoss(), (x, y), rmsprop(4e-3), 64)


class Diffusion(nn.Module):
    """Says the noise that was put on points, given how much."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp(4, 96, 96, 2, act=nn.SiLU)

    def forward(self, x: Tensor) -> Tensor:
        time = torch.rand(len(x), 1)
        noise, angle = torch.randn_like(x), time * math.pi / 2
        mixed = angle.cos() * x + angle.sin() * noise
        return F.mse_loss(self.body(torch.cat([mixed, angle.cos(), angle.sin()], -1)), noise)


class Towers(nn.Module):
    """Users and items, each through an embedding and a small net."""

    def __init__(self) -> None:
        super().__init__()
        self.users, self.items = nn.Embedding(100, 16), nn.Embedding(100, 16)
        self.left, self.right = mlp(16, 32, 16), mlp(16, 32, 16)

    def forward(self, x: Tensor) -> Tensor:
        user = self.left(self.users(x[:, 0]))
        return (user[:, None] * self.right(self.items(x[:, 1:]))).sum(-1)


def ranked() -> Training:
    """An item that is liked ranks above one that is not."""
    draw = torch.Generator().manual_seed(47)
    taste = torch.randn(100, 3, generator=draw) @ torch.randn(3, 100, generator=draw)
    user = torch.randint(100, (4000,), generator=draw)
    two = torch.randint(100, (4000, 2), generator=draw)
    order = taste[user[:, None], two].argsort(-1, descending=True)
    x = torch.cat([user[:, None], two.gather(1, order)], 1)
    return fit(Towers(), lambda s: F.softplus(s[:, 1] - s[:, 0]).mean(), x, adam(1e-2), 128)


def hinge() -> Training:
    """A linear machine with a margin."""
    x, y = table("breast_cancer")
    sides = 2.0 * y[:, None] - 1

    def loss(out: Tensor, targets: Tensor) -> Tensor:
        return F.relu(1 - out * targets).mean()

    return fit(nn.Linear(30, 1), loss, (standard(x), sides), sgd(0.05, weight_decay=1e-3), 16)


def two_tasks(make: Maker) -> Training:
    """Two tasks of one trunk: the digit and how much ink it takes."""
    x, y = digits()
    ink = standard(x.flatten(1).sum(1, keepdim=True))

    def loss(out: Tensor, targets: Tensor) -> Tensor:
        return CE(out[:, :10], targets[:, 0].long()) + 0.5 * MSE(out[:, 10:], targets[:, 1:])

    data = (flat()[0], torch.cat([y[:, None].float(), ink], 1))
    return fit(mlp(64, 96, 64, 11), loss, data, make, 64)


def cycle(optimizer: torch.optim.Optimizer) -> Any:
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=160)


WEIGHT, SPECTRAL = nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm

CASES: tuple[Case, ...] = (
    Case("third-averaged", averaged, level=0.065, steps=150),
    Case("third-weight-norm", partial(normed, WEIGHT, adam(1e-2)), level=0.1, steps=120),
    Case("third-spectral", partial(normed, SPECTRAL, adam(1.5e-2)), level=0.2, steps=120),
    Case("third-zeroed", zeroed, level=0.058, steps=120),
    Case("third-backbone", backbone, level=0.18, steps=120),
    Case("third-distilled", distilled, level=0.036, steps=150),
    Case("third-depthwise", depthwise, level=0.086, steps=100),
    Case("third-mixer", partial(mixer, adam(4e-3)), level=0.063, steps=100),
    Case("third-mixer-step", partial(mixer, adam(5e-2)), LARGE_STEP, "third-mixer", steps=100),
    Case("third-accumulated", accumulated, level=0.083, steps=100),
    Case("third-selu", selu, level=0.09, steps=150),
    Case("third-cleaned", cleaned, level=0.2, steps=120),
    Case("third-experts", lambda: fit(Experts(), MSE, friedman(), adam(3e-2), 64), level=0.02,
         steps=200),
    Case("third-euler", lambda: fit(Euler(), CE, moons(), adam(2e-2), 64, cosine(150)), level=0.16,
         steps=150),
    Case("third-mixture", mixture, level=0.49, steps=200),
    Case("third-quantiles", quantiles, level=0.22, steps=150),
    Case("third-counts", counts, level=0.02, steps=200),
    Case("third-diffusion", lambda: fit(Diffusion(), lambda v: v, moons()[0], adam(5e-3), 128),
         level=0.68, steps=200),
    Case("third-ranked", ranked, level=0.3, steps=200),
    Case("third-hinge", hinge, level=0.092, steps=200),
    Case("third-two-tasks", partial(two_tasks, adam(6e-3)), level=0.075, steps=150),
    Case("third-two-tasks-decay", partial(two_tasks, adamw(6e-3, weight_decay=5.0)),
         ("weight-decay",), "third-two-tasks", steps=150),
    Case("third-cycle", lambda: fit(mlp(64, 96, 96, 10), CE, flat(), sgd(0.1, momentum=0.9), 64,
         cycle), level=0.046, steps=150),
)  # fmt: skip
