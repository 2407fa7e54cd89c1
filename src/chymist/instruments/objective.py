"""What curvature is measured of: losses of many lanes as functions of their weights.

The lanes form is the general one, and one network is one lane: parameters are stacked
(lane, *shape), a loss is a number a lane, and no lane's loss depends on another's parameters, so
one backward pass of their sum gives every lane its own gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from chymist.errors import CannotMeasure, did_you_mean
from chymist.instruments.snapshot import Snapshot

Loss = Callable[[Any, Tensor], Tensor]
"""(outputs of the model, targets) -> one number."""
Data = tuple[Any, Tensor]
"""(inputs, targets); inputs are a tensor, or a tuple or a mapping of tensors to call with."""

SMALL = 2_000_000
"""Parameters of all lanes times samples up to which several products at once are faster."""


@dataclass(frozen=True, eq=False)
class Piece:
    """Some of the samples: their outputs, their losses, and their share in the whole loss.

    `each` gives every sample's own loss (lane, sample), where that is known.
    """

    outputs: Callable[[Mapping[str, Tensor]], Any]
    losses: Callable[[Any], Float[Tensor, " lane"]]
    share: float = 1.0
    each: Callable[[Any], Float[Tensor, "lane sample"]] | None = None


@dataclass(frozen=True, eq=False)
class Gradient:
    """The graph of a gradient, kept for products: what was computed, and from which leaves."""

    leaves: tuple[Tensor, ...]
    outputs: Any
    losses: Tensor
    slopes: tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Objective:
    """The losses of all lanes, sum of share times piece, as functions of stacked parameters.

    Vectors in parameter space are rows (lane, parameter): the parameters flattened and joined in
    the order of `parameters`. `together` says whether several products may be taken at once,
    `may_lose` whether lanes may have diverged: they are then left out rather than refused.
    """

    parameters: Mapping[str, Float[Tensor, "lane ..."]]
    pieces: tuple[Piece, ...]
    together: bool = True
    may_lose: bool = False

    @property
    def lanes(self) -> int:
        """How many networks there are."""
        return len(next(iter(self.parameters.values())))

    @property
    def size(self) -> int:
        """How many parameters each network has."""
        return sum(p[0].numel() for p in self.parameters.values())

    @property
    def like(self) -> Tensor:
        """A tensor of the objective's dtype and device."""
        return next(iter(self.parameters.values()))

    def split(self, rows: Float[Tensor, "*any parameter"]) -> tuple[Tensor, ...]:
        """Return a vector's (or several vectors') parts in the parameters' shapes."""
        shapes = [p.shape[1:] for p in self.parameters.values()]
        parts = torch.split(rows, [s.numel() for s in shapes], dim=-1)
        return tuple(
            part.reshape(*rows.shape[:-1], *shape)
            for part, shape in zip(parts, shapes, strict=True)
        )

    def named(self, rows: Float[Tensor, "*any parameter"]) -> dict[str, Tensor]:
        """Return a vector's (or several vectors') parts under the parameters' names."""
        return dict(zip(self.parameters, self.split(rows), strict=True))

    def rows(self, named: Mapping[str, Tensor]) -> Float[Tensor, "lane parameter"]:
        """Return parts under the parameters' names as one row a lane.

        Raises:
            CannotMeasure: a name or a shape is not that of a parameter.
        """
        unknown = [n for n in named if n not in self.parameters]
        missing = [n for n in self.parameters if n not in named]
        if unknown or missing:
            raise CannotMeasure(
                f"a vector over parameters names {unknown[0]}, which is none of them"
                if unknown
                else f"a vector over parameters lacks {missing[0]}",
                did_you_mean((unknown or missing)[0], self.parameters if unknown else named),
            )
        parts = []
        for name, parameter in self.parameters.items():
            part = named[name].to(self.like)
            if part.shape not in (parameter.shape, parameter.shape[1:]):
                raise CannotMeasure(
                    f"a vector has shape {tuple(part.shape)} at {name}",
                    f"its parameter has {tuple(parameter.shape[1:])}",
                )
            parts.append(part.expand(parameter.shape).reshape(self.lanes, -1))
        return torch.cat(parts, dim=1)

    def forward(self, piece: Piece) -> tuple[tuple[Tensor, ...], Any, Tensor]:
        """Return new leaves, a piece's outputs and its losses as made from them."""
        leaves = tuple(p.detach().requires_grad_() for p in self.parameters.values())
        with torch.enable_grad():
            outputs = piece.outputs(dict(zip(self.parameters, leaves, strict=True)))
            return leaves, outputs, piece.losses(outputs)

    @cached_property
    def begun(self) -> tuple[tuple[Tensor, ...], Any, Tensor]:
        """The first piece's forward pass, kept: what checks look at is differentiated later."""
        return self.forward(self.pieces[0])

    def graph(self, piece: Piece) -> Gradient:
        """Return a piece's gradient with its graph; costs one gradient evaluation.

        Raises:
            CannotMeasure: a parameter does not enter the loss.
        """
        one = len(self.pieces) == 1
        leaves, outputs, losses = self.begun if one else self.forward(piece)
        if not losses.requires_grad:
            raise CannotMeasure(
                "the loss does not depend on any parameter",
                "compute it from the model's output without detach, item or numpy",
            )
        with torch.enable_grad():
            slopes = torch.autograd.grad(losses.sum(), leaves, create_graph=True, allow_unused=True)
        for name, slope in zip(self.parameters, slopes, strict=True):
            if slope is None:
                raise CannotMeasure(
                    f"parameter {name} does not enter the loss",
                    "leave it out: name the parameters to differentiate by with only=[...]",
                )
        return Gradient(leaves, outputs, losses, slopes)

    @cached_property
    def kept(self) -> Gradient | None:
        """The gradient's graph, kept from one product to the next, if one piece has all samples."""
        return self.graph(self.pieces[0]) if len(self.pieces) == 1 else None

    def graphs(self) -> Iterable[tuple[Piece, Gradient]]:
        """Yield each piece with its gradient's graph, which is dropped before the next is made."""
        for piece in self.pieces:
            yield piece, self.kept or self.graph(piece)

    @cached_property
    def loss(self) -> Float[Tensor, " lane"]:
        """The lanes' losses."""
        return self._whole[0]

    @cached_property
    def gradient(self) -> Float[Tensor, "lane parameter"]:
        """The lanes' gradients; costs one gradient evaluation, kept."""
        return self._whole[1]

    @cached_property
    def _whole(self) -> tuple[Tensor, Tensor]:
        losses, gradient = torch.zeros(()).to(self.like), torch.zeros(()).to(self.like)
        for piece, graph in self.graphs():
            losses = losses + piece.share * graph.losses.detach()
            flat = [s.detach().reshape(self.lanes, -1) for s in graph.slopes]
            gradient = gradient + piece.share * torch.cat(flat, dim=1)
        return losses, gradient


