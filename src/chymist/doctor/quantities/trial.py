"""What the optimizer's first steps do: taken on copies, on the batch at hand."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from chymist.doctor.patient import Patient
from chymist.doctor.preconditioning import stability
from chymist.doctor.quantity import Quantity, Values
from chymist.doctor.stillness import at
from chymist.errors import CannotMeasure
from chymist.instruments import sharpness
from chymist.instruments.calling import called

STEPS = 20
"""Steps taken: the length after which Adam's average of squared gradients tells curvature apart."""
PRODUCTS = 8
"""Hessian products at most for the preconditioned sharpness, of which one digit is asked."""


def measure(patient: Patient) -> Values:
    """Enter the loss along trial steps, and Adam's preconditioned sharpness where they end.

    `trial_start`, `trial_peak` and `trial_end` are losses, the largest that is finite, and an
    infinite end once one is not. `trial_rise` is the largest ratio of a loss to the least before
    it: steps that are short enough only lower the loss of one batch. `trial_no_gradient` names
    parameters whose gradient was zero at every step. Before the first step Adam divides by nothing
    yet, and by the first gradient alone after it, which overstates the curvature tenfold and more:
    `trial_sharpness` is the preconditioned one after `STEPS` steps, with its `trial_threshold`,
    (2 + 2 beta1)/((1 - beta1) lr).
    """
    if patient.optimizer is None or isinstance(patient.optimizer, torch.optim.LBFGS):
        return {}  # One that searches along its line has no step to be too long.
    moved, made = _copied(patient, patient.optimizer)
    reached: set[str] = set()
    with _iterating(patient):
        rest = {n: b.clone() for n, b in patient.model.named_buffers()}
        losses = [_step(patient, moved, rest, made, reached)]
        while len(losses) <= STEPS and math.isfinite(losses[-1]):
            losses.append(_step(patient, moved, rest, made, reached))
    known = [v for v in losses if math.isfinite(v)]
    end = losses[-1] if math.isfinite(losses[-1]) else math.inf
    found = {
        "trial_start": {"": losses[0]}, "trial_end": {"": end},
        "trial_peak": {"": max(known, default=math.inf)}, "trial_rise": {"": _rise(losses)},
    }  # fmt: skip
    if math.isfinite(end):
        found["trial_no_gradient"] = {n: 1.0 for n in moved if n not in reached}
        found |= _preconditioned(patient, moved, made)
    return found


@contextmanager
def _iterating(patient: Patient) -> Iterator[None]:
    """Let spectral norms follow their weights, as they do in training: by iterated buffers."""
    norms = [
        m for m in patient.model.modules() if type(m).__name__ == "_SpectralNorm" and patient.mode
    ]
    kept = [m.training for m in norms]
    for norm in norms:
        norm.train()
    try:
        yield
    finally:
        for norm, training in zip(norms, kept, strict=True):
            norm.train(training)


def _rise(losses: list[float]) -> float:
    """Return the largest ratio of a loss to the least before it, 1 if it only fell.

    >>> _rise([4.0, 2.0, 3.0, 1.0])
    1.5
    """
    least, most = losses[0], 1.0
    for value in losses[1:]:
        if not math.isfinite(value):
            return math.inf
        if least > 0:
            most = max(most, value / least)
        least = min(least, value)
    return most


def _copied(
    patient: Patient, optimizer: torch.optim.Optimizer
) -> tuple[dict[str, Tensor], torch.optim.Optimizer]:
    """Return copies of the parameters by name, and an optimizer of them in the same state."""
    own = [p for group in optimizer.param_groups for p in group["params"]]
    made = copy.deepcopy(optimizer)  # Which leaves the user's hooks behind.
    copies = [p for group in made.param_groups for p in group["params"]]
    by_user = {patient.names[id(p)]: c for p, c in zip(own, copies, strict=True)
               if id(p) in patient.names}  # fmt: skip
    shared = dict(patient.model.named_parameters())
    dtypes = {p.dtype for p in shared.values() if p.is_floating_point()}
    moved = {n: c for n, c in by_user.items() if n in shared and c.requires_grad}
    if not moved:
        raise CannotMeasure(
            "the optimizer has none of the model's parameters",
            "make it from model.parameters(), after the model is on its device",
        )
    if any(c.dtype not in dtypes for c in moved.values()):
        raise CannotMeasure("trial steps need one precision", "the parameters are of another")
    return moved, made


def _step(
    patient: Patient, moved: dict[str, Tensor], rest: dict[str, Tensor],
    made: torch.optim.Optimizer, reached: set[str],
) -> float:  # fmt: skip
    """Take one step of the copy, and return the loss before it; note what gets a gradient."""
    lost: list[float] = []

    def closure() -> Tensor:
        value = _loss(patient, moved, rest)
        if not value.requires_grad:
            raise CannotMeasure(
                "the loss does not depend on any parameter",
                "compute it from the model's output without detach, item or numpy",
            )
        lost.append(float(value.detach()))
        slopes = torch.autograd.grad(value, list(moved.values()), allow_unused=True)
        for (name, copied), slope in zip(moved.items(), slopes, strict=True):
            copied.grad = slope
            if slope is not None and bool(slope.any()):
                reached.add(name)
        return value.detach()

    with torch.enable_grad():
        made.step(closure)  # type: ignore[arg-type]
    return lost[0]


def _loss(patient: Patient, moved: dict[str, Tensor], rest: dict[str, Tensor]) -> Tensor:
    own = {n: p.detach() for n, p in patient.model.named_parameters()}
    return torch.as_tensor(
        patient.loss(called(patient.model, {**own, **rest, **moved}, patient.x), patient.y)
    )


def _preconditioned(
    patient: Patient, moved: dict[str, Tensor], made: torch.optim.Optimizer
) -> dict[str, dict[str, float]]:
    known = stability(made, moved)
    if known is None or known[0] is None:
        return {}
    diagonal, threshold = known[0], known[1]
    used = [n for n in moved if n in patient.used]
    there = at(patient.model, {n: p.detach().clone() for n, p in moved.items()})
    try:
        found = sharpness(
            there, patient.loss, patient.data, only=used, tolerance=0.05, products=PRODUCTS,
            preconditioner={n: diagonal[n] for n in used},
        )  # fmt: skip
    except CannotMeasure:
        return {}  # The steps say something without.
    return {
        "trial_sharpness": {"": float(found.values[0])}, "trial_threshold": {"": threshold},
    }  # fmt: skip


TRIAL = Quantity("trial", measure, price=40, moments=("before",))
