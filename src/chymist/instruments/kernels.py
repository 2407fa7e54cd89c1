"""Tangent and conjugate kernels of networks at their weights, of one or of all lanes at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chymist.errors import CannotMeasure, did_you_mean
from chymist.instruments.layer_signals import inputs_of_layers
from chymist.instruments.networks import Networks, of_lane, of_model
from chymist.instruments.tangent_kernel import finite, tangent_kernel


def ntk(
    model: nn.Module,
    x: Any,
    other: Any = None,
    *,
    outputs: str = "trace",
    only: str | Sequence[str] | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Empirical neural tangent kernel of a model, Theta_iojq = sum_p (df_io/dw_p) (df_jq/dw_p).

    Without a factor: no division by samples, outputs or width. Between samples i of x and j of
    `other` (x itself if None); inputs as the model takes them, a tuple or a mapping of tensors
    where it takes several. What a sample puts out counts as one dimension. `only` names some of the
    parameters, as in `sharpness`; those with requires_grad False are constants anyway. Symmetric
    and positive semi-definite if `other` is None.

    Shapes: (sample, other) with outputs="trace", the sum over o = q; (output, sample, other) with
    "each", o = q apart; (sample, output, other, output) with "full". Unit: outputs squared over
    parameters squared. Cost: three forward passes, a backward pass for each output and one more,
    none of them to the weights, and products between samples: dense and convolutional layers (of
    one or two dimensions, without groups) by products of their inputs and of what comes back, for
    every pair of samples, or by rows of the layer's Jacobian in parts, whichever is less. Other
    parameters (norms, attention, embeddings) by rows of their Jacobian: samples times outputs
    gradient evaluations of one sample each, and again for every block of samples if they do not fit
    into memory. If samples feel each other: as many of all samples. Memory: the layers' inputs,
    outputs times what layers put out, 2^25 numbers for each of a few intermediate results. Error:
    rounding. Source: Jacot, Gabriel, Hongler (2018), arXiv:1806.07572; Novak, Sohl-Dickstein,
    Schoenholz (2022), arXiv:2206.08720, for products by layers.

    Raises:
        BadParameter: an unknown `outputs`, or a pattern in `only` that matches no parameter.
        CannotMeasure: there are no parameters, no samples, or no output with a row for each sample;
            dtypes or devices are mixed; a tensor is not finite (it is named).
        MovingTarget: dropout or batch normalisation in training mode; call `model.eval()`.

    For a linear model f(x) = w x + b the kernel is x x^T + 1:

    >>> x = torch.tensor([[1.0], [2.0]])
    >>> ntk(nn.Linear(1, 1), x)
    tensor([[2., 3.],
            [3., 5.]])
    """
    made = of_model(model, x, other=other, only=only, dtype=dtype)
    return finite(tangent_kernel(made, made.x, made.other, outputs=outputs)[0])


def conjugate_kernel(
    model: nn.Module,
    x: Any,
    other: Any = None,
    *,
    layer: str | None = None,
    dtype: torch.dtype | None = None,
) -> Float[Tensor, "sample other"]:
    """Conjugate kernel of a model, K_ij = sum_h h_i h_j, of the features h that enter a layer.

    Without a factor; divide by the number of features for the limit of wide networks (the NNGP
    kernel, if weights have variance 1 / inputs). `layer` names a dense or convolutional layer as in
    `named_modules`, by default the last that is called: h are then the last hidden features. What
    a sample has at several positions (tokens, pixels) is joined. K is the tangent kernel by the
    last weight of a network with one output. A convolution's features are patches, so that a pixel
    counts as often as it is seen.

    Shape: (sample, other). Unit: features squared. Cost: three forward passes and a matrix product.
    Memory: the inputs of all layers. Error: rounding. Source: Neal (1996), Bayesian Learning for
    Neural Networks; Fan, Wang (2020), arXiv:2005.11879.

    Raises:
        CannotMeasure: there is no such layer, or it is not called as one; see `ntk`.
        MovingTarget: as in `ntk`.

    >>> line = nn.Sequential(nn.ReLU(), nn.Linear(2, 1))
    >>> conjugate_kernel(line, torch.tensor([[1.0, -1.0], [2.0, 1.0]]))
    tensor([[1., 2.],
            [2., 5.]])
    """
    made = of_model(model, x, other=other, dtype=dtype)
    one = _features(made, made.x, layer)
    two = one if other is None else _features(made, made.other, layer)
    return one @ two.mT


def empirical_ntk(
    module: nn.Module,
    parameters: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    x: Float[Tensor, "sample feature"],
    other: Float[Tensor, "other feature"] | None = None,
    *,
    outputs: str = "trace",
) -> Tensor:
    """Empirical neural tangent kernel of each lane, Theta_ij = sum_p (df(x_i)/dw_p) (df(x_j)/dw_p).

    Summed over all trainable parameters and over outputs, without a factor. `parameters` and
    `buffers` are stacked (lane, ...), as `Ensemble.measure` hands them over; outputs and the second
    set of samples as in `ntk`. Shape: (lane, sample, sample), or as there. Unit, cost for each
    lane, one after another, memory, error and source: as there. A lane that has diverged is NaN.

    For a linear model f(x) = w x the kernel is x x^T:

    >>> x = torch.tensor([[1.0], [2.0]])
    >>> line = nn.Linear(1, 1, bias=False)
    >>> empirical_ntk(line, {"weight": torch.ones(1, 1, 1)}, {}, x).tolist()
    [[[1.0, 2.0], [2.0, 4.0]]]
    """
    kernels = []
    for lane in range(len(next(iter(parameters.values())))):
        own = {n: p[lane] for n, p in parameters.items()}
        made = of_lane(module, own, {n: b[lane] for n, b in buffers.items()}, x)
        kernels.append(tangent_kernel(made, x, other, outputs=outputs)[0])
    return torch.stack(kernels)


def fourier_diagonal(
    kernel: Float[Tensor, "*lane sample sample"],
) -> Float[Tensor, "*lane band"]:
    """Diagonal of a kernel in the Fourier basis: lambda_k = sum_ij K_ij cos(2 pi k (i-j)/n) / n^2.

    For samples evenly spaced on a circle; k = 0..n/2. For a rotation-invariant kernel these are the
    eigenvalues of K / n, each cosine and sine sharing one.

    >>> fourier_diagonal(torch.eye(4))
    tensor([0.2500, 0.2500, 0.2500])
    """
    n = kernel.shape[-1]
    place = torch.arange(n, dtype=kernel.dtype, device=kernel.device)
    bands = torch.arange(n // 2 + 1, dtype=kernel.dtype, device=kernel.device)
    waves = torch.cos(2 * torch.pi * bands[:, None, None] * (place[:, None] - place) / n)
    return torch.einsum("...ij,kij->...k", kernel, waves) / n**2


def _features(network: Networks, x: Any, layer: str | None) -> Tensor:
    found = inputs_of_layers(network, x)
    if not found:
        raise CannotMeasure(
            "the model calls no dense or convolutional layer with a row for each sample",
            "its features have no layer to enter",
        )
    names = {name.rpartition(".")[0]: name for name in found}
    if layer is not None and layer not in names:
        raise CannotMeasure(f"no layer called is {layer!r}", did_you_mean(layer, names))
    name = list(found)[-1] if layer is None else names[layer]
    return found[name][0].flatten(1)
