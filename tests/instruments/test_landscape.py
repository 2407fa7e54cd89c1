"""Slices, barriers, matching of neurons, and outliers of spectra."""

import copy
import itertools

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from chymist import instruments
from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.errors import BadParameter, CannotMeasure, MovingTarget
from chymist.instruments.outliers import marchenko_pastur_median
from chymist.solvers import GradientDescent
from chymist.testing import small_networks
from chymist.testing.networks import half_squared_error, two_layers

from .test_margins import draw, relu_net

F64 = torch.float64
CASES = {case.name: case for case in small_networks()}


@pytest.mark.parametrize("name", CASES)
def test_a_slice_is_the_loss_along_its_directions(name):
    case = CASES[name]
    steps = (-0.7, 0.0, 0.4)
    found = instruments.loss_slice(case.model, case.loss, case.data, 2, steps=steps, seed=3)
    assert found.values.shape == (3, 3)
    rows = [torch.cat([p.flatten() for p in d.values()]) for d in found.directions]
    for (i, s), (j, t) in itertools.product(enumerate(steps), repeat=2):
        expected = case.value(case.row + s * rows[0] + t * rows[1])
        torch.testing.assert_close(found.values[i, j], expected, rtol=1e-10, atol=0)
    line = instruments.loss_slice(case.model, case.loss, case.data, 1, steps=steps, seed=3)
    torch.testing.assert_close(line.values, found.values[:, 1])
    for name, p in case.model.named_parameters():
        for d in found.directions:
            if p.ndim == 1:
                assert not d[name].any()
            else:
                torch.testing.assert_close(d[name].flatten(1).norm(dim=1), p.flatten(1).norm(dim=1))


@pytest.mark.parametrize("alpha", [0.1, 10.0])
def test_filter_normalisation_removes_the_scale_and_raw_directions_do_not(alpha):
    net = relu_net([4, 6, 3], bias=True)
    other = copy.deepcopy(net)
    with torch.no_grad():
        other[0].weight.mul_(alpha)
        other[0].bias.mul_(alpha)
        other[2].weight.div_(alpha)
    data = (draw(20, 4), draw(20, 3, seed=1))
    one, two = (instruments.loss_slice(n, half_squared_error, data).values for n in (net, other))
    torch.testing.assert_close(one, two, rtol=1e-9, atol=0)
    raw = [
        instruments.loss_slice(n, half_squared_error, data, normalise=False).values
        for n in (net, other)
    ]
    assert float(((raw[0] - raw[1]) / raw[0]).abs().max()) > 0.5


class Bowl(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([[3.0, 4.0]], dtype=F64))

    def forward(self, x):
        return x * (self.w - torch.tensor([3.0, 4.0], dtype=F64))


def test_the_width_of_a_parabola():
    # L = (s^2 d1^2 + s^2 d2^2) / 2 with |d| = 5: 0.1 above zero at s = sqrt(0.2) / 5.
    one = torch.ones(1, 2, dtype=F64)
    loss = lambda out, y: 0.5 * out.square().sum()  # noqa: E731
    steps = np.linspace(-0.2, 0.2, 4001).round(10)
    found = instruments.loss_slice(Bowl(), loss, (one, one), steps=steps)
    assert found.half_width(0.1) == pytest.approx(0.2**0.5 / 5, rel=1e-5)
    assert found.half_width(100.0) == float("inf")
    plane = instruments.loss_slice(Bowl(), loss, (one, one), 2, steps=[0.0])
    with pytest.raises(CannotMeasure, match="of one direction"):
        plane.half_width(0.1)


def test_a_seed_decides_the_direction():
    case = CASES["two layers, squared error"]
    given = (case.model, case.loss, case.data)
    a, b, c = (instruments.loss_slice(*given, seed=s).values for s in (0, 0, 1))
    assert torch.equal(a, b) and not torch.allclose(a, c)


