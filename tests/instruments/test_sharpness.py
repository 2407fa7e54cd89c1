"""Sharpness of one network and along trainings; alignment; inertia."""

import numpy as np
import pytest
import torch
import xarray as xr
from sklearn.datasets import load_digits
from torch import nn

from chymist import group, instruments
from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.models import MLP, gaussian_start
from chymist.solvers import Adam, GradientDescent
from chymist.testing import small_networks
from chymist.testing.networks import convolutional, half_squared_error, two_layers

F64 = torch.float64
CASES = {case.name: case for case in small_networks()}
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(11, 3)), RNG.normal(size=(11, 3))


def bench(seeds=(0, 1, 2), dtype=F64):
    return Bench("s", "e", tuple(seeds), dtype=dtype)


def train(build, record, solver=None, seeds=(0, 1, 2), steps=20, x=X, y=Y):
    place = bench(seeds)
    return place.train(
        place.networks(build),
        solver or GradientDescent(0.1),
        samples(x),
        samples(y),
        steps=steps,
        record={instrument: every(5) for instrument in record},
    )


def alone(build, run, lane):
    """One lane's network at the end of a training, as (model, loss, data)."""
    model = build().double()
    model.load_state_dict({n: p[lane] for n, p in run.end.parameters.items()})
    return model, half_squared_error, (torch.tensor(X), torch.tensor(Y))


BUILDS = {
    "rewritten": two_layers,
    "convolutional": convolutional,
    "vectorised": lambda: nn.Sequential(
        nn.Linear(3, 5), nn.LayerNorm(5), nn.Tanh(), nn.Linear(5, 3)
    ),
}


@pytest.mark.parametrize("name", BUILDS)
def test_a_recorded_lane_is_the_network_measured_alone(name):
    build = BUILDS[name]
    tight = instruments.training_sharpness(4, tolerance=1e-9, name="tight")
    bottom = instruments.training_sharpness(2, end="bottom", tolerance=1e-9, name="bottom")
    newton = instruments.training_sharpness(2, matrix="gauss-newton", tolerance=1e-9, name="gn")
    alignment = instruments.training_alignment(2, tolerance=1e-12)
    run = train(build, [tight, bottom, newton, alignment])
    assert run.data.tight.dims == ("seed", "step", "eigen")
    for lane in range(3):
        network = alone(build, run, lane)
        end = run.data.isel(seed=lane, step=-1)
        for variable, options in (
            ("tight", {"k": 4}),
            ("bottom", {"k": 2, "end": "bottom"}),
            ("gn", {"k": 2, "matrix": "gauss-newton"}),
        ):
            expected = instruments.sharpness(*network, tolerance=1e-9, **options).values
            np.testing.assert_allclose(end[variable][: options["k"]], expected, rtol=1e-6)
        share = instruments.gradient_alignment(*network, 2, tolerance=1e-12).share
        np.testing.assert_allclose(end.alignment, share, rtol=1e-4)


def test_convolutions_are_differentiated_one_lane_after_another(monkeypatch):
    # Batched double backward through them takes minutes where this takes seconds.
    asked = []
    usual = group.stacked_forward

    def spied(*args, one_by_one, **options):
        asked.append(one_by_one)
        return usual(*args, one_by_one=one_by_one, **options)

    monkeypatch.setattr(group, "stacked_forward", spied)
    for build, expected in ((convolutional, True), (two_layers, False)):
        asked.clear()
        train(build, [instruments.training_sharpness()], steps=5)
        assert asked[-1] is expected


def test_trace_and_its_standard_error_are_recorded_together():
    value, error = instruments.training_trace(products=20)
    run = train(two_layers, [value, error], seeds=tuple(range(20)))
    apart = []
    for lane in range(20):
        model, loss, data = alone(two_layers, run, lane)
        exact = instruments.trace(model, loss, data, products=1000).value
        end = run.data.isel(seed=lane, step=-1)
        apart.append(float((end.trace - float(exact)) / end.trace_standard_error))
    assert 0.5 < np.sqrt(np.mean(np.square(apart))) < 2


