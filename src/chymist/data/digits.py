"""Handwritten digits of 8 by 8 pixels, which scikit-learn ships (UCI, Alpaydin and Kaynak 1998)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from chymist.errors import BadParameter


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
