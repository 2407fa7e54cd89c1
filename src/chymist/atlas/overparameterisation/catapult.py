"""Steps too large for the kernel at the start: an experiment of `ntk-regime`.

The linearised model diverges as soon as a step exceeds 2 over its largest eigenvalue, whatever the
width. What does the network?
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr

from chymist import instruments, stats
from chymist.atlas.overparameterisation import ntk_figures as draw
from chymist.atlas.overparameterisation.widths import networks, small_sphere
from chymist.bench import Bench, samples
from chymist.claims import Claim, above, below, between
from chymist.ensemble import Ensemble, every
from chymist.solvers import GradientDescent
from chymist.study import Control, Experiment, Figure


def throw(p: Any, bench: Bench) -> xr.Dataset:
    """Train ReLU networks with steps of `throw` over their own first largest eigenvalue.

    Returns:
        loss (width, throw, seed, step) of the first steps; first_eigenvalue (width, seed) and
        last_eigenvalue (width, throw, seed), the largest of the tangent kernel; start_share, how
        much of the first residual lies in the first eigenvector, (width, seed).
    """
    x, y = small_sphere(p.draw)
    runs = []
    for width in p.thrown.values.tolist():
        start = networks(bench, x.shape[1], width, "relu")
        first, vector = _largest(start, x)
        residual = start.predict(samples(x)).isel(feature=0, drop=True) - y
        training = bench.train(
            start, GradientDescent(p.throw / first * len(x)), samples(x), samples(y),
            steps=p.thrown_steps, record={instruments.loss: every()}, label=f"{width} neurons",
        )  # fmt: skip
        made = {
            "loss": ("half the mean squared error", training.data.loss),
            "first_eigenvalue": ("largest eigenvalue of the kernel at the start", first),
            "last_eigenvalue": ("largest eigenvalue of the kernel after training",
                                _largest(training.end, x)[0]),
            "top": ("part of the first loss along the first eigenvector",
                    0.5 * (residual * vector).sum("sample") ** 2 / len(x)),
        }  # fmt: skip
        for _, (text, array) in made.items():
            array.attrs = {"long_name": text, "units": "1"}
        runs.append(xr.Dataset({n: a for n, (_, a) in made.items()}).expand_dims(thrown=[width]))
    return xr.concat(runs, "thrown")


def _largest(ensemble: Ensemble, x: np.ndarray) -> tuple[xr.DataArray, xr.DataArray]:
    kernel = ensemble.measure(instruments.empirical_ntk, samples(x), ("sample", "other"))
    values, vectors = torch.linalg.eigh(torch.as_tensor(kernel.values).nan_to_num())
    dims = kernel.dims[:-2]
    coords = {d: kernel[d] for d in dims}
    largest = xr.DataArray(values[..., -1].numpy(), dims=dims, coords=coords)
    # A lane that diverged has no kernel.
    largest = largest.where(abs(kernel).max(["sample", "other"], skipna=False) < np.inf)
    return largest, xr.DataArray(vectors[..., -1].numpy(), dims=(*dims, "sample"), coords=coords)


def linear(p: Any, run: xr.Dataset) -> xr.Dataset:
    """Part of the loss of the linearised model that lies in the first eigenvector.

    It grows by (1 - throw)^2 a step; all else shrinks. Held at a million, where nothing is alike.
    """
    growth = np.exp(np.minimum(2 * run.step * np.log(abs(run["throw"] - 1).clip(1e-9)), 40.0))
    return xr.Dataset({"loss": (run.top * growth).clip(max=1e6)})


def rises(run):
    """Largest loss over the first one."""
    return run.loss.max("step", skipna=False) / run.loss.isel(step=0, drop=True)


def lands(run):
    """Decimal logarithm of the last loss over the first one."""
    return np.log10(run.loss.isel(step=-1, drop=True) / run.loss.isel(step=0, drop=True))


def flattens(run):
    """Largest eigenvalue of the kernel after training over that before."""
    return run.last_eigenvalue / run.first_eigenvalue


def flattens_at_every_width(run):
    """Factor of the share of the largest eigenvalue that is left, from a width to twice it."""
    return 2 ** stats.log_slope(flattens(run), "thrown")


CATAPULT = Experiment(
    "large-steps", "ReLU networks under steps that throw their linearised models out.",
    throw, prediction=linear, claims=(
        Claim("rises", "The loss rises to more than twice its first value.", rises, above(2)),
        Claim("lands", "It ends below its first value, where linearised models diverge.",
              lands, below(0)),
        Claim("flattens", "The kernel's largest eigenvalue falls by a tenth or more.",
              flattens, between(0, 0.9)),
        Claim("flattens-always", "It falls as far in wide networks as in narrow ones.",
              flattens_at_every_width, between(2**-0.1, 2**0.1)),
    ),
    figures=(Figure("catapult", "Losses; dashed, the part of linearised models along the first "
                    "eigenvector.", draw.catapult),),
    control=Control("A step of 1 over the largest eigenvalue throws nothing.",
                    {"throw": (1.0,), "seeds": 8}, ("rises", "flattens")),
)  # fmt: skip
