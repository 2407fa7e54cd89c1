"""Second moments of what layers hand on, and of the gradients that come back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils import _pytree as tree

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments import checks
from chymist.instruments.layers import Layers, chosen, leaves
from chymist.instruments.objective import Loss
from chymist.instruments.passing import (
    Passing,
    all_finite,
    one_network,
    template,
    training_lanes,
)
from chymist.instruments.reductions import own_share, snapshot_share
from chymist.instruments.snapshot import Instrument, Snapshot


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of every layer: means over samples and over all entries a sample has there.

    `entering` is the mean square of a layer's first input (NaN where that is not of real numbers),
    `leaving` that of what it hands on, `mean` the mean of the latter. `backward` is the mean square
    of the gradient of one sample's loss by it: of a loss that is a mean over n samples, n times the
    gradient; of a sum, the gradient. None without a loss.
    """

    layers: tuple[str, ...]
    entering: Float[Tensor, "*lane layer"]
    leaving: Float[Tensor, "*lane layer"]
    mean: Float[Tensor, "*lane layer"]
    backward: Float[Tensor, "*lane layer"] | None = None

    @property
    def gain(self) -> Float[Tensor, "*lane layer"]:
        """By what each layer multiplies the second moment: leaving over entering."""
        return self.leaving / self.entering

    def lane(self, lane: int) -> Moments:
        """Return one lane's moments, without the lane dimension."""
        back = None if self.backward is None else self.backward[lane]
        return Moments(self.layers, self.entering[lane], self.leaving[lane], self.mean[lane], back)

    def at(self, layer: str) -> dict[str, float]:
        """Return one layer's moments by name, for one network.

        Raises:
            BadParameter: there is no such layer.
        """
        if layer not in self.layers:
            raise BadParameter(f"no layer is called {layer!r}", f"one of {', '.join(self.layers)}")
        i = self.layers.index(layer)
        found = {"entering": self.entering, "leaving": self.leaving, "mean": self.mean}
        if self.backward is not None:
            found["backward"] = self.backward
        return {name: float(values[..., i]) for name, values in found.items()}


def second_moments(
    model: nn.Module,
    x: Any,
    *,
    loss: Loss | None = None,
    y: Tensor | None = None,
    layers: Layers = None,
) -> Moments:
    """Second moments of activations and, given a loss, of gradients, for every layer of a network.

    Of layer l, mean over samples and entries of h_l^2, and of (n dL/dh_l)^2, n the number of
    samples, L = loss(model(x), y) a mean over them; where L is their sum, without the n. Rows are
    modules in the order in which they finish, containers included: a branch of a residual block is
    the module that computes it, and its `leaving` over the block's `entering` its share. `layers`
    picks by name or pattern, such as "blocks.*.attention". A module's second call is a row of its
    own, "name#2".

    Shapes: (layer,), float64. Unit: of the activations squared; backward of the loss over the
    activations, squared. Cost: three forward passes; with a loss five and one backward. Memory: one
    layer's activations in float64; with a loss every layer's activations and gradients. Error:
    rounding. Source: Poole et al. (2016), arXiv:1606.05340; Schoenholz et al. (2017),
    arXiv:1611.01232.

    Raises:
        BadParameter: a pattern matches no layer.
        MovingTarget: dropout or batch normalisation in training mode; a model that draws.
        CannotMeasure: a layer is not called, a tensor not finite, dtypes or devices mixed, the
            batch empty, or the loss not one number, neither a mean nor a sum over samples.

    Twice the identity multiplies second moments by four on the way, and on the way back:

    >>> line = nn.Linear(2, 2, bias=False)
    >>> with torch.no_grad():
    ...     _ = line.weight.copy_(2 * torch.eye(2))
    >>> half = lambda out, y: 0.5 * (out - y).square().sum(-1).mean()
    >>> x = torch.tensor([[1.0, -1.0], [1.0, 1.0]])
    >>> found = second_moments(nn.Sequential(line), x, loss=half, y=torch.zeros(2, 2))
    >>> found.at("0")
    {'entering': 1.0, 'leaving': 4.0, 'mean': 1.0, 'backward': 4.0}
    """
    if (loss is None) != (y is None):
        raise BadParameter("a loss and its targets y go together", "give both, or none")
    made = one_network(model, x, layers, y=y)
    found = forward_moments(made)
    made.seen(dict.fromkeys(found.layers))
    all_finite(dict(zip(found.layers, found.leaving[0], strict=True)))
    if loss is None:
        return found.lane(0)
    goal = cast(Tensor, y)

    def losses(out: Any) -> Tensor:
        own = tree.tree_map(lambda t: t[0] if isinstance(t, Tensor) else t, out)
        value = checks.one_number(loss(own, goal)).reshape(1)
        if not math.isfinite(float(value.detach())):
            raise CannotMeasure(
                f"the loss is {float(value.detach())}", "a measurement needs finite values"
            )
        # A graph is no part of the trial.
        bare = tree.tree_map(lambda t: t.detach() if isinstance(t, Tensor) else t, own)
        return own_share(loss, bare, goal, made.samples) * value

    return with_backward(made, found, losses).lane(0)


