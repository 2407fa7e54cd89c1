"""Every curvature instrument passes the battery."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from chymist import instruments
from chymist.instruments import Estimate, Instrument, SolverState
from chymist.testing import check_instrument, small_networks

EIGENVALUES = 1e-5  # of iterations; what is computed directly is held to 1e-8


def top(k):
    return lambda case: torch.linalg.eigvalsh(case.hessian).flip(0)[:k]


def trace_of(case):
    return case.hessian.trace()


def norm_of(case):
    return case.hessian.norm()


def share_of(k):
    def share(case):
        vectors = torch.linalg.eigh(case.hessian)[1][:, -k:]
        return (vectors.T @ case.gradient).square().sum() / case.gradient.square().sum()

    return share


def counts_of(case):
    values = torch.linalg.eigvalsh(case.hessian)
    zero = values.abs() <= 1e-9 * values.abs().max()
    return torch.stack([((values > 0) & ~zero).sum(), zero.sum(), ((values < 0) & ~zero).sum()])


def along_ones(model, loss, data):
    ones = {n: torch.ones_like(p) for n, p in model.named_parameters()}
    return instruments.directional_curvature(model, loss, data, ones)


def share_below(model, loss, data, seed=0):
    found = instruments.spectral_density(model, loss, data, probes=8, steps=60, seed=seed)
    value, error = found.share(-torch.inf, 0.05)
    return Estimate(value, error, found.products, found.gradients)


def spectrum(make):
    """Measure all eigenvalues of an operator, which do not tell the order of neurons."""

    def measure(model, loss, data):
        whole = instruments.dense(make(instruments.objective(model, loss, data)))[0]
        return torch.linalg.eigvalsh(whole)

    return measure


def newton_of(case):
    x, y = case.data
    named = dict(case.model.named_parameters())
    sizes = [p.numel() for p in named.values()]

    def outputs(row):
        parts = zip(named.items(), row.split(sizes), strict=True)
        return functional_call(case.model, {n: r.view_as(p) for (n, p), r in parts}, (x,))

    with sdpa_kernel(SDPBackend.MATH):
        slopes = torch.autograd.functional.jacobian(outputs, case.row).flatten(0, 1)
        out = outputs(case.row).detach()
    bend = torch.autograd.functional.hessian(lambda z: case.loss(z, y), out)
    return torch.linalg.eigvalsh(slopes.T @ bend.reshape(len(slopes), -1) @ slopes)


def fisher_of(case):
    x, y = case.data
    rows = torch.stack(
        [replace(case, data=(x[i : i + 1], y[i : i + 1])).gradient for i in range(len(x))]
    )
    return torch.linalg.eigvalsh(rows.T @ rows / len(rows))


def diagonal(named):
    """A preconditioner that any network has, and that turns with its neurons."""
    return {n: 1 + p.detach().square() for n, p in named.items()}


def by_weights(made):
    return instruments.preconditioned(
        instruments.hessian(made), made.rows(diagonal(made.parameters))
    )


def preconditioned_of(case):
    root = (1 + case.row.square()).rsqrt()
    return torch.linalg.eigvalsh(root[:, None] * case.hessian * root)


def with_preconditioner(inner):
    """Record as if the update rule had divided by `diagonal`."""

    def measure(snapshot):
        state = SolverState("diagonal", {}, {}, lambda: diagonal(snapshot.parameters))
        return inner.measure(replace(snapshot, read_solver=lambda: state))

    return Instrument(inner.name, measure, inner.dims, inner.coords)


CONTRACTS = {
    "hessian": (
        spectrum(instruments.hessian),
        {
            "referee": lambda case: torch.linalg.eigvalsh(case.hessian),
            "documented": instruments.hessian,
        },
    ),
    "Gauss-Newton": (
        spectrum(instruments.gauss_newton),
        {"referee": newton_of, "documented": instruments.gauss_newton},
    ),
    "empirical Fisher": (
        spectrum(instruments.empirical_fisher),
        {"referee": fisher_of, "documented": instruments.empirical_fisher, "degree": 2},
    ),
    "preconditioned": (
        spectrum(by_weights),
        {"referee": preconditioned_of, "documented": instruments.preconditioned},
    ),
    "preconditioned sharpness": (
        with_preconditioner(instruments.training_preconditioned_sharpness(2, tolerance=1e-8)),
        {
            "referee": lambda case: preconditioned_of(case).flip(0)[:2],
            "documented": instruments.training_preconditioned_sharpness,
            "tolerance": EIGENVALUES,
            "cases": small_networks()[1:4],
        },
    ),
    "eigenpairs": (
        lambda model, loss, data: instruments.eigenpairs(
            instruments.hessian(instruments.objective(model, loss, data)), 2, tolerance=1e-8
        ),
        {
            "referee": top(2),
            "documented": instruments.eigenpairs,
            "tolerance": EIGENVALUES,
            "read": lambda found: found.values[0],
            "cases": small_networks()[1:4],
        },
    ),
    "sharpness": (
        partial(instruments.sharpness, tolerance=1e-8),
        {
            "referee": lambda case: top(1)(case)[0],
            "recorded": instruments.training_sharpness(tolerance=1e-8),
            "read": lambda found: found.values[0],
            "tolerance": EIGENVALUES,
        },
    ),
    "sharpness of five": (
        partial(instruments.sharpness, k=5, tolerance=1e-8),
        {
            "referee": top(5),
            "recorded": instruments.training_sharpness(5, tolerance=1e-8),
            "tolerance": EIGENVALUES,
        },
    ),
    "smallest": (
        partial(instruments.sharpness, k=2, end="bottom", tolerance=1e-8),
        {
            "referee": lambda case: torch.linalg.eigvalsh(case.hessian)[:2],
            "recorded": instruments.training_sharpness(2, end="bottom", tolerance=1e-8),
            "tolerance": EIGENVALUES,
        },
    ),
    "trace, exact": (partial(instruments.trace, products=300), {"referee": trace_of}),
    **{
        f"trace by {method}": (
            partial(instruments.trace, products=20, method=method),
            {
                "referee": trace_of,
                "stochastic": True,
                "recorded": instruments.training_trace(products=20)[0],
            },
        )
        for method in ("xtrace", "hutch++", "hutchinson")
    },
    "norm, exact": (partial(instruments.frobenius_norm, products=300), {"referee": norm_of}),
    "norm": (
        partial(instruments.frobenius_norm, products=24),
        {"referee": norm_of, "stochastic": True},
    ),
    "density": (
        share_below,
        {
            "referee": lambda case: (torch.linalg.eigvalsh(case.hessian) < 0.05).double().mean(),
            "documented": instruments.spectral_density,
            "stochastic": True,
            "degree": None,
        },
    ),
    "directional curvature": (
        along_ones,
        {
            "referee": lambda case: case.hessian.sum() / len(case.row),
            "documented": instruments.directional_curvature,
        },
    ),
    "alignment": (
        partial(instruments.gradient_alignment, k=3, tolerance=1e-10),
        {
            "referee": share_of(3),
            "recorded": instruments.training_alignment(3, tolerance=1e-10),
            "read": lambda found: found.share,
            "tolerance": EIGENVALUES,
            "degree": 0,
        },
    ),
    "loss": (
        instruments.loss,
        {
            "referee": lambda case: case.value(case.row).detach(),
            "documented": instruments.loss_slice,
        },
    ),
    "inertia": (
        instruments.inertia,
        {
            "referee": counts_of,
            "degree": 0,
            "read": lambda found: [found.positive, found.zero, found.negative],
        },
    ),
}


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_curvature_instrument_keeps_the_contract(name):
    measure, options = CONTRACTS[name]
    check_instrument(measure, **options)