def snapshot_objective(snapshot: Snapshot) -> Objective:
    """Make the training loss of a snapshot a function of its lanes' parameters.

    The loss is over all training samples, and what is measured follows it as it is: the curvature
    of a sum over n samples is n times that of their mean. Convolutions are differentiated one lane
    and one vector at a time, dense networks all at once.
    """

    def each(out: Tensor) -> Tensor:
        # Lanes share targets (sample, feature), or have their own (lane, sample, feature).
        along = snapshot.y.ndim - 2
        one = torch.vmap(
            lambda o, goal: snapshot.losses_of(o[:, None], goal.unsqueeze(along)),
            in_dims=(1, along), out_dims=1,
        )  # fmt: skip
        return torch.as_tensor(one(out, snapshot.y))

    piece = Piece(
        lambda parameters: snapshot.forward(parameters, snapshot.x), snapshot.losses, each=each
    )
    return Objective(
        snapshot.parameters,
        (piece,),
        together(snapshot.parameters, snapshot.x.shape[-2]),
        may_lose=True,
    )


def together(stacked: Mapping[str, Tensor], samples: int) -> bool:
    """Whether batched double backward pays: never through convolutions, nor for large networks."""
    convolution = any(p.ndim - 1 > 2 for p in stacked.values())
    return not convolution and sum(p.numel() for p in stacked.values()) * samples <= SMALL
