"""The 8 x 8 digit images that scikit-learn ships, and labels as targets."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from chymist.errors import BadParameter

MOST = 1797
"""Images in the set."""


def digits8(n: int = MOST) -> tuple[Float[ndarray, "n pixel"], Int[ndarray, " n"]]:
    """Return the first n images, as 64 centred features, and the digits 0 to 9 that they show.

    Each feature's mean over the n images is taken out; all are divided by one number, so that their
    mean square is 1. Source: Alpaydin and Kaynak (1998), UCI optical recognition of handwritten
    digits, as `sklearn.datasets.load_digits` has them.

    Raises:
        BadParameter: n is not from 2 to 1797.

    >>> x, label = digits8(200)
    >>> x.shape, label[:5].tolist(), round(float((x**2).mean()), 6)
    ((200, 64), [0, 1, 2, 3, 4], 1.0)
    """
    from sklearn.datasets import load_digits

    if not 2 <= n <= MOST:
        raise BadParameter(f"{n} digits were asked for", f"allowed: 2 to {MOST}")
    images, labels = load_digits(return_X_y=True)
    return standardised(images[:n]), labels[:n]


def standardised(x: Float[ndarray, "n feature"]) -> Float[ndarray, "n feature"]:
    """Take out each feature's mean, and divide all features by one number: mean square 1.

    Constant features become 0.

    >>> standardised(np.array([[1.0, 5.0], [3.0, 5.0]])).round(3).tolist()
    [[-1.414, 0.0], [1.414, 0.0]]
    """
    centred = np.asarray(x, dtype=float) - np.mean(x, axis=0)
    size = centred.std()
    found: ndarray[Any, Any] = centred / size if size > 0 else centred
    return found


def one_hot(labels: Int[ndarray, " n"], classes: int = 10) -> Float[ndarray, "n classes"]:
    """Return a row for each label: 1 at its class, 0 elsewhere.

    >>> one_hot(np.array([2, 0]), 3).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    rows: ndarray[Any, Any] = np.eye(classes)[labels]
    return rows


def digits_parity(
    samples: int, first: int = 0
) -> tuple[Float[ndarray, "sample 64"], Float[ndarray, "sample 1"]]:
    """Return pictures, the mean of all 1,797 taken off, and 1 if the digit is even, else -1.

    In units of 16 grey levels, so that a pixel lies between -1 and 1. Those numbered `first`,
    first + 1, ..., in the order of the collection.

    Raises:
        BadParameter: there are not so many.

    >>> x, y = digits_parity(4)
    >>> x.shape, y.ravel().tolist()
    ((4, 64), [1.0, -1.0, 1.0, -1.0])
    """
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    if samples < 1 or first < 0 or first + samples > len(pixels):
        raise BadParameter(
            f"{samples} digits from number {first} on", f"the collection has {len(pixels)}"
        )
    x = (pixels - pixels.mean(0)) / 16
    some = slice(first, first + samples)
    return x[some], np.where(labels[some] % 2 == 0, 1.0, -1.0)[:, None]
