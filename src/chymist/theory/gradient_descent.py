"""Gradient descent near a fixed kernel: how fast each frequency of a target is learnt.

While the kernel K of a network stays what it was at the start, an update of step size lr on the
loss r^T M r / (2 n) takes the residual r to (1 - lr K M / n) r: a mode that K M / n multiplies by
its eigenvalue is multiplied by 1 - lr eigenvalue. Sources: Jacot, Gabriel, Hongler (2018),
arXiv:1806.07572; on the circle Basri, Jacobs, Kasten, Kritchman (2019), arXiv:1906.00425; with
Sobolev weights M Yu, Yang, Townsend (2023), arXiv:2205.14300. All in float64.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy import ndarray


def error(lr: xr.DataArray | float, eigenvalue: xr.DataArray, step: xr.DataArray) -> xr.DataArray:
    """Part of a mode that is left after `step` updates, |1 - lr eigenvalue|^step. Unit 1.

    Dimensions are joined by name. Above lr eigenvalue = 2 it grows.

    >>> step = xr.DataArray([0, 1, 2], dims="step")
    >>> error(0.5, xr.DataArray(1.0), step).values.tolist()
    [1.0, 0.5, 0.25]
    """
    with np.errstate(over="ignore"):
        left: xr.DataArray = abs(1 - lr * eigenvalue.astype(float)) ** step
    return left


def residuals(
    kernel: Float[ndarray, "*lane n n"], start: Float[ndarray, "*lane n"], lr: Any, steps: int
) -> Float[ndarray, "*lane step n"]:
    """Residual after 0, 1, ..., `steps` updates, (I - lr K / n)^t r_0, for any kernel.

    `lr` is a number or one a lane. Computed update by update, without eigenvectors: exact, at the
    cost of a matrix-vector product each.

    >>> residuals(np.diag([2.0, 0.0]), np.array([1.0, 1.0]), 0.5, 2).tolist()
    [[1.0, 1.0], [0.5, 1.0], [0.25, 1.0]]
    """
    found = [np.asarray(start, dtype=float)]
    rate = np.asarray(lr, dtype=float)[..., None] / start.shape[-1]
    for _ in range(steps):
        found.append(found[-1] - rate * (kernel @ found[-1][..., None])[..., 0])
    stacked: ndarray[Any, Any] = np.stack(found, axis=-2)
    return stacked


def time_to_learn(
    lr: xr.DataArray | float, eigenvalue: xr.DataArray, threshold: float = 0.1
) -> xr.DataArray:
    """Updates until `error` falls to the threshold, log(1/threshold) / -log|1 - lr eigenvalue|.

    A real number, which the first whole step below the threshold exceeds by less than one; NaN
    where the mode is never learnt (eigenvalue 0, or lr eigenvalue at or above 2).

    Raises:
        ValueError: the threshold is not between 0 and 1.

    >>> round(float(time_to_learn(1.0, xr.DataArray(0.9), threshold=0.01)), 12)
    2.0
    """
    if not 0 < threshold < 1:
        raise ValueError(f"the threshold must lie between 0 and 1, got {threshold}")
    factor = abs(1 - lr * eigenvalue.astype(float))
    with np.errstate(divide="ignore"):
        time: xr.DataArray = math.log(threshold) / xr.apply_ufunc(np.log, factor.where(factor < 1))
    return time


def sobolev(
    eigenvalue: xr.DataArray, s: xr.DataArray | float, frequency: str = "k"
) -> xr.DataArray:
    """Eigenvalues under the Sobolev loss, lambda_k (1 + k^2)^s, k the coordinate `frequency`.

    Exact where the kernel is rotation invariant, for then K and M share the Fourier basis.

    >>> flat = xr.DataArray([1.0, 1.0], coords={"k": [1, 3]})
    >>> sobolev(flat, 1.0).values.tolist()
    [2.0, 10.0]
    """
    k = eigenvalue[frequency].astype(float)
    weighted: xr.DataArray = eigenvalue.astype(float) * (1 + k**2) ** s
    return weighted


def step_size(
    kernel: xr.DataArray, s: xr.DataArray | float = 0.0, fraction: float = 0.75
) -> xr.DataArray:
    """Part `fraction` of the largest stable step, 2 / (largest eigenvalue of K M / n).

    `kernel` has dimensions (..., sample, other) over n samples evenly spaced on a period; M weighs
    frequency k by (1 + k^2)^s. Cost: the eigenvalues of an n x n matrix for each kernel and s.

    >>> float(step_size(xr.DataArray(3 * np.eye(3), dims=("sample", "other")), fraction=0.5))
    1.0
    """
    largest = xr.apply_ufunc(
        _largest, kernel.astype(float), s, input_core_dims=[["sample", "other"], []],
        vectorize=True,
    )  # fmt: skip
    step: xr.DataArray = 2 * fraction / largest
    step.attrs = {"long_name": "step size", "units": "1"}
    return step


def _largest(kernel: Float[ndarray, "n n"], s: float) -> float:
    # K M is not symmetric; M^(1/2) K M^(1/2) is, with the same eigenvalues.
    n = len(kernel)
    root = (1 + (n * np.fft.fftfreq(n)) ** 2) ** (s / 2)
    half = np.fft.ifft(root[:, None] * np.fft.fft(kernel, axis=0), axis=0)
    whole = np.fft.ifft(root[:, None] * np.fft.fft(half.T, axis=0), axis=0).real
    return float(np.linalg.eigvalsh((whole + whole.T) / 2)[-1] / n)
