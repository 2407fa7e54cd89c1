"""Which functions do networks approximate efficiently? Exponents over width and dimension.

A function that is a mean of neurons (a Barron function) is approximated by m neurons drawn from
that mean with error c/m in every dimension. Fixed random neurons, combined at best, reach a power
of m that dies with the dimension; trained neurons reach the same error in all.
"""

from chymist import data, references, stats
from chymist.atlas.approximation import barron_figures as draw
from chymist.atlas.approximation import random_neurons, trained_neurons
from chymist.atlas.approximation.sampled_neurons import SAMPLED
from chymist.claims import Claim, above, below, between
from chymist.params import Axis, Field, Lane, Params
from chymist.study import Control, Experiment, Figure, Input, Source, Study


class BarronParams(Params):
    """The dimension d of the inputs; neurons drawn, fixed and trained."""

    seeds: int = Field(10, ge=5, le=10_000, description="independent repetitions")
    dimension: Axis[int] = Field((2, 3, 4, 5, 8, 16), ge=2, le=512, description=(
        "d of the sphere S^(d-1); 3 is among them, the others are compared with it"))
    drawn: Lane[int] = Field((8, 16, 32, 64, 128), ge=2, le=8192, description=(
        "numbers of neurons drawn"))
    draws: int = Field(120, ge=2, le=10**6, description="draws a seed")
    one_sided: bool = Field(False, description="draw only directions with v_1 > 0")
    fixed: Lane[int] = Field((16, 32, 64, 128, 256, 512, 1024), ge=2, le=16_384, description=(
        "numbers of fixed random neurons"))
    codimension: Lane[int] = Field((1, 2), ge=1, le=8, description="of the target's kink")
    targets: int = Field(96, ge=1, le=10_000, description="targets in random places a seed")
    smooth: bool = Field(False, description="take a smooth target instead")
    trained: Lane[int] = Field((8, 16), ge=2, le=256, description="numbers of trained neurons")
    starts: int = Field(3, ge=1, le=1000, description="starts, of which the best counts")
    outer_only: bool = Field(False, description="train the outer weights alone")
    sampled: Lane[int] = Field((8, 16, 32), ge=2, le=1024, description=(
        "numbers of neurons that fit samples"))
    sampled_steps: int = Field(4000, ge=1, le=10**6, description="updates there")


def monte_carlo_slope(run):
    """Power of m of the error of a mean of m drawn neurons."""
    return stats.log_slope(run.error, "m")


def monte_carlo_constant(run):
    """Error times m, mean over m, over the predicted constant."""
    return run.constant / run.predicted_constant


DRAWN = Experiment(
    "drawn-neurons", "The mean of m neurons drawn from the measure that makes up the target.",
    random_neurons.means, prediction=random_neurons.monte_carlo, claims=(
        Claim("monte-carlo", "The error falls as 1/m in every dimension.",
              monte_carlo_slope, between(-1.1, -0.9)),
        Claim("constant", "With the predicted constant.", monte_carlo_constant, between(0.9, 1.1)),
    ),
    figures=(Figure("drawn", "Error of the mean of m neurons; dashed, c/m.", draw.drawn),),
    control=Control("Neurons drawn from half of the measure have another mean.",
                    {"one_sided": True}, ("monte-carlo", "constant")),
)  # fmt: skip


def exponent_over_theory(run):
    """Exponent of m over -(k + 2)/(d - 1); each k, and each d with room for a power law."""
    room = run.exponent.notnull().any(("k", "seed"))
    return (run.exponent / run.predicted_exponent).isel(dimension=room)


def smallest_step(run):
    """Least rise of the exponent, over the three largest m, from one dimension to the next."""
    return run.late.sortby("dimension").diff("dimension").min("dimension")


def norm_growth(run):
    """Power of m of the squared kernel norm m sum a^2 for one neuron (k = 1), d > 2 with room."""
    growth = run.norm_exponent.sel(k=1, drop=True)
    return growth.isel(dimension=(run.dimension > 2) & growth.notnull().any("seed"))


FIXED = Experiment(
    "fixed-neurons", "The best combination of m fixed random neurons, by the exact Gram matrix.",
    random_neurons.features, prediction=random_neurons.curse, claims=(
        Claim("cursed", "The exponent of m is $-(k+2)/(d-1)$.",
              exponent_over_theory, between(0.8, 1.2)),
        Claim("ever-slower", "It is nearer to 0 in every higher dimension.",
              smallest_step, above(0)),
        Claim("outside-kernel-space", "The kernel norm that one neuron asks for grows without end.",
              norm_growth, above(0.5)),
    ),
    figures=(
        Figure("fixed", "Error of the best combination of m fixed neurons, by dimension.",
               draw.fixed),
        Figure("exponents", "Exponent of m against 1/(d-1); dashed, $-(k+2)/(d-1)$.",
               draw.exponents),
        Figure("norms", "Squared kernel norm of the combination.", draw.norms),
    ),
    control=Control("A smooth target over all directions is in the kernel space.",
                    {"smooth": True}, ("cursed", "outside-kernel-space")),
)  # fmt: skip


