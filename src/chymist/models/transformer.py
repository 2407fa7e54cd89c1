"""A small transformer whose parts say where the scale of each weight lives.

A dense layer computes factor * W x, factor a buffer: what is put into the factor is not trained,
what is put into W changes the size of a step. Norms have no parameters, layers no biases.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

Place = Literal["pre", "post"]
Norm = Literal["rms", "layer"]


class Dense(nn.Linear):
    """factor * W x without bias, with a factor that is data (a buffer) and 1 until it is set."""

    factor: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)
        self.register_buffer("factor", torch.ones(1))

    def forward(self, x: Float[Tensor, "... input"]) -> Float[Tensor, "... output"]:
        """Return factor * W x."""
        return functional.linear(x, self.weight) * self.factor


class Attention(nn.Module):
    """Softmax attention of `heads` heads whose logits q . k are divided by nothing.

    A division belongs into the factor of `query`, where `transformer_start` puts it.
    """

    def __init__(self, width: int, heads: int = 1, causal: bool = False) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"heads must divide the width {width}, got {heads}")
        self.heads, self.causal = heads, causal
        self.query, self.key, self.value, self.out = (Dense(width, width) for _ in range(4))

    def forward(
        self, x: Float[Tensor, "sample token w"], last: bool = False
    ) -> Float[Tensor, "sample asking w"]:
        """Mix tokens. With `last` the last token alone asks: it sees all, causal or not."""
        asking = x[:, -1:] if last else x
        q, k, v = (
            part(of).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part, of in ((self.query, asking), (self.key, x), (self.value, x))
        )
        causal = self.causal and not last
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=1.0)
        made: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return made


class FeedForward(nn.Module):
    """W_down relu(W_up x)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.up, self.down = Dense(width, hidden), Dense(hidden, width)

    def forward(self, x: Float[Tensor, "sample token w"]) -> Float[Tensor, "sample token w"]:
        """Transform each token by itself."""
        made: Tensor = self.down(torch.relu(self.up(x)))
        return made


class Residual(nn.Module):
    """x + F(norm x) ("pre"), or norm(alpha x + F(x)) ("post"; DeepNorm where alpha > 1)."""

    def __init__(
        self, branch: nn.Module, norm: nn.Module, place: Place = "pre", alpha: float = 1.0
    ) -> None:
        super().__init__()
        self.branch, self.norm, self.place, self.alpha = branch, norm, place, alpha

    def forward(
        self, x: Float[Tensor, "sample token w"], last: bool = False
    ) -> Float[Tensor, "sample asking w"]:
        """Add the branch; with `last`, which is of attention, to the last token alone."""
        made: Tensor
        options = {"last": True} if last else {}
        stream = x[:, -1:] if last else x
        if self.place == "pre":
            made = stream + self.branch(self.norm(x), **options)
        else:
            made = self.norm(self.alpha * stream + self.branch(x, **options))
        return made


class Transformer(nn.Module):
    """Blocks of attention and a feed-forward part on tokens, (sample, token * feature) in.

    With `outputs`, tokens are embedded, get learned places, and the last token is read out, for
    which the last block computes nothing of the others: (sample, outputs). Without, features must
    be as many as the width, and what comes out is the stream of all tokens, (sample, token *
    width), through a last norm if `place` is "pre".
    `residuals` alternates attention and feed-forward part, two a block.

    >>> Transformer(9, 16, width=8, blocks=2, outputs=5)(torch.zeros(3, 9 * 16)).shape
    torch.Size([3, 5])
    """

    def __init__(
        self,
        tokens: int,
        features: int,
        *,
        width: int,
        blocks: int,
        outputs: int = 0,
        heads: int = 1,
        place: Place = "pre",
        norm: Norm = "rms",
        alpha: float = 1.0,
        hidden: int = 4,
        causal: bool = True,
    ) -> None:
        super().__init__()
        if not outputs and features != width:
            raise ValueError(f"without outputs features must be the width {width}, got {features}")
        self.tokens, self.outputs, self.place = tokens, outputs, place

        def made() -> nn.Module:
            if norm == "rms":
                return nn.RMSNorm(width, eps=1e-6, elementwise_affine=False)
            return nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)

        parts: list[nn.Module] = []
        for _ in range(blocks):
            parts += [Attention(width, heads, causal), FeedForward(width, hidden * width)]
        self.residuals = nn.ModuleList(Residual(part, made(), place, alpha) for part in parts)
        self.last = made() if place == "pre" else nn.Identity()
        if outputs:
            self.embed, self.read = Dense(features, width), Dense(width, outputs)
            self.position = nn.Parameter(torch.zeros(tokens, width))

    def forward(self, x: Float[Tensor, "sample feature"]) -> Float[Tensor, "sample output"]:
        """Return the last token's outputs, or the stream of all tokens."""
        x = x.reshape(x.shape[0], self.tokens, -1)
        if self.outputs:
            x = self.embed(x) + self.position
        attends_last = len(self.residuals) - 2
        for number, residual in enumerate(self.residuals):
            x = residual(x, last=bool(self.outputs) and number == attends_last)
        x = self.last(x)
        made: Tensor = self.read(x[:, -1]) if self.outputs else x.flatten(1)
        return made


def transformer_start(
    module: Transformer,
    generator: torch.Generator,
    *,
    division: float = 0.5,
    query: float = 0.0,
    tangent: float = 0.0,
    beta: float = 1.0,
    multiplier: float = 1.0,
    read: float = 1.0,
) -> None:
    """Draw all weights so that every layer keeps the second moment, W of variance 1/inputs.

    The layer before a ReLU has 2/inputs; embeddings and places are N(0, 1/2), tokens being one-hot,
    so that the stream starts with 1. Then scales are moved about. Attention's logits are of
    standard deviation sqrt(d) for heads of width d; the factor of queries is d^-division, and their
    weights are multiplied by d^-query: usually 0.5 and 0, in T5 0 and 0.5. The share `tangent` of a
    hidden layer's scale is moved from its weights to its factor: 1 for the tangent kernel's form,
    weights N(0, 1) and a factor 1/sqrt(inputs). `beta` multiplies the weights of values, outputs
    and the feed-forward part (DeepNorm). `multiplier` moves this factor from the hidden weights to
    the layers' factors (weights are divided by it), `read` multiplies the read-out (0 in muP).
    """
    if module.outputs:
        module.embed.weight.normal_(0, math.sqrt(0.5), generator=generator)
        module.position.normal_(0, math.sqrt(0.5), generator=generator)
    for branch in (part for part in module.modules() if isinstance(part, Attention | FeedForward)):
        for name, layer in branch.named_children():
            if not isinstance(layer, Dense):
                continue
            gain = 1.0 if name in ("query", "key") else beta
            gain *= math.sqrt(2) if name == "up" else 1.0
            factor = float(layer.in_features ** (-tangent / 2) * multiplier)
            if isinstance(branch, Attention) and name == "query":
                head = layer.out_features // branch.heads
                gain *= float(head**-query)
                layer.factor.fill_(factor * head**-division)
            else:
                layer.factor.fill_(factor)
            std = gain / math.sqrt(layer.in_features) / factor
            layer.weight.normal_(0, std, generator=generator)
    if module.outputs:
        std = read / math.sqrt(module.read.in_features)
        module.read.weight.normal_(0, std, generator=generator)
