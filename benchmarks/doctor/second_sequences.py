"""Strangers of the second set that read sequences: text, series and symbols."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from case import LARGE_STEP, Case, Training
from second_data import (
    adding,
    chance,
    passages,
    reversal,
    rows,
    shuffled,
    signals_of_ten,
    snippets,
    text,
    waves,
)
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import lr_scheduler
from torch.utils.checkpoint import checkpoint

cross = nn.CrossEntropyLoss()


def by_token(output: Tensor, target: Tensor) -> Tensor:
    """Cross entropy of logits (batch, place, symbol); targets of -100 do not count."""
    return F.cross_entropy(output.flatten(0, 1), target.flatten())


# --- Nets --------------------------------------------------------------------------------------


class SelfAttention(nn.Module):
    """Causal or full attention by hand; `divided` is the square root that must not be forgotten."""

    def __init__(self, width: int, heads: int, causal: bool, divided: bool = True):
        super().__init__()
        self.heads, self.causal, self.divided = heads, causal, divided
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        b, t, c = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        att = q @ k.transpose(-2, -1)
        if self.divided:
            att = att / math.sqrt(c // self.heads)
        if self.causal:
            seen = torch.ones(t, t, dtype=torch.bool, device=x.device).tril()
            att = att.masked_fill(~seen, float("-inf"))
        att = att.softmax(-1)
        return self.proj((att @ v).transpose(1, 2).reshape(b, t, c))


class Layer(nn.Module):
    """A transformer's layer with the norm first; `skip` is its residual connection."""

    def __init__(self, width: int, heads: int, causal: bool, divided: bool, skip: bool):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = SelfAttention(width, heads, causal, divided)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(),
                                 nn.Linear(4 * width, width))  # fmt: skip
        self.skip = float(skip)

    def forward(self, x: Tensor) -> Tensor:
        x = self.skip * x + self.attn(self.ln1(x))
        return self.skip * x + self.mlp(self.ln2(x))


class GPT(nn.Module):
    """A character model; `start` is the deviation of embeddings, which the tied head shares."""

    def __init__(
        self, symbols: int, length: int, width: int = 64, depth: int = 4, heads: int = 4,
        causal: bool = True, divided: bool = True, skip: bool = True, start: float = 0.02,
        tied: bool = True, saving: bool = False, xavier: bool = False,
    ):  # fmt: skip
        super().__init__()
        self.wte, self.wpe = nn.Embedding(symbols, width), nn.Embedding(length, width)
        self.layers = nn.ModuleList(
            Layer(width, heads, causal, divided, skip) for _ in range(depth)
        )
        self.ln = nn.LayerNorm(width)
        self.head = nn.Linear(width, symbols, bias=False)
        self.saving = saving
        for module in self.modules():
            if isinstance(module, nn.Linear):
                if xavier:
                    for part in module.weight.split(width):
                        nn.init.xavier_uniform_(part)
                else:
                    nn.init.normal_(module.weight, 0, 0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.wte.weight, 0, start)
        nn.init.normal_(self.wpe.weight, 0, start)
        if tied:
            self.head.weight = self.wte.weight

    def forward(self, x: Tensor) -> Tensor:
        x = self.wte(x) + self.wpe.weight[: x.shape[1]]
        for layer in self.layers:
            x = checkpoint(layer, x, use_reentrant=False) if self.saving else layer(x)
        return self.head(self.ln(x))


class CharLSTM(nn.Module):
    def __init__(self, symbols: int, width: int = 96):
        super().__init__()
        self.emb = nn.Embedding(symbols, 32)
        self.lstm = nn.LSTM(32, width, batch_first=True)
        self.drop = nn.Dropout(0.1)
        self.out = nn.Linear(width, symbols)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.drop(self.lstm(self.emb(x))[0]))


class Last(nn.Module):
    """A recurrent net and a head on its last state."""

    def __init__(self, net: nn.Module, out: int, width: int):
        super().__init__()
        self.rnn = net
        self.fc = nn.Linear(width, out)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.rnn(x)[0][:, -1])


