import pytest
from hypothesis import given
from hypothesis import strategies as st

from chymist.data import dense_complexity
from chymist.theory import integer_complexity as theory

whole = st.integers(1, 10**15)


@given(st.integers(0, 200))
def test_a_product_limit_is_the_integer_part_of_a_cube_root(ones):
    x = theory.product_limit(ones)
    assert x**3 <= 3**ones < (x + 1) ** 3


@given(whole)
def test_bounds_are_the_nearest_whole_numbers(n):
    low, high = theory.least_ones(n), theory.most_ones(n)
    assert 3**low >= n**3
    assert low == 0 or 3 ** (low - 1) < n**3
    assert 2**high <= n**3 < 2 ** (high + 1)


@pytest.mark.parametrize("k", range(1, 30))
def test_bounds_are_exact_at_powers(k):
    assert theory.least_ones(3**k) == 3 * k
    assert theory.least_ones(3**k + 1) == 3 * k + 1
    assert theory.most_ones(2**k) == 3 * k
    assert theory.largest_with(3 * k) == 3**k


@given(whole)
def test_as_many_cut_points_lie_at_or_below_a_number_as_it_needs_ones(n):
    assert sum(c <= n for c in theory.cut_points(10**15)) == theory.least_ones(n)


def test_no_formula_of_k_ones_has_a_larger_value():
    # By trying all pairs of what fewer ones write, whatever their number.
    values = {1: {1}}
    for k in range(2, 16):
        values[k] = {
            r
            for i in range(1, k // 2 + 1)
            for a in values[i]
            for b in values[k - i]
            for r in (a + b, a * b)
        }
        assert max(values[k]) == theory.largest_with(k)


def test_published_sequences_are_those_of_trying_every_pair():
    f = dense_complexity(20_000)[0].tolist()
    for k, (least, many) in enumerate(
        zip(theory.LEAST_WITH[:32], theory.HOW_MANY[:32], strict=True), start=1
    ):
        assert f.index(k, 1) == least
        if theory.largest_with(k) <= 20_000:
            assert f[1:].count(k) == many
    assert len(theory.LEAST_WITH) == 66


@pytest.mark.parametrize(
    "function", [theory.largest_with, theory.least_ones, theory.most_ones, theory.cut_points]
)
@pytest.mark.parametrize("number", [0, -1, 1.5])
def test_other_numbers_are_refused(function, number):
    with pytest.raises(ValueError, match="must be"):
        function(number)
