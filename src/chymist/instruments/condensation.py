"""Condensation: how many directions the neurons of a layer point in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments import checks
from chymist.instruments.layer_outputs import stacked, stacked_layer
from chymist.instruments.snapshot import Instrument, Snapshot


@dataclass(frozen=True, eq=False)
class Neurons:
    """Neurons by the direction of their input weights, bias included, and by their amplitude."""

    directions: Float[Tensor, "*lane neuron input"]
    amplitudes: Float[Tensor, "*lane neuron"]

    @property
    def cosines(self) -> Float[Tensor, "*lane neuron neuron"]:
        """Cosines of the angles between all pairs of directions."""
        return (self.directions @ self.directions.mT).clamp(-1, 1)

    @property
    def effective(self) -> Float[Tensor, "*lane"]:
        """Effective number of directions, exp of the entropy of the eigenvalues of the density
        matrix sum_j A_j u_j u_j^T / sum_j A_j: 1 where all neurons share a line, at most the number
        of inputs. Source: as effective rank, Roy and Vetterli (2007), EUSIPCO.
        """  # noqa: D205
        share = self.amplitudes / self.amplitudes.sum(-1, keepdim=True)
        rows = self.directions * share[..., None].sqrt()
        good = rows.isfinite().all(-1).all(-1)
        values = torch.linalg.svdvals(rows.nan_to_num()).square()
        rank = torch.special.entr(values).sum(-1).exp()
        return torch.as_tensor(rank.masked_fill(~good, torch.nan))

    def lane(self, lane: int) -> Neurons:
        """Return one lane's neurons, without the lane dimension."""
        return Neurons(self.directions[lane], self.amplitudes[lane])


@dataclass(frozen=True, eq=False)
class Clusters:
    """Neurons grouped by direction. `labels` are -1 for neurons too small to count."""

    count: Int[Tensor, "*lane"]
    labels: Int[Tensor, "*lane neuron"]
    counted: Bool[Tensor, "*lane neuron"]

    @property
    def ratio(self) -> Float[Tensor, "*lane"]:
        """Directions over neurons that count: 1 where nothing has condensed; NaN without any."""
        return self.count / self.counted.sum(-1).double()


def neurons(model: nn.Module, layer: str, outgoing: str | None = None) -> Neurons:
    """Directions u_j = (w_j, b_j) / |(w_j, b_j)| of a layer's neurons, and their amplitudes A_j.

    A_j = |a_j| |(w_j, b_j)|, a_j the neuron's column in the weight of the layer `outgoing`; without
    one, |(w_j, b_j)|. Of a convolution a neuron is a channel. A neuron of zero has the direction
    zero. Shapes: directions (neuron, input + 1), without a bias (neuron, input); amplitudes
    (neuron,); float64. Units: 1, and of the weights squared. Cost: one pass over the weights.
    Memory: the layer. Error: rounding. Source: Luo, Xu, Ma, Zhang (2021), arXiv:2007.07497.

    Raises:
        CannotMeasure: there is no such layer, or `outgoing` does not take its outputs; a weight is
            not finite.

    >>> net = nn.Sequential(nn.Linear(1, 1), nn.Tanh(), nn.Linear(1, 1))
    >>> with torch.no_grad():
    ...     _ = net[0].weight.fill_(3.0), net[0].bias.fill_(4.0), net[2].weight.fill_(-2.0)
    >>> found = neurons(net, "0", "2")
    >>> found.directions, found.amplitudes
    (tensor([[0.6000, 0.8000]], dtype=torch.float64), tensor([10.], dtype=torch.float64))
    """
    found = stacked_neurons(stacked(model), layer, outgoing).lane(0)
    named = model.named_parameters(remove_duplicate=False)
    checks.consistent({n: p for n, p in named if n.rpartition(".")[0] in (layer, outgoing)}, {})
    return found


def stacked_neurons(
    parameters: Mapping[str, Tensor], layer: str, outgoing: str | None = None
) -> Neurons:
    """Return the neurons of every lane, from stacked parameters; see `neurons`.

    Raises:
        CannotMeasure: there is no such layer, or `outgoing` does not take its outputs.
    """
    weight, bias = stacked_layer(parameters, layer)
    if weight.ndim < 3:
        raise CannotMeasure(f"{layer}.weight is no matrix", "name a linear layer or convolution")
    rows = weight.flatten(2).double()
    if bias is not None:
        rows = torch.cat([rows, bias.detach().double()[..., None]], dim=2)
    sizes = rows.norm(dim=2)
    amplitudes = sizes
    if outgoing is not None:
        out, _ = stacked_layer(parameters, outgoing)
        if out.ndim < 3 or out.shape[2] != weight.shape[1]:
            raise CannotMeasure(
                f"{outgoing}.weight has shape {tuple(out.shape[1:])}",
                f"it does not take the {weight.shape[1]} outputs of {layer}",
            )
        amplitudes = sizes * out.double().movedim(2, 1).flatten(2).norm(dim=2)
    directions = torch.where(sizes[..., None] == 0, rows, rows / sizes[..., None])
    return Neurons(directions, amplitudes)


