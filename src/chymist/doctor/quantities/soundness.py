"""Whether inputs, targets and parameters are finite, and of what size inputs and targets are."""

from __future__ import annotations

import torch
from torch import Tensor

from chymist.doctor.patient import Patient, tensors
from chymist.doctor.quantity import Quantity, Values


def measure(patient: Patient) -> Values:
    """Enter what is not finite, by name; sizes of features over samples; size of the targets.

    `input_rms`: root mean square of all numeric inputs (""), and the largest, median and smallest
    of a feature's, features that do not vary aside. `input_offset`: the median of a feature's
    |mean| over its standard deviation. A feature is one entry of a sample, of a picture a channel,
    of tokens the last dimension.
    """
    found: dict[str, dict[str, float]] = {
        "not_finite": {
            n: float((~t.isfinite()).sum()) for n, t in _named(patient).items() if _bad(t)
        }
    }
    columns = [
        c for t in tensors(patient.x)
        if t.is_floating_point() and t.ndim > 1 and not _bad(t) and (c := _columns(t)).numel()
    ]  # fmt: skip
    if columns and all(len(c) > 1 for c in columns):
        squares = torch.cat([c.square().mean(0) for c in columns])
        means = torch.cat([c.mean(0) for c in columns])
        # By differences from the mean: the second moment's would lose small spreads.
        stds = torch.cat([(c - c.mean(0)).square().mean(0).sqrt() for c in columns])
        moving = stds > 1e-6 * squares.sqrt()
        if bool(moving.any()):
            rms = squares[moving].sqrt()
            found["input_rms"] = {
                "": float(torch.cat([c.flatten() for c in columns]).square().mean().sqrt()),
                "largest": float(rms.max()), "median": float(rms.median()),
                "smallest": float(rms.min()),
            }  # fmt: skip
            found["input_offset"] = {"": float((means.abs() / stds)[moving].median())}
    y = patient.given
    if isinstance(y, Tensor) and y.is_floating_point() and len(y) > 1 and not _bad(y):
        wide = y.double().flatten(1) if y.ndim > 1 else y.double()[:, None]
        found["target_std"] = {"": float((wide - wide.mean(0)).square().mean().sqrt())}
        found["target_rms"] = {"": float(wide.square().mean().sqrt())}
    return found


def _named(patient: Patient) -> dict[str, Tensor]:
    named = {f"input {i}" if i else "the input": t for i, t in enumerate(tensors(patient.x))}
    if isinstance(patient.given, Tensor):
        named["the target"] = patient.given
    return {**named, **dict(patient.model.named_parameters())}


def _bad(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and not bool(tensor.isfinite().all())


def _columns(tensor: Tensor) -> Tensor:
    """Return a matrix (draw, feature) in float64."""
    wide = tensor.detach().double()
    return wide.movedim(1, -1).flatten(0, -2) if wide.ndim > 3 else wide.flatten(0, -2)


SOUNDNESS = Quantity("soundness", measure, price=0.1, moments=("before",))
