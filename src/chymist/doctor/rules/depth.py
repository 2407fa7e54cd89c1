"""Signals and gradients that are lost, or grow without bound, over the layers."""

from __future__ import annotations

import math
from collections.abc import Iterator

from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.layers import adaptive, at_start, calls, weighted
from chymist.doctor.rule import Rule

LONGEST = 10**6
"""Steps: trainings are shorter."""
GROWN, RUINOUS = 100.0, 10**4
"""Root mean squares, relative to where they start."""
DOUBLED = 4.0
"""Growth of the variance over the second half of N blocks: of branches of one size it is less than
2, (1 + N)/(1 + N/2), of branches in proportion to the stream the square root of the whole."""
BLOCKS = 4
UNNORMED = 20.0
"""As `GROWN`, of signals that no layer sets back to 1."""


def vanishing(chart: Chart) -> Iterator[Finding]:
    """Find a first layer whose gradient is lost beside the last one's."""
    ends = _ends(chart)
    if ends is None:
        return
    first, last, ratio = ends
    scaled = adaptive(chart)
    threshold = 1e-4 if scaled else LONGEST**-0.5
    if not 0 < ratio < threshold:
        return
    yield Finding(
        rule="vanishing-gradient", severity="critical" if ratio < threshold / 30 else "warning",
        layer=first,
        says=f"the gradient vanishes on its way back: at {first} it is {ratio:.2g} of that at "
             f"{last}",
        value=ratio, threshold=threshold,
        formula="10^-4: at the rate r a layer takes 10^4 steps with an adaptive rule" if scaled
                else "1/sqrt(10^6): at the rate r^2 a layer takes more than 10^6 steps",
        why="A layer's share in what a gradient step changes goes with the square of its gradient "
            "(with a rule that divides by the gradient's size, with its first power). Where each "
            "layer multiplies by a factor below one, the product falls exponentially with depth, "
            "and the first layers do not train within any training.",
        remedy="initialise so that variance is kept: nn.init.kaiming_normal_(weight, "
               "nonlinearity='relu') or xavier_normal_ for tanh; add residual connections or "
               "normalisation between layers",
        study="transformer-initialisation",
    )  # fmt: skip


def exploding_gradient(chart: Chart) -> Iterator[Finding]:
    """Find a first layer whose gradient is far larger than the last one's."""
    ends = _ends(chart)
    if ends is None or not ends[2] > GROWN:
        return
    first, last, ratio = ends
    yield Finding(
        rule="exploding-gradient", severity="critical" if ratio > RUINOUS else "warning",
        layer=first,
        says=f"the gradient explodes on its way back: at {first} it is {ratio:.3g} times that at "
             f"{last}",
        value=ratio, threshold=GROWN, formula="100 times over all layers",
        why="Each layer multiplies the gradient by a factor above one, so that it grows "
            "exponentially with depth. The curvature grows with its square, and the largest "
            "stable step size falls as fast.",
        remedy="initialise so that variance is kept, standard deviation sqrt(2/fan_in) for ReLU "
               "and 1/sqrt(fan_in) else; or clip the gradient's norm",
        study="transformer-initialisation",
    )  # fmt: skip


def exploding_signal(chart: Chart) -> Iterator[Finding]:
    """Find layers that hand on far more than the network was given."""
    leaving, entering = weighted(chart, "signal"), weighted(chart, "signal_entering")
    # What the last hands on is the output: see loss-at-init. What a layer is given may have grown
    # outside of layers, as by sums over neighbours.
    inner = [*list(leaving.items())[:-1], *list(entering.items())[1:]]
    # What is small at the input, biases make large at once, which is no growth.
    start = max(1.0, math.sqrt(next((v for v in entering.values() if v > 0), 1.0)))
    grown: dict[str, float] = {}
    for name, v in inner:
        if v >= 0:
            grown[name] = max(grown.get(name, 0.0), math.sqrt(v) / start)
    limit = GROWN if chart.facts.get("normed", True) else UNNORMED
    if not grown or not max(grown.values()) > limit:
        return
    layer = max(grown, key=lambda n: grown[n])
    yield Finding(
        rule="exploding-signal", severity="critical" if grown[layer] > RUINOUS else "warning",
        layer=layer,
        says=f"signals explode on their way: what {layer} is given or hands on is "
             f"{grown[layer]:.3g} times as large as what the first layer is given",
        value=grown[layer], threshold=limit,
        formula=f"{limit:g} times what the network is given, or 1, root mean square",
        why="Weights of variance sigma^2/fan_in multiply the second moment by sigma^2, with ReLU "
            "by sigma^2/2: above 1 it grows exponentially with depth. Outputs and loss start far "
            "too large, and the curvature with them.",
        remedy="initialise with standard deviation sqrt(2/fan_in) for ReLU, 1/sqrt(fan_in) else: "
               "nn.init.kaiming_normal_(weight, nonlinearity='relu'); normalise between layers",
        study="transformer-initialisation",
    )  # fmt: skip


