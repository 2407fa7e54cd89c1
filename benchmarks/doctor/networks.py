"""Small networks of the kinds that are trained most, as a practitioner writes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

Init = Callable[[nn.Module], None]


def gaussian(gain: float, bias: float = 0.0) -> Init:
    """Return an initialisation of linear layers with standard deviation gain/sqrt(fan in)."""
    return fixed(None, gain, bias)


def fixed(std: float | None, gain: float = 1.0, bias: float = 0.0) -> Init:
    """Return an initialisation of linear layers with the same standard deviation everywhere."""

    def set_to(module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Conv2d):
            fan_in = module.weight[0].numel()
            nn.init.normal_(module.weight, std=gain / math.sqrt(fan_in) if std is None else std)
            if module.bias is not None:
                nn.init.constant_(module.bias, bias)

    return set_to


def constant(value: float) -> Init:
    """Return an initialisation of linear layers with one value everywhere."""

    def set_to(module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.constant_(module.weight, value)
            nn.init.zeros_(module.bias)

    return set_to


def mlp(
    widths: Sequence[int],
    activation: Callable[[], nn.Module] = nn.ReLU,
    init: Init | None = None,
    *,
    norm: Callable[[int], nn.Module] | None = None,
    last: nn.Module | None = None,
) -> nn.Sequential:
    """Return linear layers of these widths with activations between them."""
    parts: list[nn.Module] = []
    for number, (fan_in, fan_out) in enumerate(pairwise(widths)):
        if number:
            if norm is not None:
                parts.append(norm(fan_in))
            parts.append(activation())
        parts.append(nn.Linear(fan_in, fan_out))
    if last is not None:
        parts.append(last)
    made = nn.Sequential(*parts)
    if init is not None:
        made.apply(init)
    return made


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch normalisation beside the identity."""

    def __init__(self, channels: int, *, zero_init: bool = False, norm: bool = True) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=not norm)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=not norm)
        self.bn1 = nn.BatchNorm2d(channels) if norm else nn.Identity()
        self.bn2 = nn.BatchNorm2d(channels) if norm else nn.Identity()
        if zero_init and isinstance(self.bn2, nn.BatchNorm2d):
            nn.init.zeros_(self.bn2.weight)

    def forward(self, x: Tensor) -> Tensor:
        out = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(x + self.bn2(self.conv2(out)))


class ResNet(nn.Module):
    """A stem, residual blocks, mean over the pixels, a linear head."""

    def __init__(
        self, channels: int = 12, blocks: int = 2, *, zero_init: bool = False, norm: bool = True
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 3, padding=1)
        self.bn = nn.BatchNorm2d(channels) if norm else nn.Identity()
        self.blocks = nn.Sequential(
            *(ResidualBlock(channels, zero_init=zero_init, norm=norm) for _ in range(blocks))
        )
        self.head = nn.Linear(channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.blocks(torch.relu(self.bn(self.stem(x))))
        return self.head(hidden.mean((2, 3)))


def cnn(init: Init | None = None, *, norm: bool = False, channels: int = 8) -> nn.Sequential:
    """Return two convolutions with max-pooling and a linear head, for 8x8 pictures."""
    parts = [
        nn.Conv2d(1, channels, 3, padding=1),
        nn.BatchNorm2d(channels) if norm else nn.Identity(),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(channels, 2 * channels, 3, padding=1),
        nn.BatchNorm2d(2 * channels) if norm else nn.Identity(),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * channels, 10),
    ]
    made = nn.Sequential(*(p for p in parts if not isinstance(p, nn.Identity)))
    if init is not None:
        made.apply(init)
    return made


