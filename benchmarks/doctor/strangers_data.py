"""Data for the strangers' trainings: small, made or shipped, and different from one another."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits, make_moons
from torch import Generator, Tensor
from torch.nn import functional as F

LICENCE = Path(__file__).parents[2] / "LICENSE"


def source(seed: int = 7) -> Generator:
    """Return a generator for data, apart from that of the weights."""
    return torch.Generator().manual_seed(seed)


def draws(x: Tensor, y: Tensor | None, size: int) -> Iterator[Tensor | tuple[Tensor, Tensor]]:
    """Yield shuffled batches of so many samples for ever; an epoch's incomplete last is dropped."""
    order = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
    while True:
        places = torch.randperm(len(x), generator=order)
        for start in range(0, len(x) - size + 1, size):
            at = places[start : start + size]
            yield x[at] if y is None else (x[at], y[at])


def standard(x: Tensor) -> Tensor:
    """Return columns with mean 0 and standard deviation 1; those that never vary are zero."""
    return (x - x.mean(0)) / x.std(0).clamp_min(1e-6)


@cache
def digits() -> tuple[Tensor, Tensor]:
    """Return 1797 pictures of 1 x 8 x 8 with mean 0 and standard deviation 1, and ten classes."""
    found = load_digits()
    x = torch.tensor(found.images).float()[:, None]
    return (x - x.mean()) / x.std(), torch.tensor(found.target)


@cache
def blobs() -> tuple[Tensor, Tensor]:
    """Return 400 noisy pictures of 1 x 16 x 16 with two discs each, and the discs as masks."""
    chance = source()
    axis = torch.arange(16.0)
    masks = torch.zeros(400, 16, 16)
    for _ in range(2):
        centre = 3 + 10 * torch.rand(400, 2, 1, 1, generator=chance)
        radius = 1.5 + 2 * torch.rand(400, 1, 1, generator=chance)
        away = (axis[:, None] - centre[:, 0]) ** 2 + (axis - centre[:, 1]) ** 2
        masks = torch.maximum(masks, (away < radius**2).float())
    noisy = masks[:, None] + 0.5 * torch.randn(400, 1, 16, 16, generator=chance)
    return (noisy - noisy.mean()) / noisy.std(), masks[:, None]


@cache
def tones() -> tuple[Tensor, Tensor]:
    """Return 600 clips of 1 x 128 with a tone of one of five pitches in noise, and the pitch."""
    chance = source()
    y = torch.randint(5, (600,), generator=chance)
    phase = 2 * math.pi * torch.rand(600, 1, generator=chance)
    pitch = (4 + 5 * y[:, None]) * (1 + 0.05 * torch.randn(600, 1, generator=chance))
    x = torch.sin(2 * math.pi * pitch * torch.arange(128.0) / 128 + phase)
    x = x + 0.7 * torch.randn(600, 128, generator=chance)
    return (x / x.std())[:, None], y


@cache
def characters(length: int = 32) -> tuple[Tensor, Tensor, int]:
    """Return windows of a licence's text, the same one character on, and the alphabet's size."""
    text = LICENCE.read_text()
    letters = sorted(set(text))
    codes = torch.tensor([letters.index(c) for c in text])
    windows = codes.unfold(0, length + 1, 5)
    return windows[:, :-1].contiguous(), windows[:, 1:].contiguous(), len(letters)


@cache
def first_repeats(length: int = 12) -> tuple[Tensor, Tensor]:
    """Return sequences of eight symbols, and how often the first symbol occurs again (0 to 3)."""
    x = torch.randint(8, (2000, length), generator=source())
    return x, (x[:, 1:] == x[:, :1]).sum(1).clamp(max=3)


@cache
def marked_sum(length: int = 20) -> tuple[Tensor, Tensor]:
    """Return sequences of (number, mark), two marked each, and the sum of the marked numbers."""
    chance = source()
    numbers = torch.randn(1500, length, generator=chance)
    marks = torch.rand(1500, length, generator=chance).argsort(1) < 2
    total = (numbers * marks).sum(1, keepdim=True)
    return torch.stack([numbers, 2 * marks.float()], 2), total / total.std()


@cache
def reversal(length: int = 6) -> tuple[Tensor, Tensor]:
    """Return sequence, start sign and the reversed sequence but its last, and the reversed."""
    x = torch.randint(1, 9, (2000, length), generator=source())
    back = x.flip(1)
    return torch.cat([x, torch.zeros(2000, 1, dtype=torch.long), back[:, :-1]], 1), back


