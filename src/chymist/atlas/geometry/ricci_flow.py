"""Curvature of graphs, computed exactly, and the flow that it drives: what it finds and where.

Exact values, bounds and rates first: they hold the transport solver to account. Then what is done
with them: the flow evens curvature out, tells edges between communities from those within, and
finds communities, down to a signal at which cutting long edges fails.
"""

from functools import partial

import numpy as np
import xarray as xr

from chymist import data, references
from chymist.atlas.geometry import blocks, exact_curvature, neck, own_graph
from chymist.atlas.geometry import ricci_figures as draw
from chymist.claims import Claim, above, below, between
from chymist.params import Field, Lane, Params
from chymist.study import Control, Experiment, Figure, Input, Study


class RicciParams(Params):
    """First the exact values, then the flow at a neck, then communities."""

    seeds: int = Field(12, ge=5, le=10_000, description="independent repetitions")
    idleness: float = Field(0.5, ge=0, lt=1, description="mass that stays, for exact values")
    nodes: int = Field(14, ge=4, le=200, description="of the random graphs, of mean degree 4")
    graphs: int = Field(25, ge=1, le=10_000, description="random graphs a seed")
    from_threshold: float = Field(1.0, ge=0, le=1, description=(
        "idleness, in units of 1 / (larger degree + 1), from which kappa/(1-alpha) is constant"))
    k: Lane[int] = Field((4, 5, 8, 12), ge=4, le=64, description="nodes of each complete graph")
    neck: bool = Field(True, description="join two complete graphs by an edge; or take one of 2k")
    jitter: float = Field(0.2, ge=0, lt=1, description="relative size of the random first lengths")
    neck_step: float = Field(0.2, gt=0, le=0.5, description="step of the flow at the neck")
    duration: float = Field(15.0, ge=6, le=22, description="time of that flow")
    smoothing_p: float = Field(0.0, ge=0, le=4, description="p while curvature evens out")
    smoothing_steps: int = Field(20, ge=20, le=1000, description="steps of that flow, of size 1")
    block: int = Field(40, ge=8, le=1000, description="nodes of a block")
    blocks: int = Field(2, ge=2, le=16, description="blocks")
    p_in: float = Field(0.3, gt=0, le=1, description="chance of an edge within a block")
    p_out: Lane[float] = Field((0.08, 0.11, 0.15, 0.2), ge=0, le=1, description=(
        "chances of an edge between blocks; the first is judged for the flow's gain"))
    blocks_p: float = Field(2.0, ge=0, le=4, description="p of the flow on blocks")
    steps: int = Field(10, ge=1, le=1000, description="steps of that flow, of size 1")
    own_p: float = Field(0.0, ge=0, le=4, description="p of the flow on your graph")
    own_steps: int = Field(10, ge=1, le=1000, description="steps of that flow, of size 1")
    surgery: int = Field(0, ge=0, le=1000, description=(
        "steps after which it removes edges longer than four times the mean; 0: never"))
    rewired: bool = Field(False, description="take random graphs of the same degrees instead")


def digits(error):
    """log10 of an error, at least -17; dimensions other than seed by their largest."""
    others = [d for d in error.dims if d != "seed"]
    return np.log10(np.maximum(error.max(others), 1e-17))


def value_error(run):
    """log10 of the largest |kappa_alpha / (1 - alpha) - closed form| over all edges."""
    low = abs(run.lowest - run.predicted_lowest)
    return digits(np.maximum(low, abs(run.highest - run.predicted_highest)))


VALUES = Experiment(
    "values", "Thirteen graphs with closed forms, nodes renamed by each seed, idleness 1/2.",
    exact_curvature.named_curvatures, prediction=exact_curvature.closed_forms, claims=(
        Claim("exact", "Curvatures of Lin, Lu and Yau are the closed forms.",
              value_error, below(-9)),),
    figures=(Figure("values", "Curvature by graph and degrees; crosses, the closed forms.",
                    draw.values),),
    control=Control("Without idleness kappa is another curvature.", {"idleness": 0.0}, ("exact",)),
)  # fmt: skip


def bend_error(run):
    """log10 of the largest distance from a line on two intervals of alpha, and from three lines."""
    return digits(run.bend)


def drift_error(run):
    """log10 of the largest |kappa / (1 - alpha) - limit| for alpha from the threshold on."""
    return digits(run.drift)


def bound_error(run):
    """log10 of the largest amount by which one of three bounds is broken."""
    return digits(run.violation)


IDLENESS = Experiment(
    "idleness", "Random graphs: kappa as a function of the idleness alpha, and bounds.",
    exact_curvature.random_curvatures, claims=(
        Claim("three-pieces", "kappa is the least of three lines in alpha, the first up to "
              "1/(lcm + 1) of the degrees, the last from 1/(max + 1) on.", bend_error, below(-9)),
        Claim("constant", "kappa/(1 - alpha) is constant from the threshold 1/(max + 1) on.",
              drift_error, below(-9)),
        Claim("bounds", "Balanced Forman curvature, triangles and degrees bound it.",
              bound_error, below(-9)),
    ),
    figures=(Figure("idleness", "kappa of three edges against the idleness.", draw.idleness),),
    control=Control("From idleness 0 on the ratio is not constant.",
                    {"from_threshold": 0.0}, ("constant",)),
)  # fmt: skip


