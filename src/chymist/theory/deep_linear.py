"""Singular values of a deep linear network under gradient flow: learnt one after another.

W = W_N ... W_1 with balanced factors, loss (1/2) |W - M|_F^2, aligned start: each singular value
obeys d sigma/dt = N sigma^(2 - 2/N) (s - sigma), s that of the target M. Sources: Saxe, McClelland,
Ganguli (2014), arXiv:1312.6120; Arora, Cohen, Hu, Luo (NeurIPS 2019), arXiv:1905.13655. In float64;
time is that of the flow (step size times steps).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.integrate import quad
from scipy.optimize import brentq

from chymist.theory import domain


def time_to_reach(share: float, target: float, start: float, depth: int) -> float:
    """Time at which sigma is `share` of the target s, from `start` below that.

    N = 1: ln((s - sigma_0)/(s - sigma)); N = 2: the logistic time
    (1/2s) ln(sigma (s - sigma_0)/(sigma_0 (s - sigma))); beyond, by quadrature (relative 1e-9).

    Raises:
        ValueError: depth is not a count, target or start is not positive, or the share does not lie
            between start/target and 1.

    >>> round(time_to_reach(0.5, 1.0, 1 / (1 + math.e**2), 2), 9)
    1.0
    """
    domain.whole(1, depth=depth)
    domain.positive(target=target, start=start)
    first = start / target
    domain.between(first, 1, share=share)
    power = 2 - 2 / depth
    odds = math.log((1 - first) / (1 - share))
    if depth == 1:
        return odds
    if depth == 2:
        return (odds + math.log(share / first)) / (2 * target)
    # In ln u the integrand u^(1 - power)/(1 - u) is smooth; u near 1 is kept apart exactly.
    regular = quad(
        lambda log: (math.exp((1 - power) * log) - math.exp(log)) / -math.expm1(log),
        math.log(first), math.log(share), epsabs=0, epsrel=1e-10, limit=500,
    )[0]  # fmt: skip
    return float((regular + odds) / (depth * target**power))


def half_time(target: float, start: float, depth: int) -> float:
    """Time at which half the target is reached; for N = 2 it is ln(s/sigma_0 - 1)/(2 s).

    For small starts it grows as ln(1/sigma_0)/(2 s) at N = 2, and as
    sigma_0^-(1 - 2/N)/(N s (1 - 2/N)) beyond: larger singular values come first.

    Raises:
        ValueError: as `time_to_reach`; the start must be below half the target.

    >>> round(half_time(2.0, 2.0 / (1 + math.e**4), 2), 9)
    1.0
    """
    return time_to_reach(0.5, target, start, depth)


def singular_value(
    time: Float[ndarray, " step"], target: float, start: float, depth: int
) -> Float[ndarray, " step"]:
    """Singular value at given times; N = 2: s e^(2 s t)/(e^(2 s t) - 1 + s/sigma_0).

    Relative accuracy 1e-9. Cost for N > 2: some 40 quadratures a time.

    Raises:
        ValueError: depth is not a count, target or start is not positive, the start is not below
            the target, or a time is negative.

    >>> singular_value(np.array([0.0, 1.0]), 1.0, 1 / (1 + math.e**2), 2).round(6).tolist()
    [0.119203, 0.5]
    """
    domain.whole(1, depth=depth)
    domain.positive(target=target, start=start)
    domain.between(0, target, start=start)
    domain.at_least(0, time=time)
    t = np.asarray(time, dtype=float)
    if depth == 1:
        found: ndarray[Any, Any] = target + (start - target) * np.exp(-t)
        return found
    if depth == 2:
        found = target / (1 + (target / start - 1) * np.exp(-2 * target * t))
        return found
    first = start / target

    def share(at: float) -> float:
        # In the odds u/(1 - u), so that neither end loses digits.
        def excess(log_odds: float) -> float:
            u = 1 / (1 + math.exp(-log_odds))
            return time_to_reach(max(u, first), target, start, depth) - at

        low = math.log(first / (1 - first))
        if at == 0:
            return first
        if excess(34.0) < 0:
            return 1.0
        return 1 / (1 + math.exp(-float(brentq(excess, low, 34.0, xtol=1e-11))))

    found = target * np.array([share(float(each)) for each in t.ravel()]).reshape(t.shape)
    return found
