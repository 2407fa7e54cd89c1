"""Trainings by a stranger, who knows the diagnoses' names and no more: a first, blind set.

They were written from the handbook's table of rules, without a look at the rules, the quantities,
the calibration or its cases, and were settled before the doctor saw any of them. `python
benchmarks/doctor --check --only s1-` shows, without the doctor, that each is what it says.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Any

import strangers_data as data
import strangers_models as models
import torch
from case import LARGE_STEP, Case, Training
from strangers_models import dense
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Adagrad, Adam, AdamW, RMSprop
from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR, LambdaLR, OneCycleLR

Loss = Callable[..., Tensor]
crossed = nn.CrossEntropyLoss()
binary = nn.BCEWithLogitsLoss()


def training(model: nn.Module, loss: Loss, x: Tensor, y: Tensor | None, size: int,
             make: Callable[..., torch.optim.Optimizer], **more: Any) -> Training:  # fmt: skip
    """Return a training on (x, y), or on x alone, by an optimizer of the model's parameters.

    `schedule` makes a scheduler of the optimizer; what else is given is the training's own.
    """
    schedule = more.pop("schedule", None)
    optimizer = make(more.pop("parameters", None) or model.parameters())
    if schedule:
        more["scheduler"] = schedule(optimizer)
    whole = x if y is None else (x, y)
    return Training(model, loss, data.draws(x, y, size), optimizer, whole, **more)


def warm(steps: int) -> Callable[[torch.optim.Optimizer], LambdaLR]:
    """Return a linear warm-up over so many steps."""
    return lambda optimizer: LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / steps))


def start(model: nn.Module, set_: Callable[[Tensor], Any], kinds: tuple[type, ...]) -> nn.Module:
    """Set the weights of some kinds of layers and return the model."""
    for layer in model.modules():
        if isinstance(layer, kinds):
            set_(layer.weight)
    return model


def flat_digits() -> tuple[Tensor, Tensor]:
    x, y = data.digits()
    return x.flatten(1), y


# Pictures.


def mixer(constant: float = 0.0) -> Training:
    model = models.Mixer()
    if constant:
        start(model, lambda w: nn.init.constant_(w, constant), (nn.Linear, nn.Conv2d))
    return training(model, nn.CrossEntropyLoss(label_smoothing=0.1), *data.digits(), 64,
                    partial(AdamW, lr=3e-3),
                    schedule=partial(OneCycleLR, max_lr=5e-3, total_steps=160))  # fmt: skip


def unet(sigmoid: bool = False) -> Training:
    return training(models.UNet(sigmoid), binary, *data.blobs(), 16, partial(Adam, lr=1e-2))


def variational() -> Training:
    x, _ = data.digits()
    return training(models.Variational(), models.evidence, x, x, 64, partial(Adam, lr=3e-3))


def autoencoder(deep: bool = False, lr: float = 3e-3) -> Training:
    x, _ = flat_digits()
    act = nn.Sigmoid if deep else nn.ELU
    model = dense(64, 48, 48, 32, 16, 32, 48, 48, 64, act=act)
    return training(model, nn.MSELoss(), x, x, 64, partial(Adam, lr=lr))


def reconstruct_logs(floor: float = 1e-6) -> Training:
    """Poisson-like deviance of raw counts, which takes their logarithm: log 0 without a floor."""
    x, _ = flat_digits()
    counts = torch.round(4 * (x - x.min()))
    target = torch.log(counts + (1.0 if floor else 0.0))
    return training(dense(64, 64, 64), nn.MSELoss(), x, target, 64, partial(Adam, lr=3e-3))


def contrast(detached: bool = False) -> Training:
    x, _ = data.digits()
    made = training(models.Contrast(detached), models.info_nce, x, None, 64, partial(Adam, lr=3e-3))
    made.whole = x[:64]  # The loss counts the negatives: it is judged with as many.
    return made


def vit(swapped: bool = False) -> Training:
    """Return a vision transformer; `swapped`: its head is made anew after the optimizer."""
    model = models.Vit()
    model.head = nn.Linear(32, 1000)
    if not swapped:
        model.head = nn.Linear(32, 10)
    made = training(model, crossed, *data.digits(), 64, partial(AdamW, lr=2e-3), clip=1.0,
                    schedule=warm(15))  # fmt: skip
    if swapped:
        model.head = nn.Linear(32, 10)
        for block in model.blocks:
            block.requires_grad_(False)
    return made


def residual(depth: int = 4, kind: str = "norm", lr: float = 0.05, evaluating: bool = False,
             size: int = 64) -> Training:  # fmt: skip
    model = models.Residual(depth, kind)
    if evaluating:
        model.eval()
    make: Any = partial(SGD, lr=lr, momentum=0.9, nesterov=True, weight_decay=5e-4)
    if kind == "rezero":
        make = partial(Adam, lr=lr)
    return training(model, crossed, *data.digits(), size, make,
                    schedule=partial(CosineAnnealingLR, T_max=120))  # fmt: skip


def plain_conv(std: float = 0.0) -> Training:
    act, flat = nn.ReLU(), nn.Flatten()
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), act, nn.Conv2d(16, 16, 3, padding=1), act,
        nn.Conv2d(16, 32, 3, 2, 1), act, nn.Conv2d(32, 32, 3, 2, 1), act, flat,
        nn.Linear(128, 64), act, nn.Linear(64, 10))  # fmt: skip
    for layer in model:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if std:
                nn.init.normal_(layer.weight, std=std)
    return training(model, crossed, *data.digits(), 64, partial(SGD, lr=0.03, momentum=0.9))


def tiny_batches(size: int = 4, every: int = 4) -> Training:
    """Group norm, four pictures at a time, and the gradients of four such summed up."""
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.GroupNorm(4, 16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.GroupNorm(4, 32), nn.ReLU(), nn.Flatten(),
        nn.Linear(512, 10))  # fmt: skip
    return training(model, crossed, *data.digits(), size, partial(Adam, lr=1e-3), every=every)


def faces() -> Training:
    x, y = data.digits()
    return training(models.Cosine(), nn.CrossEntropyLoss(label_smoothing=0.05), x, y, 64,
                    partial(Adam, lr=3e-3))  # fmt: skip


@cache
def pretrained() -> nn.Sequential:
    """Return a net that knows the digits 0 to 4, trained for two hundred steps."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        x, y = flat_digits()
        known = y < 5
        model = dense(64, 96, 96, 10)
        optimizer = Adam(model.parameters(), lr=3e-3)
        batches = data.draws(x[known], y[known], 64)
        for _ in range(200):
            inputs, kinds = next(batches)
            optimizer.zero_grad()
            crossed(model(inputs), kinds).backward()
            optimizer.step()
    return model


