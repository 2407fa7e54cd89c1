"""Strangers of the second set on tables, graphs, densities, rewards and equations of motion."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from case import LARGE_STEP, Case, Training
from second_data import (
    chance,
    circuits,
    community,
    informative,
    moons,
    rare,
    shuffled,
    standard,
    tumours,
)
from sklearn.datasets import make_swiss_roll
from torch import Tensor, nn
from torch.nn import functional as F

cross = nn.CrossEntropyLoss()
binary = nn.BCEWithLogitsLoss()


def stack(*sizes: int, act: Callable[[], nn.Module] = nn.ReLU, norm: Any = None) -> nn.Sequential:
    """Return a net of dense layers, with a norm of some width before each activation."""
    layers: list[nn.Module] = []
    for into, out in pairwise(sizes[:-1]):
        layers += [nn.Linear(into, out), *([norm(out)] if norm else []), act()]
    return nn.Sequential(*layers, nn.Linear(*sizes[-2:]))


def adam(net: nn.Module, lr: float = 1e-3, **more: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(net.parameters(), lr, **more)


# --- Tables ------------------------------------------------------------------------------------


def tumour(logged: bool = False) -> Training:
    """Benign or malignant; logged takes logarithms of columns of which some values are 0."""
    x, y = tumours()
    net = stack(30, 32, 16, 1)
    return Training(net, nn.BCEWithLogitsLoss(pos_weight=torch.tensor(0.6)),
                    shuffled((standard(x.log() if logged else x), y), 32),
                    adam(net, 2e-3), (standard(x), y))  # fmt: skip


class Lookahead:
    """Every fifth step the weights go half of the way back to where the slow ones were."""

    def __init__(self, optimizer: torch.optim.Optimizer):
        self.slow = [p.detach().clone() for g in optimizer.param_groups for p in g["params"]]
        self.count = 0
        optimizer.register_step_post_hook(self.after)

    @torch.no_grad()
    def after(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        self.count += 1
        if self.count % 5 == 0:
            fast = [p for g in optimizer.param_groups for p in g["params"]]
            for p, slow in zip(fast, self.slow, strict=True):
                slow.lerp_(p, 0.5)
                p.copy_(slow)


def circuit(raw: bool = False, flat: bool = False) -> Training:
    """An impedance; raw in ohms, flat with targets of shape (rows,)."""
    x, y = circuits()
    unit = 1.0
    if raw:
        unit = float(y.var())
    else:
        y = standard(y)
    net = stack(4, 64, 64, 1, act=nn.ELU)
    optimizer = adam(net, 3e-3)
    Lookahead(optimizer)
    made = Training(net, nn.MSELoss(), shuffled((x, y.squeeze(1) if flat else y), 64), optimizer,
                    (x, y), unit)  # fmt: skip
    return made


def four_classes(norm: Any = nn.LayerNorm, size: int = 2, lr: float = 0.01) -> Training:
    net = stack(20, 64, 64, 4, norm=norm)
    optimizer = torch.optim.SGD(net.parameters(), lr, momentum=0.5)
    return Training(net, cross, shuffled(informative(), size), optimizer, informative())


def dying(lr: float = 1e-3) -> Training:
    """A narrow and deep net of ReLU with He's initialisation."""
    net = stack(20, 24, 24, 24, 24, 24, 4)
    for module in net.modules():
        if isinstance(module, nn.Linear):
            nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)
    return Training(net, cross, shuffled(informative(), 64), adam(net, lr), informative())


def two_moons(alike: bool = False) -> Training:
    """In float64, from torch's own start, or all weights alike."""
    net = stack(2, 32, 32, 2, act=nn.Tanh).double()
    for module in net.modules():
        if isinstance(module, nn.Linear) and alike:
            nn.init.constant_(module.weight, 0.1)
            nn.init.zeros_(module.bias)
    optimizer = torch.optim.SGD(net.parameters(), 0.2, momentum=0.9, nesterov=True)
    return Training(net, cross, shuffled(moons(), 50), optimizer, moons())


