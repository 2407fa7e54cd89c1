"""Jacobi takes high frequencies first, networks low ones; so one can hand over to the other.

A sweep multiplies each sine of the error by a factor that is known exactly: near 1 for the smooth
ones. Networks trained on the same equation go the other way about, the less so the more their loss
weighs high frequencies. A short training and then sweeps cost less than either alone.
"""

from functools import partial
from typing import Literal

import numpy as np

from chymist import data, references, stats
from chymist.atlas.frequency import contrast_figures as draw
from chymist.atlas.frequency.contrast import one_by_one, sweep_theory
from chymist.atlas.frequency.hybrid import hand_over, sweeps_theory
from chymist.atlas.frequency.relaxed import line_theory, on_line, on_square, square_theory
from chymist.claims import Claim, above, below, between
from chymist.params import Field, Lane, Params
from chymist.study import Control, Experiment, Figure, Input, Study

LAYERS = r"^[1-9]\d{0,3}(-[1-9]\d{0,3}){0,7}$"


class ContrastParams(Params):
    """First the factors of single modes, then the order of modes, then the hybrid."""

    seeds: int = Field(5, ge=5, le=10_000, description="independent repetitions")
    omega: Lane[float] = Field((2 / 3, 1.0), gt=0, lt=2, description="damping of the sweeps, where "
                               "factors are measured")  # fmt: skip
    intervals: int = Field(128, ge=16, le=4096, description="intervals of the line there")
    sweeper: Literal["jacobi", "gauss-seidel"] = Field("jacobi", description="the sweeps there")
    points: int = Field(32, ge=16, le=1024, description="intervals where orders are compared")
    modes: int = Field(8, ge=3, le=64, description="sines there, at most half of the intervals")
    band: Literal["lower", "upper"] = Field("lower", description=(
        "the lowest sines or, for sweeps alone, the highest"))
    damping: float = Field(2 / 3, gt=0, le=1, description="omega of Jacobi there")
    updates: int = Field(1500, ge=64, le=10**6, description="sweeps there, or updates")
    layers: str = Field("64-64", pattern=LAYERS, examples=["64-64"],
                        description="neurons of its hidden layers")  # fmt: skip
    gain: float = Field(3.0, gt=0, le=100, description="standard deviation of its first weights")
    lr: float = Field(1e-3, gt=0, le=1, description="step size of Adam there")
    grid: int = Field(256, ge=32, le=1024, multiple_of=32, description=(
        "intervals a side of the square; a power of two for the V-cycles"))
    coarse: int = Field(40, ge=8, le=512, description="intervals a side where networks are trained")
    eps: float = Field(1e-3, gt=0, le=0.5, description="largest error at which a solver is done")
    switch: str = Field("30-100-300-1000", pattern=r"^[1-9]\d{0,5}(-[1-9]\d{0,5}){1,15}$",
                        examples=["30-100-300-1000"],
                        description="updates after which networks hand over")  # fmt: skip
    source: Literal["low", "high"] = Field("low", description=(
        "modes (1, 1), (2, 1) and a little of (16, 16); or three from an eighth of the grid on; of "
        "your source all, or the band from there"))
    square_layers: str = Field("64-64", pattern=LAYERS, examples=["64-64"],
                               description="neurons of the hidden layers there")  # fmt: skip
    square_gain: float = Field(1.5, gt=0, le=100, description="its first weights")
    square_lr: float = Field(3e-3, gt=0, le=1, description="step size of Adam there")


def deviation(run):
    """log10 of the largest relative deviation of a mode's factor from theory, where it is seen."""
    apart = abs(run.factor / run.predicted_factor - 1).where(run.predicted_factor > 0.05)
    return np.log10(apart.max([d for d in apart.dims if str(d).startswith("mode")]))


def rank(name, run):
    """Spearman's correlation of k and T, the first sweep or update with error below 0.1."""
    time = run.time.sel(solver=name, drop=True)
    return stats.spearman(time, time.mode, "mode").where(time.notnull().all("mode"))