@cache
def communities() -> tuple[Tensor, Tensor, Tensor]:
    """Return a graph's adjacency (240 nodes, 4 groups), 16 noisy features a node, the groups."""
    chance = source()
    y = torch.arange(240) % 4
    likely = torch.where(y[:, None] == y, 0.10, 0.01)
    edges = (torch.rand(240, 240, generator=chance) < likely).triu(1).float()
    centres = torch.randn(4, 16, generator=chance)
    x = 0.6 * centres[y] + torch.randn(240, 16, generator=chance)
    return edges + edges.T, standard(x), y


@cache
def categories() -> tuple[Tensor, Tensor]:
    """Return eight categorical columns (3 to 40 values) and a rare event, 8 in 100."""
    chance = source()
    sizes = (3, 5, 8, 12, 20, 25, 30, 40)
    x = torch.stack([torch.randint(s, (3000,), generator=chance) for s in sizes], 1)
    effects = [torch.randn(s, generator=chance) for s in sizes]
    score = sum(e[c] for e, c in zip(effects, x.T, strict=True))
    score = score + 0.3 * torch.randn(3000, generator=chance)
    return x, (score > score.quantile(0.92)).float()[:, None]


@cache
def houses() -> tuple[Tensor, Tensor]:
    """Return rooms, area, year, income, distance and tax as measured, and a price near 300 000."""
    chance = source()
    z = torch.randn(1200, 6, generator=chance)
    x = torch.tensor([4.0, 110, 1970, 52000, 8, 2.1]) + z * torch.tensor(
        [1.2, 35, 22, 18000, 3, 0.6]
    )
    worth = z[:, 1] + 0.7 * z[:, 3] - 0.5 * z[:, 4] + 0.4 * z[:, 0] * z[:, 1]
    worth = worth + 0.4 * z[:, 2] ** 2 + 0.2 * torch.randn(1200, generator=chance)
    return x, (300_000 + 90_000 * standard(worth[:, None]))


@cache
def arm() -> tuple[Tensor, Tensor]:
    """Return the angles of an arm's three joints, standardised, and where its hand is."""
    angles = math.pi * (torch.rand(2000, 3, generator=source()) - 0.5)
    turned = angles.cumsum(1)
    reach = torch.tensor([1.0, 0.7, 0.4])
    hand = torch.stack([(reach * turned.cos()).sum(1), (reach * turned.sin()).sum(1)], 1)
    return standard(angles), standard(hand)


@cache
def ratings() -> tuple[Tensor, Tensor]:
    """Return pairs (one of 60 users, one of 40 films) and a rating of rank three in noise."""
    chance = source()
    users, films = (torch.randn(n, 3, generator=chance) for n in (60, 40))
    x = torch.cartesian_prod(torch.arange(60), torch.arange(40))
    kept = torch.rand(len(x), generator=chance) < 0.7
    x = x[kept]
    y = (users[x[:, 0]] * films[x[:, 1]]).sum(1) / math.sqrt(3)
    return x, y + 0.2 * torch.randn(len(x), generator=chance)


@cache
def lifetimes() -> tuple[Tensor, Tensor]:
    """Return six covariates, and (days to the event, whether it was seen), a third censored."""
    chance = source()
    x = torch.randn(1500, 6, generator=chance)
    hazard = torch.exp(x @ torch.tensor([0.9, -0.7, 0.5, 0.0, 0.3, 0.0]))
    died = -torch.log(torch.rand(1500, generator=chance).clamp_min(1e-6)) / hazard
    left = 2.5 * torch.rand(1500, generator=chance)
    return x, torch.stack([torch.minimum(died, left), (died <= left).float()], 1)


@cache
def shelves() -> tuple[Tensor, Tensor]:
    """Return lists of eight items with six features each, and the place of the best."""
    chance = source()
    x = torch.randn(1500, 8, 6, generator=chance)
    worth = x[..., 0] + torch.sin(2 * x[..., 1]) + x[..., 2] * x[..., 3]
    return x, worth.argmax(1)


@cache
def moons() -> Tensor:
    """Return 1500 points on two crescents, standardised."""
    return standard(torch.tensor(make_moons(1500, noise=0.06, random_state=0)[0]).float())


