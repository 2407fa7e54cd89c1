"""A network learns a high frequency when its input is stretched until the frequency is low.

Who does not know the frequency gives several networks a scale each and adds them up. At equal
parameters and updates that solves equations which a plain network does not begin to solve; what
helps is the scales, not that there are several networks.
"""

from typing import Literal

import numpy as np
from pydantic import model_validator

from chymist import data
from chymist.atlas.frequency.multiscale_equations import (
    ACTIVATION,
    EQUATIONS,
    SCALES,
    scales_of,
)
from chymist.atlas.frequency.multiscale_fits import FIT
from chymist.atlas.frequency.multiscale_reach import REACH
from chymist.bibliography import references
from chymist.params import Field, Lane, Params
from chymist.study import Input, Study

LAYERS = r"^[1-9]\d{0,3}(-[1-9]\d{0,3}){0,7}$"
NUMBER = r"(0\.\d*[1-9]\d{0,5}|[1-9]\d{0,5}(\.\d{1,6})?)"
NAMES = "|".join(sorted(data.EQUATIONS))


class MultiscaleParams(Params):
    """What is solved, by which networks; then what is fitted, and how far scales reach."""

    seeds: int = Field(6, ge=5, le=10_000, description="independent repetitions")
    mu: float = Field(6 * np.pi, gt=0, le=1000, description="angular frequency of the solution; "
                      "half of it in a plane")  # fmt: skip
    scales: str = Field("1-2-4-8-16-32", pattern=rf"^(auto|{NUMBER}(-{NUMBER}){{0,15}})$",
                        examples=["1-2-4-8"], description="a network each; auto: six, up to a "
                        "third of the highest frequency that the points show")  # fmt: skip
    parts: str = Field("16-16-16", pattern=LAYERS, examples=["16-16-16"],
                       description="neurons of the hidden layers of each")  # fmt: skip
    layers: str = Field("42-42-42", pattern=LAYERS, examples=["42-42-42"],
                        description="of the plain network")  # fmt: skip
    stretch: float = Field(1.0, gt=0, le=1000, description="scale of the plain network, and of all "
                           "networks where scales are equal, in equations")  # fmt: skip
    activation: Literal["sin", "phi", "srelu", "tanh"] = Field(
        "sin", description=("activation of the networks that solve equations; fits are by sines")
    )
    activations: str = Field("sin-phi-srelu-tanh-relu", pattern=r"^[a-z]+(-[a-z]+){2,4}$",
                             examples=["sin-tanh-relu"], description="those that are compared: "
                             "tanh, relu, and of sin, phi, srelu")  # fmt: skip
    equations: str = Field("poisson-square+boltzmann-line+helmholtz-line",
                           pattern=rf"^({NAMES})(\+({NAMES})){{0,9}}$",
                           examples=["boltzmann-line+helmholtz-line"], description="equations that "
                           f"are compared: {NAMES.replace('|', ', ')}")  # fmt: skip
    decay: float = Field(4.0, gt=0, le=1000, description="lambda of Poisson-Boltzmann's equation")
    wave: float = Field(10.0, gt=0, le=1000, description="k of Helmholtz's")
    points: int = Field(200, ge=16, le=20_000, description="points a step on a line, twice as many "
                        "in a plane")  # fmt: skip
    penalty: float = Field(1000.0, gt=0, le=1e6, description="weight of the border")
    lr: float = Field(2e-3, gt=0, le=1, description="step size of Adam")
    steps: int = Field(800, ge=40, le=10**6, description="updates")
    target: Literal["chirp", "smooth"] = Field(
        "chirp", description=("what is fitted: exp(-x^2) sin(70 x^2) or sin(pi x)")
    )
    largest: Lane[float] = Field((4.0, 8.0, 16.0, 32.0), ge=1, le=256, description="largest scale, "
                                 "where the reach is measured")  # fmt: skip
    direction: Literal["stretch", "compress"] = Field(
        "stretch", description="whether scales go up to the largest, or down to 1 / largest"
    )
    octaves: int = Field(4, ge=2, le=16, description="scales there")
    waves: int = Field(9, ge=4, le=64, description="frequencies tried there")
    reach_steps: int = Field(250, ge=20, le=10**6, description="updates there")
    reach_lr: float = Field(4e-3, gt=0, le=1, description="step size of Adam there")

    @model_validator(mode="after")
    def _fitting(self):
        names, equations = self.activations.split("-"), self.equations.split("+")
        count, first = len(scales_of(self.scales)), int(self.layers.split("-")[0])
        if first < 4 * count:
            raise ValueError(f"{count} scales need layers of {4 * count} neurons or more, not "
                             f"{first}: give fewer scales")  # fmt: skip
        if not {"tanh", "relu"} < set(names) <= {"tanh", "relu", "sin", "phi", "srelu"}:
            raise ValueError(f"activations {self.activations}: give tanh, relu, and of sin, phi "
                             "and srelu")  # fmt: skip
        if len(set(names)) < len(names) or len(set(equations)) < len(equations):
            raise ValueError("an activation or an equation is named twice: name each once")
        return self