class Elman(nn.Module):
    """A recurrent net of tanh written by hand; `gain` is that of the state's orthogonal matrix."""

    def __init__(self, into: int, width: int, gain: float):
        super().__init__()
        self.inner, self.state = nn.Linear(into, width), nn.Linear(width, width, bias=False)
        nn.init.orthogonal_(self.state.weight, gain)

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        h = x.new_zeros(len(x), self.state.in_features)
        told = []
        for at in range(x.shape[1]):
            h = torch.tanh(self.inner(x[:, at]) + self.state(h))
            told.append(h)
        return torch.stack(told, 1), None


class Causal(nn.Module):
    """A block of a temporal convolutional net: two dilated convolutions that see the past."""

    def __init__(self, into: int, out: int, dilation: int):
        super().__init__()
        norm = nn.utils.parametrizations.weight_norm
        self.pad = 2 * dilation
        self.conv1 = norm(nn.Conv1d(into, out, 3, dilation=dilation))
        self.conv2 = norm(nn.Conv1d(out, out, 3, dilation=dilation))
        self.side = nn.Conv1d(into, out, 1) if into != out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.conv1(F.pad(x, (self.pad, 0))))
        h = F.relu(self.conv2(F.pad(h, (self.pad, 0))))
        return F.relu(h + self.side(x))


class TCN(nn.Module):
    def __init__(self, width: int = 24):
        super().__init__()
        self.net = nn.Sequential(Causal(1, width, 1), Causal(width, width, 2),
                                 Causal(width, width, 4))  # fmt: skip
        self.out = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.net(x.transpose(1, 2))[:, :, -1])


class PatchForecaster(nn.Module):
    """Patches of five values, PyTorch's encoder with the norm last, and a linear head."""

    def __init__(self, width: int = 32):
        super().__init__()
        self.patch = nn.Linear(5, width)
        self.pos = nn.Parameter(0.02 * torch.randn(8, width))
        layer = nn.TransformerEncoderLayer(width, 4, 64, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.out = nn.Linear(8 * width, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x.view(len(x), 8, 5)) + self.pos
        return self.out(self.encoder(x).flatten(1))


class Bag(nn.Module):
    """PyTorch's tutorial of text classification: the mean of embeddings, and a layer."""

    def __init__(self, symbols: int, kinds: int, lost: bool = False):
        super().__init__()
        self.embedding = nn.EmbeddingBag(symbols * 31, 64)
        self.fc = nn.Linear(64, kinds)
        self.symbols, self.lost = symbols, lost
        self.embedding.weight.data.uniform_(-0.5, 0.5)
        self.fc.weight.data.uniform_(-0.5, 0.5)
        self.fc.bias.data.zero_()

    def forward(self, x: Tensor) -> Tensor:
        pairs = (x[:, :-1] * self.symbols + x[:, 1:]) % self.embedding.num_embeddings
        if self.lost:
            with torch.no_grad():
                told = self.embedding(pairs)
        else:
            told = self.embedding(pairs)
        return self.fc(told)


def conv1d() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(1, 16, 5, padding=2), nn.BatchNorm1d(16), nn.SiLU(), nn.MaxPool1d(2),
        nn.Conv1d(16, 32, 5, padding=2), nn.BatchNorm1d(32), nn.SiLU(), nn.MaxPool1d(2),
        nn.Flatten(), nn.Linear(320, 64), nn.SiLU(), nn.Linear(64, 10),
    )  # fmt: skip


# --- Trainings ---------------------------------------------------------------------------------


def training(
    net: nn.Module, loss: Callable[..., Tensor], data: Any, optimizer: torch.optim.Optimizer,
    size: int = 32, **more: Any,
) -> Training:  # fmt: skip
    whole = rows(data, torch.randperm(len(data[0]), generator=chance(40))[:512])
    return Training(net, loss, shuffled(data, size), optimizer, whole, **more)


