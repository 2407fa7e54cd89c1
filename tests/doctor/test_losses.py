"""Losses that cannot do what they are meant to."""

from __future__ import annotations

import math

import pytest
import torch
from doctor.patients import adam, classes, cross_entropy, first, mlp, sgd, squares, told
from torch import Tensor, nn


def test_a_broadcast_against_targets() -> None:
    model, (x, _) = mlp([20, 64, 1]), classes()
    y = x.sum(1)
    found = first(model, squares, (x, y), adam(model))
    assert (found.rule, found.severity) == ("shape-mismatch", "critical")
    assert "(64,)" in found.says
    mended = squares, (x, y[:, None]), adam(model)
    assert told("shape-mismatch", model, *mended) == []
    own = (lambda out, y: squares(out.squeeze(-1), y)), (x, y), adam(model)
    assert told("shape-mismatch", model, *own) == []


@pytest.mark.parametrize("where", ["model", "loss"])
def test_a_softmax_before_cross_entropy(where: str) -> None:
    model: nn.Module = mlp([20, 64, 5])
    loss = cross_entropy
    if where == "model":
        model = nn.Sequential(model, nn.Softmax(-1))
    else:
        loss = lambda out, y: cross_entropy(out.softmax(-1), y)  # type: ignore[assignment] # noqa: E731
    found = first(model, loss, classes(), adam(model))
    assert (found.rule, found.severity) == ("softmax-twice", "critical")
    assert found.value == pytest.approx(math.log(1 + 4 / math.e))


def test_a_sigmoid_before_its_loss_from_logits() -> None:
    model = nn.Sequential(mlp([20, 64, 1]), nn.Sigmoid())
    x, y = classes()
    case = (x, (y > 2).float()[:, None])
    assert first(model, nn.BCEWithLogitsLoss(), case, adam(model)).rule == "softmax-twice"
    assert told("softmax-twice", model, nn.BCELoss(), case, adam(model)) == []


def test_log_probabilities_are_healthy() -> None:
    model = nn.Sequential(mlp([20, 64, 5]), nn.LogSoftmax(-1))
    for loss in (nn.NLLLoss(), cross_entropy):
        assert told("softmax-twice", model, loss, classes(), adam(model)) == []


def test_inputs_that_are_not_finite() -> None:
    model, (x, y) = mlp([20, 64, 5]), classes()
    x[3, 4] = math.nan
    found = first(model, cross_entropy, (x, y), adam(model))
    assert (found.rule, found.severity, found.value) == ("non-finite", "critical", 1.0)
    assert "the input" in found.says


def root(out: Tensor, y: Tensor) -> Tensor:
    return (out - out.detach()).square().sum().sqrt() + squares(out, y)


def test_a_root_at_zero() -> None:
    model, (x, _) = mlp([20, 64, 1]), classes()
    found = first(model, root, (x, x.sum(1, keepdim=True)), adam(model))
    assert found.rule == "non-finite" and "gradient" in found.says


def test_batch_norm_on_one_sample_and_on_two() -> None:
    model = mlp([20, 64, 5], norm=True)
    for samples, severity in ((1, "critical"), (2, "warning")):
        (found,) = told("batch-norm", model, cross_entropy, classes(samples), adam(model))
        assert (found.layer, found.severity, found.value) == ("1", severity, samples)
    model(classes()[0])  # Statistics to go by.
    model.eval()
    assert told("batch-norm", model, cross_entropy, classes(1), adam(model)) == []


def test_a_decay_that_outweighs_the_loss() -> None:
    model = mlp([20, 64, 5])
    made = torch.optim.SGD(model.parameters(), 0.1, weight_decay=0.3)
    (found,) = told("weight-decay", model, cross_entropy, classes(), made)
    assert (found.value, found.threshold) == (pytest.approx(0.03), 0.005)
    for usual in (sgd(model), torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=0.1),
                  adam(model, weight_decay=1e-4)):  # fmt: skip
        assert told("weight-decay", model, cross_entropy, classes(), usual) == []
