"""Exponents of width in what two-layer networks do: an experiment of `ntk-regime`."""

from __future__ import annotations

import numpy as np

from chymist import stats
from chymist.atlas.overparameterisation import ntk_figures as draw
from chymist.atlas.overparameterisation import widths
from chymist.claims import Claim, below, between
from chymist.study import Control, Experiment, Figure


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
    "growing-width", "Two-layer networks of growing width, trained by gradient descent for one "
    "stretch of time on 16 points of a sphere, or on your table.",
    widths.grow, prediction=widths.frozen, claims=(
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
                    {"scaling": "mean-field", "seeds": 8},
                    ("first-weights", "output-weights", "drift-smooth", "drift-relu", "curve")),
    reads="y",
)  # fmt: skip
