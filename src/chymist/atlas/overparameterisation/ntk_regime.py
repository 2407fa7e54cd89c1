"""The neural tangent kernel regime: how lazy a wide network is, by which exponents of its width.

Two-layer networks of growing width are trained for one stretch of time. Weights and the kernel at
the start come as close to the limit as theory says; the kernel moves less than its theorem allows,
by an exponent that the activation decides.
"""

from typing import Literal

from chymist import data, references
from chymist.atlas.overparameterisation.catapult import CATAPULT
from chymist.atlas.overparameterisation.growing_width import WIDTHS
from chymist.atlas.overparameterisation.layers import DEEP, FORMS
from chymist.atlas.overparameterisation.laziness import SCALE
from chymist.params import Field, Lane, Params
from chymist.study import Input, Source, Study


class NtkParams(Params):
    """Widths and activations are lanes of claims: each is trained in turn."""

    seeds: int = Field(24, ge=5, le=10_000, description="independent repetitions")
    activation: Lane[Literal["relu", "erf", "tanh"]] = Field(("relu", "erf"), description=(
        "activation; ReLU has an exponent of its own"))
    width: Lane[int] = Field((128, 256, 512, 1024, 2048), ge=2, le=2**17, description=(
        "neurons; below 128 ReLU networks have not reached their power laws"))
    scaling: Literal["tangent", "mean-field"] = Field("tangent", description=(
        "factor before the sum: width^(-1/2), or 1/width with steps longer by the width"))
    rate: float = Field(0.2, gt=0, le=1, description=(
        "step size times the largest eigenvalue of the kernel of infinite width"))
    steps: int = Field(160, ge=16, le=10**6, description="updates of networks of growing width")
    depth: int = Field(2, ge=2, le=16, description="hidden layers of deep networks")
    deep: Lane[int] = Field((64, 128, 256, 512), ge=2, le=2**14, description=(
        "neurons a layer of these"))
    alpha: Lane[float] = Field((0.1, 0.3, 1, 10, 100), gt=0, le=1e9, description=(
        "factors before a student, in rising order; the lazy end is judged on the last two"))
    students: int = Field(64, ge=1, le=2**16, description="neurons of a student")
    student_steps: int = Field(1500, ge=16, le=10**6, description="updates of students")
    throw: Lane[float] = Field((2.5, 3.0, 3.5), gt=0, le=100, description=(
        "step size times the largest eigenvalue of each network's own first kernel"))
    thrown: Lane[int] = Field((128, 512, 2048), ge=2, le=2**17, description="neurons there")
    thrown_steps: int = Field(150, ge=16, le=10**6, description="updates there")
    first_std: float = Field(1.0, gt=0, le=100, description=(
        "standard deviation of the first weights where closed forms are checked, which say 1"))
    draw: int = Field(0, ge=0, description="which draw of the data")


STUDY = Study(
    slug="ntk-regime", family="overparameterisation", title="Wide networks are lazy",
    question="How far does a wide network move from where it starts, and is it a kernel method?",
    params=NtkParams, experiments=(WIDTHS, DEEP, SCALE, CATAPULT, FORMS),
    theory=r"""
$f(x) = m^{-1/2} \sum_j a_j \sigma(w_j \cdot x/\sqrt d)$ moves, under gradient descent on
$\frac12\sum_i (f(x_i) - y_i)^2$, by its tangent kernel $\Theta$. A kernel that stays leaves
$f_t(X) = y - (1 - \eta\Theta)^t y$, from $f_0 = 0$. At the start $\Theta_0$ is a mean over neurons,
$m^{-1/2}$ from its limit $\Theta = K + \frac{x \cdot x'}{d} \dot K$ with, for ReLU,
$K = \sqrt{q q'}\,(\sin\theta + (\pi - \theta)\cos\theta)/\pi$, $\dot K = (\pi - \theta)/\pi$,
$q = |x|^2/d$, and for erf $K = \frac2\pi \arcsin\frac{2 s}{\sqrt{(1+2q)(1+2q')}}$,
$\dot K = \frac4\pi/\sqrt{(1+2q)(1+2q') - 4 s^2}$, $s = x \cdot x'/d$. Weights move by $m^{-1/2}$,
those between hidden layers by $m^{-1}$. The kernel's first-order change has the random sign of
$a_j$: $m^{-1}$ for smooth $\sigma$; for ReLU $m^{1/2}$ neurons cross zero and jump by $\pm 1/m$:
$m^{-3/4}$. With a factor $\alpha$ weights move by
$\|J^\top \Theta^{-1}(1 - (1 - \eta\Theta)^t)y\|/\alpha$; the mean-field scaling is
$\alpha = m^{-1/2}$.
""",
    limits="The exponent of ReLU's drift is a heuristic that fits. Exponents are for one stretch "
           "of time, and for f - f_0; a lazy student is worse than a rich one on teachers of few "
           "directions, not on every target. Catapults are shown for ReLU, without biases. Draws "
           "of the data are swept from outside (--sweep draw=0,1,2).",
    references=references("jacot2018neural", "lee2019wide", "chizat2019lazy", "cho2009kernel",
                          "arora2019exact", "geiger2020disentangling", "lewkowycz2020large"),
    presets={
        "quick": {},
        "paper": {"activation": ("relu", "erf", "tanh"), "depth": 3, "steps": 1000,
                  "width": (128, 256, 512, 1024, 2048, 4096, 8192, 16384),
                  "deep": (64, 128, 256, 512, 1024), "student_steps": 10_000,
                  "alpha": (0.1, 0.3, 1, 3, 10, 30, 100, 300)},
    },
    cost={"quick": 30, "paper": 9_000},
    answers=("width", "features", "activation", "step-size"), cover="exponents",
    input=Input("a table: columns of features, the last or y the target; 4 to 512 rows",
                (".csv", ".npz"), data.one_target,
                function=Source("returns two arrays (x, y): samples first, one target",
                                data.made_target)),
)  # fmt: skip
