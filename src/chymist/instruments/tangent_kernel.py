"""The tangent kernel of networks, from their layers' factors, and by Jacobians for what is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import vjp

from chymist.errors import BadParameter, CannotMeasure, did_you_mean
from chymist.instruments.jacobian_products import LIMIT, of_factors, of_rows
from chymist.instruments.layer_signals import Factors, close, factors, mixture
from chymist.instruments.networks import Networks

OUTPUTS = ("trace", "each", "full")

Rows = Callable[[int, int], Tensor]
"""(first sample, last) -> rows of a Jacobian (lane, sample, output, parameter)."""


def tangent_kernel(
    network: Networks, x: Any, other: Any = None, *, outputs: str = "trace"
) -> Tensor:
    """Return the kernel of all lanes between x and `other` (or x itself); see `kernels.ntk`.

    Raises:
        BadParameter: `outputs` is none of "trace", "each", "full".
        CannotMeasure: the kernel is not finite.
    """
    if outputs not in OUTPUTS:
        raise BadParameter(f"outputs is {outputs!r}", did_you_mean(outputs, OUTPUTS))
    one = factors(network, x)
    two = one if other is None else factors(network, other)
    lanes, n, m = network.lanes, network.samples(x), network.samples(x if other is None else other)
    shapes = {
        "trace": (n, m),
        "each": (one.outputs, n, m),
        "full": (n, one.outputs, m, two.outputs),
    }
    like = next(iter(network.parameters.values()))
    total = torch.zeros(lanes, *shapes[outputs], dtype=like.dtype, device=like.device)
    left = set(one.left) | set(two.left)
    for name, product in one.products.items():
        if name not in left:
            total += of_factors(product, _matching(two, name, product), outputs)
    for name, row in one.rows.items():
        if name not in left and name in two.rows:
            total += of_rows(row, two.rows[name], outputs)
    if left:
        names = [n for n in network.parameters if n in left]
        first = rows_of(network, x, names)
        second = first if other is None else rows_of(network, other, names)
        size = sum(network.parameters[n].numel() for n in names) * one.outputs
        _add_rows(total, first, second, (n, m), max(1, LIMIT // size), outputs)
    return total


def finite(kernel: Tensor) -> Tensor:
    """Return a kernel if it is finite.

    Raises:
        CannotMeasure: it is not.
    """
    if not bool(kernel.isfinite().all()):
        raise CannotMeasure(
            "the kernel is not finite", "the outputs' derivatives overflow or are undefined here"
        )
    return kernel


def rows_of(network: Networks, x: Any, names: Sequence[str]) -> Rows:
    """Return how to make rows of the Jacobian by some parameters, for some samples at a time.

    Each sample on its own, all outputs sent back together; where samples feel each other, each
    output of each sample through all of them, which takes as many backward passes. Which it is is
    checked on a random combination of all outputs: one forward and one backward pass.
    """
    leaves = network.leaves()
    with torch.enable_grad():
        out = network.rows(leaves, x)
        mix = mixture(out)

    def joined(slopes: Sequence[Tensor | None]) -> Tensor:
        whole = [
            (torch.zeros_like(leaves[n]) if s is None else s).reshape(network.lanes, -1)
            for n, s in zip(names, slopes, strict=True)
        ]
        return torch.cat(whole, 1)

    def back(weights: Tensor) -> Tensor:
        by = [leaves[n] for n in names]
        found = torch.autograd.grad(out, by, weights, retain_graph=True, allow_unused=True)
        return joined(found)

    expected = back(mix)
    fixed = {n: p.detach() for n, p in leaves.items()}
    block = max(1, LIMIT // (out.shape[0] * out.shape[2] * expected.shape[1]))
    known: dict[str, Any] = {}

    def alone(first: int, last: int) -> Tensor:
        def one(sample: Any) -> Tensor:
            def function(own: dict[str, Tensor]) -> Tensor:
                return network.rows({**fixed, **own}, _unsqueezed(sample, network.dim))

            made, pull, *_ = vjp(function, {n: fixed[n] for n in names})
            count = made.shape[2]
            ones = torch.eye(count, dtype=made.dtype, device=made.device)
            ones = ones[:, None, None].expand(count, *made.shape)
            slopes = torch.vmap(lambda v: pull(v)[0])(ones)
            return torch.cat(
                [slopes[n].reshape(count, network.lanes, -1) for n in names], 2
            ).transpose(0, 1)

        some = network.take(x, first, last)
        made: Tensor = torch.vmap(one, in_dims=(network.dim,), out_dims=1)(some)
        return made

    def through_all(first: int, last: int) -> Tensor:
        made = []
        for sample in range(first, last):
            for output in range(out.shape[2]):
                weights = torch.zeros_like(out)
                weights[:, sample, output] = 1
                made.append(back(weights))
        whole = torch.stack(made, 1)
        return whole.view(len(whole), last - first, out.shape[2], -1)

    def sound() -> bool:
        found = torch.zeros_like(expected)
        try:
            for first in range(0, out.shape[1], block):
                last = min(first + block, out.shape[1])
                part = alone(first, last)
                found += torch.einsum("lno,lnop->lp", mix[:, first:last], part)
                if last - first == out.shape[1]:
                    known["all"] = part
        except RuntimeError:
            return False
        return close(found, expected)

    def rows(first: int, last: int) -> Tensor:
        if "sound" not in known:
            known["sound"] = sound()
        if not known["sound"]:
            return through_all(first, last)
        return known["all"][:, first:last] if "all" in known else alone(first, last)

    return rows


def _add_rows(
    total: Tensor, one: Rows, two: Rows, sizes: tuple[int, int], at_once: int, outputs: str
) -> None:
    """Add products of rows to a kernel, block by block; of one set of samples half of them."""
    n, m = sizes
    along = 2 if outputs == "each" else 1
    across = {"trace": 2, "each": 3, "full": 3}[outputs]
    for i in range(0, n, at_once):
        first = one(i, min(i + at_once, n))
        for j in range(i if one is two else 0, m, at_once):
            second = first if one is two and i == j else two(j, min(j + at_once, m))
            part = of_rows(first, second, outputs)
            place = total.narrow(along, i, part.shape[along])
            place.narrow(across, j, part.shape[across]).add_(part)
            if one is two and i != j:
                turned = part.permute(0, 3, 4, 1, 2) if outputs == "full" else part.mT
                place = total.narrow(along, j, turned.shape[along])
                place.narrow(across, i, turned.shape[across]).add_(turned)


def _matching(two: Factors, name: str, product: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    # A weight of no use for the other samples adds nothing there.
    if name in two.products:
        return two.products[name]
    return product[0][:, :0], product[1][:, :0]


def _unsqueezed(sample: Any, dim: int) -> Any:
    if isinstance(sample, dict):
        return {n: t.unsqueeze(dim) for n, t in sample.items()}
    if isinstance(sample, tuple | list):
        return tuple(t.unsqueeze(dim) for t in sample)
    return sample.unsqueeze(dim)