def low_rank(forgotten: bool = False, left_out: bool = False) -> Training:
    """Return adapters of rank four in a frozen net, and a new head of zeros."""
    model = copy.deepcopy(pretrained())
    model[0], model[2] = (models.Adapted(model[i], forgotten=forgotten) for i in (0, 2))
    model[4] = nn.Linear(96, 10)
    if not left_out and not forgotten:
        nn.init.zeros_(model[4].weight)
    kept = [p for p in model.parameters() if p.requires_grad]
    if left_out:
        kept = list(model[4].parameters())
    x, y = flat_digits()
    return training(model, crossed, x, y, 64, partial(AdamW, lr=3e-3), parameters=kept)


def fine_tuned() -> Training:
    """The pretrained net whole, a new head of zeros, the body at a tenth of the head's rate."""
    model = copy.deepcopy(pretrained())
    model[4] = nn.Linear(96, 10)
    nn.init.zeros_(model[4].weight)
    groups = [{"params": model[:4].parameters(), "lr": 1e-3},
              {"params": model[4].parameters(), "lr": 1e-2}]  # fmt: skip
    return training(model, crossed, *flat_digits(), 64, partial(Adam, lr=1e-3), parameters=groups)


def logistic(raw: bool = False) -> Training:
    """Multinomial logistic regression from zeros."""
    x, y = flat_digits()
    x = data.as_bytes(x) if raw else x
    model = nn.Linear(64, 10)
    nn.init.zeros_(model.weight)
    return training(model, crossed, x, y, 128, partial(SGD, lr=0.1))


