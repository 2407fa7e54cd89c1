"""The gradient noise scale: at which batch size the noise is as large as the gradient."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments.objective import Data, Loss
from chymist.instruments.per_sample import PerSample, at_least, samples_of, snapshot_samples
from chymist.instruments.snapshot import Instrument, Snapshot


@dataclass(frozen=True, eq=False)
class NoiseScale:
    """tr Sigma / ||G||^2, from unbiased estimates of both; the value of their ratio.

    `uncertainty` is the covariance matrix of the two estimates. Where that of ||G||^2 is not
    positive, noise dominates: the value is infinite, and `interval` says from where.
    """

    trace: Float[Tensor, "*lane"]
    squared_gradient: Float[Tensor, "*lane"]
    uncertainty: Float[Tensor, "*lane 2 2"]

    @property
    def value(self) -> Float[Tensor, "*lane"]:
        """The noise scale, which predicts the critical batch size, in samples."""
        ratio = self.trace / self.squared_gradient
        return ratio.masked_fill(self.squared_gradient <= 0, torch.inf)

    @property
    def standard_error(self) -> Float[Tensor, "*lane"]:
        """Its standard error to first order; trust `interval` where it is not small."""
        ratio = self.value
        tt, tg, gg = self._entries
        variance = tt - 2 * ratio * tg + ratio.square() * gg
        return variance.clamp(min=0).sqrt() / self.squared_gradient.abs()

    def interval(self, deviations: float = 1.96) -> tuple[Tensor, Tensor]:
        """Return the confidence interval of the ratio, whose upper end may be infinite.

        All ratios r at which trace - r ||G||^2 lies within so many of its standard errors of zero,
        and which are not negative. Source: Fieller (1954), J. R. Stat. Soc. B 16.
        """
        tt, tg, gg = (deviations**2 * v for v in self._entries)
        t, g = self.trace, self.squared_gradient
        a, b, c = g.square() - gg, t * g - tg, t.square() - tt
        root = (b.square() - a * c).clamp(min=0).sqrt()
        bounded = (a > 0) & (g > 0)
        low, high = (b - root) / a, (b + root) / a
        # Otherwise the interval is the outside of the two roots, or everything.
        from_below = torch.where(root > 0, torch.maximum(low, high), torch.zeros_like(low))
        low = torch.where(bounded, low, from_below).clamp(min=0)
        return low, high.masked_fill(~bounded, torch.inf)

    def lane(self, lane: int) -> NoiseScale:
        """Return one lane's noise scale, without the lane dimension."""
        return NoiseScale(self.trace[lane], self.squared_gradient[lane], self.uncertainty[lane])

    @property
    def _entries(self) -> tuple[Tensor, Tensor, Tensor]:
        u = self.uncertainty
        return u[..., 0, 0], u[..., 0, 1], u[..., 1, 1]


def noise_scale(model: nn.Module, loss: Loss, data: Data, **options: Any) -> NoiseScale:
    """Simple noise scale tr Sigma / ||G||^2 of a loss, samples taken as draws from a population.

    Both unbiased: with the mean gradient g of n samples, tr Sigma = sum_i ||g_i - g||^2 / (n - 1)
    and ||G||^2 = ||g||^2 - tr Sigma / n. Their uncertainty by the jackknife, leaving each sample
    out in turn. Along a run average the two, not their ratio: see `averaged_noise_scale`.

    Shapes: numbers, float64. Unit of the value: samples. `options` go to `objective`. Cost: two
    gradient evaluations and a half, three forward passes of checks. Memory: twice the activations.
    Error: the standard error given; tr Sigma loses digits where noise is far below the gradient.
    Source: McCandlish et al. (2018), arXiv:1812.06162. That it predicts the critical batch size is
    an approximation to within a factor of some ten, questioned by Merrill et al. (2025),
    arXiv:2505.23971.

    Raises:
        CannotMeasure: there are fewer than three samples; see `objective`.

    Of gradients -1, -2, -3: variance 1, squared mean 4 - 1/3:

    >>> x, line = torch.tensor([[1.0], [2.0], [3.0]]), nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.zeros_(line.weight)
    >>> half = lambda out, y: 0.5 * (out - y).square().mean()
    >>> found = noise_scale(line, half, (x, torch.ones(3, 1)))
    >>> found.trace.round(decimals=6), found.value.round(decimals=4)  # 3/11
    (tensor(1., dtype=torch.float64), tensor(0.2727, dtype=torch.float64))
    """
    return scale_of(samples_of(model, loss, data, **options)).lane(0)


