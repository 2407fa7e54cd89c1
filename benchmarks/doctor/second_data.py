"""Data of the second set of strangers: what ships with scikit-learn, or is drawn on the spot."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import Any

import torch
from sklearn import datasets
from torch import Tensor


def rows(data: Any, chosen: Any) -> Any:
    """Return the chosen rows of a tensor, or of each in a nest of tuples."""
    if isinstance(data, tuple):
        return tuple(rows(part, chosen) for part in data)
    return data[chosen]


def shuffled(data: Any, size: int) -> Iterator[Any]:
    """Yield batches for ever, epoch after epoch, as a loader that shuffles and drops the last."""
    first = data
    while isinstance(first, tuple):
        first = first[0]
    while True:
        for chosen in torch.randperm(len(first)).split(size):
            if len(chosen) == size:
                yield rows(data, chosen)


def chance(number: int) -> torch.Generator:
    """Return a generator for the data, so that the trainings' seeds do not change them."""
    return torch.Generator().manual_seed(number)


def standard(x: Tensor) -> Tensor:
    """Return columns with mean 0 and standard deviation 1."""
    return (x - x.mean(0)) / x.std(0)


@cache
def digits() -> tuple[Tensor, Tensor]:
    """Return 1797 pictures (1, 8, 8) of values from 0 to 1, and their digits."""
    found = datasets.load_digits()
    return torch.tensor(found.images).float()[:, None] / 16, torch.tensor(found.target)


@cache
def shapes(count: int = 400, size: int = 24) -> tuple[Tensor, Tensor]:
    """Return noisy pictures of a disc and a box each, and the masks of the discs."""
    draw = chance(1)
    axis = torch.arange(size).float()
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    at = 4 + (size - 8) * torch.rand(count, 4, 1, 1, generator=draw)
    radius = 2.5 + 2.5 * torch.rand(count, 1, 1, generator=draw)
    disc = ((x - at[:, 0]) ** 2 + (y - at[:, 1]) ** 2 < radius**2).float()
    box = (((x - at[:, 2]).abs() < 3) & ((y - at[:, 3]).abs() < 3)).float()
    noise = 0.3 * torch.randn(count, size, size, generator=draw)
    return (torch.maximum(disc, 0.8 * box) + noise)[:, None], disc[:, None]


@cache
def patches(size: int = 12) -> tuple[Tensor, Tensor]:
    """Return noisy and clean grey patches of scikit-learn's photograph of a temple."""
    grey = torch.tensor(datasets.load_sample_image("china.jpg")).float().mean(-1) / 255
    cut = grey[::3, ::3].unfold(0, size, size // 2).unfold(1, size, size // 2)
    clean = cut.reshape(-1, 1, size, size).contiguous()
    return clean + 0.1 * torch.randn(clean.shape, generator=chance(2)), clean


@cache
def flower(size: int = 32) -> tuple[Tensor, Tensor]:
    """Return the coordinates in [-1, 1]^2 and the colours in [-1, 1] of a photograph's part."""
    whole = torch.tensor(datasets.load_sample_image("flower.jpg")).float() / 127.5 - 1
    colours = whole[100 : 100 + 6 * size : 6, 200 : 200 + 6 * size : 6]
    axis = torch.linspace(-1, 1, size)
    place = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1)
    return place.reshape(-1, 2), colours.reshape(-1, 3)


@cache
def signals_of_ten(count: int = 2000, length: int = 40) -> tuple[Tensor, Tensor]:
    """Return curves (1, length) of ten kinds, moved, scaled and noisy, as in MNIST-1D."""
    draw = chance(3)
    kinds = torch.randn(10, 12, generator=draw)
    label = torch.randint(10, (count,), generator=draw)
    curves = torch.zeros(count, length)
    for row, at in enumerate(torch.randint(length - 24, (count,), generator=draw)):
        long = torch.nn.functional.interpolate(
            kinds[label[row]][None, None], size=24, mode="linear", align_corners=True
        )
        curves[row, at : at + 24] = long[0, 0] * (0.7 + 0.6 * torch.rand(1, generator=draw))
    return (curves + 0.25 * torch.randn(curves.shape, generator=draw))[:, None], label


@cache
def text() -> tuple[Tensor, int]:
    """Return scikit-learn's descriptions of its data as codes of characters, and their number."""
    loads = (datasets.load_iris, datasets.load_wine, datasets.load_breast_cancer,
             datasets.load_diabetes, datasets.load_digits, datasets.load_linnerud)  # fmt: skip
    letters = "\n".join(load().DESCR for load in loads)
    known = {letter: code for code, letter in enumerate(sorted(set(letters)))}
    return torch.tensor([known[letter] for letter in letters]), len(known)


@cache
def passages(length: int) -> tuple[Tensor, Tensor]:
    """Return windows of the text and the same one character later."""
    codes, _ = text()
    cut = codes.unfold(0, length + 1, 7)
    return cut[:, :-1].contiguous(), cut[:, 1:].contiguous()


