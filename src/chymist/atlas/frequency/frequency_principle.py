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
from chymist.claims import Claim, above, between
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
        "activation, and gain of the first layer if not 1; others are compared with the first"))
    width: int = Field(64, ge=2, le=4096, description="neurons a layer")
    depth: int = Field(3, ge=1, le=16, description="hidden layers")
    points: int = Field(200, ge=32, le=4096, description="samples of the signal")
    lr: float = Field(1e-3, gt=0, le=1, description="step size of Adam")
    steps: int = Field(3000, ge=256, le=10**6, description="updates; on the circle at most")
    s: Lane[float] = Field((0.0, 1.0, 2.0), ge=-1, le=3, description="Sobolev exponent of the loss")
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
        run = bench.train(networks, Adam(p.lr), samples(x), samples(y), steps=p.steps,
                          record={error: every()}, label=variant).data
        runs.append(run.assign(area=instruments.area_under(run.error)))
    return xr.concat(runs, p.variant).sel(step=log_spaced(90)(p.steps))


def peaks(y):
    return instruments.spectral_peaks(y, len(y) // 4)


def read(path: Path):
    """Read a signal; without two peaks there is no order to speak of."""
    given = data.signal(path)
    if len(peaks(given.y.values)) < 2:
        raise BadInput(f"{path.name} has fewer than two spectral peaks up to n/4",
                       "give a signal of several frequencies, sampled densely enough")
    return given


def order(run):
    """D = log A(highest k) / A(lowest k), A the mean over training of min(error, 2)."""
    return np.log(run.area.isel(band=-1, drop=True) / run.area.isel(band=0, drop=True))


def order_of_first(run):
    """D = log A(highest k) / A(lowest k) of the first network, A its mean of min(error, 2)."""
    return order(run).isel(variant=0, drop=True)


def rank_of_first(run):
    """Kendall's tau between k and A, the mean over training of min(error, 2), first network."""
    return stats.kendall_tau(run.area.isel(variant=0, drop=True), "band")


def order_lost(run):
    """D of the first network less D of each other, D = log A(highest k) / A(lowest k)."""
    return order_of_first(run) - order(run).isel(variant=slice(1, None))


def on_circle(p, bench, k, s, bias, limit):
    """Fit cos(k theta), one network for each k, s and seed, until all of an s have learnt it."""
    start = models.stratified_circle_start if p.even else models.gaussian_circle_start
    networks = bench.networks(partial(models.TwoLayer, 2, 2 * p.neurons, bias=bias), start)
    kernel = networks.measure(instruments.empirical_ntk, CIRCLE, ("sample", "other"))
    spectrum = networks.measure(
        lambda *net: instruments.fourier_diagonal(instruments.empirical_ntk(*net)), CIRCLE, ("k",))
    lr = gradient_descent.step_size(kernel, s, fraction=0.75)
    y = samples(p.amplitude * np.cos(np.outer(k, ANGLE)), k=k.values)

    def until_learnt(now, s):
        rounds, done = [], 0
        while not rounds or (done < limit and not (rounds[-1].min("step") < LEARNT).all()):
            training = bench.train(
                now, GradientDescent(lr.sel(s=s, drop=True)), CIRCLE, y, label=f"s = {s:g}",
                steps=min(max(done, 64), limit - done), loss=partial(models.sobolev, s=s),
                record={instruments.own_error(y): every()})
            rounds.append(training.data.error.assign_coords(step=training.data.step + done))
            now, done = training.end, int(rounds[-1].step[-1])
        error = xr.concat(rounds, "step").drop_duplicates("step")
        shown = sorted({*(t for t in log_spaced(60)(limit) if t < done), done})
        return xr.Dataset({"error": error.sel(step=shown),
                           "time_to_learn": instruments.time_to(error, LEARNT)})

    run = xr.concat([until_learnt(networks, one) for one in s.values.tolist()], s, join="outer")
    return run.assign(lr=lr, eigenvalue=spectrum.assign_coords(k=range(33)).sel(k=k).assign_attrs(
        long_name="eigenvalue of the tangent kernel over samples, at the start", units="1"))


def circle(p, bench):
    return on_circle(p, bench, p.k, p.s, bias=True, limit=p.steps)


def unbiased(p, bench):
    k, s = (xr.DataArray(v, coords={n: v}) for n, v in (("k", range(2, 8)), ("s", [0.0])))
    return on_circle(p, bench, k, s, bias=p.bias, limit=256)


def kernel_theory(p, run):
    """What is left of a frequency, and when it is learnt, while the kernel stays what it was."""
    rate = gradient_descent.sobolev(run.eigenvalue, run.s)
    return xr.Dataset({"error": gradient_descent.error(run.lr, rate, run.step),
                       "time_to_learn": gradient_descent.time_to_learn(run.lr, rate, LEARNT)})


def exponent(run):
    """Exponent a in T ~ k^a, T the first step with error below 0.1, at the first s."""
    return stats.log_slope(run.time_to_learn, "k").isel(s=0, drop=True)


def shifted_exponent(run):
    """a + 2 s with T ~ k^a, T the first step with error below 0.1."""
    return stats.log_slope(run.time_to_learn, "k") + 2 * run.s


def misfit(run):
    """Median over k of |T / predicted T - 1| at the first s."""
    ratio = (run.time_to_learn / run.predicted_time_to_learn).isel(s=0, drop=True)
    return abs(ratio - 1).median("k", skipna=False)


def least_odd_error(run):
    """Smallest error of an odd frequency from 3 on after the last step."""
    return run.error.isel(step=-1, s=0, drop=True).sel(k=run.k[(run.k % 2 == 1) & (run.k > 2)]).min("k")


def largest_even_error(run):
    """Largest error of an even frequency after the last step."""
    return run.error.isel(step=-1, s=0, drop=True).sel(k=run.k[run.k % 2 == 0]).max("k")


def curves(run, title):
    run = run.isel({d: 0 for d in ("variant", "s") if d in run.dims}, drop=True)
    run = run.dropna("step", how="all", subset=["error"])
    words = {"scale": "log", "x_scale": "log", "x_title": "updates", "domain": (1e-3, 2)}
    k = "k" if "k" in run.dims else "band"
    chart = figures.measured(run.error.where(run.error > 1e-3), "step", title="relative error",
                             colour=k, colour_title="frequency k", **words)
    if "predicted_error" in run:
        theory = run.predicted_error.mean("seed")
        chart += figures.predicted(theory.where(theory > 1e-3), "step", detail=k, **words)
    return chart.properties(title=title)


def draw_errors(run, control):
    parts = [curves(run, "as claimed"), *([curves(control, "control")] if control else [])]
    return alt.hconcat(*parts).resolve_scale(color="independent")


def draw_order(run, control):
    runs = [run.area, *([control.area] if control else [])]
    both = xr.concat([order(a.to_dataset(name="area")) for a in runs], "variant")
    return figures.statistic(both, title="D, logarithm of the ratio of areas", category="variant",
                             category_title="network", low=float(np.log(2)))


def draw_times(run, control):
    words = {"scale": "log", "x_scale": "log", "x_title": "frequency k", "title": "updates to learn it"}
    return (figures.measured(run.time_to_learn, "k", colour="s", points=True, colour_title="Sobolev exponent s", **words)
            + figures.predicted(run.predicted_time_to_learn, "k", detail="s", **words))


def draw_heat(run, control):
    maps = []
    for s in run.s.values.tolist():
        own = run.sel(s=s).dropna("step", how="all", subset=["error"])
        chart = figures.heat_map(own.error, "step", "k", title="relative error", x_title="updates",
                                 y_title="frequency k", domain=(0, 1), width=300, height=150)
        nearest = own.step.sel(step=own.predicted_time_to_learn.mean("seed"), method="nearest")
        contour = alt.Chart(alt.Data(values=figures.table(step=nearest.drop_vars("step"))))
        maps.append((chart + contour.mark_tick(color="white", thickness=3).encode(x="step:O", y="k:O")).properties(title=f"s = {s:g}"))
    return alt.vconcat(*maps)
