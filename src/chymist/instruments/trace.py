"""Traces and Frobenius norms of curvature, by random probes, with their standard errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from chymist.errors import BadParameter
from chymist.instruments.matrices import curvature
from chymist.instruments.objective import Data, Loss, snapshot_objective
from chymist.instruments.one_network import objective
from chymist.instruments.operators import Operator
from chymist.instruments.probes import Estimate, normals, one_key, signs
from chymist.instruments.snapshot import Instrument, Snapshot
from chymist.keys import Key


def trace(
    model: nn.Module,
    loss: Loss,
    data: Data,
    *,
    matrix: str = "hessian",
    method: str = "xtrace",
    products: int = 60,
    seed: int = 0,
    **options: Any,
) -> Estimate:
    """Trace of the curvature of a network's loss, sum_p H_pp, and its standard error.

    Shapes: numbers. Unit: of the loss over the parameters' squared. `method` is "xtrace" (the best
    where the spectrum decays, as it does here), "hutch++" or "hutchinson"; all three are unbiased
    but for rounding. `options` go to `objective`. Cost: two gradient evaluations a product and one
    more; exact when there are as many products as parameters. Memory: `products` vectors. Error:
    the standard error given. Sources: see the methods.

    Raises:
        BadParameter: an unknown method or matrix, or fewer than six products.
        CannotMeasure: see `objective`.

    Half the squared error of a line w x + b has the trace mean(x^2) + 1:

    >>> x = torch.tensor([[1.0], [3.0]])
    >>> half = lambda out, y: 0.5 * (out - y).square().mean()
    >>> trace(nn.Linear(1, 1), half, (x, x)).value
    tensor(6., dtype=torch.float64)
    """
    made = curvature(objective(model, loss, data, **options), matrix)
    return estimated_trace(made, one_key(seed, "trace"), method=method, products=products).lane(0)


def frobenius_norm(
    model: nn.Module,
    loss: Loss,
    data: Data,
    *,
    matrix: str = "hessian",
    products: int = 60,
    seed: int = 0,
    **options: Any,
) -> Estimate:
    """Frobenius norm of the curvature, sqrt(sum_pq H_pq^2), and its standard error.

    The root of the mean of ||H v||^2 over vectors v of random signs; its standard error by the
    delta method, which also says how large its bias is: standard error squared over twice the norm.
    Shapes: numbers. Unit: of the loss over the parameters' squared. `options` go to `objective`.
    Cost: two gradient evaluations a product and one more; exact when there are as many products as
    parameters. Memory: `products` vectors. Error: the standard error given. Source: Hutchinson
    (1990), Commun. Stat. Simul. Comput. 19.

    Raises:
        BadParameter: an unknown matrix, or fewer than six products.
        CannotMeasure: see `objective`.

    >>> x = torch.tensor([[1.0], [-1.0]])
    >>> half = lambda out, y: 0.5 * (out - y).square().mean()
    >>> frobenius_norm(nn.Linear(1, 1), half, (x, x)).value.round(decimals=4)  # of the identity
    tensor(1.4142, dtype=torch.float64)
    """
    made = curvature(objective(model, loss, data, **options), matrix)
    return estimated_norm(made, one_key(seed, "norm"), products=products).lane(0)


def training_trace(
    matrix: str = "hessian", products: int = 30, name: str = "trace"
) -> tuple[Instrument, Instrument]:
    """Trace of the curvature of the training loss, and its standard error, recorded in training.

    Shapes: (lane,). Unit: of the loss over the parameters' squared. By XTrace; both instruments
    share one measurement, and probes come from each lane's key, the same at every step. The second
    is called `name`_standard_error. Cost: two gradient evaluations a product and one more, over all
    training samples. Memory: `products` vectors a lane. Error: the second instrument. Source:
    Epperly, Tropp, Webber (2024), arXiv:2301.07825.

    >>> [i.name for i in training_trace()]
    ['trace', 'trace_standard_error']
    """

    def estimate(snapshot: Snapshot) -> Estimate:
        step, made = snapshot.memory.get(name, (-1, None))
        if step != snapshot.step:
            operator = curvature(snapshot_objective(snapshot), matrix)
            made = estimated_trace(operator, snapshot.keys(name), products=products)
            snapshot.memory[name] = (snapshot.step, made)
        return cast(Estimate, made)

    return (
        Instrument(name, lambda s: estimate(s).value, long_name=f"trace of the {matrix}"),
        Instrument(
            f"{name}_standard_error",
            lambda s: estimate(s).standard_error,
            long_name=f"standard error of the {matrix}'s trace",
        ),
    )


def estimated_trace(
    operator: Operator, keys: Sequence[Key], *, method: str = "xtrace", products: int = 60
) -> Estimate:
    """Estimate the trace of each lane's matrix by one of `METHODS`; values (lane,) in float64.

    Raises:
        BadParameter: an unknown method, or fewer than six products.
    """
    if method not in METHODS:
        raise BadParameter(f"method is {method!r}", f"one of {', '.join(METHODS)}")
    if products < 6:
        raise BadParameter(f"products is {products}", "a standard error needs 6 or more")
    if products >= operator.size:
        return _exact(operator, lambda rows: rows.diagonal(dim1=1, dim2=2).sum(1))
    before = operator.counts
    values = METHODS[method](operator, keys, products)
    return _estimate(operator, before, values.mean(1), _standard_error(values))


def estimated_norm(operator: Operator, keys: Sequence[Key], *, products: int = 60) -> Estimate:
    """Estimate the Frobenius norm of each lane's matrix; values (lane,) in float64.

    Raises:
        BadParameter: fewer than six products.
    """
    if products < 6:
        raise BadParameter(f"products is {products}", "a standard error needs 6 or more")
    if products >= operator.size:
        return _exact(operator, lambda rows: rows.flatten(1).norm(dim=1))
    before = operator.counts
    squares = operator(signs(operator, keys, products)).double().square().sum(2)
    norm = squares.mean(1).sqrt()
    error = _standard_error(squares) / (2 * norm).clamp(min=torch.finfo(torch.float64).tiny)
    return _estimate(operator, before, norm, error)


def hutchinson(operator: Operator, keys: Sequence[Key], products: int) -> Tensor:
    """Values v^T A v over vectors v of random signs, each of mean tr A; (lane, value).

    Their variance is twice the sum of the squared entries off the diagonal. Source: Hutchinson
    (1990), Commun. Stat. Simul. Comput. 19.
    """
    v = signs(operator, keys, products)
    values: Tensor = (v.double() * operator(v).double()).sum(2)
    return values


def hutch_plus_plus(operator: Operator, keys: Sequence[Key], products: int) -> Tensor:
    """Values of mean tr A: the trace on a random range of A, exact, and probes of what is left.

    A third of the products each: to find the range Q, for tr Q^T A Q, and for probes of
    (1 - Q Q^T) A (1 - Q Q^T), normal vectors brought to the length they have on average. The
    standard error is of the probes alone, Q given, as the estimate is unbiased for any Q. Source:
    Meyer, Musco, Musco, Woodruff (2021), arXiv:2010.09649.
    """
    third = products // 3
    drawn = normals(operator, keys, 2 * third)
    found = torch.linalg.qr(operator(drawn[:, :third]).double().mT)[0].mT
    on_range = (found * operator(found).double()).sum((1, 2))
    probes = drawn[:, third:].double()
    probes = probes - (probes @ found.mT) @ found
    left = (probes * operator(probes).double()).sum(2) / probes.square().sum(2)
    values: Tensor = on_range[:, None] + (operator.size - third) * left
    return values


def xtrace(operator: Operator, keys: Sequence[Key], products: int) -> Tensor:
    """Values of mean tr A, one a probe: each probes what the range of all the others leaves.

    With Y = A Omega = Q R, the range without probe i is Q (1 - s s^T), s the direction of column i
    of R^-T, so that all values come from half the products for Y and half for A Q. Probes are
    normal; what is left of one is brought to the length it has on average. The values are not
    independent; that their scatter gives the standard error is a rule of thumb, which holds well.
    Source: Epperly, Tropp, Webber (2024), SIAM J. Matrix Anal. Appl. 45, arXiv:2301.07825.
    """
    half = products // 2
    drawn = normals(operator, keys, half)
    q, r = torch.linalg.qr(operator(drawn).double().mT)
    inner = q.mT @ operator(q.mT).double().mT
    # A probe that adds nothing to the range leaves R singular: any tiny number stands for zero.
    diagonal = r.diagonal(dim1=1, dim2=2)
    floor = 1e-14 * diagonal.abs().amax(1, keepdim=True).clamp(min=1e-200)
    lifted = torch.where(diagonal.abs() < floor, floor, diagonal)
    eye = torch.eye(half, dtype=r.dtype, device=r.device).expand_as(r)
    s = torch.linalg.solve_triangular(r + torch.diag_embed(lifted - diagonal), eye, upper=True).mT
    s = s / s.norm(dim=1, keepdim=True)
    w = q.mT @ drawn.double().mT
    u = w - s * (s * w).sum(1, keepdim=True)
    on_range = inner.diagonal(dim1=1, dim2=2).sum(1, keepdim=True) - (s * (inner @ s)).sum(1)
    left = (w * r).sum(1) - 2 * (u * r).sum(1) + (u * (inner @ u)).sum(1)
    length = drawn.double().square().sum(2) - u.square().sum(1)
    values: Tensor = on_range + (operator.size - half + 1) * left / length
    return values


METHODS: dict[str, Callable[[Operator, Sequence[Key], int], Tensor]] = {
    "xtrace": xtrace,
    "hutch++": hutch_plus_plus,
    "hutchinson": hutchinson,
}
"""Estimators of a trace: (operator, keys, products) -> values (lane, value), each of its mean."""


def _standard_error(values: Tensor) -> Tensor:
    return torch.as_tensor(values.std(1) / values.shape[1] ** 0.5)


def _exact(operator: Operator, of_matrix: Callable[[Tensor], Tensor]) -> Estimate:
    eye = torch.eye(operator.size, dtype=operator.like.dtype, device=operator.like.device)
    before = operator.counts
    value = of_matrix(operator(eye.expand(operator.lanes, -1, -1)).double())
    return _estimate(operator, before, value, torch.zeros_like(value))


def _estimate(
    operator: Operator, before: tuple[int, int], value: Tensor, standard_error: Tensor
) -> Estimate:
    return Estimate(
        operator.known(value), operator.known(standard_error),
        operator.products - before[0], operator.gradients_since(before),
    )  # fmt: skip
