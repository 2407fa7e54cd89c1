"""Where a value that is not finite appears first: in a parameter, a layer, the loss, a gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from chymist.doctor.patient import Patient, tensors
from chymist.instruments.calling import called


def sound(given: Iterable[Any]) -> bool:
    """Whether all real numbers among tensors are finite."""
    return all(
        bool(t.isfinite().all()) for t in given
        if isinstance(t, Tensor) and t.is_floating_point() and t.numel()
    )  # fmt: skip


def located(
    patient: Patient, parameters: Mapping[str, Tensor], *, pass_through: bool = True
) -> tuple[str, str]:
    """Return (kind, name) of what is not finite first, in the order of a training step.

    "parameter" before the step; "input"; "target"; "layer", the first in the forward pass whose
    output is not finite though its inputs are; "loss"; "gradient", of the parameter that is last
    in the forward order, since gradients come from the end. Cost: a forward pass.
    """
    bad = [n for n, p in parameters.items() if not sound([p])]
    if bad:
        return "parameter", bad[0]
    if not sound(tensors(patient.x)):
        return "input", ""
    if not sound([patient.y]):
        return "target", ""
    if pass_through:
        layer, out = first_layer(patient)
        if layer is not None:
            return "layer", layer
        try:
            with torch.no_grad():
                value = patient.loss(out, patient.y)
        except Exception:
            value = None
        if not sound([value]):
            return "loss", ""
    steep = [n for n, p in parameters.items() if p.grad is not None and not sound([p.grad])]
    return ("gradient", steep[-1]) if steep else ("", "")


def first_layer(patient: Patient) -> tuple[str | None, Any]:
    """Return the first layer whose output is not finite though its inputs are, and the output.

    The layer is None if there is none. Of modules within one another it is the innermost.
    """
    found: list[str] = []

    def after(name: str) -> Callable[..., None]:
        def look(_: nn.Module, args: Any, words: Any, out: Any) -> None:
            if not found and not sound(tree_leaves(out)) and sound(tree_leaves((args, words))):
                found.append(name)

        return look

    hooks = [
        m.register_forward_hook(after(n), with_kwargs=True)
        for n, m in patient.model.named_modules()
    ]
    state = {n: p.detach() for n, p in patient.model.named_parameters()}
    try:
        with torch.no_grad():
            buffers = {n: b.clone() for n, b in patient.model.named_buffers()}
            out = called(patient.model, {**state, **buffers}, patient.x)
    finally:
        for hook in hooks:
            hook.remove()
    return (found[0] if found else None), out
