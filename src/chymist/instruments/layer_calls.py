"""Calls of layers in a forward pass, kept as they are made: what went in, and what came out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


@dataclass(frozen=True, eq=False)
class Use:
    """One call of a layer: its parameters' names, its inputs and its outputs, by position."""

    weight: str
    bias: str | None
    given: Float[Tensor, "lane sample position input"]
    made: Tensor
    by_position: Callable[[Tensor], Tensor]
    source: Tensor
    version: int


class Recorder(TorchFunctionMode):
    """Keeps the inputs and outputs of layers whose weights are the given leaves.

    Their parameters are held fixed in the calls, so that what still depends on a leaf does so
    outside of what was kept.
    """

    def __init__(self, leaves: Mapping[str, Tensor], samples: int) -> None:
        super().__init__()
        self.leaves, self.samples = leaves, samples
        self.lanes = len(next(iter(leaves.values())))
        self.uses: list[Use] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        options = dict(kwargs or {})
        known = _KNOWN.get(func)
        made = known(self, *args, **options) if known and torch.is_grad_enabled() else None
        return func(*args, **options) if made is None else made

    def name_of(self, tensor: Any, view: Callable[[Tensor], Tensor]) -> str | None:
        """Return the leaf of which a tensor is this view."""
        if isinstance(tensor, Tensor):
            for name, leaf in self.leaves.items():
                if tensor._base is leaf and _same(tensor, view(leaf)):
                    return name
        return None

    def bias_of(self, bias: Any) -> str | None:
        """Return the leaf that a bias is, one number a unit."""
        if isinstance(bias, Tensor):
            for name, leaf in self.leaves.items():
                whole = leaf.ndim == 2 and bias.numel() == leaf.numel()
                if whole and bias._base is leaf and bias.shape[-1] == leaf.shape[1]:
                    return name
        return None

    def keep(
        self,
        weight: str,
        bias: str | None,
        given: Tensor,
        source: Tensor,
        made: Tensor,
        by_position: Callable[[Tensor], Tensor],
    ) -> Tensor:
        """Keep a call, and return its outputs as a copy that may be changed in place."""
        if not made.requires_grad:
            made.requires_grad_()
        self.uses.append(
            Use(weight, bias, given.detach(), made, by_position, source, source._version)
        )
        return made.clone()


def _same(tensor: Tensor, view: Tensor) -> bool:
    return (
        tensor.data_ptr() == view.data_ptr()
        and tensor.shape == view.shape
        and tensor.stride() == view.stride()
    )


def _linear(
    recorder: Recorder, x: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor | None:
    """Take a layer over any positions: x (sample, ..., input), or (sample * position, input)."""
    name = recorder.name_of(weight, lambda leaf: leaf[0])
    if recorder.lanes > 1 or name is None or x.ndim < 2 or not _rows(recorder, x):
        return None
    samples = recorder.samples
    own = recorder.bias_of(bias)
    made = functional.linear(x, weight.detach(), _fixed(bias, own))
    return recorder.keep(
        name, own, x.reshape(1, samples, -1, x.shape[-1]), x, made,
        lambda s: s.reshape(len(s), samples, -1, s.shape[-1]).transpose(0, 1)[None],
    )  # fmt: skip


def _fixed(bias: Tensor | None, own: str | None) -> Tensor | None:
    """Return a bias, without its way back if it is a leaf's."""
    return bias if bias is None or own is None else bias.detach()


def _rows(recorder: Recorder, x: Tensor) -> bool:
    return len(x) == recorder.samples or (x.ndim == 2 and len(x) % recorder.samples == 0)


def _product(recorder: Recorder, x: Tensor, weight: Tensor) -> Tensor | None:
    """Take a layer of all lanes: x (lane, sample, input) by weights transposed."""
    name = recorder.name_of(weight, lambda leaf: leaf.mT)
    return None if name is None else _stacked(recorder, name, None, None, x, weight)


def _added_product(recorder: Recorder, bias: Tensor, x: Tensor, weight: Tensor) -> Tensor | None:
    name = recorder.name_of(weight, lambda leaf: leaf.mT)
    return None if name is None else _stacked(
        recorder, name, recorder.bias_of(bias), bias, x, weight
    )  # fmt: skip


def _stacked(
    recorder: Recorder,
    name: str,
    bias: str | None,
    added: Tensor | None,
    x: Tensor,
    weight: Tensor,
) -> Tensor | None:
    if x.ndim != 3 or x.shape[1] != recorder.samples:
        return None
    fixed = weight.detach()
    level = _fixed(added, bias)
    made = torch.bmm(x, fixed) if level is None else torch.baddbmm(level, x, fixed)
    return recorder.keep(
        name, bias, x[:, :, None], x, made, lambda s: s.permute(1, 2, 0, 3)[:, :, :, None]
    )


def _convolution(
    recorder: Recorder, x: Tensor, weight: Tensor, bias: Tensor | None = None,
    stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
) -> Tensor | None:  # fmt: skip
    """Take a convolution of one or two dimensions as a layer of patches."""
    name = recorder.name_of(weight, lambda leaf: leaf[0])
    plain = groups == 1 and not isinstance(padding, str) and 3 <= weight.ndim <= 4
    if recorder.lanes > 1 or name is None or not plain or x.ndim != weight.ndim:
        return None
    if len(x) != recorder.samples:
        return None
    call = functional.conv2d if x.ndim == 4 else functional.conv1d
    own = recorder.bias_of(bias)
    made = call(x, weight.detach(), _fixed(bias, own), stride, padding, dilation)
    line = x.ndim == 3
    size, step, edge, spread = (
        _two(value, line, neutral)
        for value, neutral in (
            (tuple(weight.shape[2:]), 1),
            (stride, 1),
            (padding, 0),
            (dilation, 1),
        )
    )
    picture = x.detach()[:, :, None] if line else x.detach()
    patches = functional.unfold(picture, size, spread, edge, step).mT[None]
    return recorder.keep(
        name, own, patches, x, made,
        lambda s: s.flatten(3).permute(1, 0, 3, 2)[None],
    )  # fmt: skip


def _two(value: Any, line: bool, neutral: int) -> tuple[int, int]:
    given = tuple(value) if isinstance(value, tuple | list) else (value,)
    if line:
        return neutral, given[0]
    return (given[0], given[-1])


_KNOWN: dict[Any, Callable[..., Tensor | None]] = {
    functional.linear: _linear,
    functional.conv1d: _convolution,
    functional.conv2d: _convolution,
    torch.bmm: _product,
    torch.matmul: _product,
    torch.baddbmm: _added_product,
}
