"""Tables, graphs, sets, factors and physics of the third set."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from case import LARGE_STEP, Case, Training
from optimizers import Maker, adam, sgd
from sklearn import datasets
from third_data import cosine, fit, friedman, gained, mlp, standard, table
from torch import Tensor, nn
from torch.nn import functional as F

MSE, CE = nn.MSELoss(), nn.CrossEntropyLoss()
ADAGRAD = torch.optim.Adagrad


def diabetes(
    make: Maker,
    loss: Any = MSE,
    flat: bool = False,
    raw: bool = False,
    size: int = 32,
    **others: Any,
) -> Training:
    """Ten features, 442 patients; targets may be left raw or flat."""
    x, y = table("diabetes")
    spread = float(y.std()) if raw else 1.0
    targets = (y if raw else standard(y))[:, None]
    data = (x, targets[:, 0] if flat else targets)
    return fit(mlp(10, 48, 48, 1), loss, data, make, size, unit=spread**2, **others)


def wine(make: Maker, raw: bool = False) -> Training:
    x, y = table("wine")
    return fit(mlp(13, 32, 3, act=nn.Tanh), CE, (x if raw else standard(x), y), make, 32)


def cancer(
    make: Maker,
    missing: bool = False,
    size: int = 32,
    widths: tuple[int, ...] = (32, 32),
    penalty: float = 0.0,
) -> Training:
    """Thirty features, a logit; one entry of the table may be missing."""
    x, y = table("breast_cancer")
    x = standard(x)
    if missing:
        x = x.clone()
        x[100, 7] = math.nan
    model = mlp(30, *widths, 1)

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        told = F.binary_cross_entropy_with_logits(logits, targets)
        return told + penalty * sum(p.square().sum() for p in model.parameters())

    return fit(model, loss, (x, y[:, None].float()), make, size)


def regress(
    make: Maker, gain: float = 1.41, depth: int = 8, act: Any = nn.ReLU, **others: Any
) -> Training:
    """Friedman's function by a plain deep net."""
    model = gained(mlp(10, *[48] * depth, 1, act=act), gain)
    return fit(model, MSE, friedman(), make, 64, **others)


def linear(lr: float = 0.03) -> Training:
    """Least squares on correlated features, whole batches, momentum."""
    draw = torch.Generator().manual_seed(3)
    z = torch.randn(300, 1, generator=draw)
    x = z + torch.randn(300, 20, generator=draw)
    y = x @ torch.randn(20, 1, generator=draw) / 8 + 0.2 * torch.randn(300, 1, generator=draw)
    return fit(nn.Linear(20, 1), MSE, (x, y), sgd(lr, momentum=0.5), 0)


class Factors(nn.Module):
    def __init__(self, rank: int, std: float) -> None:
        super().__init__()
        self.users, self.items = nn.Embedding(80, rank), nn.Embedding(60, rank)
        for factor in (self.users, self.items):
            nn.init.normal_(factor.weight, std=std)

    def forward(self, x: Tensor) -> Tensor:
        return (self.users(x[:, 0]) * self.items(x[:, 1])).sum(-1)


def factors(make: Maker, std: float = 0.3, size: int = 128) -> Training:
    """Ratings of rank four with noise, 60 in 100 of them seen."""
    draw = torch.Generator().manual_seed(9)
    full = torch.randn(80, 4, generator=draw) @ torch.randn(4, 60, generator=draw) / 2
    full = full + 0.1 * torch.randn(80, 60, generator=draw)
    seen = (torch.rand(80, 60, generator=draw) < 0.6).nonzero()
    return fit(Factors(6, std), MSE, (seen, full[seen[:, 0], seen[:, 1]]), make, size)


class Graph(nn.Module):
    """Sums over neighbours, normed by degree; with or without a skip at every layer."""

    def __init__(self, edges: Tensor, depth: int, skip: bool, width: int = 24) -> None:
        super().__init__()
        full = edges + torch.eye(len(edges))
        scale = full.sum(1).rsqrt()
        self.register_buffer("mean", scale[:, None] * full * scale)
        self.into = nn.Linear(8, width)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.out, self.skip = nn.Linear(width, 3), skip

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.into(x))
        for layer in self.layers:
            new = torch.relu(layer(self.mean @ x))
            x = x + new if self.skip else new
        return self.out(x)


def graph(make: Maker, depth: int = 2, skip: bool = False) -> Training:
    """Three communities, nodes with faint features."""
    draw = torch.Generator().manual_seed(21)
    y = torch.arange(150) % 3
    chance = torch.where(y[:, None] == y[None], 0.08, 0.02)
    edges = torch.triu((torch.rand(150, 150, generator=draw) < chance).float(), 1)
    x = torch.randn(150, 8, generator=draw) + 1.0 * F.one_hot(y, 8).float()
    return fit(Graph(edges + edges.T, depth, skip), CE, (x, y), make, 0)


class Sets(nn.Module):
    def __init__(self, mean: bool) -> None:
        super().__init__()
        self.each, self.whole, self.mean = mlp(2, 48, 48), mlp(48, 48, 1), mean

    def forward(self, x: Tensor) -> Tensor:
        each = self.each(x)
        return self.whole(each.mean(1) if self.mean else each.sum(1))


