"""Products of curvature with vectors, from graphs of gradients by double backward.

A graph that is kept between products costs one gradient evaluation to make; a product is then one
double backward pass: the arithmetic of two gradient evaluations, and measured on a CPU 1.0 to 1.8
times the time of one. Forward over reverse took 2 to 3 times as long. With several pieces of data
the graphs are made anew for every block of vectors, one gradient evaluation more.

Memory: about three times what a gradient evaluation holds, of one piece of the samples.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from chymist.errors import CannotMeasure
from chymist.instruments.objective import Gradient, Objective, Piece
from chymist.instruments.operators import Block, Operator
from chymist.instruments.second_derivatives import OWN

Product = Callable[[Tensor, bool], tuple[Tensor, ...]]
"""(a row (lane, parameter), whether several are stacked before it) -> its product's parts."""


def by_pieces(
    objective: Objective,
    product: Callable[[Piece, Gradient], Product],
) -> Operator:
    """Sum the pieces' products, each from its own graph; keep the graph if there is one piece."""
    kept = product(objective.pieces[0], objective.kept) if objective.kept else None

    def one_piece(multiply: Callable[..., Any], vectors: Block) -> Block:
        lanes, count = vectors.shape[:2]
        if objective.together and count > 1:
            made = multiply(vectors.movedim(1, 0), True)
            flat = torch.cat([m.reshape(count, lanes, -1) for m in made], dim=2)
            return flat.movedim(0, 1)
        rows = []
        for vector in vectors.unbind(1):
            made = multiply(vector, False)
            rows.append(torch.cat([m.reshape(lanes, 1, -1) for m in made], dim=2))
        return rows[0] if count == 1 else torch.cat(rows, dim=1)

    def multiply(vectors: Block) -> Block:
        if kept is not None:
            total = one_piece(kept, vectors)
        else:
            total = torch.zeros_like(vectors)
            for piece, graph in objective.graphs():
                total += piece.share * one_piece(product(piece, graph), vectors)
        return total

    return Operator(
        multiply,
        objective.lanes,
        objective.size,
        objective.like,
        objective.may_lose,
        remade=kept is None,
    )


def tensor_outputs(outputs: Any) -> Tensor:
    """Return a model's outputs if they are one tensor.

    Raises:
        CannotMeasure: they are not.
    """
    if not isinstance(outputs, Tensor):
        raise CannotMeasure(
            f"the model's output is of type {type(outputs).__name__}",
            "Gauss-Newton and Fisher need a tensor; the Hessian takes any",
        )
    return outputs


def jacobian_product(graph: Gradient, outputs: Tensor) -> Callable[[Any, bool], Tensor]:
    """Return v -> (d outputs / d parameters) v, by differentiating J^T u, linear in u, by u."""
    with torch.enable_grad():
        u = torch.zeros_like(outputs).requires_grad_()
        pulled = torch.autograd.grad(
            outputs, graph.leaves, u, create_graph=True, materialize_grads=True
        )
    moved = [i for i, p in enumerate(pulled) if p.requires_grad]

    def pushed(vector: Sequence[Tensor], batched: bool) -> Tensor:
        (out,) = backward(
            graph, [pulled[i] for i in moved], [vector[i] for i in moved], (u,), batched
        )
        return out

    return pushed


def backward(
    graph: Gradient,
    outputs: Sequence[Tensor],
    vectors: Sequence[Tensor],
    inputs: Sequence[Tensor],
    batched: bool,
) -> tuple[Tensor, ...]:
    """Pull vectors back through a kept graph; what does not depend on an input pulls zeros.

    Raises:
        CannotMeasure: an operation of the graph has no second derivative.
    """
    try:
        found = torch.autograd.grad(
            list(outputs),
            list(inputs),
            list(vectors),
            retain_graph=True,
            materialize_grads=True,
            allow_unused=True,
            is_grads_batched=batched,
        )
    except (RuntimeError, NotImplementedError) as error:
        raise _no_second_derivative(graph, error) or error from error
    if not batched:
        return found
    # Zeros of what nothing depends on come once, and not for each vector.
    return tuple(
        f.expand(len(vectors[0]), *i.shape) if f.ndim == i.ndim else f
        for f, i in zip(found, inputs, strict=True)
    )


def own_functions(graph: Gradient) -> set[str]:
    """Names of the custom autograd functions that a loss is made of, other than chymist's."""
    seen: set[Any] = set()
    names: set[str] = set()
    waiting = [graph.losses.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        custom = isinstance(node, torch.autograd.function.BackwardCFunction)
        if custom and getattr(node, "_forward_cls", None) not in OWN:
            names.add(type(node).__name__.removesuffix("Backward"))
        waiting.extend(following for following, _ in node.next_functions)
    return names


def _no_second_derivative(graph: Gradient, error: Exception) -> CannotMeasure | None:
    """Say which operation cannot be differentiated twice, if that is what was wrong."""
    said = str(error)
    missing = re.search(r"derivative for ['\"]?(?:aten::)?([\w.]+)['\"]? is not implemented", said)
    if missing:
        what = missing[1]
    elif "differentiate twice" in said or "once_differentiable" in said:
        what = ", ".join(sorted(own_functions(graph))) or "an operation of its own"
    else:
        return None
    return CannotMeasure(
        f"the loss is not twice differentiable: {what} has no second derivative",
        "replace it by PyTorch's elementary operations",
    )
