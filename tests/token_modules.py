"""Transformers as people write them, and other networks of tokens; on 12 features a sample."""

import math

import torch
from torch import nn
from torch.nn import functional

TOKENS, PIXELS, WIDTH, HEADS = 4, 3, 8, 2
FEATURES = TOKENS * PIXELS


class Chunked(nn.Module):
    """Pre-norm, softmax of products, mean over tokens; its places broadcast over samples."""

    def __init__(self, tokens=TOKENS, heads=HEADS, width=WIDTH):
        super().__init__()
        self.tokens, self.heads, self.width = tokens, heads, width
        self.embed = nn.Linear(PIXELS, width)
        self.place = nn.Parameter(0.1 * torch.randn(tokens, width))
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.last = nn.Linear(width, 2)

    def forward(self, x):
        h = self.embed(x.reshape(-1, self.tokens, PIXELS)) + self.place
        q, k, v = (
            part.reshape(-1, self.tokens, self.heads, self.width // self.heads).transpose(1, 2)
            for part in self.qkv(self.norm1(h)).chunk(3, dim=-1)
        )
        weight = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), dim=-1)
        h = h + self.out((weight @ v).transpose(1, 2).reshape(-1, self.tokens, self.width))
        h = h + self.down(functional.gelu(self.up(self.norm2(h))))
        return self.last(h.mean(1))


class Overlapping(nn.Module):
    """Queries that are the keys as well, in a layer's output of which a third is not used."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(PIXELS, 3 * WIDTH)
        self.last = nn.Linear(WIDTH, 2)

    def forward(self, x):
        key, value, _ = self.qkv(x.reshape(-1, TOKENS, PIXELS)).chunk(3, dim=-1)
        weight = torch.softmax(key @ key.transpose(-1, -2) / math.sqrt(WIDTH), dim=-1)
        return self.last((weight @ value).mean(1))


class Causal(nn.Module):
    """Sizes from the shape, a triangle as a buffer, the last token; gelu by tanh."""

    def __init__(self):
        super().__init__()
        self.embed, self.place = nn.Linear(PIXELS, WIDTH), nn.Parameter(torch.randn(1, 6, WIDTH))
        self.norm = nn.LayerNorm(WIDTH, bias=False)
        self.attn, self.proj = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(
            nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 5), nn.GELU("tanh"), nn.Linear(5, WIDTH),
            nn.Dropout(0.0),
        )  # fmt: skip
        self.head = nn.Linear(WIDTH, 3, bias=False)
        self.register_buffer("bias", torch.tril(torch.ones(6, 6)).view(1, 1, 6, 6))

    def forward(self, x):
        x = self.embed(x.view(x.size(0), TOKENS, PIXELS))
        B, T, C = x.size()
        x = x + self.place[:, :T]
        q, k, v = self.attn(self.norm(x)).split(C, dim=2)
        k = k.view(B, T, HEADS, C // HEADS).transpose(1, 2)
        q = q.view(B, T, HEADS, C // HEADS).transpose(1, 2)
        v = v.view(B, T, HEADS, C // HEADS).transpose(1, 2)
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        att = att.masked_fill(self.bias[:, :, :T, :T] == 0, float("-inf"))
        y = functional.softmax(att, dim=-1) @ v
        y = y.transpose(1, 2).contiguous().view(B, T, C)
        x = x + self.proj(y)
        x = x + self.mlp(x)
        return self.head(x[:, -1, :])


class Scaled(nn.Module):
    """PyTorch's own attention, causal or not; root-mean-square norms and a gated layer."""

    def __init__(self, causal=True, scale=None):
        super().__init__()
        self.causal, self.scale = causal, scale
        self.embed = nn.Linear(PIXELS, WIDTH)
        self.norm1, self.norm2 = nn.RMSNorm(WIDTH), nn.RMSNorm(WIDTH, elementwise_affine=False)
        self.q, self.k, self.v = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(3))
        self.gate, self.up, self.down = nn.Linear(8, 6), nn.Linear(8, 6), nn.Linear(6, 8)
        self.last = nn.Linear(WIDTH, 1)

    def forward(self, x):
        h = self.embed(x.unflatten(1, (TOKENS, PIXELS)))
        n = self.norm1(h)
        q, k, v = (
            f(n).unflatten(-1, (HEADS, -1)).transpose(1, 2) for f in (self.q, self.k, self.v)
        )
        mixed = functional.scaled_dot_product_attention(
            q, k, v, is_causal=self.causal, scale=self.scale
        )
        h = h + mixed.transpose(1, 2).flatten(2)
        n = self.norm2(h)
        h = h + self.down(functional.silu(self.gate(n)) * self.up(n))
        return self.last(h.select(1, 1))