def test_lanes_do_not_feel_their_company():
    record = [instruments.training_sharpness(), instruments.training_trace(products=12)[0]]
    whole = train(two_layers, record, seeds=(0, 1, 2, 3)).data
    part = train(two_layers, record, seeds=(1, 3)).data
    for name in ("sharpness", "trace"):
        np.testing.assert_allclose(whole[name].sel(seed=[1, 3]), part[name], rtol=1e-9)


def test_lanes_that_diverge_are_missing_and_disturb_nobody():
    lr = xr.DataArray([0.1, 1e6], dims="lr", coords={"lr": [0.1, 1e6]})
    value, error = instruments.training_trace(products=12)
    record = [instruments.training_sharpness(2), value, error, instruments.training_alignment()]
    relu = lambda: nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 3))  # noqa: E731
    run = train(relu, record, solver=GradientDescent(lr), steps=60).data
    alone = train(relu, record, steps=60).data
    assert run.diverged_at.sel(lr=1e6).notnull().all()
    for name in ("sharpness", "trace", "alignment"):
        assert run[name].sel(lr=1e6).isel(step=-1).isnull().all()
        np.testing.assert_allclose(run[name].sel(lr=0.1), alone[name], rtol=1e-8)


def test_recording_changes_no_bit_of_the_training():
    record = [instruments.training_sharpness(), instruments.training_trace(products=12)[0]]
    with_, without = train(two_layers, record), train(two_layers, [instruments.loss])
    assert all(torch.equal(p, without.end.parameters[n]) for n, p in with_.end.parameters.items())


def digits(n):
    data = load_digits()
    x = data.data[:n] - data.data[:n].mean(0)
    return samples(x / x.std()), samples(np.eye(10)[data.target[:n]])


@pytest.mark.slow
@pytest.mark.parametrize("solver", [GradientDescent(0.4), GradientDescent(0.05), Adam(0.003)])
def test_tracking_is_as_good_and_as_cheap_as_it_says(solver, monkeypatch):
    # The edge of stability on digits, and gradient descent and Adam before it.
    spent = []
    usual = instruments.sharpness.__globals__["eigenpairs"]

    def counted(*args, **options):
        found = usual(*args, **options)
        spent.append((options["tolerance"], found.products))
        return found

    monkeypatch.setitem(instruments.sharpness.__globals__, "eigenpairs", counted)
    place = bench((0,), torch.float32)
    networks = place.networks(lambda: MLP(64, 32, 32, 10, activation="tanh"), gaussian_start)
    tracked = instruments.training_sharpness()
    rarely = instruments.training_sharpness(tolerance=0.0101, guard_every=4, name="rarely")
    exact = instruments.training_sharpness(tolerance=1e-7, guard=3, name="exact")
    record = {i: every(20) for i in (tracked, rarely, exact)}
    run = place.train(networks, solver, *digits(200), steps=800, record=record).data
    error = abs(run.sharpness / run.exact - 1)
    assert float(error.median()) < 0.005
    assert float(error.max()) < 0.02
    products = [p for tolerance, p in spent if tolerance == 0.01]
    assert len(products) == 41
    assert np.mean(products[1:]) < 5
    error = abs(run.rarely / run.exact - 1)
    assert float(error.median()) < 0.01
    cheap = [p for tolerance, p in spent if tolerance == 0.0101]
    assert np.mean(cheap[1:]) < 0.8 * np.mean(products[1:])
    assert 1 + 2 * np.mean(cheap[1:]) <= 5.5


def test_preconditioned_sharpness_is_that_of_the_quotient():
    case = CASES["two layers, squared error"]
    diagonal = {n: 0.1 + p.detach().abs() for n, p in case.model.named_parameters()}
    found = instruments.sharpness(case.model, case.loss, case.data, 3, preconditioner=diagonal)
    p = torch.cat([d.flatten() for d in diagonal.values()])
    values = torch.linalg.eigvals(case.hessian / p[:, None]).real.sort(descending=True).values
    torch.testing.assert_close(found.values, values[:3], rtol=1e-5, atol=0)


