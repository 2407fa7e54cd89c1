"""Norms of layers, paths and whole networks; Lipschitz constants from all sides."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from chymist import instruments
from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.errors import BadParameter, CannotMeasure, MovingTarget
from chymist.instruments.activation_regions import regions
from chymist.solvers import GradientDescent

from .test_margins import draw, relu_net, separable

F64 = torch.float64


def filled(model, seed=0):
    with torch.no_grad():
        for i, p in enumerate(model.parameters()):
            p.copy_(draw(*p.shape, seed=seed + i))
    return model.double().eval()


def matrix(layer, shape):
    """A layer's whole matrix, by its values at unit vectors, without its bias."""
    eye = torch.eye(math.prod(shape), dtype=F64).reshape(-1, *shape)
    zero = layer(torch.zeros_like(eye[:1]))
    return (layer(eye) - zero).flatten(1).mT.detach()


CIRCULAR = {
    "1d": (nn.Conv1d(2, 3, 3, padding=1, padding_mode="circular"), (2, 7)),
    "2d": (nn.Conv2d(2, 3, 3, padding="same", padding_mode="circular"), (2, 4, 5)),
    "even": (nn.Conv1d(2, 2, 4, padding="same", padding_mode="circular"), (2, 6)),
    "dilated": (nn.Conv1d(2, 2, 3, padding=2, dilation=2, padding_mode="circular"), (2, 7)),
    "groups": (nn.Conv1d(4, 6, 3, padding=1, groups=2, padding_mode="circular"), (4, 6)),
    "3d": (nn.Conv3d(1, 2, 3, padding=1, padding_mode="circular"), (1, 3, 4, 3)),
}
PADDED = {
    "same": (nn.Conv2d(2, 3, 3, padding=1), (2, 5, 6)),
    "valid": (nn.Conv1d(2, 3, 3), (2, 9)),
    "strided": (nn.Conv2d(2, 3, 3, padding=1, stride=2), (2, 6, 6)),
    "dilated": (nn.Conv1d(2, 2, 3, dilation=3, padding=3), (2, 9)),
    "one by one": (nn.Conv2d(3, 2, 1), (3, 3, 3)),
}


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("name", CIRCULAR)
def test_a_circular_convolution_has_the_norm_of_its_matrix(name):
    layer, shape = CIRCULAR[name]
    layer = filled(layer)
    found = instruments.layer_norms(nn.Sequential(layer), draw(2, *shape))
    expected = float(torch.linalg.matrix_norm(matrix(layer, shape), 2))
    assert found.spectral["0"] == pytest.approx(expected, rel=1e-10)
    assert found.exact["0"]


@pytest.mark.parametrize("name", PADDED)
def test_a_padded_convolution_is_bounded_and_not_by_far(name):
    layer, shape = PADDED[name]
    layer = filled(layer)
    found = instruments.layer_norms(nn.Sequential(layer), draw(2, *shape))
    expected = float(torch.linalg.matrix_norm(matrix(layer, shape), 2))
    assert expected * (1 - 1e-12) <= found.spectral["0"] < 1.6 * expected
    assert not found.exact["0"]


def test_layers_their_products_and_ranks():
    net = relu_net([4, 6, 3], bias=True)
    found = instruments.layer_norms(net, draw(2, 4))
    for name in ("0", "2"):
        singular = torch.linalg.svdvals(net.get_submodule(name).weight.detach())
        assert found.spectral[name] == pytest.approx(float(singular[0]), rel=1e-12)
        assert found.frobenius[name] == pytest.approx(float(singular.norm()), rel=1e-12)
        rank = float((singular.norm() / singular[0]) ** 2)
        assert found.stable_ranks[name] == pytest.approx(rank, rel=1e-12)
    assert found.product == pytest.approx(found.spectral["0"] * found.spectral["2"])


def paths(net, p):
    """The sum over paths, written out path by path."""
    layers = [m for m in net if isinstance(m, nn.Linear)]
    total = 0.0
    # A path begins at an input or at a layer's bias.
    for first in range(len(layers) + 1):
        widths = [m.out_features for m in layers[max(first - 1, 0) :]]
        starts = [range(layers[0].in_features)] if first == 0 else []
        for path in itertools.product(*starts, *map(range, widths)):
            value, rest = 1.0, layers
            if first:
                value, rest = layers[first - 1].bias[path[0]].item(), layers[first:]
            for layer, (i, j) in zip(rest, itertools.pairwise(path), strict=True):
                value *= layer.weight[j, i].item()
            total += abs(value) ** p
    return total ** (1 / p)


