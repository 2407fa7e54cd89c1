"""SGD leaves minima of gradient descent within a few steps, where samples disagree on curvature.

Near a minimum that fits every sample SGD is a product of random matrices. It may shrink on average
and yet grow in the mean square: stability asks for little sharpness and for little scatter of the
samples' curvatures. First one dimension, where all is exact; then small networks.
"""

from typing import Any, Literal, Self

from pydantic import model_validator

from chymist import data
from chymist.atlas.dynamics.escape import GROW, RESTART
from chymist.atlas.dynamics.landing import DIAGRAM, SETTLE
from chymist.atlas.dynamics.own_checkpoint import CHECKPOINT
from chymist.atlas.dynamics.well import THRESHOLD, WELL
from chymist.bibliography import references
from chymist.models.activations import Activation
from chymist.params import Field, Lane, Params
from chymist.study import Input, Source, Study


class EscapeParams(Params):
    """First the example in one dimension, then restarts, growth, landing and the diagram."""

    seeds: int = Field(7, ge=5, le=10_000, description="independent repetitions")
    eps: Lane[float] = Field(
        (1e-8, 1e-6, 1e-4, 1e-2),
        gt=1e-12,
        le=0.1,
        description=("distances from x = 1 at the start"),
    )
    step: float = Field(0.7, gt=0, lt=1, description="step size in one dimension")
    runs: int = Field(2000, ge=2, le=10**6, description="runs a seed there")
    threshold_runs: int = Field(200, ge=2, le=10**5, description="runs where the threshold is")
    kick: Literal["sample", "mean", "white"] = Field(
        "sample",
        description=(
            "gradient in one dimension: of one sample, of both, or of both with white noise"
        ),
    )
    samples: int = Field(64, ge=8, le=1797, description="digits")
    width: int = Field(20, ge=2, le=4096, description="neurons of each of two hidden layers")
    full: bool = Field(False, description="take all samples at every step of SGD")
    gd_steps: int = Field(3000, ge=8, le=10**7, description="of gradient descent to its minimum")
    lr0: Lane[float] = Field((0.1, 0.2, 0.4), gt=0, description="its step sizes")
    lr: Lane[float] = Field((0.05, 0.1, 0.2, 0.4, 0.8), gt=0, description=("of SGD that goes on"))
    batch: Lane[int] = Field((1, 4, 16), ge=1, description="its batch sizes")
    orders: int = Field(4, ge=1, le=10_000, description="orders of batches from each minimum")
    restart_steps: int = Field(400, ge=1, le=10**7, description="updates of a restart")
    growth_reach: float = Field(
        0.9,
        gt=0,
        lt=1,
        description=("step size where growth is followed, in units of 2/a: gradient descent stays"),
    )
    growth_batch: int = Field(4, ge=1, description="batch size there")
    growth_orders: int = Field(256, ge=64, le=10**5, description="orders there")
    growth_steps: int = Field(12, ge=4, le=10_000, description="updates there")
    settle_lr: float = Field(0.1, gt=0, description="step size before and after the restart")
    settle_batch: int = Field(1, ge=1, description="batch size after it")
    settle_steps: int = Field(6000, ge=1, le=10**8, description="updates after it")
    diagram_lr: Lane[float] = Field((0.1, 0.2, 0.3), gt=0, description="step sizes of the diagram")
    diagram_batch: Lane[int] = Field((1, 8, 64), ge=1, description="its batch sizes")
    diagram_steps: int = Field(2000, ge=1, le=10**8, description="its updates")
    planned_lr: Lane[float] = Field((0.05,), gt=0, description=(
        "planned from a checkpoint, on half the mean square error"))
    planned_batch: Lane[int] = Field((16,), ge=1, description="its batch sizes")
    activation: Activation = Field("tanh", description="between the layers of your checkpoint")
    beyond: bool = Field(False, description="take steps of 3/a from the checkpoint instead")

    @model_validator(mode="after")
    def _batches_fit(self) -> Self:
        lanes: Any = (self.batch, self.diagram_batch)
        largest = max(*map(max, lanes), self.growth_batch, self.settle_batch)
        if largest > self.samples:
            raise ValueError(f"a batch of {largest} cannot be drawn from {self.samples} samples")
        return self


STUDY = Study(
    slug="sgd-escape", family="dynamics", title="SGD leaves sharp minima within a few steps",
    question="Why does SGD leave a minimum where gradient descent stays, and so soon?",
    params=EscapeParams, experiments=(WELL, THRESHOLD, RESTART, GROW, SETTLE, DIAGRAM, CHECKPOINT),
    theory=r"""
At a minimum $w_*$ that fits all $n$ samples let $H_i$ be their Hessians, $H$ the mean, $a$ its
largest eigenvalue and $s^2$ the largest of $\frac1n \sum_i H_i^2 - H^2$. SGD of step size $\eta$
and batches of $B$ is $w \leftarrow (I - \eta H_B) w$ nearby. In one dimension with batches of one
$\ln|w|$ walks with the drift $\Lambda = \frac1n \sum_i \ln|1 - \eta a_i|$: from a distance
$\epsilon$ it is gone after about $\ln(e/\epsilon)/\Lambda$ steps, which is logarithmic, as no
barrier is crossed. The mean square obeys
$E w^2 \leftarrow [(1-\eta a)^2 + \eta^2 c_B s^2] E w^2$ with $c_B = \frac{n-B}{B(n-1)}$. So SGD
stays, in the mean square, only if $a \leq 2/\eta$ and $s \leq 1/(\eta\sqrt{c_B})$: a rectangle. In
more dimensions the second moment obeys a linear map, whose largest eigenvalue decides.
""",
    limits="The rectangle is exact in one dimension only; cells within 15 % of a bound are not "
           "judged. Linear stability speaks of minima that (nearly) fit every sample. Means and "
           "medians differ: mean losses are carried by few runs.",
    references=references("wu2018sgd", "wang2023noise", "mulayoff2023exact", "zhu2019anisotropic"),
    presets={"quick": {}, "paper": {
        "seeds": 10, "runs": 20_000, "samples": 500, "width": 200, "gd_steps": 20_000,
        "orders": 16, "settle_steps": 20_000, "diagram_steps": 20_000,
        "diagram_batch": (1, 4, 16, 500)}},
    cost={"quick": 25, "paper": 20_000},
    answers=("batch-size", "step-size", "implicit-bias", "stability"), cover="restarts",
    input=Input("a table of features and one target, to whose minima restarts are asked: CSV with "
                "a header, or NPZ with arrays x and y; 4 to 512 rows. Or a checkpoint: such x and "
                "y, and the weights of a dense network as in PyTorch's state_dict, in NPZ or "
                "safetensors",
                (".csv", ".npz", ".safetensors"), data.table_or_checkpoint,
                function=Source("returns (network, (x, y)): a module of dense layers, or its "
                                "state_dict", data.made_checkpoint)),
)  # fmt: skip
