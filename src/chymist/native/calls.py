"""Recorded PyTorch calls as nodes: for every function that is known, what it becomes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from chymist.native import pictures, products
from chymist.native.elements import binary, compared, unary, with_number
from chymist.native.nodes import Unknown
from chymist.native.rows import cross_entropy, norm, reduced, softmax
from chymist.native.values import Value, Values
from chymist.recording import Call

_REDUCING = {
    "weight": None, "size_average": None, "reduce": None, "reduction": "mean",
    "ignore_index": -100, "label_smoothing": 0.0,
}  # fmt: skip
_POOL_WINDOW = {"kernel_size": None, "stride": None, "padding": 0}
ARGUMENTS: dict[str, Mapping[str, Any]] = {
    "linear": {"bias": None},
    "conv2d": {"bias": None, "stride": 1, "padding": 0, "dilation": 1, "groups": 1},
    "max_pool2d": _POOL_WINDOW | {"dilation": 1, "ceil_mode": False, "return_indices": False},
    "avg_pool2d": _POOL_WINDOW
    | {"ceil_mode": False, "count_include_pad": True, "divisor_override": None},
    "layer_norm": {"normalized_shape": (), "weight": None, "bias": None, "eps": 1e-5},
    "rms_norm": {"normalized_shape": (), "weight": None, "eps": None},
    "softmax": {"dim": None, "_stacklevel": 3, "dtype": None},
    "gelu": {"approximate": "none"},
    "dropout": {"p": 0.5, "training": True, "inplace": False},
    "relu": {"inplace": False},
    "silu": {"inplace": False},
    "sum": {"dim": None, "keepdim": False, "dtype": None},
    "mean": {"dim": None, "keepdim": False, "dtype": None},
    "cat": {"dim": 0},
    "masked_fill": {"mask": None, "value": None},
    "mse_loss": _REDUCING,
    "cross_entropy": _REDUCING,
    "scaled_dot_product_attention": {
        "attn_mask": None, "dropout_p": 0.0, "is_causal": False, "scale": None,
        "enable_gqa": False,
    },
}  # fmt: skip
"""What comes after the tensors that a function is of, with PyTorch's own values."""
_TAKES = {
    "linear": 2, "conv2d": 2, "matmul": 2, "bmm": 2, "mse_loss": 2, "cross_entropy": 2, "add": 2,
    "sub": 2, "mul": 2, "div": 2, "pow": 2, "__rsub__": 2, "eq": 2, "ne": 2, "where": 3,
    "scaled_dot_product_attention": 3,
}  # fmt: skip
"""Arguments before those; 1 if not listed."""
_ALSO = {
    "true_divide": "div", "divide": "div", "absolute": "abs", "__matmul__": "matmul",
    "multiply": "mul", "subtract": "sub", "negative": "neg", "concat": "cat",
    "concatenate": "cat", "bitwise_not": "logical_not", "__invert__": "logical_not", "not_equal":
    "ne", "__eq__": "eq", "__ne__": "ne", "__rmul__": "mul", "__radd__": "add",
}  # fmt: skip
_UNARY = (
    "tanh", "relu", "sigmoid", "sin", "cos", "silu", "exp", "erf", "abs",
    "square", "sqrt", "sign",
)  # fmt: skip
_VIEWS = {
    "reshape", "view", "flatten", "unflatten", "transpose", "permute", "chunk", "split", "unbind",
    "select", "narrow", "squeeze", "unsqueeze", "expand", "movedim", "swapaxes", "swapdims", "t",
    "tensor_split", "__getitem__", "contiguous", "expand_as", "view_as", "reshape_as",
}  # fmt: skip
_ASKS = {
    "size", "dim", "ndimension", "numel", "nelement", "__len__", "stride", "is_contiguous",
    "is_floating_point", "is_complex", "get_device", "__get__",
}  # fmt: skip
"""They return no tensor."""
_FROM_NOTHING = {"ones", "zeros", "full", "arange", "eye", "tensor", "linspace"}
_OF_FIXED = {
    "tril", "triu", "eq", "ne", "lt", "le", "gt", "ge", "logical_not", "bitwise_not", "__invert__",
    "to", "bool", "float", "double", "add", "sub", "mul", "div", "true_divide", "pow", "neg", "exp",
    "sin", "cos", "log", "sqrt", "outer", "cat", "stack", "masked_fill", "__rsub__", "__rdiv__",
    "__rpow__", "__eq__", "__lt__", "__le__", "__gt__", "__ge__", *_VIEWS,
}  # fmt: skip
"""What may be done with tensors made from nothing, which needs no node."""
_LIKE = {"to", "float", "double", "type_as"}