def slope_ratio(run):
    """Late slope of ln(bridge / interior edge) over the predicted rate."""
    return run.slope / run.predicted_slope


def bridge_ratio(run):
    """Last curvature of the bridge over the predicted one."""
    return (run.bridge / run.predicted_bridge).isel(time=-1, drop=True)


def factor_ratio(run):
    """What an interior edge keeps in a late step (p = 1, step 1) over 1 - k / (2 (k - 1))."""
    return run.factor / run.predicted_factor


NECK = Experiment(
    "neck", "Two complete graphs of k nodes and a bridge, from random lengths.", neck.pinch,
    prediction=neck.rates, claims=(
        Claim("pinch", "The bridge outgrows the interior at the predicted rate.",
              slope_ratio, between(0.97, 1.03)),
        Claim("bridge-curvature", "The bridge's curvature rises to a positive limit.",
              bridge_ratio, between(0.97, 1.03)),
        Claim("collapse", "With p = 1 interior edges shrink by the predicted factor a step.",
              factor_ratio, between(0.97, 1.03)),
    ),
    figures=(Figure("neck", "Bridge over interior edge, and the bridge's curvature; dashed: "
                    "theory; in the control there is no neck.", draw.neck),),
    control=Control("A complete graph of 2k nodes has no neck.", {"neck": False},
                    ("pinch", "bridge-curvature", "collapse")),
)  # fmt: skip


def evenness(run):
    """Log of the spread of kappa after 20 steps over the first; edges that do not contract."""
    return np.log(run.spread.isel(step=20, drop=True) / run.spread.isel(step=0, drop=True))


def straightness(run):
    """R^2 of a line through ln sd(kappa) against steps, 0 to 20."""
    logs = np.log(run.spread.isel(step=slice(21)))
    return xr.corr(logs, logs.step.astype(float), "step") ** 2


SMOOTHING = Experiment(
    "smoothing", "Curvature over twenty steps of the flow, p = 0.", blocks.smoothing, claims=(
        Claim("evens-out", "Its spread falls below a twentieth on edges that do not contract.",
              evenness, below(np.log(0.05))),
        Claim("exponentially", "It falls exponentially.", straightness, above(0.9)),
    ),
    figures=(Figure("smoothing", "Spread of the curvature; right, the control.", draw.smoothing),),
    control=Control("With p = 2 measures follow lengths, and curvature does not even out.",
                    {"smoothing_p": 2.0}, ("evens-out",)),
)  # fmt: skip


def auc_gain(run):
    """AUC of edges between blocks by length after the flow less that by -kappa, first p_out."""
    auc = run.auc.isel(p_out=0, drop=True)
    return auc.sel(way="flow", drop=True) - auc.sel(way="curvature", drop=True)


def ari_gain(place, run):
    """ARI of the best cut by length after the flow less that by -kappa, at one p_out."""
    ari = run.ari.isel(p_out=slice(place, place + 1))
    return ari.sel(way="flow", drop=True) - ari.sel(way="curvature", drop=True)


def against_spectral(run):
    """ARI of the flow's cut over that of spectral clustering, where the signal is above 3.5."""
    ari = run.ari.isel(p_out=run.signal.values > 3.5)
    return ari.sel(way="flow", drop=True) / ari.sel(way="spectral", drop=True)


def blindness(run):
    """1 - |ARI| of the flow's cut where the signal is at most 1."""
    return 1 - abs(run.ari.isel(p_out=run.signal.values <= 1).sel(way="flow", drop=True))


def _between(run):
    return run.isel(p_out=(run.signal.values > 1) & (run.signal.values < 3))


def auc_between(run):
    """AUC of edges between blocks after the flow where the signal is between 1 and 3."""
    return _between(run).auc.sel(way="flow", drop=True)


def lost_by_cutting(run):
    """ARI of spectral clustering of exp(-d) less that of the cut, d after the flow, signal 1-3."""
    ari = _between(run).ari
    return ari.sel(way="flow's metric", drop=True) - ari.sel(way="flow", drop=True)


BLOCKS = Experiment(
    "blocks", "Two blocks of 40 nodes; ten steps of the flow, p = 2.", blocks.two_blocks, claims=(
        Claim("sharpens", "The flow tells edges between blocks apart better than curvature.",
              auc_gain, above(0.05)),
        Claim("finds", "And the blocks, by the best cut.", partial(ari_gain, 0), above(0.1)),
        Claim("finds-weaker", "Far better at the next weaker signal.",
              partial(ari_gain, 1), above(0.5)),
        Claim("as-spectral", "Above a signal of 3.5 it finds what spectral clustering finds.",
              against_spectral, above(0.9)),
        Claim("blind", "At a signal of 1 or less the cut finds nothing.", blindness, above(0.9)),
        Claim("still-seen", "Between 1 and 3 lengths still tell edges apart.",
              auc_between, above(0.7)),
        Claim("cut-fails-first", "There the metric knows more than cutting it finds.",
              lost_by_cutting, above(0.1)),
    ),
    figures=(Figure("blocks", "Edges told apart, and blocks found, by signal ratio; dotted, the "
                    "threshold of Kesten and Stigum.", draw.blocks),),
    control=Control("Where the blocks are no blocks nothing is sharpened.",
                    {"p_in": 0.2, "p_out": (0.2,)}, ("sharpens", "finds")),
)  # fmt: skip