def sets(make: Maker, mean: bool = True) -> Training:
    """The spread of two hundred points, from a pool of them."""
    draw = torch.Generator().manual_seed(23)
    spread = 0.5 + torch.rand(600, 1, 1, generator=draw)
    x = spread * torch.randn(600, 200, 2, generator=draw)
    return fit(Sets(mean), MSE, (x, standard(spread[:, 0])), make, 32)


class Waves(nn.Module):
    """A net of a coordinate, perhaps with features of several frequencies."""

    def __init__(self, features: bool, act: Any = nn.Tanh) -> None:
        super().__init__()
        self.register_buffer(
            "rates", math.pi * torch.arange(1.0, 17.0) if features else torch.zeros(0)
        )
        self.body = mlp(1 + 2 * len(self.rates), 48, 48, 1, act=act)

    def forward(self, x: Tensor) -> Tensor:
        angles = x * self.rates
        return self.body(torch.cat([x, angles.sin(), angles.cos()], -1))


def waves(
    features: bool = True, low: float = 0.0, rate: float = 10.0, lr: float = 6e-3
) -> Training:
    x = torch.linspace(-1, 1, 400)[:, None]
    y = torch.sin(math.pi * rate * x) + low * torch.sin(math.pi * x)
    return fit(Waves(features), MSE, (x, y), adam(lr), 64)


class Poisson(nn.Module):
    """The residual of u'' = -pi^2 sin(pi x), and u at both ends."""

    def __init__(self) -> None:
        super().__init__()
        self.u = mlp(1, 32, 32, 1, act=nn.Tanh)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            x = x.clone().requires_grad_()
            first = torch.autograd.grad(self.u(x).sum(), x, create_graph=True)[0]
            second = torch.autograd.grad(first.sum(), x, create_graph=True)[0]
        force = math.pi**2 * torch.sin(math.pi * x)
        return second + force, self.u(torch.tensor([[-1.0], [1.0]]))


def poisson(make: Maker, size: int = 0, **others: Any) -> Training:
    def loss(out: tuple[Tensor, Tensor]) -> Tensor:
        return out[0].square().mean() + 10 * out[1].square().mean()

    return fit(Poisson(), loss, torch.linspace(-1, 1, 64)[:, None], make, size, **others)


