"""Closed forms for the Ricci curvature of graphs, its flow at a neck, and when blocks can be seen.

Curvatures are those of Lin, Lu and Yau (Tohoku 63, 2011), all edges of length 1; unit 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chymist.theory import domain


def complete(n: int) -> float:
    """Each edge of the complete graph of n nodes has n / (n - 1).

    Raises:
        ValueError: n is not a whole number from 2.

    >>> complete(5)
    1.25
    """
    domain.whole(2, n=n)
    return n / (n - 1)


def cycle(n: int) -> float:
    """3/2, 1, 1/2 on cycles of 3, 4, 5 nodes, 0 on longer ones.

    Raises:
        ValueError: n is not a whole number from 3.

    >>> [cycle(n) for n in (3, 4, 5, 6)]
    [1.5, 1.0, 0.5, 0.0]
    """
    domain.whole(3, n=n)
    return max(0.0, (6 - n) / 2)


def hypercube(n: int) -> float:
    """2 / n on each edge of the hypercube of n dimensions.

    Raises:
        ValueError: n is not a whole number from 1.

    >>> hypercube(4)
    0.5
    """
    domain.whole(1, n=n)
    return 2 / n


def rook(n: int) -> float:
    """Each edge of the n x n rook's graph, a product of complete graphs, has n / (2 (n - 1)).

    A product of regular graphs divides each factor's curvature in proportion to its degree.

    Raises:
        ValueError: n is not a whole number from 2.

    >>> round(rook(4), 6)
    0.666667
    """
    return complete(n) / 2


def tree(x: Any, y: Any) -> Any:
    """2 / d_x + 2 / d_y - 2 on an edge of a tree whose ends have these degrees.

    Raises:
        ValueError: a degree is not a whole number from 1.

    >>> round(tree(3, 2), 6)
    -0.333333
    """
    domain.whole(1, x=x, y=y)
    return 2 / x + 2 / y - 2


def bridge(k: Any) -> Any:
    """4 / k - 2 on the edge that joins two complete graphs of k nodes: as on a tree.

    >>> bridge(8)
    -1.5
    """
    return tree(k, k)


def idleness_threshold(x: Any, y: Any) -> Any:
    """1 / (max(d_x, d_y) + 1), from which on kappa_alpha / (1 - alpha) does not depend on alpha.

    Bourne et al., SIAM J. Discrete Math. 32 (2018), arXiv:1704.04398.

    Raises:
        ValueError: a degree is not a whole number from 1.

    >>> float(idleness_threshold(3, 1))
    0.25
    """
    domain.whole(1, x=x, y=y)
    return 1 / (np.maximum(x, y) + 1)


def idleness_kink(x: Any, y: Any) -> Any:
    """1 / (lcm(d_x, d_y) + 1), the only other idleness at which kappa_alpha can bend.

    Raises:
        ValueError: a degree is not a whole number from 1.

    >>> float(idleness_kink(3, 2))
    0.14285714285714285
    """
    domain.whole(1, x=x, y=y)
    return 1 / (np.lcm(x, y) + 1)


def late_bridge(k: Any) -> Any:
    """Curvature to which the bridge between two complete graphs of k nodes tends under the flow.

    Even measures. Late, interior edges are short beside the bridge b and the edges g that end at
    it; on the line that is left, kappa(b) = (2/k) (1 - (k - 1) g / b) and kappa(g) = (k - 1) / k +
    1 / (k - 1) - b / (k g). Both are equal where r = b / g solves r^2 - c r = 2 (k - 1), with
    c = k - 3 + k / (k - 1). Positive; 2/k^2 to leading order.

    Raises:
        ValueError: k is not a whole number from 4.

    >>> round(float(late_bridge(4)), 4), round(float(late_bridge(8)), 4)
    (0.1134, 0.0288)
    """
    domain.whole(4, k=k)
    c = k - 3 + k / (k - 1)
    ratio = (c + np.sqrt(c**2 + 8 * (k - 1))) / 2
    return 2 / k * (1 - (k - 1) / ratio)


def pinch_rate(k: Any, step: float) -> Any:
    """Late growth of ln(bridge / interior) a unit of time, two complete graphs of k nodes.

    ln((1 - step kappa_b) / (1 - step k / (k - 1))) / step: flow w <- (1 - step kappa) d of Lin, Lu
    and Yau's curvature with even measures, time in steps times `step`. The bridge's curvature
    kappa_b goes to `late_bridge`, an interior edge's to k / (k - 1); the rate for a small step is
    their difference.

    Raises:
        ValueError: k is not a whole number from 4, or the step is not in (0, (k - 1) / k).

    >>> round(float(pinch_rate(4, 1e-9)), 3), round(4 / 3 - 0.1134, 3)
    (1.22, 1.22)
    """
    late = late_bridge(k)
    domain.positive(step=step)
    shrink = step * k / (k - 1)
    domain.between(0, 1, step_times_curvature=shrink)
    return (np.log1p(-step * late) - np.log1p(-shrink)) / step


def collapse_factor(k: Any) -> Any:
    """1 - k / (2 (k - 1)): what an interior edge keeps in a step once the bridge is all there is.

    Flow of step 1, alpha = 1/2, measures exp(-w^p), p > 0: of two complete graphs of k nodes.

    Raises:
        ValueError: k is not a whole number from 3.

    >>> collapse_factor(5)
    0.375
    """
    domain.whole(3, k=k)
    return 1 - k / (2 * (k - 1))


def signal_ratio(nodes: int, inside: Any, outside: Any) -> Any:
    """(a - b)^2 / (2 (a + b)), a = nodes p_in, b = nodes p_out: two blocks can be seen above 1.

    The Kesten-Stigum threshold, sharp for two equal blocks of many nodes and bounded degrees.
    Decelle et al., Phys. Rev. E 84 (2011); Mossel, Neeman, Sly 2015.

    Raises:
        ValueError: a probability is negative or both are 0.

    >>> round(float(signal_ratio(80, 0.3, 0.11)), 3)
    3.522
    """
    domain.whole(1, nodes=nodes)
    domain.at_least(0, inside=inside, outside=outside)
    domain.positive(sum_of_probabilities=inside + outside)
    return nodes * (inside - outside) ** 2 / (2 * (inside + outside))
