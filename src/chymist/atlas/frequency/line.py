"""Deep networks that fit a signal on a line, as `frequency-principle` trains them.

`p` is a cell of its parameters.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from chymist import instruments, models
from chymist.bench import Bench, samples
from chymist.ensemble import every, log_spaced
from chymist.solvers import Adam

FRAMES = 40
"""States of the training, about, at which the functions are kept."""
PLACES = 100
"""Samples, at most, at which they are."""
SMALL = 0.05
"""Standard deviation of all weights and biases of the start "small"."""


def learn_signal(p: Any, bench: Bench) -> xr.Dataset:
    """Errors of deep networks at the peaks of a signal, and the areas under them.

    The signal is the user's, at most 1 in size, or one of `signal`. A variant is an activation and,
    after a hyphen, the gain of its first weights: their standard deviation for a highest frequency
    of 5 on the period; it follows that frequency, so that a variant means the same on any signal.

    Returns:
        error (variant, seed, band, step) at log-spaced steps, area (variant, seed, band) from every
        step; drawn (variant, seed, frame, sample), what the networks return at samples x, at most
        100 of them, and target (seed, sample), what they should.
    """
    x, y, span = signal(p.signal, p.points)
    if bench.input is not None:
        x, y = bench.input.x.values, bench.input.y.values / abs(bench.input.y.values).max()
        span = 2 * np.pi
    peaks = instruments.spectral_peaks(y, len(y) // 4)
    error = instruments.spectral_error(samples(y), peaks)
    stride, frames = -(-len(y) // PLACES), log_spaced(FRAMES)(p.steps)
    drawn = instruments.training_outputs(len(y), name="drawn", stride=stride)
    sizes = [int(n) for n in p.layers.split("-")]
    runs = []
    for variant in p.variant.values.tolist():
        activation, _, gain = variant.partition("-")
        first = float(gain) * peaks[-1] / 5 * 2 * np.pi / span if gain else None
        networks = bench.networks(
            partial(models.MLP, 1, *sizes, 1, activation=activation), start(p.start, first)
        )
        record = {error: every(), drawn: lambda _: frames}
        run = bench.train(networks, Adam(p.lr), samples(x), samples(y), steps=p.steps,
                          record=record, label=variant).data  # fmt: skip
        seen = run.drawn.sel(step=frames).rename(step="frame")
        run = run.drop_vars("drawn").assign(area=instruments.area_under(run.error))
        runs.append(run.sel(step=log_spaced(90)(p.steps)).assign(drawn=seen))
    made = xr.concat(runs, p.variant)
    made["target"] = ("seed", "sample"), np.tile(y[::stride], (len(bench.seeds), 1))
    made.target.attrs = {"long_name": "signal", "units": "1"}
    made.frame.attrs = {"long_name": "updates done", "units": "step"}
    return made.assign_coords(sample=x[::stride])


def signal(name: str, points: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return x, y and the span of x.

    "three-sines" is sin x + sin 3x + sin 5x on a period, the endpoint left out. "two-sines" is
    sin x + sin 4x on [-10, 10] with both ends, which is no whole number of periods: its peaks are
    k = 3 and 13, and the spectrum leaks between them (Xu et al. 2019, arXiv:1807.01251).
    """
    if name == "two-sines":
        x = np.linspace(-10, 10, points)
        return x, np.sin(x) + np.sin(4 * x), 20.0
    x = 2 * np.pi * np.arange(points) / points - np.pi
    return x, np.sin(x) + np.sin(3 * x) + np.sin(5 * x), 2 * np.pi


def start(name: str, first: float | None) -> Any:
    """Return the start of this name; `first` is the standard deviation of the first layer.

    "fan-in": first layer N(0, 1) unless given, later weights N(0, 1 / fan_in), biases zero.
    "small": all weights and biases N(0, 0.05^2), the first layer's unless given.
    """
    if name == "small":
        return partial(models.normal_start, std=SMALL, first=first)
    return partial(models.gaussian_start, first_gain=1.0 if first is None else first)
