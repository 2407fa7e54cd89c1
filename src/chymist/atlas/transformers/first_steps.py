"""How far first steps move outputs, over depth and width: two of `transformer-initialisation`.

`p` is a cell of its parameters.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from chymist import data, models, stats
from chymist.atlas.transformers import transformer_figures as draw
from chymist.atlas.transformers.arrangements import all_three, apart, constants, named
from chymist.atlas.transformers.recall import VOCABULARY, cross_entropy
from chymist.bench import Bench, samples
from chymist.claims import Claim, above, between
from chymist.solvers import Adam, GradientDescent, RescaledAdam
from chymist.study import Control, Experiment, Figure


def one_step(p: Any, bench: Bench) -> xr.Dataset:
    """Change of all outputs by one step of gradient descent and of Adam, over depths.

    Returns:
        change (norm, depth, rule, seed), root mean square over outputs; Adam's first step is lr
        times the gradient's sign.
    """
    rules = {"descent": GradientDescent(p.step), "sign": Adam(p.step)}
    x, y = _recall(bench, 16)
    found = []
    for name in apart(p):
        for depth in p.depth.values.tolist():
            alpha, beta = constants(p, name, depth)
            build = partial(
                models.Transformer, 9, VOCABULARY, width=p.step_width, blocks=depth,
                outputs=VOCABULARY, place="pre" if name == "pre" else "post", alpha=alpha,
            )  # fmt: skip
            networks = bench.networks(build, partial(models.transformer_start, beta=beta))
            before = networks.predict(x)
            for rule, solver in rules.items():
                after = bench.train(
                    networks, solver, x, y, steps=1, loss=cross_entropy, record={},
                    label=f"{name}, {depth} blocks, {rule}",
                ).end.predict(x)  # fmt: skip
                size = ((after - before) ** 2).mean(["sample", "feature"]) ** 0.5
                found.append(size.expand_dims(norm=[name], depth=[depth], rule=[rule]))
    change = xr.combine_by_coords([f.rename("change").to_dataset() for f in found], join="outer")
    return named(
        {"change": all_three(change.change.sel(norm=list(apart(p)), rule=list(rules)))},
        {"change": "change of the outputs by one step, root mean square"},
    )


def widths(p: Any, bench: Bench) -> xr.Dataset:
    """Change of the outputs by five Adam steps at one step size, over widths.

    Returns:
        change (form, width, seed). In muP hidden step sizes are lr w0/width, w0 the first width,
        logits of attention divided by d rather than its root, and the read-out starts at zero.
    """
    x, y = _recall(bench, 32)
    first = int(p.width.values.min())
    found = []
    for form in p.form.values.tolist():
        for width in p.width.values.tolist():
            build = partial(
                models.Transformer, 9, VOCABULARY, width=width, blocks=2, outputs=VOCABULARY
            )
            start = partial(
                models.transformer_start, division=1.0 if form == "mup" else 0.5,
                read=0.0 if form == "mup" else 1.0,
            )  # fmt: skip
            networks = bench.networks(build, start)
            solver: Any = Adam(p.coordinate_lr)
            if form == "mup":
                solver = RescaledAdam(
                    p.coordinate_lr, pattern="re*.weight", factor=first / width
                )
            before = networks.predict(x)
            after = bench.train(
                networks, solver, x, y, steps=5, loss=cross_entropy, record={},
                label=f"{form}, width {width}",
            ).end.predict(x)  # fmt: skip
            size = ((after - before) ** 2).mean(["sample", "feature"]) ** 0.5
            found.append(size.expand_dims(form=[form], width=[width]))
    change = xr.combine_by_coords([f.rename("change").to_dataset() for f in found], join="outer")
    return named(
        {"change": change.change.sel(form=p.form.values)},
        {"change": "change of the outputs by five steps, root mean square"},
    )


def _recall(bench: Bench, count: int) -> tuple[xr.DataArray, xr.DataArray]:
    """Return sequences of associative recall, other ones for every seed."""

    def draw(seed: int) -> tuple[np.ndarray, np.ndarray]:
        tokens, answers = data.associative_recall(bench.key(seed, "sequences").numpy(), count)
        x, y = (data.one_hot_tokens(t, VOCABULARY) for t in (tokens, answers[:, None]))
        return x, y

    x, y = zip(*map(draw, bench.seeds), strict=True)
    return samples(np.stack(x), seed=bench.seeds), samples(np.stack(y), seed=bench.seeds)


def explosion(run):
    """Exponent of the number of blocks in the change by one step of gradient descent, by norm."""
    return stats.log_slope(run.change.sel(rule="descent", drop=True), "depth")


def post_explosion(run):
    """Exponent of the number of blocks in the change by a gradient step, Post-Norm."""
    return explosion(run).sel(norm="post", drop=True)


def pre_explosion(run):
    """Exponent of the number of blocks in the change by a gradient step, Pre-Norm."""
    return explosion(run).sel(norm="pre", drop=True)


def deep_factor(run):
    """Factor of the change by a gradient step from a number of blocks to twice it, DeepNorm."""
    return 2 ** explosion(run).sel(norm="deep", drop=True)


def deep_sign(run):
    """Exponent of the number of blocks in the change by Adam's first step, DeepNorm."""
    change = run.change.sel(rule="sign", norm="deep", drop=True)
    return stats.log_slope(change, "depth")


STEP = Experiment(
    "first-step", "How far one step of a given size moves the outputs of deep networks.",
    one_step, claims=(
        Claim("post-explodes", "One step moves Post-Norm by more than in proportion to depth.",
              post_explosion, above(1)),
        Claim("pre-between", "Pre-Norm's step grows with depth, slower than in proportion.",
              pre_explosion, between(0.15, 1)),
        Claim("deep-bounded", "DeepNorm's step does not grow with depth.",
              deep_factor, between(2**-0.15, 2**0.15)),
        Claim("deep-sign", "Under Adam's first step DeepNorm's does grow: the bound is of SGD.",
              deep_sign, above(0.2)),
    ),
    figures=(Figure("one-step", "Change of the outputs by one step.", draw.step),),
    control=Control("Without its constants DeepNorm is Post-Norm.", {"constants": "plain"},
                    ("deep-bounded",)),
)  # fmt: skip


def slope_of_first(run):
    """Exponent of width in the change of the outputs by five steps, of the first form."""
    return stats.log_slope(run.change.isel(form=0, drop=True), "width")


def factor_of_last(run):
    """Factor of the change of the outputs by five steps from a width to twice it, last form."""
    return 2 ** stats.log_slope(run.change.isel(form=-1, drop=True), "width")


WIDTHS = Experiment(
    "five-steps", "How far five Adam steps at one step size move the outputs of wide networks.",
    widths, claims=(
        Claim("standard-grows", "In the standard form the change grows with width.",
              slope_of_first, above(0.3)),
        Claim("mup-flat", "In muP it does not.", factor_of_last, between(2**-0.2, 2**0.2)),
    ),
    figures=(Figure("widths", "Change of the outputs by five steps.", draw.widths),),
    control=Control("The standard form, judged as muP is.", {"form": ("standard",)},
                    ("mup-flat",)),
)  # fmt: skip
