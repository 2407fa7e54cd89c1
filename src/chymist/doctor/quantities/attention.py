"""How saturated each softmax of attention is."""

from __future__ import annotations

from chymist.doctor.patient import Patient
from chymist.doctor.quantities.endings import ending
from chymist.doctor.quantity import Quantity, Values
from chymist.errors import CannotMeasure
from chymist.instruments import attention_saturation


def measure(patient: Patient) -> Values:
    """Enter participation, logit spread and its critical value, by module; the worst head's."""
    try:
        found = attention_saturation(patient.model, patient.x)
    except CannotMeasure as error:
        if "no softmax" in error.message:
            return {}
        raise
    if ending(patient) == "softmax":
        # The softmax of a classifier of tokens is none of attention, and comes last.
        found.popitem()
    worst = {name: int(s.participation[0].argmax()) for name, s in found.items()}
    return {
        "attention_participation": {
            n: float(s.participation[0, worst[n]]) for n, s in found.items()
        },
        "attention_logit_std": {n: float(s.logit_std[0, worst[n]]) for n, s in found.items()},
        "attention_critical": {n: float(s.critical[worst[n]]) for n, s in found.items()},
    }


ATTENTION = Quantity("attention", measure, price=1.5, needs="inputs")