def perceptron(lr: float = 0.1, momentum: float = 0.0, zeroed: bool = True, gain: float = 1.414,
               bias: float = 0.0, act: Any = nn.ReLU, summed: bool = False,
               clip: float | None = None, schedule: Any = None,
               decay: float = 0.0) -> Training:  # fmt: skip
    """Return a plain perceptron of digits by descent, in which much can be done wrong."""
    model = dense(64, 64, 64, 64, 10, act=act, gain=gain)
    if bias:
        for layer in model[:-1]:
            if isinstance(layer, nn.Linear):
                nn.init.constant_(layer.bias, bias)
    loss = nn.CrossEntropyLoss(reduction="sum") if summed else crossed
    x, y = flat_digits()
    made = training(model, loss, x, y, 64,
                    partial(SGD, lr=lr, momentum=momentum, weight_decay=decay), clip=clip,
                    schedule=schedule, zeroed=zeroed)  # fmt: skip
    if summed:
        made.unit = float(len(x))
    return made


class Average:
    """Keeps an exponential moving average of the weights, for use after training."""

    def __init__(self, model: nn.Module, decay: float = 0.98) -> None:
        self.model, self.kept, self.decay = model, copy.deepcopy(model), decay

    def step(self) -> None:
        with torch.no_grad():
            for kept, p in zip(self.kept.parameters(), self.model.parameters(), strict=True):
                kept.lerp_(p, 1 - self.decay)


def averaged() -> Training:
    """SELU with its own initialisation and alpha dropout; an average of the weights is kept."""
    model = nn.Sequential(nn.Flatten())
    for wide in (64, 64, 64, 64, 64):
        model += nn.Sequential(nn.Linear(wide, 64), nn.SELU(), nn.AlphaDropout(0.05))
    model.append(nn.Linear(64, 10))
    start(model, lambda w: nn.init.normal_(w, std=1 / math.sqrt(w.shape[1])), (nn.Linear,))
    made = training(model, crossed, *data.digits(), 64, partial(SGD, lr=0.03, momentum=0.9))
    made.scheduler = Average(model)
    return made


def two_heads() -> Training:
    x, y = data.digits()
    light = x.mean((1, 2, 3))[:, None]
    both = torch.cat([y[:, None].float(), (light - light.mean()) / light.std()], 1)

    def loss(out: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
        kind, bright = out
        return crossed(kind, target[:, 0].long()) + 0.5 * F.mse_loss(bright, target[:, 1:])

    return training(models.TwoHeads(), loss, x, both, 64, partial(Adam, lr=3e-3))


def siamese(keep: bool = False) -> Training:
    """Likeness by regression onto 0 and 1; `keep` leaves the outputs a column."""
    x, y = data.pairs()
    return training(models.Siamese(keep), nn.MSELoss(), x, y, 64, partial(Adam, lr=2e-3))


# Sequences.


def letters(lr: float = 5e-3, cell: Any = nn.LSTM, schedule: Any = None) -> Training:
    x, y, count = data.characters()
    return training(models.Letters(count, cell), crossed, x, y, 32, partial(Adam, lr=lr), clip=1.0,
                    schedule=schedule)  # fmt: skip


def gru(clip: float = 1.0) -> Training:
    x, y = data.marked_sum()
    model = models.Recurrent(nn.GRU(2, 24, batch_first=True), 24, 1)
    return training(model, nn.MSELoss(), x, y, 32, partial(SGD, lr=0.2, momentum=0.9), clip=clip)


def rnn(gain: float = 1.0) -> Training:
    x, y = data.forecast()
    cell = nn.RNN(1, 32, nonlinearity="relu", batch_first=True)
    model = models.Recurrent(cell, 32, 1)
    nn.init.orthogonal_(cell.weight_hh_l0, 0.95 * gain)
    return training(model, nn.MSELoss(), x.transpose(1, 2), y, 32, partial(SGD, lr=5e-3))


def gpt(lr: float = 3e-3, **wrong: Any) -> Training:
    x, y, count = data.characters()
    make = partial(AdamW, lr=lr, betas=(0.9, 0.95))
    return training(models.Gpt(count, **wrong), crossed, x, y, 16, make, clip=1.0,
                    schedule=warm(15))  # fmt: skip


def reader(depth: int = 2, lr: float = 3e-3, warmed: bool = True, post: bool = True,
           **attention: Any) -> Training:  # fmt: skip
    """Return an encoder that counts how often the first symbol comes again."""
    return training(models.Reader(depth, post=post, **attention), crossed, *data.first_repeats(),
                    32, partial(Adam, lr=lr), schedule=warm(30) if warmed else None)  # fmt: skip


def translator() -> Training:
    return training(models.Translator(), crossed, *data.reversal(), 64, partial(Adam, lr=3e-3),
                    schedule=warm(20))  # fmt: skip


def audio(raw: bool = False, norm: bool = True, size: int = 32) -> Training:
    x, y = data.tones()
    x = x * 9000 if raw else x
    make = partial(SGD, lr=0.05, momentum=0.9)
    return training(models.audio(norm), crossed, x, y, size, make)


def forecast() -> Training:
    return training(models.Forecast(), nn.MSELoss(), *data.forecast(), 32, partial(Adam, lr=3e-3))


# Tables, graphs, sets.


def graph(depth: int = 2) -> Training:
    adjacency, x, y = data.communities()
    model = models.GraphNet(adjacency, depth)
    return training(model, crossed, x, y, len(x), partial(Adam, lr=1e-2, weight_decay=5e-4))


def whole_graph(depth: int = 2) -> Training:
    """The nodes in their order, all of them each time."""
    made = graph(depth)
    whole = made.whole

    def again() -> Iterable[Any]:
        while True:
            yield whole

    made.batches = iter(again())
    return made


def rare(decay: float = 0.0) -> Training:
    x, y = data.categories()
    loss = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([4.0]))
    return training(models.Categories(), loss, x, y, 64, partial(Adam, lr=5e-3, weight_decay=decay))