def exponents_apart(run):
    """Exponents of T ~ k^a: of fitting less of Ritz, of Ritz less of the residual."""
    slope = stats.log_slope(run.time, "mode").sel(solver=["fit", "Ritz", "residual"])
    apart = slope.isel(solver=slice(2)) - slope.isel(solver=slice(1, None)).values
    return apart.assign_coords(solver=["fit - Ritz", "Ritz - residual"])


LINE = Experiment(
    "line", "Ten Jacobi sweeps on a line, from zero, or on your matrix; a mode is a sine, or an "
    "eigenvector of $D^{-1}A$.", on_line, prediction=line_theory, claims=(
        Claim("line-factors", "Each mode is multiplied by its factor.", deviation, below(-6)),
    ),
    figures=(Figure("line-factors", "Factor of a sweep by mode; dashed, the theory, alone where "
                    "ten sweeps leave only rounding.",
                    draw.factors),),
    control=Control("Sines are no eigenvectors of Gauss-Seidel sweeps, one point after another.",
                    {"sweeper": "gauss-seidel"}, ("line-factors",)),
    reads="matrix",
)  # fmt: skip


SQUARE = Experiment(
    "square", "Ten Jacobi sweeps on a square.", on_square, prediction=square_theory, claims=(
        Claim("square-factors", "So it is on a square.", deviation, below(-6)),
    ),
    figures=(Figure("square-factors", "Factor of a sweep by mode.", draw.plane),),
    control=Control("Sines are no eigenvectors of Gauss-Seidel sweeps here, either.",
                    {"sweeper": "gauss-seidel"}, ("square-factors",)),
)  # fmt: skip


ORDER = Experiment(
    "order", "One equation on a line whose solution is a sum of equal sines, by sweeps and by "
    "networks under three losses; $T$ is the first sweep or update with a tenth left of a sine.",
    one_by_one, prediction=sweep_theory, claims=(
        Claim("jacobi-high-first", "Damped Jacobi takes high modes first.",
              partial(rank, "Jacobi"), below(-0.9)),
        Claim("seidel-high-first", "So does Gauss-Seidel.", partial(rank, "Gauss-Seidel"),
              below(0)),
        Claim("fit-low-first", "A network that fits the solution takes low modes first.",
              partial(rank, "fit"), above(0)),
        Claim("ritz-low-first", "So does one that minimises the energy.",
              partial(rank, "Ritz"), above(0)),
        Claim("loss-weakens", "Losses that weigh high modes more weaken the order.",
              exponents_apart, above(0)),
    ),
    figures=(
        Figure("order-errors", "Errors by mode: median and range of seeds.", draw.errors),
        Figure("order-times", "Sweeps or updates until a mode is done.", draw.times),
    ),
    control=Control("Without damping, of the highest modes, the highest is the slowest.",
                    {"damping": 1.0, "band": "upper"}, ("jacobi-high-first",)),
)  # fmt: skip


def sweeps_ratio(run):
    """Sweeps from the network to the tolerance, measured over predicted."""
    return run.sweeps / run.predicted_sweeps


def gain(run):
    """Log of the operations of Jacobi from zero over those of the best hybrid."""
    return np.log(run.work_alone / run.work.min("switch"))


def penalty(run):
    """Log of the operations with the shortest, and the longest, training over the best."""
    ends = run.work.isel(switch=[0, -1]).assign_coords(switch=["shortest", "longest"])
    return np.log(ends / run.work.min("switch"))


def network_left(run):
    """log10 of the network's largest error, at the switch where it is least, over the tolerance."""
    return np.log10(run.left.min("switch"))


def crossover(run):
    """N* / N: the grid from which on some hybrid costs less than Jacobi, over the one used.

    The sweeps needed grow as N^2, the cost of one as well, that of the training not at all.
    """
    sweep = run.work_alone / run.sweeps_alone
    saved = sweep * (run.sweeps_alone - run.sweeps)
    return ((run.operations / saved.where(saved > 0)) ** 0.25).min("switch")


def behind_multigrid(run):
    """Log of the operations of the best hybrid over those of V-cycles from zero."""
    return np.log(run.work.min("switch") / run.work_cycles)


