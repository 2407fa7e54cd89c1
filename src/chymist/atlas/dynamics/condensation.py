"""Condensation: the neurons of a small network align on a few directions, more as it learns.

Before the loss falls the first derivative of the activation that is not 0 at 0, of order p, says
where every neuron turns: to at most p lines. From there ReLU networks learn step by step, direction
by direction, if their weights were small at first. With dropout large weights condense, too.
"""

from functools import partial
from typing import Literal

import numpy as np

from chymist import data
from chymist.atlas.dynamics import condensation_figures as draw
from chymist.atlas.dynamics.dropout import DROPOUT
from chymist.atlas.dynamics.orientation import initial_flow, initial_theory
from chymist.atlas.dynamics.own_change import CHANGE
from chymist.atlas.dynamics.own_weights import OWN
from chymist.atlas.dynamics.staircase import SIZES, STAIRS
from chymist.bibliography import references
from chymist.claims import Claim, Published, above, between
from chymist.params import Field, Lane, Params
from chymist.study import Control, Experiment, Figure, Input, Source, Study

Smooth = Literal["tanh", "xtanh", "x2tanh", "sin"]


class CondensationParams(Params):
    """First the initial stage, then the staircase, the size of the start, and dropout."""

    seeds: int = Field(6, ge=5, le=10_000, description="independent repetitions")
    activation: Lane[Smooth] = Field(("tanh", "xtanh", "x2tanh"), description=(
        "activations of the initial stage, of multiplicities 1, 2, 3 (sin: 1)"))
    neurons: int = Field(50, ge=2, le=4096, description="neurons in the initial stage")
    std: float = Field(1e-5, gt=0, le=1e3, description="of all weights in the initial stage")
    clock: int = Field(1500, ge=64, le=10**6, description="steps of 0.05 rad of each neuron there")
    width: int = Field(100, ge=2, le=4096, description="neurons of the ReLU networks")
    exponent: float = Field(2, ge=0, le=5, description="all their weights start at std width^-this")
    steps: int = Field(30_000, ge=200, le=10**8, description="updates of a staircase")
    size: Lane[float] = Field((0.25, 0.5, 1, 1.5, 2), ge=0, le=5, description=(
        "the same exponent, where the size of the start is studied"))
    size_steps: int = Field(30_000, ge=1, le=10**8, description="updates there")
    keep: float = Field(0.5, gt=0, le=1, description="probability that dropout keeps a neuron")
    dropout_steps: int = Field(20_000, ge=40, le=10**8, description="updates with dropout")
    own_random: bool = Field(False, description="take random layers for those of a network")
    shown: int = Field(20, ge=4, le=200, description="of these steps, about so many recorded")


def excess(run):
    """Lines that the neurons point along at the end, over the multiplicity."""
    return run.lines.isel(step=-1, drop=True) / run.multiplicity


def stationarity(run):
    """Least |cos| over neurons, at the end, between a neuron's weights and the pull on them."""
    return run.stationarity.isel(step=-1, drop=True)


def foretold(run):
    """Share of neurons that end within 0.1 rad of where the theory says that they will."""
    apart = (run.angle - run.predicted_angle).isel(step=-1, drop=True)
    return (np.cos(apart) > np.cos(0.1)).mean("neuron")


def orientation(inputs, word, control, more=()):
    """The initial stage in so many inputs."""
    return Experiment(
        f"turning-{word}", f"Neurons of {word} input{'s' * (inputs > 1)} turn, "
        "each by its own clock, while the residual is still $-y$.", partial(initial_flow, inputs),
        prediction=initial_theory, claims=(
            Claim(f"multiplicity-{inputs}", "Neurons point along at most $p$ lines.",
                  excess, between(0, 1.25), published=(
                      Published(1.0, "largest number of orientations, opposite ones counted as "
                                "one, over the multiplicity", "zhou2022condensation"),)),
            Claim(f"critical-{inputs}", "All are near critical points of the potential $P$.",
                  stationarity, above(0.98)),
            *more,
        ),
        figures=(
            Figure(f"lines-{inputs}", "Lines that neurons point along; dashed, the prediction.",
                   partial(draw.curves, "lines")),
            Figure(f"stationarity-{inputs}", "How near the last neuron is to a critical point.",
                   partial(draw.curves, "stationarity")),
        ) + (inputs == 1) * (
            Figure("turning", "Angles of some neurons of the first seed; dashed, the prediction.",
                   draw.turning),
        ),
        control=control,
    )  # fmt: skip


