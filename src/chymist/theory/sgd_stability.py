"""Which minima minibatch SGD can stay at: linear stability in mean square, and almost surely.

Near a minimum that fits every sample, an update is w <- (I - lr H_B) w, H_B the mean Hessian of the
batch. Its second moment obeys a linear map, whose largest eigenvalue decides. Sources: Wu, Ma, E
(NeurIPS 2018); Wu, Wang, Su (NeurIPS 2022), arXiv:2207.02628; Mulayoff and Michaeli (2023),
arXiv:2306.07850. All in float64.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import brentq
from scipy.sparse.linalg import LinearOperator, eigsh

from chymist.theory import domain

DENSE = 8
"""Up to this many parameters the map is written out as a matrix."""


def sampling_noise(batch: int, samples: int, *, replacement: bool = False) -> float:
    """Variance c_B of a batch mean in units of that of one sample. Unit 1.

    (n - B)/(B (n - 1)) without replacement, 1 / B with it.

    Raises:
        ValueError: batch is not a count, or a batch without replacement is above `samples`.

    >>> sampling_noise(1, 100), sampling_noise(100, 100), sampling_noise(4, 100, replacement=True)
    (1.0, 0.0, 0.25)
    """
    domain.whole(1, batch=batch, samples=samples)
    if replacement:
        return 1 / batch
    if batch > samples:
        raise ValueError(f"a batch of {batch} cannot be drawn from {samples} without replacement")
    return (samples - batch) / (batch * (samples - 1)) if samples > 1 else 0.0


def nonuniformity_bound(lr: float, noise: float) -> float:
    """Largest s = sqrt(lambda_max(mean H_i^2 - H^2)) of the stability rectangle, 1/(lr sqrt(c_B)).

    The other side is the sharpness 2 / lr. In one dimension `nonuniformity_curve` is exact; in more
    this is a necessary part of a sufficient condition only, so that `second_moment_radius` decides.
    Infinite for the full batch. Source: Wu, Ma, E (2018).

    Raises:
        ValueError: lr is not positive or the noise is negative.

    >>> nonuniformity_bound(0.5, 1.0), nonuniformity_bound(0.5, 0.0)
    (2.0, inf)
    """
    domain.positive(lr=lr)
    domain.at_least(0, noise=noise)
    return 1 / (lr * math.sqrt(noise)) if noise else math.inf


def nonuniformity_curve(
    sharpness: Float[ndarray, "*shape"] | float, lr: float, noise: float
) -> Float[ndarray, "*shape"]:
    """Largest s at a given sharpness a in one dimension: (1 - lr a)^2 + lr^2 c_B s^2 = 1.

    sqrt(a (2/lr - a) / c_B), half an ellipse below `nonuniformity_bound`, which it touches at
    a = 1/lr; 0 from a = 2/lr on. Exact in one dimension. In more, staying below it is what
    (I - lr H)^2 + lr^2 c_B (mean H_i^2 - H^2) <= I, which is enough, asks for where the largest
    eigenvalues of both terms belong to one direction. Source: Wu, Ma, E (2018), theorem 1.

    Raises:
        ValueError: lr or the noise is not positive, or a sharpness is negative.

    >>> nonuniformity_curve(np.array([1.0, 2.0, 4.0]), 0.5, 1.0).round(6).tolist()
    [1.732051, 2.0, 0.0]
    """
    domain.positive(lr=lr, noise=noise)
    domain.at_least(0, sharpness=sharpness)
    a = np.asarray(sharpness, dtype=float)
    found: ndarray[Any, Any] = np.sqrt((a * (2 / lr - a)).clip(0) / noise)
    return found


def frobenius_bound(lr: float, noise: float, alignment: float = 1.0) -> float:
    """Largest Frobenius norm of H at which SGD stays, 1/(lr sqrt(c_B mu)).

    mu = tr(Sigma G)/(2 L |G|_F^2) is how far the noise lies along the curvature; from
    E L_(t+1) >= lr^2 c_B mu |H|_F^2 L_t. Source: Wu, Wang, Su (2022).

    Raises:
        ValueError: lr, noise or alignment is not positive.

    >>> frobenius_bound(0.1, 0.25)
    20.0
    """
    domain.positive(lr=lr, noise=noise, alignment=alignment)
    return 1 / (lr * math.sqrt(noise * alignment))


def trace_bound(lr: float, noise: float) -> float:
    """Trace of H that no minimum stable in mean square exceeds, 2/(lr c_B), if H_i = g_i g_i^T.

    Wu and Su (ICML 2023), arXiv:2305.17490, for batches of one. With c_B <= 1 it follows from
    C = I in the condition that Mulayoff and Michaeli give: lr is at most
    2 tr(H)/(c_B mean |g_i|^4 + (1 - c_B) |H|_F^2), and mean |g_i|^4 is at least tr(H)^2.

    Raises:
        ValueError: lr or noise is not positive.

    >>> trace_bound(0.5, 0.25)
    16.0
    """
    domain.positive(lr=lr, noise=noise)
    return 2 / (lr * noise)


def rank_one_hessians(
    features: Float[ndarray, "sample feature"],
) -> Float[ndarray, "sample rank rank"]:
    """Hessians g_i g_i^T of squared loss on a linear model, in an orthonormal basis of the rows.

    Outside the span of the rows no Hessian acts. With fewer samples than parameters this shrinks
    the map of `second_moment_radius` from p^2 to n^2 unknowns.

    Raises:
        ValueError: the features are not finite.

    >>> rank_one_hessians(np.array([[0.0, 3.0, 4.0]])).round(6).tolist()
    [[[25.0]]]
    """
    domain.finite(features=features)
    # Singular values, not QR: dependent rows must not leave directions on which nothing acts.
    u, s, _ = np.linalg.svd(np.asarray(features, dtype=float), full_matrices=False)
    rows = (u * s)[:, s > s[0] * 1e-12]
    hessians: ndarray[Any, Any] = rows[:, :, None] * rows[:, None, :]
    return hessians


def second_moment_radius(hessians: Float[ndarray, "sample p p"], lr: float, noise: float) -> float:
    """Factor a step, rho_2, by which E w w^T grows in the long run. Unit 1.

    Largest eigenvalue of C -> (I - lr H) C (I - lr H) + lr^2 c_B mean_i (H_i - H) C (H_i - H),
    which is self-adjoint and keeps C positive, so that this is its spectral radius. Mean-square
    stable where at most 1. Cost: about 50 applications of n matrix products of size p; relative
    accuracy 1e-10.

    Raises:
        ValueError: lr is not positive, the noise is negative, or the Hessians are not symmetric.

    >>> ones = np.ones((2, 1, 1))
    >>> round(second_moment_radius(ones, 0.5, 1.0), 12)
    0.25
    """
    domain.positive(lr=lr)
    domain.at_least(0, noise=noise)
    each = _symmetric(hessians)
    p = each.shape[-1]
    mean = each.mean(0)
    spread = each - mean
    calm = np.eye(p) - lr * mean

    def after(c: ndarray[Any, Any]) -> ndarray[Any, Any]:
        c = c.reshape(p, p)
        found: ndarray[Any, Any] = calm @ c @ calm
        found = found + lr**2 * noise * (spread @ c @ spread).mean(0)
        return found.ravel()

    if p <= DENSE:
        matrix = np.stack([after(unit) for unit in np.eye(p * p)])
        return float(np.linalg.eigvalsh((matrix + matrix.T) / 2)[-1])
    operator = LinearOperator((p * p, p * p), matvec=after, dtype=float)
    start = np.eye(p).ravel()
    return float(eigsh(operator, 1, which="LA", v0=start, tol=1e-10)[0][-1])


def kernel_radius(kernel: Float[ndarray, "sample sample"], lr: float, noise: float) -> float:
    """Return `second_moment_radius` for Hessians g_i g_i^T, from their tangent kernel g_i . g_j.

    The same number, with samples^3 operations an application in the place of samples^4: of half the
    squared error of networks with one output. Relative accuracy 1e-6.

    Raises:
        ValueError: lr is not positive, the noise is negative, or the kernel is not symmetric or has
            a negative eigenvalue beyond rounding.

    >>> round(kernel_radius(np.diag([0.2, 3.8]), 0.5, 0.0), 6)
    0.9025
    """
    domain.positive(lr=lr)
    domain.at_least(0, noise=noise)
    root = _root(kernel)
    n = len(root)
    mean = root @ root / n
    calm = np.eye(n) - lr * mean

    def after(c: ndarray[Any, Any]) -> ndarray[Any, Any]:
        c = c.reshape(n, n)
        lengths = ((root @ c) * root).sum(1)
        scatter = (root * lengths) @ root / n - mean @ c @ mean
        found: ndarray[Any, Any] = calm @ c @ calm + lr**2 * noise * scatter
        return found.ravel()

    operator = LinearOperator((n * n, n * n), matvec=after, dtype=float)
    start = np.eye(n).ravel()
    return float(eigsh(operator, 1, which="LA", v0=start, tol=1e-6)[0][-1])


def mean_losses(
    kernel: Float[ndarray, "sample sample"],
    residual: Float[ndarray, " sample"],
    lr: float,
    noise: float,
    steps: int,
) -> Float[ndarray, " step"]:
    """Mean over batches of the loss sum_i r_i^2/(2n) after 0, ..., `steps` steps of SGD, exactly.

    Of a model that is linear in its parameters, with tangent kernel K and batches drawn anew each
    step. E r r^T = R obeys R <- A R A + lr^2 c_B (K diag(R) K / n - K R K / n^2), A = I - lr K / n.
    In the long run it grows by `kernel_radius` a step. Cost: five matrix products a step. Unit: the
    square of the residual's.

    Raises:
        ValueError: lr is not positive, the noise is negative, or the kernel is not symmetric.

    >>> mean_losses(np.array([[4.0]]), np.array([1.0]), 0.125, 0.0, 2)
    array([0.5    , 0.125  , 0.03125])
    """
    domain.positive(lr=lr)
    domain.at_least(0, noise=noise)
    k = _symmetric(kernel[None])[0]
    n = len(k)
    calm = np.eye(n) - lr * k / n
    moment = np.outer(residual, residual).astype(float)
    found = [np.trace(moment) / (2 * n)]
    for _ in range(steps):
        scatter = (k * np.diag(moment)) @ k / n - k @ moment @ k / n**2
        moment = calm @ moment @ calm.T + lr**2 * noise * scatter
        found.append(np.trace(moment) / (2 * n))
    return np.array(found)


def largest_stable_lr(hessians: Float[ndarray, "sample p p"], noise: float) -> float:
    """Largest step size that is stable in mean square: where `second_moment_radius` is 1.

    rho_2 is convex in the step size and 1 at 0, so that it crosses 1 once; the crossing lies in
    (0, 2 / lambda_max(H)]. Directions on which no Hessian acts must be left out
    (`rank_one_hessians`). Cost: about 15 radii; relative accuracy 1e-9.

    Raises:
        ValueError: the noise is negative, or the mean Hessian is not positive definite.

    >>> round(largest_stable_lr(np.array([[[0.2]], [[3.8]]]), 1.0), 6)
    0.552486
    """
    values = np.linalg.eigvalsh(_symmetric(hessians).mean(0))
    if values[0] <= 1e-13 * values[-1]:
        raise ValueError(f"the mean Hessian must be positive definite, got {values[0]}")
    high = 2 / values[-1]
    if noise == 0:
        return float(high)

    def excess(lr: float) -> float:
        # Divided by lr, else the root at 0 attracts.
        return (second_moment_radius(hessians, lr, noise) - 1) / lr

    low = high
    while excess(low) > 0:
        low /= 2
    return float(brentq(excess, low, 2 * low, rtol=1e-10)) if low < high else float(high)


def lyapunov_exponent(curvatures: Float[ndarray, " sample"], lr: float) -> float:
    """Almost-sure growth a step, mean_i ln|1 - lr a_i|, in one dimension with batches of one.

    Positive: SGD leaves the minimum, from a distance eps to a distance e in about ln(e / eps)
    divided by it steps. Unit 1/step. Source: Wu, Ma, E (2018).

    Raises:
        ValueError: lr is not positive.

    >>> round(lyapunov_exponent(np.array([0.2, 3.8]), 0.7), 4)
    0.178
    """
    domain.positive(lr=lr)
    with np.errstate(divide="ignore"):
        return float(np.log(abs(1 - lr * np.asarray(curvatures, dtype=float))).mean())


def escape_time(
    curvatures: Float[ndarray, " sample"],
    lr: float,
    distance: Float[ndarray, "*shape"] | float,
    edge: float,
) -> Float[ndarray, "*shape"]:
    """Typical steps from `distance` to `edge` of a minimum, ln(edge/distance)/Lambda.

    Lambda is `lyapunov_exponent`; logarithmic in the distance, not exponential in a barrier.
    Infinite where the exponent is not positive.

    Raises:
        ValueError: a distance is not positive or lies beyond the edge.

    >>> escape_time(np.array([0.0, 4.0]), 1.0, 1.0, 3.0).round(6).item()
    2.0
    """
    domain.positive(distance=distance, edge=edge)
    domain.between(0, edge, distance=distance)
    rate = lyapunov_exponent(curvatures, lr)
    scale = 1 / rate if rate > 0 else np.inf
    time: ndarray[Any, Any] = np.log(edge / np.asarray(distance, dtype=float)) * scale
    return time


def _symmetric(hessians: Float[ndarray, "sample p p"]) -> ndarray[Any, Any]:
    each = np.asarray(hessians, dtype=float)
    domain.finite(hessians=each)
    defect = abs(each - np.swapaxes(each, -1, -2)).max()
    if defect > 1e-10 * abs(each).max():
        raise ValueError(f"the Hessians must be symmetric, got a defect of {defect}")
    return each


def _root(kernel: ndarray[Any, Any]) -> ndarray[Any, Any]:
    """Return the symmetric square root of a positive semi-definite matrix."""
    values, vectors = np.linalg.eigh(_symmetric(np.asarray(kernel)[None])[0])
    if values[0] < -1e-6 * values[-1]:
        raise ValueError(f"the kernel has the negative eigenvalue {values[0]}")
    found: ndarray[Any, Any] = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    return found
