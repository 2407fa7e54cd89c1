"""Which units do nothing, along a training."""

from __future__ import annotations

from chymist.doctor.patient import Patient
from chymist.doctor.quantities.units import measure_activity
from chymist.doctor.quantity import Quantity, Values


def measure(patient: Patient) -> Values:
    """Enter what `activity` does at the start, for the batch of the step."""
    return measure_activity(patient)


ACTIVITY_NOW = Quantity("activity-now", measure, price=1.5, moments=("during",), needs="inputs")
