"""What linear layers and convolutions are given in a forward pass, whichever module calls them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


@dataclass(frozen=True, eq=False)
class Use:
    """One call of a layer: the name of its weight, of its bias, its inputs and its outputs.

    Inputs are (lane, sample, position, input): of a convolution the patches that it multiplies.
    """

    weight: str | None
    bias: str | None
    inputs: Tensor
    outputs: Tensor
    versions: tuple[int, int]
    given: Tensor
    convolution: bool

    @property
    def intact(self) -> bool:
        """Whether neither inputs nor outputs were overwritten since."""
        return self.versions == (self.given._version, self.outputs._version)

    def slopes(self, slope: Tensor) -> Tensor:
        """Bring a slope by the outputs to (lane, sample, position, output)."""
        lanes, samples = self.inputs.shape[:2]
        if self.convolution:
            return slope.flatten(2).mT[None]
        return slope.reshape(lanes, samples, -1, slope.shape[-1])


class Watched(TorchFunctionMode):
    """Notes the uses of stacked parameters while a forward pass runs.

    A parameter is known by its tensor, or by the tensor that it is a view of. `uses` are the calls
    that are understood; `other` names the parameters that enter anything else.
    """

    def __init__(self, leaves: Mapping[str, Tensor], samples: int) -> None:
        super().__init__()
        self.names = {id(leaf): name for name, leaf in leaves.items()}
        self.leaves, self.samples = leaves, samples
        self.uses: list[Use] = []
        self.other: set[str] = set()

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Run a call, and note it if it is given a parameter."""
        kwargs = kwargs or {}
        made = func(*args, **kwargs)
        names = {n for t in _tensors([*args, *kwargs.values()]) if (n := self.name(t))}
        if names and not self.looks(made):
            use = self.use(func, list(args), kwargs, made)
            if use is None:
                self.other |= names
            else:
                self.uses.append(use)
        return made

    def name(self, tensor: Tensor | None) -> str | None:
        """Return the name of the parameter that a tensor is, or is a view of."""
        if tensor is None:
            return None
        base = tensor if id(tensor) in self.names else tensor._base
        return self.names.get(id(base)) if base is not None else None

    def looks(self, made: Any) -> bool:
        """Whether a call only looked at parameters, and returned views of them or no tensor."""
        return all(self.name(t) for t in _tensors([made]))

    def use(self, func: Any, args: list[Any], kwargs: Mapping[str, Any], made: Any) -> Use | None:
        """Understand a call, or return None."""
        if func is functional.linear:
            x, weight, bias = _given(("input", "weight", "bias"), args, kwargs)
            return self._linear(x, weight, bias, made)
        if func in (torch.baddbmm, torch.bmm) and not kwargs:
            bias, x, weight = args if func is torch.baddbmm else (None, *args)
            return self._stacked(x, weight, bias, made)
        if func in (functional.conv2d, functional.conv1d):
            names = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
            return self._convolution(func, _given(names, args, kwargs), made)
        return None

    def _linear(self, x: Tensor, weight: Tensor, bias: Tensor | None, made: Tensor) -> Use | None:
        whole = self._fits(weight, range(1, weight.ndim + 1)) and self._whole_bias(bias)
        if not whole or x.ndim < 2 or len(x) != self.samples:
            return None
        inputs = x.detach().reshape(1, self.samples, -1, x.shape[-1])
        return self._noted(weight, bias, inputs, x, made)

    def _stacked(self, x: Tensor, weight: Tensor, bias: Tensor | None, made: Tensor) -> Use | None:
        turned = self._fits(weight, (0, 2, 1))
        if not turned or not self._whole_bias(bias) or x.shape[1] != self.samples:
            return None
        return self._noted(weight, bias, x.detach()[:, :, None], x, made)

    def _convolution(self, func: Any, given: list[Any], made: Tensor) -> Use | None:
        x, weight, bias, stride, padding, dilation, groups = given
        dims = weight.ndim - 2
        if not self._fits(weight, range(1, weight.ndim + 1)) or not self._whole_bias(bias):
            return None
        if groups not in (None, 1) or isinstance(padding, str):
            return None
        if x.ndim != dims + 2 or len(x) != self.samples:
            return None
        options = {"stride": (stride, 1), "padding": (padding, 0), "dilation": (dilation, 1)}
        sizes = {n: _pair(v, default, dims) for n, (v, default) in options.items()}
        picture = x.detach() if dims == 2 else x.detach()[:, :, None]
        kernel = tuple(weight.shape[2:]) if dims == 2 else (1, *weight.shape[2:])
        patches = functional.unfold(picture, kernel, **sizes)
        return self._noted(weight, bias, patches.mT[None], x, made, convolution=True)

    def _fits(self, weight: Tensor, dims: Sequence[int]) -> bool:
        """Whether a weight is a whole parameter, its dimensions in this order."""
        name = self.name(weight)
        if name is None:
            return True
        shape, stride = self.leaves[name].shape, self.leaves[name].stride()
        same = max(dims) < len(shape) and tuple(weight.shape) == tuple(shape[d] for d in dims)
        # Strides tell a square matrix from its transpose.
        return same and weight.stride() == tuple(stride[d] for d in dims)

    def _whole_bias(self, bias: Tensor | None) -> bool:
        name = self.name(bias)
        return bias is None or name is None or bias.numel() == self.leaves[name].numel()

    def _noted(
        self, weight: Tensor, bias: Tensor | None, inputs: Tensor, x: Tensor, made: Tensor,
        *, convolution: bool = False,
    ) -> Use:  # fmt: skip
        versions = (x._version, made._version)
        return Use(self.name(weight), self.name(bias), inputs, made, versions, x, convolution)


def _given(names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    return [args[i] if i < len(args) else kwargs.get(n) for i, n in enumerate(names)]


def _pair(value: Any, default: int, dims: int) -> tuple[int, ...]:
    value = default if value is None else value
    sizes = (value,) * dims if isinstance(value, int) else tuple(value)
    sizes = sizes * dims if len(sizes) < dims else sizes
    return sizes if dims == 2 else (default, *sizes)


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, tuple | list):
            yield from _tensors(value)
        elif isinstance(value, Mapping):
            yield from _tensors(value.values())
