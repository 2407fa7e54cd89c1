"""Parameters that the optimizer has and never moves."""

from __future__ import annotations

from collections.abc import Iterator

from chymist.doctor import trends
from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.rule import Rule

READINGS = 3


def judge(chart: Chart) -> Iterator[Finding]:
    """Find parameters whose every measured update was exactly zero."""
    rates = dict(chart.series("lr"))
    moving = [r for r in chart.readings.get("update_ratio", []) if rates.get(r.step, 1.0) > 0]
    if len(moving) < READINGS:
        return
    names = [n for n in moving[-1].values if n]
    if not names:
        return
    still = [n for n in names if all(r.values.get(n, 0.0) == 0 for r in moving)]
    still = [n for n in still if not _given_up(chart, n) and not _unfelt(n, names, still)]
    if not still:
        return
    every = len(still) == len(names)
    told = ", ".join(still[:4]) + (f" and {len(still) - 4} more" if len(still) > 4 else "")
    yield Finding(
        rule="unmoved", severity="critical" if every else "warning", layer=still[0],
        says=f"{'no parameter moves' if every else f'parameters do not move: {told}'}: their "
             f"updates were exactly zero at all of {len(moving)} steps that were measured",
        value=float(len(still)), threshold=0.0, formula="parameters with |w' - w| = 0 throughout",
        unit="parameters",
        why="A parameter that needs a gradient and is in the optimizer moves at every step, unless "
            "its gradient is exactly zero or missing: what it feeds is detached, multiplied by "
            "zero, or behind units that are all dead.",
        remedy=f"look whether {still[0]} enters the loss: it must not pass through detach(), "
               "no_grad() or dead units; a module that is not meant to train needs "
               "requires_grad_(False)",
        study="transformer-initialisation", step=trends.steps(chart),
    )  # fmt: skip


def _given_up(chart: Chart, name: str) -> bool:
    """Whether a finding of another kind says that the optimizer does not have the parameter."""
    return name in chart.facts.get("left_out", []) or any(
        name in r.values for r in chart.readings.get("untrained", [])
    )


def _unfelt(name: str, names: list[str], still: list[str]) -> bool:
    """Whether it is a bias whose own weight moves: then what follows does not feel a shift.

    So with the keys of a softmax, or in front of batch normalisation: the layer is not cut off.
    """
    layer, _, kind = name.rpartition(".")
    weight = f"{layer}.weight" if layer else "weight"
    return kind == "bias" and weight in names and weight not in still


UNMOVED = Rule(
    "unmoved",
    "transformer-initialisation",
    "trained parameters whose updates are exactly zero",
    ("update_ratio", "lr", "untrained"),
    judge,
    explains=("loss-course", "slow-descent"),
)
