"""The largest eigenvalues of P^-1 H along trainings, and the solver's state that they need."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from by_kernel import both, need_kernel
from torch import nn

from chymist import group, instruments
from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments import Instrument
from chymist.solvers import Adam, GradientDescent, Momentum, RMSProp
from chymist.testing.networks import Small, convolutional, half_squared_error, two_layers

F64 = torch.float64
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(11, 3)), RNG.normal(size=(11, 3))
STEPS = 12
RULES = {
    "adam": (
        Adam(0.02, beta1=0.8, beta2=0.9, eps=1e-6),
        lambda w: torch.optim.Adam(w, lr=0.02, betas=(0.8, 0.9), eps=1e-6),
    ),
    "adam without momentum": (
        Adam(0.01, beta1=0.0, beta2=0.99),
        lambda w: torch.optim.Adam(w, lr=0.01, betas=(0.0, 0.99)),
    ),
    "rmsprop": (
        RMSProp(0.005, decay=0.9, eps=1e-6),
        lambda w: torch.optim.RMSprop(w, lr=0.005, alpha=0.9, eps=1e-6),
    ),
}
BUILDS = {
    "rewritten": two_layers,
    "convolutional": convolutional,
    "vectorised": lambda: nn.Sequential(
        nn.Linear(3, 5), nn.LayerNorm(5), nn.Tanh(), nn.Linear(5, 3)
    ),
}


def networks(build=two_layers, seeds=(0, 1, 2)):
    return Bench("s", "e", tuple(seeds), dtype=F64).networks(build)


def recorded(ensemble, solver, record, **options):
    return ensemble.train(
        solver, samples(X), samples(Y), steps=STEPS,
        record={instrument: every(4) for instrument in record}, **options,
    )  # fmt: skip


def by_torch(build, ensemble, lane, optimizer):
    """Train one network by PyTorch; return it, its optimizer's state and numbers."""
    model = build().double()
    model.load_state_dict({n: p[lane] for n, p in ensemble.parameters.items()})
    rule = optimizer(model.parameters())
    for _ in range(STEPS):
        rule.zero_grad()
        half_squared_error(model(torch.tensor(X)), torch.tensor(Y)).backward()
        rule.step()
    return model, [rule.state[p] for p in model.parameters()], rule.param_groups[0]


def divisor(state, numbers):
    """P in the order of the parameters, from what PyTorch's optimizer holds."""
    if "square_avg" in state[0]:
        return torch.cat([(s["square_avg"].sqrt() + numbers["eps"]).flatten() for s in state])
    one, two = (1 - beta**STEPS for beta in numbers["betas"])
    return torch.cat(
        [one * ((s["exp_avg_sq"] / two).sqrt() + numbers["eps"]).flatten() for s in state]
    )


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("rule", RULES)
def test_a_lane_has_the_eigenvalues_of_the_whole_matrix_with_pytorchs_moments(rule, build):
    solver, optimizer = RULES[rule]
    ensemble = networks(BUILDS[build])
    top = instruments.training_preconditioned_sharpness(3, tolerance=1e-10)
    low = instruments.training_preconditioned_sharpness(end="bottom", tolerance=1e-10, name="low")
    run = recorded(ensemble, solver, [top, low])
    assert run.data[top.name].dims == ("seed", "step", "eigen")
    for lane in range(3):
        model, state, numbers = by_torch(BUILDS[build], ensemble, lane, optimizer)
        known = Small("end", model, half_squared_error, (torch.tensor(X), torch.tensor(Y)))
        root = divisor(state, numbers).rsqrt()
        values = torch.linalg.eigvalsh(root[:, None] * known.hessian * root)
        end = run.data.isel(seed=lane, step=-1)
        np.testing.assert_allclose(end[top.name], values.flip(0)[:3], rtol=1e-6)
        np.testing.assert_allclose(end.low, values[0], rtol=1e-6)


