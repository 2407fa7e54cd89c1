"""The strangers' models: each as its own field writes it, with what may be done wrong in it."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def dense(*widths: int, act: Callable[[], nn.Module] = nn.ReLU, gain: float = 0.0) -> nn.Sequential:
    """Return a multilayer perceptron; with a gain, weights are N(0, gain^2 / fan-in)."""
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        layers += [nn.Linear(a, b), act()]
        if gain:
            nn.init.normal_(layers[-2].weight, std=gain / math.sqrt(a))
            nn.init.zeros_(layers[-2].bias)
    return nn.Sequential(*layers[:-1])


class Mixer(nn.Module):
    """MLP-Mixer on 16 patches of 2 x 2."""

    def __init__(self, wide: int = 32, depth: int = 3) -> None:
        super().__init__()
        self.patch = nn.Conv2d(1, wide, 2, 2)
        self.tokens = nn.ModuleList(
            nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16)) for _ in range(depth)
        )
        self.channels = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(wide), nn.Linear(wide, 64), nn.GELU(), nn.Linear(64, wide))
            for _ in range(depth)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(wide) for _ in range(depth))
        self.last, self.head = nn.LayerNorm(wide), nn.Linear(wide, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        for tokens, channels, norm in zip(self.tokens, self.channels, self.norms, strict=True):
            x = x + tokens(norm(x).transpose(1, 2)).transpose(1, 2)
            x = x + channels(x)
        return self.head(self.last(x).mean(1))


class UNet(nn.Module):
    """Two scales with a skip, batch norm; logits of a mask."""

    def __init__(self, sigmoid: bool = False) -> None:
        super().__init__()
        self.down1, self.down2 = self._conv(1, 8), self._conv(8, 16)
        self.up, self.join = nn.ConvTranspose2d(16, 8, 2, 2), self._conv(16, 8)
        self.out, self.sigmoid = nn.Conv2d(8, 1, 1), sigmoid

    @staticmethod
    def _conv(a: int, b: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        fine = self.down1(x)
        coarse = self.up(self.down2(F.max_pool2d(fine, 2)))
        out = self.out(self.join(torch.cat([fine, coarse], 1)))
        return torch.sigmoid(out) if self.sigmoid else out


class Variational(nn.Module):
    """Variational autoencoder of digits; returns (reconstruction, mean, log variance)."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16))
        self.decoder = dense(8, 64, 64)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, logvar = self.encoder(x).chunk(2, 1)
        z = mean + torch.exp(logvar / 2) * torch.randn_like(mean) if self.training else mean
        return self.decoder(z), mean, logvar


def evidence(out: tuple[Tensor, Tensor, Tensor], x: Tensor) -> Tensor:
    made, mean, logvar = out
    apart = -0.5 * (1 + logvar - mean**2 - logvar.exp()).sum(1).mean()
    return F.mse_loss(made, x.flatten(1)) + 0.01 * apart


class Contrast(nn.Module):
    """SimCLR: two noisy views of each picture, projected on a sphere: (2 batch, 16)."""

    def __init__(self, detached: bool = False) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))
        self.projector, self.detached = nn.Sequential(nn.ReLU(), nn.Linear(64, 16)), detached

    def forward(self, x: Tensor) -> Tensor:
        views = torch.cat([x, x]) + 0.5 * torch.randn(2 * len(x), *x.shape[1:])
        seen = self.encoder(views)
        return F.normalize(self.projector(seen.detach() if self.detached else seen), dim=1)


def info_nce(z: Tensor, temperature: float = 0.2) -> Tensor:
    likeness = (z @ z.T / temperature).fill_diagonal_(-1e9)
    return F.cross_entropy(likeness, torch.arange(len(z)).roll(len(z) // 2))


class GraphNet(nn.Module):
    """Graph convolutions with a symmetric normalised adjacency, for all nodes at once."""

    def __init__(self, adjacency: Tensor, depth: int, wide: int = 32, dropout: float = 0.3) -> None:
        super().__init__()
        loops = adjacency + torch.eye(len(adjacency))
        scale = loops.sum(1).rsqrt()
        self.register_buffer("spread", scale[:, None] * loops * scale)
        widths = [16, *[wide] * (depth - 1), 4]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        for number, layer in enumerate(self.layers):
            x = self.spread @ layer(self.dropout(x) if number else x)
            x = x.relu() if number < len(self.layers) - 1 else x
        return x


class Letters(nn.Module):
    """Character model with an LSTM or a GRU; logits (batch, letters, length)."""

    def __init__(self, letters: int, cell: Any = nn.LSTM) -> None:
        super().__init__()
        self.embed, self.cell = nn.Embedding(letters, 24), cell(24, 64, batch_first=True)
        self.head = nn.Linear(64, letters)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cell(self.embed(x))[0]).transpose(1, 2)


class Recurrent(nn.Module):
    """Reads a sequence and answers from the last state; `gain` rescales the recurrent weights."""

    def __init__(self, cell: nn.Module, wide: int, out: int, gain: float = 1.0) -> None:
        super().__init__()
        self.cell, self.head = cell, nn.Linear(wide, out)
        with torch.no_grad():
            self.cell.weight_hh_l0.mul_(gain)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cell(x)[0][:, -1])


