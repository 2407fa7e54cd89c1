"""The compiled kernel against PyTorch's automatic differentiation, and when it is chosen."""

import subprocess
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
import torch
import xarray as xr
from by_kernel import KERNEL, both, need_kernel
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_modules import (
    REWRITTEN,
    VECTORISED,
    ByShape,
    Constant,
    Convolutional,
    Normalised,
    Skipping,
)
from small_networks import F64, RNG, SOLVERS, X, Y, loss, named, networks, weights
from torch import nn
from torch.nn import functional

from chymist.bench import Bench, samples
from chymist.ensemble import every, mean_squared_error
from chymist.models import MLP, TwoLayer, sobolev
from chymist.models.activations import ACTIVATIONS
from chymist.models.coordinate import Siren, siren_start
from chymist.native import build
from chymist.native.build import NoKernel, kernel
from chymist.native.layout import LAYOUT
from chymist.solvers import Adam, GradientDescent, Momentum


@pytest.fixture(autouse=True)
def engine():
    """These tests choose the engine themselves."""
    need_kernel()


class Gated(nn.Module):
    """Products and sums of values that depend on samples, a value used twice."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(2, 4), nn.Linear(2, 4)
        self.row, self.out = nn.Parameter(torch.randn(4)), nn.Linear(8, 2)

    def forward(self, x):
        gate = torch.sigmoid(self.a(x))
        value = functional.silu(self.b(x)) * gate
        value = value * self.row + (self.row - gate) * value
        return self.out(torch.cat([value, torch.exp(-value.abs())], dim=1))


class Inner(nn.Module):
    """Gives out what an activation could overwrite."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x):
        inner = self.layer(x)
        return inner + torch.relu(inner) * torch.tanh(inner)


class Reread(nn.Module):
    """Reads elsewhere what a gated activation or a sum could overwrite; adds a value to itself."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(2, 4), nn.Linear(2, 4), nn.Linear(4, 2)

    def forward(self, x):
        read, alone = self.a(x), self.b(x)
        gated = functional.gelu(read) + functional.silu(alone) + read
        doubled = gated + gated
        ahead = functional.gelu(doubled, approximate="tanh") + doubled * 0.5
        made = functional.gelu(torch.tanh(self.c(ahead)))
        return made + torch.tanh(made)


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(2, 1, batch_first=True)

    def forward(self, x):
        x = x.reshape(-1, 1, 2)
        return self.attention(x, x, x)[0].flatten(1)


class Deciding(nn.Module):
    """Does otherwise with as many samples as there are than with as many as are recorded."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, x):
        return self.layer(x) if len(x) > 10 else -self.layer(x)


TAKEN = (Constant, Normalised, ByShape)
"""Of those that PyTorch needs vmap for, what the kernel takes, and what gives no matrix."""


class PaddedPool(nn.Sequential):
    def __init__(self):
        pool = nn.MaxPool2d(2, padding=1)
        super().__init__(nn.Linear(2, 4), nn.Unflatten(1, (1, 2, 2)), pool, nn.Flatten())


HOW_MANY = "a number that depends on how many samples there are"
LOSSES = {
    "half squared": mean_squared_error,
    "mse": functional.mse_loss,
    "squared": lambda p, y: ((p - y) ** 2).mean(),
    "weighed": lambda p, y: (0.5 * (y - p).square().sum(-1)).mean() * 3.0,
    "absolute": lambda p, y: torch.abs(p - y).sum(dim=1).sum(),
    "entropy": lambda p, y: functional.cross_entropy(p, y),
    "entropy of a shifted": lambda p, y: functional.cross_entropy(2 * p + 1, y) / 2,
    "by row": lambda p, y: ((p - y) * y.sum(1, keepdim=True) - p.sum(-1, True)).square().mean(),
    "squeezed": lambda p, y: (p - y).squeeze(-1).abs().mean(),
    "two means": lambda p, y: (p - y).square().mean() + 0.3 * p.square().mean(),
    "row means": lambda p, y: ((p - y).pow(2).mean(-1) + 1.0).sum(),
}


