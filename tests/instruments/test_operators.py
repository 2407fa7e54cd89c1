import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call

from chymist.instruments import (
    categorical,
    dense,
    eigenpairs,
    empirical_fisher,
    gauss_newton,
    gaussian,
    hessian,
    monte_carlo_fisher,
    objective,
)
from chymist.keys import Key
from chymist.testing import small_networks
from chymist.testing.networks import half_squared_error, small, two_layers

F64 = torch.float64
CASES = {case.name: case for case in small_networks()}


def normal(name, *shape):
    return torch.randn(*shape, generator=Key("tests", "operators", 0, name).torch(), dtype=F64)


def made(case, **options):
    return objective(case.model, case.loss, case.data, **options)


def close(found, expected, relative):
    return float((found - expected).abs().max() / expected.abs().max()) <= relative


@pytest.mark.parametrize("name", CASES)
def test_the_hessian_is_the_dense_one(name):
    case = CASES[name]
    assert len(case.row) <= 300
    assert close(dense(hessian(made(case)))[0], case.hessian, 1e-12)


@pytest.mark.parametrize("name", CASES)
def test_a_product_is_the_difference_of_gradients(name):
    case = CASES[name]
    v = normal(name, len(case.row))
    step = 1e-5

    def gradient(row):
        row = row.requires_grad_()
        return torch.autograd.grad(case.value(row), row)[0]

    expected = (gradient(case.row + step * v) - gradient(case.row - step * v)) / (2 * step)
    assert close(hessian(made(case))(v[None, None])[0, 0], expected, 1e-8)


def test_a_linear_network_has_the_kronecker_hessian():
    # Half the squared error summed over outputs: H = 1 (outputs) x  X^T X / n.
    x = normal("x", 11, 4)
    line = nn.Linear(4, 3, bias=False).double()
    found = dense(hessian(objective(line, half_squared_error, (x, normal("y", 11, 3)))))[0]
    expected = torch.kron(torch.eye(3, dtype=F64), x.T @ x / 11)
    assert close(found, expected, 1e-14)


def test_a_deep_linear_network_at_zero_loss_has_the_product_rules_hessian():
    # f = b a x with scalars: H = m2 [[b^2, ab], [ab, a^2]] where f fits exactly.
    deep = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)).double()
    a, b, x = 0.7, -1.3, normal("deep", 8, 1)
    with torch.no_grad():
        deep[0].weight.fill_(a)
        deep[1].weight.fill_(b)
    found = dense(hessian(objective(deep, half_squared_error, (x, a * b * x))))[0]
    moment = x.square().mean()
    expected = moment * torch.tensor([[b**2, a * b], [a * b, a**2]], dtype=F64)
    assert close(found, expected, 1e-12)


class Quadratic(nn.Module):
    """Its output is its parameters, so that a quadratic loss has its own matrix as Hessian."""

    def __init__(self, size):
        super().__init__()
        self.w = nn.Parameter(torch.ones(size, dtype=F64))

    def forward(self, x):
        return self.w.expand(len(x), -1)


@settings(max_examples=20)
@given(st.integers(1, 12), st.floats(-10, 10).filter(lambda c: abs(c) > 1e-3))
def test_a_quadratic_has_its_matrix(size, scale):
    a = scale * normal("quadratic", size, size)
    a = a + a.T
    loss = lambda w, y: 0.5 * (w[0] @ a @ w[0])  # noqa: E731
    found = dense(hessian(objective(Quadratic(size), loss, (torch.ones(1, 1).double(),) * 2)))
    torch.testing.assert_close(found[0], a, rtol=1e-12, atol=1e-12)


def outputs(case, row):
    named = dict(case.model.named_parameters())
    parts = torch.split(row, [p.numel() for p in named.values()])
    own = {n: part.view_as(p) for (n, p), part in zip(named.items(), parts, strict=True)}
    return functional_call(case.model, own, (case.data[0],))


@pytest.mark.parametrize("name", ["two layers, squared error", "residual, cross-entropy"])
def test_gauss_newton_is_made_of_jacobians(name):
    case = CASES[name]
    jacobian = torch.autograd.functional.jacobian(lambda row: outputs(case, row), case.row)
    z = outputs(case, case.row)
    bend = torch.autograd.functional.hessian(lambda out: case.loss(out, case.data[1]), z)
    j = jacobian.flatten(0, 1)
    expected = j.T @ bend.reshape(z.numel(), z.numel()) @ j
    found = dense(gauss_newton(made(case)))[0]
    assert close(found, expected, 1e-12)
    assert torch.linalg.eigvalsh(found)[0] > -1e-12 * found.norm()
    assert not close(found, case.hessian, 1e-2)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("at_once", [None, 4])
def test_the_empirical_fisher_is_made_of_single_gradients(name, at_once):
    case = CASES[name]
    x, y = case.data
    singles = [
        objective(case.model, case.loss, (x[i : i + 1], y[i : i + 1])).gradient[0]
        for i in range(len(x))
    ]
    expected = sum(torch.outer(g, g) for g in singles) / len(x)
    found = dense(empirical_fisher(made(case, samples_at_once=at_once)))[0]
    assert close(found, expected, 1e-12)


