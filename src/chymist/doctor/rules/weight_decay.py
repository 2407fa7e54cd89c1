"""A weight decay that outweighs the loss."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import mean, median

from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.layers import at_start, step_size, step_sizes
from chymist.doctor.rule import Rule

SHRUNK = 0.005
"""Share of a weight that decay takes a step: within 200 steps it would be gone. Trainings that went
well were at 6e-4 and less."""
OUTWEIGHED, FAR = 1.0, 3.0
"""Of the gradient: where rules that divide by its size have decay in it, the sign of a step is
that of the larger of the two, and from here on most weights move towards zero. The latter for rules
of which it is not known."""
WITHIN = ("Adam", "NAdam", "RAdam", "Adamax", "RMSprop", "Adagrad", "Adadelta")
FELT = 0.3
"""Of the gradient: a decay below it does not turn plain descent, however long its steps are."""


def judge(chart: Chart) -> Iterator[Finding]:
    """Find a decay that shrinks weights within 200 steps, or is larger than their gradients."""
    made = chart.facts.get("optimizer", {})
    decay, rule = float(made.get("weight_decay", 0.0)), made.get("rule")
    # What a schedule raises the step size to counts, as long as it is held there.
    lr = max(step_size(chart), mean(step_sizes(chart)))
    if not decay > 0 or not lr > 0:
        return
    shares = _shares(chart, decay)
    if rule in ("SGD", "AdamW"):
        if rule == "SGD" and shares and median(shares) < FELT:
            return  # A step size too large shrinks fast too, and less than the loss moves.
        a_step = lr * decay / (1 - min(float(made.get("momentum", 0.0)), 0.999))
        value, threshold, formula = a_step, SHRUNK, "lr weight_decay / (1 - momentum), a step"
        fitting = decay * SHRUNK / (10 * a_step)
    else:
        value = median(shares) if shares else 0.0
        threshold = OUTWEIGHED if rule in WITHIN else FAR
        formula, fitting = "weight_decay |w| / |gradient|, root mean squares", decay / 100
    if not value > threshold:
        return
    yield Finding(
        rule="weight-decay", severity="critical" if value > 3 * threshold else "warning",
        says=f"the weight decay {decay:.3g} is too large: {formula} is {value:.2g}",
        value=value, threshold=threshold, formula=formula,
        why="Decay shrinks every weight by a factor a step, the loss has to rebuild what is lost. "
            "Where decay is faster than anything can be learnt, the weights end at zero, and the "
            "network at a constant.",
        remedy=f"weight_decay={fitting:.1g} or less",
        study="implicit-low-rank",
    )  # fmt: skip


def _shares(chart: Chart, decay: float) -> list[float]:
    """Return the decay of each parameter over its gradient, root mean squares."""
    weights, slopes = at_start(chart, "parameter_rms"), at_start(chart, "gradient_rms")
    if weights is None or slopes is None:
        return []
    return [
        decay * weights.values[n] / g for n, g in slopes.values.items()
        if g > 0 and weights.values.get(n, 0.0) > 0
    ]  # fmt: skip


WEIGHT_DECAY = Rule(
    "weight-decay",
    "implicit-low-rank",
    "a weight decay that outweighs the loss",
    ("parameter_rms", "gradient_rms", "lr"),
    judge,
)
