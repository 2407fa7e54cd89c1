"""Networks learn low frequencies first, and what decides that they do.

On a line, deep networks fit sines of equal amplitude while the error of each is watched. On a
circle, the tangent kernel of a two-layer network says how long every frequency takes, and networks
are held to it, also under losses that weigh high frequencies more, and without biases.
"""

from functools import partial
from typing import Literal

import numpy as np
import xarray as xr

from chymist import data, references, stats
from chymist.atlas.frequency import frequency_figures as draw
from chymist.atlas.frequency.circle import kernel_theory, learn_frequencies
from chymist.atlas.frequency.line import learn_signal
from chymist.claims import Claim, Published, above, between
from chymist.params import Field, Lane, Params
from chymist.study import Control, Experiment, Figure, Input, Study

Variant = Literal["tanh", "relu", "gelu", "hat", "sin", "tanh-8", "relu-8", "hat-8", "sin-8"]


class FrequencyParams(Params):
    """First the networks on the line, then those on the circle."""

    variant: Lane[Variant] = Field(("tanh", "hat", "tanh-8"), description=(
        "activation, and gain of the first layer if not 1 (for a highest k of 5; it follows k); "
        "claims are about the first, the others are compared with it"))
    layers: str = Field("64-64-64", pattern=r"^[1-9]\d{0,3}(-[1-9]\d{0,3}){0,15}$", examples=[
        "64-64-64"], description="neurons of the hidden layers, the first to the last")
    start: Literal["fan-in", "small"] = Field("fan-in", description=(
        "weights N(0, 1 / inputs) but for the first layer; or all, and biases, N(0, 0.05^2)"))
    signal: Literal["three-sines", "two-sines"] = Field("three-sines", description=(
        "sin x + sin 3x + sin 5x on a period; or sin x + sin 4x on [-10, 10]"))
    points: int = Field(200, ge=32, le=4096, description="samples of the signal")
    lr: float = Field(1e-3, gt=0, le=1, description="step size of Adam")
    steps: int = Field(3000, ge=256, le=10**6, description="updates; on the circle at most")
    s: Lane[float] = Field((0.0, 1.0, 2.0), ge=-1, le=3, description="Sobolev exponent of the loss")
    k: Lane[int] = Field((4, 6, 8, 12, 16), ge=1, le=31, description="frequencies on the circle")
    neurons: int = Field(256, ge=4, le=65536, description="neurons, doubled so that f = 0 at start")
    even: bool = Field(True, description="first weights at even angles rather than at random")
    amplitude: float = Field(0.01, gt=0, le=10, description="of the targets on the circle")
    bias: bool = Field(False, description="give the networks without bias one after all")


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


LINE = Experiment(
    "line", "Deep networks fit sines, or your signal; A is the area under an error.", learn_signal,
    claims=(
        Claim("ordering", "The highest frequency has twice the area of the lowest, or more.",
              order_of_first, above(np.log(2))),
        Claim("all-in-order", "The areas rise with the frequency.", rank_of_first, above(0.8)),
        Claim("less-order", "The hat, and large weights, weaken the order.", order_lost, above(0)),
    ),
    figures=(
        Figure("line-errors", "Errors by frequency: median and range of seeds.", draw.errors),
        Figure("course", "The first network learns: its function and spectrum, the signal's "
               "in grey.", draw.course),
        Figure("line-order", "D by network and seed; the line is the edge of the claim's region.",
               partial(draw.order, order, np.log(2))),
    ),
    control=Control("A sine network whose first weights are large prefers no frequency.",
                    {"variant": ("sin-8",)}, flips=("ordering",)),
    reads="y",
)  # fmt: skip


def circle(p, bench):
    """Time until two-layer ReLU networks have learnt one frequency each."""
    return learn_frequencies(bench, p.k, p.s, neurons=p.neurons, amplitude=p.amplitude,
                             even=p.even, limit=p.steps)


def exponent(run):
    """Exponent a of T ~ k^a at the first s, T the first step with error below 0.1."""
    return stats.log_slope(run.time_to_learn, "k").isel(s=0, drop=True)


def exponent_and_loss(run):
    """Exponent a of T ~ k^a, plus 2 s; T the first step with error below 0.1."""
    return stats.log_slope(run.time_to_learn, "k") + 2 * run.s


def misfit(run):
    """Median over k of |T / predicted T - 1| at the first s."""
    ratio = (run.time_to_learn / run.predicted_time_to_learn).isel(s=0, drop=True)
    return abs(ratio - 1).median("k", skipna=False)