def quantile(start: float = 0.0) -> Training:
    """The ninth decile of an impedance by the pinball loss, from torch's start or a normal one."""

    def pinball(output: Tensor, y: Tensor) -> Tensor:
        return torch.maximum(0.9 * (y - output), 0.1 * (output - y)).mean()

    x, y = circuits()
    y = standard(y)
    net = stack(4, 64, 64, 64, 1, act=nn.Tanh)
    if start:
        for module in net.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, start)
    return Training(net, pinball, shuffled((x, y), 64), adam(net, 2e-3), (x, y))


class Certain(nn.Module):
    """A mean and a log variance."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = stack(1, 48, 48, 2, act=nn.SiLU)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_var = self.trunk(x).chunk(2, 1)
        return mean, F.softplus(log_var) + 1e-4


def uncertain() -> Training:
    x = 4 * torch.rand(1000, 1, generator=chance(30)) - 2
    noise = (0.05 + 0.2 * x.abs()) * torch.randn(1000, 1, generator=chance(31))
    data = (x, (2 * x).sin() + noise)
    net = Certain()
    return Training(net, lambda o, t: F.gaussian_nll_loss(o[0], t, o[1]), shuffled(data, 64),
                    adam(net, 5e-3), data)  # fmt: skip


def counts() -> Training:
    x = torch.randn(1500, 6, generator=chance(32))
    rate = (0.8 + 0.6 * x[:, :1] - 0.4 * x[:, 1:2] * x[:, 2:3]).clamp(-3, 3).exp()
    data = (x, torch.poisson(rate, generator=chance(33)))
    net = stack(6, 48, 48, 1, act=nn.GELU)
    return Training(net, nn.PoissonNLLLoss(full=True), shuffled(data, 64), adam(net, 2e-3), data)


def fraud(safe: bool = True) -> Training:
    """Frauds by the focal loss; unsafe takes logarithms of probabilities, which reach 1."""

    def focal(output: Tensor, y: Tensor) -> Tensor:
        if safe:
            told = F.binary_cross_entropy_with_logits(output, y, reduction="none")
        else:
            p = torch.sigmoid(output)
            told = -(y * torch.log(p) + (1 - y) * torch.log(1 - p))
        return ((1 - (-told).exp() + 1e-6) ** 2 * told).mean()

    net = stack(12, 64, 64, 1)
    return Training(net, focal, shuffled(rare(), 64), adam(net, 3e-3), rare())


class Recommender(nn.Module):
    """Embeddings of users and items beside a net of both, as wide-and-deep tables have it."""

    def __init__(self) -> None:
        super().__init__()
        self.user, self.item = nn.Embedding(200, 16), nn.Embedding(100, 16)
        self.deep = stack(32, 32, 1)

    def forward(self, x: Tensor) -> Tensor:
        u, i = self.user(x[:, 0]), self.item(x[:, 1])
        return self.deep(torch.cat([u, i], 1)) + (u * i).mean(1, keepdim=True)


def ratings(given: bool = True) -> Training:
    """Ratings by users of items; the embeddings may not be given to the optimizer."""
    draw = chance(34)
    x = torch.stack([torch.randint(n, (5000,), generator=draw) for n in (200, 100)], 1)
    u, i = torch.randn(200, 3, generator=draw), torch.randn(100, 3, generator=draw)
    y = (u[x[:, 0]] * i[x[:, 1]]).sum(1, keepdim=True) / math.sqrt(3)
    net = Recommender()
    optimizer = adam(net if given else net.deep, 1e-2)
    return Training(net, nn.MSELoss(), shuffled((x, y), 256), optimizer, (x, y),
                    float(y.var()))  # fmt: skip


class Experts(nn.Module):
    """Four experts and a gate that mixes them."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(20, 4)
        self.experts = nn.ModuleList(stack(20, 32, 4) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        told = torch.stack([expert(x) for expert in self.experts], -1)
        return (told * self.gate(x).softmax(-1)[:, None]).sum(-1)


def experts() -> Training:
    net = Experts()
    return Training(net, cross, shuffled(informative(), 64),
                    torch.optim.AdamW(net.parameters(), 5e-3), informative())  # fmt: skip


# --- Graphs ------------------------------------------------------------------------------------


class GCN(nn.Module):
    """Kipf's net, or one that adds neighbours up as they are; `skip` adds a layer's input."""

    def __init__(self, depth: int = 2, width: int = 32, normed: bool = True, skip: bool = False):
        super().__init__()
        _, _, adjacency = community()
        looped = adjacency + torch.eye(len(adjacency))
        root = looped.sum(1).rsqrt()
        self.register_buffer("mixing", looped * root[:, None] * root[None] if normed else looped)
        widths = [8, *[width] * (depth - 1), 4]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.skip = skip

    def forward(self, x: Tensor) -> Tensor:
        for k, layer in enumerate(self.layers):
            told = self.mixing @ layer(x)
            if k < len(self.layers) - 1:
                told = F.relu(told)
                told = x + told if self.skip and told.shape == x.shape else told
            x = told
        return x


def graph(depth: int = 2, normed: bool = True, skip: bool = False, plain: bool = False) -> Training:
    """Classes of all nodes from those of the first 40, all at once; plain by SGD."""
    x, y, _ = community()
    known = y.masked_fill(torch.arange(len(y)) >= 40, -100)
    net = GCN(depth, normed=normed, skip=skip)
    optimizer = adam(net, 0.01, weight_decay=5e-4)
    if plain:
        optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=5e-4)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield x, known

    return Training(net, cross, batches(), optimizer, (x, y))