def residual_growth(chart: Chart) -> Iterator[Finding]:
    """Find stacks of equal blocks through which the stream grows faster than linearly."""
    signal, entering = at_start(chart, "signal"), at_start(chart, "signal_entering")
    if signal is None or entering is None:
        return
    for prefix, blocks in _stacks(signal.values).items():
        start, end = entering.values.get(blocks[0], math.nan), signal.values[blocks[-1]]
        n = len(blocks)
        middle = signal.values[blocks[n // 2 - 1]]
        # From a stream of zero, or of embeddings far below 1, any first branch is a large growth.
        if n < BLOCKS or not start > 0 or not middle > 0 or not end > max(1.0, start) * n:
            continue
        if not end / middle > DOUBLED:
            continue
        factor = (end / middle) ** (1 / (n - n // 2))
        yield Finding(
            rule="residual-growth", severity="warning", layer=prefix,
            says=f"the stream grows {end / start:.3g}-fold in variance through the {n} blocks"
                 + (f" of {prefix}" if prefix else "")
                 + f", {factor:.2g} a block in the second half",
            value=end / middle, threshold=DOUBLED,
            formula="4 over the second half of the blocks; less than 2 for branches of one size",
            why="With normalised branches the stream's variance is v_0 + sum of branch variances "
                "and grows linearly with depth. Branches that are not normalised add in proportion "
                "to the stream itself, which grows exponentially: the last blocks outweigh all "
                "others, and gradients explode on the way back.",
            remedy="normalise the branch's input, x + branch(norm(x)); or start the branch's last "
                   "layer at zero, or divide its weights by sqrt(N)",
            study="transformer-initialisation",
        )  # fmt: skip


def _ends(chart: Chart) -> tuple[str, str, float] | None:
    back, layers = at_start(chart, "signal_backward_norm"), weighted(chart, "signal_backward_norm")
    if back is None or len(layers) < 2:
        return None
    first, last = next(iter(back.values)), list(layers)[-1]
    # A first layer of branches may have less than what it adds to; and one that is called again,
    # along a sequence, learns from each of its calls.
    again = [v for n, v in back.values.items() if calls(n) in (first, next(iter(layers)))]
    near, far = max(again), layers[last]
    return (first, last, near / far) if far > 0 else None


def _stacks(values: object) -> dict[str, list[str]]:
    """Return by parent the modules that have numbers for names and layers within."""
    stacks: dict[str, list[str]] = {}
    known = list(values) if isinstance(values, dict) else []
    for name in known:
        parent, _, own = name.rpartition(".")
        # A layer of its own has no branch beside which a stream could pass.
        if own.isdigit() and any(other.startswith(f"{name}.") for other in known):
            stacks.setdefault(parent, []).append(name)
    return stacks


VANISHING_GRADIENT = Rule(
    "vanishing-gradient",
    "transformer-initialisation",
    "gradients that are lost on their way back before training",
    ("signal_backward_norm", "weight_gain"),
    vanishing,
    explains=("rank-collapse", "small-step", "no-gradient"),
)
EXPLODING_GRADIENT = Rule(
    "exploding-gradient",
    "transformer-initialisation",
    "gradients that grow on their way back before training",
    ("signal_backward_norm", "weight_gain"),
    exploding_gradient,
    explains=("step-size", "divergence"),
)
EXPLODING_SIGNAL = Rule(
    "exploding-signal",
    "transformer-initialisation",
    "signals that grow through the layers before training",
    ("signal", "signal_entering", "weight_gain"),
    exploding_signal,
    explains=("loss-at-init", "step-size", "saturated-units", "exploding-gradient", "divergence"),
)
RESIDUAL_GROWTH = Rule(
    "residual-growth",
    "transformer-initialisation",
    "a residual stream that grows exponentially with depth",
    ("signal", "signal_entering"),
    residual_growth,
    explains=("exploding-signal", "exploding-gradient", "loss-at-init", "step-size"),
)
