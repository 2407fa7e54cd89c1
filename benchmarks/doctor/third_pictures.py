"""Pictures of the third set: convolutions, residual nets, vision transformers, autoencoders."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from case import LARGE_STEP, Case, Training
from optimizers import Maker, adam, adamw, rmsprop, sgd
from third_data import (
    Block,
    Schedule,
    centred,
    cosine,
    decays,
    digits,
    fit,
    flat,
    gained,
    mlp,
)
from torch import Tensor, nn
from torch.nn import functional as F

CE = nn.CrossEntropyLoss()


def trunk() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1, stride=2), nn.ReLU(),
        nn.Flatten(),
    )  # fmt: skip


def cnn(
    lr: float = 0.05,
    scale: float = 0.0,
    twice: bool = False,
    decay: float = 0.0,
    schedule: Schedule | None = None,
    size: int = 64,
    **others: Any,
) -> Training:
    """Two convolutions and two linear layers by SGD with momentum; raw pixels up to `scale`."""
    x, y = centred()
    if scale:
        x = digits()[0] * scale
    layers = [trunk(), nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 10)]
    model = nn.Sequential(*layers, *([nn.Softmax(-1)] if twice else []))
    make = sgd(lr, momentum=0.9, weight_decay=decay)
    return fit(model, CE, (x, y), make, size, schedule, **others)


def normed(size: int = 64, evaluating: bool = False) -> Training:
    """Five convolutions with batch norm, by Adam."""
    layers: list[nn.Module] = []
    shapes = ((1, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 32, 2))
    for a, b, stride in shapes:
        layers += [nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(128, 10))
    training = fit(model, CE, centred(), adam(3e-3), size)
    model.train(not evaluating)
    return training


class Residual(nn.Module):
    """A stream of convolutions, x + scale * f(x), f with or without a norm."""

    def __init__(self, blocks: int, scale: float, norm: bool, learnt: float | None = None) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1)
        self.branches = nn.ModuleList()
        for _ in range(blocks):
            convs = [nn.Conv2d(16, 16, 3, padding=1) for _ in range(2)]
            for conv in convs:
                nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            norms = [nn.GroupNorm(4, 16)] if norm else []
            self.branches.append(nn.Sequential(*norms, convs[0], nn.ReLU(), convs[1]))
        gains = (
            [nn.Parameter(torch.tensor(learnt)) for _ in range(blocks)]
            if learnt is not None
            else []
        )
        self.gains = nn.ParameterList(gains)
        self.scale = scale
        self.head = nn.Linear(16 * 16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for i, branch in enumerate(self.branches):
            x = x + (self.gains[i] if len(self.gains) else self.scale) * branch(x)
        return self.head(F.avg_pool2d(x, 2).flatten(1))


def residual(
    make: Maker,
    blocks: int = 8,
    scale: float = 1.0,
    norm: bool = False,
    learnt: float | None = None,
    smoothing: float = 0.0,
    schedule: Schedule | None = None,
) -> Training:
    loss = nn.CrossEntropyLoss(label_smoothing=smoothing)
    return fit(Residual(blocks, scale, norm, learnt), loss, centred(), make, 48, schedule)


class ViT(nn.Module):
    """Patches of 2 x 2 as 16 tokens, a few blocks, the mean of the tokens."""

    def __init__(self, width: int, heads: int, depth: int, xavier: bool, **others: Any) -> None:
        super().__init__()
        self.patch = nn.Conv2d(1, width, 2, 2)
        self.place = nn.Parameter(0.3 * torch.randn(16, width))
        self.blocks = nn.Sequential(*(Block(width, heads, **others) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)
        if xavier:
            for block in self.blocks:
                for layer in (block.query, block.key):
                    nn.init.xavier_normal_(layer.weight, 1.2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2) + self.place
        return self.head(self.norm(self.blocks(x)).mean(1))


def vit(
    make: Maker,
    width: int = 48,
    heads: int = 4,
    depth: int = 3,
    xavier: bool = False,
    schedule: Schedule | None = None,
    **others: Any,
) -> Training:
    return fit(ViT(width, heads, depth, xavier, **others), CE, centred(), make, 48, schedule)


def deep(
    make: Maker,
    act: Any,
    gain: float,
    depth: int = 6,
    bias: float = 0.0,
    constant: float = 0.0,
    size: int = 64,
    **others: Any,
) -> Training:
    """A plain deep net on flat pixels, with weights of a stated gain."""
    model = gained(mlp(64, *[64] * depth, 10, act=act), gain)
    inner = [layer for layer in model if isinstance(layer, nn.Linear)][:-1]
    for layer in inner:
        nn.init.constant_(layer.bias, bias)
        if constant:
            nn.init.constant_(layer.weight, constant)
    return fit(model, CE, flat(), make, size, **others)


class Narrow(nn.Module):
    """A stem into few features and a head; the stem may be detached by mistake."""

    def __init__(self, detached: bool = False) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 8), nn.Tanh())
        self.head = mlp(8, 64, 10)
        self.detached = detached

    def forward(self, x: Tensor) -> Tensor:
        features = self.stem(x)
        return self.head(features.detach() if self.detached else features)


def narrow(detached: bool = False) -> Training:
    return fit(Narrow(detached), CE, flat(), rmsprop(3e-3), 64)


def trunk_forgotten(forgotten: bool = False) -> Training:
    """A head on a trunk of small features; the optimizer may be given the head alone."""
    model = nn.Sequential(mlp(64, 64, 64, 6, act=nn.Tanh), nn.Tanh(), mlp(6, 32, 10))
    training = fit(model, CE, flat(), adam(5e-3), 64)
    if forgotten:
        training.optimizer = adam(5e-3)(model[2].parameters())
    return training


def autoencoder(
    make: Maker, twice: bool = False, drop: float = 0.0, schedule: Schedule | None = None
) -> Training:
    """Pixels in 0..1 through 12 numbers, by binary cross-entropy of logits."""
    x = digits()[0].flatten(1)
    model = nn.Sequential(nn.Dropout(drop), *mlp(64, 96, 12, 96, 64, act=nn.GELU))
    if twice:
        model.append(nn.Sigmoid())
    return fit(model, nn.BCEWithLogitsLoss(), (x, x), make, 64, schedule)


class Tied(nn.Module):
    """An autoencoder whose decoder is the encoder's transpose."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(64, 24)
        self.bias = nn.Parameter(torch.zeros(64))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(torch.tanh(self.encoder(x)), self.encoder.weight.T, self.bias)


