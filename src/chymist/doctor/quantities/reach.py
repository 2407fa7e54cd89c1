"""Whether the targets lie within reach of the network: how much of them is of high frequency."""

from __future__ import annotations

import torch
from torch import Tensor

from chymist.doctor.patient import Patient
from chymist.doctor.quantity import Quantity, Values
from chymist.instruments.calling import called

INPUTS, OUTPUTS, ROWS = 3, 3, 200
"""Most inputs and outputs of a sample, and most outputs in all, of which it is measured."""
LEAST_IN_REACH, MOST_IN_REACH = 0.02, 0.1
"""Shares in reach that count as none: twice what chance has there, within these."""
FEWEST = 40
"""Fewest samples that tell a frequency from noise."""
REACH = 1000.0
"""Eigenvalues of the kernel this many times below the largest are out of reach: at the largest
stable step, a target along them falls by a factor e in 500 steps or more."""
WORK = 2 * 10**7
"""Outputs times parameters beyond which fewer outputs are taken."""


def measure(patient: Patient) -> Values:
    """Enter the shares of what is to be learnt that are out of the kernel's reach, and smooth.

    `out_of_reach`: the share of the residual, outputs minus targets (their mean aside), or of an
    output whose square is the loss, along eigenvectors of the tangent kernel whose eigenvalue is
    below 1/`REACH` of the largest, and `in_reach_by_chance` the share of noise that is in reach.
    `smooth`: 1 minus half the mean squared difference of targets between nearest samples over their
    variance, about 0 for noise. On one input, `wave_out_of_reach` is the share of those frequencies
    of the targets, whole waves on the inputs' range, that stand out from noise and are out of
    reach, up to what chance has in reach, `wave_frequency` the lowest of them, `wave_largest` the
    one with most of the targets. Nothing for data other than regression on up to three inputs.
    """
    x = patient.x[0] if isinstance(patient.x, tuple) and len(patient.x) == 1 else patient.x
    left = _residual(patient) if _low(x) else None
    if left is None:
        return {}
    kernel, picked = _kernel(patient, left.numel())
    if len(picked) < FEWEST:
        return {}
    levels, vectors = torch.linalg.eigh(0.5 * (kernel + kernel.mT))
    far = vectors[:, levels < levels[-1] / REACH]
    part = left.flatten()[picked, None]
    found = {"out_of_reach": {"": _share(far, part)}, "in_reach_by_chance": {"": _chance(far)}}
    y = patient.given
    if isinstance(y, Tensor):
        rows, goal = x.detach().double(), y.detach().double().reshape(len(y), -1)
        goal = goal - goal.mean(0)
        if not bool(goal.square().sum() > 0):
            return {}
        found["smooth"] = {"": _smooth(rows, goal)}
        if rows.shape[1] == 1 and goal.shape[1] == 1:
            found |= _waves(rows[:, 0], goal, rows[picked, 0], far)
    return found


def _low(x: object) -> bool:
    return (
        isinstance(x, Tensor) and x.ndim == 2 and x.is_floating_point()
        and x.shape[1] <= INPUTS and len(x) >= FEWEST
    )  # fmt: skip


def _residual(patient: Patient) -> Tensor | None:
    """Return what descent on a squared error takes out of outputs, None for other losses."""
    out, y = patient.slopes().output, patient.given
    if not isinstance(out, Tensor) or out.numel() > OUTPUTS * patient.samples + FEWEST:
        return None
    if y is None:
        try:
            loss, twice = (float(patient.loss(f * out, patient.y)) for f in (1.0, 2.0))
        except RuntimeError:
            return None  # It differentiates by the inputs, and is no function of the output alone.
        return out.double() if abs(twice - 4 * loss) <= 1e-3 * abs(loss) else None
    if not isinstance(y, Tensor) or not y.is_floating_point() or y.shape != out.shape:
        return None
    left = out.double() - y.double()
    return left - left.mean(0)


def _kernel(patient: Patient, outputs: int) -> tuple[Tensor, Tensor]:
    """Return the tangent kernel of some of the outputs, all samples together, and which."""
    used = patient.used
    own: dict[str, Tensor] = {n: p.detach() for n, p in patient.model.named_parameters()}
    leaves = [own[n].requires_grad_() for n in used]
    size = sum(p.numel() for p in leaves)
    most = min(ROWS, WORK // max(size, 1), outputs)
    picked = torch.randperm(outputs, generator=torch.Generator().manual_seed(0))[:most].sort()
    rest = {n: b.clone() for n, b in patient.model.named_buffers()}
    rows = []
    with torch.enable_grad():
        out = called(patient.model, {**own, **rest}, patient.x).flatten()
        for i in picked.values.tolist() if most >= FEWEST else []:
            made = torch.autograd.grad(out[i], leaves, retain_graph=True, allow_unused=True)
            parts = [
                torch.zeros_like(p).flatten() if g is None else g.flatten()
                for p, g in zip(leaves, made, strict=True)
            ]
            rows.append(torch.cat(parts).double())
    if not rows:
        return torch.zeros(0, 0), torch.zeros(0, dtype=torch.int64)
    jacobian = torch.stack(rows)
    return jacobian @ jacobian.mT, picked.values


def _chance(far: Tensor) -> float:
    """Return the share of noise that is in reach: as many directions as are, of all."""
    return 1 - far.shape[1] / max(len(far), 1)


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
    most = len(picked) // 2
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
    limit = 1 - min(MOST_IN_REACH, max(LEAST_IN_REACH, 2 * _chance(far)))
    out = (reach > limit) & (power > 15 * noise) & (power > 0.02)
    lowest = float(k[out][0]) if bool(out.any()) else 0.0
    return {
        "wave_out_of_reach": {"": float(power[out].sum().clamp(max=1.0))},
        "wave_frequency": {"": lowest},
        "wave_largest": {"": float(k[power.argmax()])},
    }


REACHED = Quantity("reach", measure, price=20, moments=("before",))