@pytest.mark.parametrize(
    "module", [*REWRITTEN, Gated, Inner, Reread, Convolutional, Skipping, Normalised, ByShape]
)
def test_modules_train_as_by_autograd(module):
    # Its own start keeps a network of steep sines from turning rounding into another path.
    start = siren_start if isinstance(module(), Siren) else None
    ensemble = Bench("s", "e", (0, 1, 2), dtype=F64).networks(module, start)
    outputs = ensemble.predict(samples(X)).sizes["feature"]
    y = samples(np.sin(X @ RNG.normal(size=(2, outputs))))
    both(
        ensemble, Momentum(0.003), samples(X), y, steps=12,
        record={loss: every(), weights: every(5)},
    )  # fmt: skip


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("dtype", "rtol"), [(F64, 1e-9), (torch.float32, 2e-4)])
def test_activations_train_as_by_autograd(activation, dtype, rtol):
    ensemble = Bench("s", "e", (0, 1), dtype=dtype).networks(
        lambda: MLP(2, 33, 17, 1, activation=activation)
    )
    both(
        ensemble, GradientDescent(0.05), samples(X), samples(Y), steps=20, rtol=rtol,
        record={loss: every()},
    )  # fmt: skip


@pytest.mark.parametrize("batch", [None, 5])
@pytest.mark.parametrize("criterion", LOSSES.values(), ids=LOSSES)
def test_losses_train_as_by_autograd(criterion, batch):
    classes = RNG.dirichlet(np.ones(3), size=13)
    ensemble = Bench("s", "e", (0, 1), dtype=F64).networks(lambda: MLP(2, 8, 3))
    both(
        ensemble, GradientDescent(0.02), samples(X), samples(classes), steps=15, batch=batch,
        loss=criterion, record={loss: every(), weights: every(5)},
    )  # fmt: skip


@pytest.mark.parametrize("batch", [None, 4])
@pytest.mark.parametrize("solver", SOLVERS)
def test_rules_with_numbers_by_lane_train_as_by_autograd(solver, batch):
    rates = named("lr", 0.003, 0.02)
    rule = replace(SOLVERS[solver], lr=rates)
    if isinstance(rule, Adam):
        rule = replace(rule, beta1=0.8, beta2=named("beta2", 0.99, 0.9), eps=1e-3)
    y = samples(np.stack([Y, -2 * Y]), task=["a", "b"])
    run = both(
        networks(), rule, samples(X), y, steps=30, batch=batch,
        record={loss: every(3), weights: every(7)},
    )  # fmt: skip
    assert {"lr", "task", "seed"} <= set(run.data.loss.dims)


@pytest.mark.parametrize(
    ("rule", "dtype", "rtol"),
    [(Adam(0.01), F64, 1e-7), (GradientDescent(0.01), torch.float32, 1e-4)],
    ids=["double", "single"],
)
@settings(max_examples=25, deadline=None)
@given(
    features=st.sampled_from([1, 3]),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    outputs=st.sampled_from([1, 2]),
    rows=st.integers(1, 70),
    lanes=st.integers(1, 4),
    batch=st.none() | st.integers(1, 70),
)
def test_any_sizes_train_as_by_autograd(
    rule, dtype, rtol, features, sizes, outputs, rows, lanes, batch
):
    rng = np.random.default_rng(rows)
    x, y = (samples(rng.normal(size=(rows, n))) for n in (features, outputs))
    ensemble = Bench("s", "e", tuple(range(lanes)), dtype=dtype).networks(
        lambda: MLP(features, *sizes, outputs)
    )
    both(
        ensemble, rule, x, y, steps=7, batch=batch and min(batch, rows),
        record={loss: every(2), weights: every(3)}, rtol=rtol,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("side", "stride", "padding"),
    [(1, 1, 0), (3, 1, 1), (3, 2, 1), (2, 2, 0), (3, 3, 2), (5, 1, 3)],
)
@pytest.mark.parametrize("width", [8, 7])
def test_any_convolution_trains_as_by_autograd(side, stride, padding, width):
    def build():
        conv = nn.Conv2d(2, 3, side, stride=stride, padding=padding)
        pictures = nn.Unflatten(1, (1, 6, width))
        first = nn.Conv2d(1, 2, 1)
        net = nn.Sequential(pictures, first, nn.Tanh(), conv, nn.ReLU(), nn.Flatten())
        pixels = net(torch.zeros(1, 6 * width)).shape[1]
        return nn.Sequential(net, nn.Linear(pixels, 1))

    x = samples(RNG.normal(size=(5, 6 * width)))
    both(
        Bench("s", "e", (0, 1), dtype=F64).networks(build), GradientDescent(0.02), x,
        x.isel(feature=[0]), steps=6, batch=3, record={loss: every(), weights: every(2)},
    )  # fmt: skip


