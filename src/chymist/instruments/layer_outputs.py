"""A network's layers by name: their stacked weights, and what they put out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chymist.errors import CannotMeasure, did_you_mean
from chymist.instruments import checks
from chymist.instruments.layers import call
from chymist.instruments.one_network import fixed


def stacked_layer(
    parameters: Mapping[str, Tensor], layer: str
) -> tuple[Float[Tensor, "lane neuron ..."], Float[Tensor, "lane neuron"] | None]:
    """Return a layer's stacked weight and bias, None if it has no bias.

    Raises:
        CannotMeasure: there is no such layer.
    """
    weight = f"{layer}.weight" if layer else "weight"
    if weight not in parameters:
        layers = [n.removesuffix(".weight") for n in parameters if n.endswith(".weight")]
        raise CannotMeasure(f"no layer is called {layer!r}", did_you_mean(layer, layers))
    return parameters[weight].detach(), parameters.get(weight.removesuffix("weight") + "bias")


def stacked(model: nn.Module) -> dict[str, Tensor]:
    """Return one network's parameters as those of one lane; a tied one under each of its names."""
    return {n: p.detach()[None] for n, p in model.named_parameters(remove_duplicate=False)}


def features(model: nn.Module, x: Any, layer: str) -> Float[Tensor, "sample ..."]:
    """Return what a layer puts out, at its last call; the first tensor, if there are several.

    Shape: (sample, ...), as the layer's. Unit: the layer's. Cost: two forward passes, one of them a
    check, without gradients. Memory: the features. Error: rounding. Source: none; the definition.
    The model is left as it was.

    Raises:
        CannotMeasure: there is no such layer; it was not called; its output is no tensor with a row
            a sample; the inputs are not finite, or on another device.
        MovingTarget: dropout or batch normalisation in training mode; a model that draws.

    >>> line = nn.Sequential(nn.Linear(1, 3), nn.Tanh())
    >>> features(line, torch.ones(4, 1), "0").shape
    torch.Size([4, 3])
    """
    samples = fixed(model, x)
    modules = dict(model.named_modules())
    if layer not in modules:
        raise CannotMeasure(f"no layer is called {layer!r}", did_you_mean(layer, modules))
    found: list[Tensor] = []

    def leave(_: str, tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    def evaluate() -> list[Tensor]:
        buffers = {n: b.clone() for n, b in model.named_buffers()}
        with torch.no_grad():
            call(model, buffers, x, {layer: modules[layer]}, leave)
        if not found:
            raise CannotMeasure(
                f"layer {layer} was not called, or puts out no real numbers",
                "name one that the model calls",
            )
        return [found[-1]]

    (out,) = checks.still_by_trial(
        evaluate, checks.parts(x)[0],
        f"what layer {layer} puts out moved by up to {{off:.6g}} on the same inputs", "the model",
    )  # fmt: skip
    if out.ndim < 2 or len(out) != samples:
        raise CannotMeasure(
            f"layer {layer} puts out {tuple(out.shape)} for {samples} samples",
            "a row a sample is needed",
        )
    return out
