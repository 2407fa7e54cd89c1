"""Why a transformer whose logits are not divided by sqrt(d) does not train, and other starts.

How large signals and updates are at the start decides whether attention can learn, what a norm's
place keeps of the input, how far one step moves the outputs of deep networks and of wide ones. Most
is measured without training; a task of recall then shows the price of a forgotten division.
"""

from typing import Literal

import numpy as np

from chymist import stats
from chymist.atlas.transformers import birth, recall
from chymist.atlas.transformers import transformer_figures as draw
from chymist.bibliography import references
from chymist.claims import Claim, above, below, between
from chymist.params import Field, Lane, Params
from chymist.study import Control, Experiment, Figure, Study


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


def condensed(run):
    """(1 - Y) sqrt(d) / m_T without division: 1 by the random-energy law of T keys."""
    left = 1 - run.participation.sel(power=0.0, drop=True)
    return left * run["head"] ** 0.5 / run.slope


def free(run):
    """Y with division over that of T independent logits N(0, 1)."""
    found = run.participation / run.predicted_participation
    return found.sel(power=0.5, drop=True)


BIRTH = Experiment(
    "random-head", "One random head of width d on T normed random tokens.", birth.attention,
    prediction=birth.random_energies, claims=(
        Claim("frozen", "Without division attention is frozen at birth: what is left of the "
              "softmax's Jacobian is $m_T/\\sqrt d$.", condensed, between(0.9, 1.1)),
        Claim("free", "With division it chooses among as many keys as independent normal logits.",
              free, between(0.9, 1.1)),
    ),
    figures=(
        Figure("birth-participation", "Participation; dashed, independent normal logits of one "
               "scale. Normed tokens of the control's width 4 are not that: all keys are as long.",
               draw.participation),
    ),
    control=Control("Heads of width 4 are too narrow to freeze.", {"head": (4,)}, ("frozen",)),
)  # fmt: skip


def pre_variance(run):
    """Pre-Norm: stream's variance over that of the recursion, geometric mean over residuals."""
    one = run.sel(norm="pre", drop=True)
    return np.exp(np.log(one.variance / one.predicted_variance).mean("residual"))


def post_rate(run):
    """Post-Norm: logarithm of the input's share at the end, over that of the recursion."""
    end = run.sel(norm="post", drop=True).isel(residual=-1, drop=True)
    return np.log(end.gain) / np.log(end.predicted_gain)


def deep_share(run):
    """DeepNorm: the input's share of the stream at the end."""
    return run.gain.sel(norm="deep", drop=True).isel(residual=-1, drop=True)


def collapse(run):
    """Mean cosine between tokens at the end, Post-Norm less DeepNorm."""
    end = run.cosine.isel(residual=-1, drop=True)
    return end.sel(norm="post", drop=True) - end.sel(norm="deep", drop=True)


STREAMS = Experiment(
    "random-streams", "Second moments of the stream through blocks with random weights.",
    birth.streams, prediction=birth.recursion, claims=(
        Claim("pre-grows", "Pre-Norm's stream gains variance as the recursion says, linearly.",
              pre_variance, between(0.95, 1.05)),
        Claim("post-forgets", "Post-Norm's skip path forgets the input at the recursion's "
              "exponential rate.", post_rate, between(0.95, 1.05)),
        Claim("deep-keeps", "DeepNorm keeps nine tenths of the input.", deep_share, above(0.9)),
        Claim("collapse", "Post-Norm makes all tokens alike, DeepNorm does not.",
              collapse, above(0.8)),
    ),
    figures=(
        Figure("stream-share", "What is left of the input; dashed, the recursion.", draw.share),
        Figure("stream-variance", "Variance of Pre-Norm's stream.", draw.variance),
        Figure("stream-cosine", "How alike tokens become.", draw.cosine),
    ),
    control=Control("Without its constants DeepNorm is Post-Norm.", {"constants": "plain"},
                    ("deep-keeps", "collapse")),
)  # fmt: skip


def explosion(run):
    """Exponent of the number of blocks in the change by one step of gradient descent, by norm."""
    return stats.log_slope(run.change.sel(rule="descent", drop=True), "depth")


def post_explosion(run):
    """Exponent of the number of blocks in the change by a gradient step, Post-Norm."""
    return explosion(run).sel(norm="post", drop=True)


def pre_explosion(run):
    """Exponent of the number of blocks in the change by a gradient step, Pre-Norm."""
    return explosion(run).sel(norm="pre", drop=True)


