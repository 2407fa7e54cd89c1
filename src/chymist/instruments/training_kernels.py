"""Tangent kernels along a training: how they turn, and how they come to lie to the labels."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from chymist.errors import BadParameter
from chymist.instruments.kernel_alignment import kernel_alignment, kernel_drift
from chymist.instruments.kernel_spectrum import kernel_spectrum
from chymist.instruments.networks import of_snapshot
from chymist.instruments.snapshot import Instrument, Snapshot
from chymist.instruments.tangent_kernel import tangent_kernel


def training_kernel_drift(
    samples: int | None = None, name: str = "kernel_drift"
) -> tuple[Instrument, Instrument]:
    """How far each lane's tangent kernel has moved since it was first recorded in a training.

    Both measures of `kernel_drift`, of the kernel summed over outputs on the training inputs, or on
    the first `samples` of them; the second, 1 - cosine, is called `name`_turned. Both share one
    kernel. Shapes: (lane,). Unit: 1. Cost: one kernel, see `training_kernel_spectrum`. Memory: one
    kernel a lane is kept. Error: rounding; NaN where a lane has diverged. Source: see
    `kernel_drift`.

    Raises:
        BadParameter: samples is not positive.

    >>> [i.name for i in training_kernel_drift()]
    ['kernel_drift', 'kernel_drift_turned']
    """
    kernel = _kernel(samples)

    def measure(part: str) -> Callable[[Snapshot], Tensor]:
        def measured(snapshot: Snapshot) -> Tensor:
            now = kernel(snapshot)
            first = snapshot.memory.setdefault((name, samples), now)

            def drift(lane: int) -> Tensor:
                found: Tensor = getattr(kernel_drift(first[lane], now[lane]), part)
                return found

            return _by_lane(drift, now)

        return measured

    return (
        Instrument(name, measure("relative"), long_name="change of the tangent kernel / its size"),
        Instrument(
            f"{name}_turned",
            measure("turned"),
            long_name="1 - cosine between the tangent kernel and that of the start",
        ),
    )


def training_kernel_alignment(
    samples: int | None = None, *, centred: bool = True, name: str = "kernel_alignment"
) -> Instrument:
    """Alignment of each lane's tangent kernel with the training targets; see `kernel_alignment`.

    Of the kernel summed over outputs on the training inputs, or on the first `samples`. Shape:
    (lane,). Unit: 1. Cost: one kernel, see `training_kernel_spectrum`. Memory: as `ntk`. Error:
    rounding; NaN where a lane has diverged. Source: see `kernel_alignment`; Baratin et al. (2021),
    arXiv:2008.00938.

    Raises:
        BadParameter: samples is not positive.

    >>> training_kernel_alignment().name
    'kernel_alignment'
    """
    kernel = _kernel(samples)

    def measure(snapshot: Snapshot) -> Tensor:
        now = kernel(snapshot)
        y = snapshot.y if snapshot.y.ndim == 3 else snapshot.y.expand(len(now), *snapshot.y.shape)
        some = y[:, : now.shape[1]]
        return _by_lane(lambda lane: kernel_alignment(now[lane], some[lane], centred=centred), now)

    return Instrument(
        name, measure, long_name="alignment of the tangent kernel with the training targets"
    )


def training_kernel_spectrum(
    k: int = 1, samples: int | None = None, *, name: str = "kernel_eigenvalue"
) -> Instrument:
    """The k largest eigenvalues of each lane's tangent kernel, divided by the samples.

    Of the kernel summed over outputs on the training inputs, or on the first `samples`. Shapes:
    (lane,) for k = 1, else (lane, eigen), dimension `eigen` 0..k-1 downwards. Unit: outputs squared
    over parameters squared. Cost: one kernel: networks of dense layers a backward pass for each
    output, all lanes at once, and products between samples; others samples times outputs gradient
    evaluations of one sample each. And an eigenvalue problem a lane, samples^3. Memory: as `ntk`,
    for all lanes. Error: rounding; NaN where a lane has diverged. Source: see `ntk`.

    Raises:
        BadParameter: k or samples is not positive, or, at the recording, k above the samples.

    >>> training_kernel_spectrum(3).dims
    ('eigen',)
    """
    if k < 1:
        raise BadParameter(f"k is {k}", "it must be 1 or more")
    kernel = _kernel(samples)

    def measure(snapshot: Snapshot) -> Tensor:
        now = kernel(snapshot)
        count = now.shape[1]
        if k > count:
            raise BadParameter(f"k is {k} for {count} samples", f"it must be at most {count}")
        found = _by_lane(lambda lane: kernel_spectrum(now[lane]).values[:k] / count, now, (k,))
        return found[:, 0] if k == 1 else found

    return Instrument(
        name,
        measure,
        dims=("eigen",) if k > 1 else (),
        coords={"eigen": list(range(k))} if k > 1 else {},
        long_name="largest eigenvalues of the tangent kernel / samples",
    )


def _kernel(samples: int | None) -> Callable[[Snapshot], Tensor]:
    """Return how to make the kernel of a snapshot, once for all instruments that share it."""
    if samples is not None and samples < 1:
        raise BadParameter(f"samples is {samples}", "it must be 1 or more")

    def made(snapshot: Snapshot) -> Tensor:
        step, kernel = snapshot.memory.get(("tangent kernel", samples), (-1, None))
        if step != snapshot.step or kernel is None:
            network = of_snapshot(snapshot)
            count = min(samples or snapshot.x.shape[-2], snapshot.x.shape[-2])
            with torch.enable_grad():
                kernel = tangent_kernel(network, network.take(snapshot.x, 0, count))
            snapshot.memory["tangent kernel", samples] = (snapshot.step, kernel)
        found: Tensor = kernel
        return found

    return made


def _by_lane(
    measure: Callable[[int], Tensor], kernel: Tensor, shape: tuple[int, ...] = ()
) -> Tensor:
    """Measure lane by lane; those whose kernel is not finite are NaN."""
    found = torch.full((len(kernel), *shape), torch.nan, dtype=torch.float64)
    for lane, finite in enumerate(kernel.isfinite().flatten(1).all(1).tolist()):
        if finite:
            found[lane] = measure(lane)
    return found.to(kernel.device)