class Attention(nn.Module):
    """Causal or full self-attention, written out."""

    def __init__(self, wide: int, heads: int, causal: bool, divided: bool = True) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(wide, 3 * wide), nn.Linear(wide, wide)
        self.heads, self.causal, self.divided = heads, causal, divided

    def forward(self, x: Tensor) -> Tensor:
        b, t, c = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-2, -1)
        if self.divided:
            scores = scores / math.sqrt(q.shape[-1])
        if self.causal:
            ahead = torch.ones(t, t, dtype=torch.bool).triu(1)
            scores = scores.masked_fill(ahead, float("-inf"))
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, c))


class Block(nn.Module):
    """A transformer's block, normalised before or after."""

    def __init__(self, wide: int, heads: int, *, causal: bool = False, post: bool = False,
                 divided: bool = True, dropout: float = 0.0) -> None:  # fmt: skip
        super().__init__()
        self.attention = Attention(wide, heads, causal, divided)
        self.mlp = nn.Sequential(nn.Linear(wide, 2 * wide), nn.GELU(), nn.Linear(2 * wide, wide))
        self.norm1, self.norm2 = nn.LayerNorm(wide), nn.LayerNorm(wide)
        self.drop, self.post = nn.Dropout(dropout), post

    def forward(self, x: Tensor) -> Tensor:
        if self.post:
            x = self.norm1(x + self.drop(self.attention(x)))
            return self.norm2(x + self.drop(self.mlp(x)))
        x = x + self.drop(self.attention(self.norm1(x)))
        return x + self.drop(self.mlp(self.norm2(x)))


class Gpt(nn.Module):
    """Causal language model with tied embeddings, initialised as GPT-2 unless told otherwise."""

    def __init__(self, letters: int, *, depth: int = 2, wide: int = 48, heads: int = 4,
                 std: float = 0.02, embed_std: float = 0.02) -> None:  # fmt: skip
        super().__init__()
        self.embed, self.place = nn.Embedding(letters, wide), nn.Embedding(64, wide)
        self.blocks = nn.ModuleList(Block(wide, heads, causal=True) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(wide), nn.Linear(wide, letters, bias=False)
        self.head.weight = self.embed.weight
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                last = name.endswith(("out.weight", "mlp.2.weight"))
                nn.init.normal_(weight, std=std / math.sqrt(2 * depth) if last else std)
        nn.init.normal_(self.embed.weight, std=embed_std)

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x) + self.place.weight[: x.shape[1]]
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h)).transpose(1, 2)


class Reader(nn.Module):
    """Transformer encoder that classes a sequence at its first token."""

    def __init__(self, depth: int = 2, wide: int = 32, post: bool = True, heads: int = 4,
                 divided: bool = True, gain: float = 0.0) -> None:  # fmt: skip
        super().__init__()
        self.embed, self.place = nn.Embedding(8, wide), nn.Parameter(0.02 * torch.randn(12, wide))
        self.blocks = nn.Sequential(
            *(Block(wide, heads, post=post, divided=divided) for _ in range(depth))
        )
        for block in self.blocks if gain else ():
            nn.init.normal_(block.attention.qkv.weight, std=gain / math.sqrt(wide))
        self.head = nn.Linear(wide, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.embed(x) + self.place)[:, 0])


class Vit(nn.Module):
    """Vision transformer with a class token."""

    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__()
        self.patch, self.token = nn.Conv2d(1, 32, 2, 2), nn.Parameter(torch.zeros(1, 1, 32))
        self.place = nn.Parameter(0.02 * torch.randn(1, 17, 32))
        self.blocks = nn.Sequential(*(Block(32, 4, dropout=dropout) for _ in range(2)))
        self.norm, self.head = nn.LayerNorm(32), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.place
        return self.head(self.norm(self.blocks(x))[:, 0])


