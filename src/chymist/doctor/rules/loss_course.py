"""A loss that rises, or does not fall."""

from __future__ import annotations

from collections.abc import Iterator

from chymist.doctor import trends
from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.layers import blind
from chymist.doctor.rule import Rule

LEAST = 0.01
"""Share of the loss that must have gone, and that must be told from noise."""
RISEN = 0.5
"""Share by which a loss that has risen breaks the training."""
STEPS = 100
"""Steps before which a loss may stand still."""
BLIND = 0.05
"""Share of the loss of an answer that does not look at the inputs; trainings that went well were
at 0.2 and more after as many steps."""


def judge(chart: Chart) -> Iterator[Finding]:
    """Find a loss that is not lower lately than at the start, beyond the noise of batches."""
    found = trends.course(chart)
    if found is None or found.steps < STEPS or "non_finite" in chart.facts:
        return
    told = found.fallen < LEAST and found.error < 2 * LEAST
    # Where batches differ too much to tell it must have risen far beyond that.
    if not told and not -found.fallen > max(RISEN, 4 * found.error):
        yield from _blind(chart, found)
        return
    risen = -found.fallen > max(2 * LEAST, 3 * found.error)
    upwards = bool(chart.facts.get("optimizer", {}).get("maximize"))
    yield Finding(
        rule="loss-course",
        severity="critical" if -found.fallen > RISEN else "warning",
        says=f"the loss has {'risen' if risen else 'not fallen'}: {found.start:.4g} at the start, "
             f"{found.recent:.4g} in the last third of {found.steps} steps"
             + (": the optimizer has maximize=True" if upwards else ""),
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


def _blind(chart: Chart, found: trends.Course) -> Iterator[Finding]:
    """Find a loss that is lately that of answers which are the same for all inputs."""
    chance, name = blind(chart)
    known = name.startswith("ln")
    if not chance > 0:
        return
    learnt, error = (chance - found.recent) / chance, found.recent_error / chance
    # The targets' variance is known of one batch alone: then the loss must have stood still too.
    still = known or found.fallen + 2 * found.error < BLIND
    if not still or learnt + 2 * error > BLIND or learnt < -BLIND:
        return
    yield Finding(
        rule="loss-course", severity="warning",
        says=f"nothing is learnt of the inputs: the loss is {found.recent:.4g} in the last third "
             f"of {found.steps} steps, {name} is {chance:.4g}",
        value=learnt, error=error, threshold=BLIND,
        formula="(loss of the best constant answer - loss lately) / loss of the best constant "
                "answer, two standard errors below",
        why="A network that has learnt how often each target comes, and nothing of the inputs, has "
            "this loss. Inputs and targets may not belong together (shuffled apart, shifted by "
            "one, sorted one without the other), signals or gradients may not pass the layers, or "
            "steps be too small or too large.",
        remedy="look at a few inputs beside their targets as the loop gets them; train on one "
               "batch alone: a net that learns that by heart and nothing of the next has targets "
               "that do not depend on the inputs",
        study="edge-of-stability", step=found.steps,
    )  # fmt: skip


LOSS_COURSE = Rule(
    "loss-course",
    "edge-of-stability",
    "a loss that has risen, or not fallen, since the start, or is that of a constant answer",
    ("loss", "loss_of_zeros", "loss_of_mean", "outputs"),
    judge,
    symptom=True,
)
