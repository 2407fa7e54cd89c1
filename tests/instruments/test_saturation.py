"""Saturation of softmax: closed forms, random energies, every way to compute attention."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments import attention_saturation, softmax_saturation

F64 = torch.float64
STATISTICS = ("participation", "entropy", "entropy_share", "largest", "logit_std")


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def test_two_keys_are_a_coin():
    gap, temperatures = 1.7, [0.5, 1.0, 3.0]
    found = softmax_saturation(torch.tensor([[gap, 0.0]], dtype=F64), temperatures)
    p = 1 / (1 + np.exp(-gap / np.array(temperatures)))
    np.testing.assert_allclose(found.participation[:, 0], p**2 + (1 - p) ** 2, rtol=1e-12)
    entropy = -p * np.log(p) - (1 - p) * np.log(1 - p)
    np.testing.assert_allclose(found.entropy[:, 0], entropy, rtol=1e-12)
    np.testing.assert_allclose(found.entropy_share[:, 0], entropy / math.log(2), rtol=1e-12)
    np.testing.assert_allclose(found.largest[:, 0], p, rtol=1e-12)
    np.testing.assert_allclose(found.logit_std[:, 0], gap / 2 / np.array(temperatures))
    assert found.critical.item() == pytest.approx(math.sqrt(2 * math.log(2)))


def test_participation_is_one_minus_the_trace_of_the_jacobian():
    z = normal(7)
    jacobian = torch.autograd.functional.jacobian(lambda z: z.softmax(0), z)
    found = softmax_saturation(z[None]).participation.item()
    assert found == pytest.approx(1 - jacobian.trace().item(), rel=1e-12)


def test_entropy_rises_with_temperature_as_thermodynamics_says():
    # dH/dT = Var(z) / T^3 under the softmax, and H goes from 0 to ln of the number of keys.
    z, t, step = normal(1, 9), 1.3, 1e-4
    low, high = softmax_saturation(z, [t - step, t + step]).entropy[:, 0]
    p = (z / t).softmax(-1)
    variance = (p * z.square()).sum() - (p * z).sum().square()
    assert float((high - low) / (2 * step)) == pytest.approx(float(variance / t**3), rel=1e-6)
    ends = softmax_saturation(z, [1e-3, 1e6])
    np.testing.assert_allclose(ends.entropy[:, 0], [0, math.log(9)], atol=1e-9)
    np.testing.assert_allclose(ends.participation[:, 0], [1, 1 / 9], atol=1e-9)


def test_random_logits_freeze_by_the_random_energy_law():
    # Derrida (1981): participation e^(s^2)/T for small s, 1 - s_c/s far above s_c = sqrt(2 ln T).
    keys, z = 128, normal(1, 1, 8000, 128)
    s = np.array([0.3, 24.0])
    found = softmax_saturation(z, list(1 / s))
    assert found.logit_std[0].item() == pytest.approx(0.3, rel=0.01)
    small, frozen = found.participation[:, 0].tolist()
    assert small == pytest.approx(math.exp(0.09) / keys, rel=0.02)
    critical = found.critical.item()
    assert critical == pytest.approx(math.sqrt(2 * math.log(keys)))
    assert frozen == pytest.approx(1 - critical / 24, abs=0.03)


def test_heads_are_apart_and_masked_keys_are_none():
    z = normal(2, 3, 4, 5)
    found = softmax_saturation(z)
    for head in range(3):
        alone = softmax_saturation(z[:, head])
        for name in STATISTICS:
            torch.testing.assert_close(getattr(found, name)[:, head], getattr(alone, name)[:, 0])
    torch.testing.assert_close(softmax_saturation(z.flip(0, 2, 3)).entropy, found.entropy)
    torch.testing.assert_close(softmax_saturation(z + 1e3).entropy, found.entropy)
    for lowest in (-math.inf, torch.finfo(F64).min):
        more = functional.pad(z, (0, 3), value=lowest)
        empty = functional.pad(more, (0, 0, 0, 2), value=lowest)  # queries without keys
        for given in (more, empty):
            masked = softmax_saturation(given)
            for name in STATISTICS:
                torch.testing.assert_close(getattr(masked, name), getattr(found, name))


def test_queries_of_one_key_do_not_count():
    z = normal(1, 1, 2, 2)
    z[0, 0, 0, 1] = -math.inf
    torch.testing.assert_close(
        softmax_saturation(z).largest, softmax_saturation(z[:, :, 1:]).largest
    )


class Attend(nn.Module):
    """Self-attention of two heads by MultiheadAttention, the product's function, or the formula."""

    def __init__(self, way, causal=False):
        super().__init__()
        self.way, self.causal = way, causal
        self.attend = nn.MultiheadAttention(4, 2, batch_first=True, dtype=F64)
        with torch.no_grad():
            self.attend.in_proj_weight.copy_(normal(12, 4))

    def logits(self, x):
        q, k, v = (
            part.unflatten(-1, (2, 2)).transpose(1, 2)
            for part in (x @ self.attend.in_proj_weight.T).chunk(3, dim=-1)
        )
        z = q @ k.mT / math.sqrt(2)
        if self.causal:
            z = z.masked_fill(torch.ones(5, 5).triu(1).bool(), -math.inf)
        return q, k, v, z

    def forward(self, x):
        mask = torch.full((5, 5), -math.inf, dtype=F64).triu(1) if self.causal else None
        if self.way.startswith("module"):
            weights = self.way.endswith("with weights")
            return self.attend(x, x, x, need_weights=weights, attn_mask=mask)[0]
        q, k, v, z = self.logits(x)
        if self.way == "function":
            return functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return z.softmax(-1) @ v


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("way", ["module", "module with weights", "function", "formula"])
def test_every_way_to_compute_attention_is_seen(way, causal):
    model, x = Attend(way, causal).eval(), normal(3, 5, 4, seed=1)
    found = attention_saturation(model, x, [0.5, 1.0])
    assert list(found) == ["attend" if way.startswith("module") else "(network)"]
    expected = softmax_saturation(model.logits(x)[3].detach(), [0.5, 1.0])
    for name in STATISTICS:
        torch.testing.assert_close(
            getattr(next(iter(found.values())), name), getattr(expected, name), rtol=1e-8, atol=0
        )


