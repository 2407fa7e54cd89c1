"""Step sizes that a schedule starts or ends at zero."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from doctor.patients import classes, cross_entropy, mlp

import chymist


@pytest.mark.parametrize("share", [lambda n: n / 10, lambda n: max(0.0, 1 - n / 40)])
def test_a_warm_up_from_zero_and_a_decay_to_zero_are_healthy(
    share: Callable[[int], float],
) -> None:
    model, (x, y) = mlp([20, 64, 5]), classes()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
    found = chymist.preflight(model, cross_entropy, (x, y), optimizer)
    assert found.worst in (None, "note")
    with chymist.watch(model, cross_entropy, optimizer, budget=0.5) as watched:
        for _ in range(40):
            optimizer.zero_grad()
            cross_entropy(model(x), y).backward()
            optimizer.step()
            schedule.step()
    assert watched.checkup.worst in (None, "note"), [f.says for f in watched.findings]
