"""Sequences of the third set: language models, recall, recurrent nets, series."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from case import LARGE_STEP, Case, Training
from optimizers import Maker, adam, adamw, sgd
from third_data import Block, cosine, digits, fit, mlp, passages, prose
from torch import Tensor, nn
from torch.nn import functional as F


def told(logits: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten())


class GPT(nn.Module):
    """A causal model of characters whose head may be its embedding."""

    def __init__(
        self, kinds: int, width: int, depth: int, std: float, tied: bool, length: int, **others: Any
    ) -> None:
        super().__init__()
        self.embedding, self.place = nn.Embedding(kinds, width), nn.Embedding(length, width)
        self.blocks = nn.Sequential(*(Block(width, causal=True, **others) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, kinds, bias=False)
        nn.init.normal_(self.embedding.weight, std=std)
        nn.init.normal_(self.place.weight, std=std)
        if tied:
            self.head.weight = self.embedding.weight

    def forward(self, x: Tensor) -> Tensor:
        places = torch.arange(x.shape[1])
        return self.head(self.norm(self.blocks(self.embedding(x) + self.place(places))))


def gpt(
    lr: float = 4e-3,
    std: float = 0.1,
    tied: bool = True,
    size: int = 24,
    decay: float = 0.05,
    **others: Any,
) -> Training:
    """The prose by two blocks."""
    model = GPT(prose()[1], 48, 2, std, tied, 32, heads=3, **others)
    data = passages(32)
    training = fit(model, told, data, adamw(lr, weight_decay=decay), size)
    training.scheduler = cosine(120, 10)(training.optimizer)
    training.whole = (data[0][::6], data[1][::6])
    return training


class Recall(nn.Module):
    """Pairs of a key and a value, then a key: attention must find its value."""

    def __init__(self, width: int, scaled: bool, gain: float) -> None:
        super().__init__()
        self.keys, self.values = nn.Embedding(16, width), nn.Embedding(16, width)
        self.query, self.key = nn.Linear(width, width, False), nn.Linear(width, width, False)
        for layer in (self.query, self.key):
            nn.init.xavier_normal_(layer.weight, gain)
        self.mix, self.head = nn.Linear(width, width), nn.Linear(width, 16)
        self.scale = width**-0.5 if scaled else 1.0

    def forward(self, x: Tensor) -> Tensor:
        keys, values, asked = x[:, :8], x[:, 8:16], x[:, 16]
        logits = self.key(self.keys(keys)) @ self.query(self.keys(asked))[..., None]
        weights = (logits * self.scale).softmax(1)
        return self.head(F.gelu(self.mix((weights * self.values(values)).sum(1))))


def recall(scaled: bool = True, gain: float = 1.0, lr: float = 1e-2) -> Training:
    draw = torch.Generator().manual_seed(5)
    keys = torch.rand(2048, 16, generator=draw).argsort(-1)[:, :8]
    values = torch.randint(16, (2048, 8), generator=draw)
    at = torch.randint(8, (2048, 1), generator=draw)
    x = torch.cat([keys, values, keys.gather(1, at)], 1)
    return fit(Recall(64, scaled, gain), told, (x, values.gather(1, at)[:, 0]), adam(lr), 64)


class Reader(nn.Module):
    """A recurrent net of a sort, and a head on its last state or on all of them."""

    def __init__(self, net: nn.Module, out: int, every: bool = False) -> None:
        super().__init__()
        self.net, self.head, self.every = net, nn.Linear(net.hidden_size, out), every

    def forward(self, x: Tensor) -> Tensor:
        states = self.net(x)[0]
        return self.head(states if self.every else states[:, -1])


def rows(
    net: nn.Module, make: Maker, scale: float = 1.0, size: int = 64, **others: Any
) -> Training:
    """Digits read row by row."""
    x, y = digits()
    return fit(Reader(net, 10), told, ((x[:, 0] - 0.3) * 2.7 * scale, y), make, size, **others)


def lstm(make: Maker, scale: float = 1.0, **others: Any) -> Training:
    return rows(nn.LSTM(8, 48, batch_first=True), make, scale, **others)


def memory(
    make: Maker, gain: float, act: str = "tanh", length: int = 16, **others: Any
) -> Training:
    """Say at the end which of eight symbols came first, after noise."""
    draw = torch.Generator().manual_seed(7)
    y = torch.randint(8, (1500,), generator=draw)
    x = 0.3 * torch.randn(1500, length, 8, generator=draw)
    x[:, 0] = F.one_hot(y, 8).float()
    net = nn.RNN(8, 48, nonlinearity=act, batch_first=True)
    nn.init.orthogonal_(net.weight_hh_l0, gain)
    nn.init.zeros_(net.bias_hh_l0)
    return fit(Reader(net, 8), told, (x, y), make, 64, **others)


def series(length: int = 24) -> tuple[Tensor, Tensor]:
    """Return windows of a noisy sum of waves and the value which follows each."""
    draw = torch.Generator().manual_seed(11)
    t = torch.arange(1500.0)
    wave = torch.sin(t / 5) + 0.6 * torch.sin(t / 13 + 1) + 0.4 * torch.sin(t / 2.3)
    wave = wave + 0.05 * torch.randn(1500, generator=draw)
    windows = ((wave - wave.mean()) / wave.std()).unfold(0, length + 1, 1)
    return windows[:, :-1, None].contiguous(), windows[:, -1:].contiguous()


def forecast(
    make: Maker, level: float = 0.0, spread: float = 1.0, raw: float = 1.0, drift: float = 0.0,
    net: str = "GRU", size: int = 64, loss: Any = F.mse_loss, **others: Any,
) -> Training:  # fmt: skip
    """The next value; targets may be left in units, inputs too."""
    x, y = series()
    body = getattr(nn, net)(1, 32, batch_first=True)
    data = (x * raw + drift, y * spread + level)
    return fit(Reader(body, 1), loss, data, make, size, unit=spread**2, **others)


class Stack(nn.Module):
    """Which token is in the majority: blocks of attention with or without a skip."""

    def __init__(self, depth: int, skip: bool) -> None:
        super().__init__()
        self.embedding, self.place = nn.Embedding(6, 32), nn.Parameter(torch.randn(16, 32))
        self.blocks = nn.Sequential(*(Block(32, 2, skip=skip) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(32), nn.Linear(32, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.blocks(self.embedding(x) + self.place)))


def reverse(depth: int = 4, skip: bool = True, lr: float = 1e-2, slow: float = 1.0) -> Training:
    """Say the tokens in reverse; blocks may be given a step size `slow` times the rest's."""
    draw = torch.Generator().manual_seed(13)
    x = torch.randint(6, (1024, 16), generator=draw)
    model = Stack(depth, skip)
    training = fit(model, told, (x, x.flip(1)), adam(lr), 48)
    if slow != 1:
        inner = set(model.blocks.parameters())
        rest = [p for p in model.parameters() if p not in inner]
        groups = [{"params": rest}, {"params": list(inner), "lr": lr * slow}]
        training.optimizer = torch.optim.Adam(groups, lr=lr)
    training.scheduler = cosine(120, 10)(training.optimizer)
    training.whole = (x[:512], x[:512].flip(1))
    return training


class PostNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.place = nn.Embedding(6, 32), nn.Parameter(torch.randn(16, 32))
        layer = nn.TransformerEncoderLayer(32, 2, 64, 0.0, batch_first=True)
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(32, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self.embedding(x) + self.place))


def post_norm() -> Training:
    draw = torch.Generator().manual_seed(13)
    x = torch.randint(6, (1024, 16), generator=draw)
    return fit(PostNorm(), told, (x, x.flip(1)), adam(6e-3), 48, cosine(120, 20))


class Dilated(nn.Module):
    """Causal convolutions, dilated, with residuals and weight norm."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(1, 24, 1)
        self.convs = nn.ModuleList(
            nn.utils.parametrizations.weight_norm(nn.Conv1d(24, 24, 2, dilation=2**i))
            for i in range(4)
        )
        self.head = nn.Linear(24, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.transpose(1, 2))
        for i, conv in enumerate(self.convs):
            x = x + F.gelu(conv(F.pad(x, (2**i, 0))))
        return self.head(x[..., -1])


class Diagonal(nn.Module):
    """A linear recurrence with real decays, and a readout which is not linear."""

    def __init__(self) -> None:
        super().__init__()
        self.rate = nn.Parameter(torch.linspace(-3.0, 2.0, 32))
        self.into, self.out = nn.Linear(8, 32), mlp(32, 64, 10, act=nn.GELU)

    def forward(self, x: Tensor) -> Tensor:
        decay = torch.sigmoid(self.rate)
        state, inputs = x.new_zeros(len(x), 32), self.into(x)
        for t in range(x.shape[1]):
            state = decay * state + (1 - decay) * inputs[:, t]
        return self.out(state)


def diagonal() -> Training:
    x, y = digits()
    return fit(Diagonal(), told, ((x[:, 0] - 0.3) * 2.7, y), adam(2e-2), 64)


class SkipGram(nn.Module):
    """Characters' embeddings which say their neighbours."""

    def __init__(self, kinds: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(kinds, 24)
        self.out = nn.Linear(24, kinds)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.embedding(x))


def skip_gram(lr: float = 0.3) -> Training:
    text, kinds = prose()
    make = partial(torch.optim.Adagrad, lr=lr)
    return fit(SkipGram(kinds), told, (text[:-1], text[1:]), make, 256)