class VAE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = mlp(64, 96, 16)
        self.decoder = mlp(8, 96, 64)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        mean, log = self.encoder(x).chunk(2, -1)
        z = mean + torch.randn_like(mean) * (log / 2).exp() if self.training else mean
        return x, self.decoder(z), mean, log


def evidence(out: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
    x, logits, mean, log = out
    told = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)
    return (told + 0.5 * (mean**2 + log.exp() - 1 - log).sum(-1)).mean()


class Quantised(nn.Module):
    """A code book between encoder and decoder, with or without the straight-through gradient."""

    def __init__(self, straight: bool) -> None:
        super().__init__()
        self.encoder, self.decoder = mlp(64, 96, 32), mlp(32, 96, 64)
        self.book = nn.Parameter(torch.randn(24, 8))
        self.straight = straight

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        code = self.encoder(x).reshape(len(x), 4, 8)
        near = self.book[torch.cdist(code.detach(), self.book.detach()).argmin(-1)]
        gap = F.mse_loss(near, code.detach())
        if self.straight:
            gap = gap + 0.25 * F.mse_loss(code, near.detach())
            near = code + (near - code).detach()
        return x, self.decoder(near.flatten(1)), gap


def quantised(straight: bool = True) -> Training:
    def loss(out: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        return F.mse_loss(out[1], out[0]) + (out[2] if model.training else 0.0)

    model = Quantised(straight)
    return fit(model, loss, flat()[0], adam(3e-3), 64)


class Pair(nn.Module):
    """Embeddings of two noisy views of each picture."""

    def __init__(self, normed: bool) -> None:
        super().__init__()
        self.body = mlp(64, 96, 96, 32)
        self.normed = normed

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        views = [self.body(x + 0.5 * torch.randn_like(x)) for _ in range(2)]
        if self.normed:
            views = [F.normalize(v, dim=-1) for v in views]
        return views[0], views[1]


def pair(normed: bool = True, temperature: float = 0.1) -> Training:
    def loss(views: tuple[Tensor, Tensor]) -> Tensor:
        logits = views[0] @ views[1].T / temperature
        return CE(logits, torch.arange(len(logits)))

    training = fit(Pair(normed), loss, flat()[0], adam(2e-3), 64)
    training.whole = flat()[0][:256]
    return training


COSINE = cosine(120, 8)

CASES: tuple[Case, ...] = (
    Case("third-cnn", cnn, level=0.098, steps=120),
    Case("third-cnn-step", partial(cnn, lr=0.2), LARGE_STEP, "third-cnn", steps=120),
    Case("third-cnn-bytes", partial(cnn, scale=255.0), ("input-scale", "loss-at-init", "step-size",
         "exploding-gradient"), "third-cnn", steps=120),
    Case("third-cnn-softmax", partial(cnn, twice=True), ("softmax-twice",), "third-cnn", steps=120),
    Case("third-cnn-clipped", partial(cnn, clip=0.01), ("clipped",), "third-cnn", steps=120),
    Case("third-cnn-decay", partial(cnn, decay=0.05), ("weight-decay",), "third-cnn", steps=120),
    Case("third-cnn-early", partial(cnn, schedule=decays(12, 0.4)), ("small-step", "slow-descent"),
         "third-cnn", steps=120),
    Case("third-batchnorm", normed, level=0.046, steps=100),
    Case("third-batchnorm-pairs", partial(normed, size=2), ("batch-norm", "noise-and-batch"),
         "third-batchnorm", steps=100),
    Case("third-batchnorm-eval", partial(normed, evaluating=True), ("batch-norm",),
         "third-batchnorm", steps=100),
    Case("third-residual", partial(residual, sgd(0.02, momentum=0.9), scale=8**-0.5), level=0.059,
         steps=100),
    Case("third-residual-growth", partial(residual, sgd(0.02, momentum=0.9), scale=1.0),
         ("residual-growth", "exploding-signal", "loss-at-init", "large-init",
         "exploding-gradient", *LARGE_STEP), "third-residual", steps=100),
    Case("third-residual-smooth", partial(residual, sgd(0.03, momentum=0.9, nesterov=True,
         weight_decay=5e-4), 6, 0.5, True, smoothing=0.1, schedule=cosine(120, 8)), level=0.79,
         steps=120),
    Case("third-rezero", partial(residual, adam(4e-3), 8, learnt=0.0), level=0.12, steps=100),
    Case("third-vit", partial(vit, adamw(6e-3, weight_decay=0.05), schedule=COSINE, dropout=0.1),
         level=0.3, steps=120),
    Case("third-vit-low", partial(vit, adamw(2e-4, weight_decay=0.05), schedule=COSINE,
         dropout=0.1), ("small-step", "slow-descent"), "third-vit", steps=120),
    Case("third-vit-xavier", partial(vit, adamw(3e-3), 64, 1, 2, True, COSINE),
         level=0.68, steps=120),
    Case("third-vit-sharp", partial(vit, adamw(3e-3), 64, 1, 2, True, COSINE, scaled=False),
         ("frozen-softmax",), "third-vit-xavier", steps=120),
    Case("third-deep-gelu", partial(deep, sgd(0.02, momentum=0.9), nn.GELU, 1.5), level=0.058,
         steps=150),
    Case("third-deep-sigmoid", partial(deep, sgd(0.02, momentum=0.9), nn.Sigmoid, 1.0),
         ("vanishing-gradient", "slow-descent", "unmoved"), "third-deep-gelu", steps=150),
    Case("third-deep-tanh", partial(deep, sgd(0.05, momentum=0.9), nn.Tanh, 1.1), level=0.047,
         steps=120),
    Case("third-deep-saturated", partial(deep, sgd(0.05, momentum=0.9), nn.Tanh, 4.0),
         ("saturated-units", "large-init", "exploding-gradient", "loss-at-init"),
         "third-deep-tanh", steps=120),
    Case("third-relu", partial(deep, sgd(0.02, momentum=0.9), nn.ReLU, 1.41, 3), level=0.085,
         steps=120),
    Case("third-relu-biased", partial(deep, sgd(0.02, momentum=0.9), nn.ReLU, 1.41, 3, -2.0),
         ("dead-units", "vanishing-gradient"), "third-relu", steps=120),
    Case("third-relu-dying", partial(deep, sgd(0.25, momentum=0.9), nn.ReLU, 1.41, 3),
         ("dying-units", "dead-units", *LARGE_STEP), "third-relu", steps=120),
    Case("third-relu-equal", partial(deep, sgd(0.02, momentum=0.9), nn.ReLU, 1.41, 3,
         constant=0.05), ("symmetric-neurons",), "third-relu", steps=120),
    Case("third-narrow", narrow, level=0.056, steps=200),
    Case("third-narrow-detached", partial(narrow, True), ("no-gradient",), "third-narrow",
         steps=200),
    Case("third-trunk", trunk_forgotten, level=0.18, steps=150),
    Case("third-trunk-forgotten", partial(trunk_forgotten, True), ("not-optimised", "unmoved"),
         "third-trunk", steps=150),
    Case("third-autoencoder", partial(autoencoder, adam(6e-3)), level=0.42, steps=150),
    Case("third-autoencoder-sigmoid", partial(autoencoder, adam(6e-3), True), ("softmax-twice",),
         "third-autoencoder", steps=150),
    Case("third-denoiser", partial(autoencoder, adamw(5e-3), drop=0.2, schedule=cosine(150)),
         level=0.46, steps=150),
    Case("third-tied", lambda: fit(Tied(), F.mse_loss, (flat()[0], flat()[0]), adam(1e-2), 32),
         level=0.16, steps=150),
    Case("third-vae", lambda: fit(VAE(), evidence, digits()[0].flatten(1), adam(3e-3)), level=33,
         steps=200),
    Case("third-quantised", quantised, level=0.31, steps=200),
    Case("third-quantised-blocked", partial(quantised, False), ("no-gradient",), "third-quantised",
         steps=200),
    Case("third-views", pair, level=2.2, steps=150),
)  # fmt: skip
