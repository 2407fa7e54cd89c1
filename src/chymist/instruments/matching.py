"""Hidden neurons of one network put in the order of another's, by their weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments.graphs import Step, steps
from chymist.instruments.networks import of_tensor


@dataclass(frozen=True, eq=False)
class Matching:
    """A network in another's order of neurons.

    `parameters` are the other's, by name, permuted: the same function. `orders` says by layer which
    of its neurons stands at each place. `similarity` is the inner product of both networks' weights
    afterwards, `before` that at first; `sweeps` is the cost.
    """

    parameters: dict[str, Tensor]
    orders: dict[str, Tensor]
    similarity: float
    before: float
    sweeps: int


def weight_matching(
    model: nn.Module, other: nn.Module, x: Tensor, *, sweeps: int = 100
) -> Matching:
    """Order the other network's hidden neurons so that its weights are nearest to the model's.

    For a chain of linear layers with activations between. Coordinate descent on the inner product
    of all weights and biases, one hidden layer at a time by linear assignment, until no order
    changes; begun both from the order as it is and from one matched layer by layer from the inputs,
    of which the better is kept. A permuted copy is returned exactly where no two neurons lead in
    alike. x are some inputs, for the trace of the forward pass. Shapes: an order (neuron,) a hidden
    layer. Unit of the similarity: weights squared. Cost: an assignment a layer and sweep, width^3;
    two forward passes of checks. Memory: a matrix of a layer's neurons, and a copy of the weights.
    Error: a local optimum, as the problem is NP-hard. Source: Ainsworth, Hayase, Srinivasa (2023),
    arXiv:2209.04836.

    Raises:
        BadParameter: sweeps is not positive.
        CannotMeasure: a model is not such a chain, both differ in shape, or share a weight between
            layers; see `of_tensor`.
        MovingTarget: see `of_tensor`.

    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> turned = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> order = torch.tensor([2, 0, 1])
    >>> with torch.no_grad():
    ...     _ = turned[0].weight.copy_(net[0].weight[order])
    ...     _ = turned[0].bias.copy_(net[0].bias[order])
    ...     _ = turned[2].weight.copy_(net[2].weight[:, order])
    ...     _ = turned[2].bias.copy_(net[2].bias)
    >>> weight_matching(net, turned, torch.ones(1, 2)).orders["0"]
    tensor([1, 2, 0])
    """
    if sweeps < 1:
        raise BadParameter(f"sweeps is {sweeps}", "1 or more")
    of_tensor(model, x)
    of_tensor(other, x)
    names, mine = _chain(model, x)
    others, theirs = _chain(other, x)
    here = [_shape(m) for m in mine]
    if names != others or here != [_shape(m) for m in theirs]:
        raise CannotMeasure(
            f"the networks differ: layers {', '.join(names)} and {', '.join(others)}",
            "matching needs two networks of one shape",
        )
    a, b = [_rows(m) for m in mine], [_rows(m) for m in theirs]
    still = [torch.arange(len(w)) for w, _ in b]
    before = _similarity(a, b, still)
    tries = [_descend(a, b, start, sweeps) for start in (still, _by_inputs(a, b))]
    orders, count = max(tries, key=lambda found: _similarity(a, b, found[0]))
    parameters = {n: p.detach().clone() for n, p in other.named_parameters()}
    own = {id(p): n for n, p in other.named_parameters()}
    for i, module in enumerate(theirs):
        into = orders[i - 1] if i else torch.arange(module.in_features)
        weight = module.weight.detach()
        parameters[own[id(module.weight)]] = weight[orders[i]][:, into].clone()
        if module.bias is not None:
            parameters[own[id(module.bias)]] = module.bias.detach()[orders[i]].clone()
    hidden = dict(zip(names[:-1], orders[:-1], strict=True))
    return Matching(parameters, hidden, _similarity(a, b, orders), before, count)


Layer = tuple[Tensor, Tensor]
"""The weight (out, in) and the bias (out,) of a layer, in float64."""


def _chain(model: nn.Module, x: Tensor) -> tuple[list[str], list[nn.Linear]]:
    found = steps(model, x)
    last: Step | None = None
    linear: list[Step] = []
    for step in found:
        follows = not step.sources if last is None else step.sources == (last.name,)
        allowed = step.kind not in ("convolution", "average", "sum")
        # A change of shape between layers would mix neurons.
        if not follows or not allowed or (step.kind == "shape" and linear and not _idle(step)):
            raise CannotMeasure(
                f"step {step.layer or step.name} is a {step.kind} beside the chain of layers",
                "matching is known for linear layers with activations between",
            )
        last = step
        if step.kind == "linear":
            linear.append(step)
    modules = [s.module for s in linear if isinstance(s.module, nn.Linear)]
    if len(modules) < 2:
        raise CannotMeasure(
            f"the model has {len(modules)} linear layers", "matching needs hidden neurons: two"
        )
    if len({id(m.weight) for m in modules}) < len(modules):
        raise CannotMeasure("two layers share a weight", "their neurons cannot be ordered apart")
    return [s.layer for s in linear], modules


def _idle(step: Step) -> bool:
    return isinstance(step.module, nn.Identity | nn.Dropout)


def _shape(module: nn.Linear) -> tuple[int, int, bool]:
    return module.out_features, module.in_features, module.bias is None


def _rows(module: nn.Linear) -> Layer:
    weight = module.weight.detach().double().cpu()
    bias = torch.zeros(len(weight)) if module.bias is None else module.bias.detach().cpu()
    return weight, bias.double()


def _by_inputs(a: list[Layer], b: list[Layer]) -> list[Tensor]:
    """Match layer by layer by incoming weights alone, which finds a permuted copy."""
    orders: list[Tensor] = []
    for i in range(len(a) - 1):
        into = orders[-1] if orders else torch.arange(a[0][0].shape[1])
        orders.append(_assigned(_incoming(a[i], b[i], into)))
    return [*orders, torch.arange(len(a[-1][0]))]


def _descend(
    a: list[Layer], b: list[Layer], start: list[Tensor], sweeps: int
) -> tuple[list[Tensor], int]:
    orders = list(start)
    done, changed = 0, True
    while changed and done < sweeps:
        done, changed = done + 1, False
        for i in range(len(a) - 1):
            into = orders[i - 1] if i else torch.arange(a[0][0].shape[1])
            gain = _incoming(a[i], b[i], into)
            gain = gain + a[i + 1][0].mT @ b[i + 1][0][orders[i + 1]]
            found = _assigned(gain)
            rows = torch.arange(len(found))
            better = gain[rows, found].sum() - gain[rows, orders[i]].sum()
            if better > 1e-12 * gain.abs().sum():
                orders[i], changed = found, True
    return orders, done


def _incoming(a: Layer, b: Layer, into: Tensor) -> Tensor:
    return a[0] @ b[0][:, into].mT + torch.outer(a[1], b[1])


def _assigned(gain: Tensor) -> Tensor:
    from scipy.optimize import linear_sum_assignment

    return torch.from_numpy(linear_sum_assignment(gain.numpy(), maximize=True)[1])


def _similarity(a: list[Layer], b: list[Layer], orders: list[Tensor]) -> float:
    total = 0.0
    for i, (weight, bias) in enumerate(a):
        into = orders[i - 1] if i else torch.arange(weight.shape[1])
        total += float((weight * b[i][0][orders[i]][:, into]).sum())
        total += float((bias * b[i][1][orders[i]]).sum())
    return total