class Copier(nn.Module):
    """A GRU reads, another repeats what was read, taught by the true tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(9, 24)
        self.reader = nn.GRU(24, 64, batch_first=True)
        self.writer = nn.GRU(24, 64, batch_first=True)
        self.head = nn.Linear(64, 8)

    def forward(self, x: Tensor) -> Tensor:
        state = self.reader(self.embedding(x))[1]
        start = torch.full_like(x[:, :1], 8)
        before = torch.cat([start, x[:, :-1]], 1)
        return self.head(self.writer(self.embedding(before), state)[0])


def copier(lr: float = 1e-2) -> Training:
    draw = torch.Generator().manual_seed(17)
    x = torch.randint(8, (2000, 5), generator=draw)
    return fit(Copier(), told, (x, x), adam(lr), 64, clip=1.0)


def letters(make: Maker, size: int = 32, **others: Any) -> Training:
    """A GRU of characters."""
    kinds, data = prose()[1], passages(24)

    class Letters(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(kinds, 32)
            self.read = Reader(nn.GRU(32, 64, batch_first=True), kinds, every=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.read(self.embedding(x))

    training = fit(Letters(), told, data, make, size, **others)
    training.whole = (data[0][::5], data[1][::5])
    return training


def orthogonal(make: Maker, gain: float = 1.0, **others: Any) -> Training:
    """Digits read in pixels of four at a time by a ReLU net near the identity."""
    x, y = digits()
    net = nn.RNN(4, 48, nonlinearity="relu", batch_first=True)
    with torch.no_grad():
        net.weight_hh_l0.copy_(gain * torch.eye(48))
    return fit(Reader(net, 10), told, ((x.reshape(-1, 16, 4) - 0.3) * 2.7, y), make, 64, **others)


CASES: tuple[Case, ...] = (
    Case("third-gpt", gpt, level=3.3, steps=120),
    Case("third-gpt-loud", partial(gpt, std=1.0), ("loss-at-init", "large-init"), "third-gpt",
         steps=120),
    Case("third-gpt-untied", partial(gpt, lr=4e-3, std=0.02, tied=False, dropout=0.1), level=3.3,
         steps=120),
    Case("third-recall", recall, level=0.056, steps=200),
    Case("third-recall-sharp", partial(recall, False), ("frozen-softmax",), "third-recall",
         steps=200),
    Case("third-lstm", partial(lstm, adam(1.5e-2)), level=0.055, steps=150),
    Case("third-lstm-raw", partial(lstm, adam(1.5e-2), 255.0), ("input-scale", "saturated-units"),
         "third-lstm", steps=150),
    Case("third-lstm-decay", partial(lstm, adam(1.5e-2, weight_decay=0.05)), ("weight-decay",),
         "third-lstm", steps=150),
    Case("third-memory", partial(memory, adam(5e-3), 1.0), level=0.042, steps=150),
    Case("third-memory-fades", partial(memory, adam(5e-3), 0.3), ("vanishing-gradient",
         "small-init"), "third-memory", steps=150),
    Case("third-identity", partial(orthogonal, sgd(0.005, momentum=0.9)), level=0.79, steps=200),
    Case("third-identity-grows", partial(orthogonal, sgd(0.005, momentum=0.9), 1.25),
         ("exploding-gradient", "exploding-signal", "large-init", "loss-at-init", *LARGE_STEP),
         "third-identity", steps=200),
    Case("third-forecast", partial(forecast, adam(5e-3)), level=0.022, steps=150),
    Case("third-forecast-units", partial(forecast, adam(5e-3), 300.0, 40.0), ("target-scale",
         "loss-at-init"), "third-forecast", steps=150),
    Case("third-forecast-sgd", partial(forecast, sgd(0.1, momentum=0.9), net="RNN", clip=1.0),
         level=0.02, steps=200),
    Case("third-forecast-clipped", partial(forecast, sgd(0.1, momentum=0.9), net="RNN",
         clip=0.005), ("clipped", "small-step", "slow-descent"), "third-forecast-sgd", steps=200),
    Case("third-forecast-drift", partial(forecast, adam(5e-3), raw=1.0, drift=60.0),
         ("input-scale", "saturated-units"), "third-forecast", steps=150),
    Case("third-forecast-huber", partial(forecast, adamw(1e-2), net="LSTM", loss=nn.HuberLoss(),
         schedule=cosine(150)), level=0.0095, steps=150),
    Case("third-reverse", reverse, level=0.038, steps=120),
    Case("third-reverse-still", partial(reverse, slow=1e-3), ("unmoved", "small-step",
         "slow-descent"), "third-reverse", steps=120),
    Case("third-reverse-plain", partial(reverse, skip=False), ("rank-collapse", "lost-rank",
         "vanishing-gradient"), "third-reverse", steps=120),
    Case("third-post-norm", post_norm, level=0.038, steps=120),
    Case("third-dilated", lambda: fit(Dilated(), F.mse_loss, series(), adam(5e-3), 64), level=0.017,
         steps=150),
    Case("third-diagonal", diagonal, level=0.4, steps=200),
    Case("third-skip-gram", skip_gram, level=3.3, steps=150),
    Case("third-skip-gram-low", partial(skip_gram, 0.002), ("small-step", "slow-descent"),
         "third-skip-gram", steps=150),
    Case("third-copier", copier, level=0.15, steps=200),
    Case("third-copier-step", partial(copier, 0.1), LARGE_STEP, "third-copier", steps=200),
    Case("third-letters", partial(letters, adam(2e-2)), level=2.3, steps=100),
    Case("third-letters-one", partial(letters, adam(2e-2), size=1), ("noise-and-batch",),
         "third-letters", steps=100),
)  # fmt: skip
