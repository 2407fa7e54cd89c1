"""Operations whose second derivatives PyTorch takes slowly, by faster formulas.

A product with the Hessian goes back through a kept graph of the gradient. PyTorch's own way through
a convolution's gradient takes its kernels for odd shapes where those of a gradient would do, and
that of GELU and SiLU computes the same functions of the input again for every product. What is here
has the same values and the same derivatives of every order, to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.overrides import TorchFunctionMode

POOLED = 200
"""Pixels of a picture up to which its mean pooling is faster as a product with a matrix."""


class FasterSecondDerivatives(TorchFunctionMode):
    """While it lasts, the operations of this module are computed by it, in this thread.

    Those that it does not cover (padding by name, pictures without a batch, subclasses of tensors,
    inside of `torch.func`) are left to PyTorch. The graphs made under it can be differentiated
    anywhere, as often as one likes.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Compute an operation by its faster formula, if it has one."""
        own = _FASTER.get(func)
        if own is not None and _plain(args):
            made = own(*args, **(kwargs or {}))
            if made is not None:
                return made
        return func(*args, **(kwargs or {}))


def _plain(args: tuple[Any, ...]) -> bool:
    # The functions below have no rules for torch.func. PyTorch has no public name for the question.
    if torch._C._are_functorch_transforms_active():
        return False
    tensors = [a for a in args if isinstance(a, Tensor)]
    return all(type(t) in (Tensor, nn.Parameter) and t.is_floating_point() for t in tensors)


Geometry = tuple[list[int], list[int], list[int], bool, list[int], int]
"""What a convolution has beside its tensors: stride, padding, dilation, ..., groups."""


def _convolved(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor | None:
    along = weight.ndim - 2
    if isinstance(padding, str) or input.ndim != weight.ndim or not len(input):
        return None

    def each(number: int | Sequence[int]) -> list[int]:
        numbers = [number] if isinstance(number, int) else list(number)
        return numbers * along if len(numbers) == 1 else numbers

    geometry = (each(stride), each(padding), each(dilation), False, [0] * along, groups)
    made: Tensor = _applied(_Convolution, input, weight, bias, geometry)
    return made


class _Convolution(Function):
    """A convolution, whose gradient is one operation of its own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, by: Geometry) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.by = by
        made: Tensor = torch.ops.aten.convolution(x, weight, bias, *by)
        return made

    @staticmethod
    def backward(ctx: Any, out: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        wanted = list(ctx.needs_input_grad[:3])
        if torch.is_grad_enabled():
            slopes = _applied(_Slopes, out, x, weight, ctx.by, wanted[:2])
            for_bias = out.sum((0, *range(2, out.ndim))) if wanted[2] else None
            return *slopes, for_bias, None
        shape = [len(weight)] if wanted[2] else None
        return *_back(out, x, weight, shape, *ctx.by, wanted), None


class _Slopes(Function):
    """The gradient of a convolution by its input and its weight, linear in each of its three."""

    @staticmethod
    def forward(
        ctx: Any, out: Tensor, x: Tensor, weight: Tensor, by: Geometry, wanted: list[bool]
    ) -> tuple[Tensor | None, Tensor | None]:
        ctx.save_for_backward(out, x, weight)
        ctx.by = by
        ctx.set_materialize_grads(False)
        for_x, for_weight, _ = _back(out, x, weight, None, *by, [*wanted, False])
        return for_x, for_weight

    @staticmethod
    def backward(
        ctx: Any, along_x: Tensor | None, along_weight: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        out, x, weight = ctx.saved_tensors
        forward = torch.ops.aten.convolution
        for_out = for_x = for_weight = None
        if along_weight is not None:
            for_out = forward(x, along_weight, None, *ctx.by)
        if along_x is not None:
            other = forward(along_x, weight, None, *ctx.by)
            for_out = other if for_out is None else for_out + other
        wanted = [
            along_weight is not None and ctx.needs_input_grad[1],
            along_x is not None and ctx.needs_input_grad[2],
            False,
        ]
        if any(wanted):
            # One call for both, in which each needs only the other's direction.
            first = x if along_x is None else along_x
            second = weight if along_weight is None else along_weight
            for_x, for_weight, _ = _back(out, first, second, None, *ctx.by, wanted)
        return for_out, for_x, for_weight, None, None


_back = torch.ops.aten.convolution_backward


def _pooled(
    input: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor | None:
    if input.ndim != 4 or divisor_override is not None:
        return None
    sides = _pair(kernel_size)
    rows, columns = input.shape[2:]
    if stride is not None and stride != [] and _pair(stride) != sides:
        return None
    if _pair(padding) != (0, 0) or rows % sides[0] or columns % sides[1]:
        return None
    if not 0 < rows * columns <= POOLED:
        return None
    one = torch.zeros((), dtype=input.dtype, device=input.device)
    halves = [
        torch.eye(n // side).to(one).repeat_interleave(side, 0) / side
        for n, side in zip((rows, columns), sides, strict=True)
    ]
    mean = input.reshape(-1, rows * columns) @ torch.kron(*halves)
    return mean.view(*input.shape[:2], rows // sides[0], columns // sides[1])


def _pair(number: int | Sequence[int]) -> tuple[int, int]:
    numbers = (number,) if isinstance(number, int) else tuple(number)
    return numbers[0], numbers[-1]


def _gelu(input: Tensor, approximate: str = "none") -> Tensor | None:
    return _activated(input, F.gelu, _gelu_slopes) if approximate == "none" else None


def _silu(input: Tensor, inplace: bool = False) -> Tensor | None:
    return None if inplace else _activated(input, F.silu, _silu_slopes)


Slopes = Callable[[Tensor], tuple[Tensor, Tensor]]
"""x -> the first and second derivative of a function there."""


def _gelu_slopes(x: Tensor) -> tuple[Tensor, Tensor]:
    bell = torch.exp(-0.5 * x.square()) / math.sqrt(2 * math.pi)
    return 0.5 * (1 + torch.erf(x / math.sqrt(2))) + x * bell, bell * (2 - x.square())


def _silu_slopes(x: Tensor) -> tuple[Tensor, Tensor]:
    s = torch.sigmoid(x)
    away = s * (1 - s)
    return s + x * away, away * (2 + x * (1 - 2 * s))


def _activated(x: Tensor, function: Callable[[Tensor], Tensor], slopes: Slopes) -> Tensor:
    made: Tensor = _applied(_Activation, x, function, slopes)
    return made


class _Activation(Function):
    """A function element by element."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, function: Callable[[Tensor], Tensor], slopes: Slopes
    ) -> Tensor:
        ctx.save_for_backward(x)
        ctx.slopes, ctx.known = slopes, None
        return function(x)

    @staticmethod
    def backward(ctx: Any, out: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        if ctx.known is None:
            with torch.no_grad():
                ctx.known = ctx.slopes(x)
        if torch.is_grad_enabled():
            return _applied(_Slope, out, x, *ctx.known, ctx.slopes), None, None
        return out * ctx.known[0], None, None


class _Slope(Function):
    """out f'(x), with f' and f'' known: two multiplications are a product with its derivatives."""

    @staticmethod
    def forward(
        ctx: Any, out: Tensor, x: Tensor, first: Tensor, second: Tensor, slopes: Slopes
    ) -> Tensor:
        ctx.save_for_backward(out, x, first, out * second)
        ctx.slopes = slopes
        return out * first

    @staticmethod
    def backward(ctx: Any, along: Tensor) -> tuple[Tensor | None, ...]:
        out, x, first, second = ctx.saved_tensors
        if torch.is_grad_enabled():
            # Of a third derivative on, what is known must be a function of x again.
            first, second = ctx.slopes(x)
            second = out * second
        return along * first, along * second, None, None, None


def _applied(function: type[Function], *args: Any) -> Any:
    return function.apply(*args)  # type: ignore[no-untyped-call]


OWN = (_Convolution, _Slopes, _Activation, _Slope)
"""The functions of this module, which have their second derivatives."""

_FASTER: dict[Callable[..., Any], Callable[..., Tensor | None]] = {
    torch.conv1d: _convolved,
    torch.conv2d: _convolved,
    torch.conv3d: _convolved,
    F.avg_pool2d: _pooled,
    F.gelu: _gelu,
    F.silu: _silu,
}
"""Each takes what PyTorch's operation takes, and returns None for what it does not cover."""