class Flow(nn.Module):
    """Affine couplings of two coordinates; gives the negative log-likelihood of points."""

    def __init__(self, depth: int = 6) -> None:
        super().__init__()
        self.nets = nn.ModuleList(mlp(1, 32, 32, 2, act=nn.Tanh) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        a, b = x[:, :1], x[:, 1:]
        log = torch.zeros_like(a)
        for net in self.nets:
            scale, shift = net(a).chunk(2, -1)
            scale = 2 * torch.tanh(scale / 2)
            a, b, log = b * scale.exp() + shift, a, log + scale
        return (0.5 * (a**2 + b**2) - log).mean() + math.log(2 * math.pi)


def moons() -> tuple[Tensor, Tensor]:
    x, y = datasets.make_moons(1000, noise=0.07, random_state=1)
    return standard(torch.tensor(x, dtype=torch.float32)), torch.tensor(y)


def flow(lr: float = 5e-3) -> Training:
    return fit(Flow(), lambda value: value, moons()[0], adam(lr), 128, cosine(200))


class Shop(nn.Module):
    """Three columns of categories, embedded, and four numbers."""

    def __init__(self, std: float = 1.0) -> None:
        super().__init__()
        self.columns = nn.ModuleList(nn.Embedding(30, 8) for _ in range(3))
        self.body = mlp(28, 64, 1)

    def forward(self, x: Tensor) -> Tensor:
        kinds = [column(x[:, i].long()) for i, column in enumerate(self.columns)]
        return self.body(torch.cat([*kinds, x[:, 3:]], -1))


def shop(make: Maker, forgotten: bool = False, symmetric: bool = False, **others: Any) -> Training:
    draw = torch.Generator().manual_seed(31)
    kinds = torch.randint(30, (2000, 3), generator=draw)
    worth = torch.randn(3, 30, generator=draw)
    x = torch.randn(2000, 4, generator=draw)
    known = sum(worth[i][kinds[:, i]] for i in range(3)) + x[:, 0] * x[:, 1]
    model = Shop()
    if symmetric:
        nn.init.constant_(model.body[0].weight, 0.03)
        nn.init.constant_(model.body[2].weight, 0.03)
    data = (torch.cat([kinds.float(), x], 1), standard(known[:, None]))
    training = fit(model, MSE, data, make, 64, **others)
    if forgotten:
        training.optimizer = make(model.body.parameters())
    return training


def growing(optimizer: torch.optim.Optimizer) -> Any:
    """A warm-up that nobody ends."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: (step + 1) / 10)


CASES: tuple[Case, ...] = (
    Case("third-diabetes", partial(diabetes, adam(3e-3, weight_decay=1e-3)), level=0.52, steps=150),
    Case("third-diabetes-broadcast", partial(diabetes, adam(3e-3, weight_decay=1e-3), flat=True),
         ("shape-mismatch",), "third-diabetes", steps=150),
    Case("third-diabetes-raw", partial(diabetes, adam(3e-3, weight_decay=1e-3), raw=True),
         ("target-scale", "loss-at-init"), "third-diabetes", steps=150),
    Case("third-diabetes-huber", partial(diabetes, sgd(0.05, momentum=0.9), nn.HuberLoss(),
         size=16), level=0.26, steps=200),
    Case("third-wine", partial(wine, sgd(0.2, momentum=0.9)), level=0.022, steps=100),
    Case("third-wine-raw", partial(wine, sgd(0.2, momentum=0.9), raw=True), ("input-scale",
         "saturated-units", "loss-at-init"), "third-wine", steps=100),
    Case("third-cancer", partial(cancer, adam(8e-3)), level=0.039, steps=120),
    Case("third-cancer-missing", partial(cancer, adam(8e-3), missing=True), ("non-finite",),
         "third-cancer", steps=120),
    Case("third-cancer-lbfgs", partial(cancer, partial(torch.optim.LBFGS, lr=1, max_iter=4,
         line_search_fn="strong_wolfe"), size=0, widths=(), penalty=1e-3), level=0.092, steps=30),
    Case("third-regress", partial(regress, sgd(0.01, momentum=0.9)), level=0.092, steps=200),
    Case("third-regress-small", partial(regress, sgd(0.01, momentum=0.9), 0.6), ("small-init",
         "vanishing-gradient", "slow-descent"), "third-regress", steps=200),
    Case("third-regress-large", partial(regress, sgd(0.01, momentum=0.9), 1.8), ("large-init",
         "exploding-signal", "loss-at-init", "exploding-gradient", *LARGE_STEP), "third-regress",
         steps=200),
    Case("third-regress-rising", partial(regress, sgd(0.01, momentum=0.9), schedule=growing),
         ("loss-course", *LARGE_STEP), "third-regress", steps=200),
    Case("third-linear", linear, level=0.05, steps=100),
    Case("third-linear-step", partial(linear, 0.074), LARGE_STEP, "third-linear", steps=100),
    Case("third-factors", partial(factors, adam(2e-2)), level=0.023, steps=200),
    Case("third-factors-decay", partial(factors, adam(2e-2, weight_decay=0.004)),
         ("weight-decay",), "third-factors", steps=200),
    Case("third-factors-small", partial(factors, sgd(0.5, momentum=0.9), 1e-4), ("small-init",
         "slow-descent", "vanishing-gradient"), "third-factors-sgd", steps=200),
    Case("third-factors-sgd", partial(factors, sgd(0.5, momentum=0.9)), level=0.023, steps=200),
    Case("third-graph", partial(graph, adam(2e-2, weight_decay=5e-4)), level=0.028, steps=100),
    Case("third-graph-deep", partial(graph, adam(1.5e-2), 8, True), level=0.048, steps=100),
    Case("third-graph-smooth", partial(graph, adam(1.5e-2), 8), ("rank-collapse", "lost-rank",
         "vanishing-gradient"), "third-graph-deep", steps=100),
    Case("third-sets", partial(sets, adam(2e-3)), level=0.031, steps=100),
    Case("third-sets-sum", partial(sets, adam(2e-3), False), ("exploding-signal", "loss-at-init",
         "exploding-gradient", "signal-drift", *LARGE_STEP), "third-sets", steps=100),
    Case("third-waves", waves, level=0.0098, steps=200),
    Case("third-waves-plain", partial(waves, False), ("high-frequency", "unlearnt-frequency"),
         "third-waves", steps=200),
    Case("third-waves-two", partial(waves, True, 1.0, 12.0), level=0.02, steps=200),
    Case("third-waves-two-plain", partial(waves, False, 1.0, 12.0), ("unlearnt-frequency",
         "high-frequency"), "third-waves-two", steps=200),
    Case("third-poisson", partial(poisson, adam(1.5e-2)), level=0.95, steps=200),
    Case("third-poisson-early", partial(poisson, adam(1.5e-2), schedule=lambda o:
         torch.optim.lr_scheduler.ExponentialLR(o, 0.95)), ("small-step", "slow-descent"),
         "third-poisson", steps=200),
    Case("third-poisson-lbfgs", partial(poisson, partial(torch.optim.LBFGS, lr=1, max_iter=5,
         line_search_fn="strong_wolfe")), level=0.95, steps=60),
    Case("third-flow", flow, level=2.9, steps=200),
    Case("third-shop", partial(shop, adam(1e-2)), level=0.023, steps=200),
    Case("third-shop-forgotten", partial(shop, adam(1e-2), True), ("not-optimised", "unmoved"),
         "third-shop", steps=200),
    Case("third-shop-equal", partial(shop, adam(1e-2), symmetric=True), ("symmetric-neurons",),
         "third-shop", steps=200),
    Case("third-shop-adagrad", partial(shop, partial(ADAGRAD, lr=0.1)), level=0.022, steps=200),
)  # fmt: skip
