from __future__ import annotations

import torch
from doctor.patients import adam, classes, cross_entropy, first, mlp, told
from torch import Tensor, nn


class Cut(nn.Module):
    """Two layers, and an aside that is never called; the graph may be cut between them."""

    def __init__(self, cut: bool) -> None:
        super().__init__()
        self.one, self.two, self.aside = nn.Linear(20, 32), nn.Linear(32, 5), nn.Linear(5, 5)
        self.cut = cut

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.one(x))
        return torch.as_tensor(self.two(hidden.detach() if self.cut else hidden))


def test_a_cut_graph_is_named_with_the_layer_before_it() -> None:
    model = Cut(cut=True)
    found = first(model, cross_entropy, classes(), adam(model))
    assert (found.rule, found.layer, found.severity) == ("no-gradient", "one", "warning")
    assert found.value == 2 / 6


def test_a_layer_that_is_not_used_is_a_note() -> None:
    model = Cut(cut=False)
    (found,) = told("no-gradient", model, cross_entropy, classes(), adam(model))
    assert (found.layer, found.severity) == ("aside", "note")


def test_a_branch_that_starts_at_zero_is_healthy() -> None:
    model = mlp([20, 32, 32, 5])
    nn.init.zeros_(model[4].weight)
    assert told("no-gradient", model, cross_entropy, classes(), adam(model)) == []


def test_frozen_layers_are_meant_to_be() -> None:
    model = mlp([20, 32, 5])
    model[0].requires_grad_(False)
    for rule in ("no-gradient", "not-optimised"):
        assert told(rule, model, cross_entropy, classes(), adam(model[2])) == []


def test_layers_that_the_optimizer_lacks() -> None:
    model = mlp([20, 32, 5])
    found = first(model, cross_entropy, classes(), adam(model[2]))
    assert (found.rule, found.layer, found.severity) == ("not-optimised", "0", "warning")
    assert found.value == 2.0


def test_an_optimizer_of_another_model() -> None:
    model, other = mlp([20, 32, 5]), mlp([20, 32, 5])
    found = first(model, cross_entropy, classes(), adam(other))
    assert (found.rule, found.severity, found.value) == ("not-optimised", "critical", 4.0)
