"""Path norms: sums over all paths through a network, and the Barron norm of two layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments.graphs import steps
from chymist.instruments.networks import of_snapshot, of_tensor
from chymist.instruments.snapshot import Instrument, Snapshot

_KNOWN = {"input", "output", "linear", "convolution", "average", "shape", "sum"}
_POSITIVE = {"relu", "leaky relu", "abs"}
"""Activations that leave positive numbers as they are."""


def path_norm(model: nn.Module, x: Tensor, p: int = 1, **options: Any) -> Tensor:
    """Path norm of a ReLU network: (sum over paths of the product of |weights|^p along it)^1/p.

    Over all paths from an input, or a bias, to an output, all outputs together. Exact: the sum is
    what the network with |w|^p for w gives on ones (and absolute values for negative parts). x are
    some inputs, whose shape alone counts. Sums of branches, average pooling and convolutions are
    known; a mean's weights count to the power p too, so that with p = 2 average pooling is refused.
    All parameters count, trained or not. Shape: a number, float64. Unit: of the weights to the
    power of the layers. `options` go to `of_tensor`. Cost: three forward passes. Memory: a copy of
    the weights in float64. Error: rounding. Source: Neyshabur, Tomioka, Srebro (2015),
    arXiv:1503.00036.

    Raises:
        BadParameter: p is not 1 or 2.
        CannotMeasure: a step of the forward pass is not known, or no ReLU; see `of_tensor`.
        MovingTarget: see `of_tensor`.

    >>> net = nn.Sequential(nn.Linear(2, 3, bias=False), nn.ReLU(), nn.Linear(3, 1, bias=False))
    >>> with torch.no_grad():
    ...     _ = net[0].weight.fill_(-2.0), net[2].weight.fill_(1.0)
    >>> path_norm(net, torch.ones(1, 2))  # six paths
    tensor(12., dtype=torch.float64)
    """
    _power(p)
    of_tensor(model, x, **options)
    for step in steps(model, x):
        if step.kind not in _KNOWN | _POSITIVE or (step.kind == "average" and p == 2):
            raise CannotMeasure(
                f"step {step.layer or step.name} is a {step.kind}, and has no path norm (p = {p})",
                "known: linear layers, convolutions, ReLU, sums, changes of shape",
            )
    own = {n: w.detach().double().abs() ** p for n, w in model.named_parameters()}
    ones = torch.ones_like(x[:1], dtype=torch.float64)
    with torch.no_grad():
        total: Tensor = functional_call(model, own, (ones,)).sum()
    return total ** (1 / p)


def training_path_norm(p: int = 1, name: str = "path_norm") -> Instrument:
    """Return an instrument that records `path_norm` of every lane.

    What a network is made of is not known here, so that a necessary condition is tried instead: on
    positive inputs the network of |w|^p must be affine, as ReLU networks are; a network that
    subtracts branches is not told from one that adds them. Shape: (lane,), float64. Unit: see
    `path_norm`. Cost: four forward passes on one sample. Memory: a copy of the weights. Error:
    rounding. Source: Neyshabur, Tomioka, Srebro (2015), arXiv:1503.00036.

    Raises:
        BadParameter: p is not 1 or 2.
        CannotMeasure: at the recording, if the network is not affine there.

    >>> training_path_norm(2).long_name
    'path norm, p = 2'
    """
    _power(p)

    def measure(snapshot: Snapshot) -> Tensor:
        made = of_snapshot(snapshot)
        own = {n: w.detach().abs() ** p for n, w in made.parameters.items()}
        ones = torch.ones_like(made.x[..., :1, :])
        ramp = torch.linspace(0.5, 2.0, ones.shape[-1]).to(ones).expand_as(ones)

        def total(x: Tensor) -> Tensor:
            return made.rows(own, x).double().flatten(1).sum(1)

        value, zero = total(ones), total(0 * ones)
        both = total(ones + ramp) + zero - value - total(ramp)
        limit = 100 * torch.finfo(made.x.dtype).eps * value.abs()
        if bool((both.abs() > limit).any()):
            raise CannotMeasure(
                "the network of absolute weights is not affine on positive inputs",
                "the path norm is of networks of linear layers and ReLU",
            )
        return value ** (1 / p)

    return Instrument(name, measure, long_name=f"path norm, p = {p}")


def barron_norm(model: nn.Module, x: Tensor, *, inner: int = 1, **options: Any) -> Tensor:
    """Barron norm of a ReLU network of two layers, by its weights: sum_k |a_k| (|b_k| + |c_k|).

    Of f(x) = sum_k a_k relu(<b_k, x> + c_k): |b_k| is the l1 or (`inner` 2) l2 norm of neuron k's
    input weights, c_k its bias, |a_k| the l2 norm over outputs; the output's bias does not count.
    No factor 1/m: a network written as a mean over m neurons has it in a_k. An upper bound of the
    function's own Barron norm, the least over all networks for it. Shape: a number, float64. Unit:
    of the weights squared. `options` go to `of_tensor`. Cost: two forward passes. Memory: the
    weights. Error: rounding. Source: E, Ma, Wu (2019), arXiv:1906.08039.

    Raises:
        BadParameter: inner is not 1 or 2.
        CannotMeasure: the model is not a linear layer, ReLU, and a linear layer; see `of_tensor`.
        MovingTarget: see `of_tensor`.

    >>> net = nn.Sequential(nn.Linear(2, 3, bias=False), nn.ReLU(), nn.Linear(3, 1))
    >>> with torch.no_grad():
    ...     _ = net[0].weight.fill_(-2.0), net[2].weight.fill_(1.0)
    >>> barron_norm(net, torch.ones(1, 2))
    tensor(12., dtype=torch.float64)
    """
    if inner not in (1, 2):
        raise BadParameter(f"inner is {inner}", "1 or 2")
    of_tensor(model, x, **options)
    first, second = relu_layers(model, x)
    sizes = first.weight.detach().double().norm(p=inner, dim=1)
    if first.bias is not None:
        sizes = sizes + first.bias.detach().double().abs()
    total: Tensor = (second.weight.detach().double().norm(dim=0) * sizes).sum()
    return total


def relu_layers(model: nn.Module, x: Tensor) -> tuple[nn.Linear, nn.Linear]:
    """Return the layers of a ReLU network of two.

    Raises:
        CannotMeasure: the model is another.
    """
    found = [s for s in steps(model, x) if s.kind not in ("input", "output", "shape")]
    if [s.kind for s in found] != ["linear", "relu", "linear"]:
        kinds = ", ".join(s.kind for s in found) or "nothing"
        raise CannotMeasure(
            f"the model is made of {kinds}", "needed: a linear layer, ReLU, a linear layer"
        )
    first, second = found[0].module, found[2].module
    assert isinstance(first, nn.Linear) and isinstance(second, nn.Linear)  # noqa: S101
    return first, second


def _power(p: int) -> None:
    if p not in (1, 2):
        raise BadParameter(f"p is {p}", "1 or 2")