@pytest.mark.parametrize("p", [1, 2])
def test_a_path_norm_is_the_sum_over_all_paths(p):
    net = relu_net([3, 4, 2, 2], bias=True)
    found = float(instruments.path_norm(net, draw(2, 3), p))
    assert found == pytest.approx(paths(net, p), rel=1e-12)
    # Neurons may be rescaled against each other at will.
    with torch.no_grad():
        factor = torch.tensor([0.1, 3.0, 7.0, 1e3], dtype=F64)
        net[0].weight.mul_(factor[:, None])
        net[0].bias.mul_(factor)
        net[2].weight.div_(factor)
    assert float(instruments.path_norm(net, draw(2, 3), p)) == pytest.approx(found, rel=1e-12)


def test_a_path_norm_through_convolutions_and_branches():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(1, 2, 3, padding=1, bias=False)
            self.back = nn.Conv1d(2, 1, 1, bias=False)
            self.last = nn.Linear(5, 2, bias=False)

        def forward(self, x):
            x = x.view(x.shape[0], 1, 5)
            return self.last(torch.flatten(x + self.back(torch.relu(self.conv(x))), 1))

    class Flat(Net):
        def forward(self, x):
            x = x.unsqueeze(1)
            return self.last(torch.flatten(x + self.back(torch.relu(self.conv(x))), 1))

    net = filled(Flat())
    conv, back = matrix(net.conv, (1, 5)), matrix(net.back, (2, 5))
    last = net.last.weight.detach()
    for p in (1, 2):
        inner = torch.eye(5, dtype=F64) + (back.abs() ** p) @ (conv.abs() ** p)
        expected = float(((last.abs() ** p) @ inner).sum()) ** (1 / p)
        assert float(instruments.path_norm(net, draw(2, 5), p)) == pytest.approx(expected)
    upper = float(instruments.lipschitz_upper(net, draw(2, 5)))
    lower = float(instruments.lipschitz_lower(net, draw(50, 5)))
    tight = float(torch.linalg.matrix_norm(last, 2)) * (
        1 + float(torch.linalg.matrix_norm(back, 2) * torch.linalg.matrix_norm(conv, 2))
    )
    assert lower < tight * (1 + 1e-12) <= upper * (1 + 1e-9) < 1.5 * tight
    # x.view(x.shape[0], ...) decides by the data's shape, which is no step of this list.
    with pytest.raises(CannotMeasure, match="norm is not known"):
        instruments.path_norm(filled(Net()), draw(2, 5))


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x):
        return self.a(x) - self.b(x)


class Deciding(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)

    def forward(self, x):
        return self.a(x) if x.sum() > 0 else -self.a(x)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3), nn.Linear(3, 3)), "1 is a LayerNorm"),
        (nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)), "fold batch norm"),
        (nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3)), "step 1 is a tanh"),
        (Branches(), "does sub"),
        (Deciding(), "cannot be traced"),
    ],
)
def test_a_step_that_is_not_known_is_named(model, said):
    with pytest.raises(CannotMeasure, match=said):
        instruments.path_norm(model.double().eval(), draw(2, 3))


def test_the_barron_norm_of_two_layers():
    net = relu_net([3, 5, 2], bias=True)
    w, b, a = (p.detach().numpy() for p in list(net.parameters())[:3])
    for inner in (1, 2):
        expected = sum(
            np.linalg.norm(a[:, k]) * (np.linalg.norm(w[k], inner) + abs(b[k])) for k in range(5)
        )
        found = float(instruments.barron_norm(net, draw(2, 3), inner=inner))
        assert found == pytest.approx(expected, rel=1e-12)
    with pytest.raises(CannotMeasure, match="made of linear, relu, linear, relu, linear"):
        instruments.barron_norm(relu_net([3, 4, 4, 1]), draw(2, 3))
    with pytest.raises(BadParameter, match="inner is 3"):
        instruments.barron_norm(net, draw(2, 3), inner=3)


