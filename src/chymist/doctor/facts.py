"""What stays during a training: the optimizer's rule and numbers, the data, the layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from chymist.doctor.patient import Patient, tensors

ADAPTIVE = ("Adam", "AdamW", "NAdam", "RAdam", "Adamax")
NORMS = (
    nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.modules.batchnorm._NormBase, nn.LocalResponseNorm,
)  # fmt: skip
"""Modules that set the scale of what goes on, whatever it was."""


def gather(patient: Patient) -> dict[str, Any]:
    """Return the facts of a patient as JSON values.

    `optimizer`: rule, lr (largest of the groups), momentum, betas, eps, weight_decay, precision (of
    most of its weights: the distance of numbers about 1), whether it ascends (maximize). `data`:
    samples, shapes, and classes if targets are indices. `layers`: of each module with a weight of
    its own, its type and the weight's shape; of fused ones, of each weight by its name.
    `parameters`: how many, and how many are trained.
    `normed`: whether a module normalises. `batch_norm`: names of batch norms that take their
    statistics from the batch; `batch_norm_blind`: of those that go by running statistics of which
    no batch was ever a part. `frozen`: parameters that need no gradient; `left_out`: trained ones
    that the optimizer does not have; `strangers`: how many the optimizer has that the model lacks.
    """
    model = patient.model
    facts: dict[str, Any] = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "trained": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "layers": _layers(model),
        "normed": any(_normalises(m) for m in model.modules()),
        "batch_norm": [
            name for name, m in model.named_modules()
            if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.running_mean is None
        ],
        "batch_norm_blind": [
            name for name, m in model.named_modules()
            if isinstance(m, nn.modules.batchnorm._BatchNorm)
            and m.num_batches_tracked is not None and int(m.num_batches_tracked) == 0
        ],
        "frozen": [n for n, p in model.named_parameters() if not p.requires_grad],
        "data": data(patient),
        "loss": getattr(patient.loss, "__name__", type(patient.loss).__name__),
    }  # fmt: skip
    if patient.optimizer is not None:
        facts["optimizer"] = optimizer(patient.optimizer)
        facts |= _trained(patient, patient.optimizer)
    return facts


def data(patient: Patient) -> dict[str, Any]:
    """Return how many samples there are, the shapes of inputs and targets, and of how many classes.

    `classes` is there if targets are indices and the model has an output for each: how many it has.
    Where its outputs cannot be told it is one more than the largest target of the batch.
    """
    first, y = next(iter(tensors(patient.x)), None), patient.given
    found: dict[str, Any] = {"samples": len(first) if first is not None and first.ndim else 0}
    if first is not None:
        found |= {"input": list(first.shape), "input_dtype": str(first.dtype).split(".")[-1]}
    if isinstance(y, Tensor):
        found |= {"target": list(y.shape), "target_dtype": str(y.dtype).split(".")[-1]}
        if not y.is_floating_point() and not y.is_complex() and y.dtype != torch.bool:
            several = _classes(patient, y)
            found |= {"classes": several} if several > 1 else {}
    return found


def _classes(patient: Patient, y: Tensor) -> int:
    """Return of how many classes a batch's indices are; 1 where there is one output for each."""
    least = int(y.max()) + 1 if y.numel() else 0
    try:
        out = patient.slopes().output
    except Exception:  # Whatever it is, the optimizer's numbers and the layers are known.
        return least
    if not isinstance(out, Tensor) or out.ndim < 1 or not y.numel() or out.numel() % y.numel():
        return least
    width = out.numel() // y.numel()
    told = width == 1 or (width >= least and width in (out.shape[1], out.shape[-1]))
    return width if told else least


def optimizer(made: torch.optim.Optimizer) -> dict[str, Any]:
    """Return an optimizer's rule and numbers; of several groups those of the largest step.

    >>> optimizer(torch.optim.SGD([torch.zeros(1)], lr=0.1, momentum=0.9))["momentum"]
    0.9
    """
    group = max(made.param_groups, key=lambda g: float(g.get("lr", 0.0)))
    found: dict[str, Any] = {"rule": type(made).__name__, "groups": len(made.param_groups)}
    for name in ("lr", "initial_lr", "momentum", "weight_decay", "eps", "alpha"):
        if isinstance(group.get(name), int | float | Tensor):
            found[name] = float(group[name])
    if "betas" in group:
        found["betas"] = [float(b) for b in group["betas"]]
    for name in ("nesterov", "maximize"):
        if group.get(name):
            found[name] = True
    found["precision"] = _precision(made)
    return found


def _precision(made: torch.optim.Optimizer) -> float:
    """Return the distance of numbers about 1 in the precision that most of the weights are in."""
    several: dict[torch.dtype, int] = {}
    for p in (p for group in made.param_groups for p in group["params"]):
        if p.dtype.is_floating_point:
            several[p.dtype] = several.get(p.dtype, 0) + p.numel()
    return float(torch.finfo(max(several, key=lambda d: several[d])).eps) if several else 0.0


def _layers(model: nn.Module) -> dict[str, Any]:
    found = {}
    for name, module in model.named_modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and not isinstance(weight, nn.UninitializedParameter):
            found[name] = {"type": type(module).__name__, "shape": list(weight.shape)}
        held = {n: module.get_parameter(n).shape for n in fused(module)}
        at = f"{name}." if name else ""
        found |= {
            f"{at}{n}": {"type": type(module).__name__, "shape": list(s)} for n, s in held.items()
        }
    return found


def fused(module: nn.Module) -> list[str]:
    """Return the weight matrices that a recurrent layer or attention keeps under other names.

    >>> fused(nn.GRU(2, 3))
    ['weight_ih_l0', 'weight_hh_l0']
    """
    kinds = (nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)
    own = module._parameters.items() if isinstance(module, kinds) else ()
    return [n for n, p in own if p is not None and "weight" in n and p.ndim > 1]


def _normalises(module: nn.Module) -> bool:
    return isinstance(module, NORMS) or "norm" in type(module).__name__.lower()


def _trained(patient: Patient, made: torch.optim.Optimizer) -> dict[str, Any]:
    known = patient.names
    held = {id(p) for group in made.param_groups for p in group["params"]}
    wanted = {known[i]: i for i in known}
    trained = {n for n, p in patient.model.named_parameters() if p.requires_grad}
    return {
        "left_out": [n for n, i in wanted.items() if n in trained and i not in held],
        "strangers": len(held - set(known)),
        "held": len(held & set(known)),
    }
