"""One width, from rich to lazy by a factor alpha before the network: an experiment of `ntk-regime`.

A student learns a teacher of three ReLU neurons. What is trained is alpha (f - f_0) with the loss
divided by alpha^2, as in `widths`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import xarray as xr

from chymist import data, instruments, stats
from chymist.atlas.overparameterisation import ntk_figures as draw
from chymist.atlas.overparameterisation.widths import networks, step_size
from chymist.bench import Bench, samples
from chymist.claims import Claim, above, between
from chymist.instruments import relative_drift
from chymist.keys import Key
from chymist.solvers import GradientDescent
from chymist.study import Control, Experiment, Figure
from chymist.theory import kernel_training

FEATURES, TRAINED, HELD_OUT = 10, 100, 200


def teacher(draw: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points of a sphere, trained ones first, and what three ReLU neurons make of them."""
    rng = Key("ntk-regime", "three neurons", draw, "points").numpy()
    x = data.sphere(TRAINED + HELD_OUT, FEATURES, rng, radius=math.sqrt(FEATURES))
    w = data.sphere(3, FEATURES, rng)
    y = np.maximum(x @ w.T, 0) @ np.array([1.0, -1.0, 1.0])
    return x, y / y[:TRAINED].std()


def imitate(p: Any, bench: Bench) -> xr.Dataset:
    """Train students at each alpha from the same starts.

    Returns:
        movement and test_error, the mean squared error on held-out points over the mean square of
        their targets, (alpha, seed), after the last step; kernel and cross_kernel (seed, sample,
        other), in float32, of the start on trained points and from held-out to trained ones.
    """
    x, y = teacher(p.draw)
    start = networks(bench, FEATURES, p.students, "relu")
    begin = start.predict(samples(x))
    trained, held = {"sample": slice(TRAINED)}, {"sample": slice(TRAINED, None)}
    target = (samples(y) / p.alpha + begin).transpose(..., "sample", "feature")
    lr = step_size(x[:TRAINED], "relu", p.rate)
    end = bench.train(
        start, GradientDescent(lr * TRAINED), samples(x[:TRAINED]), target.isel(trained),
        steps=p.student_steps, record={}, label="students",
    ).end  # fmt: skip
    wrong = (p.alpha * (end.predict(samples(x)) - target)).isel(feature=0, drop=True).isel(held)
    kernel = start.measure(instruments.empirical_ntk, samples(x), ("sample", "other"))
    kernel = kernel.isel(other=slice(TRAINED)).astype("float32")
    first = start.spread(end.lanes).parameters
    size = sum(w.square().flatten(1).sum(1) for w in start.parameters.values())
    named = {
        "movement": ("movement of the weights / their size",
                     end.named(relative_drift(first, end.parameters))),
        "test_error": ("error on held-out points / mean square of the targets",
                       (wrong**2).mean("sample") / float((y[TRAINED:] ** 2).mean())),
        "size": ("size of all weights at the start", start.named(torch.as_tensor(size).sqrt())),
        "kernel": ("tangent kernel at the start", kernel.isel(trained)),
        "cross_kernel": ("the same, from held-out points",
                         kernel.isel(held).rename(sample="held_out")),
        "target": ("targets", samples(y).isel(feature=0, drop=True).isel(trained)),
        "held_out_target": ("targets held out", samples(y).isel(feature=0, drop=True).isel(held)
                            .rename(sample="held_out")),
    }  # fmt: skip
    places = {"sample": range(TRAINED), "other": range(TRAINED), "held_out": range(HELD_OUT)}
    made = {}
    for name, (text, array) in named.items():
        made[name] = array.assign_coords({d: c for d, c in places.items() if d in array.dims})
        made[name].attrs = {"long_name": text, "units": "1"}
    return xr.Dataset(made)


def lazy_limit(p: Any, run: xr.Dataset) -> xr.Dataset:
    """What both come to at large alpha: the linearised model after as many steps.

    The weights then move by J^T Theta^-1 (1 - (1 - lr Theta)^t) y / alpha.
    """
    lr = step_size(teacher(p.draw)[0][:TRAINED], "relu", p.rate)
    steps = np.array([p.student_steps])

    def follow(kernel: Any, cross: Any) -> tuple[float, float]:
        k = kernel.astype(float)
        k = (k + k.T) / 2
        y, held = run.target.values, run.held_out_target.values
        out = kernel_training.predict(
            k, y, lr, steps, cross=cross.astype(float), cross_start=np.zeros(len(cross))
        )[0]
        values, vectors = np.linalg.eigh(k)
        part = kernel_training.learnt_share(values, lr, steps)[0] * (vectors.T @ y)
        return float(np.sqrt((part**2 / values).sum())), float(((out - held) ** 2).mean()
                                                               / (held**2).mean())  # fmt: skip

    distance, error = xr.apply_ufunc(
        follow, run.kernel, run.cross_kernel,
        input_core_dims=[["sample", "other"], ["held_out", "other"]],
        output_core_dims=[[], []], vectorize=True,
    )  # fmt: skip
    return xr.Dataset({"movement": distance / run["size"] / run.alpha, "test_error": error})


def lazier(run):
    """Exponent of alpha in the movement of the weights, at the two largest alpha."""
    return stats.log_slope(run.movement.isel(alpha=slice(-2, None)), "alpha")


def lazy_is_worse(run):
    """Held-out error at the largest alpha over that at the smallest."""
    error = run.test_error
    return error.isel(alpha=-1, drop=True) / error.isel(alpha=0, drop=True)


def lazy_is_a_kernel(run):
    """Held-out error at the largest alpha over that of the linearised model."""
    return run.test_error.isel(alpha=-1, drop=True) / run.predicted_test_error


SCALE = Experiment(
    "rich-and-lazy", r"Students of one width learn three ReLU neurons; a factor $\alpha$ before "
    "them makes them rich or lazy.", imitate, prediction=lazy_limit, claims=(
        Claim("lazier", r"Weights move like $\alpha^{-1}$ once it is large.",
              lazier, between(-1.1, -0.9)),
        Claim("lazy-is-worse", "Lazy students make at least twice the held-out error of rich ones.",
              lazy_is_worse, above(2)),
        Claim("lazy-is-a-kernel", "The laziest err as their linearised models do, within 10 %.",
              lazy_is_a_kernel, between(0.9, 1.1)),
    ),
    figures=(Figure("alpha", "Movement and held-out error; dashed, linearised models.",
                    draw.alphas),),
    control=Control("Students of small factors are not lazy.", {"alpha": (0.1, 0.15), "seeds": 8},
                    ("lazier", "lazy-is-worse", "lazy-is-a-kernel")),
)  # fmt: skip
