"""Numbers that are none before training starts."""

from __future__ import annotations

import math
from collections.abc import Iterator

from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.layers import at_start, number
from chymist.doctor.rule import Rule


def judge(chart: Chart) -> Iterator[Finding]:
    """Find inputs, targets, parameters or a loss that are not finite before training."""
    found, loss = at_start(chart, "not_finite"), at_start(chart, "loss")
    wrong = dict(found.values) if found is not None else {}
    slopes = at_start(chart, "gradient_rms")
    broken = [n for n, v in slopes.values.items() if not math.isfinite(v)] if slopes else []
    if not wrong and broken and math.isfinite(number(chart, "loss")):
        wrong = {f"the gradient of {broken[0]}": float(len(broken))}
    elif not wrong and loss is not None and not math.isfinite(number(chart, "loss")):
        wrong = {"the loss": 1.0}
    for name, count in wrong.items():
        told = (
            "is not finite"
            if name == "the loss" or "gradient" in name
            else f"has {count:.0f} values not finite"
        )
        yield Finding(
            rule="non-finite", severity="critical", layer=name,
            says=f"{name} {told} before training",
            value=count, threshold=0.0, formula="values that are NaN or infinite",
            why="One NaN spreads through every product and sum: the loss, all gradients and after "
                "one step all weights are NaN.",
            remedy="find and fill the missing values: assert torch.isfinite(x).all(); for a loss, "
                   "look for logarithms, roots and divisions at zero",
            study="edge-of-stability",
        )  # fmt: skip


NON_FINITE = Rule(
    "non-finite",
    "edge-of-stability",
    "inputs, targets, parameters or a loss that are not finite before training",
    ("not_finite", "loss", "gradient_rms"),
    judge,
    explains=(
        "divergence",
        "step-size",
        "no-gradient",
        "loss-at-init",
        "input-scale",
        "exploding-signal",
    ),
)
