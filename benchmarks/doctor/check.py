"""Whether cases are what they say, by training them without the doctor."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
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


def table(found: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield a table of the losses before and after, with the level or the twin's loss beside."""
    records = list(found)
    after = {(r["case"], r["seed"]): float(r["loss_after"]) for r in records}
    yield "| case | seed | loss before | loss after | to compare |"
    yield "|---|---|---|---|---|"
    for r in records:
        case, seed = BY_NAME[r["case"]], r["seed"]
        twin = after.get((case.twin, seed))
        beside = f"below {case.level:.3g}" if case.healthy else f"above {case.hurts:.3g} times "
        beside += "" if case.healthy else f"{case.twin}: {twin:.3g}" if twin is not None else "?"
        fell = f"{float(r['loss_before']):.3g} | {float(r['loss_after']):.3g}"
        yield f"| {case.name} | {seed} | {fell} | {beside} |"