@pytest.mark.parametrize(
    ("name", "sampler"),
    [("two layers, squared error", gaussian), ("residual, cross-entropy", categorical)],
)
def test_the_sampled_fisher_goes_to_gauss_newton(name, sampler):
    case = CASES[name]
    whole = made(case)
    exact = dense(gauss_newton(whole))[0]

    def error(draws, seed):
        key = Key("tests", "fisher", seed, "targets")
        drawn = monte_carlo_fisher(whole, case.loss, sampler, draws=draws, key=key)
        return float((dense(drawn)[0] - exact).norm() / exact.norm())

    few, many = (np.mean([error(draws, s) for s in range(12)]) for draws in (10, 160))
    assert 2.5 < few / many < 6.5  # a sixteenth of the variance: 4
    assert many < 0.15


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("matrix", [hessian, gauss_newton])
def test_passing_samples_a_few_at_a_time_changes_nothing(name, matrix):
    case = CASES[name]
    whole, parts = made(case), made(case, samples_at_once=4)
    assert len(parts.pieces) == 3
    assert close(dense(matrix(parts))[0], dense(matrix(whole))[0], 1e-12)
    assert close(parts.gradient, whole.gradient, 1e-12)
    assert close(parts.loss, whole.loss, 1e-12)


def test_no_more_samples_are_held_than_asked_for():
    seen = []

    class Watching(nn.Linear):
        def forward(self, x):
            seen.append(len(x))
            return super().forward(x)

    x = normal("watching", 64, 3)
    line = Watching(3, 3).double()
    found = objective(line, half_squared_error, (x, x), samples_at_once=4)
    assert max(seen) == 8  # two parts at once, to see that the loss is a mean
    seen.clear()
    hessian(found)(torch.ones(1, 2, 12, dtype=F64))
    assert seen == [4] * 17  # one more, to look for functions that lose second derivatives


def test_a_graph_that_is_made_anew_is_counted_each_time():
    case = CASES["tied, squared error"]
    kept, remade = (hessian(made(case, samples_at_once=n)) for n in (None, 4))
    for operator, expected in ((kept, 1 + 2 * 5), (remade, 2 + 2 * 5)):
        operator(torch.ones(1, 3, operator.size, dtype=F64))
        operator(torch.ones(1, 2, operator.size, dtype=F64))
        assert operator.products == 5
        assert operator.gradients == expected
    before = remade.counts
    found = eigenpairs(remade, 2, block=2)
    assert found.products == remade.products - before[0] > 0
    assert found.gradients == 2 * found.products + found.products // 2


def test_some_parameters_give_their_block():
    case = CASES["residual, cross-entropy"]
    names = [n for n, p in case.model.named_parameters() for _ in range(p.numel())]
    inside = [i for i, n in enumerate(names) if n.startswith("second.")]
    found = dense(hessian(made(case, only="second.*")))[0]
    assert close(found, case.hessian[inside][:, inside], 1e-12)
    for name, parameter in case.model.named_parameters():
        parameter.requires_grad_(name.startswith("second."))
    frozen = dense(hessian(made(case)))[0]
    case.model.requires_grad_(True)
    torch.testing.assert_close(frozen, found, rtol=0, atol=0)


def test_inputs_may_be_several_or_named():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.line = nn.Linear(3, 3)

        def forward(self, left, right):
            return self.line(left) * right

    two, (a, b, y) = Two().double(), (normal(n, 5, 3) for n in "aby")
    both = [objective(two, half_squared_error, (x, y)) for x in ((a, b), {"left": a, "right": b})]
    first, second = (dense(hessian(o)) for o in both)
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_single_precision_is_as_good_as_it_can_be():
    case = small("single", two_layers)
    x, y = case.data
    single = two_layers()
    single.load_state_dict({n: p.float() for n, p in case.model.state_dict().items()})
    low = objective(single, case.loss, (x.float(), y.float()))
    assert close(dense(hessian(low))[0].double(), case.hessian, 1e-5)
    high = objective(single, case.loss, (x.float(), y.float()), dtype=F64)
    assert dense(hessian(high)).dtype == F64
    assert next(single.parameters()).dtype == torch.float32


def test_piecewise_linear_networks_have_what_curvature_they_have():
    # The absolute error of a ReLU network: its Hessian is the mixed derivatives between layers.
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)).double()
    x, y = normal("relu", 7, 3), normal("relu target", 7, 1)
    absolute = nn.L1Loss()
    found = dense(hessian(objective(net, absolute, (x, y))))[0]
    assert found.abs().max() > 0
    assert found.diagonal().abs().max() == 0
    # Of a line it is zero everywhere.
    line = nn.Linear(3, 1).double()
    assert dense(hessian(objective(line, absolute, (x, y)))).abs().max() == 0
    assert dense(gauss_newton(objective(line, absolute, (x, y)))).abs().max() == 0
