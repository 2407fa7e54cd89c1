"""Networks of tokens by the compiled kernel, against PyTorch's automatic differentiation."""

import numpy as np
import pytest
import torch
from by_kernel import KERNEL, both, need_kernel
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import F64, loss, weights
from token_modules import FEATURES, PIXELS, SPELLINGS, Causal, Chunked, Positions
from torch import nn
from torch.nn import functional

from chymist import training
from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.solvers import Adam, GradientDescent

# vmap, which is compared with, says that it does PyTorch's own attention slowly.
pytestmark = pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")
RNG = np.random.default_rng(3)
X = samples(RNG.normal(size=(9, FEATURES)))


@pytest.fixture(autouse=True)
def engine():
    """These tests choose the engine themselves."""
    need_kernel()


def made(module, seeds=(0, 1), dtype=F64):
    ensemble = Bench("s", "e", seeds, dtype=dtype).networks(module)
    outputs = ensemble.predict(X).sizes["feature"]
    return ensemble, samples(np.random.default_rng(5).normal(size=(9, outputs)))


@pytest.mark.parametrize("module", SPELLINGS)
def test_gradients_are_those_of_autograd(module):
    ensemble, y = made(module)
    # One step of descent at rate one: the weights' change is the gradient.
    both(ensemble, GradientDescent(1.0), X, y, steps=1, record={loss: every(), weights: every()},
         rtol=1e-12)  # fmt: skip


@pytest.mark.parametrize("module", SPELLINGS)
@pytest.mark.parametrize("batch", [None, 4])
@pytest.mark.parametrize(("dtype", "rtol"), [(F64, 1e-9), (torch.float32, 1e-3)])
def test_they_train_as_by_autograd(module, dtype, rtol, batch):
    ensemble, y = made(module, dtype=dtype)
    rule = GradientDescent(0.02)
    both(ensemble, rule, X, y, steps=12, batch=batch, record={loss: every(), weights: every(5)},
         rtol=rtol)  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(
    tokens=st.integers(1, 20),
    heads=st.integers(1, 4),
    inner=st.integers(1, 35),
    rows=st.integers(2, 12),
    batch=st.none() | st.integers(2, 12),
)
def test_any_sizes_train_as_by_autograd(tokens, heads, inner, rows, batch):
    rng = np.random.default_rng(rows)
    x = samples(rng.normal(size=(rows, tokens * PIXELS)))
    y = samples(rng.normal(size=(rows, 2)))
    ensemble = Bench("s", "e", (0, 1), dtype=F64).networks(
        lambda: Chunked(tokens, heads, heads * inner)
    )
    both(
        ensemble, GradientDescent(0.01), x, y, steps=3, batch=batch and min(batch, rows),
        record={loss: every(), weights: every()}, rtol=1e-8,
    )  # fmt: skip


@pytest.mark.parametrize("size", [15, 16, 17, 97, 110])
def test_products_small_and_large_agree(size):
    # From some size on the BLAS library takes the narrow ones, here among the gradients.
    class Paired(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(2, size), nn.Linear(2, size)

        def forward(self, x):
            a, b = (f(x.reshape(-1, size, 2)) for f in (self.a, self.b))
            return ((a @ b.mT) @ (a.mT @ b)).mean((1, 2), keepdim=True).flatten(1)

    x = samples(RNG.normal(size=(2, 2 * size)))
    ensemble = Bench("s", "e", (0, 1), dtype=F64).networks(Paired)
    both(ensemble, GradientDescent(1e-6), x, x.isel(feature=[0]), steps=2,
         record={loss: every(), weights: every()}, rtol=1e-10)  # fmt: skip


@pytest.mark.parametrize(
    ("module", "path"),
    [
        (Causal, "PyTorch operations: sizes asked for in training on single samples"),
        (Positions, f"{KERNEL}: network, loss and update rule are known to it"),
    ],
)
def test_a_single_sample_cannot_be_told_from_an_axis_of_one(module, path):
    ensemble, y = made(module)
    run = ensemble.train(GradientDescent(0.1), X, y, steps=1, batch=1, record={})
    assert run.path == path


def test_cross_entropy_of_every_token():
    def by_token(prediction, target):
        return functional.cross_entropy(prediction.reshape(-1, 3), target.reshape(-1, 3))

    class Labelling(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(PIXELS, 3)

        def forward(self, x):
            x = x.reshape(-1, 4, PIXELS)
            return self.layer(x + x.mean(1, keepdim=True)).flatten(1)

    y = samples(np.eye(3)[RNG.integers(3, size=(9, 4))].reshape(9, 12))
    ensemble = Bench("s", "e", (0, 1), dtype=F64).networks(Labelling)
    run = both(ensemble, Adam(0.01), X, y, steps=8, batch=4, loss=by_token,
               record={loss: every(), weights: every()})  # fmt: skip
    assert run.path == f"{KERNEL}: network, loss and update rule are known to it"


class Reading(nn.Module):
    """A module that does one thing to tokens."""

    def __init__(self, does):
        super().__init__()
        self.layer, self.does = nn.Linear(PIXELS, 4), does

    def forward(self, x):
        return self.does(self.layer(x.reshape(-1, 4, PIXELS))).flatten(1)


@pytest.mark.parametrize(
    ("does", "why"),
    [
        (lambda h: h - h.mean(0), "mean over samples alone"),
        (lambda h: h.transpose(0, 1).softmax(-1).transpose(0, 1),
         "samples along another axis than the first"),
        (lambda h: h.softmax(1), "softmax over other than the last axis"),
        (lambda h: h.softmax(0), "softmax over other than the last axis"),
        (lambda h: torch.cat([h, h])[: len(h)], "cat of samples, or with a parameter"),
        (lambda h: h + h[:1], "__getitem__ that mixes samples"),
        (lambda h: h + h[0], "__getitem__ that mixes samples"),
        (lambda h: h.mean(1) @ h, "a product of two values that depend on samples"),
        (lambda h: functional.layer_norm(h, h.shape), "layer_norm over samples"),
        (lambda h: h.cumsum(1), "cumsum has no node"),
        (lambda h: h.add_(1.0), "add_ has no node"),
        (lambda h: h.masked_fill(h == 0, 1.0), "a comparison that depends on parameters"),
        (lambda h: h * len(h), "a number that depends on how many samples there are"),
        (lambda h: h + torch.arange(len(h))[:, None, None],
         "a number that depends on how many samples there are"),
    ],
)  # fmt: skip
def test_what_mixes_samples_or_has_no_node_is_left_to_pytorch_by_name(does, why):
    ensemble = Bench("s", "e", (0, 1), dtype=F64).networks(lambda: Reading(does))
    chosen = []

    def spy(task, engine="auto"):
        chosen.append(training.choose(task, engine))
        raise StopIteration

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chymist.ensemble.choose", spy)
        with pytest.raises(StopIteration):
            y = samples(np.ones((9, 16)))
            ensemble.train(GradientDescent(0.1), X, y, steps=1, record={})
    assert str(chosen[0]) == f"PyTorch operations: {why}"