def test_numbers_of_the_rule_may_differ_by_lane():
    solver = Adam(0.02, beta1=xr.DataArray([0.5, 0.9], dims="b", coords={"b": [0.5, 0.9]}))
    instrument = instruments.training_preconditioned_sharpness(tolerance=1e-10)
    together = recorded(networks(), solver, [instrument]).data[instrument.name]
    assert together.dims == ("b", "seed", "step")
    for b in (0.5, 0.9):
        alone = recorded(networks(), Adam(0.02, beta1=b), [instrument]).data[instrument.name]
        np.testing.assert_allclose(together.sel(b=b)[:, 1:], alone[:, 1:], rtol=1e-9)


def held(name):
    return Instrument(
        name,
        lambda s: torch.cat([t.flatten(1) for t in s.solver.held[name].values()], dim=1).clone(),
        dims=("weight",),
    )


HELD = {
    "momentum": (Momentum(0.05, 0.8), lambda w: torch.optim.SGD(w, 0.05, 0.8), "momentum_buffer"),
    "first_moment": (*RULES["adam"], "exp_avg"),
    "second_moment": (*RULES["adam"], "exp_avg_sq"),
}


@pytest.mark.parametrize("name", HELD)
def test_the_state_is_pytorchs_by_name(name):
    solver, optimizer, theirs = HELD[name]
    ensemble = networks()
    found = recorded(ensemble, solver, [held(name)]).data[name]
    assert not found.isel(step=0).any()
    for lane in range(3):
        _, state, _ = by_torch(two_layers, ensemble, lane, optimizer)
        expected = torch.cat([s[theirs].flatten() for s in state])
        np.testing.assert_allclose(found.isel(seed=lane, step=-1), expected, atol=1e-13)


@pytest.mark.parametrize("seeds", [(0, 1, 2), (1,)])
@pytest.mark.parametrize("batch", [None, 4])
def test_the_kernel_hands_over_the_same_state(batch, seeds):
    need_kernel()
    record = [held("second_moment"), instruments.training_preconditioned_sharpness(tolerance=1e-9)]
    schedule = {instrument: every(4) for instrument in record}
    data = samples(X), samples(Y)
    both(networks(seeds=seeds), Adam(0.02), *data, steps=STEPS, batch=batch, record=schedule,
         rtol=1e-7)  # fmt: skip
    # A loss that the kernel does not know is PyTorch's, its steps are the kernel's.
    both(networks(seeds=seeds), Adam(0.02), *data, steps=STEPS, record=schedule, rtol=1e-7,
         loss=lambda p, y: ((p - y) ** 4).mean() + torch.special.erf(p).mean() ** 2)  # fmt: skip


def test_the_padding_of_a_single_network_has_its_state():
    need_kernel()
    seen = []

    def rows(snapshot):
        seen.append(snapshot.solver.held["first_moment"]["0.weight"].clone())
        return snapshot.loss

    instrument = Instrument("rows", rows)
    ensemble = replace(networks(seeds=(1,)), engine="native")
    recorded(ensemble, Adam(0.02), [instrument])
    assert len(seen[-1]) == 2 and seen[-1][0].any() and torch.equal(*seen[-1])


def test_who_asks_late_is_handed_the_state_of_its_step():
    need_kernel()
    asks_late = Instrument(
        "late",
        lambda s: (
            s.solver.held["second_moment"]["0.weight"].flatten(1).sum(1).clone()
            if s.step >= 4
            else torch.zeros(3, dtype=F64)
        ),
    )
    seen = both(networks(), Adam(0.02), samples(X), samples(Y), steps=STEPS,
                record={asks_late: every(4), instruments.loss: every(1)})  # fmt: skip
    assert (seen.data.late.isel(step=slice(1, None)) > 0).sum() == 9


def test_nobody_pays_for_what_is_not_asked_for(monkeypatch):
    def asked(*_):
        raise AssertionError("the state was made")

    monkeypatch.setattr(group.Group, "solver_state", asked)
    recorded(networks(), Adam(0.02), [instruments.loss, instruments.training_sharpness()])
    with pytest.raises(AssertionError, match="the state was made"):
        recorded(networks(), Adam(0.02), [instruments.training_preconditioned_sharpness()])