def test_a_recorded_slice_is_that_of_the_network_alone():
    x, y = draw(9, 3).numpy(), draw(9, 3, seed=1).numpy()
    record = instruments.training_slice(steps=(-0.5, 0.0, 1.0))

    def train(seeds):
        place = Bench("l", "e", seeds, dtype=F64)
        return place.train(
            place.networks(two_layers), GradientDescent(0.1), samples(x), samples(y), steps=6,
            record={record: every(3), instruments.loss: every(3)},
            loss=half_squared_error,
        )  # fmt: skip

    whole, part = train((0, 1, 2)), train((0, 2))
    assert whole.data.slice.dims == ("seed", "step", "along")
    np.testing.assert_allclose(whole.data.slice.sel(along=0.0), whole.data.loss, rtol=1e-12)
    np.testing.assert_allclose(whole.data.slice.sel(seed=[0, 2]), part.data.slice, rtol=1e-9)
    # The direction is the lane's own: made again from its key and its weights.
    drawn = []

    def spied(snapshot):
        drawn.append([k.torch() for k in snapshot.keys("slice")])
        return record.measure(snapshot)

    place = Bench("l", "e", (0, 1), dtype=F64)
    again = place.train(
        place.networks(two_layers), GradientDescent(0.1), samples(x), samples(y), steps=6,
        record={instruments.Instrument("slice", spied, record.dims, record.coords): every(6)},
        loss=half_squared_error,
    )  # fmt: skip
    model = two_layers().double()
    model.load_state_dict({n: p[1] for n, p in again.end.parameters.items()})
    vector = torch.randn(
        sum(p.numel() for p in model.parameters()), generator=drawn[-1][1], dtype=F64
    )
    parts = torch.split(vector, [p.numel() for p in model.parameters()])
    names = {n: part.view_as(p) for (n, p), part in zip(
        model.named_parameters(), parts, strict=True)}  # fmt: skip
    alone = instruments.loss_slice(
        model, half_squared_error, (torch.tensor(x), torch.tensor(y)), [names],
        steps=(-0.5, 0.0, 1.0),
    ).values  # fmt: skip
    np.testing.assert_allclose(again.data.slice.isel(seed=1, step=-1), alone, rtol=1e-9)


def test_a_barrier_by_a_fine_grid_and_from_both_ends():
    case = CASES["two layers, cross-entropy"]
    other, _ = permuted(case.model)
    with torch.no_grad():
        other[2].bias.add_(0.3)
    found = instruments.loss_barrier(case.model, case.loss, case.data, other)
    end = torch.cat([p.detach().flatten() for p in other.parameters()])
    t = torch.linspace(0, 1, 4001, dtype=F64)
    losses = torch.stack([case.value((1 - s) * case.row + s * end) for s in t])
    above = losses - ((1 - t) * losses[0] + t * losses[-1])
    assert float(found.height) == pytest.approx(float(above.max()), rel=1e-5)
    assert float(found.height) > 0.01
    assert found.at == pytest.approx(float(t[above.argmax()]), abs=1e-3)
    torch.testing.assert_close(found.losses[[0, -1]], losses[[0, -1]])
    back = instruments.loss_barrier(other, case.loss, case.data, case.model)
    assert float(back.height) == pytest.approx(float(found.height), rel=1e-7)
    assert back.at == pytest.approx(1 - found.at, abs=1e-3)
    coarse = instruments.loss_barrier(case.model, case.loss, case.data, other, points=4)
    assert float(coarse.height) == pytest.approx(float(found.height), rel=1e-5)


def test_a_convex_loss_has_no_barrier():
    net, other = nn.Linear(3, 2).double(), nn.Linear(3, 2).double()
    data = (draw(9, 3), draw(9, 2, seed=1))
    for a, b in ((net, other), (other, net)):
        found = instruments.loss_barrier(a, half_squared_error, data, b.state_dict())
        assert float(found.height) == 0.0 and found.losses[0] != found.losses[-1]


def test_ends_that_do_not_fit_are_refused():
    case = CASES["two layers, squared error"]
    given = (case.model, case.loss, case.data)
    with pytest.raises(CannotMeasure, match="are the same"):
        instruments.loss_barrier(*given, copy.deepcopy(case.model))
    with pytest.raises(CannotMeasure, match=r"lacks 0\.weight"):
        instruments.loss_barrier(*given, {})
    with pytest.raises(CannotMeasure, match=r"has shape \(7, 3\) at 0.weight"):
        state = {**case.model.state_dict(), "0.weight": draw(7, 3)}
        instruments.loss_barrier(*given, state)
    with pytest.raises(CannotMeasure, match=r"0\.bias is not finite"):
        state = {**case.model.state_dict(), "0.bias": torch.full((6,), torch.nan)}
        instruments.loss_barrier(*given, state)
    with pytest.raises(BadParameter, match="points is 2"):
        instruments.loss_barrier(*given, case.model, points=2)
    with pytest.raises(BadParameter, match="3 directions"):
        instruments.loss_slice(*given, 3)
    with pytest.raises(BadParameter, match="no steps"):
        instruments.loss_slice(*given, steps=())


