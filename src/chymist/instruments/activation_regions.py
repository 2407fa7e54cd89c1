"""The exact Lipschitz constant of a small ReLU network of two layers, region by region."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from chymist.errors import CannotMeasure
from chymist.instruments.networks import of_tensor
from chymist.instruments.path_norms import relu_layers

THIN = 1e-6
"""Regions that hold no ball of this radius are not seen."""


def lipschitz_exact(model: nn.Module, x: Tensor, *, limit: int = 4096, **options: Any) -> Tensor:
    """Lipschitz constant of a ReLU network of two layers over all inputs, by its regions.

    The network is affine in every region of inputs that switch the same neurons on; its constant is
    the largest of their slopes' spectral norms. m neurons with d inputs have up to sum over i <= d
    of (m choose i) regions: networks with at most `limit` are measured. x are some inputs, for
    their shape. Shape: a number, float64. Unit: outputs over inputs. `options` go to `of_tensor`.
    Cost: a linear program (a millisecond) for each neuron and region of those before it. Memory:
    the regions. Error: rounding; regions without a ball of radius 1e-6 are not seen. Source:
    Zaslavsky (1975), Mem. AMS 154, for the count; the method is enumeration.

    Raises:
        CannotMeasure: the model is not a linear layer, ReLU, and a linear layer; it may have more
            regions than `limit`; see `of_tensor`.
        MovingTarget: see `of_tensor`.

    The modulus, relu(x) + relu(-x), has the slopes 1 and -1:

    >>> net = nn.Sequential(nn.Linear(1, 2, bias=False), nn.ReLU(), nn.Linear(2, 1))
    >>> with torch.no_grad():
    ...     _ = net[0].weight.copy_(torch.tensor([[1.0], [-1.0]])), net[2].weight.fill_(1.0)
    >>> lipschitz_exact(net, torch.ones(1, 1))
    tensor(1., dtype=torch.float64)
    """
    of_tensor(model, x, **options)
    first, second = relu_layers(model, x)
    w = first.weight.detach().double().cpu()
    a = second.weight.detach().double().cpu()
    b = torch.zeros(len(w)) if first.bias is None else first.bias.detach().double().cpu()
    neurons, inputs = w.shape
    most = sum(math.comb(neurons, i) for i in range(min(neurons, inputs) + 1))
    if most > limit:
        raise CannotMeasure(
            f"{neurons} neurons with {inputs} inputs can have {most} regions, more than {limit}",
            "raise limit, or bound the constant with lipschitz_lower and lipschitz_upper",
        )
    signs = torch.from_numpy(regions(w.numpy(), b.double().numpy()))
    slopes = torch.einsum("om,rm,mi->roi", a, signs.double(), w)
    return torch.as_tensor(torch.linalg.matrix_norm(slopes, 2).max())


def regions(w: Any, b: Any) -> Any:
    """Return which neurons are on, w x + b > 0, in each region of the inputs: (region, neuron).

    >>> regions(np.array([[1.0], [1.0]]), np.array([0.0, -1.0])).astype(int).tolist()
    [[0, 0], [1, 0], [1, 1]]
    """
    size = np.linalg.norm(w, axis=1)
    rows, offsets = w / np.where(size == 0, 1, size)[:, None], b / np.where(size == 0, 1, size)
    found: list[tuple[list[bool], Any]] = [([], np.zeros(w.shape[1]))]
    for k in range(len(w)):
        if size[k] == 0:
            found = [([*on, bool(b[k] > 0)], inside) for on, inside in found]
            continue
        split = []
        for on, inside in found:
            # A point inside the region shows one side of the new line; the other is to be found.
            for side in (False, True):
                point = inside if _holds(rows, offsets, [*on, side], inside) else None
                if point is None:
                    point = _inside(rows[: k + 1], offsets[: k + 1], [*on, side], size)
                if point is not None:
                    split.append(([*on, side], point))
        found = split
    return np.array([on for on, _ in found])


def _holds(rows: Any, offsets: Any, on: list[bool], point: Any) -> bool:
    k = len(on)
    heights = np.where(on, 1, -1) * (rows[:k] @ point + offsets[:k])
    return bool((heights > THIN).all())


def _inside(rows: Any, offsets: Any, on: list[bool], size: Any) -> Any:
    """Return the centre of a ball within the region, or None if it is thinner than THIN."""
    from scipy.optimize import linprog

    used = size[: len(on)] > 0
    signs = np.where(on, 1.0, -1.0)[used]
    # Find x and a radius t <= 1 with signs (row x + offset) >= t.
    left = np.hstack([-signs[:, None] * rows[used], np.ones((len(signs), 1))])
    goal = np.zeros(rows.shape[1] + 1)
    goal[-1] = -1
    bounds = [(None, None)] * rows.shape[1] + [(None, 1)]
    answer = linprog(goal, A_ub=left, b_ub=signs * offsets[used], bounds=bounds)
    return answer.x[:-1] if answer.status == 0 and answer.x[-1] > THIN else None
