"""Two-layer networks of growing width beside two kernels that stay: for `ntk-regime`.

`p` is a cell of its parameters. What is trained is alpha (f - f_0), which is 0 at the start, with
the loss divided by alpha^2: that is f on the targets f_0 + y / alpha. alpha = 1 is the tangent
scaling, alpha = width^(-1/2) the mean-field scaling (1/width in front of the sum, steps times the
width). Without f_0 the first outputs, which are random and of order one, would add to y.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr

from chymist import data, instruments, models
from chymist.bench import Bench, samples
from chymist.ensemble import Ensemble, log_spaced
from chymist.instruments import relative_drift, training_outputs
from chymist.keys import Key
from chymist.solvers import GradientDescent
from chymist.theory import dual_activations, infinite_width, kernel_training

GAIN = {"relu": math.sqrt(2), "erf": 1.0, "tanh": 1.0}
"""Factor of the activation: that of ReLU keeps the size of what passes."""
DUALS = {
    "relu": dual_activations.leaky_relu,
    "erf": dual_activations.erf,
    "tanh": dual_activations.tanh,
}
KERNELS = ("at the start", "infinite width")


def small_sphere(draw: int) -> tuple[np.ndarray, np.ndarray]:
    """Return 16 points on the sphere of radius sqrt(8) in 8 dimensions, and a target on them."""
    rng = Key("ntk-regime", "small sphere", draw, "points").numpy()
    x = data.sphere(16, 8, rng, radius=math.sqrt(8))
    return x, np.sin(1.5 * x[:, 0]) + 0.5 * x[:, 1] * x[:, 2]


def points(p: Any, bench: Bench) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and targets: the user's, of unit mean square, or those on the small sphere."""
    if bench.input is None:
        return small_sphere(p.draw)
    return bench.input.x.values, bench.input.y.values


def limit(x: np.ndarray, other: np.ndarray, activation: str, depth: int = 1) -> np.ndarray:
    """Return the tangent kernel of infinite width."""
    dual, variance = DUALS[activation](), GAIN[activation] ** 2
    # Quadrature takes memory for every pair: a few rows at a time.
    parts = [
        infinite_width.kernels(
            x[i : i + 8], other, dual, depth, weight_variance=variance, first_variance=1.0
        ).ntk
        for i in range(0, len(x), 8)
    ]
    return np.concatenate(parts)


def networks(
    bench: Bench, features: int, width: int, activation: str, depth: int = 1
) -> Ensemble:
    """Return networks in the tangent scaling, in float64, all weights drawn from N(0, 1)."""
    build = partial(models.TangentMLP, features, *[width] * depth, 1,
                    activation=activation, gain=GAIN[activation])  # fmt: skip
    return bench.networks(build, partial(models.normal_start, std=1.0), dtype=torch.float64)


def step_size(x: np.ndarray, activation: str, rate: float, depth: int = 1) -> float:
    """Return a step for the sum of squares: `rate` over the limit's largest eigenvalue."""
    return rate / float(np.linalg.eigvalsh(limit(x, x, activation, depth))[-1])


def scale(scaling: str, width: int) -> float:
    """Return alpha of this scaling and width."""
    return 1.0 if scaling == "tangent" else 1 / math.sqrt(width)