HYBRID = Experiment(
    "hybrid", "Poisson's equation on a square, or with your source: a network is trained on a "
    "coarse grid, then Jacobi sweeps on the fine grid go on from it.", hand_over,
    prediction=sweeps_theory, claims=(
        Claim("iterations", "The sines left by the network say how many sweeps are needed.",
              sweeps_ratio, between(0.97, 1.03)),
        Claim("hybrid-wins", "The best hybrid costs fewer operations than Jacobi from zero.",
              gain, above(0)),
        Claim("network-alone", "The network alone does not get there.", network_left, above(0)),
        Claim("one-best", "Too short a training costs more, and too long a one.",
              penalty, above(0)),
        Claim("crossover", "It starts to pay on a coarser grid than the one used.",
              crossover, between(0, 1)),
        Claim("multigrid-wins", "Multigrid costs fewer operations than the best hybrid.",
              behind_multigrid, above(0)),
    ),
    figures=(
        Figure("hybrid-work", "Operations by switch; dashed, the prediction.", draw.work),
        Figure("hybrid-sweeps", "Sweeps left at the switch; dashed, the prediction.", draw.sweeps),
        Figure("hybrid-seconds", "The same in seconds; they decide nothing.", draw.seconds),
    ),
    control=Control("Where there are no low modes, the network has nothing to give.",
                    {"source": "high", "switch": "30-100-300"}, ("hybrid-wins",)),
    reads="source",
)  # fmt: skip


STUDY = Study(
    slug="jacobi-contrast", family="frequency",
    title="Jacobi takes high frequencies first, networks low ones",
    question="Who learns high frequencies first, and what do two opposites do together?",
    params=ContrastParams, experiments=(LINE, SQUARE, ORDER, HYBRID),
    theory=r"""
Poisson's equation on a grid of $N$ intervals is $Au = b$ with the stencil $(-1, 2, -1)$. A damped
Jacobi sweep $u \leftarrow u + \omega D^{-1}(b - Au)$ multiplies the error by $1 - \omega D^{-1}A$,
whose eigenvectors are sines: $\sin(k\pi x)$ by $\rho_k = 1 - \omega(1 - \cos(k\pi/N))$, on a
square by $1 - \omega + \frac{\omega}{2}(\cos(k\pi/N) + \cos(l\pi/N))$. So a mode with coefficient
$e$ needs $\log(|e|/\varepsilon) / (-\log|\rho_k|)$ sweeps, for small $k$ on a line about
$2N^2/(\omega\pi^2k^2) \log(|e|/\varepsilon)$: the smooth ones take forever. A network learns them
first. Its losses here are $\frac{1}{2n} e^T A^s e$: $s = 0$ fits $u$, $s = 1$ is the Ritz energy,
$s = 2$ the squared residual; they weigh $\sin(k\pi x)$ by $k^{2s}$, against the network's
preference. From a network with coefficients $e_k$ sweeps need the least $t$ with
$|\sum_k e_k \rho_k^t \phi_k| < \varepsilon$ everywhere.
""",
    limits="At $\\omega = 1$ the highest modes are as slow as the lowest. The hybrid wins over "
           "Jacobi and over the network alone; multigrid, or two sine transforms, win over it by "
           "far. Its gain is in the few low modes of a smooth solution, on grids so fine that "
           "sweeps are dearer than training. Operations are counted, not timed: seconds depend on "
           "the machine.",
    references=references("xu2020frequency", "zhang2024blending", "trottenberg2001multigrid",
                          "weinan2018deep"),
    presets={"quick": {}, "paper": {"seeds": 10, "points": 128, "modes": 16, "updates": 12_000,
                                    "layers": "256-256", "gain": 6.0, "grid": 512,
                                    "switch": "30-100-300-1000-3000"}},
    cost={"quick": 50, "paper": 3000},
    answers=("order", "loss", "solvers", "cost", "remedy"), cover="hybrid-work",
    input=Input("a source on a square (a picture's grey values, or f in .npz), or a symmetric "
                "matrix (A, b in .npz; Matrix Market)", (".png", ".jpg", ".jpeg", ".npz", ".mtx"),
                data.source_or_matrix),
)  # fmt: skip
