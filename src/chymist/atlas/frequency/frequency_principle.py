"""Networks learn low frequencies first, and what decides that they do.

Three experiments. On the line, deep networks fit sines of equal amplitude while the error of each
is watched. On the circle, the tangent kernel of a two-layer network says how long every frequency
takes, and the network is held to it, also under losses that weigh high frequencies more. Without
biases, the kernel says, odd frequencies are never learnt.
"""

from functools import partial
from pathlib import Path
from typing import Literal

import altair as alt
import numpy as np
import xarray as xr

from chymist import data, figures, instruments, models, stats
from chymist.bench import samples
from chymist.bibliography import references
from chymist.claims import Claim, above, below, between
from chymist.ensemble import every, log_spaced
from chymist.errors import BadInput
from chymist.params import Field, Lane, Params
from chymist.solvers import Adam, GradientDescent
from chymist.study import Control, Experiment, Figure, Input, Study
from chymist.theory import gradient_descent

LEARNT = 0.1
ANGLE = 2 * np.pi * np.arange(64) / 64
CIRCLE = samples(np.stack([np.cos(ANGLE), np.sin(ANGLE)], axis=1))
Variant = Literal["tanh", "relu", "gelu", "hat", "sin", "tanh-8", "relu-8", "hat-8", "sin-8"]


class FrequencyParams(Params):
    """First the networks on the line, then those on the circle."""

    variant: Lane[Variant] = Field(("tanh", "hat", "tanh-8"), description=(
        "activation, and gain of the first layer if not 1; the first is the one claimed about"))
    width: int = Field(64, ge=2, le=4096, description="neurons a layer")
    depth: int = Field(3, ge=1, le=16, description="hidden layers")
    points: int = Field(200, ge=32, le=4096, description="samples of the signal")
    lr: float = Field(1e-3, gt=0, le=1, description="step size of Adam")
    steps: int = Field(3000, ge=256, le=10**6, description="updates; on the circle at most")
    s: Lane[float] = Field((0, 1, 2), ge=-1, le=3, description="Sobolev exponent of the loss")
    k: Lane[int] = Field((4, 6, 8, 12, 16), ge=1, le=31, description="frequencies on the circle")
    neurons: int = Field(256, ge=4, le=65536, description="neurons, doubled so that f = 0 at start")
    even: bool = Field(True, description="first weights at even angles rather than at random")
    amplitude: float = Field(0.01, gt=0, le=10, description="of the targets on the circle")
    bias: bool = Field(False, description="give the networks without bias one after all")


def line(p, bench):
    """Errors of deep networks at the peaks of a signal: three sines, or the user's."""
    x = 2 * np.pi * np.arange(p.points) / p.points - np.pi
    y = np.sin(x) + np.sin(3 * x) + np.sin(5 * x)
    if bench.input is not None:
        x, y = bench.input.x.values, bench.input.y.values / abs(bench.input.y.values).max()
    error = instruments.spectral_error(samples(y), peaks(y))
    runs = []
    for variant in p.variant.values.tolist():
        activation, _, gain = variant.partition("-")
        networks = bench.networks(
            partial(models.MLP, 1, *[p.width] * p.depth, 1, activation=activation),
            partial(models.gaussian_start, first_gain=float(gain or 1)))
        training = bench.train(networks, Adam(p.lr), samples(x), samples(y), steps=p.steps,
                               record={error: every()}, label=variant)
        runs.append(training.data.assign(area=instruments.area_under(training.data.error)))
    return xr.concat(runs, p.variant).sel(step=log_spaced(90)(p.steps))


def peaks(y):
    """Frequencies of a signal: its spectral peaks up to a quarter of its samples."""
    return instruments.spectral_peaks(y, len(y) // 4)


def read(path: Path) -> xr.Dataset:
    """Read a signal; without two peaks there is no order to speak of."""
    given = data.signal(path)
    if len(peaks(given.y.values)) < 2:
        raise BadInput(f"{path.name} has fewer than two spectral peaks below n/4",
                       "give a signal of several frequencies, sampled densely enough")
    return given


def on_circle(p, bench, frequencies, s, bias, limit):
    """A two-layer network for each frequency, Sobolev exponent and seed: when has it learnt?"""
    start = models.stratified_circle_start if p.even else models.gaussian_circle_start
    networks = bench.networks(partial(models.TwoLayer, 2, 2 * p.neurons, bias=bias), start)
    kernel = networks.measure(instruments.empirical_ntk, CIRCLE, ("sample", "other"))
    spectrum = networks.measure(
        lambda *net: instruments.fourier_diagonal(instruments.empirical_ntk(*net)), CIRCLE, ("band",))
    known = xr.Dataset({"lr": 1.5 / gradient_descent.largest_rate(kernel, s),
                        "eigenvalue": spectrum.assign_coords(band=range(33))})
    known.lr.attrs = {"long_name": "step size", "units": "1"}
    known.eigenvalue.attrs = {"long_name": "eigenvalue of tangent kernel / samples", "units": "1"}
    runs = [xr.concat([until_learnt(p, bench, networks, known.lr.sel(s=one, drop=True), k, one, limit)
                       for k in frequencies], "band", join="outer") for one in s.values.tolist()]
    return xr.merge([xr.concat(runs, s, join="outer"), known], join="left")


def until_learnt(p, bench, networks, lr, k, s, limit):
    """Fit cos(k theta) in rounds, each as long as all before it, until every seed has learnt it."""
    y = samples(p.amplitude * np.cos(k * ANGLE))
    error, done, rounds = instruments.spectral_error(y, [k]), 0, []
    while not rounds or (done < limit and not (rounds[-1].min("step") < LEARNT).all()):
        training = bench.train(
            networks, GradientDescent(lr), CIRCLE, y, steps=min(max(done, 64), limit - done),
            loss=partial(models.sobolev, s=s), record={error: every()}, label=f"k = {k}, s = {s:g}")
        rounds.append(training.data.error.assign_coords(step=training.data.step + done))
        networks, done = training.end, int(rounds[-1].step[-1])
    errors = xr.concat(rounds, "step").drop_duplicates("step")
    shown = sorted({*(t for t in log_spaced(70)(limit) if t < done), done})
    return xr.Dataset({"error": errors.sel(step=shown),
                       "time_to_learn": instruments.time_to(errors, LEARNT)})


def circle(p, bench):
    return on_circle(p, bench, p.k.values.tolist(), p.s, True, p.steps)


def unbiased(p, bench):
    s = xr.DataArray([0.0], dims="s", coords={"s": [0.0]})
    return on_circle(p, bench, range(2, 8), s, p.bias, 256).isel(s=0, drop=True)


def kernel_error(p, run):
    """What is left of a frequency while the kernel stays what it is: a power of the step."""
    rate = gradient_descent.sobolev(run.eigenvalue, run.get("s", 0))
    return xr.Dataset({"error": gradient_descent.error(run.lr, rate, run.step)})


def kernel_time(p, run):
    rate = gradient_descent.sobolev(run.eigenvalue, run.s)
    time = gradient_descent.time_to_learn(run.lr, rate, LEARNT)
    return kernel_error(p, run).assign(time_to_learn=time)