def test_margin_norms_by_their_formulas():
    net = relu_net([4, 6, 3])
    x, y = separable(net)
    start = {n: draw(*p.shape, seed=9) for n, p in net.named_parameters()}
    found = instruments.margin_norms(net, (x, y), start=start, quantile=0.3)
    g = float(instruments.margins(net, (x, y)).quantile(0.3))
    w = [net[0].weight.detach(), net[2].weight.detach()]
    s = [float(torch.linalg.matrix_norm(m, 2)) for m in w]
    moved = [float((m - start[f"{i}.weight"]).norm()) for m, i in zip(w, (0, 2), strict=True)]
    product = (s[0] * s[1]) ** 2
    assert found.margin == pytest.approx(g)
    assert found.spectral == pytest.approx(product / g**2)
    assert found.pac_bayes == pytest.approx(
        product * sum((d / t) ** 2 for d, t in zip(moved, s, strict=True)) / g**2
    )
    assert found.frobenius == pytest.approx(float(w[0].norm() * w[1].norm()) ** 2 / g**2)
    path = float((w[1].square() @ w[0].square()).sum())
    assert found.path == pytest.approx(path / g**2)
    assert instruments.margin_norms(net, (x, y.roll(1)), quantile=0).spectral == math.inf
    with pytest.raises(CannotMeasure, match=r"no 0\.weight of shape"):
        instruments.margin_norms(net, (x, y), start={})


def slopes_on_a_grid(net, reach=60.0, count=601):
    place = torch.linspace(-reach, reach, count, dtype=F64)
    x = torch.cartesian_prod(place, place) + 1e-3
    return float(instruments.lipschitz_lower(net, x))


@pytest.mark.parametrize("bias", [False, True])
def test_the_exact_constant_lies_between_the_bounds_and_is_reached(bias):
    for seed in range(3):
        net = relu_net([2, 6, 2], seed=100 * seed, bias=bias)
        exact = float(instruments.lipschitz_exact(net, draw(2, 2)))
        upper = float(instruments.lipschitz_upper(net, draw(2, 2)))
        # Regions are cones far out, and triangles near zero.
        seen = max(slopes_on_a_grid(net, reach) for reach in (1.0, 5.0, 500.0))
        assert seen == pytest.approx(exact, rel=1e-9)
        assert exact < upper


def test_as_many_regions_as_zaslavsky_counts():
    rng = np.random.default_rng(0)
    for m, d in ((6, 2), (7, 3), (5, 5), (4, 1)):
        w = rng.normal(size=(m, d))
        on = regions(w, rng.normal(size=m))
        assert len({tuple(r) for r in on}) == len(on)
        assert len(on) == sum(math.comb(m, i) for i in range(d + 1))
        # Through one point: twice the count of one dimension less.
        central = regions(w, np.zeros(m))
        assert len(central) == 2 * sum(math.comb(m - 1, i) for i in range(d))


def test_equal_and_idle_neurons_make_no_regions():
    on = regions(np.array([[1.0], [0.0], [2.0], [0.0]]), np.array([-1.0, 3.0, -2.0, 0.0]))
    assert on.astype(int).tolist() == [[0, 1, 0, 0], [1, 1, 1, 0]]
    net = relu_net([3, 40, 1], bias=True)
    with pytest.raises(CannotMeasure, match="can have 10701 regions, more than 4096"):
        instruments.lipschitz_exact(net, draw(2, 3))


@pytest.mark.parametrize("outputs", [2, 40])
def test_jacobian_norms_by_whole_jacobians(outputs):
    net = filled(nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, outputs)))
    x = draw(7, 5)
    expected = [
        float(torch.linalg.matrix_norm(torch.autograd.functional.jacobian(net, row), 2))
        for row in x
    ]
    found = instruments.jacobian_norms(net, x, iterations=2000)
    np.testing.assert_allclose(found, expected, rtol=1e-8)
    if outputs == 40:
        early = instruments.jacobian_norms(net, x, iterations=2)
        assert (early <= found * (1 + 1e-12)).all() and not torch.allclose(early, found, rtol=1e-6)


def test_a_difference_never_exceeds_the_bounds():
    net = filled(nn.Sequential(
        nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 8), nn.SiLU(), nn.Linear(8, 3)))  # fmt: skip
    upper = float(instruments.lipschitz_upper(net, draw(2, 4)))
    a, b = draw(2000, 4), draw(2000, 4, seed=1)
    quotient = float(((net(a) - net(b)).detach().norm(dim=1) / (a - b).norm(dim=1)).max())
    assert quotient < upper
    # One layer is exact, and the slope of an activation enters: GELU's exceeds 1.
    gelu = filled(nn.Sequential(nn.Linear(1, 1), nn.GELU()))
    x = torch.linspace(-9, 9, 100_001, dtype=F64)[:, None]
    reached = float(instruments.lipschitz_lower(gelu, x))
    assert reached == pytest.approx(float(instruments.lipschitz_upper(gelu, x)), rel=1e-7)
    assert reached > 1.1 * abs(gelu[0].weight.item())