def grow(p: Any, bench: Bench) -> xr.Dataset:
    """Train two-layer networks of each activation and width for one stretch of time.

    Returns:
        With dimensions (activation, width, seed): first_weights and output_weights, how far they
        went, and kernel_drift, how far the kernel, each relative to its size; kernel, that of the
        start (sample, other), in float32; loss and output (sample), alpha (f - f_0), at log-spaced
        steps. Without width: step_size, inputs and target.
    """
    x, y = points(p, bench)
    runs = []
    for activation in p.activation.values.tolist():
        lr = step_size(x, activation, p.rate)
        for width in p.width.values.tolist():
            alpha = scale(p.scaling, width)
            made = _train(bench, networks(bench, x.shape[1], width, activation),
                          x, y, alpha, lr, p.steps, f"{activation}, {width} neurons")  # fmt: skip
            runs.append(made.expand_dims(activation=[activation], width=[width]))
    # What is measured before training is the first half of what is after.
    return xr.combine_by_coords(runs, combine_attrs="override").assign(
        step_size=xr.DataArray(
            [step_size(x, a, p.rate) for a in p.activation.values.tolist()],
            coords={"activation": p.activation.values.tolist()},
            attrs={"long_name": "step size", "units": "1"},
        ),
        inputs=xr.DataArray(x, coords={"sample": range(len(x)), "feature": range(x.shape[1])},
                            attrs={"long_name": "inputs", "units": "1"}),
        target=xr.DataArray(y, coords={"sample": range(len(x))},
                            attrs={"long_name": "targets", "units": "1"}),
    )  # fmt: skip


def _train(
    bench: Bench, start: Ensemble, x: np.ndarray, y: np.ndarray,
    alpha: float, lr: float, steps: int, label: str,
) -> xr.Dataset:  # fmt: skip
    named = {"sample": range(len(x)), "other": range(len(x))}
    first = start.measure(instruments.empirical_ntk, samples(x), tuple(named))
    # The loss is a mean over samples, so that its step is longer by their number.
    begin = start.predict(samples(x))
    training = bench.train(
        start, GradientDescent(lr * len(x)), samples(x), begin + samples(y / alpha), steps=steps,
        record={instruments.loss: log_spaced(40), training_outputs(len(x)): log_spaced(40)},
        label=label,
    )  # fmt: skip
    last = training.end.measure(instruments.empirical_ntk, samples(x), tuple(named))
    before, after = start.parameters, training.end.parameters
    inner, *_, outer = before
    moved: dict[Any, Any] = {
        name: start.named(relative_drift({layer: before[layer]}, after))
        for name, layer in (("first_weights", inner), ("output_weights", outer))
    }
    drift = instruments.kernel_drift(*(torch.as_tensor(k.values) for k in (first, last))).relative
    found = xr.Dataset({
        "loss": alpha**2 * training.data.loss,
        "output": alpha * (training.data.output - begin.isel(feature=0, drop=True)),
    }).assign(
        kernel=first.assign_coords(named).astype("float32"),
        kernel_drift=start.named(drift),
        **moved,
    )
    words = {
        "first_weights": "movement of the first weights / their size",
        "output_weights": "movement of the output weights / their size",
        "kernel_drift": "movement of the tangent kernel / its size",
        "kernel": "tangent kernel at the start",
        "loss": "half the mean squared error",
        "output": "output",
    }
    for name, text in words.items():
        found[name].attrs = {"long_name": text, "units": "1"}
    return found


def frozen(p: Any, run: xr.Dataset) -> xr.Dataset:
    """Kernel of infinite width, and outputs and losses if a kernel stayed.

    Outputs and losses have a further dimension `theory`: the kernel of the network's own start,
    which is its linearised model, or that of infinite width.
    """
    x, y, steps = run.inputs.values, run.target.values, run.step.values
    limits = xr.concat(
        [run.kernel.isel(activation=0, width=0, seed=0, drop=True).copy(data=limit(x, x, a))
         for a in run.activation.values.tolist()], run.activation,
    )  # fmt: skip

    def follow(kernel: Any, lr: Any) -> Any:
        return kernel_training.predict((kernel + kernel.T) / 2, y, float(lr), steps)

    both = xr.concat([run.kernel.astype(float), limits], xr.DataArray(list(KERNELS), dims="theory"))
    output = xr.apply_ufunc(
        follow, both.assign_coords(theory=list(KERNELS)), run.step_size,
        input_core_dims=[["sample", "other"], []],
        output_core_dims=[["step", "sample"]], vectorize=True,
    ).assign_coords(step=run.step, sample=run.sample)  # fmt: skip
    loss = 0.5 * ((output - run.target) ** 2).mean("sample")
    return xr.Dataset({"kernel": limits, "output": output, "loss": loss})
