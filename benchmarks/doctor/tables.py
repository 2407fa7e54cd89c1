"""Trainings on tables: regression, binary and multiple outputs, ratings; and of linear models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial

import torch
from case import LARGE_STEP, Case, Training
from networks import Factors, TwoTowers, constant, fixed, gaussian, mlp
from optimizers import Maker, adam, adamw, rmsprop, sgd
from pictures import stream
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine, make_friedman1
from torch import Tensor, nn

mse = nn.functional.mse_loss
binary = nn.functional.binary_cross_entropy_with_logits


def standard(x: Tensor) -> Tensor:
    """Return columns with mean 0 and standard deviation 1."""
    return (x - x.mean(0)) / x.std(0)


@cache
def friedman() -> tuple[Tensor, Tensor]:
    """Return ten features and Friedman's first function of five of them, both standardised."""
    x, y = make_friedman1(1000, noise=0.3, random_state=0)
    return standard(torch.tensor(x).float()), standard(torch.tensor(y).float()[:, None])


@cache
def tumours() -> tuple[Tensor, Tensor]:
    """Return 30 features as measured, up to thousands, and benign (1) or malignant (0)."""
    found = load_breast_cancer()
    return torch.tensor(found.data).float(), torch.tensor(found.target).float()[:, None]


@cache
def wines() -> tuple[Tensor, Tensor]:
    """Return 13 features as measured, of which proline is in thousands, and three classes."""
    found = load_wine()
    return torch.tensor(found.data).float(), torch.tensor(found.target)


@cache
def diabetes() -> tuple[Tensor, Tensor]:
    """Return ten standardised features and the progression as measured, 25 to 346."""
    found = load_diabetes()
    return standard(torch.tensor(found.data).float()), torch.tensor(found.target).float()[:, None]


@cache
def several() -> tuple[Tensor, Tensor]:
    """Return eight features and five outputs of a random net of 20 units."""
    chance = torch.Generator().manual_seed(0)
    x = torch.randn(1000, 8, generator=chance)
    inner, outer = (torch.randn(*s, generator=chance) for s in ((8, 20), (20, 5)))
    return x, standard(torch.tanh(x @ inner / 2) @ outer)


@cache
def waves(frequency: float) -> tuple[Tensor, Tensor]:
    """Return points of (-1, 1) and a sine of this frequency plus a slope."""
    x = torch.linspace(-1, 1, 512)[:, None]
    return x, torch.sin(frequency * torch.pi * x) + 0.3 * x


@cache
def ratings() -> tuple[Tensor, Tensor]:
    """Return 6,000 pairs of 100 users and 80 items, and standardised ratings of rank 3."""
    chance = torch.Generator().manual_seed(0)
    users, items = (torch.randn(n, 3, generator=chance) for n in (100, 80))
    pairs = torch.stack([torch.randint(n, (6000,), generator=chance) for n in (100, 80)], 1)
    full = users @ items.T + torch.randn(100, 1, generator=chance)
    return pairs, standard(full[pairs[:, 0], pairs[:, 1]])


def fit(
    data: Callable[[], tuple[Tensor, Tensor]],
    net: Callable[[], nn.Module],
    optimizer: Maker,
    *,
    loss: Callable[..., Tensor] = mse,
    batch: int | None = 64,
    inputs: Callable[[Tensor], Tensor] = lambda x: x,
    targets: Callable[[Tensor], Tensor] = lambda y: y,
    unit: float = 1.0,
    trained: Callable[[nn.Module], Iterable[nn.Parameter]] = nn.Module.parameters,
    clip: float | None = None,
) -> Training:
    """Set up a training on a table; without `batch` on all of it."""
    x, y = data()
    x, y = inputs(x), targets(y)
    model = net()
    batches = stream(x, y, batch) if batch else repeat(x, y)
    return Training(model, loss, batches, optimizer(trained(model)), (x, y), unit=unit, clip=clip)


