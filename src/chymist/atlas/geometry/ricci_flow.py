"""Curvature of graphs, computed exactly, and the flow that it drives: what it finds and where.

Exact values, bounds and rates first: they hold the transport solver to account. Then what is done
with them: the flow evens curvature out, tells edges between communities from those within, and
finds communities, down to a signal at which cutting long edges fails.
"""

from chymist import data, references
from chymist.atlas.geometry.blocks import BLOCKS
from chymist.atlas.geometry.closed_forms import VALUES
from chymist.atlas.geometry.idleness import IDLENESS
from chymist.atlas.geometry.known_groups import KNOWN
from chymist.atlas.geometry.neck import NECK
from chymist.atlas.geometry.own_graph import OWN
from chymist.atlas.geometry.smoothing import SMOOTHING
from chymist.params import Field, Lane, Params
from chymist.study import Input, Study


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
    answers=("graphs", "structure"),
    cover="blocks",
    input=Input("a graph: an edge list (source, target, and length or similarity), GraphML, GEXF "
                "or GML", data.GRAPH_FILES, data.graph),
)  # fmt: skip
