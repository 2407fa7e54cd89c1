from __future__ import annotations

import math

import pytest
import torch
from doctor.patients import Language, adam, drawn, first, of_tokens, tokens, told
from torch import Tensor, nn


def test_the_forgotten_division_is_told_from_heads_of_width_32_on() -> None:
    model = Language(64, 2, std=None, tied=False, divided=False)
    found = first(model, of_tokens, tokens(), adam(model))
    assert (found.rule, found.layer, found.severity) == ("frozen-softmax", "blocks.0", "warning")
    assert "sqrt(32)" in found.says
    assert found.value > found.threshold


def test_a_start_that_makes_up_for_the_division_is_a_note() -> None:
    model = Language(64, 1, std=None, tied=False, divided=False)
    for block in model.blocks:
        block.qkv.weight.data[:64] /= 8
        block.qkv.bias.data[:64] /= 8
    found = told("frozen-softmax", model, of_tokens, tokens(), adam(model))
    assert {f.severity for f in found} == {"note"}


class Heads(nn.Module):
    """Attention by PyTorch's own, with a mask of what is later."""

    def __init__(self, kind: str, scale: float) -> None:
        super().__init__()
        self.words, self.kind, self.scale = nn.Embedding(16, 64), kind, scale
        self.inner = nn.MultiheadAttention(64, 1, batch_first=True)
        self.qkv, self.head = drawn(nn.Linear(64, 192), gain=1.0), nn.Linear(64, 16)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.words(tokens)
        t = tokens.shape[1]
        if self.kind == "module":
            later = torch.triu(torch.ones(t, t, dtype=torch.bool), 1)
            return torch.as_tensor(self.head(self.inner(x, x, x, attn_mask=later)[0]))
        q, k, v = (p[:, None] for p in self.qkv(x).split(64, -1))
        out = nn.functional.scaled_dot_product_attention(
            q, k, v, is_causal=self.kind == "causal", scale=self.scale
        )
        return torch.as_tensor(self.head(out[:, 0]))


@pytest.mark.parametrize("kind", ["causal", "open"])
def test_fused_attention_without_its_scale(kind: str) -> None:
    for scale, rules in ((1.0, ["frozen-softmax"]), (1 / 8, [])):
        model = Heads(kind, scale)
        found = told("frozen-softmax", model, of_tokens, tokens(), adam(model))
        assert [f.rule for f in found] == rules
        if kind == "open" and found:
            assert found[0].threshold == pytest.approx(math.sqrt(2 * math.log(20)))
            assert found[0].value == pytest.approx(8, rel=0.3)


def test_masked_attention_of_pytorch_is_healthy() -> None:
    model = Heads("module", 1.0)
    assert told("frozen-softmax", model, of_tokens, tokens(), adam(model)) == []


def test_the_softmax_of_a_classifier_of_tokens_is_none_of_attention() -> None:
    model = nn.Sequential(nn.Embedding(16, 64), nn.Linear(64, 16), nn.Softmax(-1))
    nn.init.normal_(model[1].weight, std=10.0)

    def loss(out: Tensor, y: Tensor) -> Tensor:
        return nn.functional.nll_loss((out + 1e-9).log().flatten(0, 1), y.flatten())

    assert told("frozen-softmax", model, loss, tokens(), adam(model)) == []
