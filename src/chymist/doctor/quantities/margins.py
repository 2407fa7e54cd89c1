"""How far a batch's samples are from being classed otherwise."""

from __future__ import annotations

from torch import Tensor

from chymist.doctor.patient import Patient
from chymist.doctor.quantity import Quantity, Values
from chymist.instruments import margins


def measure(patient: Patient) -> Values:
    """Enter `margin`, its mean as "" and the least, and `accuracy`, of classes given as indices."""
    y = patient.given
    single = isinstance(y, Tensor) and y.ndim == 1 and y.shape == patient.y.shape
    if not single or y.is_floating_point() or len(y) < 2:
        return {}
    found = margins(patient.model, (patient.x, patient.y))
    return {
        "margin": {"": float(found.mean()), "least": float(found.min())},
        "accuracy": {"": float((found > 0).double().mean())},
    }


MARGINS = Quantity("margins", measure, price=1.5, moments=("during",))