def deep_factor(run):
    """Factor of the change by a gradient step from a number of blocks to twice it, DeepNorm."""
    return 2 ** explosion(run).sel(norm="deep", drop=True)


def deep_sign(run):
    """Exponent of the number of blocks in the change by Adam's first step, DeepNorm."""
    change = run.change.sel(rule="sign", norm="deep", drop=True)
    return stats.log_slope(change, "depth")


STEP = Experiment(
    "first-step", "How far one step of a given size moves the outputs of deep networks.",
    birth.one_step, claims=(
        Claim("post-explodes", "One step moves Post-Norm by more than in proportion to depth.",
              post_explosion, above(1)),
        Claim("pre-between", "Pre-Norm's step grows with depth, slower than in proportion.",
              pre_explosion, between(0.15, 1)),
        Claim("deep-bounded", "DeepNorm's step does not grow with depth.",
              deep_factor, between(2**-0.15, 2**0.15)),
        Claim("deep-sign", "Under Adam's first step DeepNorm's does grow: the bound is of SGD.",
              deep_sign, above(0.2)),
    ),
    figures=(Figure("one-step", "Change of the outputs by one step.", draw.step),),
    control=Control("Without its constants DeepNorm is Post-Norm.", {"constants": "plain"},
                    ("deep-bounded",)),
)  # fmt: skip


def slope_of_first(run):
    """Exponent of width in the change of the outputs by five steps, of the first form."""
    return stats.log_slope(run.change.isel(form=0, drop=True), "width")


def factor_of_last(run):
    """Factor of the change of the outputs by five steps from a width to twice it, last form."""
    return 2 ** stats.log_slope(run.change.isel(form=-1, drop=True), "width")


WIDTHS = Experiment(
    "five-steps", "How far five Adam steps at one step size move the outputs of wide networks.",
    birth.widths, claims=(
        Claim("standard-grows", "In the standard form the change grows with width.",
              slope_of_first, above(0.3)),
        Claim("mup-flat", "In muP it does not.", factor_of_last, between(2**-0.2, 2**0.2)),
    ),
    figures=(Figure("widths", "Change of the outputs by five steps.", draw.widths),),
    control=Control("The standard form, judged as muP is.", {"form": ("standard",)},
                    ("mup-flat",)),
)  # fmt: skip


def gap(run):
    """Accuracy with division less that without, each at its best step size, held-out sequences."""
    best = run.accuracy.max("lr")
    return best.sel(start="division", drop=True) - best.sel(start="none", drop=True)


FORGOTTEN = Experiment(
    "without-division", "Transformers learn which value went with a key, with and without "
    "division.", recall.forgotten, claims=(
        Claim("forgotten-division", "Without division accuracy is lower by 0.3 and more, at the "
              "best of the step sizes.", gap, above(0.3)),
    ),
    figures=(Figure("forgotten", "Accuracy on held-out sequences at the best step size; the "
                    "control's heads have width 4.", draw.accuracy),),
    control=Control("With heads of width 4 nothing freezes, and nothing is lost.",
                    {"task_heads": 16, "seeds": 5}, ("forgotten-division",)),
)  # fmt: skip


def best_accuracy(run):
    """Accuracy on held-out sequences at the best of the step sizes."""
    return run.accuracy.max("lr")


REPAIRS = Experiment(
    "other-starts", "T5's start and the tangent kernel's form, on the same task.", recall.repairs,
    claims=(
        Claim("repaired", "Smaller queries at the start (T5), or weights of variance 1 with the "
              "scale outside, train too.", best_accuracy, above(0.8)),
    ),
    figures=(Figure("repairs", "Accuracy at the best step size; the control's answers belong to "
                    "none of the keys asked for.", draw.accuracy),),
    control=Control("Where the answer does not depend on the key nobody learns it.",
                    {"task": "shuffled", "seeds": 5}, ("repaired",)),
)  # fmt: skip


def difference(run):
    """Common logarithm of the largest difference of the two loss curves, at least -17."""
    apart = abs(run.loss.diff("start")).isel(start=0, drop=True).max("step")
    return np.log10(np.maximum(apart, 1e-17))


EQUAL = Experiment(
    "equivalence", "T5's start with the step size of queries divided by sqrt(d) (Adam) or d "
    "(gradient descent) against the division, in double precision.", recall.equal, claims=(
        Claim("same-curve", "The two loss curves are one.", difference, below(-6)),
    ),
    figures=(Figure("equal", "Loss curves; in the control, at one step size.", draw.curves),),
    control=Control("At one step size for all weights they part.", {"matched": False, "seeds": 5},
                    ("same-curve",)),
)  # fmt: skip


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
