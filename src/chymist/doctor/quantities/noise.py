"""How noisy the gradient of a batch is: numerator and denominator of the noise scale."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from chymist.doctor.patient import Patient
from chymist.doctor.quantities.gradients import norms
from chymist.doctor.quantities.parts import of_a_part
from chymist.doctor.quantities.updates import norms_of
from chymist.doctor.quantity import Quantity, Values
from chymist.errors import CannotMeasure
from chymist.instruments import PerSample, objective, sampler
from chymist.instruments.sample_parts import Held

SAME = 1e-3
"""Relative difference up to which the user's gradient is the samples' mean."""
GROUPS = 4
"""Parts of a batch whose gradients are held against each other where samples' own are not had."""


def measure(patient: Patient) -> Values:
    """Enter `noise_trace` and `noise_squared_gradient`, both unbiased, to be averaged over steps.

    As `instruments.noise_scale` has them, from the samples' own gradients; of a model that hands on
    no row for each sample from those of quarters of the batch, whose loss must then be a mean over
    samples.
    """
    n = patient.samples
    if n < 2 * GROUPS:
        return {}
    try:
        slopes = _samples(patient)
        squares = float(slopes.squares().double().mean())
    except (CannotMeasure, RuntimeError):  # Recurrent kernels have no rule for `torch.vmap`.
        trace, squared = _by_groups(patient, n)
        return {"noise_trace": {"": trace}, "noise_squared_gradient": {"": squared}}
    # The jackknife's errors cost as much again; those of the average over steps are what counts.
    mean = _own_square(patient, slopes)
    if mean is None:
        mean = float(slopes.mean().double().square().sum())
    trace = n / (n - 1) * (squares - mean)
    return {"noise_trace": {"": trace}, "noise_squared_gradient": {"": mean - trace / n}}


def _own_square(patient: Patient, slopes: PerSample) -> float | None:
    """Return the squared norm of the user's own gradient, where that is the samples' mean.

    Whether it is so is seen at the biases, whose samples' gradients are held: clipping, several
    batches or dropout would change these too. None if it is not, or there are none.
    """
    own: dict[str, Tensor] = patient.memory["parameters"]
    names: tuple[str, ...] = patient.memory["sampler"].names
    known = {n: g.detach() for n in names if (g := own[n].grad) is not None}
    held = {
        n: part.held for part, n in zip(slopes.parts, slopes.structured, strict=False)
        if isinstance(part, Held)
    }  # fmt: skip
    if not held or len(known) < len(names):
        return None
    means = [h[0].mean(0).to(known[n].dtype) for n, h in held.items()]
    off = norms_of(torch._foreach_sub(means, [known[n].flatten() for n in held]))
    if not all(o <= SAME * m for o, m in zip(off, norms_of(means), strict=True)):
        return None
    sizes = norms(patient)
    return sum(sizes[n] ** 2 for n in names)


def _samples(patient: Patient) -> PerSample:
    """Return the samples' gradients; a model and a loss are checked at their first measurement."""
    if patient.given is None:
        raise CannotMeasure("the model computes its own loss")
    known = patient.memory.get("sampler")
    if known is None or known.model is not patient.model:
        names = patient.used
        known = sampler(patient.model, patient.loss, patient.data, only=names)
        patient.memory["sampler"] = known
    return replace(known, loss=patient.loss)(patient.data)


def _by_groups(patient: Patient, n: int) -> tuple[float, float]:
    """Return both from the gradients of parts: tr Sigma = b sum_k |g_k - g|^2 / (groups - 1)."""
    size = n // GROUPS
    slopes = []
    for first in range(0, GROUPS * size, size):
        part = slice(first, first + size)
        x = _rows(patient.x, part)
        with of_a_part():
            made = objective(patient.model, patient.loss, (x, patient.y[part]), only=patient.used)
            slopes.append(made.gradient[0].double())
    every = torch.stack(slopes)
    mean = every.mean(0)
    trace = float(size * (every - mean).square().sum() / (GROUPS - 1))
    return trace, float(mean.square().sum()) - trace / (GROUPS * size)


def _rows(x: object, part: slice) -> object:
    if isinstance(x, Tensor):
        return x[part]
    if isinstance(x, dict):
        return {n: t[part] for n, t in x.items()}
    return tuple(t[part] for t in x)  # type: ignore[attr-defined]


NOISE = Quantity("noise", measure, price=6, moments=("during",))
