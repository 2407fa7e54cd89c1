r"""Integer complexity: how few ones write a number with +, x and brackets; bounds in integers.

$f(n)$ is the least number of ones. With $k$ ones no number above $E(k)$ can be written, where
$E(k) = 3^{k/3}$, $4 \cdot 3^{(k-4)/3}$ or $2 \cdot 3^{(k-2)/3}$ as $k$ is 0, 1 or 2 modulo 3
(Mahler and Popken 1953; OEIS A000792), so that $3 \log_3 n \leq f(n)$; writing $n$ in binary gives
$f(n) \leq 3 \log_2 n$ for $n \geq 2$. Everything here is exact: powers, no logarithms.
"""

from __future__ import annotations

from functools import cache

from chymist.theory.domain import whole


def largest_with(ones: int) -> int:
    """Return the largest number that so many ones write.

    Raises:
        ValueError: fewer than one.

    >>> [largest_with(k) for k in range(1, 11)]
    [1, 2, 3, 4, 6, 9, 12, 18, 27, 36]
    """
    whole(1, ones=ones)
    if ones == 1:
        return 1
    rest = (0, 4, 2)[ones % 3]
    return max(rest, 1) * int(3 ** ((ones - rest) // 3))


def least_ones(n: int) -> int:
    """Return the lower bound, 3 log3 n rounded up: the least k with 3^k >= n^3.

    Raises:
        ValueError: n below one.

    >>> [least_ones(n) for n in (1, 2, 3, 4, 27, 28)]
    [0, 2, 3, 4, 9, 10]
    """
    whole(1, n=n)
    k = max(0, 3 * (n.bit_length() - 1) * 1000 // 1585 - 1)
    while 3**k < n**3:
        k += 1
    return k


def most_ones(n: int) -> int:
    """Return the upper bound, 3 log2 n rounded down: the largest k with 2^k <= n^3; for n >= 2.

    Raises:
        ValueError: n below one.

    >>> [most_ones(n) for n in (2, 3, 7, 8)]
    [3, 4, 8, 9]
    """
    whole(1, n=n)
    return (n**3).bit_length() - 1


@cache
def cut_points(limit: int) -> tuple[int, ...]:
    """Return, for k = 0, 1, ..., the least n whose cube exceeds 3^k, up to the first above `limit`.

    How many of them are at most n is `least_ones(n)`.

    Raises:
        ValueError: a limit below one.

    >>> cut_points(9)
    (2, 2, 3, 4, 5, 7, 10)
    """
    whole(1, limit=limit)
    cuts = [2]
    while cuts[-1] <= limit:
        cuts.append(product_limit(len(cuts)) + 1)
    return tuple(cuts)


def product_limit(ones: int) -> int:
    """Return the largest x with 3 log3 x <= k, the integer part of 3^(k/3); 0 for negative k.

    Two numbers that k ones write together have a product of at most this.

    >>> [product_limit(k) for k in (-1, 0, 1, 3, 4, 63)]
    [0, 1, 1, 3, 4, 10460353203]
    """
    if ones < 0:
        return 0
    power = int(3**ones)
    x = 1 << (-(-power.bit_length() // 3))
    while x**3 > power:
        x = (2 * x + power // x**2) // 3
    return x


LEAST_WITH = (
    1, 2, 3, 4, 5, 7, 10, 11, 17, 22, 23, 41, 47, 59, 89, 107, 167, 179, 263, 347, 467, 683, 719,
    1223, 1438, 1439, 2879, 3767, 4283, 6299, 10079, 11807, 15287, 21599, 33599, 45197, 56039,
    81647, 98999, 163259, 203999, 241883, 371447, 540539, 590399, 907199, 1081079, 1851119,
    2041199, 3243239, 3840479, 6562079, 8206559, 11696759, 14648759, 22312799, 27494879, 41746319,
    52252199, 78331679, 108606959, 142990559, 203098319, 273985919, 382021919, 495437039,
)  # fmt: skip
"""The least number that needs k ones, k = 1, ..., 66 (OEIS A005520)."""

HOW_MANY = (
    1, 1, 1, 1, 2, 3, 2, 6, 6, 7, 14, 16, 20, 34, 42, 56, 84, 108, 152, 214, 295, 398, 569, 763,
    1094, 1475, 2058, 2878, 3929, 5493, 7669, 10501, 14707, 20476, 28226, 39287, 54817, 75619,
    105584, 146910, 203294, 283764, 394437, 547485, 763821, 1061367, 1476067, 2057708, 2861449,
)  # fmt: skip
"""How many numbers need k ones, k = 1, ..., 49 (OEIS A005421)."""

WITH_SIX = (353_942_783, 516_743_639)
"""The numbers up to 5.2e8 that a sum with 6 writes with fewer ones than any product or n - 1
(M. Fuller, SeqFan list, 2008). The first is the least prime p with f(p) != f(p - 1) + 1."""
