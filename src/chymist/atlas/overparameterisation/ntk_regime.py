"""The neural tangent kernel regime: how lazy a wide network is, by which exponents of its width.

Two-layer networks of growing width are trained for one stretch of time. Weights and the kernel at
the start come as close to the limit as theory says; the kernel moves less than its theorem allows,
by an exponent that the activation decides.
"""

from functools import partial
from typing import Literal

import numpy as np

from chymist import references, stats
from chymist.atlas.overparameterisation import ntk_figures as draw
from chymist.atlas.overparameterisation import widths
from chymist.claims import Claim, below, between
from chymist.params import Field, Lane, Params
from chymist.study import Control, Experiment, Figure, Input, Study


class NtkParams(Params):
    """Widths and activations are lanes of claims: each is trained in turn."""

    seeds: int = Field(16, ge=5, le=10_000, description="independent repetitions")
    activation: Lane[Literal["relu", "erf", "tanh"]] = Field(("relu", "erf"), description=(
        "activation; ReLU has an exponent of its own"))
    width: Lane[int] = Field((128, 256, 512, 1024, 2048), ge=2, le=2**17, description=(
        "neurons; below 128 ReLU networks have not reached their power laws"))
    scaling: Literal["tangent", "mean-field"] = Field("tangent", description=(
        "factor before the sum: width^(-1/2), or 1/width with steps longer by the width"))
    rate: float = Field(0.2, gt=0, le=1, description=(
        "step size times the largest eigenvalue of the kernel of infinite width"))
    steps: int = Field(160, ge=16, le=10**6, description="updates of networks of growing width")
    draw: int = Field(0, ge=0, description="which draw of the data")


def slope(run, name):
    return stats.log_slope(run[name], "width")


def first_weights(run):
    """Exponent of width in ||W_T - W_0|| / ||W_0||, first weights."""
    return slope(run, "first_weights")


def output_weights(run):
    """Exponent of width in ||a_T - a_0|| / ||a_0||, output weights."""
    return slope(run, "output_weights")


def start_kernel(run):
    """Exponent of width in ||Theta_0 - Theta_inf|| / ||Theta_inf||, Frobenius norms."""
    apart = ((run.kernel - run.predicted_kernel) ** 2).sum(["sample", "other"])
    return stats.log_slope(np.sqrt(apart / (run.predicted_kernel**2).sum(["sample", "other"])),
                           "width")  # fmt: skip


def drift_smooth(run):
    """Exponent of width in ||Theta_T - Theta_0|| / ||Theta_0||, smooth activations."""
    return slope(run.sel(activation=run.activation != "relu"), "kernel_drift")


def drift_relu(run):
    """Exponent of width in ||Theta_T - Theta_0|| / ||Theta_0||, ReLU."""
    return slope(run.reindex(activation=["relu"]), "kernel_drift")


def drift_apart(run):
    """Exponent of the kernel's drift with each smooth activation, less that with ReLU."""
    return drift_smooth(run) - drift_relu(run).isel(activation=0, drop=True)


def gap(run):
    """Largest over time of the root mean square over samples of f_t less a theory's f_t."""
    return np.sqrt(((run.output - run.predicted_output) ** 2).mean("sample")).max("step")


def infinite(run):
    """Exponent of width in sup_t ||f_t - f_t of the kernel of infinite width||."""
    return stats.log_slope(gap(run).sel(theory="infinite width", drop=True), "width")


def linearised(run):
    """Exponent of sup_t ||f_t - linearised f_t|| less that with the kernel of infinite width."""
    return stats.log_slope(gap(run).sel(theory="at the start", drop=True), "width") - infinite(run)


def curve(run):
    """Largest over time of |loss / loss of the linearised model - 1|, smooth, at the widest."""
    run = run.sel(activation=run.activation != "relu").isel(width=-1, drop=True)
    predicted = run.predicted_loss.sel(theory="at the start", drop=True)
    return abs(run.loss / predicted - 1).max("step")


WIDTHS = Experiment(
    "widths", "Two-layer networks of growing width, trained by gradient descent for one stretch of "
    "time on 16 points of a sphere, or on your table.", widths.grow, prediction=widths.frozen,
    claims=(
        Claim("first-weights", "First weights move like $m^{-1/2}$.",
              first_weights, between(-0.57, -0.45)),
        Claim("output-weights", "Output weights move like $m^{-1/2}$.",
              output_weights, between(-0.57, -0.45)),
        Claim("kernel-start", "The first kernel lies $m^{-1/2}$ from its limit.",
              start_kernel, between(-0.58, -0.42)),
        Claim("drift-smooth", "The kernel of a smooth activation drifts like $m^{-1}$.",
              drift_smooth, between(-1.15, -0.9)),
        Claim("drift-relu", "The kernel of ReLU drifts like $m^{-3/4}$.",
              drift_relu, between(-0.9, -0.65)),
        Claim("drift-apart", "The two exponents differ.", drift_apart, below(0)),
        Claim("infinite", "Outputs approach those of the kernel of infinite width like "
              "$m^{-1/2}$.", infinite, between(-0.65, -0.4)),
        Claim("linearised", "They approach those of their own linearised model faster.",
              linearised, below(-0.1)),
        Claim("curve", "The loss of the widest networks stays within 2 % of their linearised "
              "models' at all times.", curve, between(0, 0.02)),
    ),
    figures=(
        Figure("exponents", "Movements and distances against width; dashed, the predicted slopes "
               "through the widest. Grey: the mean-field scaling.", draw.exponents),
        Figure("losses", "Losses; dashed, the linearised models.", draw.losses),
    ),
    control=Control("In the mean-field scaling neither weights nor kernel know the width.",
                    {"scaling": "mean-field"},
                    ("first-weights", "output-weights", "drift-smooth", "drift-relu", "curve")),
    reads="y",
)  # fmt: skip


STUDY = Study(
    slug="ntk-regime", family="overparameterisation", title="Wide networks are lazy",
    question="How far does a wide network move from where it starts, and is it a kernel method?",
    params=NtkParams, experiments=(WIDTHS,),
    theory=r"""
$f(x) = m^{-1/2} \sum_j a_j \sigma(w_j \cdot x / \sqrt d)$.
""",
    references=references("jacot2018neural"),
    presets={"quick": {}},
    cost={"quick": 50},
    answers=("width", "features", "activation"), cover="exponents",
    input=Input("a table: columns of features, the last or y the target; 4 to 256 rows",
                (".csv", ".npz"), widths.table),
)  # fmt: skip
