"""Measuring a patient: each quantity by itself, and one that fails is switched off."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
import torch

from chymist.doctor.chart import Chart, Reading
from chymist.doctor.patient import Patient
from chymist.doctor.quantity import Quantity
from chymist.errors import ChymistError


def examine(
    patient: Patient, chart: Chart, quantities: Iterable[Quantity], *, alone: bool = True
) -> None:
    """Enter each quantity in the chart; what raises is switched off with one line.

    No generator is advanced, and no gradient or tensor of the patient changed. With `alone` False
    the caller has seen to it that nothing is disturbed.
    """
    for quantity in quantities:
        if quantity.name in chart.off:
            continue
        try:
            with undisturbed() if alone else nullcontext():
                found = quantity.measure(patient)
        except Exception as error:  # Whatever it is, training goes on.
            chart.off[quantity.name] = reason(error)
            continue
        for name, entered in found.items():
            values, errors = entered if isinstance(entered, tuple) else (entered, {})
            if values:
                chart.add(name, Reading(patient.step, dict(values), dict(errors)))


def reason(error: Exception) -> str:
    """Return an error as one line."""
    if isinstance(error, ChymistError):
        return str(error)
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep generators and warnings from what is measured here, and let it differentiate."""
    with generators_kept(), warnings.catch_warnings(), torch.enable_grad():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def generators_kept() -> Iterator[None]:
    """Leave the global generators of Python, NumPy and PyTorch as they were found."""
    own, numbers = random.getstate(), np.random.get_state()  # noqa: NPY002 (it is the user's)
    used = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = list(range(torch.cuda.device_count())) if used else []
    with torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            random.setstate(own)
            np.random.set_state(numbers)  # noqa: NPY002
