import numpy as np
import pytest

from chymist.theory import code_length


def test_code_bits_are_entropy_times_tokens():
    count = np.array([5, 3, 0, 8])
    p = count[count > 0] / 16
    assert code_length.code_bits(count) == pytest.approx(-16 * (p * np.log2(p)).sum(), rel=1e-14)


@pytest.mark.parametrize(("left", "right", "pair"), [(7, 5, 3), (7, 7, 7), (2, 9, 2)])
def test_the_change_is_that_of_the_counts(left, right, pair):
    others = [4, 11]
    before = code_length.code_bits([left, right, *others])
    after = code_length.code_bits([left - pair, right - pair, pair, *others])
    total = left + right + sum(others)
    assert code_length.merge_change(total, left, right, pair) == pytest.approx(after - before)


def test_the_change_where_both_are_the_same():
    before, after = code_length.code_bits([9, 4]), code_length.code_bits([9 - 6, 3, 4])
    assert code_length.merge_change(13, 9, 9, 3, True) == pytest.approx(after - before)


def test_rare_pairs_save_what_the_first_order_says_less_a_few_bits_a_copy():
    change = code_length.merge_change(1e8, 1e5, 1e5, 1e3)
    gain = code_length.merge_gain(1e8, 1e5, 1e5, 1e3)
    assert gain == pytest.approx(1e3 * np.log2(10), rel=1e-12)
    assert abs(-change - gain) < 3 * 1e3


@pytest.mark.parametrize(
    "call",
    [
        lambda: code_length.code_bits([-1]),
        lambda: code_length.merge_change(10, 2, 5, 3),
        lambda: code_length.merge_change(10, 5, 5, 3, True),
        lambda: code_length.merge_gain(10, 0, 5, 3),
        lambda: code_length.length_bits([0]),
    ],
)
def test_what_cannot_be_counted_is_refused(call):
    with pytest.raises(ValueError, match="must"):
        call()


def test_words_that_do_not_occur_are_not_spelled():
    assert code_length.description_bits([4, 0], [3.0, 100.0]) == 3.0
