"""Units that do nothing before training, and units that do the same."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from chymist.doctor.facts import fused
from chymist.doctor.patient import Patient
from chymist.doctor.quantity import Quantity, Values
from chymist.errors import CannotMeasure
from chymist.instruments import activity

ALIKE = 1e-5
"""Relative distance below which two units' weights, or gradients, are equal up to rounding."""

ROUNDING = 1e-7
"""Of the network's largest gradient: what is left where gradients of equal neurons cancel."""


def measure_activity(patient: Patient) -> Values:
    """Enter by layer the share of units that are dead, and of values that are saturated."""
    try:
        found = activity(patient.model, patient.x)
    except CannotMeasure as error:
        if "calls no ReLU" in error.message:
            return {}
        raise
    kinds = {"dead_units": "dead", "saturated_values": "saturated"}
    values = {
        "dead_units": {n: a.share for n, a in found.items() if a.kind == "dead"},
        "saturated_values": {
            n: float(a.off.mean()) for n, a in found.items() if a.kind == "saturated"
        },
    }
    widths = {n: float(len(a.off)) for n, a in found.items()}
    return {n: values[n] for n in kinds if values[n]} | {"units": widths}


def measure_twins(patient: Patient) -> Values:
    """Enter by layer its gain, fan-in times mean square weight, and the share of twin units.

    A twin has the weights of another unit of its layer and gets the same gradient: no rule that
    treats parameters alike will ever part them.
    """
    slopes = patient.slopes().slopes
    largest = max((float(s.norm()) for s in slopes.values() if s is not None), default=0.0)
    gains: dict[str, float] = {}
    twins: dict[str, float] = {}
    own: dict[str, Tensor] = dict(patient.model.named_parameters(remove_duplicate=False))
    for name, module in patient.model.named_modules():
        for layer, weight, bias in _layers(name, module):
            rows = _rows(module, own.get(weight))
            if rows is None or not own[weight].requires_grad:
                continue
            gains[layer] = float(rows.square().mean()) * rows.shape[1]
            slope_rows = _rows(module, slopes.get(weight))
            if slope_rows is not None and len(rows) > 1:
                level = own.get(bias)
                fits = level is not None and level.shape == (len(rows),)
                twins[layer] = _twins(rows, slope_rows, level if fits else None, ROUNDING * largest)
    return {"weight_gain": gains, "twin_units": twins}


def _layers(name: str, module: nn.Module) -> list[tuple[str, str, str]]:
    """Return (layer, weight, bias) by name; what is fused is a layer a weight, named by it."""
    at = f"{name}." if name else ""
    held = fused(module)
    if not held:
        return [(name, f"{at}weight", f"{at}bias")]
    return [(f"{at}{w}", f"{at}{w}", f"{at}{w.replace('weight', 'bias')}") for w in held]


def _rows(module: nn.Module, weight: Tensor | None) -> Tensor | None:
    """Return a layer's weights (unit, input), None for what is no layer of units."""
    kind = type(module).__name__
    if weight is None or weight.ndim < 2 or isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return None
    turned = kind == "Conv1D" or isinstance(module, nn.modules.conv._ConvTransposeNd)
    wide = weight.detach().double()
    return (wide.transpose(0, 1) if turned else wide).flatten(1)


def _twins(weights: Tensor, slopes: Tensor, bias: Tensor | None, floor: float) -> float:
    still = not bool(slopes.any())
    if bias is not None:
        weights = torch.cat([weights, bias.detach().double()[:, None]], 1)
    same = _labels(weights)
    # Gradients of zero tell units apart only where the layer has others.
    both = same if still else same * (len(slopes) + 1) + _labels(slopes, floor)
    dead = torch.zeros(len(slopes), dtype=torch.bool) if still else ~slopes.any(1).cpu()
    _, inverse, counts = torch.unique(both, return_inverse=True, return_counts=True)
    return float(((counts[inverse] > 1) & ~dead).double().mean())


def _labels(rows: Tensor, floor: float = 0.0) -> Tensor:
    """Label rows so that equal ones, up to rounding, have one label: by random projections.

    Rows that are all below the `floor` are taken for rounding.
    """
    size = rows.norm(dim=1).max().clamp(min=floor / ALIKE)
    if not bool(size > 0):
        return torch.zeros(len(rows), dtype=torch.int64)
    drawn = torch.randn(
        rows.shape[1], 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    places = (rows / size) @ drawn.to(rows.device)
    labels = torch.zeros(len(rows), dtype=torch.int64)
    for place in places.T.cpu():
        order = place.argsort()
        jumps = (place[order].diff() > ALIKE).long()
        column = torch.empty_like(labels)
        column[order] = torch.cat([torch.zeros(1, dtype=torch.int64), jumps.cumsum(0)])
        labels = labels * (len(rows) + 1) + column
        labels = torch.unique(labels, return_inverse=True)[1]
    return labels


ACTIVITY = Quantity("activity", measure_activity, price=1.5, moments=("before",))
TWINS = Quantity("twins", measure_twins, price=0.2, moments=("before",))
