"""One network's model, loss and data as an objective of one lane, once they have been checked.

A model is called as a function of its parameters (`torch.func.functional_call`), so that residual,
attention and tied networks need nothing special, and neither the model nor its gradients, its
buffers or PyTorch's global generator are changed. A parameter that several modules share is one
parameter. Attention is computed by its formula, since its fast kernels have no second derivative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments import checks
from chymist.instruments.calling import called
from chymist.instruments.objective import Data, Loss, Objective, Piece, together
from chymist.instruments.second_derivatives import FasterSecondDerivatives


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

    `loss(model(x), y)` is one number, and what is measured follows it as it is: the curvature of a
    sum over n samples is n times that of their mean. Parameters with requires_grad False are
    constants; `only` names others to keep (names or patterns such as "layers.0.*", as in
    `named_parameters`). With `samples_at_once` the data are passed through so many at a time, which
    bounds the memory; the loss must then be a mean over samples, which is checked. `dtype` computes
    in another precision, on a copy. Cost: two forward passes of checks, and a few parts more with
    `samples_at_once`.

    Raises:
        MovingTarget: the model or the loss draws random numbers, or keeps a state.
        CannotMeasure: there is nothing to differentiate by; dtypes or devices are mixed; there are
            no samples; a tensor is not finite; the loss is not one number.
        BadParameter: a pattern matches no parameter, or samples_at_once is no positive number.
    """
    checks.still(model)
    trained = checks.chosen(model, only)
    others = {n: t.detach() for n, t in checks.states(model).items() if n not in trained}
    x, y = data if isinstance(data, tuple | list) and len(data) == 2 else (None, None)
    if not isinstance(y, Tensor):
        raise CannotMeasure("the data are not a pair of tensors", "give (x, y)")
    given = checks.inputs(x)
    checks.consistent({**trained, **others}, {**given, "the target y": y})
    samples = checks.samples({**given, "the target y": y})
    if samples_at_once is not None and samples_at_once < 1:
        raise BadParameter(f"samples_at_once is {samples_at_once}", "it must be 1 or more")

    cast = partial(checks.cast, dtype=dtype)
    state = {n: cast(t) for n, t in others.items()}
    y = cast(y)

    def piece(first: int, last: int) -> Piece:
        part = checks.mapped(lambda t: cast(t[first:last]), x)
        goal = y[first:last]

        def outputs(parameters: Mapping[str, Tensor]) -> Any:
            own = {n: p[0] for n, p in parameters.items()}
            # Buffers are copied, so that a model that keeps a state cannot change its own.
            rest = {n: t.clone() for n, t in state.items()}
            with FasterSecondDerivatives():
                return called(model, {**own, **rest}, part)

        def losses(out: Any) -> Tensor:
            return checks.one_number(loss(out, goal)).reshape(1)

        def each(out: Any) -> Tensor:
            return sample_losses(loss, out, goal)

        return Piece(outputs, losses, (last - first) / samples, each)

    step = samples_at_once or samples
    pieces = tuple(piece(a, min(a + step, samples)) for a in range(0, samples, step))
    stacked = {n: cast(p).detach()[None] for n, p in trained.items()}
    made = Objective(stacked, pieces, together(stacked, min(step, samples)))

    def whole() -> list[Tensor]:
        if len(pieces) == 1 and "begun" not in vars(made):
            return [made.begun[2].detach().sum()]  # Kept: it is differentiated later.
        return [torch.stack([p.share * _value(made, p) for p in made.pieces]).sum()]

    (first,) = checks.still_by_trial(
        whole, made.like, "the loss was {first:.6g} and then {again:.6g} on the same data",
        "the model and the loss",
    )  # fmt: skip
    if not bool(first.isfinite()):
        raise CannotMeasure(
            f"the loss is {float(first)}", "curvature is defined at finite values only"
        )
    if len(pieces) > 1:
        _mean(made, piece(0, min(2 * step, samples)))
    return made


def fixed(model: nn.Module, x: Any) -> int:
    """Return the number of samples of inputs, once the model stands still and both are sound.

    Raises:
        MovingTarget: the model draws random numbers, or takes statistics from the batch.
        CannotMeasure: there are no samples; dtypes or devices are mixed; a tensor is not finite.
    """
    checks.still(model)
    given = checks.inputs(x)
    checks.consistent(checks.states(model) or given, given)
    return checks.samples(given)


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
    one = torch.vmap(lambda o, g: checks.one_number(loss(o[None], g[None])))
    return torch.as_tensor(one(out, goal))[None]


def _value(made: Objective, piece: Piece) -> Tensor:
    # With a gradient, as later: some modules compute otherwise without.
    return made.forward(piece)[2].detach()


def _mean(made: Objective, joined: Piece) -> None:
    """Check on the first two pieces, and on both joined, that the loss is a mean over samples."""
    first, second = made.pieces[:2]
    share = first.share + second.share
    sum_of_both = first.share * _value(made, first) + second.share * _value(made, second)
    apart, whole = float(sum_of_both) / share, float(_value(made, joined))
    if abs(whole - apart) > 1000 * torch.finfo(made.like.dtype).eps * abs(apart):
        raise CannotMeasure(
            f"the loss of samples together is {whole:.6g}, the mean over parts {apart:.6g}",
            'samples_at_once needs a loss that is a mean over samples, as reduction="mean"',
        )
