"""A case of the doctor's calibration: a small training, healthy or with one planted fault."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

LARGE_STEP = ("step-size", "beyond-edge", "unstable-steps", "large-updates", "divergence")
"""Rules of a step too large: before training, along it, and where it ends."""


@dataclass
class Training:
    """All that a loop needs. `whole` is the batch on which the loss is judged, in eval mode.

    The judged loss is in units of `unit`, so that a fault in the targets' scale can be compared
    with the twin that has none. `clip` and `scheduler` are what a user's loop may hold besides, as
    is a step after `every` so many batches; a loop that forgets `zero_grad` is not `zeroed`.
    """

    model: nn.Module
    loss: Callable[..., Tensor]
    batches: Iterator[Any]
    optimizer: torch.optim.Optimizer
    whole: Any
    unit: float = 1.0
    clip: float | None = None
    scheduler: Any = None
    every: int = 1
    zeroed: bool = True

    def of(self, batch: Any) -> Tensor:
        """Return the loss of a batch, (inputs, targets) or inputs alone."""
        if isinstance(batch, tuple):
            return self.loss(self.model(batch[0]), batch[1])
        return self.loss(self.model(batch))

    def judged(self) -> float:
        """Return the loss of the whole data in eval mode; infinite if it is not finite."""
        was = self.model.training
        self.model.eval()
        value = float(self.of(self.whole).detach()) / self.unit
        self.model.train(was)
        return value if math.isfinite(value) else math.inf


@dataclass(frozen=True)
class Case:
    """A training, and what the doctor ought to say of it.

    `fault` names the rules any of which is a right diagnosis, the one that was meant first; empty
    for a healthy training. That is one if its loss ends below `level` for every seed. A fault is
    one if the loss ends above `hurts` times the loss of its healthy `twin`, of the same seed, after
    as many steps. `held_out` cases are not looked at while rules are mended.
    """

    name: str
    build: Callable[[], Training]
    fault: tuple[str, ...] = ()
    twin: str = ""
    level: float = math.nan
    hurts: float = 1.2
    steps: int = 150
    held_out: bool = False

    @property
    def healthy(self) -> bool:
        return not self.fault
