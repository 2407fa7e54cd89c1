"""Whether the second strangers are what they say, found without the doctor.

Run: .venv/bin/python benchmarks/doctor/check.py [--seeds 2] [--only vit,unet]

Trains each case as it is and prints its loss before and after, the share of right answers where
the answers are classes (and the share of the commonest), the ratio of a fault's loss to that of its
healthy twin, and `no` where a healthy training does not reach its level or a fault does not hurt
by its factor. Ends with exit code 1 if there is such a one.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from typing import Any

import torch
from case import Case, Training
from strangers_second import CASES
from torch import Tensor


def train(training: Training, steps: int) -> None:
    """Train as the doctor's trial does, with no doctor there."""
    for _ in range(steps):
        batch = next(training.batches)
        training.optimizer.zero_grad()
        training.of(batch).backward()
        if training.clip is not None:
            torch.nn.utils.clip_grad_norm_(training.model.parameters(), training.clip)
        training.optimizer.step()
        if training.scheduler is not None:
            training.scheduler.step()


@torch.no_grad()
def right(training: Training) -> tuple[float, float]:
    """Return the share of right answers and that of the commonest; nan where none are classes."""
    target: Any = training.whole[1] if isinstance(training.whole, tuple) else None
    if not isinstance(target, Tensor):
        return math.nan, math.nan
    training.model.eval()
    output = training.model(training.whole[0])
    if not isinstance(output, Tensor) or output.ndim < 2:
        return math.nan, math.nan
    if target.dtype == torch.long and output.shape[1] == target.max() + 1:
        kept = target >= 0
        said, told = output.argmax(1)[kept], target[kept]
        return float((said == told).double().mean()), float(told.bincount().max() / told.numel())
    one = output.shape == target.shape and target.shape[1] == 1
    if one and set(target.unique().tolist()) == {0.0, 1.0}:
        share = float(target.double().mean())
        return float(((output > 0) == (target > 0)).double().mean()), max(share, 1 - share)
    return math.nan, math.nan


def check(case: Case, seed: int) -> dict[str, float]:
    """Return what one training of a case comes to."""
    torch.manual_seed(seed)
    training = case.build()
    before = training.judged()
    begun = time.perf_counter()
    train(training, case.steps)
    seconds = time.perf_counter() - begun
    after = training.judged()
    share, commonest = right(training)
    return {"before": before, "after": after, "right": share, "commonest": commonest,
            "seconds": seconds}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--only", default="", help="parts of names of cases, by commas")
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    only = [part for part in given.only.split(",") if part]
    kept = [c for c in CASES if not only or any(part in c.name for part in only)]
    twins = {c.twin for c in kept}
    kept = [c for c in CASES if c in kept or c.name in twins]
    ended: dict[tuple[str, int], float] = {}
    bad = 0
    print("| case | seed | before | after | right (commonest) | twin's, ratio | asked | s |")
    print("|---|---|---|---|---|---|---|---|")
    for case in sorted(kept, key=lambda c: not c.healthy):
        for seed in range(given.first, given.first + given.seeds):
            found = check(case, seed)
            ended[case.name, seed] = after = found["after"]
            if case.healthy:
                good, beside, asked = after < case.level, "", f"< {case.level:g}"
            else:
                twin = ended[case.twin, seed]
                good = after > case.hurts * twin
                beside, asked = f"{twin:.3g}, {after / twin:.3g}", f"> {case.hurts:g} x"
            bad += not good
            share = f"{found['right']:.2f} ({found['commonest']:.2f})"
            print(f"| {case.name} | {seed} | {found['before']:.3g} | {after:.3g} | {share} "
                  f"| {beside} | {asked}{'' if good else ' no'} | {found['seconds']:.1f} |",
                  flush=True)  # fmt: skip
    print(f"{bad} of {len(kept) * given.seeds} trainings are not what they say")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
