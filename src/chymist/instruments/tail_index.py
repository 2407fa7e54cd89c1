"""How heavy the tail of gradient noise is: an estimate, and one that says whether it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments.objective import Data, Loss
from chymist.instruments.per_sample import samples_of


@dataclass(frozen=True, eq=False)
class Tail:
    """The index of a tail P(X > x) ~ x^-alpha, from the k largest values.

    `alpha` is Hill's estimate, with its standard error. `shape` is the moment estimate of 1 /
    alpha, which may be zero or negative, as it is for a Gaussian or a bounded tail: Hill's then
    means nothing, and `heavy` is False. It is True where `shape` is above zero by two standard
    errors.
    """

    alpha: float
    standard_error: float
    shape: float
    shape_error: float
    k: int

    @property
    def heavy(self) -> bool:
        """Whether the tail is a power law as far as these values tell."""
        return self.shape > 2 * self.shape_error


def tail_index(values: Float[Tensor, " sample"], k: int | None = None) -> Tail:
    """Tail index of positive values: Hill's estimate, and the moment estimate that guards it.

    With l_i = ln(x_(i) / x_(k+1)) over the k largest: alpha = 1 / mean l; with m_j = mean l^j,
    shape = m_1 + 1 - 1 / (2 (1 - m_1^2 / m_2)). k is by default the square root of the number of
    values. Caution: Hill's estimate is a finite number for any data, Gaussian ones included, and
    depends on k; values of several sizes mixed look heavy without being so. Read it with `shape`,
    and at several k.

    Shapes: numbers. Unit: 1. Cost: one sort. Memory: the values. Error: the standard errors given,
    asymptotic, for independent values; bias from a slowly varying factor is not in them. Sources:
    Hill (1975), Ann. Stat. 3; Dekkers, Einmahl, de Haan (1989), Ann. Stat. 17. On SGD: Simsekli,
    Sagun, Gurbuzbalaban (2019), arXiv:1901.06053; doubts: Xie, Sato, Sugiyama (2021),
    arXiv:2002.03495.

    Raises:
        BadParameter: k is not between 5 and the number of values less one.
        CannotMeasure: values are not finite, or the k + 1 largest are not positive, or are equal.

    >>> import torch
    >>> n = torch.arange(1, 10001, dtype=torch.float64)
    >>> pareto = (n / 10001) ** (-1 / 2)  # P(X > x) = x^-2
    >>> found = tail_index(pareto, 1000)
    >>> round(found.alpha, 1), found.heavy
    (2.0, True)
    """
    flat = values.detach().double().flatten()
    n = len(flat)
    k = max(5, round(n**0.5)) if k is None else k
    if not 5 <= k < n:
        raise BadParameter(f"k is {k} of {n} values", "at least 5, and fewer than the values")
    if not bool(flat.isfinite().all()):
        bad = int((~flat.isfinite()).sum())
        raise CannotMeasure(f"{bad} of {n} values are not finite", "a tail needs finite values")
    top = flat.sort(descending=True).values[: k + 1]
    if not float(top[k]) > 0 or float(top[0]) == float(top[k]):
        raise CannotMeasure(
            f"the {k + 1} largest values lie between {float(top[k]):.3g} and {float(top[0]):.3g}",
            "a tail needs positive values that differ",
        )
    logs = (top[:k] / top[k]).log()
    m1, m2 = float(logs.mean()), float(logs.square().mean())
    alpha = 1 / m1
    # One value k times is a ratio of exactly one; rounding may pass it.
    shape = m1 + 1 - 0.5 / max(1 - m1**2 / m2, 1e-12)
    return Tail(alpha, alpha / k**0.5, shape, (_moment_variance(shape) / k) ** 0.5, k)


def gradient_tail(
    model: nn.Module, loss: Loss, data: Data, k: int | None = None, **options: Any
) -> Tail:
    """Tail index of the norms of gradient noise, ||g_i - g||, over single samples.

    See `tail_index` for the definition and the caution. Shapes: numbers. Unit: 1. `options` go to
    `objective`. Cost: two gradient evaluations and a half. Memory: twice the activations. Error:
    the standard errors given. Source: as there.

    Raises:
        BadParameter: k is not between 5 and the number of samples less one.
        CannotMeasure: all gradients are equal; see `objective`.

    >>> import torch
    >>> x, line = torch.linspace(1, 2, 50)[:, None], nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.zeros_(line.weight)
    >>> half = lambda out, y: 0.5 * (out - y).square().mean()
    >>> gradient_tail(line, half, (x, torch.ones(50, 1))).heavy  # uniform noise has no tail
    False
    """
    gradients = samples_of(model, loss, data, **options)
    mean = gradients.mean()
    squares, along = gradients.squares().double(), gradients.along(mean).double()
    apart = squares - 2 * along + mean.double().square().sum(1, keepdim=True)
    return tail_index(apart[0].clamp(min=0).sqrt(), k)


def _moment_variance(shape: float) -> float:
    """Variance, times k, of the moment estimate of a tail's shape."""
    if shape >= 0:
        return 1 + shape**2
    one, two, three, four = (1 - j * shape for j in (1, 2, 3, 4))
    return one**2 * two * (4 - 8 * two / three + (5 - 11 * shape) * two / (three * four))
