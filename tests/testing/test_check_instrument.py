"""Every curvature instrument passes the battery, and each spoilt one is named by it."""

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


def mean_curvature(model, loss, data, seed=0):
    """Mean of the Hessian's eigenvalues, tr H / P.

    Shapes: a number. Unit: loss over parameters squared. Cost: two gradient evaluations a
    parameter. Memory: parameters squared. Error: rounding. Source: none.

    >>> line = torch.nn.Linear(1, 1)
    >>> half = lambda out, y: 0.5 * (out - y).square().mean()
    >>> mean_curvature(line, half, (torch.ones(2, 1), torch.ones(2, 1)))
    tensor(1., dtype=torch.float64)
    """
    found = instruments.trace(model, loss, data, products=300, seed=seed)
    return found.value / sum(p.numel() for p in model.parameters())


def mean_of(case):
    return case.hessian.trace() / len(case.row)


def spoilt(change):
    """Return `mean_curvature` with its result, or its call, changed."""

    def instrument(model, loss, data, seed=0):
        return change(
            lambda *given: mean_curvature(*(given or (model, loss, data))), model, loss, data
        )

    return instrument


def failures(measure, **options):
    options = {"referee": mean_of, "documented": mean_curvature, **options}
    with pytest.raises(AssertionError) as caught:
        check_instrument(measure, **options)
    return [line.removeprefix("- ") for line in str(caught.value).splitlines()[1:]]


def test_the_sound_one_passes():
    check_instrument(mean_curvature, referee=mean_of)


def leaves_gradients(whole, model, loss, data):
    loss(model(data[0]), data[1]).backward()
    return whole()


def draws(whole, model, loss, data):
    torch.rand(1)
    return whole()


def switches(whole, model, loss, data):
    model.train()
    return whole()


def nudges(whole, model, loss, data):
    value = whole()
    with torch.no_grad():
        next(model.parameters()).add_(1e-9)
    return value


def counts_calls():
    calls = []

    def change(whole, model, loss, data):
        calls.append(1)
        return whole() * (1 + 1e-6 * len(calls))

    return change


def first_sample_twice(whole, model, loss, data):
    x, y = (torch.cat([d[:1], d]) for d in data)
    return whole(model, loss, (x, y)) if len(data[0]) else whole()


def first_neuron(whole, model, loss, data):
    return whole() + 1e-3 * next(model.parameters())[0].sum().detach()


def in_eval_mode(whole, model, loss, data):
    training = model.training
    model.eval()
    try:
        return whole()
    finally:
        model.train(training)


def blind_to_nan(whole, model, loss, data):
    return whole(model, loss, (data[0].nan_to_num(), data[1]))


def blind_to_lost_weights(whole, model, loss, data):
    with torch.no_grad():
        lost = [(p, p.isnan()) for p in model.parameters()]
        for p, there in lost:
            p.masked_fill_(there, 0.0)
        try:
            return whole()
        finally:
            for p, there in lost:
                p.masked_fill_(there, torch.nan)


def in_words(whole, model, loss, data):
    try:
        return whole()
    except instruments.objective.__globals__["CannotMeasure"] as error:
        raise type(error)("it\ndid not work") from error


def in_other_words(whole, model, loss, data):
    if not len(data[0]):
        raise IndexError("index 0 is out of bounds")
    return whole()


SPOILT = {
    "differs from the referee": (lambda whole, *given: 2 * whole(), {}),
    "does not scale as the loss": (lambda whole, *given: whole() + 1e-3, {"referee": None}),
    "feels the order of samples": (first_sample_twice, {"referee": None}),
    "feels the order of hidden neurons": (first_neuron, {"referee": None, "degree": None}),
    "gives another number when called again": (counts_calls(), {}),
    "PyTorch's state: gradients": (leaves_gradients, {}),
    "PyTorch's state: random generator": (draws, {}),
    "PyTorch's state: mode": (switches, {}),
    "PyTorch's state: parameters": (nudges, {}),
    "is not finite": (lambda whole, *given: whole() / 0, {}),
    "rather than ()": (lambda whole, *given: whole()[None], {}),
    "dropout in training mode: was measured": (in_eval_mode, {}),
    "batch norm in training mode: was measured": (in_eval_mode, {}),
    "a NaN in the inputs: was measured": (blind_to_nan, {}),
    "a NaN in a parameter: was measured": (blind_to_lost_weights, {}),
    "should be one line with a hint": (in_words, {}),
    "an empty batch: ended in IndexError": (in_other_words, {}),
}