def permuted(net, seed=0):
    """A copy with hidden neurons in another order, and the orders that undo it."""
    other, undo = copy.deepcopy(net), {}
    layers = [n for n, m in net.named_modules() if isinstance(m, nn.Linear)]
    draws = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, after in itertools.pairwise(layers):
            a, b = other.get_submodule(name), other.get_submodule(after)
            order = torch.randperm(a.out_features, generator=draws)
            a.weight.copy_(a.weight[order])
            if a.bias is not None:
                a.bias.copy_(a.bias[order])
            b.weight.copy_(b.weight[:, order])
            undo[name] = order.argsort()
    return other, undo


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("sizes", [[5, 12, 3], [5, 20, 30, 10, 2]])
def test_a_permuted_copy_is_put_back_exactly(sizes, bias):
    net = relu_net(sizes, bias=bias)
    if len(sizes) > 3:
        # Where later layers weigh most, descent from the order as it is gets stuck.
        with torch.no_grad():
            net[2].weight.mul_(30)
            net[4].weight.mul_(1000)
    other, undo = permuted(net)
    found = instruments.weight_matching(net, other, draw(2, 5))
    for name, order in undo.items():
        assert found.orders[name].tolist() == order.tolist()
    for name, p in net.named_parameters():
        assert torch.equal(found.parameters[name], p.detach())
    total = sum(float(p.detach().square().sum()) for p in net.parameters())
    assert found.similarity == pytest.approx(total)
    assert found.before < found.similarity


def test_matching_keeps_the_function_and_finds_the_best_of_all_orders():
    net, other = relu_net([3, 5, 2], bias=True), relu_net([3, 5, 2], seed=50, bias=True)
    found = instruments.weight_matching(net, other, draw(2, 3))
    x = draw(7, 3)
    again = torch.func.functional_call(other, found.parameters, (x,))
    torch.testing.assert_close(again, other(x))
    w = [p.detach() for p in net.parameters()]
    v = [p.detach() for p in other.parameters()]

    def similarity(order):
        order = list(order)
        return float(
            (w[0] * v[0][order]).sum() + (w[1] * v[1][order]).sum()
            + (w[2] * v[2][:, order]).sum() + (w[3] * v[3]).sum()
        )  # fmt: skip

    best = max(map(similarity, itertools.permutations(range(5))))
    assert found.similarity == pytest.approx(best, rel=1e-12)
    assert found.before == pytest.approx(similarity(range(5)), rel=1e-12)


def test_descent_only_ever_climbs_in_deep_networks():
    net, other = relu_net([3, 8, 8, 8, 2]), relu_net([3, 8, 8, 8, 2], seed=50)
    reached = [
        instruments.weight_matching(net, other, draw(2, 3), sweeps=n).similarity
        for n in (1, 2, 3, 100)
    ]
    assert reached == sorted(reached)
    found = instruments.weight_matching(net, other, draw(2, 3))
    # No exchange of two neurons is better.
    for name, after in (("0", "2"), ("2", "4"), ("4", "6")):
        for i, j in itertools.combinations(range(8), 2):
            tried = {n: p.clone() for n, p in found.parameters.items()}
            swap = torch.arange(8)
            swap[[i, j]] = swap[[j, i]]
            tried[f"{name}.weight"] = tried[f"{name}.weight"][swap]
            tried[f"{after}.weight"] = tried[f"{after}.weight"][:, swap]
            value = sum(float((p.detach() * tried[n]).sum()) for n, p in net.named_parameters())
            assert value <= found.similarity * (1 + 1e-12)


def test_matching_lowers_the_barrier_between_trained_networks():
    data = load_digits()
    x = torch.tensor(data.data[:500] / 8 - 1)
    y = torch.tensor(data.target[:500])
    nets = []
    for seed in (0, 1):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)).double()
            solver = torch.optim.Adam(net.parameters(), 3e-3)
            for _ in range(150):
                solver.zero_grad()
                nn.functional.cross_entropy(net(x), y).backward()
                solver.step()
        nets.append(net)
    loss = nn.functional.cross_entropy
    straight = instruments.loss_barrier(nets[0], loss, (x, y), nets[1]).height
    matched = instruments.weight_matching(nets[0], nets[1], x).parameters
    aligned = instruments.loss_barrier(nets[0], loss, (x, y), matched).height
    assert float(straight) > 0.1
    assert float(aligned) < float(straight) / 3


