"""A loss that rises, or does not fall."""

from __future__ import annotations

from collections.abc import Iterator

from chymist.doctor import trends
from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.rule import Rule

LEAST = 0.01
"""Share of the loss that must have gone, and that must be told from noise."""
RISEN = 0.5
"""Share by which a loss that has risen breaks the training."""
STEPS = 100
"""Steps before which a loss may stand still."""


def judge(chart: Chart) -> Iterator[Finding]:
    """Find a loss that is not lower lately than at the start, beyond the noise of batches."""
    found = trends.course(chart)
    if found is None or found.steps < STEPS or "non_finite" in chart.facts:
        return
    told = found.fallen < LEAST and found.error < 2 * LEAST
    # Where batches differ too much to tell it must have risen far beyond that.
    if not told and not -found.fallen > max(RISEN, 4 * found.error):
        return
    risen = -found.fallen > max(2 * LEAST, 3 * found.error)
    yield Finding(
        rule="loss-course",
        severity="critical" if -found.fallen > RISEN else "warning",
        says=f"the loss has {'risen' if risen else 'not fallen'}: {found.start:.4g} at the start, "
             f"{found.recent:.4g} in the last third of {found.steps} steps",
        value=found.fallen, error=found.error, threshold=LEAST,
        formula="(loss at the start - loss lately) / loss at the start",
        why="Descent below the threshold of stability lowers the loss of its batch at every step, "
            "to first order by lr |gradient|^2. A loss that stands still from the start was not "
            "descended: steps too small or too large, gradients that do not arrive, targets that "
            "do not depend on the inputs, or parameters that are not the model's.",
        remedy="look at the findings of gradients, step size and signals; if there are none, train "
               "on one batch alone: a net that cannot learn that by heart has a defect",
        study="edge-of-stability", step=found.steps,
    )  # fmt: skip


LOSS_COURSE = Rule(
    "loss-course",
    "edge-of-stability",
    "a loss that has risen, or not fallen, since the start",
    ("loss",),
    judge,
    symptom=True,
)