def prices(scaled: bool = True, targets: bool = True, hole: bool = False, lr: float = 1e-2,
           column: bool = True, optimizer: Any = Adam) -> Training:  # fmt: skip
    x, y = data.houses()
    unit = 1.0 if targets else float(y.var())
    y = data.standard(y) if targets else y
    x = data.standard(x) if scaled else x
    if hole:
        x = x.clone()
        x[::25, 3] = math.nan
    y = y if column else y[:, 0]
    return training(dense(6, 48, 48, 1), nn.MSELoss(), x, y, 64, partial(optimizer, lr=lr),
                    unit=unit)  # fmt: skip


def arm(lr: float = 2e-3, momentum: float = 0.0) -> Training:
    make = partial(RMSprop, lr=lr, momentum=momentum)
    return training(dense(3, 64, 64, 2, act=nn.Tanh), nn.MSELoss(), *data.arm(), 64, make)


def experts(hard: bool = False) -> Training:
    return training(models.Experts(hard), nn.MSELoss(), *data.arm(), 64, partial(Adam, lr=1e-2))


def ratings(std: float = 0.3) -> Training:
    return training(models.Ratings(std), nn.MSELoss(), *data.ratings(), 128, partial(Adam, lr=2e-2))


def survival(days: float = 1.0) -> Training:
    """Exponential survival; times in so many units."""
    x, y = data.lifetimes()
    y = y * torch.tensor([days, 1.0])

    def loss(out: Tensor, seen: Tensor) -> Tensor:
        hazard = out[:, 0]
        return (hazard.exp() * seen[:, 0] - seen[:, 1] * hazard).mean()

    return training(dense(6, 32, 1, act=nn.SiLU), loss, x, y, 64, partial(Adam, lr=3e-3))


