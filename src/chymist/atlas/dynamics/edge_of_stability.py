"""Gradient descent raises the sharpness to 2 over its step size, and goes on there.

A network is trained on digits by full-batch gradient descent while the largest eigenvalue of its
Hessian is measured. It rises to the largest value that the step size stands, and hovers there: the
step size decides where training goes.
"""

from typing import Literal

from chymist import data, references
from chymist.atlas.dynamics.adaptive import ADAPTIVE
from chymist.atlas.dynamics.average import AVERAGE
from chymist.atlas.dynamics.hovering import DEFAULT, DESCENT
from chymist.atlas.dynamics.momentum import MOMENTUM
from chymist.atlas.dynamics.product import PRODUCT
from chymist.params import Field, Lane, Params
from chymist.study import Input, Study

Problem = Literal["digits", "random-labels", "chebyshev-3", "chebyshev-4", "chebyshev-5"]


class EdgeParams(Params):
    """First the networks on digits, then the others."""

    seeds: int = Field(8, ge=5, le=10_000, description="independent repetitions")
    problem: Problem = Field("digits", description=(
        "digits, or with labels drawn at random; or a Chebyshev polynomial on [-1, 1]"))
    points: int = Field(200, ge=4, le=1797, description="samples")
    layers: str = Field("32-32", pattern=r"^[1-9]\d{0,3}(-[1-9]\d{0,3}){0,15}$", examples=[
        "32-32"], description="neurons of the hidden layers, the first to the last")
    activation: Literal["tanh", "gelu", "relu"] = Field("tanh", description=(
        "of the hidden layers; of relu the kinks are not in the Hessian"))
    gain: float = Field(DEFAULT, gt=0, le=10, description=(
        "weights start from N(0, gain^2 / inputs); 0.577 is as wide as PyTorch's default"))
    lr: Lane[float] = Field((0.6, 0.5, 0.4), gt=0, le=100, description="step size")
    steps: int = Field(1600, ge=200, le=10**6, description="updates")
    few: int = Field(100, ge=4, le=1797, description="samples with random labels")
    momentum: Lane[float] = Field((0.5,), ge=0, lt=1, description="momentum")
    edge: Lane[float] = Field((8.0, 10.0, 14.0), gt=0, le=1e6, description=(
        "sharpness at which the step size puts the threshold of each method with momentum"))
    momentum_steps: int = Field(800, ge=200, le=10**6, description="updates with momentum")
    adaptive_lr: Lane[float] = Field((1e-3, 2e-3, 3e-3), gt=0, le=1, description=(
        "step size of RMSProp; Adam takes three times that"))
    beta2: float = Field(0.999, ge=0, lt=1, description=(
        "memory of the squared gradients of both; the theory holds P fixed, which is 1"))
    adaptive_steps: int = Field(1000, ge=200, le=10**6, description="updates of these two")
    neurons: int = Field(16, ge=1, le=64, description="of the small network of the averages")
    small_lr: float = Field(0.5, gt=0, le=100, description="step size of the small network")
    small_steps: int = Field(700, ge=100, le=10**5, description="updates of the small network")
    product_lr: Lane[float] = Field((0.03, 0.02), gt=0, le=1, description=(
        "step size on the product of two numbers"))
    landscape: Literal["product", "quadratic"] = Field("product", description=(
        "(1 - x^2 y^2)^2 / 4, or a quadratic as sharp as where its gradient flow ends"))
    starts: int = Field(40, ge=5, le=10_000, description="starts on the product for each seed")
    product_steps: int = Field(60_000, ge=100, le=10**8, description="updates there at most")


STUDY = Study(
    slug="edge-of-stability", family="dynamics", params=EdgeParams,
    answers=("step-size", "stability", "optimiser", "landscape"),
    title="Training at the edge of stability",
    question="What does the step size decide, beyond how fast training goes?",
    experiments=(DESCENT, MOMENTUM, ADAPTIVE, AVERAGE, PRODUCT),
    theory=r"""
Along an eigenvector of the Hessian with eigenvalue $\lambda$ gradient descent of step size $\eta$
multiplies by $1 - \eta\lambda$: stable up to $2/\eta$. Heavy ball stands $(2+2\beta)/\eta$,
Nesterov's method $(2+2\beta)/(\eta(1+2\beta))$; RMSProp and Adam divide by a diagonal $P$, and
stand eigenvalues of $P^{-1}H$ up to $2/\eta$ and $(2+2\beta_1)/((1-\beta_1)\eta)$. Beyond, the
weights swing along the critical eigenvector $u$, and the swing $\delta u$ adds
$\frac12 \delta^2 \nabla \lambda$ to the gradient, which lowers $\lambda$ again. Averaged over the
swing, $\frac{dw}{dt} = -\eta[\nabla L + \frac12 \nabla \langle H, \Sigma\rangle]$ with the
covariance $\Sigma \succeq 0$ that just keeps the critical eigenvalues at $2/\eta$ (central flow),
and the averaged loss is $L(w) + \mathrm{tr}\,\Sigma/\eta$. For $L = (1 - x^2y^2)^2/4$ the flow
conserves $x^2 - y^2$ and ends at the sharpness $2\sqrt{(x^2-y^2)^2 + 4}$.
""",
    limits="A step size whose threshold is never reached refutes hovering here, as in the "
           "control: on your own data raise lr until sharpness gets there. Sharpness rises less "
           "with more samples and true labels. Under heavy ball with momentum 0.9 the loss of "
           "these networks vanishes before the edge is reached. RMSProp lies some percent above "
           "2 / lr, more at larger steps, and with beta2 = 0.99 in place of 0.999 9 to 14 percent: "
           "the threshold is that of a P held fixed. Central flow is compared for gradient descent "
           "only, in networks of some hundred weights, and single networks may end in another "
           "valley than it does. With cross-entropy sharpness falls as the loss vanishes. The "
           "Hessian does not see the kinks of relu. The preset paper is of a published size, on "
           "digits rather than on CIFAR-10, and has not been run; its cost is an estimate.",
    references=references("cohen2021gradient", "cohen2022adaptive", "damian2023self",
                          "cohen2025understanding", "wu2018how", "zhu2023understanding"),
    presets={
        "quick": {},
        "paper": {"layers": "200-200", "points": 1000, "lr": (0.4, 0.2, 0.1, 0.05),
                  "steps": 20_000, "few": 500, "edge": (10.0, 20.0, 40.0), "neurons": 32,
                  "momentum": (0.5, 0.9), "momentum_steps": 10_000, "adaptive_steps": 10_000,
                  "small_steps": 3000, "starts": 200, "seeds": 10},
    },
    cost={"quick": 120, "paper": 40_000},
    input=Input("a table of features and targets: CSV with a header, targets in columns y..., or "
                "NPZ with arrays x and y", (".csv", ".npz"), data.table),
)  # fmt: skip
