"""How well a text was cut: boundaries and tokens found, against those that are known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray


class SegmentationScores(NamedTuple):
    """Precision, recall and F1 of boundaries, without the pieces' own ends, and of whole tokens."""

    boundary_precision: float
    boundary_recall: float
    boundary_f1: float
    token_precision: float
    token_recall: float
    token_f1: float


def segmentation_scores(
    text: Int[ndarray, " symbol"],
    found: Bool[ndarray, " symbol"],
    known: Bool[ndarray, " symbol"],
) -> SegmentationScores:
    """Compare where tokens start with where they are known to start.

    A negative symbol of the text is a boundary that was given: the starts of what follows it, and
    that of the text, are right whatever is done and are not counted. A token is right if both its
    ends are and nothing inside is cut. NaN where there is nothing to divide by. Shape: numbers.
    Unit: 1. Cost: a pass. Memory: a few copies of the starts. Error: none.
    Source: Goldwater, Griffiths, Johnson (2009), section 3.

    >>> text = np.array([0, 1, 2, 3])
    >>> cut, gold = np.array([1, 0, 1, 1], bool), np.array([1, 0, 1, 0], bool)
    >>> s = segmentation_scores(text, cut, gold)
    >>> s.boundary_precision, s.boundary_recall, round(s.token_f1, 2)
    (0.5, 1.0, 0.4)
    """
    given = np.ones(len(text) + 1, dtype=bool)
    given[1:-1] = (text[1:] < 0) | (text[:-1] < 0)
    # The place after the last symbol ends its token, as a given boundary does.
    a, b = (np.append(starts, True) | given for starts in (found, known))
    within = (text >= 0) & ~given[:-1]
    both = int((a[:-1] & b[:-1] & within).sum())
    places = np.flatnonzero(a | b)
    common = (a & b)[places]
    right = common[:-1] & common[1:] & (text[places[:-1]] >= 0)
    tokens = [int((s[:-1] & (text >= 0)).sum()) for s in (a, b)]
    boundaries = [int((s[:-1] & within).sum()) for s in (a, b)]
    return SegmentationScores(*_scores(both, *boundaries), *_scores(int(right.sum()), *tokens))


def _scores(both: int, found: int, known: int) -> tuple[float, float, float]:
    precision = both / found if found else float("nan")
    recall = both / known if known else float("nan")
    total = found + known
    return precision, recall, 2 * both / total if total else float("nan")
