"""Numbers that are none before training starts."""

from __future__ import annotations

import math
from collections.abc import Iterator

from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.layers import at_start, number
from chymist.doctor.rule import Rule

RISEN = 3.0
"""Times the loss at the start: beyond, the step may have been too long."""


GIVEN = {"input": "the inputs", "target": "the targets"}
"""What of a later batch may not be finite."""


def judge(chart: Chart) -> Iterator[Finding]:
    """Find inputs, targets, parameters, a loss or gradients that are not finite, or soon not."""
    found, slopes = at_start(chart, "not_finite"), at_start(chart, "gradient_rms")
    given, wrong = None, dict(found.values) if found is not None else {}
    broken = [n for n, v in slopes.values.items() if not math.isfinite(v)] if slopes else []
    start, peak, end = (number(chart, f"trial_{n}") for n in ("start", "peak", "end"))
    for name, count in wrong.items():
        yield _told(f"{name} has {count:.0f} values that are not finite", count, _layer(name))
    seen = chart.facts.get("non_finite") or {}
    if not wrong and (given := GIVEN.get(seen.get("kind", ""))):
        yield _told(f"{given} of the batch at step {seen['step']} are not finite", 1.0)
    if wrong or given:
        return
    if at_start(chart, "loss") is not None and not math.isfinite(number(chart, "loss")):
        yield _told("the loss is not finite before training", 1.0)
    elif broken:
        yield _told(f"the gradient of {broken[0]} is not finite before training",
                    float(len(broken)), _layer(broken[0]))  # fmt: skip
    elif math.isinf(end) and peak <= RISEN * start:
        yield _told("within 20 trial steps on this batch the loss is not finite, though it never "
                    f"rose above {peak:.3g}", 1.0)  # fmt: skip


def _told(says: str, count: float, layer: str = "") -> Finding:
    return Finding(
        rule="non-finite", severity="critical", layer=layer, says=says,
        value=count, threshold=0.0, formula="values that are NaN or infinite",
        why="One NaN spreads through every product and sum: the loss, all gradients and after one "
            "step all weights are NaN. A loss that leaves the finite numbers without having "
            "risen does so where it is not defined, not by too long a step.",
        remedy="find and fill missing values: assert torch.isfinite(x).all(); for a loss, look "
               "for logarithms, roots and divisions at zero, and take it from logits",
        study="edge-of-stability",
    )  # fmt: skip


def _layer(name: str) -> str:
    return name.rpartition(".")[0]


NON_FINITE = Rule(
    "non-finite",
    "edge-of-stability",
    "inputs, targets, parameters or a loss that are not finite before training",
    ("not_finite", "loss", "gradient_rms", "trial_start", "trial_peak", "trial_end"),
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