ONE = orientation(1, "one", Control(
    "A sine network whose weights are not small sees more than the slope of its sine.",
    {"activation": ("sin",), "std": 5.0}, ("multiplicity-1", "critical-1", "foretold"),
), (Claim("foretold", "Each neuron ends where the leading power of the activation takes it.",
          foretold, above(0.95)),))  # fmt: skip
FIVE = orientation(5, "five", Control(
    "Where weights are so large that tanh saturates, neurons stay apart.",
    {"activation": ("tanh",), "std": 5.0}, ("multiplicity-5", "critical-5"),
))  # fmt: skip


STUDY = Study(
    slug="condensation", family="dynamics", title="Neurons condense on a few directions",
    question="Into how many directions do the neurons of a network fall, and when?",
    params=CondensationParams, experiments=(ONE, FIVE, STAIRS, SIZES, DROPOUT, OWN, CHANGE),
    theory=r"""
Let $f(x) = \sum_j a_j \sigma(w_j \cdot (x, 1))$ and $\sigma(z) = k z^p + \ldots$ While $f$ is small
beside $y$, gradient flow on the squared error is $\dot a_j = k P(w_j)$,
$\dot w_j = k a_j \nabla P(w_j)$ with $P(w) = \frac1n \sum_i y_i (w \cdot (x_i, 1))^p$: no neuron
feels another. Each one's direction climbs or descends $P$ on the sphere and ends at a critical
point. For one input $P$ on the circle has at most $2p$ of them, on $p$ lines; for $p = 1$ it is
linear, and the line is that of $c = \frac1n \sum_i y_i (x_i, 1)$, in any dimension. A network whose
neurons all point in one direction can do no better than one neuron, and rests there. From weights
of standard deviation $m^{-g}$ directions stay for $g < 1/2$ and condense for $g > 1/2$, as the
width $m$ grows. Dropout that keeps neurons with probability $q$ adds on average
$R_1 = \frac{1-q}{2qn} \sum_i \sum_j (a_j \sigma(w_j \cdot x_i))^2$ to the loss.
""",
    limits="The multiplicity law is proved for p = 1, and for one input; for five inputs and p > 1 "
           "it is observed. ReLU has a kink at 0 and no multiplicity: it is not in the initial "
           "stage. With one input and tanh even large weights end on one line while the residual "
           "is frozen. At a cosine of 0.95 a circle holds about a dozen directions, so that many "
           "neurons of one input are never as many directions. The plateaus after the second lie "
           "at local optima of few neurons, and are not predicted.",
    references=references("zhou2022condensation", "luo2021phase", "zhang2024dropout",
                          "xu2025condensation", "maennel2018gradient"),
    presets={"quick": {}, "paper": {"seeds": 20, "clock": 5000, "steps": 100_000,
                                    "size_steps": 100_000, "dropout_steps": 100_000}},
    cost={"quick": 65, "paper": 625},
    answers=("features", "activation", "initialisation", "implicit-bias", "batch-size",
             "generalisation"),
    cover="features",
    input=Input("weights of a network, called as in PyTorch's state_dict: an NPZ archive or "
                "safetensors", (".npz", ".safetensors"), data.network_weights,
                folder=Source("two such files of one network, by their names before and after a "
                              "training", data.network_pair),
                function=Source("returns a module, its state_dict, or two of them: before and "
                                "after", data.made_network)),
)  # fmt: skip
