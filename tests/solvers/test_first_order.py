import numpy as np
import pytest
import torch
import xarray as xr

from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.instruments import Instrument
from chymist.models import MLP, TwoLayer, gaussian_start
from chymist.solvers import Adam, GradientDescent, Momentum, RMSProp, Solver

SGD, ADAM = torch.optim.SGD, torch.optim.Adam
RULES = {
    "gd": (GradientDescent(0.1), lambda w: SGD(w, lr=0.1)),
    "momentum": (Momentum(0.05, 0.8), lambda w: SGD(w, lr=0.05, momentum=0.8)),
    "nesterov": (
        Momentum(0.05, 0.8, nesterov=True),
        lambda w: SGD(w, lr=0.05, momentum=0.8, nesterov=True),
    ),
    "adam": (Adam(0.01), lambda w: ADAM(w, lr=0.01)),
    "adam-numbers": (
        Adam(0.02, beta1=0.8, beta2=0.95, eps=1e-4),
        lambda w: ADAM(w, lr=0.02, betas=(0.8, 0.95), eps=1e-4),
    ),
    "rmsprop": (
        # A smaller eps makes it a descent by signs, which rounding can turn.
        RMSProp(0.01, decay=0.9, eps=1e-2),
        lambda w: torch.optim.RMSprop(w, lr=0.01, alpha=0.9, eps=1e-2),
    ),
}
MODELS = {"mlp": lambda: MLP(2, 7, 5, 1), "two-layer": lambda: TwoLayer(2, 8, activation="tanh")}
X = np.random.default_rng(0).normal(size=(11, 2))
Y = np.sin(X.sum(1))
weights = Instrument(
    "weights",
    lambda s: torch.cat([p.flatten(1) for p in s.parameters.values()], dim=1),
    dims=("weight",),
)


def networks(model, seeds=(0, 1, 2), dtype=torch.float64):
    start = gaussian_start if model == "mlp" else None
    return Bench("s", "e", seeds, dtype=dtype).networks(MODELS[model], start)


def reference(model, ensemble, lane, optimizer, steps):
    """Train one network in plain PyTorch; return its weights after each step."""
    module = MODELS[model]().double()
    module.load_state_dict({n: p[lane] for n, p in ensemble.parameters.items()})
    optimizer = optimizer(module.parameters())
    x, y = torch.tensor(X), torch.tensor(Y)[:, None]
    flat = [torch.nn.utils.parameters_to_vector(module.parameters()).detach()]
    for _ in range(steps):
        optimizer.zero_grad()
        (0.5 * ((module(x) - y) ** 2).sum(-1).mean()).backward()
        optimizer.step()
        flat.append(torch.nn.utils.parameters_to_vector(module.parameters()).detach())
    return torch.stack(flat).numpy()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("rule", RULES)
def test_every_lane_equals_plain_torch_optim(rule, model):
    solver, optimizer = RULES[rule]
    ensemble = networks(model)
    run = ensemble.train(solver, samples(X), samples(Y), steps=50, record={weights: every()})
    for lane in range(3):
        ours = run.data.weights.isel(seed=lane)
        expected = reference(model, ensemble, lane, optimizer, 50)
        assert np.abs(expected[-1] - expected[0]).max() > 0.01
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12)


def lanes(values, name):
    return xr.DataArray(values, dims=name, coords={name: values})


@pytest.mark.parametrize(
    ("solver", "one"),
    [
        (GradientDescent(lanes([0.01, 0.1], "a")), lambda a: GradientDescent(a)),
        (Momentum(0.05, lanes([0.5, 0.9], "a")), lambda a: Momentum(0.05, a)),
        (
            Momentum(lanes([0.01, 0.05], "a"), 0.7, nesterov=True),
            lambda a: Momentum(a, 0.7, nesterov=True),
        ),
        (Adam(lanes([0.001, 0.02], "a")), lambda a: Adam(a)),
        (RMSProp(0.01, lanes([0.5, 0.9], "a")), lambda a: RMSProp(0.01, a)),
        (Adam(0.01, beta1=lanes([0.5, 0.9], "a")), lambda a: Adam(0.01, beta1=a)),
        (Adam(0.01, beta2=lanes([0.9, 0.999], "a")), lambda a: Adam(0.01, beta2=a)),
        (Adam(0.01, eps=lanes([1e-8, 1e-2], "a")), lambda a: Adam(0.01, eps=a)),
    ],
)
@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-13), (torch.float32, 2e-5)])
def test_a_number_that_differs_by_lane_acts_as_in_a_run_of_its_own(solver, one, dtype, close):
    ensemble = networks("mlp", dtype=dtype)
    together = ensemble.train(solver, samples(X), samples(Y), steps=40, record={weights: every(40)})
    assert together.data.weights.dims == ("a", "seed", "step", "weight")
    for a in together.data.a.values:
        alone = ensemble.train(
            one(float(a)), samples(X), samples(Y), steps=40, record={weights: every(40)}
        )
        np.testing.assert_allclose(
            together.data.weights.sel(a=a), alone.data.weights, rtol=0, atol=close
        )


class SignDescent(Solver):
    """A rule that is not element by element: it sees each parameter under its name."""

    seen: list = []  # noqa: RUF012

    def numbers(self):
        return {"lr": 0.01}

    def update(self, parameters, gradients, state, step, numbers):
        self.seen.append({n: tuple(p.shape) for n, p in parameters.items()})
        for n, p in parameters.items():
            p.sub_(numbers["lr"] * gradients[n].sign())


def test_a_rule_that_is_not_elementwise_sees_parameters_by_name():
    ensemble = networks("two-layer")
    run = ensemble.train(SignDescent(), samples(X), samples(Y), steps=1, record={weights: every()})
    expected = {n: tuple(p.shape) for n, p in ensemble.parameters.items()}
    assert SignDescent.seen == [expected]
    np.testing.assert_allclose(np.abs(run.data.weights.diff("step")), 0.01, atol=1e-12)


def test_a_solver_is_abstract():
    with pytest.raises(NotImplementedError):
        Solver().update({}, {}, {}, 0, {})
