"""Prime numbers, a segment at a time, and the divisors of a number."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy import ndarray

Array = ndarray[Any, Any]


@lru_cache(maxsize=4)
def primes(last: int) -> Array:
    """Return the primes up to `last`, ascending, by the sieve of Eratosthenes on odd numbers.

    Takes last / 2 bytes while it works.

    >>> primes(30).tolist()
    [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]
    """
    if last < 2:
        return np.empty(0, dtype=np.int64)
    odd = np.ones((last + 1) // 2, dtype=bool)
    odd[0] = False
    for i in range(1, int(last**0.5) // 2 + 1):
        if odd[i]:
            odd[2 * i * (i + 1) :: 2 * i + 1] = False
    found = np.concatenate([[2], 2 * np.flatnonzero(odd) + 1])
    found.flags.writeable = False
    return found


def are_prime(start: int, stop: int) -> Array:
    """Return for start, ..., stop - 1 whether they are prime; start at least 1.

    Takes stop - start bytes and the primes up to the root of stop, whatever the numbers' size.

    >>> are_prime(8, 14).tolist()
    [False, False, False, True, False, True]
    """
    found = np.zeros(stop - start, dtype=bool)
    found[1 - start % 2 :: 2] = True
    for p in primes(int(stop**0.5) + 1)[1:].tolist():
        if p * p >= stop:
            break
        # From the square on, at an odd multiple: the others are out.
        first = max(p * p, -(-start // p) * p)
        first += p * (first % 2 == 0)
        found[first - start :: 2 * p] = False
    for number, prime in ((1, False), (2, True)):
        if start <= number < stop:
            found[number - start] = prime
    return found


def divisors(n: int) -> list[int]:
    """Return the divisors of n above 1 and up to its root, ascending; by trial division.

    >>> divisors(60)
    [2, 3, 4, 5, 6]
    """
    small = primes(max(1000, 1 << ((n.bit_length() + 1) // 2)))
    found = [1]
    for p in small[n % small == 0].tolist():
        power, powers = 1, [1]
        while n % (power * p) == 0:
            power *= p
            powers.append(power)
        found = [d * q for d in found for q in powers if (d * q) ** 2 <= n]
    return sorted(found)[1:]
