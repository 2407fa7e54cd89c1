"""Errors by frequency along one direction of the inputs: on a line, or projected onto one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments.alone import outputs, pair
from chymist.instruments.nudft import checked_frequencies, magnitude, nudft, waves
from chymist.instruments.objective import Data
from chymist.instruments.passing import one_network
from chymist.instruments.projection import Direction, checked_period, direction_of, places_along
from chymist.instruments.snapshot import Instrument, Snapshot
from chymist.instruments.targets import against_targets

NOTHING = 1e-9
"""Content relative to its bound, root mean square times samples, that is rounding."""
USUAL = tuple(range(1, 9))
"""Cycles per period that are measured unless others are named."""


@dataclass(frozen=True, eq=False)
class FrequencyError:
    """What is left of each frequency of the targets, and how much there was.

    `error` is `residual` / `content`, NaN where the targets have no content; `residual` and
    `content` are |hat(f - y)(k)| and |hat y(k)|, norms over outputs. `frequencies` are in cycles
    per `period`, which is a length in the inputs along the unit vector `direction`.
    """

    frequencies: Float[Tensor, " band"]
    error: Float[Tensor, " band"]
    residual: Float[Tensor, " band"]
    content: Float[Tensor, " band"]
    period: float
    direction: Float[Tensor, " feature"]

    def bands(self, edges: Sequence[tuple[float, float]]) -> Float[Tensor, " band"]:
        """Return the error of bands low <= k < high: the residual's norm over the content's.

        Raises:
            BadParameter: no measured frequency lies in a band.
        """
        found = []
        for low, high in edges:
            inside = (self.frequencies >= low) & (self.frequencies < high)
            if not bool(inside.any()):
                raise BadParameter(
                    f"no frequency lies in the band from {low:g} to {high:g}",
                    f"{self.frequencies.min():g} to {self.frequencies.max():g} were measured",
                )
            left, whole = (v[inside].square().sum() for v in (self.residual, self.content))
            found.append((left / whole).sqrt())
        return torch.stack(found)


def frequency_error(
    model: nn.Module,
    data: Data,
    frequencies: Sequence[float] = USUAL,
    *,
    direction: Direction = "principal",
    period: float | None = None,
    seed: int = 0,
) -> FrequencyError:
    """Relative error |hat(f - y)(k)| / |hat y(k)| of frequencies k, of one network on data (x, y).

    Inputs are projected onto a direction p, u_j = x_j . p / period, and hat y(k) is the
    non-uniform transform sum_j y_j exp(-2 pi i k u_j), norm over outputs. On a line, inputs of one
    feature, nothing is lost; if it is even, these are the coefficients of the discrete Fourier
    transform. Of more features the first principal direction is taken, a `random` one (drawn from
    `seed`), or a vector; frequency is then of the map along it, with all else averaged. 1 where
    nothing of k has been learnt. By default the period is the range of x . p times n / (n - 1). Of
    classes, softmax outputs against indicators (`against_targets`).

    Shapes: (frequency,), float64; frequencies in cycles per period. Unit: 1. Cost: three forward
    passes, two of them checks, and samples x frequencies sines and cosines; `principal` an
    eigenvalue problem of the smaller of samples and features. Memory: outputs and inputs in
    float64, and waves of some samples at a time. Error: rounding; where content is small beside
    that of other frequencies (leakage of uneven places) the ratio says little: see `content`.
    Source: Xu, Zhang, Luo, Xiao, Ma (2020), arXiv:1901.06523.

    Raises:
        BadParameter: no frequencies; a period that is not positive; a direction that does not fit.
        CannotMeasure: all samples lie at one place along the direction; there is no principal one;
            targets and outputs do not fit; see `alone`.
        MovingTarget: dropout or batch normalisation in training mode; a model that draws.

    A network that has learnt half of the wave of two cycles, and all of the other:

    >>> v = torch.arange(16)[:, None] / 16
    >>> waves = torch.cat([torch.cos(2 * torch.pi * k * v) for k in (1, 2)], 1)
    >>> class Half(nn.Module):
    ...     def forward(self, v):
    ...         return torch.cos(2 * torch.pi * v) + 0.5 * torch.cos(4 * torch.pi * v)
    >>> found = frequency_error(Half(), (v, waves.sum(1)), [1, 2])
    >>> found.error.round(decimals=6).abs(), found.content.round(decimals=5)
    (tensor([0.0000, 0.5000], dtype=torch.float64), tensor([8., 8.], dtype=torch.float64))
    """
    k = checked_frequencies(frequencies)
    x, y = pair(data)
    if not isinstance(x, Tensor):
        raise CannotMeasure(f"the inputs are of type {type(x).__name__}", "give one tensor")
    with torch.no_grad():
        out, goal = against_targets(outputs(one_network(model, x, y=y)).double(), y)
    flat = x.detach().reshape(len(x), -1)
    along = direction_of(flat, direction, seed)
    u, length = places_along(flat, along, period)
    left = nudft(u, out[0] - goal, frequencies).abs().square().sum(-1).sqrt()
    whole = nudft(u, goal, frequencies).abs().square().sum(-1).sqrt()
    error = left / _content(whole, goal)
    return FrequencyError(k.to(error.device), error, left, whole, float(length), along)


def training_frequency_error(
    frequencies: Sequence[float] = USUAL,
    *,
    direction: Direction = "principal",
    period: float | None = None,
    seed: int = 0,
    name: str = "frequency_error",
) -> Instrument:
    """Return an instrument that records the relative error of frequencies of the training samples.

    The numbers are those of `frequency_error`, of all lanes at once; a lane with its own inputs has
    its own principal direction. Shape: (lane, band), the coordinate `band` in cycles per period.
    Unit: 1; NaN where the targets have no content. Cost: no forward pass in full-batch training,
    and a product of matrices, 2 frequencies x samples x outputs, a lane; places and waves are made
    at the first recording. Memory: the waves, 2 frequencies x samples. Error: rounding in the
    training's dtype. Source: Xu, Zhang, Luo, Xiao, Ma (2020), arXiv:1901.06523.

    Raises:
        BadParameter: no frequencies, or a period that is not positive; at the recording, a
            direction that does not fit.
        CannotMeasure: at the recording, as for `frequency_error`.

    >>> training_frequency_error([1, 3]).coords
    {'band': [1.0, 3.0]}
    """
    k = checked_frequencies(frequencies)
    checked_period(period)

    def of_places(snapshot: Snapshot) -> Tensor:
        u, _ = places_along(snapshot.x, direction_of(snapshot.x, direction, seed), period)
        return waves(u, k.to(u.device)).to(snapshot.x)

    def of_target(snapshot: Snapshot) -> Tensor:
        goal = against_targets(snapshot.prediction, snapshot.y)[1]
        return _content(magnitude(snapshot.once(of_places) @ goal), goal)

    def measure(snapshot: Snapshot) -> Tensor:
        out, goal = against_targets(snapshot.prediction, snapshot.y)
        return magnitude(snapshot.once(of_places) @ (out - goal)) / snapshot.once(of_target)

    return Instrument(
        name, measure, ("band",), {"band": k.tolist()},
        long_name="relative error of the frequency along the inputs' direction",
    )  # fmt: skip


def _content(
    whole: Float[Tensor, "*lane band"], goal: Float[Tensor, "*lane sample output"]
) -> Float[Tensor, "*lane band"]:
    """Return the content of the targets, NaN where it is rounding."""
    bound = (goal.square().sum((-2, -1)) * goal.shape[-2]).sqrt()
    few = max(NOTHING, 100 * torch.finfo(whole.dtype).eps)
    return whole.masked_fill(whole <= few * bound[..., None], torch.nan)