def clusters(
    found: Neurons, threshold: float = 0.95, *, signed: bool = True, least: float = 0.0
) -> Clusters:
    """Group neurons whose directions have a cosine above a threshold with one in their midst.

    The neuron with the most neurons near it, itself included, makes the first group with them; so
    on among those left. (Chains of near neighbours would join all of a circle.) With `signed` False
    opposite directions are one. Neurons of amplitude below `least` times the largest, and those of
    zero, do not count: dead ReLU neurons, which never move, do not condense.

    Shapes: (*lane,), (*lane, neuron). Unit: 1. Cost: neurons squared times inputs. Memory: neurons
    squared. Error: none beside rounding at the threshold; groups that touch may be divided in more
    than one way. Source: Zhang and Xu (2024), arXiv:2207.05952, for the threshold 0.95.

    Raises:
        BadParameter: the threshold is not between 0 and 1, or `least` not in [0, 1).

    >>> u = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    >>> found = Neurons(u, torch.ones(4))
    >>> clusters(found).count, clusters(found, signed=False).count
    (tensor(3), tensor(2))
    """
    if not 0 < threshold < 1 or not 0 <= least < 1:
        raise BadParameter(f"threshold is {threshold} and least {least}", "in (0, 1) and [0, 1)")
    lanes = found.directions.shape[:-2]
    u = found.directions.reshape(-1, *found.directions.shape[-2:])
    sizes = found.amplitudes.reshape(len(u), -1)
    cosines = Neurons(u, sizes).cosines
    near = (cosines if signed else cosines.abs()) > threshold
    top = sizes.amax(1, keepdim=True)
    counted = (sizes >= least * top) & (sizes > 0) & (u.square().sum(2) > 0)
    labels = torch.full_like(sizes, -1, dtype=torch.int64)
    # Ties go to the group of larger amplitude, so that the order of neurons does not matter.
    weight = 1 + 0.5 * (sizes / (sizes.sum(1, keepdim=True))).nan_to_num()
    left = counted.clone()
    count = torch.zeros(len(u), dtype=torch.int64, device=u.device)
    while bool(left.any()):
        scores = (near * (left * weight)[:, None, :]).sum(2).masked_fill(~left, -1.0)
        centre = scores.argmax(1)
        alive = left.any(1)
        own = near[torch.arange(len(u)), centre] & left & alive[:, None]
        own[torch.arange(len(u)), centre] |= alive
        labels[own] = count[:, None].expand_as(own)[own]
        left &= ~own
        count += alive
    return Clusters(count.reshape(lanes), labels.reshape(*lanes, -1), counted.reshape(*lanes, -1))


def training_condensation(
    layer: str,
    outgoing: str | None = None,
    threshold: float = 0.95,
    *,
    signed: bool = True,
    least: float = 0.0,
    name: str = "directions",
) -> Instrument:
    """Number of directions of a layer's neurons, recorded in training; see `clusters`.

    Shape: (lane,). Unit: 1. Cost and memory: as there. Error: none. Source: as there.

    Raises:
        BadParameter: the threshold is not between 0 and 1, or `least` not in [0, 1).
        CannotMeasure: at the recording, if there is no such layer.

    >>> training_condensation("0", "2").name
    'directions'
    """
    if not 0 < threshold < 1 or not 0 <= least < 1:
        raise BadParameter(f"threshold is {threshold} and least {least}", "in (0, 1) and [0, 1)")

    def measure(snapshot: Snapshot) -> Tensor:
        found = stacked_neurons(snapshot.parameters, layer, outgoing)
        good = found.amplitudes.isfinite().all(-1)
        count = clusters(found, threshold, signed=signed, least=least).count.double()
        return count.masked_fill(~good, torch.nan)

    return Instrument(name, measure, long_name=f"directions of the neurons of {layer}")


def training_directions(layer: str, *, name: str = "direction") -> Instrument:
    """Directions u_j of a layer's neurons, recorded in training; see `neurons`.

    Shape: (lane, neuron, feature), the bias last. Unit: 1. Cost: one pass over the weights. Memory:
    as much as the layer a recording. Error: rounding. Source: as there.

    Raises:
        CannotMeasure: at the recording, if there is no such layer.

    >>> training_directions("0").dims
    ('neuron', 'feature')
    """

    def measure(snapshot: Snapshot) -> Tensor:
        return stacked_neurons(snapshot.parameters, layer).directions

    return Instrument(
        name, measure, ("neuron", "feature"), long_name=f"directions of the neurons of {layer}"
    )


def training_amplitudes(layer: str, outgoing: str, *, name: str = "amplitude") -> Instrument:
    """Amplitudes A_j = |a_j| |w_j| of a layer's neurons, recorded in training; see `neurons`.

    Shape: (lane, neuron). Unit: of the weights squared. Cost: one pass over the weights. Memory: a
    number a neuron and recording. Error: rounding. Source: as there.

    Raises:
        CannotMeasure: at the recording, if a layer is missing or `outgoing` does not take outputs.

    >>> training_amplitudes("0", "2").name
    'amplitude'
    """

    def measure(snapshot: Snapshot) -> Tensor:
        return stacked_neurons(snapshot.parameters, layer, outgoing).amplitudes

    return Instrument(
        name, measure, ("neuron",), units="weights^2",
        long_name=f"amplitudes of the neurons of {layer}",
    )  # fmt: skip
