"""Networks of one shape with their inputs, one a lane, whose layers are to be followed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as tree

from chymist.errors import CannotMeasure
from chymist.instruments import checks
from chymist.instruments.layers import Enter, Layers, Leave, all_called, call, chosen
from chymist.instruments.snapshot import Snapshot

Reduce = Callable[[Tensor], Tensor | None]
"""(what a layer hands on) -> a statistic of it, or None where it has none."""


@dataclass(frozen=True, eq=False)
class Passing:
    """Lanes of stacked parameters, inputs that they share or that have a lane each, and layers.

    `state` holds what all lanes share: buffers, and of one network all that is not differentiated.
    """

    model: nn.Module
    wanted: Layers
    parameters: Mapping[str, Tensor]
    state: Mapping[str, Tensor]
    x: Any
    samples: int
    laned: bool = False

    @property
    def lanes(self) -> int:
        """How many networks there are."""
        return len(next(iter(self.parameters.values()))) if self.parameters else 1

    @cached_property
    def layers(self) -> dict[str, nn.Module]:
        """The layers that were asked for."""
        return chosen(self.model, self.wanted)

    def run(
        self,
        leave: Leave,
        enter: Enter | None = None,
        *,
        then: Callable[[Any], Any] = lambda out: out,
        listened: Mapping[str, nn.Module] | None = None,
    ) -> Any:
        """Return `then` of each network's output, every tensor in it stacked (lane, ...).

        `leave` and `enter` see one network's tensors, as `then` does. Several lanes go through
        `torch.vmap`; one does not, nor do those that decide by their data.
        """
        return self.with_lanes({}, lambda _: (leave, enter, then), listened)

    def with_lanes(
        self,
        extra: Mapping[str, Tensor],
        act: Callable[[Mapping[str, Tensor]], tuple[Leave, Enter | None, Callable[[Any], Any]]],
        listened: Mapping[str, nn.Module] | None = None,
    ) -> Any:
        """As `run`, where what is done depends on further stacked tensors."""
        names = self.layers if listened is None else listened

        def one(parameters: Mapping[str, Tensor], x: Any, own: Mapping[str, Tensor]) -> Any:
            leave, enter, then = act(own)
            # Buffers are copied, so that a model that keeps a state cannot change its own.
            rest = {n: t.clone() for n, t in self.state.items()}
            return then(call(self.model, {**rest, **parameters}, x, names, leave, enter))

        def lane(i: int) -> Any:
            pick = {n: p[i] for n, p in self.parameters.items()}
            x = checks.mapped(lambda t: t[i], self.x) if self.laned else self.x
            return one(pick, x, {n: e[i] for n, e in extra.items()})

        if self.lanes > 1:
            dims = (0, 0 if self.laned else None, 0 if extra else None)
            try:
                return torch.vmap(one, in_dims=dims)(dict(self.parameters), self.x, dict(extra))
            except RuntimeError as error:
                if "data-dependent" not in str(error) and ".item()" not in str(error):
                    raise
        made = [lane(i) for i in range(self.lanes)]
        return tree.tree_map(
            lambda *ts: torch.stack(ts) if isinstance(ts[0], Tensor) else ts[0], *made
        )

    @torch.no_grad()
    def statistics(self, leaving: Reduce, entering: Reduce | None = None) -> dict[str, Tensor]:
        """Return a statistic of what each layer hands on, stacked (lane, ...), in order of time.

        With `entering`, that of what enters it too, under (name + " <"). Costs one forward pass.
        """
        found: dict[str, Tensor] = {}

        def leave(name: str, tensor: Tensor) -> Tensor:
            made = leaving(tensor)
            if made is not None:
                found[name] = made
            return tensor

        def enter(name: str, tensor: Tensor | None) -> None:
            made = None if tensor is None or entering is None else entering(tensor)
            if made is not None:
                found[f"{name} <"] = made

        def then(out: Any) -> dict[str, Tensor]:
            kept = dict(found)
            found.clear()
            return kept

        made: dict[str, Tensor] = self.run(leave, enter, then=then)
        return made

    def gradients(self, losses: Callable[[Any], Tensor]) -> dict[str, Tensor]:
        """Return each lane's gradient of its loss by what each layer hands on, (lane, ...).

        A layer that does not enter the loss has a gradient of zero. `losses` takes the stacked
        outputs. Costs two forward passes and one backward.
        """
        shapes: dict[str, Tensor] = {}

        def shaped(name: str, tensor: Tensor) -> Tensor:
            shapes[name] = torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
            return tensor

        with torch.no_grad():
            out = self.run(shaped, then=lambda out: out)
        # An output of a type of its own, with a loss inside, shows no tensors.
        shown = [*tree.tree_leaves(out), *self.parameters.values(), *checks.parts(self.x)]
        device = next(t.device for t in shown if isinstance(t, Tensor))
        # The gradient by a zero that is added to a tensor is the gradient by the tensor.
        zeros = {
            n: torch.zeros((self.lanes, *t.shape), dtype=t.dtype, device=device, requires_grad=True)
            for n, t in shapes.items()
        }
        with torch.enable_grad():
            nudged = self.with_lanes(
                zeros, lambda own: (lambda name, t: t + own[name], None, lambda out: out)
            )
            lost = losses(nudged)
            if not lost.requires_grad:
                raise CannotMeasure(
                    "the loss does not depend on any layer",
                    "compute it from the model's output without detach, item or numpy",
                )
            made = torch.autograd.grad(lost.sum(), list(zeros.values()), allow_unused=True)
        return {
            n: torch.zeros_like(z) if g is None else g
            for (n, z), g in zip(zeros.items(), made, strict=True)
        }

    def seen(self, found: Mapping[str, Any], why: str = "is not called") -> None:
        """Check that every layer that was asked for is among those found.

        Raises:
            CannotMeasure: one is not.
        """
        all_called(self.wanted, {n.removesuffix(" <"): None for n in found}, why)


def one_network(model: nn.Module, x: Any, layers: Layers = None, *, y: Any = None) -> Passing:
    """Check one network and its input, and return them as one lane. Cost: two forward passes.

    Raises:
        MovingTarget: the model draws random numbers, or keeps a state.
        CannotMeasure: dtypes or devices are mixed; there are no samples; a tensor is not finite.
        BadParameter: a pattern matches no layer.
    """
    checks.still(model)
    chosen(model, layers)
    states = {n: t.detach() for n, t in checks.states(model).items()}
    given = checks.inputs(x)
    if y is not None:
        given["the target y"] = y
    if states:
        checks.consistent(states, given)
    samples = checks.samples(given)
    own = {n: p for n, p in states.items() if n in dict(model.named_parameters())}
    rest = {n: t for n, t in states.items() if n not in own}
    made = Passing(model, layers, {n: p[None] for n, p in own.items()}, rest, x, samples)

    def outputs() -> list[Tensor]:
        out = made.run(lambda _, tensor: tensor, listened={})
        return [t for t in tree.tree_leaves(out) if isinstance(t, Tensor)]

    with torch.no_grad():
        checks.still_by_trial(
            outputs, checks.parts(x)[0], "the model gave two outputs for the same input",
            "the model",
        )  # fmt: skip
    return made


def training_lanes(model: nn.Module, layers: Layers, snapshot: Snapshot) -> Passing:
    """Return a training's lanes and inputs, called through `model`, which is one of its networks.

    Raises:
        CannotMeasure: the training's networks are not of the model's shape.
    """
    parameters, own = snapshot.parameters, dict(model.named_parameters())
    for name in {**parameters, **own}:
        shapes = [
            tuple(parameters[name].shape[1:]) if name in parameters else None,
            tuple(own[name].shape) if name in own else None,
        ]
        if shapes[0] != shapes[1]:
            raise CannotMeasure(
                f"parameter {name} has shape {shapes[0]} in training, {shapes[1]} in the model",
                "give the instrument one of the networks that are trained, as build()",
            )
    like = next(iter(parameters.values()))
    state = {
        n: b.to(like.device, like.dtype if b.is_floating_point() else b.dtype)
        for n, b in model.named_buffers()
    }
    x = snapshot.x
    return Passing(model, layers, parameters, state, x, x.shape[-2], x.ndim == 3)


def template(model: nn.Module) -> nn.Module:
    """Return a copy of a network, to call a training's lanes through.

    Raises:
        MovingTarget: dropout or batch normalisation in training mode.
    """
    checks.still(model)
    return copy.deepcopy(model)


def all_finite(found: Mapping[str, Tensor]) -> None:
    """Check that no layer hands on values that are not finite.

    Raises:
        CannotMeasure: names the first that does.
    """
    for name, value in found.items():
        if not bool(value.isfinite().all()):
            raise CannotMeasure(
                f"layer {name.removesuffix(' <')} has values that are not finite",
                "its input or weights are too large for the dtype, or it divides by zero",
            )
