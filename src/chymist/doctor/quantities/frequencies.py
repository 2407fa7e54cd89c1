"""What is left of each frequency of the targets, along one direction of the inputs."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from chymist.doctor.patient import Patient
from chymist.doctor.quantity import Quantity, Values
from chymist.instruments import frequency_error

SAME = 1e-6
"""Of the targets' mean square: rounding."""
MOST = 48
"""Cycles over the inputs' range up to which is looked."""


def measure(patient: Patient) -> Values:
    """Enter by frequency, in cycles over the range, `frequency_error` and `frequency_content`.

    Along the inputs' principal direction, for one tensor of real inputs, and losses that are a
    distance, zero at outputs that are the targets: logits are none of the targets' frequencies.
    The error is relative, the content the share of the targets' energy, |hat y(k)|^2 / (n |y|^2):
    1/n is that of noise.
    """
    x, y = patient.x, patient.given
    if not isinstance(x, Tensor) or not x.is_floating_point() or not isinstance(y, Tensor):
        return {}
    n = len(x)
    if n < 32 or not y.is_floating_point() or x.flatten(1).shape[1] > 64 or y.numel() > 64 * n:
        return {}
    with torch.no_grad():
        if not float(patient.loss(patient.y, patient.y)) <= SAME * float(patient.y.square().mean()):
            return {}
    many = range(1, max(2, min(MOST, n // 4)) + 1)
    found = frequency_error(patient.model, (x, patient.y), list(many))
    level = float(patient.y.double().square().sum())
    if not level > 0:
        return {}
    content = (found.content.square() / (n * level)).tolist()
    error = found.error.tolist()
    return {
        "frequency_error": {
            str(k): e for k, e in zip(many, error, strict=True) if math.isfinite(e)
        },
        "frequency_content": {str(k): c for k, c in zip(many, content, strict=True)},
    }


FREQUENCIES = Quantity("frequencies", measure, price=2, moments=("during",))
