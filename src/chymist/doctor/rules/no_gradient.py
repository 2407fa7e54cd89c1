"""Parameters that no gradient reaches."""

from __future__ import annotations

from collections.abc import Iterator

from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.layers import at_start
from chymist.doctor.rule import Rule

SHARE = 0.5
"""Of the parameter tensors: from here on the network that trains is another one."""

CUT = (
    "get no gradient, though later layers that get one use them",
    "Between these layers and the loss the graph is cut: by detach(), .data, item(), numpy, "
    "torch.no_grad() or a function without derivative such as argmax or rounding.",
    "look for detach(), no_grad() or numpy between this layer and the next",
)
STILL = (
    "have a gradient of exactly zero at every one of 20 trial steps",
    "A product with a factor that stays zero passes nothing on: units that are dead for every "
    "sample, or weights of zero on both sides, which wait for each other for ever.",
    "initialise the layer and the one after it at random, and look for dead units",
)


def judge(chart: Chart) -> Iterator[Finding]:
    """Find trained parameters without gradient: cut off from the loss, or zero at every step."""
    unused, slopes = at_start(chart, "unused"), at_start(chart, "gradient_rms")
    zero = at_start(chart, "trial_no_gradient")
    known = dict(slopes.values) if slopes is not None else {}
    apart = dict(unused.values) if unused is not None else {}
    total = len(known) + len(apart)
    cut = [n for n in apart if _computes_before(chart, n, known)]
    idle = [n for n in apart if n not in cut]
    never = [n for n in zero.values if n not in apart] if zero is not None else []
    still = [n for n in never if not _cancels(n, set(known) - set(never))]
    if cut:
        yield _told(cut, total, CUT)
    if still:
        yield _told(still, total, STILL)
    if cancelled := [n for n in never if n not in still]:
        yield Finding(
            rule="no-gradient", severity="note", layer=cancelled[0].rpartition(".")[0],
            says=f"{len(cancelled)} of {total} parameter tensors shift outputs in a way that the "
                 f"loss does not see, {cancelled[0]} first",
            value=len(cancelled) / max(total, 1), threshold=0.0,
            formula="biases without gradient, of weights with one",
            why="Signals come back to the layer, and cancel in the sum over samples and outputs: a "
                "loss of differences of scores does not change when all of them are shifted.",
            remedy=f"nothing; or leave {cancelled[0]} out: bias=False",
            study="barron-approximation",
        )  # fmt: skip
    if idle:
        share = len(idle) / max(total, 1)
        yield Finding(
            rule="no-gradient", severity="note", layer=idle[0].rpartition(".")[0],
            says=f"{len(idle)} of {total} parameter tensors do not enter the loss, {idle[0]} first",
            value=share, threshold=0.0, formula="tensors that enter no loss",
            why="They are never trained. A part of a larger model that this task does not need is "
                "no fault; a layer forgotten in forward() is one.",
            remedy=f"use {idle[0]} in forward(), or freeze it: requires_grad_(False)",
            study="barron-approximation",
        )  # fmt: skip


def _told(names: list[str], total: int, kind: tuple[str, str, str]) -> Finding:
    share, (what, why, remedy) = len(names) / max(total, 1), kind
    return Finding(
        rule="no-gradient", severity="critical" if share >= SHARE else "warning",
        layer=names[0].rpartition(".")[0],
        says=f"{len(names)} of {total} parameter tensors {what}: {', '.join(names[:3])}",
        value=share, threshold=0.0, formula="tensors without gradient",
        why=f"{why} Layers that do not train leave a network of random features, which needs far "
            "more neurons for the same error.",
        remedy=remedy, study="barron-approximation",
    )  # fmt: skip


def _cancels(name: str, learning: set[str]) -> bool:
    """Return whether a bias has no gradient though its layer's weight has: signals that cancel."""
    layer, _, kind = name.rpartition(".")
    return kind == "bias" and f"{layer}.weight" in learning


def _computes_before(chart: Chart, name: str, known: dict[str, float]) -> bool:
    """Return whether a parameter's layer is called, and one with a gradient is called later."""
    signals = at_start(chart, "signal")
    order = list(signals.values) if signals is not None else []
    own = name.rpartition(".")[0]
    if own not in order:
        return False
    later = set(order[order.index(own) + 1 :])
    return any(n.rpartition(".")[0] in later for n in known)


NO_GRADIENT = Rule(
    "no-gradient",
    "barron-approximation",
    "trained parameters that no gradient reaches",
    ("unused", "gradient_rms", "trial_no_gradient", "signal"),
    judge,
)
