from __future__ import annotations

import pytest
import torch
from doctor.patients import (
    Language,
    adam,
    classes,
    cross_entropy,
    drawn,
    first,
    loud,
    mlp,
    of_tokens,
    sgd,
    tokens,
    told,
)
from doctor.test_symmetric_neurons import Fused

import chymist


def test_weights_of_a_thousandth_are_far_too_small() -> None:
    model = drawn(mlp([20, 64, 64, 5]), 1e-3)
    found = first(model, cross_entropy, classes(), sgd(model))
    assert (found.rule, found.severity, found.threshold) == ("small-init", "critical", 1e-3)
    assert found.value == pytest.approx(64e-6, rel=0.1)


def test_a_net_that_can_say_nothing_without_growing() -> None:
    model = drawn(mlp([20, 64, 64, 5]), 0.01)
    found = first(model, cross_entropy, classes(), sgd(model))
    norms = [float(model[i].weight.detach().norm()) for i in (0, 2, 4)]
    assert (found.rule, found.severity, found.threshold) == ("small-init", "critical", 0.1)
    assert found.value == pytest.approx(norms[0] * norms[1] * norms[2], rel=1e-5)


def test_a_language_model_a_hundred_times_too_small() -> None:
    model = Language(std=2e-4)
    assert first(model, of_tokens, tokens(), adam(model)).rule == "small-init"


def test_weights_of_one_are_far_too_large_and_account_for_the_rest() -> None:
    model = drawn(mlp([20, 64, 64, 5]), 1.0)
    case = (model, cross_entropy, classes(), adam(model))
    found = first(*case)
    assert (found.rule, found.severity, found.threshold) == ("large-init", "warning", 10.0)
    assert found.value == pytest.approx(64, rel=0.1)
    assert [f.because for f in told("loss-at-init", *case)] == ["large-init"]


def test_a_layer_frozen_on_purpose_is_not_judged() -> None:
    model = mlp([20, 64, 64, 5])
    torch.nn.init.normal_(model[0].weight, std=30.0).requires_grad_(False)
    assert told("large-init", model, cross_entropy, classes(), adam(model)) == []


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU", "attention"])
def test_fused_layers_count(kind: str) -> None:
    model = Fused(kind)
    batch = torch.randn(32, 6, 4), torch.randint(0, 5, (32,))
    assert loud(chymist.preflight(model, cross_entropy, batch, adam(model))) == []
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.mul_(30.0 if "inner.weight" in name or "in_proj_weight" in name else 1.0)
        if kind == "attention":
            model.inner.out_proj.weight.mul_(30.0)
    told_of = told("large-init", model, cross_entropy, batch, adam(model))
    assert len(told_of) == 1 and told_of[0].layer.startswith("inner.")
