"""A Gaussian filter on the graph of the inputs: the smooth part of values in any dimension.

Convention: G_ij = exp(-|x_i - x_j|^2 / (2 d)) / (its row's sum), each sample its own neighbour too,
so that rows sum to one. The width d is a variance, in units of the inputs squared. The low part of
values y is G y, the high part y - G y. Small d makes G the identity, large d the mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments import checks

BLOCK, ROWS = 2**16, 16
"""Distances of a block of rows, few enough to stay in a core's cache, and its least rows."""
SHARES = (0.3, 0.5, 0.7)
"""Shares of energy at which widths are chosen unless others are named."""


def graph_lowpass(
    x: Float[Tensor, "sample feature"], width: float
) -> Float[Tensor, "sample sample"]:
    """Return the filter's matrix G, G_ij = exp(-|x_i - x_j|^2 / (2 width)) / row sum.

    Shapes: (sample, sample), float64. Unit: 1; the width's is that of the inputs squared. Cost:
    samples^2 times features. Memory: three such matrices. Error: rounding; distances come from
    inner products about the mean input. Source: Xu, Zhang, Luo, Xiao, Ma (2020), arXiv:1901.06523.

    Raises:
        BadParameter: the width is not positive.
        CannotMeasure: the inputs are no samples of features, or not finite.

    Two samples at a squared distance of 2 ln 2 weigh 2 to 1:

    >>> import math
    >>> x = torch.tensor([[0.0], [math.sqrt(2 * math.log(2))]], dtype=torch.float64)
    >>> graph_lowpass(x, 1.0)
    tensor([[0.6667, 0.3333],
            [0.3333, 0.6667]], dtype=torch.float64)
    """
    weights = [_weights(d2, checked_widths([width])[0]) for _, d2 in _blocks(_rows(x))]
    whole = torch.cat(weights)
    return whole / whole.sum(1, keepdim=True)


def low_passed(
    x: Float[Tensor, "sample feature"],
    values: Float[Tensor, "*lane sample output"],
    widths: Sequence[float],
) -> Float[Tensor, "*lane filter sample output"]:
    """Return the low part G y of values y for every width, without keeping G.

    Shapes: (*lane, filter, sample, output), of the values' precision. Unit: the values'. Cost:
    exact; samples^2 times features for the distances, once, and samples^2 times (widths) x (values
    a sample). Memory: inputs in float64, four blocks of 16 rows of distances (10 MB at 20,000
    samples), and the result. Error: rounding. Source: as `graph_lowpass`.

    Raises:
        BadParameter: a width is not positive.
        CannotMeasure: values and inputs differ in samples, or are not finite.

    A constant is all low:

    >>> low_passed(torch.eye(3), torch.full((3, 1), 2.0), [0.1, 10.0]).round(decimals=4).flatten(1)
    tensor([[2., 2., 2.],
            [2., 2., 2.]])
    """
    d = checked_widths(widths)
    rows = _rows(x)
    if values.ndim < 2 or values.shape[-2] != len(rows):
        raise CannotMeasure(
            f"values of shape {tuple(values.shape)} on {len(rows)} samples",
            "give a row of numbers for each sample",
        )
    lanes, outputs = values.shape[:-2], values.shape[-1]
    joined = values.movedim(-2, 0).reshape(len(rows), -1)
    # Sums of weights come with the products, as those with ones.
    columns = torch.cat([joined, joined.new_ones(len(rows), 1)], dim=1)
    sums = columns.new_zeros((len(d), *columns.shape))
    # Weights are symmetric: those of a block and all samples after it serve both ways.
    for place, d2 in _blocks(rows, after=True):
        for i, width in enumerate(d):
            weights = _weights(d2, width).to(joined)
            sums[i, place] += weights @ columns[place.start :]
            sums[i, place.stop :] += weights[:, len(weights) :].T @ columns[place]
    made = sums[..., :-1] / sums[..., -1:]
    return made.reshape(len(d), len(rows), *lanes, outputs).movedim((0, 1), (-3, -2))


def high_share(
    x: Float[Tensor, "sample feature"], y: Float[Tensor, "sample output"], widths: Sequence[float]
) -> Float[Tensor, " filter"]:
    """Share of the energy of values that is high, ||y - G y||^2 / ||y||^2, for every width.

    How hard a data set is before any training: how much of its targets changes between near
    neighbours. Shapes: (filter,), float64. Unit: 1, at least 0; 0 at small widths where no inputs
    repeat, and 1 - ||mean y||^2 / mean ||y||^2 at large ones. Cost, memory: `low_passed`. Error:
    rounding. Source: Xu, Zhang, Luo, Xiao, Ma (2020), arXiv:1901.06523.

    Raises:
        BadParameter: a width is not positive.
        CannotMeasure: values and inputs differ in samples, or are not finite; values are all zero.

    >>> x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [-1.0]])
    >>> high_share(x, y, [1e-3, 1e6]).round(decimals=3)
    tensor([0., 1.], dtype=torch.float64)
    """
    values = y.detach().double()
    energy = values.square().sum()
    if not bool(values.isfinite().all()) or not energy > 0:
        raise CannotMeasure(
            "the values are all zero or not finite", "they have no share to measure"
        )
    high = values - low_passed(x, values, widths)
    return high.square().sum((-2, -1)) / energy


