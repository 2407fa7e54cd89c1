"""Whether a model's output has been through a softmax or a sigmoid."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as tree
from torch.utils._python_dispatch import TorchDispatchMode

from chymist.doctor.patient import Patient
from chymist.instruments.calling import called

_LAST = {
    torch.ops.aten._softmax.default: "softmax", torch.ops.aten.sigmoid.default: "sigmoid",
}  # fmt: skip


def ending(patient: Patient) -> str:
    """Return "softmax" or "sigmoid" if that is what makes the model's output, else ""."""
    seen = _Last()
    rest = {n: b.clone() for n, b in patient.model.named_buffers()}
    own = {n: p.detach() for n, p in patient.model.named_parameters()}
    # With gradients, as a model that takes derivatives of its own output needs them.
    with torch.enable_grad(), seen:
        out = called(patient.model, {**own, **rest}, patient.x)
    first = next((t for t in tree.tree_leaves(out) if isinstance(t, Tensor)), None)
    for kind, made in seen.kept.items():
        if first is not None and made.numel() and made.data_ptr() == first.data_ptr():
            return kind
    return ""


class _Last(TorchDispatchMode):
    """Keeps the last result of softmax and of sigmoid."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[str, Tensor] = {}

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        made = function(*args, **(kwargs or {}))
        if function in _LAST:
            self.kept[_LAST[function]] = made
        return made
