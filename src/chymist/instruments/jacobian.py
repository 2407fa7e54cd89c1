"""Jacobians between layers at every sample, known by their products with vectors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chymist.errors import BadParameter, CannotMeasure, did_you_mean
from chymist.instruments.layers import NETWORK, chosen
from chymist.instruments.passing import Passing
from chymist.keys import Key


@dataclass(eq=False)
class Jacobian:
    """The Jacobians of `out` by `leaf`, one for each of `rows` samples, known by their products."""

    leaf: Tensor
    out: Tensor
    rows: int
    gradients: int = 0

    @property
    def inputs(self) -> int:
        """Entries of one sample's start."""
        return self.leaf.numel() // self.rows

    @property
    def outputs(self) -> int:
        """Entries of one sample's end."""
        return self.out.numel() // self.rows

    def left(self, u: Float[Tensor, "sample output"]) -> Float[Tensor, "sample input"]:
        """Return J^T u; costs one gradient evaluation."""
        self.gradients += 1
        made: Tensor = torch.autograd.grad(
            self.out, self.leaf, u.reshape(self.out.shape), retain_graph=True
        )[0]
        return made.reshape(self.rows, -1)

    def right(self, v: Float[Tensor, "sample input"]) -> Float[Tensor, "sample output"]:
        """Return J v, the derivative of J^T u by u; costs two gradient evaluations."""
        u, back = self._transposed
        self.gradients += 2
        try:
            made: Tensor = torch.autograd.grad(back, u, v.reshape(back.shape), retain_graph=True)[0]
        except RuntimeError as error:
            raise CannotMeasure(
                "the Jacobian's products need a second derivative, which an operation lacks",
                "compute it whole with exact=True, where outputs are fewer than inputs",
            ) from error
        return made.reshape(self.rows, -1)

    @cached_property
    def _transposed(self) -> tuple[Tensor, Tensor]:
        u = torch.zeros_like(self.out, requires_grad=True)
        with torch.enable_grad():
            back = torch.autograd.grad(self.out, self.leaf, u, create_graph=True)[0]
        return u, back

    def whole(self, *, may_lose: bool = False) -> Float[Tensor, "sample output input"]:
        """Return the Jacobians, by rows or by columns, whichever are fewer.

        Raises:
            CannotMeasure: they are not finite, and lanes may not diverge.
        """
        if self.outputs <= self.inputs:
            made = torch.stack([self.left(u) for u in self._units(self.outputs)], dim=1)
        else:
            made = torch.stack([self.right(v) for v in self._units(self.inputs)], dim=2)
        if not may_lose and not bool(made.isfinite().all()):
            raise CannotMeasure(
                "the Jacobian is not finite", "its derivatives overflow or are undefined here"
            )
        return made

    def _units(self, size: int) -> Tensor:
        eye = torch.eye(size, dtype=self.out.dtype, device=self.out.device)
        return eye[:, None].expand(size, self.rows, size)

    def check_apart(self) -> None:
        """Check that a sample's output depends on that sample alone.

        Raises:
            CannotMeasure: it depends on another's input.
        """
        if self.rows == 1:
            return
        draw = Key("instruments", "jacobian", 0, "samples").torch()
        u = torch.zeros(self.rows, self.outputs, dtype=self.out.dtype)
        u[0] = torch.randn(self.outputs, generator=draw).to(u)
        if bool(self.left(u.to(self.out.device))[1:].any()):
            raise CannotMeasure(
                "the first sample's output depends on other samples",
                "give one sample at a time, or put the model into eval mode",
            )


def between(made: Passing, start: str | None, end: str | None) -> Jacobian:
    """Return the Jacobians from one layer to another. Cost: one forward pass."""
    last = NETWORK if end is None else end
    listened = {}
    for layer in (last,) if start is None else (start, last):
        listened.update(_named(made.model, layer.partition("#")[0]))
    ends: dict[str, Tensor] = {}
    if start is None:
        if not isinstance(made.x, Tensor) or not made.x.is_floating_point():
            raise CannotMeasure(
                "the input is not one tensor of real numbers",
                "name the layer to start from, such as an embedding: start=...",
            )
        ends["leaf"] = made.x.detach().clone().requires_grad_()
        # A model may change its input in place, which a leaf does not allow.
        made = replace(made, x=ends["leaf"] * 1)

    def leave(name: str, tensor: Tensor) -> Tensor:
        if name == start:
            ends["leaf"] = tensor.detach().clone().requires_grad_()
            tensor = ends["leaf"] * 1
        if name == last and "out" not in ends:
            ends["out"] = tensor
            return tensor.clone()
        return tensor

    with torch.enable_grad():
        made.run(leave, then=lambda out: None, listened=listened)
    for name, tensor in ((start, ends.get("leaf")), (last, ends.get("out"))):
        if tensor is None:
            raise CannotMeasure(
                f"layer {name} is not called, or hands on no real numbers", "give another layer"
            )
        if tensor.ndim < 1 or len(tensor) != made.samples:
            raise CannotMeasure(
                f"{f'layer {name}' if name else 'the input'} has shape {tuple(tensor.shape)}, "
                f"without a row for each of {made.samples} samples",
                "give another layer, or one sample",
            )
        if not bool(tensor.isfinite().all()):
            raise CannotMeasure(
                f"{f'layer {name}' if name else 'the input'} has values that are not finite",
                "its input or weights are too large for the dtype, or it divides by zero",
            )
    leaf, out = ends["leaf"], ends["out"]
    depends = (
        out.requires_grad
        and torch.autograd.grad(
            out, leaf, torch.zeros_like(out), retain_graph=True, allow_unused=True
        )[0]
    )
    if depends is None or depends is False:
        raise CannotMeasure(
            f"layer {last} does not depend on {f'layer {start}' if start else 'the input'}",
            "end must come after start",
        )
    return Jacobian(leaf, out, made.samples)


def _named(model: nn.Module, name: str) -> dict[str, nn.Module]:
    every = chosen(model)
    if name not in every:
        raise BadParameter(f"no layer is called {name!r}", did_you_mean(name, every))
    return {name: every[name]}
