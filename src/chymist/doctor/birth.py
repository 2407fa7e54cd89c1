"""A training as it was at its start, kept so that it can be examined when that is affordable."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from chymist.doctor.chart import Chart
from chymist.doctor.loop import Call
from chymist.doctor.patient import Patient

LARGEST = 50_000_000
"""Parameters of which a copy is kept."""
_HOOKS = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")


@dataclass
class Birth:
    """Parameters, optimizer and first batch of a training's start.

    `probe` is the first batch with its target, once it was met. `memory` is the quantities' own;
    `patient` makes the patient of the start.
    """

    parameters: Mapping[str, Tensor]
    optimizer: torch.optim.Optimizer | None
    probe: Call | None = None
    memory: dict[str, Any] = field(default_factory=dict)
    patient: Callable[[], AbstractContextManager[Patient | None]] | None = None

    @classmethod
    def of(
        cls,
        model: nn.Module,
        own: Mapping[str, Tensor],
        optimizer: torch.optim.Optimizer,
        chart: Chart,
    ) -> Birth | None:
        """Keep the start of a training; None, and a line in the chart, where it is too large."""
        size = sum(p.numel() for p in model.parameters())
        if size > LARGEST:
            chart.off["start"] = f"{size} parameters are too many to keep a copy of the first ones"
            return None
        kept = {n: nn.Parameter(p.detach().clone(), p.requires_grad) for n, p in own.items()}
        shared: dict[int, Any] = {id(p): kept[n] for n, p in own.items()}
        for name in _HOOKS:
            shared[id(getattr(optimizer, name, None))] = OrderedDict()
        try:
            made = copy.deepcopy(optimizer, shared)
        except Exception:
            made = None
        return cls(kept, made, memory={"parameters": kept})

    def meet(self, call: Call | None) -> None:
        """Keep a copy of the first batch, and of its target."""
        if call is None or (self.probe is not None and self.probe.target is not None):
            return
        args, words, target = tree_map(
            # By a leaf the loss may differentiate, which it can by no copy.
            lambda t: t.detach().clone() if isinstance(t, Tensor) and not _leaf(t) else t,
            (call.args, call.words, call.target),
        )
        self.probe = Call(args, words, target, None, call.own, call.instead, call.shape)


def _leaf(tensor: Tensor) -> bool:
    return tensor.requires_grad and tensor.is_leaf
