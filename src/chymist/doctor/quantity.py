"""A quantity: an instrument with its price, as the doctor enters it in a chart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from chymist.doctor.chart import Layered
from chymist.doctor.patient import Patient

Values = Mapping[str, Layered | tuple[Layered, Layered]]
"""What a measurement enters: by name, values by layer, or (values, standard errors)."""


@dataclass(frozen=True)
class Quantity:
    """What is measured of a patient, and what one measurement is expected to cost.

    `measure` may enter several names of one computation. `price` is in gradient evaluations: the
    schedule's first guess, before it has timed a measurement. `moments` says when it makes sense:
    "before" the first step, "during" training; "across" a step of the training, with the parameters
    before it in the memory. `needs` says of what: the "loss", the model and its "inputs", or the
    "parameters" and their gradients alone, for which the user's own model is handed over.
    """

    name: str
    measure: Callable[[Patient], Values]
    price: float
    moments: tuple[str, ...] = ("before", "during")
    needs: str = "loss"
