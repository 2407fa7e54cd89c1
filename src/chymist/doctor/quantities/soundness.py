"""Whether inputs, targets and parameters are finite, and of what size inputs and targets are."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils import _pytree as tree

from chymist.doctor.patient import Patient, tensors
from chymist.doctor.quantity import Quantity, Values
from chymist.instruments.calling import called


def measure(patient: Patient) -> Values:
    """Enter what is not finite, by name; sizes of features over samples; size of the targets.

    `input_rms`: root mean square of all numeric inputs (""), and the largest, median and smallest
    of a feature's, features that do not vary aside, and those that the loss has no slope by: codes
    among numbers, which an embedding looks up. `input_offset`: the median of a feature's
    |mean| over its standard deviation. A feature is one entry of a sample, of a picture a channel,
    of tokens the last dimension. One gradient evaluation.
    """
    found: dict[str, dict[str, float]] = {
        "not_finite": {
            n: float((~t.isfinite()).sum()) for n, t in _named(patient).items() if _bad(t)
        }
    }
    columns = _read(patient)
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


def _read(patient: Patient) -> list[Tensor]:
    """Return what the model computes with of each numeric input: matrices (draw, feature)."""
    leaves, spec = tree.tree_flatten(patient.x)
    kept = [
        i for i, t in enumerate(leaves)
        if isinstance(t, Tensor) and t.is_floating_point() and t.ndim > 1 and t.numel()
        and not _bad(t)
    ]  # fmt: skip
    columns = [_columns(leaves[i]) for i in kept]
    made = [
        t.detach().clone().requires_grad_() if i in kept else t for i, t in enumerate(leaves)
    ]  # fmt: skip
    try:
        with torch.enable_grad():
            out = called(patient.model, _own(patient), tree.tree_unflatten(made, spec))
            loss = patient.loss(out, patient.y)
            slopes = torch.autograd.grad(loss, [made[i] for i in kept], allow_unused=True)
    except Exception:  # A loss may not be defined here, which other quantities say.
        return columns
    used = [
        torch.zeros(c.shape[1], dtype=torch.bool) if s is None else _columns(s).any(0).cpu()
        for c, s in zip(columns, slopes, strict=True)
    ]
    if not any(bool(u.any()) for u in used):
        return columns  # Nothing comes back to any input: that is no matter of inputs.
    return [c[:, u] for c, u in zip(columns, used, strict=True) if bool(u.any())]


def _own(patient: Patient) -> dict[str, Tensor]:
    named = {n: p.detach() for n, p in patient.model.named_parameters()}
    return {**named, **{n: b.clone() for n, b in patient.model.named_buffers()}}


def _bad(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and not bool(tensor.isfinite().all())


def _columns(tensor: Tensor) -> Tensor:
    """Return a matrix (draw, feature) in float64."""
    wide = tensor.detach().double()
    return wide.movedim(1, -1).flatten(0, -2) if wide.ndim > 3 else wide.flatten(0, -2)


SOUNDNESS = Quantity("soundness", measure, price=2, moments=("before",))
