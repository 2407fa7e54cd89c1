"""Trainings on handwritten digits: perceptrons, deep nets, convolutions, residual and recurrent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from typing import Any

import torch
from case import LARGE_STEP, Case, Training
from networks import (
    Reader,
    Recurrent,
    ResNet,
    TorchReader,
    cnn,
    constant,
    fixed,
    gaussian,
    mlp,
)
from optimizers import Maker, adam, adamw, rmsprop, sgd
from sklearn.datasets import load_digits
from torch import Tensor, nn

FORMS = {"flat": (64,), "image": (1, 8, 8), "rows": (8, 8)}


@cache
def digits() -> tuple[Tensor, Tensor]:
    """Return the 8x8 digits with mean 0 and standard deviation 1 over all pixels, and classes."""
    found = load_digits()
    x = torch.tensor(found.data, dtype=torch.float32)
    return (x - x.mean()) / x.std(), torch.tensor(found.target)


def stream(x: Tensor, y: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches drawn with replacement, without end; the order is the global generator's."""
    chance = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
    while True:
        drawn = torch.randint(len(x), (size,), generator=chance)
        yield x[drawn], y[drawn]


def classify(
    net: Callable[[], nn.Module],
    optimizer: Maker,
    form: str = "flat",
    *,
    batch: int = 64,
    loss: Callable[..., Tensor] = nn.functional.cross_entropy,
    inputs: Callable[[Tensor], Tensor] = lambda x: x,
    trained: Callable[[nn.Module], Iterable[nn.Parameter]] = nn.Module.parameters,
    left_in_eval: bool = False,
    clip: float | None = None,
    schedule: Callable[[torch.optim.Optimizer], Any] | None = None,
) -> Training:
    """Set up a classification of the digits."""
    x, y = digits()
    x = inputs(x).unflatten(1, FORMS[form]) if form != "flat" else inputs(x)
    model = net()
    model.train(not left_in_eval)
    made = optimizer(trained(model))
    return Training(
        model, loss, stream(x, y, batch), made, (x[:500], y[:500]), clip=clip,
        scheduler=schedule(made) if schedule else None,
    )  # fmt: skip


def warmed_up(optimizer: torch.optim.Optimizer, steps: int) -> Any:
    """Raise the step size in equal parts over so many steps, and leave it there."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: min(1.0, (n + 1) / steps))


def encode(net: Callable[[], nn.Module], optimizer: Maker) -> Training:
    """Set up an autoencoder of the digits."""
    x, _ = digits()
    model = net()
    return Training(
        model, nn.functional.mse_loss, stream(x, x, 64), optimizer(model.parameters()),
        (x[:500], x[:500]),
    )  # fmt: skip


class Detached(nn.Module):
    """Two branches that are read together; the first one's output is detached."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.bypass = mlp([64, 64, 64]), nn.Linear(64, 4)
        self.head = nn.Linear(68, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.cat([self.features(x).detach(), self.bypass(x)], 1))


