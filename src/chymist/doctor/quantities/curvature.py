"""The curvature that decides whether steps are stable, tracked along a training."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from chymist.doctor.patient import Patient
from chymist.doctor.preconditioning import stability, step_sizes
from chymist.doctor.quantity import Quantity, Values
from chymist.instruments import eigenpairs, objective, preconditioned
from chymist.instruments.directions import rayleigh
from chymist.instruments.matrices import curvature

TOLERANCE = 0.02
"""Of the eigenvalue; it wanders by more from batch to batch."""
PRODUCTS = 24
"""Hessian products at most a measurement."""


def measure(patient: Patient) -> Values:
    """Enter the sharpness that the optimizer feels, its threshold, and how the gradient lies in it.

    For SGD `sharpness` against `sharpness_threshold`, for Adam, AdamW, RMSProp and Adagrad
    `preconditioned_sharpness` against `preconditioned_threshold`, on the batch of the step. The
    search starts from the last measurement's vector. `gradient_sharp_share` is the gradient's share
    along the sharpest direction, `gradient_curvature` its own curvature over the largest.
    """
    optimizer = patient.optimizer
    if optimizer is None:
        return {}
    own: dict[str, Tensor] = patient.memory["parameters"]
    moved = step_sizes(optimizer)
    names = [n for n, p in own.items() if p.requires_grad and id(p) in moved and p.grad is not None]
    found = stability(optimizer, {n: own[n] for n in names}) if names else None
    if found is None:
        return {}
    diagonal, threshold = found
    made = objective(patient.model, patient.loss, patient.data, only=names)
    operator = curvature(made)
    if diagonal is not None:
        operator = preconditioned(operator, made.rows(diagonal))
    kept: dict[str, Any] = patient.memory.setdefault("curvature", {})
    start = kept.get("start") if kept.get("names") == names else None
    # A second vector goes along: a direction that overtakes is seen.
    top = eigenpairs(
        operator, 1, tolerance=TOLERANCE, block=min(2, made.size), start=start, products=PRODUCTS
    )
    kept["names"], kept["start"] = names, top.next_start
    value = float(top.values[0, 0])
    which = "preconditioned_" if diagonal is not None else ""
    entered: dict[str, dict[str, float]] = {
        f"{which}sharpness": {"": value},
        f"{which or 'sharpness_'}threshold": {"": threshold},
    }
    if diagonal is None and value > 0:
        gradient = made.gradient
        share = (top.vectors[0, 0].double() @ (gradient[0] / gradient[0].norm()).double()) ** 2
        entered["gradient_sharp_share"] = {"": float(share)}
        entered["gradient_curvature"] = {"": float(rayleigh(operator, gradient)[0]) / value}
    return entered


CURVATURE = Quantity("curvature", measure, price=30, moments=("during",))