def cosine(optimizer: torch.optim.Optimizer, rise: int, steps: int) -> Any:
    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / (steps - rise))))

    return lr_scheduler.LambdaLR(optimizer, factor)


def characters(
    depth: int = 4, width: int = 64, lr: float = 1e-3, steps: int = 200, **more: Any
) -> Training:
    """A small GPT of characters, with AdamW's betas of language models, warm-up and clipping."""
    net = GPT(text()[1], 32, width, depth, **more)
    optimizer = torch.optim.AdamW(net.parameters(), lr, betas=(0.9, 0.95), weight_decay=0.1)
    return training(net, by_token, passages(32), optimizer, clip=1.0,
                    scheduler=cosine(optimizer, 20, steps))  # fmt: skip


def backwards(
    divided: bool = True,
    depth: int = 2,
    width: int = 128,
    heads: int = 1,
    skip: bool = True,
    lr: float = 5e-4,
) -> Training:
    """A transformer of Xavier's initialisation says a sequence the other way round."""
    net = GPT(16, 20, width, depth, heads, causal=False, divided=divided, skip=skip, start=1.0,
              tied=False, xavier=True)  # fmt: skip
    return training(net, by_token, reversal(), torch.optim.Adam(net.parameters(), lr), 64)


def masked() -> Training:
    """BERT's task: a tenth and a half of the characters is hidden and has to be told."""
    _, symbols = text()
    x, _ = passages(24)
    hidden = torch.rand(x.shape, generator=torch.Generator().manual_seed(9)) < 0.15
    data = (x.masked_fill(hidden, symbols), x.masked_fill(~hidden, -100))
    net = GPT(symbols + 1, 24, 48, 3, 4, causal=False, start=0.3, tied=False,
              xavier=True)  # fmt: skip
    return training(net, by_token, data, torch.optim.AdamW(net.parameters(), 3e-3), 32)


def lstm_text(lr: float = 5e-3) -> Training:
    net = CharLSTM(text()[1])
    return training(net, by_token, passages(32), torch.optim.Adam(net.parameters(), lr), clip=1.0)


def bag(lost: bool = False) -> Training:
    net = Bag(text()[1], 6, lost)
    optimizer = torch.optim.SGD(net.parameters(), 2.0)
    return training(net, cross, snippets(), optimizer, 64, clip=1.0,
                    scheduler=lr_scheduler.StepLR(optimizer, 100, 0.5))  # fmt: skip


def pressures(raw: bool = False, raw_target: bool = False) -> Training:
    """The next value of a barometer by an LSTM; raw in hectopascals, 1013 and a few."""
    x, y = waves()
    net = Last(nn.LSTM(1, 32, batch_first=True), 1, 32)
    data = (1013 + 9 * x if raw else x, 1013 + 9 * y if raw_target else y)
    return training(net, nn.MSELoss(), data, torch.optim.Adam(net.parameters(), 5e-3), 32,
                    unit=81.0 if raw_target else 1.0)  # fmt: skip


def gap() -> Training:
    """The sensor said nothing for a while, and the gap is nan in the windows."""
    made = forecast_tcn()
    x, y = (part.clone() for part in waves())
    for window in range(0, len(x)):
        if window + 40 >= 500 and window < 560:
            x[window][[t for t in range(40) if 500 <= window + t < 560]] = math.nan
    made.batches, made.whole = shuffled((x, y), 32), (waves()[0][:512], waves()[1][:512])
    return made


def forecast_tcn() -> Training:
    net = TCN()
    return training(net, nn.SmoothL1Loss(), waves(), torch.optim.AdamW(net.parameters(), 2e-3))


def forecast_patches(lr: float = 1e-3) -> Training:
    """Cosine annealing with warm restarts."""
    net = PatchForecaster()
    optimizer = torch.optim.AdamW(net.parameters(), lr)
    return training(net, nn.MSELoss(), waves(), optimizer,
                    scheduler=lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 50))  # fmt: skip


