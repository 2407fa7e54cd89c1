"""Spectra, alignment, drift and predicted training of kernels, and what cannot be measured."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from sample_modules import Constant
from torch import nn

from chymist import instruments
from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.errors import BadParameter, CannotMeasure, MovingTarget, UsageError
from chymist.instruments import (
    kernel_alignment,
    kernel_drift,
    kernel_spectrum,
    ntk,
    predicted_residuals,
    training_kernel_alignment,
    training_kernel_drift,
    training_kernel_spectrum,
)
from chymist.instruments.training_kernels import _by_lane
from chymist.models import MLP
from chymist.solvers import GradientDescent
from chymist.testing import check_instrument
from chymist.testing.networks import half_squared_error

F64 = torch.float64


def drawn(*shape, seed=0):
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def jacobian(case):
    own = list(case.model.parameters())
    out = case.model(case.data[0])
    rows = [torch.autograd.grad(v, own, retain_graph=True) for v in out.flatten()]
    return torch.stack([torch.cat([s.flatten() for s in r]) for r in rows]).unflatten(0, (-1, 3))


def kernel_of(case):
    whole = jacobian(case).flatten(1)
    return whole @ whole.T


def centred_alignment(kernel, y):
    y = nn.functional.one_hot(y).double() if y.ndim == 1 else y
    h = torch.eye(len(y), dtype=F64) - 1 / len(y)
    k, t = h @ kernel @ h, h @ y @ y.T @ h
    return (k * t).sum() / k.norm() / t.norm()


def eigenvalues(model, loss, data):
    return kernel_spectrum(ntk(model, data[0])).values / len(data[0])


def full_eigenvalues(model, loss, data):
    return kernel_spectrum(ntk(model, data[0], outputs="full").flatten(0, 1).flatten(1)).values


def full_referee(case):
    whole = jacobian(case).flatten(0, 1)
    return torch.linalg.eigvalsh(whole @ whole.T).flip(0)


def alignment(model, loss, data):
    return kernel_alignment(ntk(model, data[0]), data[1])


def conjugate_alignment(model, loss, data):
    return kernel_alignment(instruments.conjugate_kernel(model, data[0]), data[1])


CONTRACTS = {
    "tangent kernel": (eigenvalues, {
        "referee": lambda case: torch.linalg.eigvalsh(kernel_of(case)).flip(0) / 9,
        "recorded": training_kernel_spectrum(9), "documented": ntk,
    }),
    "full tangent kernel": (full_eigenvalues, {"referee": full_referee, "documented": ntk}),
    "spectrum": (eigenvalues, {"documented": kernel_spectrum}),
    "alignment": (alignment, {
        "referee": lambda case: centred_alignment(kernel_of(case), case.data[1]),
        "recorded": training_kernel_alignment(), "documented": kernel_alignment,
    }),
    "conjugate kernel": (conjugate_alignment, {"documented": instruments.conjugate_kernel}),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_kernel_instrument_keeps_the_contract(name):
    measure, options = CONTRACTS[name]
    check_instrument(measure, degree=0, **options)


@pytest.mark.parametrize("measure", [
    kernel_drift, predicted_residuals, training_kernel_drift, training_kernel_alignment,
    training_kernel_spectrum, instruments.empirical_ntk,
])  # fmt: skip
def test_the_docstring_states_what_it_must(measure):
    text = measure.__doc__.lower()
    for word in ("shape", "unit", "cost", "memory", "error", "source", ">>>"):
        assert word in text, word


def test_a_spectrum_has_its_closed_forms():
    turn = torch.linalg.qr(drawn(6, 6))[0]
    values = torch.tensor([8.0, 4.0, 2.0, 1.0, 1.0, 0.0], dtype=F64)
    found = kernel_spectrum(torch.stack([turn @ values.diag() @ turn.T, torch.eye(6, dtype=F64)]))
    torch.testing.assert_close(found.values[0], values)
    shares = [0.5, 0.25, 0.125, 0.0625, 0.0625]
    entropy = -sum(s * math.log(s) for s in shares)
    torch.testing.assert_close(
        found.effective_rank, torch.tensor([math.exp(entropy), 6], dtype=F64)
    )
    torch.testing.assert_close(found.participation_ratio, torch.tensor([256 / 86, 6], dtype=F64))
    assert found.condition[0] == math.inf and found.condition[1] == pytest.approx(1)


def test_a_kernel_of_few_parameters_has_an_infinite_condition():
    assert kernel_spectrum(ntk(nn.Linear(2, 1), drawn(9, 2).float())).condition == math.inf


def test_alignment_has_its_closed_forms():
    y = drawn(7, 2)
    same = kernel_alignment(3 * y @ y.T, y, centred=False)
    shifted = kernel_alignment(3 * y @ y.T + 5, y)
    assert float(same) == pytest.approx(1) and float(shifted) == pytest.approx(1)
    assert kernel_alignment(3 * y @ y.T + 5, y, centred=False) < 0.9
    # Of the identity: ||Y Y^T|| and its trace, over the root of n.
    gram = y @ y.T
    expected = gram.trace() / gram.norm() / math.sqrt(7)
    torch.testing.assert_close(
        kernel_alignment(torch.eye(7, dtype=F64), y, centred=False), expected
    )
    classes = torch.tensor([0, 1, 2, 0, 1, 2, 2])
    hot = nn.functional.one_hot(classes).double()
    torch.testing.assert_close(kernel_alignment(gram, classes), kernel_alignment(gram, hot))
    torch.testing.assert_close(kernel_alignment(gram, hot), centred_alignment(gram, hot))


def test_alignment_that_means_nothing_is_missing():
    y, flat = drawn(5, 1), torch.full((5, 5), 0.3)
    assert kernel_alignment(flat, y).isnan() and kernel_alignment(torch.eye(5), y * 0 + 0.1).isnan()
    assert kernel_alignment(flat, y * 0 + 0.1, centred=False) == pytest.approx(1)


def test_drift_has_its_closed_forms():
    k = drawn(2, 4, 4)
    k[1] -= (k[1] * k[0]).sum() / k[0].square().sum() * k[0]
    found = kernel_drift(k[:1], k[1:])
    size = (k[1].norm() / k[0].norm()).item()
    assert found.turned.item() == pytest.approx(1)
    assert found.relative.item() == pytest.approx(math.sqrt(1 + size**2))
    scaled = kernel_drift(k, 1.5 * k)
    torch.testing.assert_close(scaled.relative, torch.full((2,), 0.5, dtype=F64))
    torch.testing.assert_close(scaled.turned, torch.zeros(2, dtype=F64), atol=1e-14, rtol=0)


def trained(model, x, y, lr, steps):
    made = []
    for _ in range(steps + 1):
        out = model(x)
        made.append((out - y).detach())
        slopes = torch.autograd.grad(half_squared_error(out, y), list(model.parameters()))
        with torch.no_grad():
            for p, s in zip(model.parameters(), slopes, strict=True):
                p -= lr * s
    return torch.stack(made)


def test_a_linear_model_trains_as_predicted():
    torch.random.manual_seed(0)
    model, x, y = nn.Linear(3, 2).double(), drawn(6, 3), drawn(6, 2, seed=1)
    kernels = {o: ntk(model, x, outputs=o) for o in ("full", "each", "trace")}
    start = (model(x) - y).detach()
    truth = trained(model, x, y, 0.3, 20)
    for form, kernel in (*kernels.items(), ("alike", kernels["trace"] / 2)):
        if form != "trace":
            found = predicted_residuals(kernel, start, range(21), lr=0.3)
            torch.testing.assert_close(found, truth, rtol=1e-9, atol=1e-11)
    # Gradient flow is descent in small steps, and satisfies dr/dt = -K r / n.
    flow = predicted_residuals(kernels["each"], start, [0.0, 3.0])
    steps = predicted_residuals(kernels["each"], start, [30000], lr=1e-4)
    torch.testing.assert_close(flow[0], start)
    torch.testing.assert_close(flow[1], steps[0], rtol=1e-3, atol=1e-4)


def test_mean_squared_error_has_its_own_curvature_and_lanes_are_apart():
    kernels, start = drawn(2, 5, 5), drawn(2, 5, 3)
    kernels = kernels @ kernels.mT
    both = predicted_residuals(kernels, start, [0, 4], lr=0.1, curvature=2 / 15)
    for lane in range(2):
        step = torch.eye(5, dtype=F64) - 0.1 * 2 / 15 * kernels[lane]
        torch.testing.assert_close(both[1, lane], torch.linalg.matrix_power(step, 4) @ start[lane])
    one = predicted_residuals(kernels[0], start[0, :, 0], [2.0])
    torch.testing.assert_close(one[0], predicted_residuals(kernels[0], start[0], [2.0])[0, :, 0])


def test_a_wide_network_trains_as_predicted_and_a_narrow_one_does_not():
    x, y = drawn(8, 3), drawn(8, 1, seed=1)
    off = {}
    for width in (8, 4096):
        torch.random.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, width), nn.Tanh(), nn.Linear(width, 1, bias=False))
        model = model.double()
        with torch.no_grad():
            model[0].weight.normal_()
            model[2].weight.normal_(std=width**-0.5)
        start = (model(x) - y).detach()
        kernel = ntk(model, x)
        lr = float(8 / kernel_spectrum(kernel).values[0])
        expected = predicted_residuals(kernel, start, range(0, 101, 20), lr=lr)
        found = trained(model, x, y, lr, 100)[::20]
        off[width] = float((found - expected).norm() / expected.norm())
    # What the kernel moves in a bounded time falls as the width grows.
    assert off[4096] < 1e-3 and off[4096] < off[8] / 20, off


def record(record, width=6, lr=0.2, seeds=(0, 1, 2), steps=6):
    bench = Bench("tests", "kernels", seeds, dtype=F64)
    x, y = drawn(7, 3), drawn(7, 2, seed=1)
    return bench.train(
        bench.networks(partial(MLP, 3, width, 2)), GradientDescent(lr), samples(x.numpy()),
        samples(y.numpy()), steps=steps, record={i: every(2) for i in record},
    )  # fmt: skip


def test_recorded_drift_is_that_between_the_kernels():
    instruments_of = (*training_kernel_drift(), training_kernel_alignment())
    run = record(instruments_of)
    assert (run.data.kernel_drift.sel(step=0) == 0).all()
    x = drawn(7, 3)
    start = record((training_kernel_spectrum(),), steps=0).end
    kernels = [
        torch.as_tensor(e.measure(instruments.empirical_ntk, x, ("sample", "other")).values)
        for e in (start, run.end)
    ]
    found = kernel_drift(*kernels)
    end = run.data.isel(step=-1)
    np.testing.assert_allclose(end.kernel_drift, found.relative, rtol=1e-9)
    np.testing.assert_allclose(end.kernel_drift_turned, found.turned, rtol=1e-6)
    assert (end.kernel_drift > 1e-3).all()
    expected = kernel_alignment(kernels[1], drawn(7, 2, seed=1).expand(3, 7, 2))
    np.testing.assert_allclose(end.kernel_alignment, expected, rtol=1e-9)


def test_some_samples_are_the_first_and_lanes_that_diverge_are_missing():
    few = record((training_kernel_spectrum(2, samples=4),))
    kernel = few.end.measure(instruments.empirical_ntk, drawn(7, 3)[:4], ("sample", "other"))
    expected = np.linalg.eigvalsh(kernel.values / 4)[:, ::-1][:, :2]
    np.testing.assert_allclose(few.data.kernel_eigenvalue.isel(step=-1), expected, rtol=1e-9)
    lost = record((training_kernel_spectrum(),), lr=1e200, steps=12).data.kernel_eigenvalue
    assert np.isfinite(lost.sel(step=0)).all() and np.isnan(lost.isel(step=-1)).all()


def test_a_kernel_that_is_not_finite_is_missing_and_disturbs_nobody():
    kernels = torch.stack([torch.eye(3), torch.full((3, 3), math.nan), 2 * torch.eye(3)])
    found = _by_lane(lambda lane: kernel_spectrum(kernels[lane]).values[0], kernels)
    assert found[[0, 2]].tolist() == [1, 2] and found[1].isnan()


def refused(kind, words, call):
    with pytest.raises(kind) as caught:
        call()
    line = str(caught.value)
    assert isinstance(caught.value, UsageError) and "\n" not in line and len(line) < 300
    assert caught.value.hint
    for word in words:
        assert word in line, line


NET, X = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), torch.ones(5, 3)
NAN = X.clone().index_put((torch.tensor(0), torch.tensor(0)), torch.tensor(math.nan))


class Growing(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 1)

    def forward(self, x):
        return torch.exp(1e6 * self.layer(x).square() + 1e6)


REFUSED = {
    "dropout": (MovingTarget, ("Dropout", "model.eval()"),
                lambda: ntk(nn.Sequential(nn.Linear(3, 2), nn.Dropout()), X)),
    "nan": (CannotMeasure, ("input x", "1 of 15"), lambda: ntk(NET, NAN)),
    "nan in other": (CannotMeasure, ("input other", "1 of 15"), lambda: ntk(NET, X, NAN)),
    "no samples": (CannotMeasure, ("no samples",), lambda: ntk(NET, X[:0])),
    "dtype": (CannotMeasure, ("float64", "float32"), lambda: ntk(NET, X.double())),
    "device": (CannotMeasure, ("meta", "cpu"), lambda: ntk(NET, X.to("meta"))),
    "no parameters": (CannotMeasure, ("Tanh", "no parameter"), lambda: ntk(nn.Tanh(), X)),
    "no such parameter": (BadParameter, ("2.weight",), lambda: ntk(NET, X, only="2.weigth")),
    "outputs": (BadParameter, ("'sum'",), lambda: ntk(NET, X, outputs="sum")),
    "no row a sample": (CannotMeasure, ("5 samples",), lambda: ntk(Constant(), X)),
    "overflow": (CannotMeasure, ("5 of 5", "output"), lambda: ntk(Growing(), X)),
    "no such layer": (CannotMeasure, ("'3'", "0, 2"),
                      lambda: instruments.conjugate_kernel(NET, X, layer="3")),
    "no layer": (CannotMeasure, ("no dense",),
                 lambda: instruments.conjugate_kernel(nn.LayerNorm(3), X)),
    "not square": (CannotMeasure, ("(5, 4)",), lambda: kernel_spectrum(torch.ones(5, 4))),
    "not symmetric": (CannotMeasure, ("transpose",),
                      lambda: kernel_spectrum(torch.eye(5).roll(1, 0))),
    "nan kernel": (CannotMeasure, ("25 of 25",),
                   lambda: kernel_spectrum(torch.full((5, 5), math.nan))),
    "labels": (CannotMeasure, ("(4,)", "5 samples"),
               lambda: kernel_alignment(torch.eye(5), torch.ones(4))),
    "nan labels": (CannotMeasure, ("5 of 5",),
                   lambda: kernel_alignment(torch.eye(5), torch.full((5,), math.nan))),
    "drift": (CannotMeasure, ("(5, 5)", "(4, 4)"),
              lambda: kernel_drift(torch.eye(5), torch.eye(4))),
    "negative time": (BadParameter, ("-1",),
                      lambda: predicted_residuals(torch.eye(5), torch.ones(5, 1), [-1])),
    "half a step": (BadParameter, ("0.5", "whole"),
                    lambda: predicted_residuals(torch.eye(5), torch.ones(5, 1), [0.5], lr=0.1)),
    "no step": (BadParameter, ("lr is 0",),
                lambda: predicted_residuals(torch.eye(5), torch.ones(5, 1), [1], lr=0)),
    "residual": (CannotMeasure, ("(5, 5)", "(4, 1)"),
                 lambda: predicted_residuals(torch.eye(5), torch.ones(4, 1), [1])),
    "nan residual": (CannotMeasure, ("not finite",),
                     lambda: predicted_residuals(torch.eye(1), torch.tensor([math.nan]), [1])),
    "k": (BadParameter, ("0",), lambda: training_kernel_spectrum(0)),
    "k above": (BadParameter, ("8", "7 samples"), lambda: record((training_kernel_spectrum(8),))),
    "samples": (BadParameter, ("0",), lambda: training_kernel_drift(0)),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_measured_is_refused_in_one_line(what):
    refused(*REFUSED[what])
