"""Instruments of margins, norms and the landscape keep the contract of instruments."""

import copy
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import linprog, nnls
from torch import nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from chymist import instruments
from chymist.instruments import Instrument
from chymist.testing import check_instrument, small_networks
from chymist.testing.networks import homogeneous, rectified, small

TRACED = [case for case in small_networks() if not case.name.startswith("attention")]
"""Networks whose forward pass is a graph of linear layers, convolutions and activations."""
DENSE = TRACED[:2]
RECTIFIED = [small("rectified", rectified), small("rectified, classes", rectified, classes=True)]
HOMOGENEOUS = [small("homogeneous", homogeneous, classes=True)]


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


def least_margin(case):
    return margins_of(case).min() / case.row.norm() ** 2


def of_classes(inner, goal):
    """Record with one-hot targets in place of those trained on."""
    hot = lambda s: nn.functional.one_hot(goal(s).argmax(-1), 3).to(s.x)  # noqa: E731
    return Instrument(inner.name, lambda s: inner.measure(replace(s, y=hot(s))))


def as_classed(model, data):
    """The data with the classes that the model itself gives, whose margins are positive."""
    with torch.no_grad():
        return data[0], model(data[0]).argmax(1)


def own_classes(case):
    return replace(case, data=as_classed(case.model, case.data))


def residual_of(model, loss, data):
    return instruments.max_margin_stationarity(model, as_classed(model, data)).residual


def residual_by_hand(case):
    own, (x, y) = list(case.model.parameters()), own_classes(case).data
    out = case.model(x)
    every = [(row[c] - row[j]) for row, c in zip(out, y, strict=True) for j in range(3) if j != c]
    bound = 1.05 * min(every)
    rows = [
        torch.cat([s.flatten() for s in torch.autograd.grad(q, own, retain_graph=True)])
        for q in every
        if q <= bound
    ]
    return nnls(torch.stack(rows).T.numpy(), case.row.numpy())[1] / case.row.norm()


def layers_of(case):
    layers = copy.deepcopy(case.model).requires_grad_(False)
    return [m for m in layers if isinstance(m, nn.Linear)]


def paths_by_hand(p):
    """Every path from an input or a bias to an output, one by one."""

    def referee(case):
        first, second = layers_of(case)
        total = 0.0
        for k, j in itertools.product(range(3), range(6)):
            for into in [*first.weight[j], first.bias[j]]:
                total += abs(float(second.weight[k, j] * into)) ** p
        total += sum(abs(float(b)) ** p for b in second.bias)
        return total ** (1 / p)

    return referee


def barron_by_hand(case):
    first, second = layers_of(case)
    return sum(
        float(second.weight[:, j].norm() * (first.weight[j].abs().sum() + first.bias[j].abs()))
        for j in range(6)
    )


def complexity_by_hand(case):
    margin = margins_of(own_classes(case)).quantile(0.1)
    weights = [m.weight.detach() for m in layers_of(case)]
    spectra = torch.stack([torch.linalg.svdvals(w)[0] for w in weights])
    sizes = torch.stack([w.norm() for w in weights])
    product = spectra.prod().square()
    numbers = [
        product, product * (sizes / spectra).square().sum(), sizes.prod().square(),
        torch.tensor(paths_by_hand(2)(case) ** 2),
    ]  # fmt: skip
    return torch.stack([margin, *(n / margin**2 for n in numbers)])


def complexities(found):
    return [found.margin, found.spectral, found.pac_bayes, found.frobenius, found.path]


def largest_slope(case):
    """Over all patterns of neurons that some input switches on, by one linear program each."""
    first, second = layers_of(case)
    w, b = first.weight.detach().numpy(), first.bias.detach().numpy()
    largest = 0.0
    for pattern in itertools.product((1.0, -1.0), repeat=len(w)):
        side = np.array(pattern)[:, None]
        # The largest ball in which every neuron stays on its side.
        rows = np.hstack([-side * w, np.linalg.norm(w, axis=1)[:, None]])
        found = linprog([0, 0, 0, -1], rows, side[:, 0] * b, bounds=[(None, None)] * 3 + [(0, 1)])
        if found.status == 0 and found.x[3] > 1e-6:
            slope = second.weight.detach().numpy() @ (w * (side > 0))
            largest = max(largest, np.linalg.norm(slope, 2))
    return largest


def norms_by_hand(case):
    rows = [
        torch.autograd.functional.jacobian(lambda x: case.model(x[None])[0], x)
        for x in case.data[0]
    ]
    return torch.linalg.svdvals(torch.stack(rows))[:, 0].sort()[0]


def spectra_by_hand(case):
    return torch.stack(
        [torch.linalg.svdvals(p)[0] for p in case.model.parameters() if p.ndim == 2]
    ).prod()


def turned(model):
    """A copy with its hidden neurons in another order."""
    other = copy.deepcopy(model)
    order = torch.arange(other[0].out_features).roll(1)
    with torch.no_grad():
        other[0].weight.copy_(other[0].weight[order])
        other[0].bias.copy_(other[0].bias[order])
        other[2].weight.copy_(other[2].weight[:, order])
    return other