def test_what_reads_parameters_alone_is_asked_for_those_alone():
    def size(model, loss, data):
        return torch.cat([p.detach().flatten() for p in model.parameters()]).norm()

    whole = {"referee": lambda case: case.row.norm(), "degree": 0}
    found = failures(size, **whole, data=False)
    assert found == ["a NaN in a parameter: was measured"]
    assert len(failures(size, **whole)) == 6


@pytest.mark.parametrize("said", SPOILT)
def test_a_spoilt_instrument_is_named(said):
    change, options = SPOILT[said]
    found = failures(spoilt(change), **options)
    assert any(said in line for line in found), found


def bare(model, loss, data):
    return mean_curvature(model, loss, data)


def silent(model, loss, data):
    """Mean curvature. Shapes, unit, cost, memory, error, source: as above."""
    return mean_curvature(model, loss, data)


def lying():
    # Not in the module, where its doctest would be collected.
    def instrument(model, loss, data):
        """Mean curvature. Shapes, unit, cost, memory, error, source: as above.

        >>> 1 + 1
        3
        """
        return mean_curvature(model, loss, data)

    return instrument


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        (bare, "does not state: shape, unit, cost, memory, error, source"),
        (bare, "no doctest"),
        (silent, "no doctest"),
        (lying(), "lines of its doctest fail"),
    ],
)
def test_a_docstring_that_says_too_little_or_wrong_is_named(measure, said):
    found = failures(measure, documented=None)
    assert any(said in line for line in found), found


def estimated(change, method="hutchinson"):
    def measure(model, loss, data, seed=0):
        found = instruments.trace(model, loss, data, products=20, method=method, seed=seed)
        value, error = change(found.value, found.standard_error, seed)
        return Estimate(value, error, found.products, found.gradients)

    return measure


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda value, error, seed: (value + 3 * error, error), "is biased"),
        (lambda value, error, seed: (value, error / 3), "times the standard error"),
        (lambda value, error, seed: (value, 3 * error), "times the standard error"),
    ],
)
def test_an_estimate_that_is_biased_or_boasts_is_named(change, said):
    found = failures(
        estimated(change), referee=trace_of, stochastic=True, documented=instruments.trace
    )
    assert any(said in line for line in found), found


def test_an_estimate_that_ignores_its_seed_is_named():
    def measure(model, loss, data, seed=0):
        return instruments.trace(model, loss, data, products=20, seed=0)

    options = {"referee": trace_of, "stochastic": True, "documented": instruments.trace}
    assert any("seed" in line for line in failures(measure, **options))
    without = {**options, "referee": None}
    sound = partial(instruments.trace, products=20)
    assert any("needs a referee" in line for line in failures(sound, **without))


RECORDED = instruments.training_sharpness(tolerance=1e-9)


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        (lambda s: RECORDED.measure(s).flip(0), "differs from the network measured alone"),
        (lambda s: RECORDED.measure(s) * 1.01, "differs from the network measured alone"),
        (lambda s: RECORDED.measure(s) / s.loss.sum(), "a lane feels its neighbours"),
        (lambda s: RECORDED.measure(s) * torch.nan, "recorded in a training it is not finite"),
    ],
)
def test_a_recording_that_is_wrong_is_named(measure, said):
    sharp, options = CONTRACTS["sharpness"]
    found = failures(
        sharp,
        **{**options, "recorded": Instrument("spoilt", measure)},
        documented=instruments.sharpness,
    )
    assert any(said in line for line in found), found
