from __future__ import annotations

import pytest
import torch
from doctor.patients import adam, classes, cross_entropy, first, mlp, squares, told
from torch import nn


def test_inputs_in_hundreds_are_named_first() -> None:
    model, (x, y) = mlp([20, 64, 64, 5]), classes()
    found = first(model, cross_entropy, (100 * x, y), adam(model))
    assert (found.rule, found.severity, found.threshold) == ("input-scale", "critical", 10.0)
    assert found.value == pytest.approx(100 * float(x.square().mean().sqrt()), rel=1e-4)


def test_one_feature_in_thousands() -> None:
    model, (_, y) = mlp([400, 8, 5]), classes()
    wide = torch.randn(64, 400) * 0.3
    wide[:, 7] *= 300.0
    (found,) = told("input-scale", model, cross_entropy, (wide, y), adam(model))
    assert found.threshold == 100.0 and found.value == pytest.approx(300, rel=0.2)


def test_inputs_far_from_the_origin() -> None:
    model, (x, y) = mlp([20, 64, 5]), classes()
    (found,) = told("input-scale", model, cross_entropy, (5 + 0.01 * x, y), adam(model))
    assert found.threshold == 30.0 and found.value == pytest.approx(500, rel=0.1)


@pytest.mark.parametrize("kind", ["sparse", "in hundreds, normalised first", "constant feature"])
def test_inputs_that_only_look_strange(kind: str) -> None:
    x, y = classes()
    model = mlp([20, 64, 5])
    if kind == "sparse":
        x = (x > 1.5).float()
    elif kind == "constant feature":
        x[:, 3] = 7.0
    else:
        x, model = 100 * x, nn.Sequential(nn.BatchNorm1d(20), model)
    assert told("input-scale", model, cross_entropy, (x, y), adam(model)) == []


def test_targets_in_thousands() -> None:
    model, (x, _) = mlp([20, 64, 1]), classes()
    y = 1000 * x.sum(1, keepdim=True)
    found = first(model, squares, (x, y), adam(model))
    assert (found.rule, found.severity, found.threshold) == ("target-scale", "critical", 10.0)
    assert found.value == pytest.approx(float(y.square().mean().sqrt()), rel=1e-4)
    assert told("target-scale", model, squares, (x, y / 1000), adam(model)) == []