@cache
def pairs(count: int = 2000) -> tuple[Tensor, Tensor]:
    """Return pairs of pictures as 2 x 64, half of them of the same digit, and whether they are."""
    chance = source()
    x, y = digits()
    first = torch.randint(len(x), (count,), generator=chance)
    second = torch.randint(len(x), (count,), generator=chance)
    for row in range(0, count, 2):
        alike = torch.nonzero(y == y[first[row]])[:, 0]
        second[row] = alike[torch.randint(len(alike), (), generator=chance)]
    flat = x.flatten(1)
    return torch.stack([flat[first], flat[second]], 1), (y[first] == y[second]).float()


@cache
def forecast() -> tuple[Tensor, Tensor]:
    """Return 48 hours of a load with two periods and noise, 1 x 48, and the next hour's."""
    chance = source()
    time = torch.arange(2000.0)
    load = torch.sin(2 * math.pi * time / 24) + 0.5 * torch.sin(2 * math.pi * time / 11)
    load = standard((load + 0.15 * torch.randn(2000, generator=chance))[:, None])[:, 0]
    windows = load.unfold(0, 49, 1)
    return windows[:, None, :-1].contiguous(), windows[:, -1:].contiguous()


@cache
def clouds() -> tuple[Tensor, Tensor]:
    """Return clouds of 40 points on a turned sphere, cube, cylinder or cross, and the shape."""
    chance = source()
    y = torch.arange(800) % 4
    p = torch.randn(800, 40, 3, generator=chance)
    sphere = F.normalize(p, dim=2)
    cube = p / p.abs().amax(2, keepdim=True)
    rod = torch.cat([F.normalize(p[..., :2], dim=2), p[..., 2:].clamp(-1, 1)], 2)
    cross = p * F.one_hot(p.abs().argmax(2), 3) / 1.5
    shapes = torch.stack([sphere, cube, rod, cross], 1)[torch.arange(800), y]
    return shapes + 0.03 * torch.randn(800, 40, 3, generator=chance), y


@cache
def wave(cycles: float) -> tuple[Tensor, Tensor]:
    """Return 256 places in [-1, 1] and a sine of so many cycles there."""
    x = torch.linspace(-1, 1, 256)[:, None]
    return x, math.sqrt(2) * torch.sin(math.pi * cycles * x + 0.4)


@cache
def pictured(cycles: float) -> tuple[Tensor, Tensor]:
    """Return the places of 24 x 24 pixels in [-1, 1] and a grey picture with such a texture."""
    axis = torch.linspace(-1, 1, 24)
    x = torch.cartesian_prod(axis, axis)
    y = torch.sin(math.pi * cycles * x[:, :1]) * torch.cos(math.pi * cycles * x[:, 1:])
    return x, standard(y + 0.5 * x[:, :1])


@cache
def heavy_noise() -> tuple[Tensor, Tensor]:
    """Return one feature and a target whose noise grows with it."""
    chance = source()
    x = torch.rand(1500, 1, generator=chance) * 2 - 1
    noise = torch.randn(1500, 1, generator=chance) * (0.05 + 0.3 * (x + 1))
    return 1.7 * x, standard(torch.sin(3 * x) + noise)


@cache
def walks() -> tuple[Tensor, Tensor]:
    """Return four-dimensional states, and (action taken, discounted return), rewards 0 to 1."""
    chance = source()
    state = torch.randn(2000, 4, generator=chance)
    action = torch.randint(3, (2000,), generator=chance)
    gains = torch.stack([state[:, 0], state[:, 1] * state[:, 2], -state[:, 3].abs() + 1], 1)
    value = standard(gains[torch.arange(2000), action][:, None])[:, 0]
    return state, torch.stack([action.float(), value], 1)


@cache
def spiral() -> tuple[Tensor, Tensor]:
    """Return places on a decaying spiral and the places a moment later."""
    chance = source()
    start = 2 * torch.randn(800, 2, generator=chance)
    turn = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]])
    moved = torch.linalg.matrix_exp(0.5 * turn)
    return start / 2, (start + 0.1 * start**3 / 8) @ moved.T / 2


@cache
def rotations() -> tuple[Tensor, Tensor]:
    """Return 20 features and a random rotation of them onto 20 outputs."""
    chance = source()
    x = torch.randn(800, 20, generator=chance)
    turn = torch.linalg.qr(torch.randn(20, 20, generator=chance))[0]
    return x, x @ turn


def as_bytes(x: Tensor) -> Tensor:
    """Return pictures in 0 to 255, as a camera gives them."""
    low, high = x.min(), x.max()
    return torch.tensor(np.round(255 * ((x - low) / (high - low)).numpy()))