def test_data_may_differ_by_lane_on_either_side():
    x = samples(np.stack([X, X[::-1]]), order=[0, 1])
    for inputs, targets in ((x, samples(Y)), (samples(X), samples(Y)), (x, x.isel(feature=[0]))):
        both(networks(), GradientDescent(0.1), inputs, targets, steps=5, record={weights: every()})


def test_long_visits_without_records_end_where_short_ones_do(monkeypatch):
    def end(schedule):
        return networks().train(
            Adam(0.01), samples(X), samples(Y), steps=200, batch=4, record={loss: schedule}
        )

    whole, often = end(lambda steps: [steps]), end(every())
    monkeypatch.setattr("chymist.native.run.VISIT", 1)
    single = end(lambda steps: [steps])
    for other in (often, single):
        xr.testing.assert_equal(whole.data.loss, other.data.loss.isel(step=[-1]))


def test_the_step_of_divergence_does_not_depend_on_the_records():
    rates = named("lr", 0.01, 1e30)
    runs = [
        both(
            networks(dtype=torch.float32),
            GradientDescent(rates),
            samples(X),
            samples(Y),
            steps=60,
            record={loss: schedule},
            rtol=1e-3,
        )
        for schedule in (every(), every(60))
    ]
    at = runs[0].data.diverged_at
    assert at.sel(lr=0.01).isnull().all()
    assert (at.sel(lr=1e30) < 10).all()
    xr.testing.assert_equal(at, runs[1].data.diverged_at)


def numbered(prediction, target, weight=1.0):
    return weight * mean_squared_error(prediction, target)


@dataclass(frozen=True, eq=False)
class Own(GradientDescent):
    """A rule derived from one that the kernel knows."""


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"module": Attending}, "multi_head_attention_forward has no node"),
        ({"module": Deciding}, HOW_MANY),
        ({"solver": Own(0.1)}, "the update rule Own"),
        (
            {"module": partial(Convolutional, padding_mode="circular")},
            "pad has no node",
        ),
        (
            {"module": partial(Convolutional, dilation=2)},
            "conv2d that is dilated, grouped or not square",
        ),
        ({"module": PaddedPool}, "max_pool2d with padding"),
    ],
)
def test_what_it_does_not_know_goes_the_other_way_and_says_why(change, why):
    ensemble = networks(change.get("model", "mlp"))
    if "module" in change:
        ensemble = Bench("s", "e", (0, 1)).networks(change["module"])
    outputs = ensemble.predict(samples(X)).sizes["feature"]
    args = change.get("solver", GradientDescent(0.1)), samples(X), samples(np.ones((13, outputs)))
    assert ensemble.train(*args, steps=3, record={}).path == f"PyTorch operations: {why}"
    with pytest.raises(ValueError, match=f"the compiled kernel cannot train this: {why}"):
        replace(ensemble, engine="native").train(*args, steps=3, record={})


@pytest.mark.parametrize("batch", [None, 5])
@pytest.mark.parametrize(
    ("criterion", "why"),
    [
        (partial(numbered, weight=named("w", 1.0, 2.0)), "it has a number for each lane"),
        (partial(sobolev, s=named("s", 0.0, 1.0)), "it has a number for each lane"),
        (sobolev, "fft_rfft has no node"),
        (lambda p, y: (p - y).sum(0).square().sum(), "sum over samples alone"),
        (lambda p, y: (p - y).squeeze(-1).abs().max(), "max has no node"),
        (lambda p, y: (p.sum(-1) - y).square().mean(), "sub of a vector and a matrix"),
        # The number of samples in a recording is not that of the training.
        (lambda p, y: (p - y).square().sum() / len(p), HOW_MANY),
        (lambda p, y: (p - y).square().sum() / p.size(0), HOW_MANY),
        (lambda p, y: (p - y).square().sum() / p.numel(), HOW_MANY),
    ],
)
def test_losses_it_does_not_know_are_left_to_pytorch(criterion, why, batch):
    rule = Adam(named("lr", 0.003, 0.01))
    for seeds in ((0, 1, 2), (4,)):
        run = both(
            networks(seeds=seeds), rule, samples(X), samples(Y), steps=20, batch=batch,
            loss=criterion, record={loss: every(3), weights: every(7)},
        )  # fmt: skip
        assert run.path == f"compiled kernel: PyTorch takes the loss, for {why}"


