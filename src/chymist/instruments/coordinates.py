"""The coordinate check: how activations, and their changes in training, grow with width."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments import checks
from chymist.instruments.layers import Layers
from chymist.instruments.objective import Data, Loss
from chymist.instruments.passing import Passing, one_network
from chymist.keys import Key
from chymist.stats import Interval, log_slope, mean_interval

OptimizerOf = Callable[[nn.Module, int], torch.optim.Optimizer]
"""(network, its width) -> the optimizer that trains it."""


@dataclass(frozen=True, eq=False)
class CoordinateCheck:
    """Sizes of activations over widths, seeds, steps and layers.

    `data` has two variables of dims (width, seed, step, layer): `activation`, the mean of |h| over
    samples and entries, and `change`, that of |h - h_0|, h_0 the activation before training.
    """

    data: xr.Dataset

    def slopes(
        self, of: str = "activation", *, step: int = -1, level: float = 0.95
    ) -> dict[str, Interval]:
        """Return each layer's exponent of width, d log / d log width, with its interval.

        The least-squares slope of each seed, and Student's interval for their mean: seeds are
        independent draws of the weights. `step` counts from the last where negative. NaN where a
        value is zero (a change at step 0) or a network has diverged.

        Raises:
            BadParameter: `of` is neither "activation" nor "change", or there is no such step.
        """
        if of not in self.data:
            raise BadParameter(f"of is {of!r}", "activation or change")
        steps = self.data.sizes["step"]
        if not -steps <= step < steps:
            raise BadParameter(f"step is {step}", f"0 to {steps - 1}, or -{steps} to -1")
        slopes = log_slope(self.data[of].isel(step=step), "width")
        return {
            str(layer): mean_interval(slopes.sel(layer=layer).values, level)
            for layer in slopes.layer.values
        }


def coordinate_check(
    build: Callable[[int], nn.Module],
    widths: Sequence[int],
    loss: Loss,
    data: Data,
    optimizer: OptimizerOf,
    *,
    steps: int = 5,
    seeds: int = 4,
    layers: Layers = None,
) -> CoordinateCheck:
    """Train networks of several widths for a few steps; return how their activations grow.

    `build(width)` makes a network, its weights drawn from PyTorch's generator, which is seeded for
    each of `seeds` and left as it was. `optimizer(network, width)` makes what trains it, on the
    whole of `data` = (x, y) at each step. In a width-independent parameterisation (muP) all slopes
    are about 0; a positive one means that the step is too large in wide networks, a negative one
    that the layer stops learning. Layers as in `second_moments`; they must be the same at all
    widths.

    Shapes: data (width, seed, step, layer), steps + 1 steps, float64; a slope and an interval a
    layer. Unit: of the activations; slopes 1. Cost: for each width and seed, `steps` training steps
    and as many forward passes again, and three. Memory: one network's training, and every layer's
    first activations. Error: rounding; of slopes, the interval over seeds. Source: Yang et al.
    (2022), Tensor Programs V, arXiv:2203.03466; microsoft/mup.

    Raises:
        BadParameter: fewer than two different widths or seeds, or no steps; an unknown layer.
        MovingTarget: dropout or batch normalisation in training mode.
        CannotMeasure: layers differ between widths; see `second_moments`.

    The sum of w equal units grows as w:

    >>> def build(width):
    ...     made = nn.Sequential(nn.Linear(1, width, bias=False), nn.Linear(width, 1, bias=False))
    ...     for parameter in made.parameters():
    ...         _ = nn.init.ones_(parameter)
    ...     return made
    >>> found = coordinate_check(
    ...     build, [2, 4, 8], nn.MSELoss(), (torch.ones(1, 1), torch.ones(1, 1)),
    ...     lambda network, width: torch.optim.SGD(network.parameters(), 0.0), steps=1, seeds=2,
    ... )
    >>> {layer: round(slope.estimate, 6) for layer, slope in found.slopes().items()}
    {'0': 0.0, '1': 1.0, '(network)': 1.0}
    """
    if len(set(widths)) < 2 or len(set(widths)) != len(widths) or min(widths) < 1:
        raise BadParameter(f"widths is {list(widths)}", "two or more different positive widths")
    if seeds < 2 or steps < 1:
        raise BadParameter(
            f"seeds is {seeds} and steps {steps}",
            "an interval needs 2 seeds or more, a training 1 step or more",
        )
    names: tuple[str, ...] | None = None
    sizes = []
    for width in widths:
        for seed in range(seeds):
            found, own = _followed(build, width, seed, loss, data, optimizer, steps, layers)
            if names is not None and own != names:
                differing = sorted(set(own) ^ set(names))
                raise CannotMeasure(
                    f"at width {width} the layers differ from those at width {widths[0]}: "
                    + (", ".join(differing[:4]) or "another order"),
                    "build networks of the same layers, or name common ones with layers=",
                )
            names = own
            sizes.append(found)
    values = np.stack(sizes).reshape(len(widths), seeds, 2, steps + 1, -1)
    coords = {
        "width": list(widths), "seed": list(range(seeds)), "step": list(range(steps + 1)),
        "layer": list(names or ()),
    }  # fmt: skip
    return CoordinateCheck(
        xr.Dataset(
            {
                "activation": (tuple(coords), values[:, :, 0]),
                "change": (tuple(coords), values[:, :, 1]),
            },
            coords=coords,
        )
    )


def _followed(
    build: Callable[[int], nn.Module],
    width: int,
    seed: int,
    loss: Loss,
    data: Data,
    optimizer: OptimizerOf,
    steps: int,
    layers: Layers,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Train one network; return sizes (what, step, layer) and the layers' names."""
    with torch.random.fork_rng(devices=[]):
        key = Key("instruments", "coordinates", seed, "weights")
        torch.set_rng_state(key.torch().get_state())
        network = build(width)
    x, y = data
    made = one_network(network, x, layers, y=y)
    moved = optimizer(network, width)
    first: dict[str, Tensor] = {}
    rows = []
    for step in range(steps + 1):
        rows.append(_sizes(made, first))
        if step < steps:
            moved.zero_grad()
            value = checks.one_number(loss(network(x), y))
            if not value.requires_grad:
                raise CannotMeasure(
                    "the loss does not depend on any parameter", "give a network that can learn"
                )
            torch.autograd.backward(value)
            moved.step()
    return np.stack(rows, axis=1), tuple(first)


def _sizes(made: Passing, first: dict[str, Tensor]) -> np.ndarray:
    """Return mean |h| and mean |h - h_0| of every layer, and keep h_0 if there is none yet."""
    fresh = not first
    found: dict[str, tuple[float, float]] = {}

    def leave(name: str, tensor: Tensor) -> Tensor:
        if fresh:
            first[name] = tensor.detach().clone()
        change = float((tensor - first[name]).double().abs().mean())
        found[name] = (float(tensor.double().abs().mean()), change)
        return tensor

    with torch.no_grad():
        made.run(leave, then=lambda out: None)
    made.seen(found)
    if fresh and not all(math.isfinite(a) for a, _ in found.values()):
        bad = next(n for n, (a, _) in found.items() if not math.isfinite(a))
        raise CannotMeasure(
            f"layer {bad} has values that are not finite before training",
            "its input or weights are too large for the dtype",
        )
    return np.array([found[n] for n in first]).T
