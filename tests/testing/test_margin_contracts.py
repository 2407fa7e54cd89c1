"""Instruments of margins, norms and the landscape keep the contract of instruments."""

import inspect

import pytest
import torch
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from chymist import instruments
from chymist.testing import check_instrument, small_networks
from chymist.testing.instruments import WORDS

TRACED = [case for case in small_networks() if not case.name.startswith("attention")]
"""Networks whose forward pass is a graph of linear layers, convolutions and activations."""


def classes(y):
    """Classes of any target: the largest of a row of numbers, which turns with its sample."""
    return y.argmax(1) if y.is_floating_point() else y


def margins_of(case):
    out, y = case.model(case.data[0]).detach(), classes(case.data[1])
    others = [[o for j, o in enumerate(row) if j != int(c)] for row, c in zip(out, y, strict=True)]
    return torch.stack([row[c] - max(o) for row, c, o in zip(out, y, others, strict=True)]).sort()[
        0
    ]


def sorted_margins(model, loss, data):
    return instruments.margins(model, (data[0], classes(data[1]))).sort()[0]


def norm_of(case):
    return torch.stack([
        torch.linalg.matrix_norm(torch.autograd.functional.jacobian(
            lambda x: case.model(x[None])[0], row), 2)
        for row in case.data[0]
    ]).max()  # fmt: skip


def degree_of(case):
    x = case.data[0]
    named = {n: p.detach() for n, p in case.model.named_parameters()}
    # The fast kernels of attention have no rule for batches.
    with sdpa_kernel(SDPBackend.MATH):
        slopes = torch.func.jacrev(lambda own: functional_call(case.model, own, (x,)))(named)
    along = sum((slopes[n] * p).flatten(2).sum(2) for n, p in named.items())
    out = case.model(x).detach()
    return (along * out).sum() / out.square().sum()


def along_itself(model, loss, data):
    own = {n: p.detach() for n, p in model.named_parameters()}
    return instruments.loss_slice(model, loss, data, [own], steps=(-0.5, 0.0, 0.5))


def slice_of(case):
    own = [p.detach() if p.ndim > 1 else 0 * p.detach() for p in case.model.parameters()]
    row = torch.cat([p.flatten() for p in own])
    return torch.stack([case.value(case.row + s * row) for s in (-0.5, 0.0, 0.5)])


def to_its_negative(model, loss, data):
    other = {n: -p.detach() for n, p in model.named_parameters()}
    found = instruments.loss_barrier(model, loss, data, other, points=5, refine=0)
    return torch.cat([found.losses, found.height[None]])


def barrier_of(case):
    losses = torch.stack([case.value((1 - 2 * t) * case.row) for t in (0, 0.25, 0.5, 0.75, 1)])
    t = torch.linspace(0, 1, 5, dtype=losses.dtype)
    return torch.cat([losses, (losses - (1 - t) * losses[0] - t * losses[-1]).max()[None]])


def outliers_of(case):
    values = torch.linalg.eigvalsh(case.hessian).flip(0)[:8]
    return (values[:-1] / values[1:]).where(values[1:] > 0, 0).max()


def squares_of(case):
    # Of weights that are no biases, with a weight that is used twice counted twice.
    modules = [
        m for m in case.model.modules() if isinstance(getattr(m, "weight", None), torch.Tensor)
    ]
    return torch.stack([m.weight.detach().norm() for m in modules]).prod()


CONTRACTS = {
    "margins": (sorted_margins, {
        "referee": margins_of, "documented": instruments.margins, "degree": 0,
    }),
    "lipschitz_lower": (
        lambda model, loss, data: instruments.lipschitz_lower(model, data[0]), {
            "referee": norm_of, "documented": instruments.lipschitz_lower, "degree": 0,
            "recorded": instruments.training_lipschitz(),
        }),
    "lipschitz_upper": (
        lambda model, loss, data: instruments.lipschitz_upper(model, data[0]), {
            "documented": instruments.lipschitz_upper, "degree": 0, "cases": TRACED,
        }),
    "layer_norms": (
        lambda model, loss, data: instruments.layer_norms(model, data[0]), {
            "referee": squares_of, "documented": instruments.layer_norms, "degree": 0,
            "cases": TRACED, "read": lambda found: found.frobenius_product,
        }),
    "homogeneity": (
        lambda model, loss, data: instruments.homogeneity(model, data[0]), {
            "referee": degree_of, "documented": instruments.homogeneity, "degree": 0,
            "recorded": instruments.training_homogeneity(), "read": lambda found: found.degree,
        }),
    "loss_slice": (along_itself, {
        "referee": slice_of, "documented": instruments.loss_slice,
    }),
    "loss_barrier": (to_its_negative, {
        "referee": barrier_of, "documented": instruments.loss_barrier,
    }),
    "hessian_outliers": (
        lambda *given: instruments.hessian_outliers(*given, among=8, tolerance=1e-8), {
            "referee": outliers_of, "documented": instruments.hessian_outliers, "degree": 0,
            "tolerance": 1e-5, "read": lambda found: found.contrast,
        }),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_instrument_of_margins_and_landscape_keeps_the_contract(name):
    measure, options = CONTRACTS[name]
    check_instrument(measure, **options)


@pytest.mark.parametrize("name", [
    "barron_norm", "jacobian_norms", "layer_norms", "lipschitz_exact", "margin_norms",
    "max_margin_stationarity", "normalised_margin", "outliers", "path_norm", "training_homogeneity",
    "training_lipschitz", "training_margin", "training_norms", "training_path_norm",
    "training_slice", "training_stationarity", "weight_matching",
])  # fmt: skip
def test_every_docstring_says_what_is_measured_and_at_what_cost(name):
    text = inspect.getdoc(getattr(instruments, name)).lower()
    assert [word for word in WORDS if word not in text] == []
    assert ">>>" in text


def test_a_battery_on_chosen_networks_measures_those():
    seen = []

    def counting(model, loss, data):
        seen.append(type(model).__name__)
        return instruments.lipschitz_upper(model, data[0])

    check_instrument(counting, documented=instruments.lipschitz_upper, degree=0, cases=TRACED[:1])
    assert "Residual" not in seen
