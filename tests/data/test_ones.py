import pytest
from hypothesis import given
from hypothesis import strategies as st

from chymist.data import complexity_table
from chymist.data.ones import Search, evaluate, shortened
from chymist.theory.integer_complexity import least_ones

TABLE = complexity_table(200_000)


@given(st.integers(3001, 200_000))
def test_a_search_finds_what_the_table_has(n):
    found = Search(complexity_table(3000)).write(n)
    assert found.exact
    assert found.ones == TABLE[n]
    assert evaluate(found.formula) == (n, found.ones)


@pytest.mark.parametrize("n", [*range(1, 60), 719, 1439, 70_000])
def test_every_number_is_written_with_as_few_ones_as_it_needs(n):
    found = Search(TABLE).write(n)
    assert evaluate(found.formula) == (n, TABLE[n])
    assert found.exact


@pytest.mark.parametrize(
    ("n", "ones", "summand"),
    [
        (353942783, 63, 6),
        (516743639, 63, 6),
        (353942782, 63, 0),
        (353942777, 58, 0),
        (21080618, 51, 0),
        (385159319, 64, 1),
        (385159312, 58, 0),
        (385159320, 59, 0),
        (10**8, 55, 0),
    ],
)
def test_known_complexities_far_beyond_the_table(n, ones, summand):
    found = Search(TABLE).write(n)
    assert (found.ones, found.exact, found.summand) == (ones, True, summand)
    assert evaluate(found.formula) == (n, ones)


def test_a_search_adds_what_its_table_added():
    found = Search(complexity_table(200_000, summands="one")).write(353942783)
    assert (found.ones, found.summand) == (64, 1)
    assert evaluate(found.formula) == (353942783, 64)


def test_a_search_that_gives_up_returns_a_bound_and_a_formula():
    exact = Search(TABLE).write(10**10 + 19)
    search = Search(TABLE, looks=50)
    found = search.write(10**10 + 19)
    assert not found.exact
    assert least_ones(found.n) < found.least <= exact.ones <= found.ones
    assert evaluate(found.formula) == (found.n, found.ones)
    assert search.looks == 50


@pytest.mark.parametrize("n", [0, -1, 10**12 + 1])
def test_other_numbers_are_refused(n):
    with pytest.raises(ValueError, match=f"got {n}"):
        Search(TABLE).write(n)


def test_a_search_needs_a_table_of_some_length():
    with pytest.raises(ValueError, match="must reach 1023, got 500"):
        Search(complexity_table(500))


@given(st.recursive(st.just("1"), lambda f: st.tuples(f, st.sampled_from("+*"), f), max_leaves=12))
def test_a_formula_is_evaluated_as_python_does(tree):
    def text(t):
        return t if isinstance(t, str) else f"({text(t[0])}{t[1]}{text(t[2])})"

    formula = text(tree)
    assert evaluate(formula) == (eval(formula), formula.count("1"))  # our own text
    assert eval(shortened(formula)) == eval(formula)


@pytest.mark.parametrize(
    "formula",
    ["", "+", "1+", "*1", "11", "1 1", "(1", "1)", ")1(", "()", "1(1)", "(1)1", "1++1", "2", "x",
     "1+*1", "1-1", "(1+)"],
)  # fmt: skip
def test_what_is_no_formula_is_refused(formula):
    with pytest.raises(ValueError, match=r"formula|bracket"):
        evaluate(formula)


def test_products_before_sums():
    assert evaluate("1+(1+1)*(1+1+1)+1") == (8, 7)
    assert evaluate("(1+1)*(1+1)*(1+1)") == (8, 6)
