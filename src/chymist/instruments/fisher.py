"""Fisher matrices: empirical, and of targets drawn from the model."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments.objective import Gradient, Loss, Objective, Piece
from chymist.instruments.operators import Operator
from chymist.instruments.products import (
    Product,
    backward,
    by_pieces,
    jacobian_product,
    tensor_outputs,
)
from chymist.keys import Key

Sampler = Callable[[Tensor, torch.Generator], Tensor]
"""(outputs, generator) -> targets drawn from the model's own distribution."""


def empirical_fisher(objective: Objective) -> Operator:
    """Mean over samples of g_i g_i^T, g_i the gradient of sample i's own loss at its own target.

    Sample i's loss is the loss of a batch that holds it alone, and the mean is over all samples,
    whatever the loss's own reduction. Shape: an operator on (lane, vector, parameter). Unit: of the
    loss squared over the parameters' squared. Positive semidefinite. It is neither the Fisher
    matrix nor an approximation of it far from the optimum (Kunstner, Hennig, Balles, 2019,
    arXiv:1905.12558, the source of the definition). Cost: two gradient evaluations a product.
    Memory: a gradient's graph. Error: rounding.

    Raises:
        CannotMeasure: per-sample losses are not known.

    Of a line w x at w = 0 with targets 1, g_i = -x_i:

    >>> from chymist.instruments.one_network import objective
    >>> x, line = torch.tensor([[1.0], [3.0]]), torch.nn.Linear(1, 1, bias=False)
    >>> _ = torch.nn.init.zeros_(line.weight)
    >>> half = lambda out, y: 0.5 * (out - y).square().mean()
    >>> F = empirical_fisher(objective(line, half, (x, torch.ones(2, 1))))
    >>> F(torch.ones(1, 1, 1))
    tensor([[[5.]]])
    """

    def product(piece: Piece, graph: Gradient) -> Product:
        if piece.each is None:
            raise CannotMeasure(
                "the losses of single samples are not known here", "measure one network's model"
            )
        with torch.enable_grad():
            each = piece.each(graph.outputs)
        forward = jacobian_product(graph, each)

        def multiply(vector: Tensor, batched: bool) -> tuple[Tensor, ...]:
            pushed = forward(objective.split(vector), batched) / each.shape[1]
            return backward(graph, [each], [pushed], graph.leaves, batched)

        return multiply

    return by_pieces(objective, product)


def categorical(outputs: Float[Tensor, "sample class"], generator: torch.Generator) -> Tensor:
    """Draw classes from the softmax of logits: the model behind cross-entropy."""
    chances = outputs.detach().double().softmax(-1).cpu()
    drawn = torch.multinomial(chances.flatten(0, -2), 1, generator=generator)
    return drawn.view(outputs.shape[:-1]).to(outputs.device)


def gaussian(outputs: Tensor, generator: torch.Generator) -> Tensor:
    """Draw targets of unit variance about the outputs: the model behind half the squared error."""
    noise = torch.randn(outputs.shape, generator=generator, dtype=torch.float64)
    return outputs.detach() + noise.to(outputs)


def monte_carlo_fisher(
    objective: Objective,
    loss: Loss,
    sampler: Sampler,
    *,
    draws: int = 1,
    key: Key | None = None,
) -> Operator:
    """Fisher matrix: mean over samples and draws of g g^T, g at a target drawn from the model.

    g is the gradient of the loss of one sample at a target of `sampler` (`categorical` for
    cross-entropy, `gaussian` for half the squared error summed over outputs); targets are drawn
    once, from `key`. Its expectation is the true Fisher matrix, which equals `gauss_newton` for
    these losses. One network only. Shape: an operator on (lane, vector, parameter). Unit: of the
    loss squared over the parameters' squared. Cost: two gradient evaluations a product, times
    draws. Memory: a gradient's graph, and the targets. Error: a relative 1/sqrt(samples x draws).
    Source: Martens (2020), JMLR 21, arXiv:1412.1193.

    Raises:
        BadParameter: draws is not positive.
        CannotMeasure: there are several lanes, or the outputs are no tensor.

    >>> from chymist.instruments.one_network import objective
    >>> x, line = torch.ones(4000, 1), torch.nn.Linear(1, 1, bias=False)
    >>> half = lambda out, y: 0.5 * (out - y).square().sum(-1).mean()
    >>> F = monte_carlo_fisher(objective(line, half, (x, x)), half, gaussian)
    >>> bool(abs(F(torch.ones(1, 1, 1)).item() - 1) < 0.1)  # the true Fisher matrix is 1
    True
    """
    if draws < 1:
        raise BadParameter(f"draws is {draws}", "it must be 1 or more")
    if objective.lanes > 1:
        raise CannotMeasure("a sampled Fisher matrix takes one network", "measure lane by lane")
    key = key or Key("instruments", "fisher", 0, "targets")
    generator = key.torch()
    one = torch.vmap(lambda out, goal: loss(out[None], goal[None]).reshape(()))
    targets: dict[int, list[Tensor]] = {}
    for piece, graph in objective.graphs():
        z = tensor_outputs(graph.outputs)
        targets[id(piece)] = [sampler(z, generator) for _ in range(draws)]

    def product(piece: Piece, graph: Gradient) -> Product:
        z = tensor_outputs(graph.outputs)
        with torch.enable_grad():
            each = torch.stack([one(z, goal) for goal in targets[id(piece)]])
        forward = jacobian_product(graph, each)

        def multiply(vector: Tensor, batched: bool) -> tuple[Tensor, ...]:
            pushed = forward(objective.split(vector), batched) / each.numel()
            return backward(graph, [each], [pushed], graph.leaves, batched)

        return multiply

    return by_pieces(objective, product)
