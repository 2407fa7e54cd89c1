"""One network's model, loss and data as an objective of one lane, once they have been checked.

A model is called as a function of its parameters (`torch.func.functional_call`), so that residual,
attention and tied networks need nothing special, and neither the model nor its gradients, its
buffers or PyTorch's global generator are changed. A parameter that several modules share is one
parameter. Attention is computed by its formula, since its fast kernels have no second derivative.
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from chymist.errors import BadParameter, CannotMeasure, MovingTarget, did_you_mean
from chymist.instruments.objective import Data, Loss, Objective, Piece, together


def objective(
    model: nn.Module,
    loss: Loss,
    data: Data,
    *,
    only: str | Sequence[str] | None = None,
    samples_at_once: int | None = None,
    dtype: torch.dtype | None = None,
) -> Objective:
    """Make a model, a loss and data (x, y) a function of the model's parameters: one lane.

    `loss(model(x), y)` is one number. Parameters with requires_grad False are constants; `only`
    names others to keep (names or patterns such as "layers.0.*", as in `named_parameters`). With
    `samples_at_once` the data are passed through so many at a time, which bounds the memory; the
    loss must then be a mean over samples, which is checked. `dtype` computes in another precision,
    on a copy. Cost: two forward passes of checks, and a few parts more with `samples_at_once`.

    Raises:
        MovingTarget: the model or the loss draws random numbers, or keeps a state.
        CannotMeasure: there is nothing to differentiate by; dtypes or devices are mixed; there are
            no samples; a tensor is not finite; the loss is not one number.
        BadParameter: a pattern matches no parameter, or samples_at_once is no positive number.
    """
    _still(model)
    trained = _chosen(model, only)
    others = {n: t.detach() for n, t in _states(model).items() if n not in trained}
    x, y = data if isinstance(data, tuple | list) and len(data) == 2 else (None, None)
    if not isinstance(y, Tensor):
        raise CannotMeasure("the data are not a pair of tensors", "give (x, y)")
    inputs = x.values() if isinstance(x, Mapping) else x if isinstance(x, tuple | list) else (x,)
    given = {f"input {i}" if i else "the input x": t for i, t in enumerate(inputs)}
    _consistent({**trained, **others}, {**given, "the target y": y})
    samples = _samples({**given, "the target y": y})
    if samples_at_once is not None and samples_at_once < 1:
        raise BadParameter(f"samples_at_once is {samples_at_once}", "it must be 1 or more")

    def cast(tensor: Tensor) -> Tensor:
        return tensor.to(dtype) if dtype and tensor.is_floating_point() else tensor

    state = {n: cast(t) for n, t in others.items()}
    y = cast(y)

    def piece(first: int, last: int) -> Piece:
        part = _mapped(lambda t: cast(t[first:last]), x)
        goal = y[first:last]

        def outputs(parameters: Mapping[str, Tensor]) -> Any:
            own = {n: p[0] for n, p in parameters.items()}
            # Buffers are copied, so that a model that keeps a state cannot change its own.
            rest = {n: t.clone() for n, t in state.items()}
            return called(model, {**own, **rest}, part)

        def losses(out: Any) -> Tensor:
            return _one_number(loss(out, goal)).reshape(1)

        def each(out: Any) -> Tensor:
            return sample_losses(loss, out, goal)

        return Piece(outputs, losses, (last - first) / samples, each)

    step = samples_at_once or samples
    pieces = tuple(piece(a, min(a + step, samples)) for a in range(0, samples, step))
    stacked = {n: cast(p).detach()[None] for n, p in trained.items()}
    made = Objective(stacked, pieces, together(stacked, min(step, samples)))
    _still_by_trial(made)
    if len(pieces) > 1:
        _mean(made, piece(0, min(2 * step, samples)))
    return made


def called(model: nn.Module, states: Mapping[str, Tensor], x: Any) -> Any:
    """Call a model as a function of its parameters and buffers, its attention by its formula."""
    args, words = _arguments(x)
    with sdpa_kernel(SDPBackend.MATH):
        return functional_call(model, dict(states), args, words)


def fixed(model: nn.Module, x: Any) -> int:
    """Return the number of samples of inputs, once the model stands still and both are sound.

    Raises:
        MovingTarget: the model draws random numbers, or takes statistics from the batch.
        CannotMeasure: there are no samples; dtypes or devices are mixed; a tensor is not finite.
    """
    _still(model)
    inputs = x.values() if isinstance(x, Mapping) else x if isinstance(x, tuple | list) else (x,)
    given = {f"input {i}" if i else "the input x": t for i, t in enumerate(inputs)}
    _consistent(_states(model) or given, given)
    return _samples(given)


def sample_losses(loss: Loss, out: Any, goal: Tensor) -> Tensor:
    """Every sample's own loss (1, sample), that of a batch which holds it alone.

    Raises:
        CannotMeasure: the model's output is no tensor with a row for each sample.
    """
    if not isinstance(out, Tensor) or len(out) != len(goal):
        raise CannotMeasure(
            "the model's output has no row for each sample",
            "per-sample losses need an output tensor (sample, ...)",
        )
    one = torch.vmap(lambda o, g: _one_number(loss(o[None], g[None])))
    return torch.as_tensor(one(out, goal))[None]


def _still(model: nn.Module) -> None:
    for name, module in model.named_modules():
        kind = type(module).__name__
        # Their base classes have no public names.
        random = isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0
        state = isinstance(module, nn.modules.batchnorm._NormBase) and (
            isinstance(module, nn.modules.batchnorm._BatchNorm) or module.track_running_stats
        )
        if module.training and (random or state):
            what = "draws random numbers" if random else "takes its statistics from the batch"
            raise MovingTarget(
                f"{kind} {name or 'itself'} is in training mode and {what}: a moving target",
                "call model.eval() before measuring, and model.train() after",
            )


def _states(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _chosen(model: nn.Module, only: str | Sequence[str] | None) -> dict[str, Tensor]:
    every: dict[str, Tensor] = dict(model.named_parameters())
    trained = {n: p for n, p in every.items() if p.requires_grad}
    if only is not None:
        patterns = [only] if isinstance(only, str) else list(only)
        for pattern in patterns:
            if not fnmatch.filter(every, pattern):
                hint = did_you_mean(pattern, every)
                raise BadParameter(f"no parameter is called {pattern!r}", hint)
            if not fnmatch.filter(trained, pattern):
                raise BadParameter(
                    f"parameter {pattern} has requires_grad False",
                    "call requires_grad_() on it to differentiate by it",
                )
        trained = {n: p for n, p in trained.items() if any(fnmatch.fnmatch(n, o) for o in patterns)}
    if not trained:
        raise CannotMeasure(
            f"{type(model).__name__} has no parameter with requires_grad True",
            "curvature needs at least one: call requires_grad_()",
        )
    return trained


def _consistent(states: Mapping[str, Tensor], data: Mapping[str, Any]) -> None:
    first, parameter = next(iter(states.items()))
    for name, tensor in {**states, **data}.items():
        what = f"parameter {name}" if name in states else name
        if not isinstance(tensor, Tensor):
            kind = type(tensor).__name__
            raise CannotMeasure(f"{what} is of type {kind}", "a tensor is needed")
        if tensor.device != parameter.device:
            raise CannotMeasure(
                f"{what} is on {tensor.device} and parameter {first} on {parameter.device}",
                "move both to one device",
            )
        if tensor.is_floating_point() and tensor.dtype != parameter.dtype:
            raise CannotMeasure(
                f"{what} is {tensor.dtype} and parameter {first} is {parameter.dtype}",
                "convert one of them: x.to(dtype) or model.to(dtype)",
            )
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            bad = int((~tensor.isfinite()).sum())
            raise CannotMeasure(
                f"{what} has {bad} of {tensor.numel()} values that are not finite",
                "a measurement needs finite values",
            )


def _samples(data: Mapping[str, Tensor]) -> int:
    counts = {name: len(t) if t.ndim else 0 for name, t in data.items()}
    for name, count in counts.items():
        if count == 0:
            raise CannotMeasure(f"{name} has no samples", "give at least one along dimension 0")
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise CannotMeasure(f"numbers of samples differ: {told}", "give one target a sample")
    return next(iter(counts.values()))


def _mapped(function: Callable[[Tensor], Tensor], x: Any) -> Any:
    if isinstance(x, Mapping):
        return {n: function(t) for n, t in x.items()}
    return tuple(function(t) for t in x) if isinstance(x, tuple | list) else function(x)


def _arguments(x: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(x, Mapping):
        return (), dict(x)
    return (x if isinstance(x, tuple) else (x,)), {}


def _one_number(value: Any) -> Tensor:
    if not isinstance(value, Tensor) or value.numel() != 1:
        found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise CannotMeasure(
            f"the loss has shape {found} rather than one number"
            if isinstance(value, Tensor)
            else f"the loss is of type {found} rather than a tensor of one number",
            'reduce it, as with reduction="mean"',
        )
    return value.reshape(())


def _value(made: Objective, piece: Piece) -> float:
    # With a gradient, as later: some modules compute otherwise without.
    leaves = {n: p.detach().requires_grad_() for n, p in made.parameters.items()}
    with torch.enable_grad():
        return float(piece.losses(piece.outputs(leaves)).detach())


def _still_by_trial(made: Objective) -> None:
    """Evaluate twice: what moves is refused, and leaves no trace in PyTorch's generators."""
    devices = [made.like.device] if made.like.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        first, again = (sum(p.share * _value(made, p) for p in made.pieces) for _ in range(2))
    if not math.isfinite(first):
        raise CannotMeasure(f"the loss is {first}", "curvature is defined at finite values only")
    if abs(first - again) > 100 * torch.finfo(made.like.dtype).eps * abs(first):
        raise MovingTarget(
            f"the loss was {first:.6g} and then {again:.6g} on the same data: a moving target",
            "call model.eval(), and take random numbers out of the model and the loss",
        )


def _mean(made: Objective, joined: Piece) -> None:
    """Check on the first two pieces, and on both joined, that the loss is a mean over samples."""
    first, second = made.pieces[:2]
    share = first.share + second.share
    apart = (first.share * _value(made, first) + second.share * _value(made, second)) / share
    whole = _value(made, joined)
    if abs(whole - apart) > 1000 * torch.finfo(made.like.dtype).eps * abs(apart):
        raise CannotMeasure(
            f"the loss of samples together is {whole:.6g}, the mean over parts {apart:.6g}",
            'samples_at_once needs a loss that is a mean over samples, as reduction="mean"',
        )
