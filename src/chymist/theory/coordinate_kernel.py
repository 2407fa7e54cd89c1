"""Kernels of networks on Fourier features, and what training by kernel predicts of a picture.

The encoding turns a shift v - v' into a cosine c = gamma . gamma' / |gamma|^2, and the ReLU
network turns cosines into its neural tangent kernel: the composition depends on the shift alone, so
on a circle of evenly spaced samples its eigenvectors are the Fourier modes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

LARGEST = 64
"""Most pixels a side that `interpolate_picture` solves for."""


def relu_tangent_kernel(cosine: Float[ndarray, "*shape"], depth: int) -> Float[ndarray, "*shape"]:
    """Neural tangent kernel of an infinitely wide ReLU network without biases, on unit inputs.

    `depth` hidden layers that compute sqrt(2 / width) relu(W x), a linear one on top, all weights
    N(0, 1) and trained. With S_0 = T_0 = cos, S_l = k1(S_(l-1)) and T_l = S_l + T_(l-1)
    k0(S_(l-1)), where k0(u) = (pi - arccos u)/pi and k1(u) = (sqrt(1-u^2) + u (pi - arccos u))/pi;
    returns T_depth, whose value at cosine 1 is depth + 1. Sources: Jacot et al. (2018),
    arXiv:1806.07572, and, for k0 and k1, Cho and Saul (NeurIPS 2009).

    >>> relu_tangent_kernel(np.array([1.0, -1.0]), 1).round(6)
    array([2., 0.])
    """
    s = np.clip(np.asarray(cosine, dtype=float), -1.0, 1.0)
    tangent: ndarray[Any, Any] = s
    for _ in range(depth):
        angle = np.pi - np.arccos(s)
        # sqrt(1 - s^2) written so that s = 1 gives 0 and not a rounding error.
        after = (np.sqrt(np.maximum((1 - s) * (1 + s), 0)) + s * angle) / np.pi
        tangent = after + tangent * angle / np.pi
        s = np.clip(after, -1.0, 1.0)
    return tangent


def gaussian_feature_cosine(
    squared_distance: Float[ndarray, "*shape"], sigma: float
) -> Float[ndarray, "*shape"]:
    """Cosine between Gaussian Fourier features, in the limit of many: exp(-2 pi^2 sigma^2 d^2).

    The characteristic function of N(0, sigma^2); Rahimi and Recht (NeurIPS 2007).
    """
    cosine: ndarray[Any, Any] = np.exp(-2 * (np.pi * sigma) ** 2 * np.asarray(squared_distance))
    return cosine


def drawn_feature_cosine(
    points: Float[ndarray, "n axis"], frequencies: Float[ndarray, "*lane m axis"]
) -> Float[ndarray, "*lane n n"]:
    """Cosine between the Fourier features of m given frequencies: mean_j cos(2 pi b_j . (v - v')).

    Exact for the frequencies that a network has, where `gaussian_feature_cosine` is their limit:
    with 32 of them the two differ by about 1 / sqrt(64).

    >>> drawn_feature_cosine(np.array([[0.0], [0.25]]), np.array([[1.0], [2.0]])).round(6)
    array([[ 1. , -0.5],
           [-0.5,  1. ]])
    """
    phase = 2 * np.pi * points @ np.swapaxes(frequencies, -1, -2)
    features = np.concatenate([np.cos(phase), np.sin(phase)], axis=-1)
    cosine: ndarray[Any, Any] = features @ np.swapaxes(features, -1, -2) / frequencies.shape[-2]
    return cosine


def circle_eigenvalues(
    amplitudes: Float[ndarray, "*lane m"], depth: int, samples: int
) -> Float[ndarray, "*lane band"]:
    """Eigenvalues lambda_k of the composed kernel, over `samples`, k = 0..samples/2.

    Features a_j [cos 2 pi j v, sin 2 pi j v], j = 1..m, divided by |a|, on v = i / samples. The
    kernel is a circulant matrix; lambda_k is its k-th Fourier coefficient divided by `samples`, so
    gradient descent on half the mean squared error takes mode k down by 1 - lr lambda_k a step.

    >>> circle_eigenvalues(np.array([1.0]), 0, 4)
    array([0. , 0.5, 0. ])
    """
    shift = np.arange(samples) / samples
    waves = np.cos(2 * np.pi * np.outer(np.arange(1, amplitudes.shape[-1] + 1), shift))
    power = amplitudes**2
    cosine = power @ waves / power.sum(-1, keepdims=True)
    values: ndarray[Any, Any] = np.fft.rfft(relu_tangent_kernel(cosine, depth)).real / samples
    return np.round(values, 15) + 0.0


def interpolation_psnr(picture: Float[ndarray, "size size"], sigma: float, depth: int) -> float:
    """PSNR in dB of `interpolate_picture` at odd rows and columns, given the even ones."""
    drawn = interpolate_picture(picture[::2, ::2], sigma, depth)
    return float(-10 * np.log10(np.mean((drawn - picture[1::2, 1::2]) ** 2)))


def interpolate_picture(
    train: Float[ndarray, "size size"], sigma: float, depth: int
) -> Float[ndarray, "size size"]:
    """Kernel regression at the pixels half a step off, on both axes, from the training ones.

    Training pixels lie at i / size, the others at (i + 1/2) / size. The kernel is that of a ReLU
    network of `depth` hidden layers on infinitely many Gaussian features of scale sigma. Returns
    mean + K* K^-1 (train - mean), where gradient flow on the squared error ends if it starts from
    the picture's mean. Cost: one dense linear system of size^2 unknowns; refused beyond 64.

    Raises:
        ValueError: more than 64 pixels a side.
    """
    size = len(train)
    if size > LARGEST:
        raise ValueError(f"at most {LARGEST} pixels a side, got {size}")
    place = np.arange(size) / size
    grid = np.stack(np.meshgrid(place, place, indexing="ij"), axis=-1).reshape(-1, 2)

    def kernel(points: Float[ndarray, "pixel axis"]) -> Float[ndarray, "pixel pixel"]:
        squared = ((points[:, None, :] - grid[None, :, :]) ** 2).sum(-1)
        return relu_tangent_kernel(gaussian_feature_cosine(squared, sigma), depth)

    mean = train.mean()
    weights = np.linalg.solve(kernel(grid), (train - mean).ravel())
    found: ndarray[Any, Any] = mean + kernel(grid + 0.5 / size) @ weights
    return found.reshape(size, size)