def scale_of(gradients: PerSample) -> NoiseScale:
    """Return every lane's noise scale; see `noise_scale`.

    Raises:
        CannotMeasure: there are fewer than three samples.
    """
    n = gradients.samples
    at_least(n, 3, "a noise scale")
    mean = gradients.mean()
    squares, along = gradients.squares().double(), gradients.along(mean).double()
    size = mean.double().square().sum(1)

    def both(count: int, square: Tensor, squared_mean: Tensor) -> Tensor:
        trace = count / (count - 1) * (square - squared_mean)
        return torch.stack([trace, squared_mean - trace / count], dim=-1)

    found = both(n, squares.mean(1), size)
    # The same without sample i, in closed form.
    without = both(
        n - 1,
        (squares.sum(1, keepdim=True) - squares) / (n - 1),
        (n**2 * size[:, None] - 2 * n * along + squares) / (n - 1) ** 2,
    )
    apart = without - without.mean(1, keepdim=True)
    return NoiseScale(found[:, 0], found[:, 1], (n - 1) / n * apart.mT @ apart)


def averaged_noise_scale(
    traces: Float[Tensor, "*lane step"],
    squared_gradients: Float[Tensor, "*lane step"],
    *,
    blocks: int = 20,
) -> NoiseScale:
    """Noise scale of a stretch of training: the ratio of the averages over steps.

    The average of the ratios is of no use: a denominator that comes near zero at one step, or is
    negative, decides it. The uncertainty is that of means over `blocks` stretches of equal length,
    so that steps may be correlated over less than that; of all steps if there are fewer than twice
    as many.

    Shapes: (*lane,). Unit of the value: samples. Cost: none. Memory: the series in float64.
    Error: the standard error given. Source: McCandlish et al. (2018), arXiv:1812.06162, appendix A.

    Raises:
        BadParameter: the shapes differ, or there are fewer than two blocks or two steps.

    >>> averaged_noise_scale(torch.tensor([8.0, 12.0]), torch.tensor([-1.0, 3.0])).value
    tensor(10., dtype=torch.float64)
    """
    if traces.shape != squared_gradients.shape:
        raise BadParameter(
            f"traces have shape {tuple(traces.shape)}",
            f"squared gradients have {tuple(squared_gradients.shape)}: give both the same",
        )
    steps = traces.shape[-1]
    if steps < 2 or blocks < 2:
        raise BadParameter(f"there are {steps} steps in {blocks} blocks", "give two or more")
    series = torch.stack([traces, squared_gradients], dim=-1).double()
    if not bool(series.isfinite().all()):
        raise CannotMeasure(
            f"{int((~series.isfinite()).any(-1).sum())} of {traces.numel()} steps are not finite",
            "leave out what has diverged",
        )
    count = blocks if steps >= 2 * blocks else steps
    # What does not fill the blocks counts in the averages, not in their uncertainty.
    length = steps // count
    means = series[..., : count * length, :].reshape(*series.shape[:-2], count, length, 2).mean(-2)
    apart = means - means.mean(-2, keepdim=True)
    found = series.mean(-2)
    return NoiseScale(found[..., 0], found[..., 1], apart.mT @ apart / (count * (count - 1)))