def neighbour_distance(x: Float[Tensor, "sample feature"]) -> float:
    """Median squared distance from a sample to its nearest other: the scale below which G is 1.

    Unit: the inputs', squared. Cost: samples^2 times features. Memory: as `low_passed`.

    Raises:
        CannotMeasure: fewer than two samples, or inputs that are not finite.

    >>> round(neighbour_distance(torch.tensor([[0.0], [1.0], [3.0]])), 9)
    1.0
    """
    rows = _rows(x)
    if len(rows) < 2:
        raise CannotMeasure("there is one sample", "a neighbour needs two")
    nearest = []
    for place, d2 in _blocks(rows):
        own = torch.arange(place.start, place.stop, device=d2.device)
        d2[own - place.start, own] = torch.inf
        nearest.append(d2.amin(1))
    return float(torch.cat(nearest).median())


def choose_widths(
    x: Float[Tensor, "sample feature"],
    y: Float[Tensor, "sample output"],
    shares: Sequence[float] = SHARES,
) -> list[float]:
    """Return the widths at which the high part has these shares of the energy about the mean.

    Shares of ||y - G y||^2 / ||y - mean||^2, which rises from 0 (where no inputs repeat) to 1 with
    the width; of targets whose mean is zero it is `high_share`. Where it crosses a share several
    times, a crossing. Unit: the inputs', squared. Shapes: a width for each share. Cost: 16 filters
    and 10 a share, and distances 11 times. Memory: `low_passed`. Error: a width within 0.1 %.
    Source: none; choosing by energy rather than by number keeps the filter from being the identity.

    Raises:
        BadParameter: no shares, or one outside of 0..1.
        CannotMeasure: the targets are constant or no width has that share, as where equal inputs
            have different targets; inputs are all equal.

    >>> x = torch.linspace(0, 1, 40)[:, None]
    >>> y = torch.sin(20 * x)
    >>> widths = choose_widths(x, y, [0.2, 0.8])
    >>> high_share(x, y - y.mean(), widths).round(decimals=3)
    tensor([0.2000, 0.8000], dtype=torch.float64)
    """
    wanted = checks.numbers("shares", shares)
    if not 0 < min(wanted) <= max(wanted) < 1:
        raise BadParameter(f"shares is {wanted}", "one or more numbers between 0 and 1")
    values = y.detach().double()
    if values.ndim != 2 or not bool(values.isfinite().all()):
        raise CannotMeasure(
            f"targets of shape {tuple(y.shape)}", "give finite numbers (sample, output)"
        )
    level = values.abs().amax()
    values = values - values.mean(0)
    if not values.abs().amax() > 1e-12 * level:
        raise CannotMeasure("the targets are constant", "they have no high part at any width")
    rows = _rows(x)
    least, most = _extent(rows)

    def share_at(widths: Tensor) -> Tensor:
        return high_share(x, values, widths.tolist())

    grid = torch.logspace(
        _log10(least / 64), _log10(64 * most), 16, dtype=torch.float64
    )  # fmt: skip
    found = share_at(grid)
    low, high = [], []
    for share in wanted:
        above = (found >= share).nonzero()
        if found[0] >= share or not len(above):
            raise CannotMeasure(
                f"the high part has a share of {float(found.min()):.3g} to "
                f"{float(found.max()):.3g}, never {share:g}",
                "choose another share, or give widths",
            )
        low.append(grid[above[0, 0] - 1])
        high.append(grid[above[0, 0]])
    a, b = torch.stack(low), torch.stack(high)
    goal = torch.tensor(wanted, dtype=torch.float64)
    while bool((b / a > 1.001).any()):
        middle = (a * b).sqrt()
        above = share_at(middle).cpu() >= goal
        a, b = torch.where(above, a, middle), torch.where(above, middle, b)
    return [float(w) for w in (a * b).sqrt()]


def checked_widths(widths: Sequence[float]) -> list[float]:
    """Return widths of filters.

    Raises:
        BadParameter: there are none, or one is not a positive finite number.
    """
    found = checks.numbers("widths", widths)
    if not min(found) > 0:
        raise BadParameter(f"widths is {found}", "one or more positive numbers")
    return found


def _rows(x: Tensor) -> Float[Tensor, "sample feature"]:
    """Return inputs in float64 about their mean, which keeps inner products from cancelling."""
    if x.ndim < 2 or not len(x) or not bool(x.isfinite().all()):
        raise CannotMeasure(
            f"inputs of shape {tuple(x.shape)} are no samples, or not finite",
            "give (sample, feature)",
        )
    rows = x.detach().double().reshape(len(x), -1)
    return rows - rows.mean(0)


def _blocks(
    rows: Float[Tensor, "sample feature"], *, after: bool = False
) -> Iterator[tuple[slice, Tensor]]:
    """Yield squared distances of a block of samples to all, each with its place among the rows.

    With `after`, to those of the block and after it only.
    """
    squares = rows.square().sum(1)
    step = max(ROWS, BLOCK // len(rows))
    for first in range(0, len(rows), step):
        place = slice(first, min(first + step, len(rows)))
        others = slice(first if after else 0, len(rows))
        d2 = torch.addmm(squares[None, others], rows[place], rows[others].T, alpha=-2)
        d2 = d2.add_(squares[place, None]).clamp_(min=0)
        own = torch.arange(place.stop - first, device=rows.device)
        d2[own, own + first - others.start] = 0
        yield place, d2


def _weights(d2: Tensor, width: float) -> Tensor:
    return (d2 * (-0.5 / width)).exp_()


def _extent(rows: Float[Tensor, "sample feature"]) -> tuple[float, float]:
    """Return the least squared distance of two samples that is not rounding, and the largest."""
    most = max(float(d2.max()) for _, d2 in _blocks(rows))
    if not most > 0:
        raise CannotMeasure("the inputs are all equal", "they make no graph")
    few = 1e-12 * most
    least = min(float(d2.where(d2 > few, most).min()) for _, d2 in _blocks(rows))
    return least, most


def _log10(value: float) -> float:
    return float(torch.tensor(value, dtype=torch.float64).log10())
