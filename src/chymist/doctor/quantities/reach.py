"""Whether the targets lie within reach of the network: how much of them is of high frequency."""

from __future__ import annotations

import torch
from torch import Tensor

from chymist.doctor.patient import Patient
from chymist.doctor.quantity import Quantity, Values
from chymist.instruments import ntk

INPUTS, OUTPUTS, SAMPLES = 3, 3, 256
"""Most inputs and outputs of a sample, and most samples, of which it is measured."""
FEWEST = 40
"""Fewest samples that tell a frequency from noise."""
REACH = 1000.0
"""Eigenvalues of the kernel this many times below the largest are out of reach: at the largest
stable step, a target along them falls by a factor e in 500 steps or more."""
WORK = 10**8
"""Samples times parameters beyond which fewer samples are taken."""


def measure(patient: Patient) -> Values:
    """Enter the shares of the targets' variance that are out of the kernel's reach, and smooth.

    `out_of_reach`: the share, their mean aside, along eigenvectors of the tangent kernel whose
    eigenvalue is below 1/`REACH` of the largest. `smooth`: 1 minus half the mean squared difference
    of targets between nearest samples over their variance, about 0 for noise. On one input,
    `wave_out_of_reach` is the share of those frequencies, whole waves on the inputs' range, that
    stand out from noise and are out of reach by as much as 0.98, and `wave_frequency` the lowest.
    Nothing for other data than regression on up to three inputs.
    """
    x, y = patient.x, patient.given
    x = x[0] if isinstance(x, tuple) and len(x) == 1 else x
    if not _low(x, y, patient.samples):
        return {}
    parameters = sum(p.numel() for p in patient.model.parameters())
    most = min(SAMPLES, max(FEWEST, WORK // max(parameters, 1)))
    goal = y.detach().double().reshape(len(y), -1)
    rows = x.detach().double()
    picked = torch.linspace(0, len(rows) - 1, min(most, len(rows))).long()
    if len(rows) > most:
        # A contiguous piece would lose low frequencies, a thinned one high ones: those at random.
        drawn = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
        picked = drawn[:most].sort().values
    goal = goal - goal.mean(0)
    if not bool(goal.square().sum() > 0):
        return {}
    kernel = ntk(patient.model, x[picked], only=patient.used).detach().double()
    levels, vectors = torch.linalg.eigh(0.5 * (kernel + kernel.mT))
    far = levels < levels[-1] / REACH
    part = goal[picked] - goal[picked].mean(0)
    found = {
        "out_of_reach": {"": _share(vectors[:, far], part)},
        "smooth": {"": _smooth(rows, goal)},
    }
    if rows.shape[1] == 1:
        found |= _waves(rows[:, 0], goal, rows[picked, 0], vectors[:, far])
    return found


def _low(x: object, y: object, samples: int) -> bool:
    return (
        isinstance(x, Tensor) and isinstance(y, Tensor) and x.ndim == 2
        and x.is_floating_point() and y.is_floating_point() and len(y) == len(x) == samples
        and x.shape[1] <= INPUTS and y.numel() <= OUTPUTS * samples and samples >= FEWEST
    )  # fmt: skip


def _share(far: Tensor, part: Tensor) -> float:
    whole = part.square().sum()
    return float((far.mT @ part).square().sum() / whole) if bool(whole > 0) else 0.0


def _smooth(rows: Tensor, goal: Tensor) -> float:
    some = slice(0, 2048)
    apart = torch.cdist(rows[some], rows[some])
    apart.fill_diagonal_(torch.inf)
    near = apart.argmin(1)
    return float(1 - 0.5 * (goal[some] - goal[near]).square().sum() / goal[some].square().sum())


def _waves(x: Tensor, goal: Tensor, picked: Tensor, far: Tensor) -> dict[str, dict[str, float]]:
    length = float(x.max() - x.min())
    if not length > 0:
        return {}
    most = len(picked) // 4
    k = torch.arange(1, most + 1, dtype=torch.float64)

    def waves(places: Tensor) -> tuple[Tensor, Tensor]:
        angles = 2 * torch.pi * ((places - x.min()) / length)[:, None] * k
        return angles.cos(), angles.sin()

    both = waves(x)
    power = sum(((w.mT @ goal).square().sum(1) for w in both), torch.zeros(most).double())
    power = 2 * power / len(x) / goal.square().sum()
    noise = power.median()
    reach = torch.stack([
        torch.tensor(min(_share(far, w[:, i : i + 1] - w[:, i].mean()) for w in waves(picked)))
        for i in range(most)
    ])  # fmt: skip
    # A sum of n squares of noise exceeds 15 medians in one of 30,000.
    out = (reach > 0.98) & (power > 15 * noise) & (power > 0.02)
    lowest = float(k[out][0]) if bool(out.any()) else 0.0
    return {
        "wave_out_of_reach": {"": float(power[out].sum().clamp(max=1.0))},
        "wave_frequency": {"": lowest},
    }


REACHED = Quantity("reach", measure, price=20, moments=("before",))