class Translator(nn.Module):
    """PyTorch's own encoder and decoder; source and shifted target come in one tensor."""

    def __init__(self, length: int = 6) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(9, 32), nn.Parameter(0.5 * torch.randn(length, 32))
        self.body = nn.Transformer(32, 4, 1, 1, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.head, self.length = nn.Linear(32, 9), length

    def forward(self, x: Tensor) -> Tensor:
        given, said = (self.embed(p) + self.place for p in x.split(self.length, 1))
        mask = nn.Transformer.generate_square_subsequent_mask(self.length)
        return self.head(self.body(given, said, tgt_mask=mask)).transpose(1, 2)


def audio(norm: bool = True) -> nn.Sequential:
    """Return a 1-D convolutional net for clips of 128."""
    layers: list[nn.Module] = []
    for a, b in ((1, 12), (12, 24), (24, 24)):
        layers += [nn.Conv1d(a, b, 9, 2, 4), nn.BatchNorm1d(b) if norm else nn.Identity()]
        layers.append(nn.ReLU())
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(24, 5))


class Categories(nn.Module):
    """Embeddings of categorical columns, concatenated into a small net; one logit."""

    def __init__(self) -> None:
        super().__init__()
        self.embeds = nn.ModuleList(nn.Embedding(s, 4) for s in (3, 5, 8, 12, 20, 25, 30, 40))
        self.body = dense(32, 32, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(torch.cat([e(c) for e, c in zip(self.embeds, x.T, strict=True)], 1))


class Poisson(nn.Module):
    """The residual of -u'' = pi^2 k^2 sin(pi k x), u(0) = u(1) = 0 built in."""

    def __init__(self, k: float) -> None:
        super().__init__()
        self.body, self.k = dense(1, 32, 32, 1, act=nn.Tanh), k

    def forward(self, x: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        u = x * (1 - x) * self.body(2 * x - 1)
        (du,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        (ddu,) = torch.autograd.grad(du.sum(), x, create_graph=True)
        return (ddu / (math.pi * self.k) ** 2) + torch.sin(math.pi * self.k * x)


class Sine(nn.Module):
    """SIREN with its own initialisation, made for high frequencies."""

    def __init__(self, omega: float = 20.0, wide: int = 48) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(2, wide), nn.Linear(wide, wide)])
        self.out, self.omega = nn.Linear(wide, 1), omega
        nn.init.uniform_(self.layers[0].weight, -1 / 2, 1 / 2)
        for layer in (self.layers[1], self.out):
            bound = math.sqrt(6 / wide) / omega
            nn.init.uniform_(layer.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.sin(self.omega * layer(x))
        return self.out(x)


class Flow(nn.Module):
    """RealNVP in two dimensions; returns the log density of each sample."""

    def __init__(self, depth: int = 6, std: float = 0.0, bounded: bool = True) -> None:
        super().__init__()
        self.nets = nn.ModuleList(dense(1, 32, 32, 2, act=nn.Tanh) for _ in range(depth))
        self.bounded = bounded
        for net in self.nets:
            nn.init.zeros_(net[-1].weight)
            nn.init.zeros_(net[-1].bias)
            if std:
                for layer in (net[0], net[2], net[4]):
                    nn.init.normal_(layer.weight, std=std)

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.split(1, 1)
        change = torch.zeros(len(x))
        for net in self.nets:
            scale, shift = net(a).chunk(2, 1)
            scale = torch.tanh(scale) if self.bounded else scale
            a, b = b * scale.exp() + shift, a
            change = change + scale[:, 0]
        return change - 0.5 * (a**2 + b**2).sum(1) - math.log(2 * math.pi)


class Siamese(nn.Module):
    """The likeness of two pictures by one encoder."""

    def __init__(self, keep: bool = False) -> None:
        super().__init__()
        self.encoder, self.keep = dense(64, 64, 32), keep
        self.scale = nn.Parameter(torch.tensor(5.0))

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.encoder(x[:, 0]), self.encoder(x[:, 1])
        alike = self.scale * (F.cosine_similarity(a, b, dim=1) - 0.5)
        return alike[:, None] if self.keep else alike


class Ratings(nn.Module):
    """Factors of users and films with biases."""

    def __init__(self, std: float = 0.3) -> None:
        super().__init__()
        self.users, self.films = nn.Embedding(60, 6), nn.Embedding(40, 6)
        self.user, self.film = nn.Embedding(60, 1), nn.Embedding(40, 1)
        for part, size in ((self.users, std), (self.films, std), (self.user, 0), (self.film, 0)):
            nn.init.normal_(part.weight, std=size)

    def forward(self, x: Tensor) -> Tensor:
        u, f = x.T
        return (self.users(u) * self.films(f)).sum(1) + (self.user(u) + self.film(f))[:, 0]


class Residual(nn.Module):
    """Residual net of pictures: batch norm, ReZero, or nothing that holds the stream."""

    def __init__(self, depth: int, kind: str, wide: int = 12) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(1, wide, 3, padding=1), nn.Linear(wide, 10)
        self.first = nn.ModuleList(nn.Conv2d(wide, wide, 3, padding=1) for _ in range(depth))
        self.second = nn.ModuleList(nn.Conv2d(wide, wide, 3, padding=1) for _ in range(depth))
        normed = kind == "norm"
        self.norms = nn.ModuleList(nn.BatchNorm2d(wide) if normed else nn.Identity()
                                   for _ in range(2 * depth))  # fmt: skip
        self.gates = nn.Parameter(torch.zeros(depth)) if kind == "rezero" else None
        for conv in (self.stem, *self.first, *self.second):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for n, (one, two) in enumerate(zip(self.first, self.second, strict=True)):
            branch = self.norms[2 * n + 1](two(self.norms[2 * n](one(x)).relu()))
            x = x + branch * self.gates[n] if self.gates is not None else (x + branch).relu()
        return self.head(x.mean((2, 3)))


class Adapted(nn.Module):
    """A frozen linear layer with a low-rank change, the second factor zero at the start."""

    def __init__(self, base: nn.Linear, rank: int = 4, forgotten: bool = False) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.a = nn.Parameter(torch.randn(rank, base.in_features) / math.sqrt(base.in_features))
        self.b = nn.Parameter(torch.zeros(base.out_features, rank))
        if forgotten:
            nn.init.zeros_(self.a)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + 2 * x @ self.a.T @ self.b.T


class Experts(nn.Module):
    """Four experts mixed by a softmax gate, or picked by its largest."""

    def __init__(self, hard: bool = False) -> None:
        super().__init__()
        self.experts = nn.ModuleList(dense(3, 8, 2, act=nn.Tanh) for _ in range(4))
        self.gate, self.hard = dense(3, 16, 4, act=nn.Tanh), hard

    def forward(self, x: Tensor) -> Tensor:
        gates = self.gate(x).softmax(1)
        if self.hard:
            gates = F.one_hot(gates.argmax(1), 4).float()
        return sum(gates[:, i, None] * e(x) for i, e in enumerate(self.experts))


class Cosine(nn.Module):
    """Class by cosine times a large scale, as for faces."""

    def __init__(self, scale: float = 16.0) -> None:
        super().__init__()
        self.body, self.scale = dense(64, 64, 32, act=nn.SiLU), scale
        self.centres = nn.Parameter(torch.randn(10, 32))

    def forward(self, x: Tensor) -> Tensor:
        return (
            self.scale
            * F.normalize(self.body(x.flatten(1)), dim=1)
            @ F.normalize(self.centres, dim=1).T
        )


class PointNet(nn.Module):
    """A net of each point, the largest of them, and a net of that."""

    def __init__(self) -> None:
        super().__init__()
        self.point, self.head = dense(3, 32, 64), dense(64, 32, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.point(x).amax(1))


class Mixture(nn.Module):
    """Mixture density net: log-weights, means, log-deviations of four normals, (batch, 3, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = dense(1, 32, 12, act=nn.Tanh)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).view(-1, 3, 4)


def mixture_nll(out: Tensor, y: Tensor) -> Tensor:
    weight, mean, logstd = out.unbind(1)
    each = -0.5 * ((y - mean) * torch.exp(-logstd)) ** 2 - logstd - 0.5 * math.log(2 * math.pi)
    return -torch.logsumexp(weight.log_softmax(1) + each, 1).mean()


class Unrolled(nn.Module):
    """A neural differential equation, ten steps of Euler."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = dense(2, 32, 2, act=nn.Tanh)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(10):
            x = x + 0.1 * self.slope(x)
        return x


class Forecast(nn.Module):
    """Dilated causal convolutions; the last layer starts at zero."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv1d(1 if d == 1 else 16, 16, 2, dilation=d)
                                   for d in (1, 2, 4, 8, 16))  # fmt: skip
        self.head = nn.Linear(16, 1)
        nn.init.zeros_(self.head.weight)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.1)
        return self.head(x[..., -1])


class TwoHeads(nn.Module):
    """One body; a class and a brightness, returned as a pair."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU())
        self.kind, self.light = nn.Linear(64, 10), nn.Linear(64, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.body(x)
        return self.kind(h), self.light(h)