class Attention(nn.Module):
    """Causal or full self-attention with `heads` heads; `divided` by sqrt(head width) or not."""

    def __init__(self, width: int, heads: int, *, causal: bool, divided: bool, fused: bool) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.heads, self.causal, self.fused = heads, causal, fused
        self.scale = (width // heads) ** -0.5 if divided else 1.0

    def forward(self, x: Tensor) -> Tensor:
        b, t, w = x.shape
        q, k, v = (
            part.view(b, t, self.heads, w // self.heads).transpose(1, 2)
            for part in self.qkv(x).split(w, 2)
        )
        if self.fused:
            y = nn.functional.scaled_dot_product_attention(
                q, k, v, is_causal=self.causal, scale=self.scale
            )
        else:
            scores = q @ k.transpose(-2, -1) * self.scale
            if self.causal:
                ahead = torch.ones(t, t, dtype=torch.bool, device=x.device).triu(1)
                scores = scores.masked_fill(ahead, -math.inf)
            y = scores.softmax(-1) @ v
        return self.out(y.transpose(1, 2).reshape(b, t, w))


class Block(nn.Module):
    """Attention and a two-layer net, with normalisation before ("pre"), after ("post") or none.

    Without normalisation and without `skip` the block is attention alone.
    """

    def __init__(self, width: int, heads: int, *, norm: str, skip: bool, **attention: Any) -> None:
        super().__init__()
        self.attention = Attention(width, heads, **attention)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.norm, self.skip = norm, skip

    def forward(self, x: Tensor) -> Tensor:
        if not self.skip:
            return self.mlp(self.attention(x))
        if self.norm == "pre":
            x = x + self.attention(self.norm1(x))
            return x + self.mlp(self.norm2(x))
        x = self.norm1(x + self.attention(x))
        return self.norm2(x + self.mlp(x))


class GPT(nn.Module):
    """A causal language model: token and position embeddings, blocks, a head (tied or not)."""

    def __init__(
        self,
        vocabulary: int,
        context: int,
        width: int = 32,
        heads: int = 2,
        layers: int = 2,
        *,
        std: float | None = None,
        tied: bool = False,
        embedding_std: float = 0.02,
        norm: str = "pre",
        zero_head: bool = False,
        divided: bool = True,
        fused: bool = True,
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(context, width)
        self.blocks = nn.Sequential(
            *(
                Block(width, heads, norm=norm, skip=True, causal=True, divided=divided, fused=fused)
                for _ in range(layers)
            )
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.apply(fixed(std))
        for table in (self.tokens, self.positions):
            nn.init.normal_(table.weight, std=embedding_std)
        if tied:
            self.head.weight = self.tokens.weight
        if zero_head:
            nn.init.zeros_(self.head.weight)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.tokens(x) + self.positions(torch.arange(x.shape[1], device=x.device))
        return self.head(self.norm(self.blocks(hidden)))


class Reader(nn.Module):
    """A Transformer encoder over the rows of a picture, mean over tokens, a linear head."""

    def __init__(
        self,
        width: int = 32,
        heads: int = 2,
        layers: int = 2,
        *,
        norm: str = "pre",
        skip: bool = True,
        divided: bool = True,
        fused: bool = False,
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(8, width)
        self.positions = nn.Parameter(0.02 * torch.randn(8, width))
        self.blocks = nn.Sequential(
            *(
                Block(
                    width, heads, norm=norm, skip=skip, causal=False, divided=divided, fused=fused
                )
                for _ in range(layers)
            )
        )
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.embed(x) + self.positions).mean(1))


class TorchReader(nn.Module):
    """The same with the layers that PyTorch brings."""

    def __init__(self, width: int = 32, layers: int = 2, *, norm_first: bool = True) -> None:
        super().__init__()
        self.embed = nn.Linear(8, width)
        layer = nn.TransformerEncoderLayer(
            width, 2, 2 * width, dropout=0.1, batch_first=True, norm_first=norm_first
        )
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.embed(x)).mean(1))


class Recurrent(nn.Module):
    """A recurrent net over the rows of a picture; the last state is read."""

    def __init__(self, kind: str = "GRU", width: int = 32, gain: float | None = None) -> None:
        super().__init__()
        self.cell = getattr(nn, kind)(8, width, batch_first=True)
        self.head = nn.Linear(width, 10)
        if gain is not None:
            nn.init.normal_(self.cell.weight_hh_l0, std=gain / math.sqrt(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cell(x)[0][:, -1])


class Factors(nn.Module):
    """Ratings as inner products of two embeddings, with biases."""

    def __init__(self, users: int, items: int, rank: int = 8, std: float = 0.1) -> None:
        super().__init__()
        self.users, self.items = nn.Embedding(users, rank), nn.Embedding(items, rank)
        self.user_bias, self.item_bias = nn.Embedding(users, 1), nn.Embedding(items, 1)
        for table in (self.users, self.items):
            nn.init.normal_(table.weight, std=std)
        for table in (self.user_bias, self.item_bias):
            nn.init.zeros_(table.weight)

    def forward(self, pairs: Tensor) -> Tensor:
        u, i = pairs[:, 0], pairs[:, 1]
        return (self.users(u) * self.items(i)).sum(1) + (self.user_bias(u) + self.item_bias(i))[
            :, 0
        ]


class TwoTowers(nn.Module):
    """Embeddings of user and item into one net."""

    def __init__(self, users: int, items: int, rank: int = 8) -> None:
        super().__init__()
        self.users, self.items = nn.Embedding(users, rank), nn.Embedding(items, rank)
        self.net = mlp([2 * rank, 32, 1])

    def forward(self, pairs: Tensor) -> Tensor:
        return self.net(torch.cat([self.users(pairs[:, 0]), self.items(pairs[:, 1])], 1))[:, 0]


class Poisson(nn.Module):
    """The residuals of -u'' = f on (0, 1), u(0) = u(1) = 0, for a net u(x); f's frequency is k.

    The solution is sin(k pi x); the equation is divided by (k pi)^2, so that f has size one.
    """

    def __init__(self, net: nn.Module, k: float = 1.0, weight: float = 3.0) -> None:
        super().__init__()
        self.net, self.k, self.weight = net, k * math.pi, weight

    def forward(self, x: Tensor) -> Tensor:
        x = x.clone().requires_grad_(True)
        u = self.net(x)
        slope = torch.autograd.grad(u.sum(), x, create_graph=True)[0]
        second = torch.autograd.grad(slope.sum(), x, create_graph=True)[0]
        inside = second / self.k**2 + torch.sin(self.k * x)
        edge = self.net(torch.tensor([[0.0], [1.0]], dtype=x.dtype, device=x.device))
        return torch.cat([inside, self.weight * edge])