def memory_gru(lr: float = 5e-3) -> Training:
    net = Last(nn.GRU(2, 48, batch_first=True), 1, 48)
    return training(net, nn.MSELoss(), adding(), torch.optim.Adam(net.parameters(), lr), 64,
                    unit=float(adding()[1].var()), clip=1.0)  # fmt: skip


def elman(gain: float = 1.0) -> Training:
    """A recurrent net of tanh tells which of ten curves it has read, value by value."""
    x, y = signals_of_ten()
    net = Last(Elman(1, 64, gain), 10, 64)
    return training(net, cross, (x.transpose(1, 2), y),
                    torch.optim.Adam(net.parameters(), 2e-3), 64, clip=1.0)  # fmt: skip


def curves(decay: float = 0.0) -> Training:
    net = conv1d()
    return training(net, cross, signals_of_ten(),
                    torch.optim.Adam(net.parameters(), 2e-3, weight_decay=decay), 100)  # fmt: skip


def large_batch() -> Training:
    net = conv1d()
    optimizer = torch.optim.SGD(net.parameters(), 0.2, momentum=0.9, nesterov=True)
    return training(net, cross, signals_of_ten(), optimizer, 500,
                    scheduler=cosine(optimizer, 10, 60))  # fmt: skip


CASES: tuple[Case, ...] = (
    Case("second-gpt", characters, level=2.9, steps=200),
    Case("second-gpt-of-twelve", partial(characters, 12, 32, 2e-3, 100, saving=True), level=3.1,
         steps=100),
    Case("second-backwards", partial(backwards, depth=4), level=0.3, steps=100),
    Case("second-backwards-narrow", partial(backwards, True, 4, 64, 4, lr=1e-3), level=0.3),
    Case("second-masked-text", masked, level=2.95, steps=250),
    Case("second-lstm-text", lstm_text, level=2.6, steps=200),
    Case("second-bag-of-pairs", bag, level=1.3, steps=400),
    Case("second-pressures", pressures, level=0.15),
    Case("second-tcn", forecast_tcn, level=0.1),
    Case("second-patches-warm-restarts", forecast_patches, level=0.15),
    Case("second-gru-adding", memory_gru, level=0.2, steps=500),
    Case("second-elman", elman, level=1.6, steps=300),
    Case("second-curves", curves, level=0.5),
    Case("second-curves-large-batch", large_batch, level=0.6, steps=60),
    Case("second-gpt-embeddings-of-one", partial(characters, start=1.0),
         ("loss-at-init", "large-init"), "second-gpt", hurts=1.1, steps=200),
    Case("second-gpt-step", partial(characters, lr=0.1), LARGE_STEP, "second-gpt", hurts=1.1,
         steps=200),
    Case("second-backwards-undivided", partial(backwards, False, 4), ("frozen-softmax",),
         "second-backwards", hurts=3, steps=100),
    Case("second-backwards-no-skip", partial(backwards, True, 4, 64, 4, False, 1e-3),
         ("rank-collapse", "vanishing-gradient"), "second-backwards-narrow", hurts=3),
    Case("second-lost-embedding", partial(bag, True), ("no-gradient",), "second-bag-of-pairs",
         steps=400),
    Case("second-pressures-raw", partial(pressures, True), ("input-scale",), "second-pressures",
         hurts=2),
    Case("second-pressures-to-tell-raw", partial(pressures, False, True), ("target-scale",),
         "second-pressures", hurts=2),
    Case("second-sensor-gap", gap, ("non-finite", "divergence"), "second-tcn", hurts=2),
    Case("second-elman-wild", partial(elman, 3.0), ("exploding-gradient", "large-init",
         "exploding-signal", "saturated-units"), "second-elman", steps=300),
    Case("second-curves-decayed", partial(curves, 0.3), ("weight-decay",), "second-curves",
         hurts=2),
    Case("second-gru-timid", partial(memory_gru, 1e-5), ("small-step", "slow-descent"),
         "second-gru-adding", hurts=2, steps=500),
)  # fmt: skip
