"""The loss where training starts, beside that of answers that know nothing, and its gradient."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from chymist.doctor.patient import Patient
from chymist.doctor.quantities.endings import ending
from chymist.doctor.quantity import Quantity, Values

CERTAIN = 50.0
"""A logit beyond which the softmax leaves nothing in single precision."""


def measure(patient: Patient) -> Values:
    """Enter the loss, that of blind answers, sizes of outputs, and gradients by parameter.

    `loss_of_zeros` is the loss of outputs that are zero (chance, of logits), `loss_of_mean` that of
    the targets' mean, `loss_of_certain` that of large logits for the right classes, `loss_of_pairs`
    and `loss_of_rows` that of random outputs as they come and in the targets' shape: they differ
    where a broadcast compares every output with every target.
    `unused` names parameters that do not enter the loss; `gradient_rms` and `parameter_rms` are
    root mean squares, `gradient_size` is the norm of the whole gradient. `probabilities` says that
    outputs have been through a softmax or sigmoid.
    """
    made = patient.slopes()
    found: dict[str, dict[str, float]] = {"loss": {"": float(made.loss)}}
    own = dict(patient.model.named_parameters())
    found["unused"] = {n: 1.0 for n, s in made.slopes.items() if s is None}
    found["gradient_rms"] = {n: _rms(s) for n, s in made.slopes.items() if s is not None}
    known = [s for s in made.slopes.values() if s is not None]
    found["gradient_size"] = {"": math.hypot(*(float(s.double().norm()) for s in known))}
    found["parameter_rms"] = {n: _rms(own[n]) for n in made.slopes}
    out, y = made.output, patient.given
    if isinstance(out, Tensor) and out.is_floating_point() and out.ndim and out.numel():
        rows = out.double().flatten(1) if out.ndim > 1 else out.double()[:, None]
        found["output_rms"] = {"": _rms(rows)}
        found["output_std"] = {"": float((rows - rows.mean(0)).square().mean().sqrt())}
        found["outputs"] = {"": float(out.shape[1] if out.ndim > 1 else 1)}
        found["outputs"]["last"] = float(out.shape[-1])
        found |= _blind(patient, out, y)
        kind = ending(patient)
        found["probabilities"] = {kind: 1.0} if kind else {}
    return found


def _blind(patient: Patient, out: Tensor, y: Any) -> dict[str, dict[str, float]]:
    def lost(answer: Tensor, goal: Any = None) -> float | None:
        try:
            with torch.no_grad():
                value = patient.loss(answer, patient.y if goal is None else goal)
            return float(value)
        except Exception:  # A loss may refuse what no model would say.
            return None

    answers = {"loss_of_zeros": torch.zeros_like(out)}
    certain = _certain(out, y)
    if certain is not None:
        answers["loss_of_certain"] = certain
    if isinstance(y, Tensor) and y.is_floating_point() and y.ndim:
        mean = y.to(out.dtype).mean(0, keepdim=True)
        if y.shape == out.shape:
            answers["loss_of_mean"] = mean.expand(y.shape)
        elif y.numel() == out.numel():
            drawn = torch.randn(out.shape, generator=_drawing(), dtype=torch.float64).to(out)
            answers["loss_of_pairs"] = drawn
            answers["loss_of_rows"] = drawn.reshape(y.shape)
    made = {n: lost(a) for n, a in answers.items()}
    return {n: {"": v} for n, v in made.items() if v is not None}


def _certain(out: Tensor, y: Any) -> Tensor | None:
    """Return large logits for the right classes, None where targets are no classes."""
    if not isinstance(y, Tensor) or y.dtype != torch.int64 or y.numel() == 0:
        return None
    if y.shape == out.shape[:1] + out.shape[2:]:
        along = 1
    elif y.shape == out.shape[:-1]:
        along = out.ndim - 1
    else:
        return None
    right = y.clamp(min=0)
    if int(right.max()) >= out.shape[along]:
        return None
    return torch.zeros_like(out).scatter_(along, right.unsqueeze(along), CERTAIN)


def _drawing() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _rms(tensor: Tensor) -> float:
    return float(tensor.detach().double().square().mean().sqrt()) if tensor.numel() else 0.0


OBJECTIVE = Quantity("objective", measure, price=2.5, moments=("before",))