class ClassToken(nn.Module):
    """A token of its own in front, all three factors from one permutation, a mask from nothing."""

    def __init__(self, kind="bool"):
        super().__init__()
        self.kind = kind
        self.embed, self.norm = nn.Linear(PIXELS, WIDTH), nn.LayerNorm(WIDTH)
        self.token = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.place = nn.Parameter(torch.randn(1, TOKENS + 1, WIDTH))
        self.qkv, self.last = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, 2)

    def mask(self, count):
        if self.kind == "bool":
            return torch.ones(count, count, dtype=torch.bool).tril()
        if self.kind == "added":
            return torch.triu(torch.full((count, count), -1.5), diagonal=1)
        return ~torch.eye(count, dtype=torch.bool)[None, None]

    def forward(self, x):
        x = self.embed(x.reshape(-1, TOKENS, PIXELS))
        B, _, D = x.shape
        x = torch.cat([self.token.expand(B, -1, -1), x], dim=1) + self.place
        T = x.shape[1]
        qkv = self.qkv(self.norm(x)).reshape(B, T, 3, HEADS, D // HEADS).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        x = functional.scaled_dot_product_attention(q, k, v, attn_mask=self.mask(T))
        return self.last(x.transpose(1, 2).reshape(B, T, D)[:, 0])


class Merged(nn.Module):
    """Tokens of all samples as rows of one matrix; heads beside samples in batches of products."""

    def __init__(self):
        super().__init__()
        self.embed, self.qkv = nn.Linear(PIXELS, WIDTH), nn.Linear(WIDTH, 3 * WIDTH)
        self.out, self.last = nn.Linear(WIDTH, WIDTH), nn.Linear(TOKENS * WIDTH, 2)

    def forward(self, x):
        count = x.shape[0]
        h = torch.relu(self.embed(x.reshape(count * TOKENS, PIXELS)))
        parts = self.qkv(h).view(count, TOKENS, 3, HEADS, WIDTH // HEADS)
        q, k, v = (
            parts[:, :, i].transpose(1, 2).reshape(count * HEADS, TOKENS, WIDTH // HEADS)
            for i in range(3)
        )
        weight = torch.bmm(q, k.transpose(1, 2)).softmax(dim=-1)
        mixed = torch.bmm(weight, v).view(count, HEADS, TOKENS, -1)
        mixed = mixed.permute(0, 2, 1, 3).reshape(count * TOKENS, WIDTH)
        return self.last(self.out(mixed).view(count, -1))


class Mixing(nn.Module):
    """Tokens mixed by a matrix that all samples share; gates a sample, a token, a feature."""

    def __init__(self):
        super().__init__()
        self.embed, self.tokens = nn.Linear(PIXELS, WIDTH), nn.Linear(TOKENS, TOKENS)
        self.matrix = nn.Parameter(torch.randn(TOKENS, TOKENS))
        self.column, self.row = nn.Parameter(torch.rand(TOKENS, 1)), nn.Parameter(torch.rand(WIDTH))
        self.norm, self.last = nn.LayerNorm((TOKENS, WIDTH)), nn.Linear(WIDTH - 2, 3)

    def forward(self, x):
        h = torch.tanh(self.embed(x.reshape(-1, TOKENS, PIXELS)))
        h = h + self.tokens(h.transpose(1, 2)).transpose(1, 2)
        h = h - self.matrix @ h
        h = functional.layer_norm(h, (WIDTH,)) * self.row + self.column
        gate = torch.sigmoid(h.mean(1, keepdim=True))
        level = (h * h).mean(-1, keepdim=True)
        h = self.norm(h / torch.sqrt(level + 0.1)) * gate - level
        h = h + self.row * (level + gate) + torch.exp(self.column * 0.1)
        return self.last(h[:, ::2, 1:-1].sum(dim=1))


class ResidualMLP(nn.Module):
    """Residual layers with norms, on vectors."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(FEATURES, WIDTH), nn.Linear(WIDTH, 2)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 6), nn.GELU(), nn.Linear(6, WIDTH))
            for _ in range(2)
        )

    def forward(self, x):
        h = self.first(x)
        for block in self.blocks:
            h = h + block(h)
        return self.last(functional.layer_norm(h, h.shape[1:]))


class Positions(nn.Module):
    """Sines of places made in the forward pass, two layers of attention beside each other."""

    def __init__(self):
        super().__init__()
        self.embed, self.last = nn.Linear(PIXELS, WIDTH), nn.Linear(2 * WIDTH, 1)
        self.keys = nn.ParameterList(torch.randn(WIDTH, WIDTH) for _ in range(2))

    def forward(self, x):
        h = self.embed(x.reshape(-1, TOKENS, PIXELS))
        angle = torch.arange(TOKENS)[:, None] / 10.0 ** (torch.arange(WIDTH) / WIDTH)
        h = h + torch.sin(angle).to(h.dtype)
        hidden = torch.triu(torch.ones(TOKENS, TOKENS), diagonal=1).bool()
        seen = []
        for key in self.keys:
            weight = (h @ key) @ h.mT
            weight = torch.softmax(weight.masked_fill(hidden, -1e9) * 0.3, -1)
            seen.append((weight @ h)[:, -1])
        return self.last(torch.cat(seen, dim=-1))


SPELLINGS = [
    Chunked, Causal, Scaled, lambda: Scaled(causal=False, scale=0.3), ClassToken,
    lambda: ClassToken("added"), lambda: ClassToken("not itself"), Merged, Mixing, ResidualMLP,
    Positions, Overlapping,
]  # fmt: skip
