"""Lipschitz constants of networks in their inputs, from below and from above."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments.graphs import Step, steps
from chymist.instruments.layer_norms import spectral_norm
from chymist.instruments.networks import Networks, of_snapshot, of_tensor
from chymist.instruments.probes import one_key
from chymist.instruments.snapshot import Instrument, Snapshot

FEW = 32
"""Outputs up to which whole Jacobians are made."""


def jacobian_norms(
    model: nn.Module, x: Tensor, *, iterations: int = 100, **options: Any
) -> Float[Tensor, " sample"]:
    """Largest singular value of df/dx at each sample; their largest bounds Lip(f) from below.

    In the Euclidean norms of a sample's inputs and outputs. Of up to 32 outputs the Jacobian is
    made whole; of more, the value comes from power iteration on it, of all samples at once, and is
    a lower bound wherever that stops. Shape: (sample,), float64. Unit: outputs over inputs.
    `options` go to `of_tensor`. Cost: a backward pass an output (or, of more than 32, up to
    `iterations` times two gradient evaluations), and two forward passes of checks. Memory: the
    Jacobians. Error: rounding, or up to the iteration's end, at a change of 1e-10. Source: Bubeck,
    Sellke (2021), arXiv:2105.12806.

    Raises:
        BadParameter: iterations is not positive.
        CannotMeasure: the inputs are not floating numbers; see `of_tensor`.
        MovingTarget: see `of_tensor`.

    >>> line = nn.Linear(2, 1)
    >>> with torch.no_grad():
    ...     _ = line.weight.copy_(torch.tensor([[3.0, 4.0]]))
    >>> jacobian_norms(line, torch.ones(2, 2))
    tensor([5., 5.], dtype=torch.float64)
    """
    return jacobians(of_tensor(model, x, **options), iterations)[0]


def lipschitz_lower(model: nn.Module, x: Tensor, **options: Any) -> Tensor:
    """Lower bound of a network's Lipschitz constant: the largest of `jacobian_norms`.

    Shape: a number, float64. Unit, cost, memory, error: as there. Source: as there.

    Raises:
        CannotMeasure: see `jacobian_norms`.

    >>> line = nn.Linear(2, 1)
    >>> with torch.no_grad():
    ...     _ = line.weight.copy_(torch.tensor([[3.0, 4.0]]))
    >>> lipschitz_lower(line, torch.ones(2, 2))
    tensor(5., dtype=torch.float64)
    """
    return jacobian_norms(model, x, **options).max()


def training_lipschitz(name: str = "lipschitz") -> Instrument:
    """Return an instrument that records `lipschitz_lower` over the training samples.

    Shape: (lane,), float64. Unit: outputs over inputs. Cost, memory and error: as of
    `jacobian_norms`. Source: Bubeck, Sellke (2021), arXiv:2105.12806.

    >>> training_lipschitz().name
    'lipschitz'
    """

    def measure(snapshot: Snapshot) -> Tensor:
        return jacobians(of_snapshot(snapshot)).amax(1)

    return Instrument(name, measure, long_name="largest Jacobian norm over training samples")


def lipschitz_upper(model: nn.Module, x: Tensor, **options: Any) -> Tensor:
    """Upper bound of a network's Lipschitz constant: norms of its steps, multiplied along it.

    Spectral norms of linear layers and convolutions (see `layer_norms`: bounds where padded with
    zeros), the largest slope of an activation, and sums of the bounds where branches are added. x
    are some inputs, for their shape. Shape: a number, float64. Unit: outputs over inputs. `options`
    go to `of_tensor`. Cost: of `layer_norms`. Memory: as there. Error: a bound, often far above;
    exact for one layer. Source: Szegedy and others (2014), arXiv:1312.6199.

    Raises:
        CannotMeasure: a step of the forward pass is not known; see `of_tensor`.
        MovingTarget: see `of_tensor`.

    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> with torch.no_grad():
    ...     _ = net[0].weight.copy_(torch.eye(3)[:, :2]), net[2].weight.copy_(torch.ones(1, 3))
    >>> lipschitz_upper(net, torch.ones(1, 2)).square().round(decimals=9)
    tensor(3., dtype=torch.float64)
    """
    of_tensor(model, x, **options)
    found = steps(model, x)
    shapes = {step.name: step.shape for step in found}
    bounds: dict[str, float] = {}
    for step in found:
        bounds[step.name] = _bound(step, [bounds[s] for s in step.sources], shapes)
    return torch.tensor(bounds[found[-1].name], dtype=torch.float64)


def _bound(step: Step, before: list[float], shapes: dict[str, tuple[int, ...]]) -> float:
    if step.kind == "input":
        return 1.0
    if step.kind in ("linear", "convolution"):
        return before[0] * spectral_norm(step.module, shapes[step.sources[0]])[0]
    if step.kind == "average":
        # A mean of n numbers is a product with a vector of length 1 / sqrt(n).
        window = step.module.kernel_size
        dims = len(shapes[step.name]) - 1
        places = window**dims if isinstance(window, int) else math.prod(window)
        return before[0] / math.sqrt(places)
    return sum(before) * step.slope


def jacobians(made: Networks, iterations: int = 100) -> Float[Tensor, "lane sample"]:
    """Return every lane's largest singular values of df/dx; see `jacobian_norms`."""
    if iterations < 1:
        raise BadParameter(f"iterations is {iterations}", "1 or more")
    if not made.x.is_floating_point():
        raise CannotMeasure(f"the inputs are {made.x.dtype}", "give floating numbers")
    x = made.own_inputs
    with torch.enable_grad():
        outputs = made.forward({n: p.detach() for n, p in made.parameters.items()}, x)
    if not outputs.requires_grad:
        raise CannotMeasure("the output does not depend on the inputs", "give another model")
    lanes, samples, count = outputs.shape
    if count <= FEW:
        rows = [
            torch.autograd.grad(outputs, x, unit.expand_as(outputs), retain_graph=True)[0]
            for unit in torch.eye(count, dtype=outputs.dtype, device=outputs.device)
        ]
        whole = torch.stack([r.double().reshape(lanes, samples, -1) for r in rows], 2)
        finite = whole.isfinite().flatten(2).all(2)
        if not made.may_lose and not bool(finite.all()):
            raise CannotMeasure("a derivative is not finite", "the model overflows here")
        norms = torch.linalg.matrix_norm(whole.nan_to_num(0.0, 0.0, 0.0), 2)
        return torch.as_tensor(norms.masked_fill(~finite, torch.nan))
    return _power_iteration(outputs, x, iterations)


def _power_iteration(outputs: Tensor, x: Tensor, iterations: int) -> Tensor:
    lanes, samples, _ = outputs.shape
    with torch.enable_grad():
        pulled = torch.zeros_like(outputs, requires_grad=True)
        (back,) = torch.autograd.grad(outputs, x, pulled, create_graph=True)
    key = one_key(0, "jacobian")[0]
    v = torch.randn(x.shape, generator=key.torch(), dtype=torch.float64).to(x)
    value = torch.zeros(lanes, samples, dtype=torch.float64, device=x.device)

    def unit(rows: Tensor) -> Tensor:
        flat = rows.reshape(lanes, samples, -1)
        size = flat.norm(dim=2, keepdim=True)
        return torch.where(size == 0, flat, flat / size).reshape(rows.shape)

    for _ in range(iterations):
        (forth,) = torch.autograd.grad(back, pulled, unit(v), retain_graph=True)
        before, value = value, forth.double().norm(dim=2)
        if not bool(((value - before).abs() > 1e-10 * value).any()):
            break
        (v,) = torch.autograd.grad(outputs, x, forth, retain_graph=True)
    return value
