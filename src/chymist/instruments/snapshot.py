"""What an instrument sees: the lanes of an ensemble at one step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from chymist.keys import Key


def _outside_a_training(*_: object) -> Any:
    raise ValueError("this snapshot was made outside a training, and knows its predictions only")


@dataclass(frozen=True, eq=False)
class SolverState:
    """What an update rule keeps from step to step, for all lanes.

    `rule` is its class's name. `held` is its state by name ("second_moment"), under each name a
    tensor (lane, ...) for every parameter; `numbers` are its numbers by name ("lr", "beta1"), each
    for all lanes or a tensor with one a lane. They are the training's own: copy what is to outlive
    the measurement. `precondition` makes P of the last update, see `preconditioner`.
    """

    rule: str
    held: Mapping[str, Mapping[str, Float[Tensor, "lane ..."]]]
    numbers: Mapping[str, Tensor | float]
    precondition: Callable[[], Mapping[str, Tensor] | None]

    @cached_property
    def preconditioner(self) -> Mapping[str, Float[Tensor, "lane ..."]] | None:
        """The positive diagonal P of the last update, w <- w - lr P^-1 m, by parameter.

        Not a number before the first update; None if the rule has none.
        """
        return self.precondition()


@dataclass(frozen=True, eq=False)
class Snapshot:
    """All lanes at one step: data and, each when it is asked for, parameters, predictions, loss.

    `place` lays a named array out for the lanes of this snapshot: a lane's dimensions come first
    and are flattened into one, whatever else it has follows; an array with no lane dimension is
    returned as it is, to be shared by all lanes. A named array is laid out once a training, so an
    instrument may call `place` at every step. `read` hands out the parameters: asking is what tells
    a training that an instrument needs them, and one that does not costs it no stop.

    `losses` are the lanes' losses of predictions on the training targets, `losses_of` those on
    other targets, of as many samples as both have. `forward` gives the outputs at other parameters,
    in a way that can be differentiated twice.
    `read_solver` hands out the update rule's state after `step` updates.
    `keys` gives each lane's own key for a purpose: lanes of equal seed share one. `memory` is what
    instruments keep from one measurement of these lanes to the next, under their own names.
    """

    step: int
    read: Callable[[], Mapping[str, Tensor]]
    predict: Callable[[Tensor], Tensor]
    place: Callable[[xr.DataArray | Tensor], Tensor]
    x: Tensor
    y: Tensor
    losses: Callable[[Tensor], Tensor]
    forward: Callable[[Mapping[str, Tensor], Tensor], Tensor] = _outside_a_training
    losses_of: Callable[[Tensor, Tensor], Tensor] = _outside_a_training
    keys: Callable[[str], Sequence[Key]] = _outside_a_training
    read_solver: Callable[[], SolverState] = _outside_a_training
    memory: dict[Any, Any] = field(default_factory=dict)

    @property
    def parameters(self) -> Mapping[str, Tensor]:
        """The stacked parameters, by name.

        They are the training's own, which the next update changes in place: copy what is to outlive
        the measurement.
        """
        return self.read()

    @property
    def solver(self) -> SolverState:
        """The update rule's state, such as Adam's moments; asking is what makes it be read."""
        return self.read_solver()

    def once(self, make: Callable[[Snapshot], Tensor]) -> Tensor:
        """Return `make(self)`, made at its first use in a training: for what depends on data alone.

        A function is one place to keep: an instrument has its own.
        """
        if make not in self.memory:
            self.memory[make] = make(self)
        kept: Tensor = self.memory[make]
        return kept

    @cached_property
    def prediction(self) -> Float[Tensor, "lane sample feature"]:
        """The networks' outputs on their training inputs."""
        with torch.no_grad():
            return self.predict(self.x)

    @cached_property
    def loss(self) -> Float[Tensor, " lane"]:
        """The training loss over all training samples."""
        with torch.no_grad():
            return self.losses(self.prediction)


@dataclass(frozen=True, eq=False)
class Instrument:
    """A named measurement of a snapshot: one value, or an array with named dimensions, a lane.

    `measure` returns a tensor (lane, *dims). `coords` gives the coordinate of each dimension;
    `units` is "1" for a pure number.
    """

    name: str
    measure: Callable[[Snapshot], Tensor]
    dims: tuple[str, ...] = ()
    coords: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    units: str = "1"
    long_name: str = ""


loss = Instrument(
    "loss", lambda snapshot: snapshot.loss, long_name="training loss over all samples"
)
"""The training loss over all training samples; costs one forward pass, nothing in full batch."""
