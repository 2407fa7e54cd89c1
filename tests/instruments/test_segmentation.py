import math

import numpy as np
import pytest

from chymist.instruments import segmentation_scores


def starts(cut):
    """Starts of tokens in letters parted by spaces and |, and the letters."""
    letters, at, begin = [], [], True
    for c in cut:
        if c == " ":
            begin = True
            continue
        letters.append(-1 if c == "|" else ord(c) - 97)
        at.append(begin and c != "|")
        begin = c == "|"
    return np.array(letters), np.array(at)


def scores(found, known):
    (text, a), (same, b) = starts(found), starts(known)
    assert np.array_equal(text, same)
    return segmentation_scores(text, a, b)


def test_by_hand():
    got = scores("the dog s|s aw it", "the dogs|saw it")
    # Boundaries within the pieces: found 4, known 2, both 2; tokens: the, it right of 6 and 4.
    assert got[:3] == pytest.approx((2 / 4, 1.0, 2 * 2 / 6))
    assert got[3:] == pytest.approx((2 / 6, 2 / 4, 2 * 2 / 10))


def test_what_is_known_scores_one_and_given_ends_count_for_nothing():
    assert scores("a bc d|e", "a bc d|e") == (1.0,) * 6
    got = scores("abcd|e", "a bcd|e")
    assert math.isnan(got.boundary_precision)
    assert got.boundary_recall == 0.0
    assert got.token_recall == pytest.approx(1 / 3)


def test_a_token_with_a_cut_inside_is_wrong():
    got = scores("a b c", "abc")
    assert got.token_f1 == 0.0
    assert got.boundary_precision == 0.0
