"""Whether cases are what they say, by training them without the doctor."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import torch
from case import Case, Training
from cases import BY_NAME


def step(training: Training) -> None:
    """Take a step as a user's loop does: micro-batches, closure, clipping, schedule.

    With one batch a step this is the plain loop to the bit: a division by one changes nothing.
    """
    optimizer = training.optimizer

    def closure() -> float:
        if training.zeroed:
            optimizer.zero_grad()
        batches = [next(training.batches) for _ in range(training.every)]
        total = 0.0
        for batch in batches:
            loss = training.of(batch) / training.every
            loss.backward()
            total += float(loss.detach())
        return total

    if isinstance(optimizer, torch.optim.LBFGS):
        optimizer.step(closure)
    else:
        closure()
        if training.clip is not None:
            torch.nn.utils.clip_grad_norm_(training.model.parameters(), training.clip)
        optimizer.step()
    if training.scheduler is not None:
        training.scheduler.step()


def bare(words: tuple[str, int]) -> dict[str, Any]:
    """Train (case, seed) on one thread, with no doctor; return the judged loss before and after."""
    name, seed = words
    torch.set_num_threads(1)
    case: Case = BY_NAME[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        training = case.build()
        before = training.judged()
        for _ in range(case.steps):
            step(training)
        after = training.judged()
    return {"case": name, "seed": seed, "loss_before": str(before), "loss_after": str(after)}


def row(record: dict[str, Any], before: Iterable[dict[str, Any]]) -> str:
    """Return a table's row: the losses, and the level or, of those before it, the twin's loss."""
    case, seed = BY_NAME[record["case"]], record["seed"]
    twins = [r["loss_after"] for r in before if (r["case"], r["seed"]) == (case.twin, seed)]
    if case.healthy:
        beside = f"below {case.level:.3g}"
    else:
        twin = f"{float(twins[0]):.3g}" if twins else "not trained here"
        beside = f"above {case.hurts:.3g} times {case.twin}: {twin}"
    fell = f"{float(record['loss_before']):.3g} | {float(record['loss_after']):.3g}"
    return f"| {case.name} | {seed} | {fell} | {beside} |"
