"""Second moments along the residual stream of a transformer at its start.

Each block adds a branch to the stream x, with unit-variance (normalised) input and branch variance
v_l. Sources: Xiong et al. (ICML 2020), arXiv:2002.04745; Wang et al. (2022), arXiv:2203.00555
(DeepNorm); Noci et al. (NeurIPS 2022), arXiv:2206.03126 (rank collapse). In float64, unit 1.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import ndtr

from chymist.theory import domain
from chymist.theory.dual_activations import leaky_relu
from chymist.theory.random_energy import participation


def attention_variance(similarity: float, participation: float) -> float:
    """Variance of an attention branch, rho + (1 - rho) Y, of unit-variance values.

    rho is the mean cosine between different tokens, Y = sum_j p_j^2 the participation of the
    attention weights; value and output weights keep the variance. Y = 1/T for uniform attention.

    Raises:
        ValueError: the participation is not in (0, 1], or the similarity not in [-1, 1].

    >>> attention_variance(0.0, 0.25), attention_variance(1.0, 0.25)
    (0.25, 1.0)
    """
    domain.between(-1, math.nextafter(1.0, 2.0), similarity=similarity)
    domain.between(math.ulp(0.0), math.nextafter(1.0, 2.0), participation=participation)
    return similarity + (1 - similarity) * participation


def pre_norm(
    branches: Float[ndarray, " layer"], start: float = 1.0
) -> Float[ndarray, " layer_and_start"]:
    """Variance of the stream before the first block and after each, x + F(norm x).

    v_0 + sum of branch variances: it grows linearly, and the input's share is v_0 / v_L.

    Raises:
        ValueError: a branch variance or the start is negative.

    >>> pre_norm(np.array([1.0, 0.5])).tolist()
    [1.0, 2.0, 2.5]
    """
    domain.at_least(0, branches=branches, start=start)
    found: ndarray[Any, Any] = np.cumsum(np.concatenate([[start], branches]))
    return found


def post_norm_gain(branches: Float[ndarray, " layer"]) -> Float[ndarray, " layer"]:
    """Gain of the skip path after each block, norm(x + F(x)): product of 1/sqrt(1 + v_l).

    2^(-L/2) for unit branches.

    Raises:
        ValueError: a branch variance is negative.

    >>> post_norm_gain(np.array([3.0, 0.0])).tolist()
    [0.5, 0.5]
    """
    return deep_norm_gain(branches, 1.0)


def deep_norm_gain(branches: Float[ndarray, " layer"], alpha: float) -> Float[ndarray, " layer"]:
    """Gain of the skip path after each block of DeepNorm, norm(alpha x + F(x)).

    The product of alpha/sqrt(alpha^2 + v_l). With `deep_norm_constants` bounded below in depth.

    Raises:
        ValueError: a branch variance is negative, or alpha is not positive.

    >>> deep_norm_gain(np.array([5.0]), 2.0).round(6).tolist()
    [0.666667]
    """
    domain.at_least(0, branches=branches)
    domain.positive(alpha=alpha)
    found: ndarray[Any, Any] = np.cumprod(alpha / np.sqrt(alpha**2 + np.asarray(branches)))
    return found


def deep_norm_constants(blocks: int) -> tuple[float, float]:
    """(alpha, beta) of DeepNorm for an encoder or a decoder of N blocks: (2N)^(1/4), (8N)^(-1/4).

    alpha weighs the skip path; beta scales the weights of values, outputs and the feed-forward
    part, so that branch variances fall as beta^4 = 1/(8N), there being two such weights a branch.

    Raises:
        ValueError: blocks is not a count.

    >>> deep_norm_constants(8)
    (2.0, 0.3535533905932738)
    """
    domain.whole(1, blocks=blocks)
    return (2 * blocks) ** 0.25, (8 * blocks) ** -0.25


def token_streams(
    blocks: int, keys: int, *, post: bool = False, alpha: float = 1.0, beta: float = 1.0
) -> tuple[Float[ndarray, " residual"], Float[ndarray, " residual"]]:
    """Variance and cosine between tokens after each residual, from independent unit tokens.

    Two residuals a block: attention, without mask, over T keys, and a ReLU part. Of normed tokens
    with cosine rho, logits have variance 1 - rho over keys, which gives the participation Y of a
    random-energy model; attention adds variance rho + (1 - rho) Y and covariance rho + (1 - rho)/T,
    the ReLU part 1 and the arc-cosine kernel of rho, both times beta^4 (two such weights). With
    `post` the sum alpha x + F(x) is normed after each: its variance is returned as it is before.
    Exact for infinite width, up to the independence of weights from what they attend to.

    Raises:
        ValueError: blocks or keys is not a count, alpha or beta not positive.

    >>> variance, cosine = token_streams(2, 32)
    >>> variance.round(2).tolist(), cosine.round(2).tolist()
    ([1.07, 2.07, 2.3, 3.3], [0.03, 0.18, 0.25, 0.31])
    """
    domain.whole(1, blocks=blocks, keys=keys)
    domain.positive(alpha=alpha, beta=beta)
    relu = leaky_relu()
    v, c = 1.0, 0.0
    rows = []
    added: float
    shared: float
    for residual in range(2 * blocks):
        rho = min(c / v, 1.0)
        if residual % 2:
            added, shared = 1.0, 2 * float(relu.value(1.0, 1.0, rho))
        else:
            added = attention_variance(rho, participation(math.sqrt(1 - rho), keys))
            shared = rho + (1 - rho) / keys
        v = alpha**2 * v + beta**4 * added
        c = alpha**2 * c + beta**4 * shared
        rows.append((v, c / v))
        if post:
            v, c = 1.0, c / v
    found = np.array(rows)
    return found[:, 0], found[:, 1]


def truncated_normal_variance(cut: float) -> float:
    """Variance of N(0, 1) conditioned on |z| < cut: 1 - 2 cut phi(cut)/(2 Phi(cut) - 1).

    0.7737 at 2, where TensorFlow cuts. PyTorch's `trunc_normal_` cuts at an absolute value: for
    standard deviation sigma the cut here is that value over sigma. Loses digits below 0.01.

    Raises:
        ValueError: the cut is not positive.

    >>> round(truncated_normal_variance(2.0), 4)
    0.7737
    """
    domain.positive(cut=cut)
    density = math.exp(-(cut**2) / 2) / math.sqrt(2 * math.pi)
    return float(1 - 2 * cut * density / (ndtr(cut) - ndtr(-cut)))
