"""The neural tangent kernel regime: how lazy a wide network is, by which exponents of its width.

Two-layer networks of growing width are trained for one stretch of time. Weights and the kernel at
the start come as close to the limit as theory says; the kernel moves less than its theorem allows,
by an exponent that the activation decides.
"""

from typing import Literal

import numpy as np

from chymist import data, references, stats
from chymist.atlas.overparameterisation import catapult, layers, laziness, widths
from chymist.atlas.overparameterisation import ntk_figures as draw
from chymist.claims import Claim, above, below, between
from chymist.params import Field, Lane, Params
from chymist.study import Control, Experiment, Figure, Input, Source, Study


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


def outer_layers(run):
    """Exponent of width in the movement of the first and the output weights, deep networks."""
    return stats.log_slope(run.movement.isel(layer=[0, -1]), "deep")


def hidden_layers(run):
    """Exponent of width in the movement of each layer between them, deep networks."""
    return stats.log_slope(run.movement.isel(layer=slice(1, -1)), "deep")


DEEP = Experiment(
    "by-layer", "Deep networks of growing width, layer by layer.", layers.descend, claims=(
        Claim("outer-layers", "First and output weights move like $m^{-1/2}$ at any depth.",
              outer_layers, between(-0.57, -0.43)),
        Claim("hidden-layers", "Weights between them move like $m^{-1}$.",
              hidden_layers, between(-1.1, -0.9)),
    ),
    figures=(Figure("layers", "Movement of each layer; layer 0 is the first.", draw.layers),),
    control=Control("In the mean-field scaling each exponent is larger by a half.",
                    {"scaling": "mean-field", "seeds": 8}, ("outer-layers", "hidden-layers")),
)  # fmt: skip


def lazier(run):
    """Exponent of alpha in the movement of the weights, at the two largest alpha."""
    return stats.log_slope(run.movement.isel(alpha=slice(-2, None)), "alpha")


def lazy_is_worse(run):
    """Held-out error at the largest alpha over that at the smallest."""
    error = run.test_error
    return error.isel(alpha=-1, drop=True) / error.isel(alpha=0, drop=True)


def lazy_is_a_kernel(run):
    """Held-out error at the largest alpha over that of the linearised model."""
    return run.test_error.isel(alpha=-1, drop=True) / run.predicted_test_error


SCALE = Experiment(
    "rich-and-lazy", r"Students of one width learn three ReLU neurons; a factor $\alpha$ before "
    "them makes them rich or lazy.", laziness.imitate, prediction=laziness.lazy_limit, claims=(
        Claim("lazier", r"Weights move like $\alpha^{-1}$ once it is large.",
              lazier, between(-1.1, -0.9)),
        Claim("lazy-is-worse", "Lazy students make at least twice the held-out error of rich ones.",
              lazy_is_worse, above(2)),
        Claim("lazy-is-a-kernel", "The laziest err as their linearised models do, within 10 %.",
              lazy_is_a_kernel, between(0.9, 1.1)),
    ),
    figures=(Figure("alpha", "Movement and held-out error; dashed, linearised models.",
                    draw.alphas),),
    control=Control("Students of small factors are not lazy.", {"alpha": (0.1, 0.15), "seeds": 8},
                    ("lazier", "lazy-is-worse", "lazy-is-a-kernel")),
)  # fmt: skip


def rises(run):
    """Largest loss over the first one."""
    return run.loss.max("step", skipna=False) / run.loss.isel(step=0, drop=True)


def lands(run):
    """Decimal logarithm of the last loss over the first one."""
    return np.log10(run.loss.isel(step=-1, drop=True) / run.loss.isel(step=0, drop=True))


def flattens(run):
    """Largest eigenvalue of the kernel after training over that before."""
    return run.last_eigenvalue / run.first_eigenvalue


def flattens_at_every_width(run):
    """Factor of the share of the largest eigenvalue that is left, from a width to twice it."""
    return 2 ** stats.log_slope(flattens(run), "thrown")


CATAPULT = Experiment(
    "large-steps", "ReLU networks under steps that throw their linearised models out.",
    catapult.throw, prediction=catapult.linear, claims=(
        Claim("rises", "The loss rises to more than twice its first value.", rises, above(2)),
        Claim("lands", "It ends below its first value, where linearised models diverge.",
              lands, below(0)),
        Claim("flattens", "The kernel's largest eigenvalue falls by a tenth or more.",
              flattens, between(0, 0.9)),
        Claim("flattens-always", "It falls as far in wide networks as in narrow ones.",
              flattens_at_every_width, between(2**-0.1, 2**0.1)),
    ),
    figures=(Figure("catapult", "Losses; dashed, the part of linearised models along the first "
                    "eigenvector.", draw.catapult),),
    control=Control("A step of 1 over the largest eigenvalue throws nothing.",
                    {"throw": (1.0,), "seeds": 8}, ("rises", "flattens")),
)  # fmt: skip


def surprise(run):
    """Root mean square over pairs of (kernel of 20,000 neurons - closed form), over that of se."""
    apart = ((run.wide_kernel - run.predicted_wide_kernel) ** 2).mean("pair")
    return np.sqrt(apart / (run.standard_error**2).mean("pair"))


FORMS = Experiment(
    "many-neurons", "Kernels of 20,000 neurons beside the formulas that all of this rests on.",
    layers.sum_up, prediction=layers.closed, claims=(
        Claim("closed-form", "The closed forms agree to what 20,000 neurons can tell.",
              surprise, between(0.5, 1.5)),
    ),
    figures=(Figure("closed-forms", "Deviation in standard errors, by seed; dotted, the edges of "
                    "the claim's region.", draw.surprises),),
    control=Control("First weights a fifth too large are noticed.", {"first_std": 1.2, "seeds": 8},
                    ("closed-form",)),
)  # fmt: skip


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
