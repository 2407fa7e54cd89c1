"""Margins, homogeneity, and the conditions of the max-margin problem."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.optimize import lsq_linear
from sklearn.svm import SVC
from torch import nn

from chymist import instruments
from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.errors import BadParameter, CannotMeasure
from chymist.solvers import GradientDescent
from chymist.testing.networks import half_squared_error, small, two_layers

F64 = torch.float64


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def relu_net(sizes, seed=0, bias=False):
    """A ReLU network without biases (or with one in each layer), with normal weights."""
    layers = []
    for i, (a, b) in enumerate(itertools.pairwise(sizes)):
        layers += [nn.Linear(a, b, bias=bias).double(), nn.ReLU()]
        with torch.no_grad():
            for j, p in enumerate(layers[-2].parameters()):
                p.copy_(draw(*p.shape, seed=seed + 10 * i + j))
    return nn.Sequential(*layers[:-1])


def separable(net, n=12, d=4, seed=3):
    """Inputs with the classes that the network gives them."""
    x = draw(40 * n, d, seed=seed)
    x = x[net(x).detach().norm(dim=1) > 0.1][:n]
    out = net(x).detach()
    return (x, out.sign()[:, 0]) if out.shape[1] == 1 else (x, out.argmax(1))


def test_margins_of_each_kind_of_target():
    net = nn.Sequential(nn.Identity(), nn.Linear(3, 3, bias=False).double())
    with torch.no_grad():
        net[1].weight.copy_(torch.eye(3))
    x = torch.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, 7.0]], dtype=F64)
    classes = torch.tensor([0, 1])
    expected = torch.tensor([1.0, -2.0], dtype=F64)
    for y in (classes, classes[:, None].double(), nn.functional.one_hot(classes, 3).double()):
        torch.testing.assert_close(instruments.margins(net, (x, y)), expected)
    one = nn.Sequential(nn.Linear(3, 1, bias=False).double())
    with torch.no_grad():
        one[0].weight.copy_(torch.tensor([[1.0, 0.0, -1.0]]))
    for y in (torch.tensor([1, -1]), torch.tensor([1.0, 0.0], dtype=F64)):
        torch.testing.assert_close(
            instruments.margins(one, (x, y)), torch.tensor([1.0, 7.0], dtype=F64)
        )


@pytest.mark.parametrize(
    ("outputs", "y", "said"),
    [
        (3, torch.tensor([0, 3]), "classes 0 to 2"),
        (3, torch.tensor([[0.5, 0.2, 0.1], [1.0, 0.0, 0.0]], dtype=F64), "one-hot"),
        (3, torch.tensor([0.5, 1.0], dtype=F64), "classes 0 to 2"),
        (1, torch.tensor([2, -1]), "two classes"),
        (3, "cats", "not a pair"),
        (3, torch.tensor([0]), "numbers of samples differ"),
    ],
)
def test_what_is_no_class_is_refused(outputs, y, said):
    net = nn.Linear(3, outputs).double()
    with pytest.raises(CannotMeasure, match=said):
        instruments.margins(net, (draw(2, 3), y))


def test_other_bad_input_is_refused_in_a_line():
    net = nn.Linear(3, 2).double()
    y = torch.tensor([0, 1])
    with pytest.raises(CannotMeasure, match=r"the input x is torch\.float32"):
        instruments.margins(net, (draw(2, 3).float(), y))
    with pytest.raises(CannotMeasure, match="parameter weight has 1 of 6 values"):
        broken = nn.Linear(3, 2).double()
        with torch.no_grad():
            broken.weight[0, 0] = math.nan
        instruments.margins(broken, (draw(2, 3), y))
    with pytest.raises(CannotMeasure, match="a row of numbers for each of 2 samples"):
        instruments.margins(nn.Sequential(net, nn.Unflatten(1, (1, 2))), (draw(2, 3), y))
    with pytest.raises(BadParameter, match="tolerance is -1"):
        instruments.max_margin_stationarity(net, (draw(2, 3), y), tolerance=-1)
    with pytest.raises(BadParameter, match="factors are"):
        instruments.homogeneity(net, draw(2, 3), factors=(1.0,))
    with pytest.raises(CannotMeasure, match="samples_at_once"):
        instruments.margins(net, (draw(2, 3), y), samples_at_once=1)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_a_relu_network_is_homogeneous_of_its_depth(depth):
    net = relu_net([4, *[6] * (depth - 1), 3])
    found = instruments.homogeneity(net, draw(9, 4))
    assert float(found.degree) == pytest.approx(depth, rel=1e-12)
    np.testing.assert_allclose(found.scaled, depth, rtol=1e-12)
    assert float(found.residual) < 1e-12 and float(found.turned.max()) < 1e-12
    assert bool(found.homogeneous)
    # In the first layer alone the degree is 1.
    only = instruments.homogeneity(net, draw(9, 4), only="0.*")
    assert float(only.degree) == pytest.approx(1, rel=1e-12)


def test_a_bias_in_the_first_layer_alone_is_homogeneous():
    net = relu_net([4, 6, 3])
    net[0].bias = nn.Parameter(draw(6, seed=5))
    assert bool(instruments.homogeneity(net, draw(9, 4)).homogeneous)
    net[2].bias = nn.Parameter(draw(3, seed=6))
    found = instruments.homogeneity(net, draw(9, 4))
    assert not bool(found.homogeneous) and float(found.residual) > 0.01
    data = separable(net)
    with pytest.raises(CannotMeasure, match="not homogeneous"):
        instruments.normalised_margin(net, data)
    assert float(instruments.normalised_margin(net, data, degree=2)) > 0


def test_eulers_identity_by_differences():
    case = small("euler", two_layers)
    x = case.data[0]
    found = instruments.homogeneity(case.model, x)
    named = {n: p.detach() for n, p in case.model.named_parameters()}

    def at(c):
        return torch.func.functional_call(case.model, {n: c * p for n, p in named.items()}, (x,))

    f, left = at(1.0), (at(1 + 1e-6) - at(1 - 1e-6)) / 2e-6
    degree = (left * f).sum() / f.square().sum()
    assert float(found.degree) == pytest.approx(float(degree), rel=1e-7)
    residual = (left - degree * f).norm() / (degree * f).norm()
    assert float(found.residual) == pytest.approx(float(residual), rel=1e-6)


@pytest.mark.parametrize("smoothed", [False, True])
@pytest.mark.parametrize("outputs", [1, 3])
def test_a_normalised_margin_by_its_formula_and_at_any_scale(outputs, smoothed):
    net = relu_net([4, 6, 5, outputs])
    x, y = separable(net)
    out = net(x).detach()
    if outputs == 1:
        q = (y[:, None] * out).numpy()
    else:
        q = np.array([[o[c] - o[j] for j in range(3) if j != c] for o, c in zip(
            out.numpy(), y.tolist(), strict=True)])  # fmt: skip
    top = -np.log(np.exp(-q).sum()) if smoothed else q.min()
    length = sum(float(p.detach().square().sum()) for p in net.parameters()) ** 0.5
    found = instruments.normalised_margin(net, (x, y), smoothed=smoothed)
    assert float(found) == pytest.approx(top / length**3, rel=1e-12)
    if not smoothed:
        with torch.no_grad():
            for p in net.parameters():
                p.mul_(1.7)
        again = instruments.normalised_margin(net, (x, y))
        assert float(again) == pytest.approx(float(found), rel=1e-10)


def test_the_support_vector_machine_is_stationary_and_its_weights_are_found():
    x = draw(30, 5)
    direction = draw(5, seed=1)
    y = (x @ direction).sign()
    x = x + 0.3 * y[:, None] * direction / direction.norm()
    # The hard margin without an offset: an SVM on both x and -x has none.
    svm = SVC(kernel="linear", C=1e10, tol=1e-12).fit(
        np.concatenate([x, -x]), np.concatenate([y, -y])
    )
    net = nn.Linear(5, 1, bias=False).double()
    with torch.no_grad():
        net.weight.copy_(torch.tensor(svm.coef_))
    found = instruments.max_margin_stationarity(net, (x, y), tolerance=1e-6)
    assert float(found.residual) < 1e-6 and float(found.slack) < 1e-6
    dual = np.zeros(60)
    dual[svm.support_] = np.abs(svm.dual_coef_[0])
    np.testing.assert_allclose(
        found.multipliers[:, 0], dual[:30] + dual[30:], rtol=1e-5, atol=1e-6 * dual.max()
    )
    margin = float(instruments.normalised_margin(net, (x, y)))
    assert margin == pytest.approx(1 / np.linalg.norm(svm.coef_), rel=1e-6)
    with torch.no_grad():
        net.weight.copy_(direction)
    off = instruments.max_margin_stationarity(net, (x, y), tolerance=1e-6)
    assert float(off.residual) > 0.05


@pytest.mark.parametrize("outputs", [1, 3])
def test_multipliers_by_a_second_algorithm(outputs):
    net = relu_net([4, 6, outputs])
    x, y = separable(net, n=10)
    found = instruments.max_margin_stationarity(net, (x, y), tolerance=30.0)
    params = list(net.parameters())
    w = torch.cat([p.detach().flatten() for p in params]).numpy()
    out, rows, qs = net(x), [], []
    for i in range(len(x)):
        rivals = [j for j in range(3) if j != y[i]] if outputs == 3 else [None]
        for j in rivals:
            q = y[i] * out[i, 0] if j is None else out[i, int(y[i])] - out[i, j]
            slopes = torch.autograd.grad(q, params, retain_graph=True)
            rows.append(torch.cat([s.flatten() for s in slopes]).numpy())
            qs.append(float(q.detach()))
    qs = np.array(qs)
    near = qs <= 31 * qs.min()
    assert int(found.active) == near.sum() > 1
    answer = lsq_linear(np.array(rows)[near].T, w, (0, np.inf), tol=1e-14)
    residual = np.sqrt(2 * answer.cost) / np.linalg.norm(w)
    assert float(found.residual) == pytest.approx(residual, rel=1e-5)
    assert float(found.cosine) == pytest.approx(np.sqrt(1 - residual**2), rel=1e-5)
    weighed = answer.x @ (qs[near] - qs.min()) / (answer.x @ qs[near])
    assert float(found.slack) == pytest.approx(weighed, rel=1e-3)
    with torch.no_grad():
        for p in params:
            p.mul_(3.0)
    again = instruments.max_margin_stationarity(net, (x, y), tolerance=30.0)
    assert float(again.residual) == pytest.approx(float(found.residual), rel=1e-8)
    assert float(again.slack) == pytest.approx(float(found.slack), rel=1e-6)


def test_a_misclassed_sample_leaves_nothing_to_be_stationary_for():
    net = relu_net([4, 6, 1])
    x, y = separable(net)
    y[0] = -y[0]
    found = instruments.max_margin_stationarity(net, (x, y))
    assert found.residual.isnan() and found.slack.isnan() and int(found.active) == 0


def test_gradient_descent_on_separable_data_goes_to_a_stationary_point():
    # Soudry et al.: w / ||w|| tends to the hard margin's direction; the residual falls.
    x = draw(20, 3, seed=2)
    y = (x @ draw(3, seed=8)).sign()
    place = Bench("m", "e", (0, 1), dtype=F64)

    def logistic(out, target):
        return nn.functional.softplus(-out * target).mean()

    record = [
        instruments.training_stationarity(tolerance=0.5),
        instruments.training_margin(degree=1),
        instruments.training_margin(degree=1, smoothed=True, name="smoothed"),
    ]
    run = place.train(
        place.networks(lambda: nn.Sequential(nn.Linear(3, 1, bias=False))),
        GradientDescent(5.0),
        samples(x.numpy()),
        samples(y.numpy()[:, None]),
        steps=4000,
        loss=logistic,
        record={i: every(1000) for i in record},
    ).data
    residual = run.max_margin_residual
    assert (residual.isel(step=-1) < 0.15).all()
    assert (run.margin.diff("step").isel(step=slice(1, None)) > 0).all()
    assert (run.smoothed.isel(step=-1) <= run.margin.isel(step=-1)).all()


def test_a_recorded_lane_is_the_network_measured_alone():
    x, y = draw(8, 3).numpy(), np.eye(3)[np.arange(8) % 3]
    build = lambda: nn.Sequential(  # noqa: E731
        nn.Linear(3, 6, bias=False), nn.ReLU(), nn.Linear(6, 3, bias=False)
    )
    record = [
        instruments.training_margin(degree=2, quantile=0.25),
        instruments.training_stationarity(),
        instruments.training_homogeneity(),
    ]

    def train(seeds):
        place = Bench("m", "e", seeds, dtype=F64)
        return place.train(
            place.networks(build), GradientDescent(0.3), samples(x), samples(y), steps=300,
            record={i: every(100) for i in record},
        )  # fmt: skip

    whole, part = train((0, 1, 2)), train((1, 2))
    for lane in range(3):
        net = build().double()
        net.load_state_dict({n: p[lane] for n, p in whole.end.parameters.items()})
        data = (torch.tensor(x), torch.tensor(y))
        end = whole.data.isel(seed=lane, step=-1)
        length = sum(float(p.detach().square().sum()) for p in net.parameters())
        quantile = float(instruments.margins(net, data).quantile(0.25)) / length
        assert float(end.margin) == pytest.approx(quantile, rel=1e-10)
        alone = float(instruments.max_margin_stationarity(net, data).residual)
        assert float(end.max_margin_residual) == pytest.approx(alone, rel=1e-8, nan_ok=True)
        assert float(end.homogeneity) == pytest.approx(2, rel=1e-10)
    assert not whole.data.max_margin_residual.isel(step=-1).isnull().all()
    for name in ("margin", "max_margin_residual", "homogeneity"):
        np.testing.assert_allclose(whole.data[name].sel(seed=[1, 2]), part.data[name], rtol=1e-9)


def test_targets_that_are_no_classes_are_refused_in_a_training_too():
    place = Bench("m", "e", (0, 1), dtype=F64)
    with pytest.raises(CannotMeasure, match="one-hot"):
        place.train(
            place.networks(two_layers), GradientDescent(0.1), samples(draw(5, 3).numpy()),
            samples(draw(5, 3, seed=1).numpy()), steps=2, loss=half_squared_error,
            record={instruments.training_margin(): every(1)},
        )  # fmt: skip
