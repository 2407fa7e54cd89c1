import numpy as np
import pytest
import scipy.sparse.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chymist.instruments import dense, eigenpairs, hessian, objective, preconditioned
from chymist.instruments.operators import from_matrix
from chymist.keys import Key
from chymist.testing import small_networks

F64 = torch.float64
CASES = {case.name: case for case in small_networks()}


def symmetric(size, lanes=1, name="a"):
    key = Key("tests", "eigenpairs", size, name)
    a = torch.randn(lanes, size, size, generator=key.torch(), dtype=F64)
    return a + a.mT


def sorted_by(values, end):
    order = {"top": -values, "bottom": values, "magnitude": -values.abs()}[end]
    return values.gather(-1, order.argsort(-1))


@pytest.mark.parametrize("end", ["top", "bottom", "magnitude"])
@pytest.mark.parametrize("block", [1, 2, None])
@pytest.mark.parametrize("size", [5, 40, 150])
def test_they_are_those_of_the_dense_matrix(end, block, size):
    a = symmetric(size, lanes=3)
    found = eigenpairs(from_matrix(a), 5, end=end, block=block, tolerance=1e-8)
    expected = sorted_by(torch.linalg.eigvalsh(a), end)[:, :5]
    scale = torch.linalg.matrix_norm(a, 2).max()
    assert (found.values - expected).abs().max() < 1e-7 * scale
    assert bool(found.converged.all())
    unit = found.vectors @ found.vectors.mT
    torch.testing.assert_close(unit, torch.eye(5, dtype=F64).expand(3, 5, 5))
    image = found.vectors @ a
    residuals = (image - found.values[..., None] * found.vectors).norm(dim=-1)
    torch.testing.assert_close(found.residuals, residuals, rtol=1e-3, atol=1e-9)
    assert bool(((found.values - expected).abs() <= found.residuals + 1e-9 * scale).all())


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("end", "which"), [("top", "LA"), ("bottom", "SA"), ("magnitude", "LM")])
def test_a_second_algorithm_agrees(name, end, which):
    case = CASES[name]
    operator = hessian(objective(case.model, case.loss, case.data))
    size = operator.size
    product = lambda v: operator(torch.as_tensor(v).reshape(1, 1, -1))[0, 0].numpy()  # noqa: E731
    linear = scipy.sparse.linalg.LinearOperator((size, size), product, dtype=np.float64)
    start = np.random.default_rng(0).normal(size=size)
    theirs = scipy.sparse.linalg.eigsh(linear, 5, which=which, v0=start, return_eigenvectors=False)
    expected = sorted_by(torch.as_tensor(theirs.copy())[None], end)
    found = eigenpairs(operator, 5, end=end)
    assert ((found.values - expected) / expected).abs().max() < 1e-5


@pytest.mark.parametrize("values", [[3.0] * 6, [0.0] * 6, [5.0, 5, 5, 1, 1, 0], [2.0, 2, -7, 0, 0]])
@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_an_eigenvalue_is_found_as_often_as_it_occurs(values, k, dtype):
    eigenvalues = torch.tensor(values, dtype=F64)
    turn = torch.linalg.qr(symmetric(len(values))[0])[0]
    a = (turn * eigenvalues) @ turn.T
    found = eigenpairs(from_matrix(a.to(dtype)), k)
    expected = eigenvalues.sort(descending=True).values[:k]
    torch.testing.assert_close(found.values[0], expected, rtol=1e-5, atol=1e-5)
    assert bool(found.converged.all())


@pytest.mark.parametrize("end", ["top", "bottom", "magnitude"])
def test_a_repeated_eigenvalue_of_a_larger_matrix_is_looked_for(end):
    # A block of one converges before rounding shows it the second copy.
    spread = 1 / torch.arange(1, 301, dtype=F64)
    values = torch.cat([torch.tensor([5.0, 4, 4, 4, 3, 2], dtype=F64), spread])
    values = {"top": values, "bottom": -values, "magnitude": -values}[end]
    turn = torch.linalg.qr(symmetric(len(values))[0])[0]
    alone = values[0] * torch.linspace(1, 0, len(values), dtype=F64) ** 9
    a = torch.stack([(turn * values) @ turn.T, torch.diag(alone)])
    found = eigenpairs(from_matrix(a), 5, end=end)
    once = eigenpairs(from_matrix(a), 5, end=end, block=1)
    expected = sorted_by(torch.linalg.eigvalsh(a), end)[:, :5]
    torch.testing.assert_close(found.values, expected, rtol=1e-5, atol=0)
    assert bool(found.converged.all())
    assert abs(once.values[0, 2] - expected[0, 2]) > 0.5
    image = found.vectors @ a
    residuals = (image - found.values[..., None] * found.vectors).norm(dim=-1)
    torch.testing.assert_close(found.residuals, residuals, rtol=1e-3, atol=1e-9)


