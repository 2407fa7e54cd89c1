"""What stays during a training: the optimizer's rule and numbers, the data, the layers."""

from __future__ import annotations

from typing import Any

import torch

from chymist.doctor.patient import Patient, tensors

ADAPTIVE = ("Adam", "AdamW", "NAdam", "RAdam", "Adamax")


def gather(patient: Patient) -> dict[str, Any]:
    """Return the facts of a patient as JSON values.

    `optimizer`: rule, lr (largest of the groups), momentum, betas, eps, weight_decay. `data`:
    samples, and classes if targets are indices. `layers`: of each module with a weight of its own,
    its type and the weight's shape. `parameters`: how many, and how many are trained.
    """
    model, y = patient.model, patient.y
    first = next(iter(tensors(patient.x)), None)
    facts: dict[str, Any] = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "trained": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "layers": {
            name: {"type": type(module).__name__, "shape": list(module.weight.shape)}
            for name, module in model.named_modules()
            if isinstance(getattr(module, "weight", None), torch.Tensor)
        },
        "data": {"samples": len(first) if first is not None and first.ndim else 0},
        "loss": getattr(patient.loss, "__name__", type(patient.loss).__name__),
    }
    if not y.is_floating_point():
        facts["data"]["classes"] = int(y.max()) + 1 if y.numel() else 0
    if patient.optimizer is not None:
        facts["optimizer"] = optimizer(patient.optimizer)
    return facts


def optimizer(made: torch.optim.Optimizer) -> dict[str, Any]:
    """Return an optimizer's rule and numbers; of several groups those of the largest step.

    >>> optimizer(torch.optim.SGD([torch.zeros(1)], lr=0.1, momentum=0.9))["momentum"]
    0.9
    """
    group = max(made.param_groups, key=lambda g: float(g.get("lr", 0.0)))
    found: dict[str, Any] = {"rule": type(made).__name__, "groups": len(made.param_groups)}
    for name in ("lr", "momentum", "weight_decay", "eps", "alpha"):
        if name in group:
            found[name] = float(group[name])
    if "betas" in group:
        found["betas"] = [float(b) for b in group["betas"]]
    if group.get("nesterov"):
        found["nesterov"] = True
    return found
