"""The sharpness that decides whether the optimizer's step is stable, and its threshold."""

from __future__ import annotations

from typing import Any

from chymist.doctor import facts
from chymist.doctor.patient import Patient
from chymist.doctor.preconditioning import largest_stable
from chymist.doctor.quantity import Quantity, Values
from chymist.instruments import sharpness

PRODUCTS = 20
"""Hessian products at most; more digits would not change a diagnosis."""


def measure(patient: Patient) -> Values:
    """Enter the largest Hessian eigenvalue, and 2/lr with momentum counted for plain descent."""
    found = sharpness(
        patient.model, patient.loss, patient.data, only=patient.used, tolerance=0.001,
        products=PRODUCTS,
    )  # fmt: skip
    entered: dict[str, dict[str, float]] = {"sharpness": {"": float(found.values[0])}}
    if patient.optimizer is not None:
        threshold = descent_threshold(facts.optimizer(patient.optimizer))
        if threshold is not None:
            entered["sharpness_threshold"] = {"": threshold}
    return entered


def descent_threshold(optimizer: dict[str, Any]) -> float | None:
    """Return the curvature at which descent with momentum turns unstable, None for other rules.

    (2 + 2 beta)/lr, with Nesterov's momentum (2 + 2 beta)/((1 + 2 beta) lr), for steps
    v <- beta v + g, w <- w - lr v. Source: Cohen et al. (2021), arXiv:2103.00065, appendix B.

    >>> descent_threshold({"rule": "SGD", "lr": 0.5, "momentum": 0.5})
    6.0
    """
    if optimizer["rule"] != "SGD" or optimizer["lr"] <= 0:
        return None
    return largest_stable(optimizer, optimizer["lr"])


STABILITY = Quantity("stability", measure, price=20, moments=("before",))
