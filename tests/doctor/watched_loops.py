"""Training loops that are watched or not, and all that they leave behind."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import chymist
from chymist.doctor.during_training import Watch


def left_behind(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Everything that a training leaves: tensors, modes, hooks, generators."""
    state: dict[str, Any] = {n: t.detach().clone() for n, t in model.state_dict().items()}
    for name, p in model.named_parameters():
        state[f"grad {name}"] = None if p.grad is None else p.grad.clone()
    for index, held in optimizer.state_dict()["state"].items():
        state |= {f"state {index} {n}": v for n, v in held.items()}
    state["modes"] = [m.training for m in model.modules()]
    state["hooks"] = [len(v) for m in model.modules() for n, v in vars(m).items() if "hook" in n
                      and isinstance(v, dict)]  # fmt: skip
    state["torch"] = torch.get_rng_state()
    state["python"] = random.getstate()
    state["numpy"] = np.random.get_state()[1].tolist()  # noqa: NPY002
    return state


def same(one: Any, two: Any) -> bool:
    if isinstance(one, Tensor):
        return isinstance(two, Tensor) and one.dtype == two.dtype and torch.equal(one, two)
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(one[n], two[n]) for n in one)
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(same, one, two))
    return bool(one == two)


def differing(one: dict[str, Any], two: dict[str, Any]) -> list[str]:
    return [n for n in {**one, **two} if n not in one or n not in two or not same(one[n], two[n])]


def seeded() -> None:
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002


Made = tuple[nn.Module, Any, torch.optim.Optimizer, Callable[[], None]]


def with_and_without(
    make: Callable[[], Made], steps: int = 200, **options: Any
) -> tuple[list[str], Watch]:
    """Train twice, unwatched and watched; what differs in the end, and the watch.

    `make` returns model, loss for the watch, optimizer, and what one step is.
    """
    ends = []
    for watched in (False, True):
        seeded()
        model, loss, optimizer, step = make()
        if watched:
            with chymist.watch(model, loss, optimizer, **options) as w:
                for _ in range(steps):
                    step()
        else:
            for _ in range(steps):
                step()
        random.random()
        ends.append(left_behind(model, optimizer))
    return differing(*ends), w
