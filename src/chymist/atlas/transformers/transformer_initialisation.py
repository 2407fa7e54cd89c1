"""Why a transformer whose logits are not divided by sqrt(d) does not train, and other starts.

How large signals and updates are at the start decides whether attention can learn, what a norm's
place keeps of the input, how far one step moves the outputs of deep networks and of wide ones. Most
is measured without training; a task of recall then shows the price of a forgotten division.
"""

from typing import Literal

from chymist.atlas.transformers.birth import BIRTH
from chymist.atlas.transformers.first_steps import STEP, WIDTHS
from chymist.atlas.transformers.recall import EQUAL, FORGOTTEN, REPAIRS
from chymist.atlas.transformers.streams import STREAMS
from chymist.bibliography import references
from chymist.params import Field, Lane, Params
from chymist.study import Study


class TransformerParams(Params):
    """Heads at birth, streams, one step, widths; then trainings on associative recall."""

    seeds: int = Field(8, ge=5, le=10_000, description="independent repetitions")
    head: Lane[int] = Field((64, 256, 1024), ge=1, le=4096, description="width d of a head")
    keys: int = Field(128, ge=2, le=4096, description="keys T that a head chooses among")
    blocks: int = Field(8, ge=1, le=256, description="blocks of the streams")
    stream_width: int = Field(128, ge=8, le=4096, description="width of the streams")
    stream_keys: int = Field(32, ge=2, le=1024, description="tokens of the streams")
    constants: Literal["deep-norm", "plain"] = Field("deep-norm", description=(
        "DeepNorm's alpha and beta, or 1: then it is Post-Norm"))
    depth: Lane[int] = Field((2, 4, 8, 16), ge=1, le=256, description="blocks, for one step")
    step: float = Field(1e-3, gt=0, le=1, description="size of the one step")
    step_width: int = Field(64, ge=8, le=4096, description="width there")
    form: Lane[Literal["standard", "mup"]] = Field(("standard", "mup"), description=(
        "parameterisation over widths; claims are about the first and the last"))
    width: Lane[int] = Field((32, 64, 128), ge=8, le=8192, description="widths")
    coordinate_lr: float = Field(1e-3, gt=0, le=1, description="step size of Adam over widths")
    task_width: int = Field(64, ge=8, le=4096, description="width on associative recall")
    task_heads: int = Field(1, ge=1, le=64, description="heads there; d = width / heads")
    lr: Lane[float] = Field((3e-4, 1e-3), gt=0, le=1, description="step sizes of Adam there")
    steps: int = Field(300, ge=8, le=10**6, description="updates there")
    sequences: int = Field(4096, ge=64, le=10**6, description="sequences there")
    task: Literal["recall", "shuffled"] = Field("recall", description=(
        "the value of the key that is asked for, or of one of the keys shown, whatever is asked"))
    matched: bool = Field(True, description="give T5's start the step sizes that make it equal")
    equal_steps: int = Field(20, ge=2, le=10**5, description="updates where curves are compared")


STUDY = Study(
    slug="transformer-initialisation", family="transformers",
    title="What a transformer's start decides",
    question="Why must attention's logits be divided by the root of the head's width, and what "
             "else does the start decide?",
    params=TransformerParams,
    experiments=(BIRTH, STREAMS, STEP, WIDTHS, FORGOTTEN, REPAIRS, EQUAL),
    theory=r"""
Logits $q \cdot k$ of unit-variance queries and keys are $N(0, s^2)$ with $s = \sqrt d$: a
random-energy model. Its participation $Y = E\sum_j p_j^2$ leaves $1 - Y$ as the trace of the
softmax's Jacobian, and Gaussian integration by parts gives $s^2(1 - Y) = E\langle x\rangle \leq
s\,m_T$, $m_T$ the mean of the largest of $T$ standard normals: $1 - Y \to m_T/s$ above $s_c =
\sqrt{2\ln T}$, the law $1 - s_c/s$ being that of $m_T \to s_c$. With division $s = 1$, and $Y
\approx e/T$. A normed stream with token cosine $\rho$ gains $\rho + (1-\rho)Y$ from attention and 1
from a ReLU part: Pre-Norm's variance grows linearly, Post-Norm's skip path keeps $\prod (1 +
v_l)^{-1/2}$, DeepNorm's $\prod (1 + v_l/\alpha^2)^{-1/2}$ with $v_l/\alpha^2 = 1/(8N\sqrt{2N})$.
""",
    limits="Independent tokens, no mask (but on the task), one-hot embeddings. On the task all "
    "seeds share their sequences, so intervals are over weights and order; the step size is "
    "chosen by the same held-out accuracy, for each seed and start alike.",
    references=references("vaswani2017attention", "raffel2020exploring", "xiong2020layer",
                          "wang2022deepnet", "noci2022signal", "yang2022tensor",
                          "derrida1981random"),
    presets={"quick": {}, "paper": {"seeds": 20, "blocks": 24, "stream_width": 512,
             "depth": (2, 4, 8, 16, 32, 48), "width": (64, 128, 256, 512, 1024),
             "task_width": 128, "lr": (1e-4, 3e-4, 1e-3, 3e-3), "steps": 2000,
             "sequences": 16_384}},
    cost={"quick": 110, "paper": 20_000},
    answers=("initialisation", "attention", "depth", "width", "stability", "step-size", "remedy"),
    cover="birth-participation",
)  # fmt: skip