class Joined(Detached):
    """The same, with the gradient."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.cat([self.features(x), self.bypass(x)], 1))


class PerceptronWithNorm(nn.Module):
    """A deep residual perceptron with layer normalisation."""

    def __init__(self, width: int = 48, blocks: int = 6) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(64, width), nn.Linear(width, 10)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)
            )
            for _ in range(blocks)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


DEEP = [64, *[48] * 14, 10]
small = partial(mlp, [64, 64, 64, 10])
tanh = partial(mlp, [64, 64, 64, 10], nn.Tanh)
he = gaussian(2**0.5)


def twice(out: Tensor, y: Tensor) -> Tensor:
    """Return the cross-entropy of what the model has already normalised."""
    return nn.functional.cross_entropy(out.softmax(-1), y)


CASES = (
    # Healthy.
    Case("mlp-sgd", partial(classify, small, sgd(0.1)), level=0.5),
    Case("mlp-momentum", partial(classify, small, sgd(0.05, momentum=0.9)), level=0.2),
    Case("mlp-adam", partial(classify, small, adam(1e-3)), level=0.3),
    Case(
        "mlp-nesterov-tanh",
        partial(classify, tanh, sgd(0.03, momentum=0.9, nesterov=True, weight_decay=5e-4)),
        level=0.2,
    ),
    Case(
        "mlp-rmsprop-gelu",
        partial(classify, partial(mlp, [64, 64, 64, 10], nn.GELU), rmsprop(1e-3)),
        level=0.2,
        held_out=True,
    ),
    Case("wide-mlp", partial(classify, partial(mlp, [64, 512, 10]), adamw(1e-3)), level=0.2),
    Case("deep-mlp-he", partial(classify, partial(mlp, DEEP, nn.ReLU, he), adam(1e-3)), level=0.6),
    Case(
        "deep-mlp-batch-norm",
        partial(classify, partial(mlp, DEEP, norm=nn.BatchNorm1d), sgd(0.05, momentum=0.9)),
        level=0.8,
        held_out=True,
    ),
    Case(
        "deep-tanh-xavier",
        partial(classify, partial(mlp, DEEP, nn.Tanh, gaussian(1.0)), adam(1e-3)),
        level=0.6,
    ),
    Case("residual-mlp", partial(classify, PerceptronWithNorm, adamw(1e-3)), level=0.3),
    Case(
        "cosine-schedule",
        partial(
            classify,
            small,
            sgd(0.1, momentum=0.9),
            schedule=lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 150),
        ),
        level=0.2,
    ),
    Case("clipped-to-one", partial(classify, small, adam(2e-3), clip=1.0), level=0.2),
    Case("cnn-adam", partial(classify, cnn, adam(3e-3), "image"), level=0.4),
    Case(
        "cnn-batch-norm",
        partial(classify, partial(cnn, norm=True), sgd(0.05, momentum=0.9), "image"),
        level=0.3,
        held_out=True,
    ),
    Case(
        "resnet", partial(classify, ResNet, sgd(0.05, momentum=0.9), "image"), level=1.0, steps=80
    ),
    Case(
        "resnet-zero-residual",
        partial(classify, partial(ResNet, zero_init=True), adam(1e-2), "image"),
        level=1.0,
        steps=80,
        held_out=True,
    ),
    Case("encoder-pre-norm", partial(classify, Reader, adamw(2e-3), "rows"), level=0.8),
    Case(
        "encoder-post-norm",
        partial(classify, partial(Reader, norm="post"), adam(1e-3), "rows"),
        level=0.8,
    ),
    Case(
        "encoder-deep-pre-norm",
        partial(classify, partial(Reader, 24, layers=10), adam(1e-2), "rows"),
        level=1.2,
        steps=60,
    ),
    Case("encoder-of-torch", partial(classify, TorchReader, adam(2e-3), "rows"), level=0.9),
    Case("gru", partial(classify, Recurrent, adam(5e-3), "rows"), level=0.8, held_out=True),
    Case("autoencoder", partial(encode, partial(mlp, [64, 48, 12, 48, 64]), adam(2e-3)), level=0.5),
    # Faults of the step.
    Case(
        "mlp-sgd-step-large",
        partial(classify, small, sgd(3.0)),
        LARGE_STEP,
        "mlp-sgd",
    ),
    Case(
        "mlp-momentum-step-large",
        partial(classify, small, sgd(0.6, momentum=0.9)),
        LARGE_STEP,
        "mlp-momentum",
    ),
    Case("mlp-adam-step-large", partial(classify, small, adam(0.1)), LARGE_STEP, "mlp-adam"),
    Case(
        "cnn-adam-step-large",
        partial(classify, cnn, adam(0.3), "image"),
        LARGE_STEP,
        "cnn-adam",
        held_out=True,
    ),
    Case(
        "mlp-sgd-step-small",
        partial(classify, small, sgd(1e-4)),
        ("small-step", "slow-descent"),
        "mlp-sgd",
    ),
    Case(
        "residual-mlp-step-small",
        partial(classify, PerceptronWithNorm, adamw(1e-6)),
        ("small-step", "slow-descent"),
        "residual-mlp",
        held_out=True,
    ),
    Case(
        "decayed-early",
        partial(
            classify,
            small,
            sgd(0.1, momentum=0.9),
            schedule=lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.6),
        ),
        ("small-step", "slow-descent"),
        "cosine-schedule",
    ),
    Case(
        "warm-up-too-long",
        partial(classify, small, adam(1e-3), schedule=partial(warmed_up, steps=5000)),
        ("slow-descent", "small-step"),
        "mlp-adam",
    ),
    Case(
        "warmed-up-too-far",
        partial(classify, small, adam(0.1), schedule=partial(warmed_up, steps=20)),
        LARGE_STEP,
        "mlp-adam",
    ),
    Case(
        "momentum-rings",
        partial(classify, small, sgd(0.05, momentum=0.995)),
        LARGE_STEP,
        "mlp-momentum",
    ),
    Case(
        "decay-in-adam",
        partial(classify, small, adam(1e-3, weight_decay=0.1)),
        ("weight-decay",),
        "mlp-adam",
    ),
    Case(
        "clipped-to-nothing",
        partial(classify, small, sgd(0.1), clip=1e-3),
        ("clipped", "small-step", "slow-descent"),
        "mlp-sgd",
    ),
    Case(
        "decay-large",
        partial(classify, small, sgd(0.1, weight_decay=0.3)),
        ("weight-decay",),
        "mlp-sgd",
    ),
    Case(
        "decay-large-adamw",
        partial(classify, PerceptronWithNorm, adamw(1e-3, weight_decay=100.0)),
        ("weight-decay",),
        "residual-mlp",
        held_out=True,
    ),
    # Faults of the initialisation.
    Case(
        "deep-mlp-default",
        partial(classify, partial(mlp, DEEP), adam(1e-3)),
        ("vanishing-gradient", "small-init"),
        "deep-mlp-he",
    ),
    Case(
        "deep-sigmoid",
        partial(classify, partial(mlp, DEEP, nn.Sigmoid, gaussian(1.0)), adam(1e-3)),
        ("vanishing-gradient", "small-init"),
        "deep-tanh-xavier",
    ),
    Case(
        "deep-mlp-exploding",
        partial(classify, partial(mlp, DEEP, nn.ReLU, gaussian(4.0)), adam(1e-3)),
        ("exploding-signal", "large-init", "exploding-gradient"),
        "deep-mlp-he",
    ),
    Case(
        "mlp-init-small",
        partial(classify, partial(small, init=fixed(1e-3)), sgd(0.1)),
        ("small-init", "vanishing-gradient"),
        "mlp-sgd",
    ),
    Case(
        "mlp-init-large",
        partial(classify, partial(small, init=fixed(1.0)), adam(1e-3)),
        ("large-init", "exploding-signal", "loss-at-init"),
        "mlp-adam",
    ),
    Case(
        "resnet-init-small",
        partial(
            classify,
            lambda: ResNet(norm=False).apply(fixed(1e-4)),
            sgd(0.05, momentum=0.9),
            "image",
        ),
        ("small-init", "vanishing-gradient"),
        "resnet",
        steps=80,
    ),
    Case(
        "all-zero",
        partial(classify, partial(small, init=constant(0.0)), sgd(0.1)),
        ("symmetric-neurons", "no-gradient", "small-init"),
        "mlp-sgd",
    ),
    Case(
        "all-the-same",
        partial(classify, partial(tanh, init=constant(0.05)), adam(1e-3)),
        ("symmetric-neurons",),
        "mlp-nesterov-tanh",
        held_out=True,
    ),
    Case(
        "dead-units",
        partial(classify, partial(small, init=gaussian(2**0.5, bias=-8.0)), adam(1e-3)),
        ("dead-units",),
        "mlp-adam",
    ),
    Case(
        "saturated-tanh",
        partial(classify, tanh, sgd(0.03, momentum=0.9, nesterov=True), inputs=lambda x: 100 * x),
        ("input-scale", "saturated-units"),
        "mlp-nesterov-tanh",
    ),
    Case(
        "pixels-to-255",
        partial(classify, cnn, sgd(0.05, momentum=0.9), "image", inputs=lambda x: 255 * (x + 1)),
        ("input-scale", "step-size", "loss-at-init"),
        "cnn-adam",
    ),
    Case(
        "recurrent-exploding",
        partial(classify, partial(Recurrent, "RNN", gain=6.0), adam(5e-3), "rows"),
        ("saturated-units", "exploding-gradient"),
        "gru",
        held_out=True,
    ),
    # Faults of the wiring.
    Case("two-branches", partial(classify, Joined, adam(1e-3)), level=0.4),
    Case(
        "detached-branch",
        partial(classify, Detached, adam(1e-3)),
        ("no-gradient", "unmoved"),
        "two-branches",
    ),
    Case(
        "half-in-optimizer",
        partial(classify, small, adam(1e-3), trained=lambda m: m[-1].parameters()),
        ("not-optimised",),
        "mlp-adam",
    ),
    Case(
        "softmax-twice",
        partial(classify, small, sgd(0.1), loss=twice),
        ("softmax-twice",),
        "mlp-sgd",
    ),
    Case(
        "softmax-twice-in-model",
        partial(classify, lambda: nn.Sequential(cnn(), nn.Softmax(-1)), adam(3e-3), "image"),
        ("softmax-twice",),
        "cnn-adam",
        held_out=True,
    ),
    # Faults of normalisation and of depth.
    Case(
        "eval-left-on",
        partial(
            classify,
            partial(ResNet, blocks=5),
            sgd(0.05, momentum=0.9),
            "image",
            left_in_eval=True,
        ),
        ("batch-norm", "exploding-signal", "step-size"),
        "resnet",
        steps=80,
    ),
    Case(
        "batch-norm-of-two",
        partial(classify, partial(cnn, norm=True), sgd(0.05, momentum=0.9), "image", batch=2),
        ("batch-norm", "noise-and-batch"),
        "cnn-batch-norm",
    ),
    Case(
        "post-norm-too-deep",
        partial(classify, partial(Reader, 24, norm="post", layers=10), adam(1e-2), "rows"),
        ("residual-growth", "vanishing-gradient", "rank-collapse", "lost-rank", *LARGE_STEP),
        "encoder-deep-pre-norm",
        steps=60,
    ),
    Case(
        "tokens-collapse",
        partial(classify, partial(Reader, skip=False, layers=6), adamw(2e-3), "rows"),
        ("rank-collapse", "lost-rank", "vanishing-gradient"),
        "encoder-pre-norm",
    ),
)