class Skipping(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x):
        return self.b(x + torch.relu(self.a(x)))


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.b(torch.relu(self.a(x)))


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (Skipping, "beside the chain"),
        (Shared, "share a weight"),
        (lambda: nn.Linear(3, 3), "has 1 linear layers"),
        (lambda: nn.Sequential(nn.Unflatten(1, (1, 3)), nn.Conv1d(1, 2, 2)), "a convolution"),
        (lambda: nn.Sequential(
            nn.Linear(3, 4), nn.Unflatten(1, (2, 2)), nn.Linear(2, 2)), "is a shape"),
    ],
)  # fmt: skip
def test_what_cannot_be_matched_is_named(build, said):
    with pytest.raises(CannotMeasure, match=said):
        instruments.weight_matching(build().double(), build().double(), draw(2, 3))


def test_networks_of_other_shapes_are_not_matched():
    with pytest.raises(CannotMeasure, match="the networks differ"):
        instruments.weight_matching(relu_net([3, 4, 2]), relu_net([3, 5, 2]), draw(2, 3))
    with pytest.raises(MovingTarget):
        moving = nn.Sequential(nn.Linear(3, 4), nn.Dropout(), nn.Linear(4, 2)).double()
        instruments.weight_matching(moving, moving, draw(2, 3))


def test_a_gap_is_where_the_ratio_is_largest():
    values = torch.tensor([3.0, -5.0, 2.5, 0.5, 0.4, 0.0, 2.0])
    found = instruments.outliers(values)
    assert (found.count, found.contrast, found.edge) == (3, 4.0, 0.5)
    with pytest.raises(CannotMeasure, match="1 of 2 eigenvalues are positive"):
        instruments.outliers(torch.tensor([1.0, -1.0]))
    with pytest.raises(BadParameter, match="rule is 'gaps'"):
        instruments.outliers(values, "gaps")
    with pytest.raises(BadParameter, match="ratio is None"):
        instruments.outliers(values, "marchenko-pastur")
    with pytest.raises(CannotMeasure, match="not a finite vector"):
        instruments.outliers(values / 0)


@pytest.mark.parametrize("ratio", [0.1, 0.5, 1.0, 1.5])
def test_the_median_of_noise(ratio):
    n = 800
    p = int(ratio * n)
    x = draw(n, p)
    values = torch.linalg.eigvalsh(x.mT @ x / n)
    assert marchenko_pastur_median(ratio) == pytest.approx(float(values.median()), rel=0.02)
    assert instruments.outliers(values, "marchenko-pastur", ratio=ratio).count <= 1


@pytest.mark.parametrize("scale", [1.0, 30.0])
@pytest.mark.parametrize("spikes", [1, 3, 6])
def test_spikes_stand_above_the_edge_of_noise(spikes, scale):
    n, p = 1000, 300
    x = draw(n, p)
    # A spike of variance l is seen above 1 + sqrt(ratio) = 1.55 (Baik, Ben Arous, Peche).
    x[:, :spikes] *= 3.0**0.5
    values = scale * torch.linalg.eigvalsh(x.mT @ x / n)
    found = instruments.outliers(values, "marchenko-pastur", ratio=p / n)
    assert found.count == spikes
    assert found.edge == pytest.approx(scale * (1 + (p / n) ** 0.5) ** 2, rel=0.05)
    with pytest.raises(CannotMeasure, match="p < 2 n"):
        instruments.outliers(values, "marchenko-pastur", ratio=2.5)


@pytest.mark.parametrize("outputs", [2, 3])
def test_the_hessian_of_a_line_has_an_outlier_for_each_output(outputs):
    # Inputs of one large direction: the Hessian is the inputs' covariance for every output.
    x = draw(200, 4) * torch.tensor([10.0, 1.0, 1.0, 1.0], dtype=F64)
    net = nn.Linear(4, outputs, bias=False).double()
    data = (x, draw(200, outputs, seed=1))
    found = instruments.hessian_outliers(net, half_squared_error, data)
    falling = torch.linalg.eigvalsh(x.mT @ x / 200).flip(0)
    assert found.count == outputs
    assert found.contrast == pytest.approx(float(falling[0] / falling[1]), rel=1e-4)
    with pytest.raises(BadParameter, match="among is 1"):
        instruments.hessian_outliers(net, half_squared_error, data, among=1)
