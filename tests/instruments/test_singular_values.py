"""Singular values of Jacobians: closed forms, chains of layers, iteration, refusals."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments import jacobian_singular_values
from chymist.instruments.jacobian import between
from chymist.instruments.passing import one_network
from chymist.testing import small_networks
from chymist.testing.networks import two_layers

F64 = torch.float64
CASES = {case.name: case for case in small_networks()}


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def linear(*sizes, seed=0):
    layers = [nn.Linear(a, b, dtype=F64) for a, b in pairwise(sizes)]
    with torch.no_grad():
        for i, line in enumerate(layers):
            line.weight.copy_(normal(*line.weight.shape, seed=seed + i))
    return nn.Sequential(*layers)


def test_a_linear_network_has_the_singular_values_of_its_product():
    model = linear(5, 7, 4, 6)
    product = model[2].weight @ model[1].weight @ model[0].weight
    found = jacobian_singular_values(model, normal(3, 5))
    assert found.exact and found.values.shape == (3, 5)
    expected = torch.linalg.svdvals(product.detach())
    torch.testing.assert_close(found.values, expected.expand(3, -1), rtol=1e-10, atol=1e-12)
    inner = jacobian_singular_values(model, normal(3, 5), start="0", end="1").values
    expected = torch.linalg.svdvals(model[1].weight.detach())
    torch.testing.assert_close(inner, expected.expand(3, -1), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("sizes", [(300, 200, 150), (150, 200, 300)])
def test_iteration_finds_the_largest_as_the_whole_does(sizes):
    model = nn.Sequential(linear(*sizes[:2]), nn.Tanh(), linear(*sizes[1:], seed=7))
    x = 0.02 * normal(2, sizes[0])
    exact = jacobian_singular_values(model, x, 4, exact=True)
    found = jacobian_singular_values(model, x, 4, tolerance=1e-7, exact=False)
    assert exact.exact and not found.exact and bool(found.converged.all())
    apart = (found.values - exact.values).abs()
    assert float((apart / exact.values).max()) < 1e-7
    assert bool((apart <= found.residuals + 1e-12 * exact.values).all())
    one = jacobian_singular_values(model, x, 1, exact=False)
    assert one.gradients < exact.gradients


def test_residuals_and_errors_hold_when_the_iteration_stops_early():
    model, x = linear(300, 300), normal(1, 300)
    exact = jacobian_singular_values(model, x, exact=True).values
    found = jacobian_singular_values(model, x, 2, tolerance=1e-12, products=30)
    assert not bool(found.converged.all())
    nearest = (found.values[0, :, None] - exact[0]).abs().amin(1)
    assert bool((nearest <= found.residuals[0]).all())
    assert float(found.residuals.min()) > 1e-6


@pytest.mark.parametrize("name", CASES)
def test_products_are_those_of_differences_and_of_each_other(name):
    case = CASES[name]
    made = between(one_network(case.model, case.data[0]), None, None)
    v, u = normal(9, made.inputs), normal(9, made.outputs, seed=1)
    x, step = case.data[0], 1e-5
    with torch.no_grad():
        ahead, behind = (case.model(x + s * step * v) for s in (1, -1))
    torch.testing.assert_close(made.right(v), (ahead - behind) / (2 * step), rtol=1e-7, atol=1e-8)
    torch.testing.assert_close((u * made.right(v)).sum(1), (made.left(u) * v).sum(1))


def test_rotating_input_and_output_changes_nothing():
    case = CASES["two layers, squared error"]
    turn = nn.Linear(3, 3, bias=False, dtype=F64)
    with torch.no_grad():
        turn.weight.copy_(torch.linalg.qr(normal(3, 3))[0])
    x = case.data[0]
    turned = nn.Sequential(turn, case.model, turn)
    expected = jacobian_singular_values(case.model, x).values
    found = jacobian_singular_values(turned, x @ turn.weight.detach()).values
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_layers_may_compute_in_place_and_start_from_words():
    words = nn.Sequential(
        nn.Embedding(9, 4), nn.Flatten(), nn.ReLU(inplace=True), nn.Linear(8, 3)
    ).double()
    tokens = torch.tensor([[1, 2], [3, 4]])
    found = jacobian_singular_values(words, tokens, start="0")
    on = (words[0](tokens).flatten(1) > 0).double()
    expected = torch.linalg.svdvals(words[3].weight.detach() * on[:, None])
    torch.testing.assert_close(found.values, expected, rtol=1e-9, atol=1e-12)
    end = jacobian_singular_values(words, tokens, start="0", end="1").values
    torch.testing.assert_close(end, torch.ones(2, 8, dtype=F64))


class Centred(nn.Module):
    def forward(self, x):
        return x - x.mean(0)


class Constant(nn.Module):
    def forward(self, x):
        return x.detach()


REFUSED = {
    "touching": (Centred, {}, CannotMeasure, "other samples"),
    "constant": (Constant, {}, CannotMeasure, "does not depend on the input"),
    "k": (two_layers, {"k": 4}, BadParameter, "k is 4 (the Jacobian has 3"),
    "k zero": (two_layers, {"k": 0}, BadParameter, "k is 0"),
    "no k": (two_layers, {"exact": False}, BadParameter, "give k"),
    "unknown": (two_layers, {"start": "3"}, BadParameter, "no layer is called '3'"),
    "backwards": (two_layers, {"start": "2", "end": "0"}, CannotMeasure, "must come after"),
    "again": (two_layers, {"end": "0#2"}, CannotMeasure, "0#2 is not called"),
    "samples": (
        lambda: nn.Sequential(nn.Flatten(0), nn.Linear(6, 5)), {}, CannotMeasure, "row for each",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_jacobian_is_refused_in_one_line(name):
    build, options, kind, words = REFUSED[name]
    with pytest.raises(kind) as caught:
        jacobian_singular_values(build().double(), normal(2, 3), **options)
    line = str(caught.value)
    assert words in line and caught.value.hint and "\n" not in line and len(line) < 250


def test_words_need_a_layer_to_start_from():
    with pytest.raises(CannotMeasure, match="start="):
        jacobian_singular_values(nn.Embedding(3, 2), torch.tensor([[1]]))