def two_batch_noise_scale(
    small: int,
    big: int,
    small_squared: Float[Tensor, "*lane step"],
    big_squared: Float[Tensor, "*lane step"],
    *,
    blocks: int = 20,
) -> NoiseScale:
    """Noise scale from squared norms of gradients of batches of two sizes, one of each a step.

    E ||g_B||^2 = ||G||^2 + tr Sigma / B for samples drawn independently; two sizes give both. As
    in data-parallel training, where one worker's gradient is of a small batch and the mean of all
    of a big one. Ratio of averages over steps: see `averaged_noise_scale`.

    Shapes: (*lane,). Unit of the value: samples. Cost: none beside the gradients. Memory: the
    series in float64. Error: the standard error given; biased where gradients were clipped before,
    and too small a noise where batches are drawn without replacement and are not far smaller than
    the data. Source: McCandlish et al. (2018), arXiv:1812.06162, appendix A.

    Raises:
        BadParameter: not 1 <= small < big; the shapes differ; fewer than two steps.

    >>> two_batch_noise_scale(1, 10, torch.tensor([11.0, 11.0]), torch.tensor([2.0, 2.0])).value
    tensor(10., dtype=torch.float64)
    """
    if not 1 <= small < big:
        raise BadParameter(f"batches of {small} and {big} samples", "small at least 1, below big")
    s, b = torch.as_tensor(small_squared).double(), torch.as_tensor(big_squared).double()
    if s.shape != b.shape:
        raise BadParameter(
            f"there are squared norms of shapes {tuple(s.shape)} and {tuple(b.shape)}",
            "give one of each a step",
        )
    traces = (s - b) / (1 / small - 1 / big)
    return averaged_noise_scale(traces, (big * b - small * s) / (big - small), blocks=blocks)


def training_noise_scale(name: str = "noise_scale") -> tuple[Instrument, Instrument, Instrument]:
    """Noise scale of each lane, recorded in training, with its numerator and denominator.

    Over all training samples, as `noise_scale`: `name`, and `name`_trace and
    `name`_squared_gradient, the two to average along a run with `averaged_noise_scale`. The three
    share one measurement. The training's loss may be a mean over samples or a sum: a sample's is
    that of a batch which holds it alone. Shapes: (lane,). Units: samples; of the loss squared over
    the parameters' squared. Cost: two gradient evaluations and a half over all samples. Memory:
    twice the activations. Error: as there; infinite where noise dominates. Source: McCandlish et
    al. (2018), arXiv:1812.06162.

    Raises:
        CannotMeasure: at the recording, if the loss is neither a mean nor a sum over samples.

    >>> [i.name for i in training_noise_scale()]
    ['noise_scale', 'noise_scale_trace', 'noise_scale_squared_gradient']
    """

    def measured(read: Callable[[NoiseScale], Tensor]) -> Callable[[Snapshot], Tensor]:
        def measure(snapshot: Snapshot) -> Tensor:
            step, made = snapshot.memory.get(name, (-1, None))
            if step != snapshot.step:
                made = scale_of(snapshot_samples(snapshot))
                snapshot.memory[name] = (snapshot.step, made)
            return read(cast(NoiseScale, made))

        return measure

    return (
        Instrument(name, measured(lambda s: s.value), long_name="gradient noise scale in samples"),
        Instrument(
            f"{name}_trace",
            measured(lambda s: s.trace),
            long_name="trace of the covariance of single samples' gradients",
        ),
        Instrument(
            f"{name}_squared_gradient",
            measured(lambda s: s.squared_gradient),
            long_name="squared norm of the population's gradient, unbiased",
        ),
    )


def critical_batch(scale: NoiseScale) -> tuple[float, float]:
    """Return batch sizes between which data are traded for time: half to twice the noise scale.

    Below, a larger batch saves as many steps as it multiplies samples; above, it saves few. Shapes:
    two numbers. Unit: samples. Cost and memory: none. Error: that of the scale; see `noise_scale`
    for how far it predicts. Source: McCandlish et al. (2018), arXiv:1812.06162.

    >>> one = torch.tensor(1.0)
    >>> critical_batch(NoiseScale(200 * one, one, torch.zeros(2, 2)))
    (100.0, 400.0)
    """
    value = float(scale.value)
    return (max(1.0, value / 2), 2 * value) if math.isfinite(value) else (math.inf, math.inf)