def training_moments(
    model: nn.Module, layers: Layers = None, *, name: str = "moment"
) -> tuple[Instrument, Instrument]:
    """Return two instruments: second moments of activations, and of gradients, along a training.

    They are called `name`_forward and `name`_backward, and share one measurement, of all lanes at
    once, over all training samples; the numbers are those of `second_moments`. `model` is one of
    the networks that are trained, such as build(); buffers are taken from it. `layers`: names or
    patterns (default: modules with none inside). Of a module called several times the first call
    counts.

    Shapes: (lane, layer). Units: of the activations squared; of the loss over them, squared. Cost:
    three forward passes and one backward. Memory: every layer's activations and gradients of all
    lanes. Error: rounding. Source: Schoenholz et al. (2017), arXiv:1611.01232.

    Raises:
        BadParameter: a pattern matches no layer.
        MovingTarget: dropout or batch normalisation in training mode.
        CannotMeasure: at the recording, if a layer is not called, the networks differ, or the loss
            is neither a mean nor a sum over samples.

    >>> [i.name for i in training_moments(nn.Linear(1, 1))]
    ['moment_forward', 'moment_backward']
    """
    own, names = template(model), training_names(model, layers)

    def measured(snapshot: Snapshot) -> Moments:
        step, kept = snapshot.memory.get(name, (-1, None))
        if step != snapshot.step:
            made = training_lanes(own, names, snapshot)
            found = forward_moments(made)
            made.seen(dict.fromkeys(found.layers))
            kept = with_backward(
                made, found, lambda out: snapshot_share(snapshot, out) * snapshot.losses(out)
            )
            snapshot.memory[name] = (snapshot.step, kept)
        return cast(Moments, kept)

    def picked(moments: Moments, values: Tensor) -> Tensor:
        return values[:, [moments.layers.index(n) for n in names]]

    def forward(snapshot: Snapshot) -> Tensor:
        found = measured(snapshot)
        return picked(found, found.leaving)

    def backward(snapshot: Snapshot) -> Tensor:
        found = measured(snapshot)
        return picked(found, cast(Tensor, found.backward))

    options: dict[str, Any] = {"dims": ("layer",), "coords": {"layer": names}}
    return (
        Instrument(f"{name}_forward", forward, long_name="mean square of activations", **options),
        Instrument(f"{name}_backward", backward, long_name="mean square of gradients", **options),
    )


def training_names(model: nn.Module, layers: Layers) -> list[str]:
    """Return the names of the layers that an instrument of a training has as its coordinate."""
    return leaves(model) if layers is None else list(chosen(model, layers))


def forward_moments(made: Passing) -> Moments:
    """Return every lane's moments of activations. Cost: one forward pass."""
    found = made.statistics(
        lambda t: torch.stack([t.double().square().mean(), t.double().mean()]),
        lambda t: t.double().square().mean(),
    )
    names = tuple(n for n in found if not n.endswith(" <"))
    if not names:
        raise CannotMeasure("no layer hands on real numbers", "give other layers")
    leaving = torch.stack([found[n] for n in names], dim=1)
    missing = torch.full_like(leaving[:, 0, 0], torch.nan)
    entering = torch.stack([found.get(f"{n} <", missing) for n in names], dim=1)
    return Moments(names, entering, leaving[..., 0], leaving[..., 1])


def with_backward(made: Passing, moments: Moments, losses: Any) -> Moments:
    """Return moments with those of the gradients. Cost: two forward passes and one backward.

    The gradients of `losses` are taken as those of single samples' losses.
    """
    slopes = made.gradients(losses)
    back = [slopes[n].double().square().flatten(1).mean(1) for n in moments.layers]
    return Moments(
        moments.layers, moments.entering, moments.leaving, moments.mean, torch.stack(back, dim=1)
    )