def shelves(squashed: bool = False) -> Training:
    """Rank lists of items; `squashed` takes a softmax before the loss that takes one."""

    class Scores(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = dense(6, 48, 48, 1)

        def forward(self, x: Tensor) -> Tensor:
            scores = self.body(x)[..., 0]
            return scores.softmax(1) if squashed else scores

    return training(Scores(), crossed, *data.shelves(), 64, partial(Adagrad, lr=0.05))


def flow(std: float = 0.0) -> Training:
    model = models.Flow(std=std, bounded=not std)
    return training(
        model, lambda logp: -logp.mean(), data.moons(), None, 128, partial(Adam, lr=3e-3)
    )


def deep_linear(std: float = 0.0) -> Training:
    layers = [nn.Linear(20, 20, bias=False) for _ in range(6)]
    for layer in layers:
        nn.init.normal_(layer.weight, std=std) if std else nn.init.orthogonal_(layer.weight)
    return training(
        nn.Sequential(*layers), nn.MSELoss(), *data.rotations(), 64, partial(SGD, lr=0.1)
    )


def values(scale: float = 1.0) -> Training:
    """Fitted Q values of the actions taken; returns in so many points."""
    x, y = data.walks()
    y = y * torch.tensor([1.0, scale])

    def loss(q: Tensor, seen: Tensor) -> Tensor:
        return F.mse_loss(q.gather(1, seen[:, :1].long())[:, 0], seen[:, 1])

    return training(dense(4, 64, 64, 3), loss, x, y, 64, partial(Adam, lr=3e-3), unit=scale**2)


def points() -> Training:
    return training(models.PointNet(), crossed, *data.clouds(), 32, partial(AdamW, lr=5e-3))


def quantile() -> Training:
    """The 0.9 quantile by the pinball loss."""

    def pinball(out: Tensor, y: Tensor) -> Tensor:
        return torch.maximum(0.9 * (y - out), -0.1 * (y - out)).mean()

    x, y = data.heavy_noise()
    return training(dense(1, 32, 32, 1), pinball, x, y, 64, partial(Adam, lr=5e-3))


def mixture() -> Training:
    x, y = data.heavy_noise()
    return training(models.Mixture(), models.mixture_nll, x, y, 64, partial(Adam, lr=1e-2))


# Curves and equations.


def poisson(k: float = 1.0) -> Training:
    x = torch.linspace(0, 1, 128)[:, None]
    return training(models.Poisson(k), lambda r: 2 * (r**2).mean(), x, None, 64,
                    partial(Adam, lr=5e-3))  # fmt: skip


def curve(cycles: float = 1.0) -> Training:
    make = partial(Adam, lr=1e-2)
    return training(dense(1, 48, 48, 1, act=nn.Tanh), nn.MSELoss(), *data.wave(cycles), 128, make)


def siren() -> Training:
    return training(models.Sine(), nn.MSELoss(), *data.pictured(6.0), 192, partial(Adam, lr=3e-3))


def texture(cycles: float = 1.0) -> Training:
    make = partial(Adam, lr=5e-3)
    return training(dense(2, 64, 64, 1), nn.MSELoss(), *data.pictured(cycles), 192, make)


def quasi_newton() -> Training:
    x, y = data.wave(1.0)
    made = training(dense(1, 20, 20, 1, act=nn.Tanh), nn.MSELoss(), x, y, len(x),
                    partial(torch.optim.LBFGS, lr=0.5, max_iter=4))  # fmt: skip
    return made


def unrolled() -> Training:
    return training(models.Unrolled(), nn.MSELoss(), *data.spiral(), 64, partial(Adam, lr=1e-2))


COLLAPSED = ("rank-collapse", "lost-rank")
SLOW = ("small-step", "slow-descent")
UNREACHED = ("no-gradient", "unmoved")

# A level is well below what the best answer blind to the inputs would get.
HEALTHY: tuple[Case, ...] = (
    Case("s1-mixer", mixer, level=1.0),
    Case("s1-unet", unet, level=0.2, steps=100),
    Case("s1-variational", variational, level=0.7),
    Case("s1-autoencoder", autoencoder, level=0.5),
    Case("s1-log-counts", reconstruct_logs, level=0.3),
    Case("s1-contrast", contrast, level=2.6),
    Case("s1-vit", vit, level=0.7),
    Case("s1-residual-norm", residual, level=0.3, steps=100),
    Case("s1-rezero", partial(residual, 6, "rezero", 1e-2), level=0.9, steps=150),
    Case("s1-conv-no-norm", plain_conv, level=0.5),
    Case("s1-tiny-batches", tiny_batches, level=0.6, steps=200),
    Case("s1-faces", faces, level=0.8),
    Case("s1-low-rank", low_rank, level=0.7),
    Case("s1-fine-tuned", fine_tuned, level=0.4),
    Case("s1-logistic", logistic, level=0.6),
    Case("s1-perceptron", perceptron, level=0.4),
    Case("s1-self-normalising-average", averaged, level=0.4),
    Case("s1-two-heads", two_heads, level=0.6),
    Case("s1-siamese", siamese, level=0.15),
    Case("s1-letters", letters, level=2.6),
    Case("s1-gru", gru, level=0.5, steps=300),
    Case("s1-rnn", rnn, level=0.5),
    Case("s1-gpt", gpt, level=2.7, steps=150),
    Case("s1-reader-post-norm", reader, level=0.85, steps=250),
    Case("s1-reader-one-head", partial(reader, post=False, heads=1, gain=1.0), level=0.85,
         steps=250),
    Case("s1-translator", translator, level=1.0, steps=200),
    Case("s1-audio", audio, level=0.4, steps=100),
    Case("s1-forecast", forecast, level=0.3),
    Case("s1-graph", whole_graph, level=0.6, steps=100),
    Case("s1-rare", rare, level=0.55, steps=200),
    Case("s1-prices", prices, level=0.2),
    Case("s1-arm", arm, level=0.15, steps=200),
    Case("s1-experts", experts, level=0.15, steps=200),
    Case("s1-ratings", ratings, level=0.3, steps=200),
    Case("s1-survival", survival, level=0.85),
    Case("s1-shelves", shelves, level=0.9, steps=200),
    Case("s1-flow", flow, level=2.3, steps=200),
    Case("s1-deep-linear", deep_linear, level=0.3),
    Case("s1-values", values, level=0.3),
    Case("s1-points", points, level=0.6),
    Case("s1-quantile", quantile, level=0.15),
    Case("s1-mixture", mixture, level=0.9, steps=200),
    Case("s1-poisson", poisson, level=0.1),
    Case("s1-curve", curve, level=0.1),
    Case("s1-siren", siren, level=0.2, steps=200),
    Case("s1-texture", texture, level=0.3, steps=200),
    Case("s1-quasi-newton", quasi_newton, level=0.1, steps=40),
    Case("s1-unrolled", unrolled, level=0.05),
)  # fmt: skip

FAULTY: tuple[Case, ...] = (
    Case("s1-mixer-constant", partial(mixer, 0.02), ("symmetric-neurons",), "s1-mixer"),
    Case("s1-unet-sigmoid-twice", partial(unet, True), ("softmax-twice",), "s1-unet", steps=100),
    Case("s1-autoencoder-sigmoid", partial(autoencoder, True), ("vanishing-gradient", *COLLAPSED),
         "s1-autoencoder"),
    Case("s1-log-zero", partial(reconstruct_logs, 0.0), ("non-finite", "divergence"),
         "s1-log-counts"),
    Case("s1-contrast-detached", partial(contrast, True), UNREACHED, "s1-contrast",
         hurts=1.1),
    Case("s1-vit-head-swapped", partial(vit, True), ("not-optimised",), "s1-vit"),
    Case("s1-residual-evaluating", partial(residual, 4, "norm", 0.05, True),
         ("batch-norm", "residual-growth", "exploding-signal"), "s1-residual-norm", steps=100),
    Case("s1-residual-pairs", partial(residual, size=2), ("batch-norm",), "s1-residual-norm",
         steps=100),
    Case("s1-residual-unscaled", partial(residual, 12, "plain"),
         ("residual-growth", "exploding-signal", "exploding-gradient", *LARGE_STEP),
         "s1-residual-norm", steps=100),
    Case("s1-conv-small", partial(plain_conv, 0.003), ("small-init",), "s1-conv-no-norm"),
    Case("s1-low-rank-both-zero", partial(low_rank, True),
         (*UNREACHED, "symmetric-neurons", "small-init"), "s1-low-rank"),
    Case("s1-low-rank-left-out", partial(low_rank, False, True), ("not-optimised",), "s1-low-rank"),
    Case("s1-logistic-bytes", partial(logistic, True), ("input-scale",), "s1-logistic"),
    Case("s1-perceptron-step-twenty-times", partial(perceptron, 2.5), LARGE_STEP, "s1-perceptron"),
    Case("s1-perceptron-momentum-999", partial(perceptron, 0.1, 0.999), LARGE_STEP,
         "s1-perceptron"),
    Case("s1-perceptron-hoarding", partial(perceptron, zeroed=False), LARGE_STEP, "s1-perceptron"),
    Case("s1-perceptron-summed", partial(perceptron, summed=True), LARGE_STEP, "s1-perceptron"),
    Case("s1-perceptron-large", partial(perceptron, gain=12.0),
         ("large-init", "exploding-signal", "loss-at-init"), "s1-perceptron"),
    Case("s1-perceptron-saturated", partial(perceptron, gain=20.0, act=nn.Tanh),
         ("large-init", "saturated-units"), "s1-perceptron"),
    Case("s1-perceptron-dead", partial(perceptron, bias=-6.0), ("dead-units",), "s1-perceptron"),
    Case("s1-perceptron-clipped", partial(perceptron, clip=1e-4), ("clipped", *SLOW),
         "s1-perceptron"),
    Case("s1-perceptron-schedule",
         partial(perceptron, schedule=partial(ExponentialLR, gamma=0.8)), (*SLOW, "unmoved"),
         "s1-perceptron"),
    Case("s1-perceptron-decay", partial(perceptron, decay=0.3), ("weight-decay",),
         "s1-perceptron"),
    Case("s1-siamese-column", partial(siamese, True), ("shape-mismatch",), "s1-siamese"),
    Case("s1-gpt-step-hundred-times", partial(gpt, 0.3), LARGE_STEP, "s1-gpt", steps=150),
    Case("s1-gru-clipped", partial(gru, 1e-4), ("clipped", *SLOW), "s1-gru", steps=300),
    Case("s1-rnn-exploding", partial(rnn, 2.2),
         ("large-init", "exploding-signal", "exploding-gradient", *LARGE_STEP), "s1-rnn"),
    Case("s1-reader-undivided",
         partial(reader, post=False, heads=1, gain=2.0, divided=False),
         ("frozen-softmax",), "s1-reader-one-head", hurts=1.05, steps=250),
    Case("s1-gpt-step-thousandth", partial(gpt, 3e-6), SLOW, "s1-gpt", steps=150),
    Case("s1-gpt-tied-large", partial(gpt, embed_std=1.0), ("loss-at-init", "large-init"),
         "s1-gpt", hurts=1.05, steps=150),
    Case("s1-reader-deep-post-norm", partial(reader, 8, 1e-2, False),
         (*LARGE_STEP, *COLLAPSED), "s1-reader-post-norm", steps=250),
    Case("s1-audio-samples", partial(audio, True, False), ("input-scale",), "s1-audio", steps=100),
    Case("s1-graph-oversmoothed", partial(whole_graph, 24), COLLAPSED, "s1-graph", steps=100),
    Case("s1-rare-decay", partial(rare, 1.0), ("weight-decay",), "s1-rare", steps=200),
    Case("s1-prices-raw", partial(prices, scaled=False), ("input-scale",), "s1-prices"),
    Case("s1-prices-unscaled", partial(prices, targets=False), ("target-scale",), "s1-prices"),
    Case("s1-prices-missing", partial(prices, hole=True), ("non-finite", "divergence"),
         "s1-prices"),
    Case("s1-prices-row", partial(prices, column=False), ("shape-mismatch",), "s1-prices"),
    Case("s1-arm-step", partial(arm, 0.2), LARGE_STEP, "s1-arm", steps=200),
    Case("s1-experts-hard", partial(experts, True), UNREACHED, "s1-experts", steps=200),
    Case("s1-ratings-zero", partial(ratings, 0.0), (*UNREACHED, "symmetric-neurons", "small-init"),
         "s1-ratings", steps=200),
    Case("s1-shelves-softmax-twice", partial(shelves, True), ("softmax-twice",), "s1-shelves",
         steps=200),
    Case("s1-flow-unbounded", partial(flow, 2.0),
         ("large-init", "exploding-signal", "loss-at-init"), "s1-flow", steps=200),
    Case("s1-deep-linear-small", partial(deep_linear, 0.02), ("small-init",), "s1-deep-linear"),
    Case("s1-values-points", partial(values, 5000.0), ("target-scale",), "s1-values"),
    Case("s1-poisson-high", partial(poisson, 24.0), ("high-frequency", "unlearnt-frequency"),
         "s1-poisson"),
    Case("s1-curve-high", partial(curve, 30.0), ("high-frequency", "unlearnt-frequency"),
         "s1-curve"),
    Case("s1-texture-fine", partial(texture, 10.0), ("high-frequency", "unlearnt-frequency"),
         "s1-texture", steps=200),
)  # fmt: skip

CASES: tuple[Case, ...] = (*HEALTHY, *FAULTY)
