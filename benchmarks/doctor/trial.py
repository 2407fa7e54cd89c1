"""One training of a case with one seed, examined before and watched during, without its name."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from case import Case, Training
from cases import BY_NAME
from check import step

import chymist

WATCH: Callable[..., AbstractContextManager[Any]] | None = getattr(chymist, "watch", None)
BUDGET = 0.5
"""Share of the time: steps of these nets take a millisecond, and there are few of them."""


def trial(case: Case, seed: int, budget: float = BUDGET, times: int = 1) -> dict[str, Any]:
    """Train and return the charts, the loss before and after, and the seconds, as JSON values.

    The doctor is given the model, the loss, the first batch and the optimizer, and no name. The
    training takes `times` as many steps as the case says.
    """
    torch.manual_seed(seed)
    training = case.build()
    first = next(training.batches)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch speaks of the planted broadcasting too.
        before = training.judged()
        begun = time.perf_counter()
        examined = chymist.preflight(training.model, training.loss, first, training.optimizer)
        flown = time.perf_counter()
        watched = loop(training, times * case.steps, budget)
        seconds = time.perf_counter() - begun
        after = training.judged()
    return {
        "case": case.name,
        "seed": seed,
        "loss_before": str(before),
        "loss_after": str(after),
        "preflight": examined.chart.as_json(),
        "watch": watched.chart.as_json() if watched else None,
        "preflight_seconds": round(flown - begun, 3),
        "seconds": round(seconds, 3),
    }


def loop(training: Training, steps: int, budget: float) -> Any:
    """Train as a user's loop does, watched where that can be had; return the checkup."""
    model, optimizer = training.model, training.optimizer
    watching = WATCH(model, training.loss, optimizer, budget=budget) if WATCH else nullcontext()
    with watching as watched:
        for _ in range(steps):
            step(training)
    return watched.checkup if watched is not None else None


def by_name(words: tuple[str, int, float, int]) -> dict[str, Any]:
    """Run a trial of (case, seed, budget, times) in a process of its own, on one thread."""
    torch.set_num_threads(1)
    name, *rest = words
    return trial(BY_NAME[name], *rest)