def test_lanes_that_diverge_under_a_loss_of_pytorch_are_frozen():
    rates = named("lr", 0.01, 1e30)
    run = both(
        networks(dtype=torch.float32), GradientDescent(rates), samples(X), samples(Y), steps=30,
        loss=sobolev, record={loss: every(), weights: every(10)}, rtol=1e-4,
    )  # fmt: skip
    at = run.data.diverged_at
    assert at.sel(lr=0.01).isnull().all()
    assert (at.sel(lr=1e30) < 10).all()


@pytest.mark.parametrize("module", [m for m in VECTORISED if m not in TAKEN])
def test_modules_that_need_vmap_are_not_taken(module):
    torch.manual_seed(0)
    made = module()
    task = Bench("s", "e", (0, 1)).networks(lambda: made)
    run = replace(task, engine="auto")
    y = samples(np.ones((13, task.predict(samples(X)).sizes["feature"])))
    path = run.train(GradientDescent(0.0), samples(X), y, steps=1, record={}).path
    assert not path.startswith(KERNEL)


def test_a_constant_bound_to_the_loss_is_known():
    run = both(
        networks(), GradientDescent(0.1), samples(X), samples(Y), steps=5,
        loss=partial(numbered, weight=3.0), record={loss: every()},
    )  # fmt: skip
    assert run.path.startswith(KERNEL)


def test_numbers_too_small_to_be_normal_cost_nothing_and_stay_elsewhere():
    tiny = np.float32(1e-40)
    ensemble = Bench("s", "e", (0, 1)).networks(lambda: TwoLayer(2, 8))
    ensemble.parameters["outer.weight"].fill_(float(tiny))
    run = ensemble.train(GradientDescent(0.0), samples(X), samples(Y), steps=2, record={})
    assert run.path.startswith(KERNEL)
    assert tiny * np.float32(1.0) == tiny
    assert torch.tensor(1e-40) * 1.0 != 0


@pytest.fixture
def anew(monkeypatch, tmp_path):
    """An empty cache, and no library loaded."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kernel.cache_clear()
    yield tmp_path / "chymist"
    kernel.cache_clear()


def test_without_a_compiler_training_says_so_and_works(anew, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    run = networks().train(Adam(0.01), samples(X), samples(Y), steps=5, record={loss: every()})
    assert run.path == "PyTorch operations: no C compiler was found"
    assert run.data.loss.notnull().all()


def test_a_compiler_that_fails_is_named_and_leaves_nothing(anew, monkeypatch, tmp_path):
    failing = tmp_path / "failing"
    failing.write_text("#!/bin/sh\necho 'no room' >&2\n[ \"$1\" = --version ]\n")
    failing.chmod(0o755)
    monkeypatch.setenv("CC", str(failing))
    with pytest.raises(NoKernel, match=r"failing did not build it: no room"):
        kernel(torch.float32)
    assert list(anew.iterdir()) == []


def test_a_node_is_laid_out_as_the_kernel_reads_it():
    assert kernel(torch.float32).node_size() == kernel(torch.float64).node_size() == LAYOUT.itemsize


def test_the_switch_turns_it_off(anew, monkeypatch):
    monkeypatch.setenv(build.SWITCH, "0")
    with pytest.raises(NoKernel, match="switched off by CHYMIST_NATIVE=0"):
        kernel(torch.float32)
    with pytest.raises(NoKernel, match="float16 is not compiled for"):
        monkeypatch.delenv(build.SWITCH)
        kernel(torch.float16)


def test_it_is_compiled_once_a_machine(anew, monkeypatch):
    kernel(torch.float32)
    (library,) = anew.iterdir()
    kernel.cache_clear()
    run = subprocess.run

    def only_version(command, **words):
        assert command[-1] == "--version"
        return run(command, **words)

    monkeypatch.setattr(subprocess, "run", only_version)
    kernel(torch.float32)
    assert list(anew.iterdir()) == [library]