def test_adams_preconditioner_says_where_it_becomes_unstable():
    # Adam's frozen iteration m = b m + (1-b) H w, w -= lr m / P is stable on a quadratic up to
    # lambda_max(P^-1 H) = (2 + 2 b) / ((1 - b) lr).
    case = CASES["two layers, squared error"]
    h = case.hessian + 5 * torch.eye(len(case.row), dtype=F64)
    p = 0.5 + torch.linspace(0, 1, len(h), dtype=F64)
    operator = instruments.preconditioned(instruments.operators.from_matrix(h), p)
    top = float(instruments.eigenpairs(operator, tolerance=1e-9).values)
    b = 0.9

    def grows(lr):
        w = torch.ones(len(h), dtype=F64)
        m = torch.zeros_like(w)
        for _ in range(4000):
            m = b * m + (1 - b) * (h @ w)
            w = w - lr * m / p
        return not float(w.norm()) <= len(h) ** 0.5

    threshold = (2 + 2 * b) / ((1 - b) * top)
    assert not grows(0.98 * threshold)
    assert grows(1.02 * threshold)


def test_inertia_undecided_is_said():
    values = torch.tensor([1.0, 1e-8, 1e-10], dtype=F64)

    class Bowl(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(3, dtype=F64))

        def forward(self, x):
            return x * self.w

    loss = lambda out, y: 0.5 * (values * out.square()).sum(-1).mean()  # noqa: E731
    one = torch.ones(1, 3, dtype=F64)
    found = instruments.inertia(Bowl(), loss, (one, one))
    assert (found.positive, found.zero, found.negative) == (2, 1, 0)
    assert found.gap == pytest.approx(2) and not found.decided
    strict = instruments.inertia(Bowl(), loss, (one, one), tolerance=1e-12)
    assert strict.positive == 3 and strict.decided


def test_splitting_a_neuron_adds_the_zeros_it_must():
    # A split at a ratio a of a neuron with output weight w adds a zero along the ratio, and at
    # any point of a line of equal networks the loss is flat along it.
    case = CASES["two layers, squared error"]
    net, wide = case.model, nn.Sequential(nn.Linear(3, 7), nn.Tanh(), nn.Linear(7, 3)).double()
    with torch.no_grad():
        wide[0].weight.copy_(torch.cat([net[0].weight, net[0].weight[-1:]]))
        wide[0].bias.copy_(torch.cat([net[0].bias, net[0].bias[-1:]]))
        last = net[2].weight[:, -1:]
        wide[2].weight.copy_(torch.cat([net[2].weight[:, :-1], 0.3 * last, 0.7 * last], dim=1))
        wide[2].bias.copy_(net[2].bias)
    # Zero gradient is needed for exact zeros: targets equal to the outputs.
    data = (case.data[0], net(case.data[0]).detach())
    narrow = instruments.inertia(net, case.loss, data)
    split = instruments.inertia(wide, case.loss, data)
    assert narrow.negative == split.negative == 0
    assert split.zero - narrow.zero == 3 + 1 + 3  # input weights, bias, output weights
    assert split.decided


def test_a_direction_may_be_anything():
    case = CASES["residual, cross-entropy"]
    named = dict(case.model.named_parameters())
    direction = {
        n: torch.sin(torch.arange(p.numel()).double()).view_as(p) for n, p in named.items()
    }
    v = torch.cat([d.flatten() for d in direction.values()])
    found = instruments.directional_curvature(case.model, case.loss, case.data, direction)
    torch.testing.assert_close(found, v @ case.hessian @ v / (v @ v))


def test_alignment_without_a_gradient_is_missing():
    case = CASES["two layers, squared error"]
    data = (case.data[0], case.model(case.data[0]).detach())
    assert instruments.gradient_alignment(case.model, case.loss, data).share.isnan()