def against_three(run):
    """Error in d dimensions over that in three, missing without three; each m and d."""
    ratio = run.error / run.error.where(run.dimension == 3).max("dimension")
    return ratio.isel(dimension=run.dimension.values != 3)


def trained_slope(run):
    """Power of m of the error of trained neurons; each d."""
    return stats.log_slope(run.error, "m")


def against_polygon(run):
    """Error over that of m evenly spaced neurons; each m and d."""
    return run.error / run.predicted_error


def path_norm(run):
    """Path norm sum |a||w|, in units of the target's Barron norm, 1; each m and d."""
    return run.path_norm


FACTOR = 2.5
"""By so much local minima part errors that are the same."""
TRAINED = Experiment(
    "trained-neurons", "Neurons trained on the exact loss, on a function of two of the d "
    "coordinates.",
    trained_neurons.circle, prediction=trained_neurons.polygon, claims=(
        Claim("no-curse", "Within a factor 2.5 the error is the same in every dimension.",
              against_three, between(1 / FACTOR, FACTOR)),
        Claim("steep", "It falls faster than $m^{-3}$.", trained_slope, below(-3)),
        Claim("polygon", "Within a factor 2.5 it is that of a regular polygon.",
              against_polygon, between(1 / FACTOR, FACTOR)),
        Claim("path-norm", "The path norm stays below three times the Barron norm.",
              path_norm, between(0, 3)),
    ),
    figures=(
        Figure("trained", "Error of m trained neurons against the dimension; dashed: polygons; "
               "right, with outer weights alone trained.", draw.trained),
        Figure("path-norm", "Path norms of the trained networks.", draw.path),
    ),
    control=Control("Where only outer weights are trained the error depends on the dimension.",
                    {"outer_only": True}, ("no-curse", "steep", "polygon")),
)  # fmt: skip


STUDY = Study(
    slug="barron-approximation", family="approximation", params=BarronParams,
    title="Barron functions and the curse of dimension",
    question="Which functions do networks approximate efficiently in high dimension?",
    experiments=(DRAWN, FIXED, TRAINED, SAMPLED), cover="exponents",
    theory=r"""
Let $x$ be uniform on the sphere $S^{d-1}$ and $f(x) = E_v\,\mathrm{relu}(v \cdot x)$, $|v| = 1$: a
Barron function of norm at most 1. The mean of $m$ neurons drawn like $v$ has the squared error
$c/m$, $c = \kappa(v,v)/|f|^2 - 1$, whatever $d$ is. Let $v$ be uniform on a subsphere $S^{k-1}$:
then $f = c_k |P x|$ has a kink of codimension $k$, and energy $l^{-(k+3)}$ in spherical
harmonics of degree $l$. Fixed random neurons resolve degrees up to $L = m^{1/(d-1)}$, as many as
there are harmonics; the rest is the error, $m^{-(k+2)/(d-1)}$, and the squared kernel norm
$m \sum_j a_j^2$ grows as $L^{d-k} = m^{(d-k)/(d-1)}$. Neurons that turn find the plane of
$S^1$: $m$ of them, evenly spaced on it, have the error $2\zeta(4) m^{-4}$ in every $d$. In the
worst case over Barron functions the best exponent is $-1 - 3/(d-1)$.
""",
    limits="The exponents of fixed features hold where they resolve degrees well: with $m = 1024$ "
           "up to $d = 5$; in higher dimensions the local exponent is still steeper than its "
           "limit, and a straight line does not show it. At $d = 2$ the Gram matrix is so nearly "
           "singular that kernel norms are rounding. Trained networks are much better than 1/m on "
           "this target, and are not compared with the worst Barron function. Without biases only "
           "even degrees and degree 1 can be represented.",
    answers=("dimension", "width", "features"),
    references=references("barron1993universal", "e2019barron", "siegel2022sharp",
                          "bach2017breaking", "yehudai2019power", "e2019apriori"),
    presets={"quick": {}, "paper": {
        "dimension": (2, 3, 4, 5, 6, 8, 12), "drawn": (8, 16, 32, 64, 128, 256), "draws": 400,
        "fixed": (16, 32, 64, 128, 256, 512, 1024, 2048, 4096), "codimension": (1, 2, 3),
        "trained": (8, 16, 32, 64), "seeds": 20}},
    cost={"quick": 65, "paper": 7200},
    input=Input("samples of a function of two inputs or more: a table of at least 200 rows, the "
                "last column or y its value", (".csv", ".npz"), data.sampled_function,
                function=Source("returns (f, sample): f(x) has a value for each row of x, "
                                "sample(rng, n) draws n rows; or two arrays (x, y)",
                                data.made_function)),
)  # fmt: skip