@cache
def snippets(length: int = 60) -> tuple[Tensor, Tensor]:
    """Return pieces of the text and the sixth of it that each is from."""
    codes, _ = text()
    cut = codes.unfold(0, length, 10).contiguous()
    return cut, torch.arange(len(cut)) * 6 // len(cut)


@cache
def waves(length: int = 40) -> tuple[Tensor, Tensor]:
    """Return windows (length, 1) of two noisy waves and a trend, and what comes next (1,)."""
    time = torch.arange(1500).float()
    series = (2 * math.pi * time / 24).sin() + 0.5 * (2 * math.pi * time / 61).cos()
    series = standard(series + 0.0004 * time + 0.1 * torch.randn(1500, generator=chance(4)))
    cut = series.unfold(0, length + 1, 1)
    return cut[:, :-1, None].contiguous(), cut[:, -1:].contiguous()


@cache
def adding(count: int = 2000, length: int = 24) -> tuple[Tensor, Tensor]:
    """Return sequences (length, 2) of numbers with two of them marked, and the marked ones' sum."""
    draw = chance(5)
    numbers = torch.rand(count, length, generator=draw)
    marked = torch.rand(count, length, generator=draw).argsort(1)[:, :2]
    marks = torch.zeros(count, length).scatter_(1, marked, 1.0)
    return torch.stack([numbers, marks], -1), (numbers * marks).sum(1, keepdim=True)


@cache
def reversal(count: int = 3000, length: int = 20) -> tuple[Tensor, Tensor]:
    """Return sequences of sixteen symbols, and the same the other way round."""
    x = torch.randint(16, (count, length), generator=chance(6))
    return x, x.flip(1)


@cache
def clouds(count: int = 600, points: int = 48) -> tuple[Tensor, Tensor]:
    """Return turned point clouds (points, 3) of a ball, a shell, a box and a disc; the kind."""
    draw = chance(7)
    kind = torch.randint(4, (count,), generator=draw)
    raw = torch.randn(count, points, 3, generator=draw)
    shell = raw / raw.norm(dim=-1, keepdim=True)
    ball = shell * torch.rand(count, points, 1, generator=draw) ** (1 / 3)
    box = 2 * torch.rand(count, points, 3, generator=draw) - 1
    disc = shell * torch.tensor([1.0, 1.0, 0.05])
    found = torch.stack([ball, shell, box, disc])[kind, torch.arange(count)]
    turn = torch.linalg.qr(torch.randn(count, 3, 3, generator=draw))[0]
    return found @ turn + 0.02 * raw, kind


@cache
def community(nodes: int = 120) -> tuple[Tensor, Tensor, Tensor]:
    """Return features, classes and adjacency of a graph of four groups, the features noisy."""
    draw = chance(8)
    label = torch.arange(nodes) % 4
    share = torch.where(label[:, None] == label[None], 0.30, 0.02)
    upper = (torch.rand(nodes, nodes, generator=draw) < share).float().triu(1)
    noise = torch.randn(nodes, 8, generator=draw)
    features = torch.nn.functional.one_hot(label, 8).float() + 0.7 * noise
    return features, label, upper + upper.T


@cache
def tumours() -> tuple[Tensor, Tensor]:
    """Return 30 features as measured and benign (1) or malignant (0)."""
    found = datasets.load_breast_cancer()
    return torch.tensor(found.data).float(), torch.tensor(found.target).float()[:, None]


@cache
def circuits() -> tuple[Tensor, Tensor]:
    """Return four standardised features, and Friedman's second function: up to 1700 ohms."""
    x, y = datasets.make_friedman2(1200, noise=20, random_state=0)
    return standard(torch.tensor(x).float()), torch.tensor(y).float()[:, None]


@cache
def moons() -> tuple[Tensor, Tensor]:
    """Return the points of two moons in float64, and which moon."""
    x, y = datasets.make_moons(800, noise=0.15, random_state=0)
    return torch.tensor(x), torch.tensor(y)


@cache
def informative(classes: int = 4) -> tuple[Tensor, Tensor]:
    """Return 20 features, half of them informative, and a class in four."""
    x, y = datasets.make_classification(2000, 20, n_informative=10, n_classes=classes,
                                        class_sep=1.5, random_state=0)  # fmt: skip
    return standard(torch.tensor(x).float()), torch.tensor(y)


@cache
def rare() -> tuple[Tensor, Tensor]:
    """Return heavy-tailed features of transactions, and the one in twelve that is a fraud."""
    x, y = datasets.make_classification(3000, 12, n_informative=6, weights=[0.92],
                                        class_sep=1.5, flip_y=0.0, random_state=1)  # fmt: skip
    skewed = torch.tensor(x).float()
    return standard(skewed.sign() * skewed.abs() ** 3), torch.tensor(y).float()[:, None]