def lower(values: Values, call: Call) -> None:
    """Add the nodes of one call.

    Raises:
        Unknown: the call has no node.
    """
    name = _ALSO.get(call.name, call.name)
    if _is_fixed(values, call):
        options = {n: v for n, v in call.options.items() if n != "device"}
        made = call.function(*_with_values(values, call.args), **_with_values(values, options))
        for tensor, numbers in zip(_tensors(call.made), _tensors(made), strict=True):
            values.fixed[id(tensor)] = numbers
        return
    if name == "__get__" and call.function.__self__ in (Tensor.T, Tensor.mT):
        name = "transpose"
    elif name in _ASKS:
        if _tensors(call.made):
            raise Unknown(f"{call.function.__self__.__name__} has no node")
        return
    if name in _VIEWS:
        for tensor, value in zip(_tensors(call.made), _viewed(values, name, call), strict=True):
            values.known[id(tensor)] = value
        return
    if name not in _KNOWN or not call.args:
        raise Unknown(f"{name or 'a call'} has no node")
    takes = _TAKES.get(name, 1)
    first, rest = call.args[:takes], call.args[takes:]
    usual = ARGUMENTS.get(name, {})
    given = dict(zip(usual, rest, strict=False)) | dict(call.options)
    odd = [n for n in given if n not in usual and not _usual(n, given[n])]
    if odd or len(rest) > len(usual) or len(first) < takes:
        raise Unknown(f"{name} with {', '.join(odd) or 'other arguments'}")
    made = _KNOWN[name](values, name, call, first, {**usual, **given})
    if made.shape != call.made.shape:
        raise Unknown(f"{name} of these shapes")
    values.known[id(call.made)] = made


def has_node(call: Call) -> bool:
    """Whether anything is known of a function."""
    name = _ALSO.get(call.name, call.name)
    return name in _KNOWN or name in _VIEWS | _ASKS | _FROM_NOTHING | _OF_FIXED


def asks_for_sizes(call: Call) -> bool:
    """Whether a call may tell the network how many samples there are."""
    if call.name == "__get__":
        return isinstance(call.made, torch.Size | int) and not isinstance(call.made, bool)
    return call.name in _ASKS


def _usual(option: str, value: Any) -> bool:
    return (option, value) in (("alpha", 1), ("rounding_mode", None), ("out", None))


def _tensors(made: Any) -> list[Tensor]:
    parts = made if isinstance(made, tuple | list) else [made]
    return [p for p in parts if isinstance(p, Tensor)]


def _is_fixed(values: Values, call: Call) -> bool:
    """Whether a call makes the same tensor whatever the samples and parameters."""
    parts = [p for a in (*call.args, *call.options.values()) for p in _tensors(a)]
    if not parts:
        return call.name in _FROM_NOTHING
    return call.name in _OF_FIXED and all(id(p) in values.fixed for p in parts)


def _with_values(values: Values, given: Any) -> Any:
    """Put tensors with values in the place of those without."""
    if isinstance(given, Mapping):
        return {n: _with_values(values, v) for n, v in given.items()}
    if isinstance(given, tuple | list) and not isinstance(given, torch.Size):
        return type(given)(_with_values(values, v) for v in given)
    return values.fixed[id(given)] if isinstance(given, Tensor) else given


def _viewed(values: Values, name: str, call: Call) -> list[Value]:
    value = values.seen_anyhow(call.args[0])
    rest, options = call.args[1:], call.options
    parts = [p for a in (*rest, *options.values()) for p in _tensors(a)]
    if name.endswith("_as"):
        rest = (parts[0].shape,)
        function: Callable[..., Any] = getattr(Tensor, name.removesuffix("_as"))
    elif parts:
        raise Unknown(f"{name} by a tensor")
    else:
        function = call.function
    made = function(value.seen, *rest, **options)
    if not all(_shares(m, value.seen) for m in _tensors(made)):
        value = values.copied(values.of(call.args[0]))
        made = function(value.seen, *rest, **options)
    if not all(_shares(m, value.seen) for m in _tensors(made)):
        raise Unknown(f"{name} that picks numbers")
    return [values.viewed(name, value, m) for m in _tensors(made)]