# --- Densities and rewards ---------------------------------------------------------------------


class Coupling(nn.Module):
    """A RealNVP of six couplings: the negative log likelihood of points."""

    def __init__(self) -> None:
        super().__init__()
        self.nets = nn.ModuleList(stack(1, 32, 32, 2, act=nn.Tanh) for _ in range(6))

    def forward(self, x: Tensor) -> Tensor:
        volume = x.new_zeros(len(x))
        for net in self.nets:
            a, b = x[:, :1], x[:, 1:]
            size, shift = net(a).chunk(2, 1)
            size = torch.tanh(size)
            x = torch.cat([b * size.exp() + shift, a], 1)
            volume = volume + size.sum(1)
        return (x**2).sum(1) / 2 + math.log(2 * math.pi) - volume


def flow() -> Training:
    x = standard(moons()[0].float())
    net = Coupling()

    def batches() -> Iterator[Tensor]:
        for (part,) in shuffled((x,), 100):
            yield part

    return Training(net, lambda nll: nll.mean(), batches(), adam(net, 5e-3), x)


def diffusion() -> Training:
    """A denoiser of a Swiss roll: place and noise level in, noise out."""
    found, _ = make_swiss_roll(2000, random_state=0)
    x = standard(torch.tensor(found[:, [0, 2]]).float())
    net = stack(3, 96, 96, 96, 2, act=nn.SiLU)

    def noised(points: Tensor, source: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        t = torch.rand(len(points), 1, generator=source)
        noise = torch.randn(points.shape, generator=source)
        kept = (math.pi / 2 * t).cos()
        return torch.cat([kept * points + (1 - kept**2).sqrt() * noise, 2 * t - 1], 1), noise

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for (part,) in shuffled((x,), 256):
            yield noised(part)

    return Training(net, nn.MSELoss(), batches(), adam(net, 2e-3), noised(x, chance(35)))


def bandit() -> Training:
    """On-policy REINFORCE with a baseline: actions are drawn from the net as it is."""
    draw = chance(36)
    best = torch.randn(6, 5, generator=draw)
    net = stack(6, 32, 5, act=nn.Tanh)
    context = torch.randn(2000, 6, generator=draw)
    reward = (context @ best == (context @ best).amax(1, keepdim=True)).float()

    def loss(output: Tensor, target: tuple[Tensor, Tensor]) -> Tensor:
        action, gain = target
        chosen = output.log_softmax(1).gather(1, action[:, None])[:, 0]
        p = output.softmax(1)
        return -(chosen * gain).mean() + 0.01 * (p * p.clamp_min(1e-8).log()).sum(1).mean()

    def batches() -> Iterator[Any]:
        for x, r in shuffled((context, reward), 128):
            with torch.no_grad():
                action = torch.multinomial(net(x).softmax(1), 1)
            gain = r.gather(1, action)[:, 0]
            yield x, (action[:, 0], gain - gain.mean())

    # Judged as what the best action is told, not by the surrogate, which means nothing by itself.
    whole = (context, (reward.argmax(1), torch.ones(2000)))
    return Training(net, loss, batches(), adam(net, 1e-2), whole)


def values() -> Training:
    """Values of actions in a corridor, fitted to returns that a target net tells (DQN)."""
    net, target = stack(8, 32, 2), stack(8, 32, 2)
    target.load_state_dict(net.state_dict())
    places = torch.eye(8)
    count = 0

    def loss(output: Tensor, told: tuple[Tensor, Tensor]) -> Tensor:
        return F.smooth_l1_loss(output.gather(1, told[0][:, None])[:, 0], told[1])

    def batches() -> Iterator[Any]:
        nonlocal count
        while True:
            state = torch.randint(8, (64,))
            action = torch.randint(2, (64,))
            after = (state + 2 * action - 1).clamp(0, 7)
            reward = ((state == 7) & (action == 1)).float()
            with torch.no_grad():
                later = target(places[after]).amax(1)
            if count % 20 == 0:
                target.load_state_dict(net.state_dict())
            count += 1
            yield places[state], (action, reward + 0.9 * later * (1 - reward))

    state = torch.arange(8).repeat(2)
    action = torch.arange(2).repeat_interleave(8)
    # The value of going right is exact: the end is 7 - s steps away, and pays 1.
    right = torch.tensor([0.9 ** (7 - s) for s in range(8)])
    left = torch.tensor([0.9 * right[max(s - 1, 0)] for s in range(8)])
    whole = (places[state], (action, torch.cat([left, right])))
    return Training(net, loss, batches(), adam(net, 5e-3), whole)


# --- Equations of motion -----------------------------------------------------------------------


class Oscillator(nn.Module):
    """Residuals of u'' + 0.4 u' + w^2 u = 0 with u(0) = 1, u'(0) = 0, of a net of the time."""

    def __init__(self, omega: float):
        super().__init__()
        self.net = stack(1, 32, 32, 1, act=nn.Tanh)
        self.omega = omega

    def forward(self, t: Tensor) -> tuple[Tensor, Tensor]:
        t = t.detach().requires_grad_()
        with torch.enable_grad():
            u = 1 + t**2 * self.net(t)
            (du,) = torch.autograd.grad(u.sum(), t, create_graph=True)
            (ddu,) = torch.autograd.grad(du.sum(), t, create_graph=True)
        return ddu + 0.4 * du + self.omega**2 * u, u


def oscillator(omega: float = 2.0) -> Training:
    """Judged by the residual: in float64, times drawn anew, Adam."""
    net = Oscillator(omega).double()

    def batches() -> Iterator[Tensor]:
        while True:
            yield 3 * torch.rand(64, 1, dtype=torch.float64)

    return Training(net, lambda o: (o[0] ** 2).mean(), batches(), adam(net, 5e-3),
                    torch.linspace(0, 3, 200, dtype=torch.float64)[:, None],
                    unit=omega**4)  # fmt: skip


class Motion(nn.Module):
    """A neural ODE: steps of Runge and Kutta through a net."""

    def __init__(self) -> None:
        super().__init__()
        self.net = stack(2, 32, 32, 2, act=nn.Tanh)

    def forward(self, x: Tensor) -> Tensor:
        told, h = [], 0.2
        for _ in range(8):
            a = self.net(x)
            b = self.net(x + h / 2 * a)
            c = self.net(x + h / 2 * b)
            x = x + h / 6 * (a + 2 * b + 2 * c + self.net(x + h * c))
            told.append(x)
        return torch.stack(told, 1)


def spiral() -> Training:
    start = 2 * torch.rand(500, 2, generator=chance(37)) - 1
    turn = torch.matrix_exp(0.2 * torch.tensor([[-0.1, 2.0], [-2.0, -0.1]]))
    path, x = [], start
    for _ in range(8):
        x = x @ turn.T
        path.append(x)
    net = Motion()
    data = (start, torch.stack(path, 1))
    return Training(net, nn.MSELoss(), shuffled(data, 64), adam(net, 5e-3), data)


def wave(cycles: int = 2) -> Training:
    """A sum of two sines of a place in [-1, 1] by a plain net of tanh."""
    x = torch.linspace(-1, 1, 512)[:, None]
    y = (math.pi * cycles * x).sin() + 0.3 * (math.pi * x).sin()
    net = stack(1, 64, 64, 64, 1, act=nn.Tanh)
    return Training(net, nn.MSELoss(), shuffled((x, y), 128), adam(net, 2e-3), (x, y),
                    float(y.var()))  # fmt: skip


def straight(lr: float = 0.1, upward: bool = False) -> Training:
    """A softmax regression by full batches of plain descent."""
    x, y = informative()
    net = nn.Linear(20, 4)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield x, y

    return Training(net, cross, batches(),
                    torch.optim.SGD(net.parameters(), lr, maximize=upward), (x, y))  # fmt: skip


CASES: tuple[Case, ...] = (
    Case("second-tumours", tumour, level=0.15),
    Case("second-circuit-lookahead", circuit, level=0.2),
    Case("second-layer-norm-of-two", four_classes, level=0.7, steps=600),
    Case("second-narrow-relu", dying, level=0.9, steps=200),
    Case("second-moons-double", two_moons, level=0.2, steps=200),
    Case("second-quantile", quantile, level=0.1),
    Case("second-uncertain", uncertain, level=-0.3, steps=200),
    Case("second-counts", counts, level=2.0, steps=200),
    Case("second-fraud-focal", fraud, level=0.05, steps=300),
    Case("second-ratings", ratings, level=0.4, steps=300),
    Case("second-experts", experts, level=0.6),
    Case("second-graph", graph, level=0.5),
    Case("second-graph-deep-skip", partial(graph, 6, True, True), level=0.5),
    Case("second-graph-plain", partial(graph, 4, plain=True), level=0.5),
    Case("second-flow", flow, level=2.55, steps=400),
    Case("second-diffusion", diffusion, level=0.6, steps=300),
    Case("second-bandit", bandit, level=0.8, steps=300),
    Case("second-values", values, level=0.01, steps=400),
    Case("second-oscillator", oscillator, level=0.05, steps=300),
    Case("second-spiral", spiral, level=0.05),
    Case("second-wave", wave, level=0.1, steps=300),
    Case("second-softmax-regression", straight, level=1.0),
    Case("second-logarithm-of-zero", partial(tumour, True), ("non-finite",), "second-tumours",
         hurts=2),
    Case("second-column-against-row", partial(circuit, False, True), ("shape-mismatch",),
         "second-circuit-lookahead", hurts=2),
    Case("second-ohms", partial(circuit, True), ("target-scale",), "second-circuit-lookahead",
         hurts=2),
    Case("second-batch-norm-of-two", partial(four_classes, nn.BatchNorm1d), ("batch-norm",),
         "second-layer-norm-of-two", steps=600),
    Case("second-narrow-relu-dies", partial(dying, 0.2), ("dying-units", *LARGE_STEP),
         "second-narrow-relu", hurts=1.5, steps=200),
    Case("second-all-weights-alike", partial(two_moons, True), ("symmetric-neurons",),
         "second-moons-double", hurts=1.5, steps=200),
    Case("second-normal-of-one", partial(quantile, 1.0), ("large-init", "saturated-units"),
         "second-quantile", hurts=1.5),
    Case("second-logarithm-of-none", partial(fraud, False), ("divergence", "non-finite"),
         "second-fraud-focal", hurts=2, steps=300),
    Case("second-neighbours-summed", partial(graph, 4, False, plain=True),
         ("exploding-signal", "exploding-gradient"), "second-graph-plain", hurts=3),
    Case("second-graph-smoothed", partial(graph, 16), ("rank-collapse", "vanishing-gradient"),
         "second-graph", hurts=2),
    Case("second-wave-of-thirty", partial(wave, 30), ("high-frequency", "unlearnt-frequency"),
         "second-wave", hurts=3, steps=300),
    Case("second-embeddings-not-given", partial(ratings, False), ("not-optimised",),
         "second-ratings", hurts=1.5, steps=300),
    Case("second-upward", partial(straight, 0.1, True), ("loss-course", "unstable-steps",
         "divergence"), "second-softmax-regression", hurts=2),
)  # fmt: skip