def test_before_the_first_update_there_is_no_preconditioner():
    for solver, _ in RULES.values():
        for k in (1, 2):
            instrument = instruments.training_preconditioned_sharpness(k)
            found = recorded(networks(), solver, [instrument]).data[instrument.name]
            assert found.isel(step=0).isnull().all()
            assert found.isel(step=slice(1, None)).notnull().all()


def test_a_lane_that_diverges_is_missing_and_disturbs_nobody():
    rates = xr.DataArray([0.01, 1e200], dims="lr", coords={"lr": [0.01, 1e200]})
    instrument = instruments.training_preconditioned_sharpness(tolerance=1e-10)
    steps = every(1)
    both_rates = networks().train(
        Adam(rates), samples(X), samples(Y), steps=4, record={instrument: steps},
        loss=lambda p, y: half_squared_error(p, y),
    ).data[instrument.name]  # fmt: skip
    alone = networks().train(
        Adam(0.01), samples(X), samples(Y), steps=4, record={instrument: steps},
        loss=lambda p, y: half_squared_error(p, y),
    ).data[instrument.name]  # fmt: skip
    assert both_rates.isel(lr=1, step=-1).isnull().all()
    np.testing.assert_allclose(both_rates.isel(lr=0)[:, 1:], alone[:, 1:], rtol=1e-9)


def test_a_rule_without_a_preconditioner_is_refused_in_one_line():
    for solver in (GradientDescent(0.1), Momentum(0.1)):
        with pytest.raises(CannotMeasure, match=type(solver).__name__) as caught:
            recorded(networks(), solver, [instruments.training_preconditioned_sharpness()])
        assert "training_sharpness" in caught.value.hint and "\n" not in str(caught.value)
    with pytest.raises(BadParameter, match="tolerance 0"):
        instruments.training_preconditioned_sharpness(tolerance=0)


def test_a_snapshot_outside_a_training_has_no_solver():
    seen = []
    keep = Instrument("keep", lambda s: (seen.append(s), s.loss)[1])
    recorded(networks(), Adam(0.02), [keep])
    snapshot = replace(seen[0], read_solver=instruments.Snapshot.read_solver)
    with pytest.raises(ValueError, match="outside a training"):
        _ = snapshot.solver


@pytest.mark.parametrize("beta1", [0.0, 0.9])
def test_on_a_quadratic_adam_is_stable_below_the_threshold_and_not_above(beta1):
    def start(module, generator):
        module.weight.fill_(1e-12)

    ensemble = Bench("s", "e", (0, 1), dtype=F64).networks(
        lambda: nn.Linear(1, 1, bias=False), start
    )
    instrument = instruments.training_preconditioned_sharpness(tolerance=1e-9)
    weight = Instrument("weight", lambda s: s.parameters["weight"].flatten(1).sum(1).abs())
    # In units of 1/lr: Cohen et al. (2022), arXiv:2207.14484. 38 for beta1 = 0.9.
    threshold = (2 + 2 * beta1) / (1 - beta1)
    run = {}
    for part in (0.9, 1.1):
        # H = 4, and eps = 1 is all of P as long as the weight is small.
        rule = Adam(part * threshold / 4, beta1=beta1, beta2=0.9, eps=1.0)
        run[part] = ensemble.train(
            rule, samples(np.full((1, 1), 2.0)), samples(np.zeros((1, 1))), steps=400,
            record={instrument: every(1), weight: every(1)},
        ).data.isel(seed=0)  # fmt: skip
    stable, unstable = run[0.9], run[1.1]
    # The first steps are larger, see below; what follows shrinks, or grows until P does.
    early, late = slice(100, 200), slice(300, None)
    assert stable.weight[late].max() < 1e-3 * stable.weight[early].max()
    assert unstable.weight[late].max() > 1e4 * unstable.weight[0]
    assert unstable.weight[late].max() > 0.1 * unstable.weight[early].max()
    np.testing.assert_allclose(stable[instrument.name][-1], 4, rtol=1e-6)
    # Until t is large the missing start of the average counts as a larger step.
    expected = 4 / (1 - beta1 ** np.arange(1, 5))
    np.testing.assert_allclose(stable[instrument.name][1:5], expected, rtol=1e-5)
