"""A training that has left the finite numbers, and where they were left first."""

from __future__ import annotations

import math
from collections.abc import Iterator

from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.rule import Rule

WHERE = {
    "parameter": "parameter {layer} is not finite before the step: the update before made it so",
    "layer": "the output of {layer} is the first that is not finite, its inputs still were",
    "loss": "the loss is not finite, the model's output still is",
    "gradient": "the gradient of {layer} is not finite, outputs and loss still are",
    "": "a gradient is not finite",
}
REMEDY = {
    "parameter": "a smaller step size, or gradients clipped before the step: "
                 "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)",
    "layer": "look at what {layer} divides by, takes the root or logarithm of, or exponentiates; "
             "if its inputs have grown over many steps, take a smaller step size",
    "loss": "take losses from logits (F.cross_entropy, F.binary_cross_entropy_with_logits), and "
            "keep logarithms and divisions from zero",
    "gradient": "look for roots and norms at zero after {layer}, whose derivative is infinite: "
                "(x.square().sum() + 1e-12).sqrt()",
    "": "a smaller step size, or gradients clipped before the step",
}  # fmt: skip


def judge(chart: Chart) -> Iterator[Finding]:
    """Find a step at which a value was not finite."""
    found = chart.facts.get("non_finite")
    if not found or found["kind"] not in WHERE:
        return  # Data that are not finite are no matter of steps: see `non_finite`.
    step, kind = int(found["step"]), found["kind"]
    layer = found["layer"] or ("the model" if kind in ("layer", "gradient") else "")
    back = found.get("recovered")
    yield Finding(
        rule="divergence", severity="critical" if back is None else "warning",
        layer=found["layer"],
        says=f"not finite from step {step} on: {WHERE[kind].format(layer=layer)}"
             if back is None else
             f"not finite from step {step} to {back}: {WHERE[kind].format(layer=layer)}",
        value=math.inf, threshold=math.inf, formula="all values finite",
        why="A number beyond the range of floating point, or one that is none, spreads through "
            "every product: once an update has put it into a parameter, nothing that follows is a "
            "training. Beyond the threshold of stability 2/lr the weights grow by a factor a step, "
            "so that a step size too large ends here after some tens of steps.",
        remedy=REMEDY[kind].format(layer=layer),
        study="edge-of-stability", step=step,
    )  # fmt: skip


DIVERGENCE = Rule(
    "divergence",
    "edge-of-stability",
    "values that are not finite, with the layer and the step at which they appeared",
    (),
    judge,
)