def _shares(a: Tensor, b: Tensor) -> bool:
    return bool(a.untyped_storage()._cdata == b.untyped_storage()._cdata)


Handler = Callable[[Values, str, Call, tuple[Any, ...], dict[str, Any]], Value]


def _optional(values: Values, tensor: Tensor | None) -> Value | None:
    return None if tensor is None else values.of(tensor)


def _one_value(values: Values, name: str, call: Call, args: Any, given: Any) -> Value:
    if given.get("inplace"):
        raise Unknown(f"{name} with inplace")
    if name == "gelu" and given["approximate"] == "tanh":
        name = "gelu_tanh"
    return unary(values, name, values.of(args[0]))


def _same(values: Values, name: str, call: Call, args: Any, given: Any) -> Value:
    if name == "dropout" and given["training"] and given["p"]:
        raise Unknown("dropout in training mode has no node")
    # Between kinds of floating point there is rounding.
    if name in _LIKE and args[0].dtype not in (torch.bool, call.made.dtype):
        raise Unknown(f"{name} of another dtype")
    if name in _LIKE and not call.made.dtype.is_floating_point:
        raise Unknown(f"{name} of another dtype")
    return values.of(args[0])


def _two_values(values: Values, name: str, call: Call, args: Any, given: Any) -> Value:
    x, y = args
    if isinstance(y, int | float):
        return with_number(values, name, values.of(x), float(y))
    if isinstance(x, int | float):
        name = {"sub": "__rsub__"}.get(name, name)
        if name == "div":
            raise Unknown("a number divided by a value")
        return with_number(values, name, values.of(y), float(x))
    if name == "__rsub__":
        x, y, name = y, x, "sub"
    return binary(values, name, values.of(x), values.of(y))


def _power(values: Values, name: str, call: Call, args: Any, given: Any) -> Value:
    kinds = {2.0: "square", 0.5: "sqrt"}
    if isinstance(args[1], Tensor) or float(args[1]) not in kinds:
        raise Unknown("pow of other than 2 or 1/2")
    return unary(values, kinds[float(args[1])], values.of(args[0]))


def _fill(values: Values, name: str, call: Call, args: Any, given: Any) -> Value:
    x, mask, number = args[0], given.get("mask"), given.get("value")
    if name == "where":
        mask, x, number = args
        mask = compared(values, "eq", values.of(mask), 0.0) if isinstance(mask, Tensor) else mask
    elif isinstance(mask, Tensor):
        mask = values.of(mask)
    number = _number(values, number)
    if number is None or not isinstance(mask, Value) or not isinstance(x, Tensor):
        raise Unknown(f"{name} by what is not a number")
    return binary(values, "fill", values.of(x), mask, number)


def _number(values: Values, number: Any) -> float | None:
    if isinstance(number, Tensor) and id(number) in values.fixed and number.numel() == 1:
        return float(values.fixed[id(number)].item())
    return float(number) if isinstance(number, int | float) else None


def _compare(values: Values, name: str, call: Call, args: Any, given: Any) -> Value:
    number = 0.0 if name == "logical_not" else _number(values, args[1])
    if number is None or (name == "logical_not" and args[0].dtype != torch.bool):
        raise Unknown(f"{name} of what is not a number")
    name = "eq" if name == "logical_not" else name
    return compared(values, name, values.of(args[0]), number)


def _attention(values: Values, name: str, call: Call, args: Any, given: Any) -> Value:
    q, k, v = (values.of(a) for a in args)
    if given["dropout_p"] or given["enable_gqa"]:
        raise Unknown("scaled_dot_product_attention with dropout or groups")
    scale = given["scale"] if given["scale"] is not None else 1 / math.sqrt(q.shape[-1])
    turned = Value(k.node, k.seen.mT)
    weight = products.matmul(values, q, turned, name)
    weight = with_number(values, "mul", weight, float(scale))
    mask = given["attn_mask"]
    if mask is not None and mask.dtype == torch.bool:
        hidden = compared(values, "eq", values.of(mask), 0.0)
        weight = binary(values, "fill", weight, hidden, -math.inf)
    elif mask is not None:
        weight = binary(values, "add", weight, values.of(mask))
    return products.matmul(values, softmax(values, weight, causal=given["is_causal"]), v, name)