CIRCLE = Experiment(
    "circle", "Two-layer ReLU networks fit one cosine each by gradient descent, under losses that "
    r"weigh $k$ by $(1 + k^2)^s$; T is the first step with error below 0.1.", circle,
    prediction=kernel_theory, claims=(
        Claim("rate", "The time to learn grows as $k^2$.", exponent, between(1.8, 2.3), published=(
            Published(2.0, "theory and experiment on the circle", "basri2019convergence"),)),
        Claim("kernel", "The tangent kernel at the start predicts the time.",
              misfit, between(0, 0.15), centre="median"),
        Claim("sobolev", r"The loss decides: $T$ goes as $k^{2-2s}$: reversed at $s = 2$.",
              exponent_and_loss, between(1.65, 2.35)),
    ),
    figures=(
        Figure("circle-errors", "Errors by frequency; dashed, the prediction.", draw.errors),
        Figure("circle-times", "Time to learn a frequency; dashed, the prediction.", draw.times),
        Figure("circle-map", "Errors over updates; white, the predicted time.", draw.heat),
    ),
    control=Control("The Sobolev loss with s = 1 learns all frequencies at one rate.",
                    {"s": (1.0,)}, flips=("rate",)),
)  # fmt: skip


def unbiased(p, bench):
    """The same networks without bias, whose kernel has no odd frequency but k = 1."""
    k, s = xr.DataArray(range(2, 8), {"k": range(2, 8)}), xr.DataArray([0.0], {"s": [0.0]})
    return learn_frequencies(bench, k, s, neurons=p.neurons, amplitude=p.amplitude,
                             even=p.even, bias=p.bias, limit=256)


def least_odd_error(run):
    """Smallest error of k = 3, 5, 7 after the last step."""
    return run.error.isel(step=-1, s=0, drop=True).sel(k=[3, 5, 7]).min("k")


def largest_even_error(run):
    """Largest error of k = 2, 4, 6 after the last step."""
    return run.error.isel(step=-1, s=0, drop=True).sel(k=[2, 4, 6]).max("k")


UNBIASED = Experiment(
    "unbiased", "The networks of the circle without bias.", unbiased,
    prediction=lambda p, run: kernel_theory(p, run)[["error"]], claims=(
        Claim("odd-never", "Without bias k = 3, 5, 7 are not learnt.",
              least_odd_error, above(0.99), centre="median"),
        Claim("even-learnt", "Without bias k = 2, 4, 6 are learnt.",
              largest_even_error, between(0, 0.1), centre="median"),
    ),
    figures=(
        Figure("unbiased-errors", "Errors by frequency; dashed, the prediction.",
               partial(draw.errors, titles=("without bias", "with bias (control)"))),
    ),
    control=Control("With biases odd frequencies are learnt.", {"bias": True}, ("odd-never",)),
)  # fmt: skip


STUDY = Study(
    slug="frequency-principle", family="frequency", title="Networks learn low frequencies first",
    question="Do networks learn the outline of a function before its detail, and what decides?",
    params=FrequencyParams, experiments=(LINE, CIRCLE, UNBIASED),
    theory=r"""
While the tangent kernel stays what it was, gradient descent of step size $\eta$ on the loss
$\frac12 \sum_k (1+k^2)^s |\hat r(k)|^2$ leaves $e_k(t) = |1 - \eta\lambda_k (1+k^2)^s|^t$ of
frequency $k$: learnt at $T_k = \log 10 / (-\log|1 - \eta\lambda_k (1+k^2)^s|)$. On the circle
$\lambda_k \sim k^{-2}$, so $T_k \sim k^{2-2s}$; without bias $\lambda_k = 0$ for odd $k \geq 3$.
On the line a tanh neuron of weight $w$ has $|\hat\sigma(k)| \sim 1/\sinh(\pi k/2w)$, so that high
frequencies are exponentially weak in its gradient while $w$ is small, less so when it is large.
""",
    limits="The kernel stays only for small targets or wide networks: at amplitude 1 the high "
           "frequencies stall. On the line the order is a fact of these starts and Adam, no law: "
           "from weights of 0.05 (preset paper-61) it holds, too, but the hat and large first "
           "weights strengthen it there, and the claim that they weaken it is refuted.",
    references=references("xu2019training", "xu2020frequency", "rahaman2019spectral",
        "basri2019convergence", "yu2023tuning", "hong2022activation", "xu2024overview",
        "jacot2018neural"),
    presets={
        "quick": {},
        "paper": {"layers": "200-200-200-100", "points": 600, "lr": 1e-4, "steps": 10_000,
                  "neurons": 4096, "even": False, "seeds": 20},
        "paper-61": {"layers": "200-200-200-100", "start": "small", "signal": "two-sines",
                     "points": 61, "lr": 2e-5, "steps": 10_000},
    },
    cost={"quick": 40, "paper": 4_000, "paper-61": 400},
    answers=("order", "activation", "initialisation", "loss", "features"),
    input=Input("one period of a signal: columns x, y, x increasing", (".csv",), data.signal),
)  # fmt: skip
