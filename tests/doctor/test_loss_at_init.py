from __future__ import annotations

import math

import pytest
from doctor.patients import Language, adam, classes, cross_entropy, first, mlp, of_tokens, tokens
from torch import nn


def limit(classes: int, answers: int) -> float:
    """Twice chance, and two standard errors of the loss there."""
    return 2 * math.log(classes) + 2 * math.sqrt(2 * math.log(classes) / answers)


def test_logits_that_start_far_too_large() -> None:
    model = mlp([20, 64, 5])
    model[2].weight.data *= 100
    x, y = classes()
    found = first(model, cross_entropy, (x, y), adam(model))
    assert (found.rule, found.severity) == ("loss-at-init", "warning")
    assert found.threshold == pytest.approx(limit(5, 64))
    assert found.value == pytest.approx(float(cross_entropy(model(x), y).detach()), rel=1e-4)


def test_embeddings_of_unit_size_tied_to_the_head() -> None:
    model = Language(64)
    nn.init.normal_(model.words.weight)
    found = first(model, of_tokens, tokens(), adam(model))
    assert (found.rule, found.threshold) == ("loss-at-init", pytest.approx(limit(16, 160)))