def largest_eight(model, loss, data):
    whole = instruments.dense(instruments.hessian(instruments.objective(model, loss, data)))[0]
    return instruments.outliers(torch.linalg.eigvalsh(whole).flip(0)[:8])


NORM, PRODUCT = instruments.training_norms()
CONTRACTS = {
    "least margin": (
        lambda model, loss, data: instruments.normalised_margin(
            model, (data[0], classes(data[1])), degree=2.0), {
            "referee": least_margin, "documented": instruments.normalised_margin, "degree": 0,
            "recorded": of_classes(instruments.training_margin(degree=2.0), lambda s: s.y),
        }),
    "training_margin": (of_classes(instruments.training_margin(), lambda s: s.prediction), {
        "referee": lambda case: margins_of(own_classes(case)).min(), "degree": 0,
        "documented": instruments.training_margin,
    }),
    "normalised_margin": (
        lambda model, loss, data: instruments.normalised_margin(
            model, (data[0], classes(data[1]))), {
            "referee": least_margin, "documented": instruments.normalised_margin, "degree": 0,
            "cases": HOMOGENEOUS, "network": homogeneous,
        }),
    "margin_norms": (
        lambda model, loss, data: instruments.margin_norms(model, as_classed(model, data)), {
            "referee": complexity_by_hand, "documented": instruments.margin_norms, "degree": 0,
            "cases": RECTIFIED, "network": rectified, "read": complexities,
        }),
    "max_margin_stationarity": (residual_of, {
        "referee": residual_by_hand, "documented": instruments.max_margin_stationarity,
        "degree": 0,
        "recorded": of_classes(instruments.training_stationarity(), lambda s: s.prediction),
    }),
    "training_stationarity": (
        of_classes(instruments.training_stationarity(), lambda s: s.prediction), {
            "referee": residual_by_hand, "documented": instruments.training_stationarity,
            "degree": 0, "cases": DENSE,
        }),
    **{
        f"path_norm, {p}": (
            lambda model, loss, data, p=p: instruments.path_norm(model, data[0], p), {
                "referee": paths_by_hand(p), "documented": instruments.path_norm, "degree": 0,
                "cases": RECTIFIED, "network": rectified,
                "recorded": instruments.training_path_norm(p),
            })
        for p in (1, 2)
    },
    "training_path_norm": (instruments.training_path_norm(), {
        "referee": paths_by_hand(1), "documented": instruments.training_path_norm, "degree": 0,
        "cases": RECTIFIED, "network": rectified,
    }),
    "barron_norm": (lambda model, loss, data: instruments.barron_norm(model, data[0]), {
        "referee": barron_by_hand, "documented": instruments.barron_norm, "degree": 0,
        "cases": RECTIFIED, "network": rectified,
    }),
    "lipschitz_exact": (lambda model, loss, data: instruments.lipschitz_exact(model, data[0]), {
        "referee": largest_slope, "documented": instruments.lipschitz_exact, "degree": 0,
        "cases": RECTIFIED, "network": rectified,
    }),
    "jacobian_norms": (
        lambda model, loss, data: instruments.jacobian_norms(model, data[0]).sort()[0], {
            "referee": norms_by_hand, "documented": instruments.jacobian_norms, "degree": 0,
            "cases": TRACED,
        }),
    "training_norms": (NORM, {
        "referee": lambda case: case.row.norm(), "documented": instruments.training_norms,
        "degree": 0,
    }),
    "training_norms, product": (PRODUCT, {
        "referee": spectra_by_hand, "documented": instruments.training_norms, "degree": 0,
        "cases": TRACED[:4],
    }),
    "weight_matching": (
        lambda model, loss, data: instruments.weight_matching(model, turned(model), data[0]), {
            "referee": lambda case: case.row.square().sum(), "degree": 0, "cases": DENSE,
            "documented": instruments.weight_matching, "read": lambda found: found.similarity,
        }),
    "outliers": (largest_eight, {
        "referee": outliers_of, "documented": instruments.outliers, "degree": 0,
        "tolerance": 1e-6, "read": lambda found: found.contrast,
    }),
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


def test_a_battery_on_chosen_networks_measures_those():
    seen = []

    def counting(model, loss, data):
        seen.append(type(model).__name__)
        return instruments.lipschitz_upper(model, data[0])

    check_instrument(counting, documented=instruments.lipschitz_upper, degree=0, cases=TRACED[:1])
    assert "Residual" not in seen


def test_a_battery_of_a_chosen_network_refuses_turns_and_trains_it():
    def only_relu(model, loss, data):
        found = instruments.lipschitz_upper(model, data[0])
        assert not isinstance(model[1], nn.Tanh)
        return found

    recorded = Instrument("bound", lambda s: torch.stack([  # the product of the norms, lane by lane
        torch.linalg.matrix_norm(s.parameters[f"{n}.weight"], 2) for n in (0, 2)
    ]).prod(0))  # fmt: skip
    check_instrument(
        only_relu, documented=instruments.lipschitz_upper, degree=0, cases=RECTIFIED,
        network=rectified, recorded=recorded,
    )  # fmt: skip