STUDY = Study(
    slug="multiscale-network", family="frequency",
    title="Stretch a high frequency until it is low",
    question="How can a network learn high frequencies that nobody told it?",
    params=MultiscaleParams, experiments=(SCALES, ACTIVATION, FIT, REACH, EQUATIONS),
    theory=r"""
A network learns low frequencies first. If $g$ learns $\cos kx$ at a certain rate, $g(sx)$ learns
$\cos skx$ at that rate: stretched by $s$, a high frequency is low. A sum of networks,
$f(x) = \sum_i g_i(s_i x)$, covers what any of them covers. Its tangent kernel is
$K(x, x') = \sum_i K_0(s_i x, s_i x')$, and the error of a wave begins to fall at the rate
$r(\mu) = \frac{v^T K v}{n\, v^T v}$, $v = \sin \mu x$: a sum of one rate, shifted by every scale.
While the kernel stays, a network's share of a wave is its share of the rate. With the largest scale
$s$ the rate falls off at a frequency proportional to $s$. Equations $-\Delta u + cu = f$ with
$u = g$ on the border are solved by the least of the energy
$\int \frac12 |\nabla u|^2 + \frac12 c u^2 - fu$ plus $\beta$ times the mean of $(u - g)^2$ on the
border, where $c \geq 0$; of $\int (\Delta u - cu + f)^2$ plus the same, otherwise.
""",
    limits="Scales help where the frequency is not known: a plain network whose input is stretched "
           "is as good. What lies far above the largest scale stays out of reach. The kernel is of "
           "infinitely wide networks at the start; those here are narrow, and trained by Adam. "
           "A smooth solution of an equation gains, too, since small starts are slow; a smooth fit "
           "does not.",
    references=references("liu2020multiscale", "cai2019multiscale", "li2023subspace",
                          "wang2021eigenvector", "weinan2018deep", "tancik2020fourier"),
    presets={"quick": {}, "paper": {
        "seeds": 6, "mu": 50.0, "parts": "150-150-150", "layers": "900-900-900", "points": 2500,
        "lr": 1e-3, "steps": 5000, "decay": 20.0, "wave": 20.0, "waves": 17, "reach_steps": 2000,
        "reach_lr": 1e-3, "equations": "poisson-line+poisson-chirps+poisson-ring+poisson-holes+"
        "boltzmann-line+boltzmann-square+helmholtz-line"}},
    cost={"quick": 100, "paper": 250_000},
    answers=("inputs", "solvers", "activation", "remedy"), cover="scales-errors",
    input=Input("values at points of a line or a plane: a table of one or two coordinates and a "
                "value", (".csv", ".npz"), data.field),
)  # fmt: skip