def _mse(values: Values, name: str, call: Call, args: Any, given: Any) -> Value:
    _plain_mean(name, given)
    apart = binary(values, "sub", values.of(args[0]), values.of(args[1]))
    return reduced(values, "mean", unary(values, "square", apart), None, False)


def _entropy(values: Values, name: str, call: Call, args: Any, given: Any) -> Value:
    _plain_mean(name, given)
    return cross_entropy(values, values.of(args[0]), values.of(args[1]))


def _plain_mean(name: str, given: Mapping[str, Any]) -> None:
    odd = [n for n, v in _REDUCING.items() if given[n] != v]
    if odd:
        raise Unknown(f"{name} with {', '.join(odd)}")


def _norm(values: Values, name: str, call: Call, args: Any, given: Any) -> Value:
    gain, shift = _optional(values, given["weight"]), _optional(values, given.get("bias"))
    eps = torch.finfo(args[0].dtype).eps if given["eps"] is None else given["eps"]
    axes = len(given["normalized_shape"])
    return norm(values, name, values.of(args[0]), axes, gain, shift, float(eps))


def _softmax(values: Values, name: str, call: Call, args: Any, given: Any) -> Value:
    x = values.of(args[0])
    if given["dtype"] is not None or given["dim"] not in (-1, x.seen.ndim - 1):
        raise Unknown("softmax over other than the last axis")
    return softmax(values, x)


def _reduce(values: Values, name: str, call: Call, args: Any, given: Any) -> Value:
    if given["dtype"] is not None:
        raise Unknown(f"{name} with dtype")
    return reduced(values, name, values.of(args[0]), given["dim"], given["keepdim"])


def _cat(values: Values, name: str, call: Call, args: Any, given: Any) -> Value:
    parts = [values.of(p) for p in args[0]]
    dim = given["dim"] % parts[0].seen.ndim
    whole = parts[0]
    for part in parts[1:]:
        each = values.each(whole)
        if values.each(part) != each or (dim == 0 and each) or part.seen.ndim != whole.seen.ndim:
            raise Unknown("cat of samples, or with a parameter")
        shape = list(whole.shape)
        shape[dim] += part.shape[dim]
        uses = [values.plain(whole), values.plain(part)]
        whole = values.new("cat", uses, shape, each=each, cols=math.prod(shape[dim:]))
    return whole


_KNOWN: dict[str, Handler] = {
    **dict.fromkeys(_UNARY, _one_value),
    "gelu": _one_value,
    "neg": lambda values, name, call, args, given: with_number(
        values, "mul", values.of(args[0]), -1.0
    ),
    **dict.fromkeys(("add", "sub", "mul", "div", "__rsub__"), _two_values),
    "pow": _power,
    **dict.fromkeys(("masked_fill", "where"), _fill),
    **dict.fromkeys(("eq", "ne", "logical_not"), _compare),
    **dict.fromkeys(("dropout", *_LIKE), _same),
    "linear": lambda values, name, call, args, given: products.linear(
        values, values.of(args[0]), values.of(args[1]), _optional(values, given["bias"])
    ),
    **dict.fromkeys(
        ("matmul", "bmm"),
        lambda values, name, call, args, given: products.matmul(
            values, values.of(args[0]), values.of(args[1]), name
        ),
    ),
    "scaled_dot_product_attention": _attention,
    "softmax": _softmax,
    **dict.fromkeys(("layer_norm", "rms_norm"), _norm),
    **dict.fromkeys(("sum", "mean"), _reduce),
    "cat": _cat,
    "mse_loss": _mse,
    "cross_entropy": _entropy,
    "conv2d": lambda values, name, call, args, given: pictures.convolution(
        values, values.of(args[0]), values.of(args[1]), _optional(values, given.pop("bias")),
        **given,
    ),
    **dict.fromkeys(
        ("max_pool2d", "avg_pool2d"),
        lambda values, name, call, args, given: pictures.pool(
            values, name, values.of(args[0]), given
        ),
    ),
}  # fmt: skip
