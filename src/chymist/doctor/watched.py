"""The training that is watched, as patients: as it stands, as it was at its start, bare."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from chymist.doctor.birth import Birth
from chymist.doctor.closure import Closed, bare, lent, without_global_hooks
from chymist.doctor.loop import Call, Loop
from chymist.doctor.moment import of_loop, placed, unseen
from chymist.doctor.patient import Patient


class Watched:
    """Makes patients of what the loop has shown.

    `takes` is how many arguments the loss takes; one that takes none is a closure, which evaluates
    the user's own modules. `memory` is the quantities' own; `parameters` in it are the user's.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[..., Any] | None,
        takes: int,
        optimizer: torch.optim.Optimizer,
        loop: Loop,
    ) -> None:
        self.model, self.loss, self.takes = model, loss, takes
        self.optimizer, self.loop = optimizer, loop
        self.birth: Birth | None = None
        self._copy: tuple[Any, nn.Module] | None = None
        self.memory: dict[str, Any] = {}

    @property
    def parameters(self) -> Mapping[str, Tensor]:
        """The user's trained parameters by name."""
        own: Mapping[str, Tensor] = self.memory["parameters"]
        return own

    @property
    def known(self) -> bool:
        """Whether there is a batch, or none is needed."""
        return not self.takes or self.loop.last is not None

    @contextmanager
    def now(self, step: int) -> Iterator[Patient]:
        """The training as it stands: a still copy, or for a closure the user's own, made bare."""
        with self._unheard():
            call = self.loop.seen or self.loop.last
            if call is None:
                with bare(self.model, self.optimizer):
                    yield self._closed(self.optimizer, step, self.memory)
            else:
                yield self._standing(call, step)

    @contextmanager
    def passing(self, step: int) -> Iterator[Patient | None]:
        """The training as it stands for what needs the model and its inputs alone.

        Of a closure those of its largest call; None if it was not heard to call the model.
        """
        if self.takes:
            with self.now(step) as one:
                yield one
        elif self.loop.inputs is None:
            yield None
        else:
            with self._unheard():
                yield of_loop(
                    self.model, None, 0, self.loop.inputs, self.optimizer, step, self.memory
                )

    @contextmanager
    def born(self) -> Iterator[Patient | None]:
        """The training as it was at its start; None if that was not kept, or is not known yet."""
        kept = self.birth
        with self._unheard():
            if kept is None or (self.takes and kept.probe is None):
                yield None
            elif kept.probe is None:
                with bare(self.model, self.optimizer), lent(self.model, kept.parameters):
                    one = self._closed(kept.optimizer, 0, kept.memory)
                    one.names = {id(p): n for n, p in kept.parameters.items()}
                    yield one
            else:
                one = of_loop(
                    self.model, self.loss, self.takes, kept.probe, kept.optimizer, 0, kept.memory
                )
                placed(one.model, kept.parameters)
                one.names = {id(p): n for n, p in kept.parameters.items()}
                yield one

    def _standing(self, call: Call, step: int) -> Patient:
        """The patient of a call. A copy that shares all tensors is kept until the model changes."""
        state = _state(self.model)
        known = self._copy[1] if self._copy is not None and self._copy[0] == state else None
        made = of_loop(
            self.model, self.loss, self.takes, call, self.optimizer, step, self.memory, known
        )
        if known is not None:
            return made
        own = {id(p) for p in self.model.parameters()}
        shared = all(id(p) in own for p in made.model.parameters())
        self._copy = (state, made.model) if shared else None
        return made

    def alone(self, step: int) -> Patient:
        """The user's model for what needs its parameters and gradients alone."""
        nothing = torch.zeros(1)
        return Patient(self.model, unseen, nothing, nothing, self.optimizer, step, self.memory)

    def _closed(
        self, optimizer: torch.optim.Optimizer | None, step: int, memory: dict[str, Any]
    ) -> Patient:
        like = next(self.model.parameters())
        nothing = torch.zeros(1, dtype=like.dtype, device=like.device)
        return Patient(
            Closed(self.model, self.loss or unseen), _first, nothing, nothing, optimizer, step,
            memory, {id(p): n for n, p in self.model.named_parameters()}, self.model.training,
        )  # fmt: skip

    @contextmanager
    def _unheard(self) -> Iterator[None]:
        deaf, self.loop.deaf = self.loop.deaf, True
        try:
            with without_global_hooks():
                yield
        finally:
            self.loop.deaf = deaf


def _state(model: nn.Module) -> list[Any]:
    """What a still copy depends on beside the tensors that it shares, which ones these are."""
    found: list[Any] = []
    for module in model.modules():
        own = vars(module)
        found += own["_parameters"].values()
        found += own["_buffers"].values()
        found += [v for v in own.values() if v.__class__ in (bool, int, float, str)]
    return [id(v) if isinstance(v, Tensor) else v for v in found]


def _first(out: Any, _: Tensor) -> Any:
    return out[0]
