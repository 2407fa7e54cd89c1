"""Points on spheres."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray


def sphere(
    n: int, dimension: int, rng: np.random.Generator, radius: float = 1.0
) -> Float[ndarray, "n dimension"]:
    """Draw n independent points, evenly distributed on a sphere of this radius.

    Raises:
        ValueError: n or the dimension is below 1, or the radius is not positive.

    >>> from chymist.keys import Key
    >>> points = sphere(5, 3, Key("", "", 0, "points").numpy(), radius=2.0)
    >>> (points**2).sum(1).round(12).tolist()
    [4.0, 4.0, 4.0, 4.0, 4.0]
    """
    if n < 1 or dimension < 1 or not radius > 0:
        raise ValueError(
            "a sphere needs a point, a dimension and a radius of at least 1, 1 and above 0, got "
            f"{n}, {dimension}, {radius}"
        )
    points: ndarray[Any, Any] = rng.normal(size=(n, dimension))
    found: ndarray[Any, Any] = radius * points / np.linalg.norm(points, axis=1, keepdims=True)
    return found
