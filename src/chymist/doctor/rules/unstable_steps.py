"""A loss that had fallen, was thrown up by steps too long, and has not come back."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import mean, stdev

from chymist.doctor import trends
from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.rule import Rule

THROWN = 3.0
"""Over the least before: a step r times the best along its direction changes the loss by
D (r^2 - 2 r), D at most the loss, so that 3 is r = 2.7 and more."""
LEFT = 0.5
"""Of the loss at the start: a training that ends below has learnt."""
WINDOW = 3
"""Readings that are averaged."""
SWUNG, SEEN = 2.0, 0.25
"""Over the least before, and of the loss at the start: a swing that noise does not explain."""
LOST = 1 / 3
"""Of the training: as long must a loss that was thrown above its start take to come back."""
STEADY = 0.5
"""Standard deviation of late readings over their mean, above which batches alone do this."""


def judge(chart: Chart) -> Iterator[Finding]:
    """Find a loss that has risen threefold from its least, and has not come back, or not soon."""
    series = [(s, v) for s, v in chart.series("loss") if v == v]
    late = trends.recent(chart, "loss")
    if len(series) < 4 * WINDOW or len(late) < WINDOW or mean(late) <= 0:
        return
    windows = [
        (series[i][0], mean(v for _, v in series[i : i + WINDOW]))
        for i in range(len(series) - WINDOW + 1)
    ]
    least, worst = windows[0][1], (0, 0.0, 1.0)
    for step, value in windows:
        if least > 0 and value / least > worst[1] / worst[2]:
            worst = (step, value, least)
        least = min(least, value)
    step, value, before = worst
    taken = trends.steps(chart)
    beta = min(float(chart.facts.get("optimizer", {}).get("momentum", 0.0)), 0.9999)
    if 2 / (1 - beta) > taken and value > max(SWUNG * before, SEEN * windows[0][1]):
        yield _ringing(worst, beta, taken)
        return
    if value <= THROWN * before or stdev(late) > STEADY * mean(late):
        return
    # What has been learnt all the same is noise between batches, near a loss of zero.
    if mean(late) <= max(before, LEFT * windows[0][1]):
        yield from _late(windows, worst, taken)
        return
    yield Finding(
        rule="unstable-steps", severity="critical",
        says=f"the loss had fallen to {before:.3g}, rose to {value:.3g} near step {step} and has "
             f"not come back: {mean(late):.3g} in the last third",
        value=value / before, threshold=THROWN,
        formula="3 times the least loss before: a step 2.7 times the best or longer",
        why="Descent below the threshold of stability lowers the loss, batches aside. As a network "
            "learns, its sharpness rises; where 2/lr (with momentum (2 + 2 beta)/lr) is below it "
            "the steps overshoot by more than they correct, and large ones throw the weights to "
            "where units are dead or saturated, from where nothing comes back.",
        remedy="a step size three to ten times smaller; a warm-up; gradients clipped to norm 1",
        study="edge-of-stability", step=step,
    )  # fmt: skip


def _late(
    windows: list[tuple[int, float]], worst: tuple[int, float, float], taken: int
) -> Iterator[Finding]:
    """Find a loss that was thrown above its start, and took a third of the training to come back.

    What was learnt before is then lost; a schedule that ends in small steps learns it again.
    """
    step, value, before = worst
    back = next((s for s, v in windows if s > step and v <= before), taken)
    if value <= windows[0][1] or back - step < LOST * taken:
        return
    yield Finding(
        rule="unstable-steps", severity="warning",
        says=f"the loss had fallen to {before:.3g}, rose to {value:.3g} near step {step}, above "
             f"the {windows[0][1]:.3g} that it began with, and took {back - step} steps to come "
             "back",
        value=(back - step) / taken, threshold=LOST,
        formula="1/3 of the training, from 3 times the least loss, above that at the start",
        why="Steps beyond the threshold of stability 2/lr, with momentum (2 + 2 beta)/lr, throw "
            "the weights to where the loss is as at the start or higher. Where a schedule lowers "
            "the step size later, the training begins again from there, and the time until then "
            "is lost.",
        remedy="a largest step size three to ten times smaller; a longer warm-up; gradients "
               "clipped to norm 1",
        study="edge-of-stability", step=step,
    )  # fmt: skip


def _ringing(worst: tuple[int, float, float], beta: float, taken: int) -> Finding:
    (step, value, before), rings = worst, 2 / (1 - beta)
    return Finding(
        rule="unstable-steps", severity="warning",
        says=f"the momentum {beta:.4g} rings: the loss had fallen to {before:.3g}, rose to "
             f"{value:.3g} near step {step}, and swings for {rings:.0f} steps, of {taken} taken",
        value=rings, threshold=float(taken), unit="steps",
        formula="steps taken; 2 / (1 - momentum)",
        why="Descent with momentum beta along a direction of curvature c is a pendulum where lr c "
            "is above (1 - sqrt(beta))^2: it swings through the valley, and its swings die as "
            "beta^(t/2), in 2/(1 - beta) steps. Where a training is shorter than that, it ends "
            "within them.",
        remedy=f"momentum={max(0.9, 1 - 20 / taken):.2g}, or more steps",
        study="edge-of-stability", step=step,
    )  # fmt: skip


UNSTABLE_STEPS = Rule(
    "unstable-steps",
    "edge-of-stability",
    "a loss that steps too long have thrown up for good",
    ("loss",),
    judge,
    explains=("dying-units", "lost-rank", "signal-drift", "unmoved", "loss-course"),
)
