"""Networks from coordinates to values: a picture as a function of where one looks.

Coordinates lie in [0, 1) on each axis and one period is the whole picture, so that a frequency is a
number of cycles per picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

Encoding = Literal["none", "basic", "positional", "gaussian", "siren"]
ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)
Scaling = Literal["standard", "tangent"]


class Centred(nn.Module):
    """No encoding: coordinates moved from [0, 1) to [-1, 1)."""

    def __init__(self, axes: int = 2) -> None:
        super().__init__()
        self.features = axes

    def forward(self, x: Float[Tensor, "sample axis"]) -> Float[Tensor, "sample feature"]:
        """Return 2 x - 1."""
        return 2 * x - 1


class FourierFeatures(nn.Module):
    """gamma(v) = [a_j cos(2 pi b_j . v), a_j sin(2 pi b_j . v)] with fixed frequencies b_j.

    `frequencies` (m, axes), cycles per picture, and `amplitudes` (m) are buffers: data, which may
    differ from lane to lane, and not trained. Amplitudes are 1 unless given. Then gamma . gamma'
    = sum_j a_j^2 cos(2 pi b_j . (v - v')) depends on v - v' alone. Source: Tancik et al. (2020),
    arXiv:2006.10739, equation 5.

    >>> FourierFeatures(torch.tensor([[1.0]]))(torch.tensor([[0.25]])).round(decimals=3)
    tensor([[-0., 1.]])
    """

    frequencies: Tensor
    amplitudes: Tensor

    def __init__(
        self, frequencies: Float[Tensor, "m axis"], amplitudes: Float[Tensor, " m"] | None = None
    ) -> None:
        super().__init__()
        if amplitudes is None:
            amplitudes = torch.ones(len(frequencies))
        self.register_buffer("frequencies", frequencies)
        self.register_buffer("amplitudes", amplitudes)
        self.features = 2 * len(frequencies)

    def forward(self, x: Float[Tensor, "sample axis"]) -> Float[Tensor, "sample feature"]:
        """Return the 2 m features."""
        phase = 2 * torch.pi * x @ self.frequencies.T
        waves = [self.amplitudes * phase.cos(), self.amplitudes * phase.sin()]
        return torch.cat(waves, dim=-1)


def basic(axes: int = 2) -> FourierFeatures:
    """One cycle per picture on each axis: the coordinates wrapped on circles."""
    return FourierFeatures(torch.eye(axes))


def harmonics(m: int) -> FourierFeatures:
    """Frequencies 1, ..., m on one axis: a circle, whose circumference is the period."""
    return FourierFeatures(torch.arange(1.0, m + 1)[:, None])


def positional(m: int, highest: float, axes: int = 2) -> FourierFeatures:
    """Frequencies 2^s - 1 on each axis, s evenly spaced, from 0 to `highest` cycles per picture.

    m frequencies in all, m / axes an axis. Source: Mildenhall et al. (2020), arXiv:2003.08934, in
    the evenly spaced form of Tancik et al. (2020).

    Raises:
        ValueError: m is not a multiple of the number of axes, or has fewer than two for each.

    >>> positional(6, 3.0).frequencies[:, 0].tolist()
    [0.0, 1.0, 3.0, 0.0, 0.0, 0.0]
    """
    if m % axes or m < 2 * axes:
        raise ValueError(f"m must be a multiple of {axes} and at least {2 * axes}, got {m}")
    ladder = 2 ** torch.linspace(0, math.log2(1 + highest), m // axes) - 1
    # Outer product with the unit vectors: the first m / axes rows lie on the first axis, and so on.
    return FourierFeatures(torch.cat([ladder[:, None] * unit for unit in torch.eye(axes)]))


def gaussian(m: int, axes: int = 2) -> FourierFeatures:
    """Make room for m frequencies, zero until `gaussian_frequencies` draws them at the start."""
    return FourierFeatures(torch.zeros(m, axes))


def gaussian_frequencies(module: nn.Module, generator: torch.Generator, *, sigma: float) -> None:
    """Draw the frequencies of a network's Fourier features from N(0, sigma^2), cycles per picture.

    Weights keep the module's own start. Lanes of equal seed draw the same directions, so that
    sigma alone differs between them.
    """
    for part in module.modules():
        if isinstance(part, FourierFeatures):
            part.frequencies.normal_(generator=generator).mul_(sigma)


class CoordinateMLP(nn.Module):
    """ReLU network on encoded coordinates: `depth` hidden layers, `outputs` values (channels) out.

    With the scaling "standard", layers have biases and PyTorch's default start, and the output
    passes a sigmoid, as values of a picture lie in [0, 1]. With "tangent" there are no biases and
    no sigmoid, and a hidden layer computes sqrt(2 / width) relu(W x), the last W x, with entries of
    W drawn from N(0, 1) by `tangent_start`: the scaling of the neural tangent kernel (Jacot et al.
    2018, arXiv:1806.07572), whose limit of infinite width `theory.relu_tangent_kernel` gives.

    >>> CoordinateMLP(basic(), 32)(torch.zeros(5, 2)).shape
    torch.Size([5, 1])
    """

    def __init__(
        self,
        encoding: Centred | FourierFeatures,
        width: int,
        depth: int = 3,
        scaling: Scaling = "standard",
        outputs: int = 1,
    ) -> None:
        super().__init__()
        self.encoding = encoding
        self.width = width
        self.scaling = scaling
        sizes = [encoding.features, *[width] * depth, outputs]
        bias = scaling == "standard"
        self.layers = nn.ModuleList(nn.Linear(a, b, bias=bias) for a, b in pairwise(sizes))

    def forward(self, x: Float[Tensor, "sample axis"]) -> Float[Tensor, "sample output"]:
        """Map coordinates in [0, 1) to values."""
        x = self.encoding(x)
        tangent = self.scaling == "tangent"
        *hidden, last = self.layers
        for layer in hidden:
            x = torch.relu(layer(x))
            if tangent:
                x = x * math.sqrt(2 / self.width)
        out: Tensor = last(x)
        return out if tangent else torch.sigmoid(out)


def tangent_start(
    module: CoordinateMLP, generator: torch.Generator, *, decay: float | None = None
) -> None:
    """Draw all weights from N(0, 1): the start of the scaling "tangent".

    With `decay` the amplitudes of the Fourier features become j^-decay, j = 1, 2, ..., divided by
    their root sum of squares, so that features have norm 1.
    """
    for part in module.modules():
        if isinstance(part, nn.Linear):
            part.weight.normal_(generator=generator)
    if decay is not None and isinstance(module.encoding, FourierFeatures):
        size = module.encoding.amplitudes
        size.copy_(torch.arange(1, len(size) + 1, dtype=size.dtype) ** -decay)
        size.div_(size.norm())


def gaussian_tangent_start(
    module: CoordinateMLP, generator: torch.Generator, *, sigma: float
) -> None:
    """Draw frequencies from N(0, sigma^2) and weights from N(0, 1), features of norm 1."""
    gaussian_frequencies(module, generator, sigma=sigma)
    tangent_start(module, generator, decay=0.0)


class Siren(nn.Module):
    """Network with sines between its layers: x -> sin(omega (W x + b)), the last layer linear.

    Takes coordinates in [0, 1) and centres them. Source: Sitzmann et al. (2020), arXiv:2006.09661;
    omega = 30 and `siren_start` are theirs.

    >>> Siren(32)(torch.zeros(5, 2)).shape
    torch.Size([5, 1])
    """

    def __init__(
        self, width: int, depth: int = 3, axes: int = 2, outputs: int = 1, omega: float = 30.0
    ) -> None:
        super().__init__()
        self.omega = omega
        self.encoding = Centred(axes)
        sizes = [axes, *[width] * depth, outputs]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x: Float[Tensor, "sample axis"]) -> Float[Tensor, "sample output"]:
        """Map coordinates in [0, 1) to values."""
        x = self.encoding(x)
        *hidden, last = self.layers
        for layer in hidden:
            x = torch.sin(self.omega * layer(x))
        out: Tensor = last(x)
        return out


def siren_start(module: Siren, generator: torch.Generator) -> None:
    """Weights of the first layer U(+-1/fan_in), of the others U(+-sqrt(6/fan_in)/omega).

    Keeps every pre-activation's distribution the same through depth; biases keep PyTorch's default
    start. Source: Sitzmann et al. (2020), arXiv:2006.09661, section 3.2.
    """
    first, *rest = [part for part in module.modules() if isinstance(part, nn.Linear)]
    edge = 1 / first.in_features
    first.weight.uniform_(-edge, edge, generator=generator)
    for layer in rest:
        edge = math.sqrt(6 / layer.in_features) / module.omega
        layer.weight.uniform_(-edge, edge, generator=generator)


def coordinate_network(
    encoding: Encoding,
    *,
    width: int,
    m: int,
    highest: float,
    depth: int = 3,
    axes: int = 2,
    outputs: int = 1,
) -> CoordinateMLP | Siren:
    """Build a network for pictures (or sounds: one axis), all of about as many parameters.

    "gaussian" has m frequencies and `depth` hidden layers of `width`; "positional" reaches up to
    `highest` cycles per picture; the others are widened to match. "siren" has no sigmoid. `outputs`
    is the number of channels.
    """
    total = count_parameters(2 * m, width, depth, outputs)

    def matched(inputs: int) -> int:
        return matched_width(inputs, depth, total, outputs)

    match encoding:
        case "none":
            return CoordinateMLP(Centred(axes), matched(axes), depth, outputs=outputs)
        case "basic":
            return CoordinateMLP(basic(axes), matched(2 * axes), depth, outputs=outputs)
        case "positional":
            return CoordinateMLP(positional(m, highest, axes), width, depth, outputs=outputs)
        case "gaussian":
            return CoordinateMLP(gaussian(m, axes), width, depth, outputs=outputs)
        case "siren":
            return Siren(matched(axes), depth, axes, outputs)


def coordinate_start(encoding: Encoding, sigma: float) -> Callable[..., None] | None:
    """Start that belongs to `coordinate_network`; None means PyTorch's default.

    `sigma` is the standard deviation of the Gaussian frequencies, in cycles per picture.
    """
    if encoding == "gaussian":
        return partial(gaussian_frequencies, sigma=sigma)
    return siren_start if encoding == "siren" else None


def matched_width(inputs: int, depth: int, parameters: int, outputs: int = 1) -> int:
    """Hidden width at which a network of `depth` hidden layers has nearest to `parameters` weights.

    Counts weights and biases of dense layers inputs -> width -> ... -> width -> outputs, so that
    encodings with few features can be compared at an equal number of parameters.

    >>> matched_width(2, 3, count_parameters(2, 96, 3))
    96
    """
    width = 1
    while count_parameters(inputs, width + 1, depth, outputs) <= parameters:
        width += 1
    below = parameters - count_parameters(inputs, width, depth, outputs)
    over = count_parameters(inputs, width + 1, depth, outputs) - parameters
    return width if below <= over else width + 1


def count_parameters(inputs: int, width: int, depth: int, outputs: int = 1) -> int:
    """Weights and biases of dense layers inputs -> width (depth times) -> outputs."""
    return (inputs + 1) * width + (depth - 1) * (width + 1) * width + (width + 1) * outputs
