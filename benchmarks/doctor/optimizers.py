"""Optimizers as functions of the parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import nn

Maker = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


def sgd(lr: float, **others: Any) -> Maker:
    return partial(torch.optim.SGD, lr=lr, **others)


def adam(lr: float, **others: Any) -> Maker:
    return partial(torch.optim.Adam, lr=lr, **others)


def adamw(lr: float, **others: Any) -> Maker:
    return partial(torch.optim.AdamW, lr=lr, **others)


def rmsprop(lr: float, **others: Any) -> Maker:
    return partial(torch.optim.RMSprop, lr=lr, **others)
