"""What is recorded in a training, of one network alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor, nn

from chymist.errors import CannotMeasure
from chymist.instruments import checks
from chymist.instruments.objective import Data, Loss
from chymist.instruments.passing import Passing, one_network
from chymist.instruments.snapshot import Instrument, Snapshot
from chymist.keys import Key


def alone(
    instrument: Instrument, model: nn.Module, data: Data, loss: Loss | None = None, *, seed: int = 0
) -> Tensor:
    """Return what an instrument that is made for trainings measures of one network.

    The network is the one lane of a snapshot, data (x, y) are its training samples, and `loss` what
    it is trained on, which few instruments ask for. Instruments that draw take the key of `seed`;
    one that remembers its last measurement has none to remember. Outputs are (sample, output), with
    all that belong to a sample in one dimension; targets (sample,) have one. The model is left as
    it was.

    Shape: the instrument's own, without lanes. Unit, error: the instrument's. Cost: the
    instrument's, and two forward passes of checks. Memory: the outputs. Source: none; a snapshot of
    one lane.

    Raises:
        MovingTarget: dropout or batch normalisation in training mode; a model that draws.
        CannotMeasure: a tensor is not finite; dtypes or devices are mixed; there are no samples;
            the output has no row a sample; the instrument asks for the loss, and there is none.

    >>> from chymist.bench import samples
    >>> from chymist.instruments import spectral_error
    >>> v = torch.arange(8) / 8
    >>> y = torch.cos(2 * torch.pi * v)[:, None]
    >>> alone(spectral_error(samples(y), [1]), nn.Identity(), (0.75 * y, y)).round(decimals=4)
    tensor([0.2500])
    """
    x, y = pair(data)
    return instrument.measure(_snapshot(one_network(model, x, y=y), x, y, loss, seed))[0]


def pair(data: Any) -> tuple[Any, Tensor]:
    """Return inputs and targets.

    Raises:
        CannotMeasure: the data are not (x, y).
    """
    if not isinstance(data, tuple | list) or len(data) != 2 or not isinstance(data[1], Tensor):
        raise CannotMeasure("the data are not a pair of tensors", "give (x, y)")
    return data[0], data[1]


def outputs(made: Passing) -> Float[Tensor, "lane sample output"]:
    """Return the networks' outputs (lane, sample, output), with gradients where they are asked for.

    Raises:
        CannotMeasure: they are no tensor with a row of numbers a sample, or not finite.
    """
    return _finite(_rows(made, _raw(made)))


def _finite(out: Tensor) -> Tensor:
    if not bool(out.isfinite().all()):
        raise CannotMeasure(
            f"the output has {int((~out.isfinite()).sum())} of {out.numel()} values that are not "
            "finite",
            "the network overflows on these inputs, or is undefined there",
        )
    return out


def _raw(made: Passing) -> Any:
    return made.run(lambda _, tensor: tensor, listened={})


def _rows(made: Passing, out: Any) -> Float[Tensor, "lane sample output"]:
    samples = len(next(iter(_tensors(made.x))))
    if not isinstance(out, Tensor) or out.ndim < 2 or out.shape[1] != samples:
        found = tuple(out.shape[1:]) if isinstance(out, Tensor) else type(out).__name__
        raise CannotMeasure(
            f"the model's output is {found}", f"a row of numbers for each of {samples} samples"
        )
    return out.reshape(*out.shape[:2], -1)


def _snapshot(made: Passing, x: Any, y: Tensor, loss: Loss | None, seed: int) -> Snapshot:
    like = next(iter([*made.parameters.values(), *_tensors(x)]))

    def place(value: xr.DataArray | Tensor) -> Tensor:
        values = value.values if isinstance(value, xr.DataArray) else value
        return torch.as_tensor(values, dtype=like.dtype, device=like.device)

    def forward(parameters: Mapping[str, Tensor], inputs: Any) -> Tensor:
        # Whether they are finite is no question that `torch.vmap` could answer.
        own = replace(made, parameters=parameters, x=inputs)
        return _rows(own, _raw(own))

    def losses_of(prediction: Tensor, goal: Tensor) -> Tensor:
        if loss is None:
            raise CannotMeasure("the instrument asks for the loss", "give it, too")
        goal = goal.reshape(-1, *y.shape[1:])
        return checks.one_number(loss(prediction[0].reshape(len(goal), *shape), goal))[None]

    with torch.no_grad():
        out = _raw(made)
        _finite(_rows(made, out))
        shape = out.shape[2:]
    return Snapshot(
        step=0,
        read=lambda: made.parameters,
        predict=lambda inputs: outputs(replace(made, x=inputs)).detach(),
        place=place,
        x=x,
        y=y[:, None] if y.ndim == 1 else y,
        losses=lambda prediction: losses_of(prediction, y),
        losses_of=losses_of,
        forward=forward,
        keys=lambda purpose: (Key("instruments", "alone", seed, purpose),),
    )


def _tensors(x: Any) -> list[Tensor]:
    values = x.values() if isinstance(x, Mapping) else x if isinstance(x, tuple | list) else (x,)
    return list(values)
