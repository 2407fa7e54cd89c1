import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chymist.data import are_prime, divisors, primes

SMALL = [n for n in range(2, 2000) if all(n % d for d in range(2, n))]


@pytest.mark.parametrize("last", [-1, 0, 1, 2, 3, 4, 5, 24, 25, 26, 120, 121, 122, 1999])
def test_primes_up_to_any_number(last):
    assert primes(last).tolist() == [p for p in SMALL if p <= last]


@given(st.integers(1, 1500), st.integers(0, 400))
def test_any_stretch_of_numbers_is_sieved(start, size):
    found = are_prime(start, start + size)
    assert (start + np.flatnonzero(found)).tolist() == [
        p for p in SMALL if start <= p < start + size
    ]


def test_how_many_primes_there_are():
    assert int(are_prime(1, 10**6 + 1).sum()) == len(primes(10**6)) == 78498
    far = np.flatnonzero(are_prime(353942770, 353942800)) + 353942770
    assert 353942783 in far


@given(st.integers(1, 3000))
def test_divisors_are_found(n):
    assert divisors(n) == [d for d in range(2, n) if n % d == 0 and d * d <= n]


def test_divisors_of_a_large_number():
    assert divisors(999_983 * 999_979) == [999_979]
    assert divisors(999_983**2) == [999_983]