def test_blocks_are_named_and_chosen():
    model = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), 2, enable_nested_tensor=False
    ).eval()
    x = torch.randn(2, 3, 4)
    with torch.no_grad():
        assert list(attention_saturation(model, x)) == [f"layers.{i}.self_attn" for i in (0, 1)]
    assert list(attention_saturation(model, x, layers="layers.1.*")) == ["layers.1.self_attn"]
    with pytest.raises(CannotMeasure, match=r"no softmax of attention.*layers\.0\.self_attn"):
        attention_saturation(model, x, layers="layers.0.linear1")


@pytest.mark.parametrize(
    ("logits", "temperature", "kind", "words"),
    [
        (normal(3, 3), 0.0, BadParameter, "temperatures is 0.0"),
        (normal(3, 3), [], BadParameter, "positive"),
        (normal(3, 3), math.inf, BadParameter, "finite"),
        (normal(3), 1.0, CannotMeasure, r"\(3,\)"),
        (normal(3, 0), 1.0, CannotMeasure, r"\(3, 0\)"),
        (normal(3, 3) * math.nan, 1.0, CannotMeasure, "NaN"),
        (normal(3, 1), 1.0, CannotMeasure, "two keys"),
        (torch.full((2, 3), -math.inf), 1.0, CannotMeasure, "two keys"),
    ],
)
def test_what_is_no_choice_among_keys_is_refused(logits, temperature, kind, words):
    with pytest.raises(kind, match=words) as caught:
        softmax_saturation(logits, temperature)
    assert caught.value.hint and "\n" not in str(caught.value)


def test_networks_without_attention_are_refused():
    with pytest.raises(CannotMeasure, match="none in this network"):
        attention_saturation(nn.Linear(3, 3), torch.ones(2, 3))
