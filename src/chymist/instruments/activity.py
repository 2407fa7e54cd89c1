"""Which units of a network do nothing: dead ones of ReLU layers, saturated ones of tanh layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments import checks
from chymist.instruments.calling import called
from chymist.instruments.one_network import fixed

RECTIFIERS = (
    functional.relu, torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_,
)  # fmt: skip
"""Functions whose units may be dead: zero, with a zero derivative."""
SIGMOIDS = {
    torch.tanh: (-1.0, 1.0), functional.tanh: (-1.0, 1.0), torch.Tensor.tanh: (-1.0, 1.0),
    torch.sigmoid: (0.0, 1.0), functional.sigmoid: (0.0, 1.0), torch.Tensor.sigmoid: (0.0, 1.0),
}  # fmt: skip
"""Functions whose units may be saturated, and the ends of their range."""


@dataclass(frozen=True, eq=False)
class Activity:
    """The units of one layer over the samples.

    `off` is the share of samples (and positions) at which a unit is zero (ReLU) or saturated (tanh,
    sigmoid); `idle` units are so at every one: a dead ReLU passes no gradient. `kind` is "dead" or
    "saturated".
    """

    kind: str
    off: Float[Tensor, " unit"]

    @property
    def idle(self) -> Bool[Tensor, " unit"]:
        """Units that are off at every sample."""
        return self.off == 1

    @property
    def share(self) -> float:
        """The share of units that are off at every sample."""
        return float(self.idle.double().mean())


def activity(model: nn.Module, x: Any, *, margin: float = 0.01) -> dict[str, Activity]:
    """How often each unit of the ReLU, tanh and sigmoid layers is dead or saturated on inputs x.

    A ReLU's unit is off where its output is zero; a tanh's or sigmoid's where its output is within
    `margin` times the range of either end. Layers are named by the module that calls the function,
    modules and functional calls alike, with "#2" for a module's second call. A unit is a feature
    (sample, ..., unit), of a picture (sample, unit, ...) a channel.

    Shapes: (unit,) a layer, float64. Unit: 1. Cost: three forward passes, two of them
    checks. Memory: that of the forward pass. Error: none. Source: Lu, Shin, Su, Karniadakis (2019),
    arXiv:1903.06733, for dead ReLUs; Glorot and Bengio (2010), AISTATS, for saturation.

    Raises:
        BadParameter: the margin is not between 0 and one half.
        CannotMeasure: there is no such layer; the inputs are not finite, or there are none.
        MovingTarget: dropout or batch normalisation in training mode; a model that draws.

    >>> net = nn.Sequential(nn.Linear(1, 2), nn.ReLU())
    >>> with torch.no_grad():
    ...     _ = net[0].weight.copy_(torch.tensor([[1.0], [1.0]]))
    ...     _ = net[0].bias.copy_(torch.tensor([0.0, -9.0]))
    >>> activity(net, torch.tensor([[-1.0], [1.0]]))["1"].off
    tensor([0.5000, 1.0000], dtype=torch.float64)
    """
    if not 0 < margin < 0.5:
        raise BadParameter(f"margin is {margin}", "it must lie between 0 and 0.5")
    samples = fixed(model, x)
    checks.still_by_trial(
        lambda: _outputs(model, x), checks.parts(x)[0],
        "the outputs moved by up to {off:.6g} on the same inputs", "the model",
    )  # fmt: skip
    watched = _Watched(margin, samples)
    hooks = []
    for name, module in model.named_modules():
        enter, leave = watched.around(name)
        hooks += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
    try:
        with watched:
            _outputs(model, x)
    finally:
        for hook in hooks:
            hook.remove()
    if not watched.found:
        raise CannotMeasure(
            f"{type(model).__name__} calls no ReLU, tanh or sigmoid", "others have no dead units"
        )
    return watched.found


def _outputs(model: nn.Module, x: Any) -> list[Tensor]:
    with torch.no_grad():
        out = called(model, {n: b.clone() for n, b in model.named_buffers()}, x)
    return [t for t in tree_leaves(out) if isinstance(t, Tensor)]


class _Watched(TorchFunctionMode):
    """Notes what activation functions return while a forward pass runs, and in which module."""

    def __init__(self, margin: float, samples: int) -> None:
        super().__init__()
        self.margin, self.samples = margin, samples
        self.path: list[str] = []
        self.found: dict[str, Activity] = {}

    def around(self, name: str) -> tuple[Any, Any]:
        """Return what notes that a module of this name is entered, and left."""
        return lambda *_: self.path.append(name), lambda *_: self._leave()

    def _leave(self) -> None:
        self.path.pop()

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Run a call, and note what an activation function returns."""
        made = func(*args, **(kwargs or {}))
        if func in RECTIFIERS:
            self._note("dead", made, made == 0)
        elif func in SIGMOIDS:
            low, high = SIGMOIDS[func]
            slack = self.margin * (high - low)
            self._note("saturated", made, (made <= low + slack) | (made >= high - slack))
        return made

    def _note(self, kind: str, made: Tensor, off: Tensor) -> None:
        if made.ndim < 2 or len(made) != self.samples:
            return
        units = 1 if made.ndim > 3 else made.ndim - 1
        share = off.movedim(units, 0).flatten(1).double().mean(1)
        name = self.path[-1] if self.path else ""
        number = 2
        while name in self.found:
            name, number = f"{name.split('#')[0]}#{number}", number + 1
        self.found[name] = Activity(kind, share)
