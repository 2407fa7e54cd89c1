"""What each layer contributes to a Jacobian, as two factors: what it was given, what came back.

The gradient of an output by a dense layer's weight is a sum over positions (tokens, pixels) of
(signal x activation), so that products of Jacobians are made of products of signals and of
activations, and the Jacobian itself is never needed. Layers are found in the calls that a forward
pass makes, not in the modules it has, so that tied, residual and shared layers need nothing
special: every call is a further position of its weight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from chymist.instruments.layer_calls import Recorder
from chymist.instruments.networks import Networks

AT_ONCE = 32
"""Outputs whose signals are sent back together."""


@dataclass(frozen=True, eq=False)
class Factors:
    """The Jacobian's factors on some samples: by weight (activations, signals), by bias rows.

    Activations are (lane, sample, position, input), signals (lane, sample, output, position, unit),
    rows (lane, sample, output, unit). `left` names the parameters that have none.
    """

    products: Mapping[str, tuple[Tensor, Tensor]]
    rows: Mapping[str, Tensor]
    left: tuple[str, ...]
    outputs: int


def factors(network: Networks, x: Any) -> Factors:
    """Return the factors of the Jacobian of a network's outputs on inputs x.

    Every output is sent back once, for all samples together, which is right where no sample's
    output depends on another's input. That is checked, by a random combination of all outputs sent
    back once more; what it does not hold for, and what parameters do outside of known layers, is
    `left`. Cost: one forward pass, a backward pass to the activations for each output, one more.
    Memory: activations, and activations times outputs.
    """
    leaves = network.leaves()
    with torch.enable_grad(), Recorder(leaves, network.samples(x)) as recorder:
        out = network.rows(leaves, x)
    uses = recorder.uses
    if not out.requires_grad:
        return Factors({}, {}, (), out.shape[2])
    mix = mixture(out)
    targets = [use.made for use in uses]
    sent = torch.autograd.grad(
        out, [*targets, *leaves.values()], mix, retain_graph=True, allow_unused=True
    )
    loose = zip(leaves, sent[len(uses) :], strict=True)
    left = {name for name, slope in loose if slope is not None}
    signals = [use.by_position(s) for use, s in zip(uses, _signals(out, targets), strict=True)]
    for use, signal, whole in zip(uses, signals, sent, strict=False):
        apart = _mixed(mix, signal)
        together = (
            torch.zeros_like(apart) if whole is None else use.by_position(whole[None])[:, :, 0]
        )
        if use.source._version != use.version or not close(apart, together):
            left |= {use.weight} | ({use.bias} if use.bias else set())
    products: dict[str, tuple[list[Tensor], list[Tensor]]] = {}
    rows: dict[str, Tensor] = {}
    for use, signal in zip(uses, signals, strict=True):
        if use.weight and use.weight not in left:
            given, back = products.setdefault(use.weight, ([], []))
            given.append(use.given)
            back.append(signal)
        if use.bias is not None and use.bias not in left:
            row = signal.sum(3)
            rows[use.bias] = rows[use.bias] + row if use.bias in rows else row
    joined = {n: (_joined(a, 2), _joined(s, 3)) for n, (a, s) in products.items()}
    return Factors(joined, rows, tuple(n for n in leaves if n in left), out.shape[2])


def inputs_of_layers(network: Networks, x: Any) -> dict[str, Tensor]:
    """Return what enters each layer, by its weight's name, in the order of their last calls.

    Each (lane, sample, position, input). Cost: one forward pass.
    """
    with torch.enable_grad(), Recorder(leaves := network.leaves(), network.samples(x)) as recorder:
        network.rows(leaves, x)
    found: dict[str, list[Tensor]] = {}
    for use in recorder.uses:
        found[use.weight] = [*found.pop(use.weight, []), use.given]
    return {name: _joined(given, 2) for name, given in found.items()}


def close(found: Tensor, expected: Tensor) -> bool:
    """Whether two results agree as far as rounding allows, judged by the size of the whole."""
    tolerance = torch.finfo(found.dtype).eps ** 0.6
    return bool((found - expected).norm() <= tolerance * expected.norm())


def mixture(out: Tensor) -> Tensor:
    """Return random numbers in the shape of outputs, always the same, from no global generator."""
    draw = torch.Generator().manual_seed(0)
    return torch.randn(out.shape, generator=draw, dtype=torch.float64).to(out)


def _mixed(mix: Tensor, signal: Tensor) -> Tensor:
    """Sum signals over outputs by weights: (lane, sample, position, unit)."""
    # Positions lie closer than units in what convolutions send back: as it lies, nothing is copied.
    turned = signal.stride(-2) < signal.stride(-1)
    lying = signal.mT if turned else signal
    made = (mix[:, :, None] @ lying.flatten(3)).view(*lying.shape[:2], *lying.shape[3:])
    return made.mT if turned else made


def _signals(out: Tensor, targets: list[Tensor]) -> list[Tensor]:
    """Send every output back to the targets; each (output, *target)."""
    if not targets:
        return []
    parts = []
    for first in range(0, out.shape[2], AT_ONCE):
        count = min(AT_ONCE, out.shape[2] - first)
        ones = torch.zeros(count, *out.shape, dtype=out.dtype, device=out.device)
        ones[torch.arange(count), :, :, first + torch.arange(count)] = 1
        found: tuple[Tensor | None, ...]
        try:
            found = torch.autograd.grad(
                out, targets, ones, retain_graph=True, is_grads_batched=True, allow_unused=True
            )
        except RuntimeError:
            # A function that cannot be vectorised goes one output after another.
            each = [
                torch.autograd.grad(out, targets, one, retain_graph=True, allow_unused=True)
                for one in ones
            ]
            columns: list[Any] = list(zip(*each, strict=True))
            found = tuple(None if c[0] is None else torch.stack(c) for c in columns)
        parts.append([_known(f, t, count) for f, t in zip(found, targets, strict=True)])
    return [_joined(column, 0) for column in zip(*parts, strict=True)]


def _known(signal: Tensor | None, target: Tensor, count: int) -> Tensor:
    """Return a signal, or zeros where none comes back."""
    return target.new_zeros(count, *target.shape) if signal is None else signal


def _joined(parts: Sequence[Tensor], dim: int) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim)