@pytest.mark.parametrize("activation", [nn.Tanh, nn.Sigmoid, nn.Softplus, nn.SiLU, nn.ReLU])
def test_the_slope_of_each_activation_is_its_largest(activation):
    one = nn.Sequential(nn.Linear(1, 1, bias=False), activation()).double()
    with torch.no_grad():
        one[0].weight.fill_(1.0)
    x = torch.linspace(-30, 30, 60_002, dtype=F64)[:, None]
    reached = float(instruments.lipschitz_lower(one, x))
    assert reached <= float(instruments.lipschitz_upper(one, x)) <= reached * (1 + 1e-4)


def test_average_pooling_is_a_contraction_of_known_norm():
    for layer, shape in ((nn.AvgPool1d(2), (2, 6)), (nn.AvgPool2d(2), (1, 4, 6))):
        net = nn.Sequential(layer, nn.Flatten(), nn.Linear(6, 2).double())
        alone = float(torch.linalg.matrix_norm(net[2].weight.detach(), 2))
        pooled = float(torch.linalg.matrix_norm(matrix(layer, shape), 2))
        found = float(instruments.lipschitz_upper(net, draw(2, *shape)))
        assert found == pytest.approx(alone * pooled, rel=1e-12)


MEASURES = {
    "layer_norms": instruments.layer_norms,
    "path_norm": instruments.path_norm,
    "barron_norm": instruments.barron_norm,
    "jacobian_norms": instruments.jacobian_norms,
    "lipschitz_upper": instruments.lipschitz_upper,
    "lipschitz_exact": instruments.lipschitz_exact,
    "homogeneity": instruments.homogeneity,
}


@pytest.mark.parametrize("name", MEASURES)
def test_every_norm_refuses_what_moves_or_is_empty(name):
    measure, net = MEASURES[name], relu_net([3, 4, 2])
    moving = nn.Sequential(*net, nn.Dropout()).train()
    with pytest.raises(MovingTarget, match="Dropout 3 is in training mode"):
        measure(moving, draw(2, 3))
    with pytest.raises(CannotMeasure, match="no samples"):
        measure(net, draw(2, 3)[:0])
    with pytest.raises(CannotMeasure, match="input x has 1 of 6 values"):
        x = draw(2, 3)
        x[0, 0] = math.inf
        measure(net, x)
    with pytest.raises(CannotMeasure, match="of type list"):
        measure(net, [1.0])


def test_lanes_of_a_training_are_the_networks_measured_alone():
    build = lambda: nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))  # noqa: E731
    x, y = draw(9, 3).numpy(), draw(9, 2, seed=4).numpy()
    length, product = instruments.training_norms()
    record = [
        length, product, instruments.training_path_norm(1),
        instruments.training_path_norm(2, name="path_two"), instruments.training_lipschitz(),
    ]  # fmt: skip

    def train(seeds):
        place = Bench("n", "e", seeds, dtype=F64)
        return place.train(
            place.networks(build), GradientDescent(0.1), samples(x), samples(y), steps=10,
            record={i: every(5) for i in record},
        )  # fmt: skip

    whole, part = train((0, 1, 2)), train((0, 2))
    for lane in range(3):
        net = build().double()
        net.load_state_dict({n: p[lane] for n, p in whole.end.parameters.items()})
        given = torch.tensor(x)
        expected = {
            "norm": sum(float(p.detach().square().sum()) for p in net.parameters()) ** 0.5,
            "norm_product": instruments.layer_norms(net, given).product,
            "path_norm": float(instruments.path_norm(net, given)),
            "path_two": float(instruments.path_norm(net, given, 2)),
            "lipschitz": float(instruments.lipschitz_lower(net, given)),
        }
        for name, value in expected.items():
            end = float(whole.data[name].isel(seed=lane, step=-1))
            assert end == pytest.approx(value, rel=1e-10), name
            np.testing.assert_allclose(
                whole.data[name].sel(seed=[0, 2]), part.data[name], rtol=1e-9
            )


def test_a_recorded_path_norm_is_of_relu_networks_alone():
    place = Bench("n", "e", (0, 1), dtype=F64)
    networks = place.networks(lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)))
    with pytest.raises(CannotMeasure, match="not affine on positive inputs"):
        place.train(
            networks, GradientDescent(0.1), samples(draw(5, 3).numpy()),
            samples(draw(5, 1).numpy()), steps=1,
            record={instruments.training_path_norm(): every(1)},
        )  # fmt: skip