def repeat(x: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        yield x, y


def own_binary(out: Tensor, y: Tensor) -> Tensor:
    """Return a cross-entropy as it is written by hand, without care for log(0)."""
    p = torch.sigmoid(out)
    return -(y * torch.log(p) + (1 - y) * torch.log(1 - p)).mean()


class BatchStandard(nn.Module):
    """Features standardised by the batch, without care for one that is constant in it."""

    def forward(self, x: Tensor) -> Tensor:
        return (x - x.mean(0)) / x.std(0)


def with_a_slip(x: Tensor) -> Tensor:
    """Return standardised features, in two samples of which the decimal points are lost."""
    x = standard(x)
    x[[100, 400]] *= 1000
    return x


def with_a_rare_flag(x: Tensor) -> Tensor:
    """Return the features and one more that is 1 in one sample of 20."""
    return torch.cat([x, (torch.arange(len(x)) % 20 == 0).float()[:, None]], 1)


table = partial(mlp, [10, 64, 64, 1])
curve = partial(mlp, [1, 64, 64, 1], nn.Tanh)
logistic = partial(mlp, [30, 1])

CASES = (
    # Healthy.
    Case("regression-adam", partial(fit, friedman, table, adam(3e-3)), level=0.15),
    Case(
        "regression-momentum",
        partial(fit, friedman, table, sgd(0.02, momentum=0.9)),
        level=0.15,
    ),
    Case(
        "regression-huber",
        partial(fit, friedman, table, rmsprop(1e-3), loss=nn.functional.huber_loss),
        level=0.1,
        held_out=True,
    ),
    Case(
        "several-outputs",
        partial(fit, several, partial(mlp, [8, 64, 5], nn.SiLU), adamw(5e-3)),
        level=0.3,
    ),
    Case(
        "diabetes",
        partial(fit, diabetes, partial(mlp, [10, 32, 1]), adam(5e-3), targets=standard),
        level=0.6,
    ),
    Case("slow-wave", partial(fit, partial(waves, 1.0), curve, adam(5e-3)), level=0.05, steps=250),
    Case(
        "whole-batch-descent",
        partial(fit, partial(waves, 1.0), curve, sgd(0.1), batch=None),
        level=0.1,
        steps=250,
        held_out=True,
    ),
    Case(
        "logistic",
        partial(fit, tumours, logistic, sgd(0.1), loss=binary, inputs=standard),
        level=0.2,
    ),
    Case(
        "binary-mlp",
        partial(fit, tumours, partial(mlp, [30, 32, 1]), adam(3e-3), loss=binary, inputs=standard),
        level=0.15,
    ),
    Case(
        "softmax-regression",
        partial(
            fit,
            wines,
            partial(mlp, [13, 3]),
            sgd(0.1, momentum=0.9),
            loss=nn.functional.cross_entropy,
            inputs=standard,
            batch=32,
        ),
        level=0.2,
        held_out=True,
    ),
    Case("factors", partial(fit, ratings, partial(Factors, 100, 80), adam(0.02)), level=0.5),
    Case(
        "two-towers",
        partial(fit, ratings, partial(TwoTowers, 100, 80), adam(0.01)),
        level=0.85,
        held_out=True,
    ),
    # Faults.
    Case(
        "regression-step-large",
        partial(fit, friedman, table, adam(0.3)),
        LARGE_STEP,
        "regression-adam",
    ),
    Case(
        "regression-momentum-step-large",
        partial(fit, friedman, table, sgd(0.6, momentum=0.9)),
        LARGE_STEP,
        "regression-momentum",
    ),
    Case(
        "descent-step-small",
        partial(fit, partial(waves, 1.0), curve, sgd(1e-5), batch=None),
        ("small-step", "slow-descent"),
        "whole-batch-descent",
        steps=250,
        held_out=True,
    ),
    Case(
        "targets-in-thousands",
        partial(
            fit, friedman, table, adam(3e-3), targets=lambda y: 5000 * y + 15_000, unit=5000.0**2
        ),
        ("target-scale", "small-step", "loss-at-init"),
        "regression-adam",
    ),
    Case(
        "targets-in-hundreds",
        partial(fit, diabetes, partial(mlp, [10, 32, 1]), adam(5e-3), unit=77.0**2),
        ("target-scale", "small-step", "loss-at-init"),
        "diabetes",
        held_out=True,
    ),
    Case(
        "broadcast",
        partial(fit, friedman, table, adam(3e-3), targets=lambda y: y[:, 0]),
        ("shape-mismatch",),
        "regression-adam",
    ),
    Case(
        "broadcast-batch-of-outputs",
        partial(fit, friedman, partial(mlp, [10, 64, 1], last=nn.Flatten(0)), adam(3e-3)),
        ("shape-mismatch",),
        "regression-adam",
        held_out=True,
    ),
    Case(
        "fast-wave",
        partial(fit, partial(waves, 12.0), curve, adam(5e-3)),
        ("high-frequency", "unlearnt-frequency"),
        "slow-wave",
        steps=250,
    ),
    Case(
        "regression-init-small",
        partial(fit, friedman, partial(table, init=fixed(1e-3)), sgd(0.02, momentum=0.9)),
        ("small-init", "vanishing-gradient"),
        "regression-momentum",
    ),
    Case(
        "regression-init-large",
        partial(fit, friedman, partial(table, init=gaussian(10.0)), adam(3e-3)),
        ("large-init", "exploding-signal", "loss-at-init"),
        "regression-adam",
        held_out=True,
    ),
    Case(
        "features-as-measured",
        partial(fit, tumours, logistic, sgd(0.1), loss=binary),
        ("input-scale", "step-size"),
        "logistic",
    ),
    Case(
        "proline",
        partial(
            fit,
            wines,
            partial(mlp, [13, 3]),
            sgd(0.1, momentum=0.9),
            loss=nn.functional.cross_entropy,
            batch=32,
        ),
        ("input-scale", "step-size"),
        "softmax-regression",
    ),
    Case(
        "one-feature-in-thousands",
        partial(
            fit,
            friedman,
            table,
            adam(3e-3),
            inputs=lambda x: x * torch.tensor([1.0] * 9 + [3000.0]),
        ),
        ("input-scale",),
        "regression-adam",
        held_out=True,
    ),
    Case(
        "sigmoid-twice",
        partial(
            fit,
            tumours,
            partial(mlp, [30, 32, 1], last=nn.Sigmoid()),
            adam(3e-3),
            loss=binary,
            inputs=standard,
        ),
        ("softmax-twice",),
        "binary-mlp",
    ),
    Case(
        "log-of-zero",
        partial(
            fit,
            tumours,
            partial(mlp, [30, 32, 1]),
            adam(3e-3),
            loss=own_binary,
            inputs=with_a_slip,
        ),
        ("non-finite", "divergence"),
        "binary-mlp",
    ),
    Case(
        "constant-in-a-batch",
        partial(
            fit,
            friedman,
            lambda: nn.Sequential(BatchStandard(), *mlp([11, 64, 64, 1])),
            adam(3e-3),
            inputs=with_a_rare_flag,
        ),
        ("non-finite", "divergence"),
        "regression-adam",
    ),
    Case(
        "embeddings-at-zero",
        partial(fit, ratings, partial(Factors, 100, 80, std=0.0), adam(0.02)),
        ("no-gradient", "small-init", "symmetric-neurons"),
        "factors",
    ),
    Case(
        "factors-decay-large",
        partial(fit, ratings, partial(Factors, 100, 80), adam(0.02, weight_decay=0.1)),
        ("weight-decay",),
        "factors",
    ),
    Case(
        "batch-of-one",
        partial(fit, friedman, table, sgd(0.05), batch=1),
        ("noise-and-batch", "step-size", "beyond-edge"),
        "regression-momentum",
    ),
    Case(
        "dead-regression",
        partial(
            fit, friedman, partial(mlp, [10, 64, 1], init=gaussian(1.4, bias=-10.0)), adam(3e-3)
        ),
        ("dead-units",),
        "regression-adam",
        held_out=True,
    ),
    Case(
        "constant-regression",
        partial(fit, friedman, partial(table, init=constant(0.1)), adam(3e-3)),
        ("symmetric-neurons",),
        "regression-adam",
    ),
)