def karate(run):
    """ARI of the best cut of the karate club after ten steps, p = 0 and 1."""
    ari = run.ari.sel(graph="karate", after=10, cut="best", drop=True)
    return ari.sel(exponent=[0.0, 1.0])


def league(run):
    """ARI of the league's conferences after five steps, p = 0, cut by modularity."""
    return run.ari.sel(graph="league", after=5, exponent=0.0, cut="modularity", drop=True)


KNOWN = Experiment(
    "known", "Groups that are known: the sides of a karate club; twelve conferences of a league.",
    blocks.known_groups, claims=(
        Claim("karate", "Some cut separates the sides of the club.", karate, above(0.55)),
        Claim("league", "The best cut by modularity finds the conferences.", league, above(0.92)),
    ),
    figures=(Figure("known", "ARI by exponent p, steps and cut.", draw.known),),
    control=Control("Random graphs of the same degrees have no groups.",
                    {"rewired": True}, ("karate", "league")),
)  # fmt: skip


def beyond_chance(run):
    """Modularity of the best cut of the graph less that of a random graph of its degrees."""
    return run.quality.sel(of="graph", drop=True) - run.quality.sel(of="random", drop=True)


OWN = Experiment(
    "graph", "The communities of a graph, yours or the karate club, by cutting long edges.",
    own_graph.communities, claims=(
        Claim("communities", "The cut is better than on random graphs of the same degrees.",
              beyond_chance, above(0.1)),),
    figures=(
        Figure("curvature", "Curvature of the edges before and after the flow.", draw.histogram),
        Figure("communities", "Modularity of the best cut, of the graph and of random ones.",
               draw.quality)),
    control=Control("A random graph of its degrees has none.", {"rewired": True},
                    ("communities",)),
    reads="ends",
)  # fmt: skip


STUDY = Study(
    slug="ricci-flow", family="geometry", params=RicciParams,
    title="Ricci curvature and Ricci flow on graphs",
    question="What does the curvature of a graph's edges know of its communities?",
    experiments=(VALUES, IDLENESS, NECK, SMOOTHING, BLOCKS, KNOWN, OWN),
    theory=r"""
Let $\mu_x$ keep mass $\alpha$ at $x$ and give $1-\alpha$ to its neighbours in proportion
$\exp(-w^p)$ of the lengths. $\kappa_\alpha(x,y) = 1 - W_1(\mu_x,\mu_y)/d(x,y)$ is concave and
piecewise linear in $\alpha$, and $\kappa = \lim \kappa_\alpha/(1-\alpha)$ is reached from
$\alpha = 1/(\max(d_x, d_y)+1)$ on: $n/(n-1)$ on $K_n$, $2/n$ on a hypercube,
$2/d_x + 2/d_y - 2$ on a tree. The flow $w \leftarrow (1 - \eta\kappa)\,d$ shrinks an edge within a
clique $K_k$ at the rate $k/(k-1)$ while the bridge $b$ between two and the edges $g$ that end at
it reach a fixed ratio $r = b/g$, $r^2 - (k - 3 + \frac{k}{k-1})\,r = 2(k-1)$, at
$\kappa_b = \frac2k(1 - \frac{k-1}{r}) > 0$: the neck pinches at the rate $k/(k-1) - \kappa_b$. Two
equal blocks can be told apart at all only where $(a-b)^2 > 2(a+b)$, with $a$, $b$ the numbers of
nodes times the two chances of an edge.
""",
    limits="A cut by components is the weak part: between signal ratios 1 and 3 the lengths still "
           "know the blocks, and a cut finds a few nodes. The exponent p, the steps and the cut "
           "rule together decide what is found on the karate club (the whole table is drawn; its "
           "best cell is no result). With p = 0 the edges that end at a bridge stretch with it, so "
           "that a cut isolates its ends. The threshold of Kesten and Stigum is one of large "
           "sparse graphs: at 80 nodes it is a guide.",
    references=references("ollivier2009ricci", "lin2011ricci", "jost2014ollivier",
        "bourne2018ollivier", "topping2022understanding", "ni2019community", "tian2025curvature",
        "decelle2011asymptotic"),
    presets={"quick": {}, "paper": {
        "graphs": 100, "nodes": 24, "block": 250, "p_in": 0.15, "p_out": (0.03, 0.06, 0.08, 0.1),
        "seeds": 20}},
    cost={"quick": 60, "paper": 2_000},
    input=Input("a graph: an edge list (source, target, and length or similarity), GraphML, GEXF "
                "or GML", data.GRAPH_FILES, data.graph),
)  # fmt: skip
