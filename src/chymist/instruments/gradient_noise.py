"""Gradients of single samples and their covariance: norms, variances, top directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chymist.errors import BadParameter
from chymist.instruments.objective import Data, Loss
from chymist.instruments.per_sample import PerSample, samples_of


def gradient_norms(
    model: nn.Module, loss: Loss, data: Data, **options: Any
) -> Float[Tensor, " sample"]:
    """Norm of every sample's gradient, ||g_i||, i's loss being that of a batch with i alone.

    Shape: (sample,), float64. Unit: of the loss over the parameters'. `options` go to `objective`.
    Cost: about one and a half gradient evaluations for linear layers and convolutions, one more
    for what is not (as norms and attention), and three forward passes of checks. Memory: twice the
    activations; no gradient of a linear layer is formed. Error: rounding. Source: Goodfellow
    (2015), arXiv:1510.01799.

    Raises:
        CannotMeasure: the output is no tensor with a row a sample; see `objective`.
        MovingTarget: dropout or batch normalisation in training mode; call `model.eval()`.

    Of a line w x at w = 0 with targets 1 and half the squared error, g_i = -x_i:

    >>> x, line = torch.tensor([[1.0], [3.0]]), nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.zeros_(line.weight)
    >>> half = lambda out, y: 0.5 * (out - y).square().mean()
    >>> gradient_norms(line, half, (x, torch.ones(2, 1)))
    tensor([1., 3.], dtype=torch.float64)
    """
    return samples_of(model, loss, data, **options).squares()[0].double().sqrt()


def gradient_variance(
    model: nn.Module, loss: Loss, data: Data, **options: Any
) -> Float[Tensor, " parameter"]:
    """Variance over samples of each entry of the gradient, mean_i g_i^2 - (mean_i g_i)^2.

    The diagonal of the covariance Sigma of single samples' gradients, normalised by 1/n; its sum is
    the trace. That of the mean over a batch of B drawn with replacement is Sigma / B, without
    replacement Sigma (n - B) / (B (n - 1)).

    Shape: (parameter,), float64, in the order of `named_parameters`. Unit: of the loss squared over
    the parameters' squared. `options` go to `objective`. Cost: two gradient evaluations, three
    forward passes of checks. Memory: twice the activations, three gradients and a block of 4
    million numbers. Error: rounding, of the order of eps times the mean square. Source: Dangel,
    Kunstner, Hennig (2020), arXiv:1912.10985.

    Raises:
        CannotMeasure: the output is no tensor with a row a sample; see `objective`.

    >>> x, line = torch.tensor([[1.0], [3.0]]), nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.zeros_(line.weight)
    >>> half = lambda out, y: 0.5 * (out - y).square().mean()
    >>> gradient_variance(line, half, (x, torch.ones(2, 1)))  # of -1 and -3
    tensor([1.], dtype=torch.float64)
    """
    _, mean, squares = samples_of(model, loss, data, **options).moments()
    return (squares[0].double() - mean[0].double().square()).clamp(min=0)


@dataclass(frozen=True, eq=False)
class Covariance:
    """The covariance of single samples' gradients: its largest eigenvalues, trace and norm.

    `effective` is how many directions carry the noise, trace^2 / norm^2: the participation ratio.
    """

    values: Float[Tensor, "*lane k"]
    vectors: Float[Tensor, "*lane k parameter"]
    trace: Float[Tensor, "*lane"]
    norm: Float[Tensor, "*lane"]

    @property
    def effective(self) -> Tensor:
        """How many directions carry the noise."""
        return self.trace.square() / self.norm.square()


def gradient_covariance(
    model: nn.Module, loss: Loss, data: Data, k: int = 1, **options: Any
) -> Covariance:
    """Sigma = (1/n) sum_i (g_i - g)(g_i - g)^T: its k largest eigenvalues and their vectors.

    From the n x n matrix of inner products g_i . g_j, centred: its eigenvalues over n are Sigma's.

    Shapes: values (k,), vectors (k, parameter), trace and Frobenius norm numbers; float64. Unit: of
    the loss squared over the parameters' squared. `options` go to `objective`. Cost: two gradient
    evaluations and n^2 times the layers' widths in products (n^2 times the parameters where
    gradients must be formed, which are then made anew for every block), n^3 for the eigenvalues.
    Memory: n^2 numbers, twice the activations, k gradients, two blocks of 4 million numbers. Error:
    rounding. Source: Papyan (2019), arXiv:1901.08244.

    Raises:
        BadParameter: k is not between 1 and the number of samples.
        CannotMeasure: the output is no tensor with a row a sample; see `objective`.

    >>> x, line = torch.tensor([[1.0], [3.0]]), nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.zeros_(line.weight)
    >>> half = lambda out, y: 0.5 * (out - y).square().mean()
    >>> gradient_covariance(line, half, (x, torch.ones(2, 1))).values
    tensor([1.], dtype=torch.float64)
    """
    found = covariance(samples_of(model, loss, data, **options), k)
    return Covariance(found.values[0], found.vectors[0], found.trace[0], found.norm[0])


def covariance(gradients: PerSample, k: int) -> Covariance:
    """Return every lane's covariance; see `gradient_covariance`.

    Raises:
        BadParameter: k is not between 1 and the number of samples.
    """
    n = gradients.samples
    if not 1 <= k <= min(n, gradients.size):
        raise BadParameter(
            f"k is {k}", f"there are {n} samples and {gradients.size} parameters: 1 to the lesser"
        )
    gram = gradients.gram()
    gram = gram - gram.mean(1, keepdim=True) - gram.mean(2, keepdim=True) + gram.mean((1, 2))[
        :, None, None
    ]  # fmt: skip
    values, rotation = torch.linalg.eigh(gram / n)
    top = rotation[..., -k:].flip(2).mT
    centred = top - top.mean(2, keepdim=True)
    vectors = gradients.combined(centred.to(gradients.losses)).double()
    sizes = vectors.norm(dim=2, keepdim=True)
    vectors = vectors / sizes.clamp(min=torch.finfo(torch.float64).tiny)
    trace = gram.diagonal(dim1=1, dim2=2).sum(1) / n
    return Covariance(
        values[:, -k:].flip(1).clamp(min=0), vectors, trace, gram.flatten(1).norm(dim=1) / n
    )
