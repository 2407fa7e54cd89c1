import numpy as np
import pytest

from chymist import memory
from chymist.compiling import SWITCH, NoKernel
from chymist.data import ComplexityTable, complexity_table, dense_complexity
from chymist.data import integer_complexity as module
from chymist.errors import BadParameter, TooLarge
from chymist.theory.integer_complexity import LEAST_WITH, WITH_SIX

SUMS = {100: 1113, 1000: 18274, 10**4: 254179, 10**5: 3249211, 10**6: 39519866}


def need_kernel():
    try:
        module._kernel()
    except NoKernel as why:
        pytest.skip(str(why))


@pytest.fixture(scope="module")
def table():
    return complexity_table(10**6)


def total(table):
    return sum(int(f.sum(dtype=np.int64)) for _, f in table.blocks())


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("summands", ["all", "one"])
def test_a_table_is_what_trying_every_pair_gives(native, summands):
    dense = dense_complexity(12_000, summands)[0]
    table = complexity_table(12_000, summands=summands, native=native)
    np.testing.assert_array_equal(table.values(1, 12_001), dense[1:])


def test_trying_every_pair_is_trying_every_pair():
    f, product, total = dense_complexity(400)
    for n in range(2, 401):
        sums = [int(f[a]) + int(f[n - a]) for a in range(1, n)]
        products = [int(f[d]) + int(f[n // d]) for d in range(2, n) if n % d == 0]
        assert total[n] == min(sums)
        assert product[n] == min(products, default=250)
        assert f[n] == min(sums + products)


@pytest.mark.parametrize("last", [*range(1, 12), 1022, 1023, 1024, 1025, 2047, 2048, 2049, 5001])
def test_a_table_may_end_anywhere(last):
    dense = dense_complexity(last)[0]
    for native in (True, False):
        found = complexity_table(last, native=native)
        np.testing.assert_array_equal(found.values(1, last + 1), dense[1:])
        with pytest.raises(IndexError):
            found[last + 1]
        with pytest.raises(IndexError):
            found[0]


def test_sums_and_records_are_the_known_ones(table):
    running = np.cumsum(table.values(1, 10**6 + 1), dtype=np.int64)
    assert {n: int(running[n - 1]) for n in SUMS} == SUMS
    for k, n in enumerate(LEAST_WITH[:46], start=1):
        assert table[n] == k
        assert (table.values(1, n) < k).all()


def test_any_part_can_be_read(table):
    whole = table.values(1, 10**6 + 1)
    for start, stop in ((1, 2), (2, 3), (7, 7), (531_440, 531_443), (12_345, 40_002)):
        np.testing.assert_array_equal(table.values(start, stop), whole[start - 1 : stop - 1])
    np.testing.assert_array_equal(np.concatenate([f for _, f in table.blocks(1, 999)]), whole)


def test_both_ways_make_the_same_table():
    need_kernel()
    one, other = (complexity_table(700_001, native=native) for native in (True, False))
    np.testing.assert_array_equal(one.packed, other.packed)
    np.testing.assert_array_equal(one.factors, other.factors)
    np.testing.assert_array_equal(one.summands, other.summands)
    assert one.summands[:11].tolist() == [6, 8, 9, 12, 14, 15, 16, 18, 20, 21, 24]
    assert (one.by, other.by) == ("compiled kernel", "NumPy")
    assert one.tried[-1, 0] == 700_001
    assert (other.tried[:, 1] == -1).all()


def without_products(kind, summands, last):
    """Make a table in which products end at the start, so that larger summands matter beyond."""
    made = kind(last, summands)
    made.product_wins[:] = 1
    for lo in made.starts():
        made.segment(lo, made.end(lo))
    return module._unpacked(made.packed, 1, last + 1, made.cut)


@pytest.mark.parametrize("kind", [module._Compiled, module._Segments])
def test_summands_beyond_one_are_added_where_they_matter(kind):
    # Below 353942783 a program that adds ones alone gives the same table as the true one.
    need_kernel()
    f = [0, *dense_complexity(1023)[0][1:].tolist()]
    for n in range(1024, 1101):
        f.append(min(f[a] + f[n - a] for a in range(1, n // 2 + 1)))
    assert sum(f[n] < f[n - 1] + 1 for n in range(1024, 1101)) > 10
    np.testing.assert_array_equal(without_products(kind, "all", 1100), f[1:])


@pytest.mark.slow
def test_where_guys_conjecture_fails():
    table = complexity_table(WITH_SIX[0] + 2)
    known = {1: 57, 0: 63, -1: 63, -6: 58}
    assert {d: table[WITH_SIX[0] + d] for d in known} == known
    assert [table[n] for n in (21080617, 21080612, 21080618)] == [54, 49, 51]
    assert table[10**8] == 55


def test_without_a_compiler_it_is_slower_and_says_so(monkeypatch):
    module._kernel.cache_clear()
    monkeypatch.setenv(SWITCH, "0")
    table = complexity_table(10**5)
    module._kernel.cache_clear()
    assert table.by == "NumPy, slower: switched off by CHYMIST_NATIVE=0"
    assert total(table) == SUMS[10**5]


def test_progress_ends_at_the_end():
    seen = []
    complexity_table(10_000, progress=lambda done, of: seen.append((done, of)))
    assert seen[-1] == (10_000, 10_000)
    assert seen == sorted(seen)


@pytest.mark.parametrize("last", [0, -5, 10**11 + 1])
def test_other_ends_are_refused(last):
    with pytest.raises(BadParameter, match=f"cannot end at {last}"):
        complexity_table(last)


def test_what_does_not_fit_is_refused_with_what_would(monkeypatch):
    monkeypatch.setattr(memory, "free", lambda: 2.0**30)
    with pytest.raises(TooLarge) as caught:
        complexity_table(10**10)
    line = str(caught.value)
    assert line.startswith("a table of complexities up to 10000000000 needs 4.67 GiB")
    largest = int(line.rstrip(")").rpartition(" ")[2])
    assert isinstance(complexity_table(10**5), ComplexityTable)
    assert largest / 2 + 40 * module.SEGMENT <= 2.0**30


def test_a_table_whose_bounds_are_broken_is_not_returned():
    need_kernel()
    for kind in (module._Compiled, module._Segments):
        with pytest.raises(AssertionError, match="bounds do not hold"):
            without_products(kind, "one", 1100)