def test_looking_once_more_is_cheap_where_nothing_occurs_again():
    a = torch.diag(0.5 ** torch.arange(300, dtype=F64))
    found, once = (eigenpairs(from_matrix(a), 5, block=block) for block in (None, 1))
    assert once.products < found.products <= once.products + 4
    torch.testing.assert_close(found.values, once.values, rtol=0, atol=0)
    one = [eigenpairs(from_matrix(a), 1, block=block).products for block in (None, 1)]
    assert one[0] == one[1]


def test_a_restarted_basis_goes_on_where_it_was():
    # Close eigenvalues need more vectors than a small basis holds.
    a = torch.diag(torch.linspace(0, 1, 400, dtype=F64) ** 0.5)
    operator = from_matrix(a)
    found = eigenpairs(operator, 3, block=1, basis=12, tolerance=1e-7)
    assert found.products > 30
    expected = a.diagonal().flip(0)[:3]
    torch.testing.assert_close(found.values[0], expected, rtol=1e-6, atol=0)
    assert found.products == operator.products
    assert found.gradients == 1 + 2 * found.products


def test_what_has_not_converged_says_so_and_bounds_from_inside():
    a = torch.diag(torch.linspace(0, 1, 400, dtype=F64) ** 0.5)
    found = eigenpairs(from_matrix(a), 3, products=9)
    assert not bool(found.converged.any())
    assert found.products == 9
    assert bool((found.values[0] < a.diagonal().flip(0)[:3]).all())
    assert bool((found.errors > 1e-5).all())


def test_a_lane_does_not_feel_its_neighbours():
    a = symmetric(60, lanes=4)
    a[2] *= 100
    whole = eigenpairs(from_matrix(a), 3)
    part = eigenpairs(from_matrix(a[[1, 3]]), 3)
    torch.testing.assert_close(whole.values[[1, 3]], part.values, rtol=1e-12, atol=0)
    torch.testing.assert_close(whole.errors[[1, 3]], part.errors, rtol=1e-3, atol=1e-12)


def test_a_lane_that_is_not_finite_is_lost_and_the_others_are_not():
    a = symmetric(30, lanes=3)
    a[1, 0, 0] = torch.nan
    operator = from_matrix(a)
    operator.may_lose = True
    found = eigenpairs(operator, 2)
    assert found.values[1].isnan().all() and not found.converged[1].any()
    alone = eigenpairs(from_matrix(a[[0, 2]]), 2)
    torch.testing.assert_close(found.values[[0, 2]], alone.values, rtol=1e-12, atol=0)


@settings(max_examples=25)
@given(st.floats(1e-6, 1e6), st.integers(1, 4))
def test_scaling_the_matrix_scales_its_eigenvalues(scale, k):
    a = symmetric(30)
    one, other = eigenpairs(from_matrix(a), k), eigenpairs(from_matrix(scale * a), k)
    torch.testing.assert_close(other.values, scale * one.values, rtol=1e-9, atol=0)


def test_starting_from_the_last_vectors_saves_products():
    a = symmetric(200)
    cold = eigenpairs(from_matrix(a), 2, block=3, tolerance=1e-3)
    near = a + 1e-3 * symmetric(200, name="change")
    warm = eigenpairs(from_matrix(near), 2, start=cold.next_start, tolerance=1e-3)
    assert warm.products < cold.products / 2
    expected = torch.linalg.eigvalsh(near).flip(-1)[:, :2]
    torch.testing.assert_close(warm.values, expected, rtol=1e-3, atol=0)


def test_preconditioned_eigenvalues_are_those_of_the_quotient():
    a = symmetric(40, lanes=2)
    diagonal = 0.1 + symmetric(40, lanes=2, name="p").diagonal(dim1=1, dim2=2).abs()
    found = eigenpairs(preconditioned(from_matrix(a), diagonal), 4, tolerance=1e-9)
    values = torch.linalg.eigvals(a / diagonal[..., None]).real
    torch.testing.assert_close(found.values, sorted_by(values, "top")[:, :4], rtol=1e-7, atol=0)
    assert found.products > 0


def test_dense_returns_the_matrix_and_counts_a_product_a_column():
    a = symmetric(70, lanes=2)
    operator = from_matrix(a)
    torch.testing.assert_close(dense(operator), a, rtol=0, atol=1e-15)
    assert operator.products == 70


def test_a_start_near_another_eigenvector_misleads_no_small_search():
    draw = torch.Generator().manual_seed(0)
    for _ in range(50):
        x = torch.randn(50, 4, generator=draw, dtype=torch.float64)
        found = eigenpairs(from_matrix(x.T @ x), 1, tolerance=0.01)
        torch.testing.assert_close(
            found.values[0, 0], torch.linalg.eigvalsh(x.T @ x)[-1], rtol=0.01, atol=0
        )
