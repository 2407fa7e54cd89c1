"""Directions of neurons, ranks, and units that do nothing, on networks made to order."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from chymist import instruments
from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.errors import BadParameter, CannotMeasure, MovingTarget
from chymist.instruments import Neurons
from chymist.solvers import GradientDescent
from chymist.testing.networks import Attention, Residual, small, two_layers

F64 = torch.float64


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def wide(groups, each, *, spread=0.0, seed=0):
    """A network whose neurons point in so many orthogonal directions, so many neurons each."""
    net = nn.Sequential(nn.Linear(5, groups * each), nn.ReLU(), nn.Linear(groups * each, 2))
    directions = torch.linalg.qr(randn(6, 6, seed=seed))[0][:groups]
    rows = directions.repeat_interleave(each, 0)
    rows = rows + spread * randn(len(rows), 6, seed=seed + 1)
    rows = rows * (0.5 + torch.rand(len(rows), 1, dtype=F64))
    net = net.double()
    with torch.no_grad():
        net[0].weight.copy_(rows[:, :5])
        net[0].bias.copy_(rows[:, 5])
    return net


def test_directions_and_amplitudes_are_those_of_their_definition():
    net = small("definition", two_layers).model
    found = instruments.neurons(net, "0", "2")
    for j in range(6):
        w = torch.cat([net[0].weight[j], net[0].bias[j : j + 1]]).detach()
        a = net[2].weight[:, j].detach()
        torch.testing.assert_close(found.directions[j], w / w.norm())
        torch.testing.assert_close(found.amplitudes[j], a.norm() * w.norm())
    torch.testing.assert_close(found.cosines.diagonal(), torch.ones(6, dtype=F64))
    alone = instruments.neurons(net, "0").amplitudes
    torch.testing.assert_close(alone, found.amplitudes / net[2].weight.detach().norm(dim=0))


@pytest.mark.parametrize("groups", [1, 3, 5])
def test_condensed_neurons_are_counted_by_their_directions(groups):
    found = instruments.neurons(wide(groups, 7, spread=0.02), "0", "2")
    grouped = instruments.clusters(found)
    assert int(grouped.count) == groups
    assert float(grouped.ratio) == pytest.approx(1 / 7)
    labels = grouped.labels.view(groups, 7)
    assert (labels == labels[:, :1]).all() and len(labels[:, 0].unique()) == groups


def test_random_neurons_do_not_condense():
    u = randn(60, 40)
    found = Neurons(u / u.norm(dim=1, keepdim=True), torch.ones(60, dtype=F64))
    assert int(instruments.clusters(found).count) == 60
    assert float(found.effective) > 20


def test_a_circle_is_not_one_direction():
    angle = torch.linspace(0, 2 * torch.pi, 361, dtype=F64)[:-1]
    u = torch.stack([angle.cos(), angle.sin()], dim=1)
    found = Neurons(u, torch.ones(360, dtype=F64))
    # A group spans 2 arccos 0.95 = 36.4 degrees: at least ten, and no more than twice as many.
    assert 10 <= int(instruments.clusters(found).count) <= 20
    assert float(found.effective) == pytest.approx(2)


def test_opposite_neurons_share_a_line_but_no_direction():
    net = wide(2, 4)
    with torch.no_grad():
        net[0].weight[::2] *= -1
        net[0].bias[::2] *= -1
    found = instruments.neurons(net, "0", "2")
    assert int(instruments.clusters(found).count) == 4
    assert int(instruments.clusters(found, signed=False).count) == 2
    assert float(found.effective) <= 2 + 1e-9


def test_small_and_zero_neurons_do_not_count():
    net = wide(3, 4)
    with torch.no_grad():
        net[2].weight[:, 0] = 0.0
        net[2].weight[:, 4:8] *= 1e-3
        net[0].weight[11], net[0].bias[11] = 0.0, 0.0
    found = instruments.neurons(net, "0", "2")
    grouped = instruments.clusters(found, least=0.02)
    assert int(grouped.count) == 2
    assert grouped.labels[[0, 4, 11]].tolist() == [-1, -1, -1]
    assert int(grouped.counted.sum()) == 6
    assert int(instruments.clusters(found).count) == 3
    none = Neurons(torch.zeros(3, 2), torch.zeros(3))
    assert int(instruments.clusters(none).count) == 0
    assert instruments.clusters(none).ratio.isnan() and none.effective.isnan()


def test_effective_number_of_equal_orthogonal_groups_is_their_number():
    u = torch.eye(6, dtype=F64)[:4].repeat_interleave(3, 0)
    assert float(Neurons(u, torch.ones(12)).effective) == pytest.approx(4)
    uneven = Neurons(torch.eye(2, dtype=F64), torch.tensor([0.9, 0.1], dtype=F64))
    expected = np.exp(-0.9 * np.log(0.9) - 0.1 * np.log(0.1))
    assert float(uneven.effective) == pytest.approx(expected)


def test_the_order_of_neurons_and_of_lanes_changes_nothing():
    nets = [wide(2 + s % 3, 12 // (2 + s % 3), spread=0.2, seed=s) for s in range(6)]
    found = [instruments.neurons(net, "0", "2") for net in nets]
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    for one in found:
        turned = Neurons(one.directions[order], one.amplitudes[order])
        assert instruments.clusters(turned).count == instruments.clusters(one).count
        torch.testing.assert_close(turned.effective, one.effective)
    together = Neurons(
        torch.stack([f.directions for f in found]), torch.stack([f.amplitudes for f in found])
    )
    grouped = instruments.clusters(together)
    for lane, one in enumerate(found):
        apart = instruments.clusters(one)
        assert grouped.count[lane] == apart.count
        assert torch.equal(grouped.labels[lane], apart.labels)
    assert len(grouped.count.unique()) > 1


@pytest.mark.parametrize(("layer", "outgoing"), [("attend.out_proj", "write"), ("read", None)])
def test_any_layer_of_any_module_has_neurons(layer, outgoing):
    found = instruments.neurons(Attention(), layer, outgoing)
    assert found.directions.shape == (4, 5 if outgoing else 2)
    assert instruments.neurons(Residual(), "first", "second").amplitudes.shape == (4,)


def test_channels_are_the_neurons_of_a_convolution():
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Tanh(), nn.Conv2d(4, 3, 1)).double()
    found = instruments.neurons(net, "0", "2")
    sizes = torch.cat([net[0].weight.flatten(1), net[0].bias[:, None]], 1).norm(dim=1)
    expected = sizes * net[2].weight.flatten(2).movedim(1, 0).flatten(1).norm(dim=1)
    torch.testing.assert_close(found.amplitudes, expected.detach())


def test_a_training_records_directions_and_ranks_of_each_lane():
    record = [
        instruments.training_condensation("0", "2", signed=False),
        instruments.training_rank("0"),
        instruments.training_rank("2", "stable", name="stable_rank"),
    ]
    x, y = randn(9, 3).numpy(), randn(9, 3, seed=1).numpy()

    def train(seeds, lr=0.1):
        place = Bench("s", "e", seeds, dtype=F64)
        return place.train(
            place.networks(two_layers), GradientDescent(lr), samples(x), samples(y), steps=30,
            record={i: every(10) for i in record},
        )  # fmt: skip

    run = train((0, 1, 2))
    for lane in range(3):
        net = two_layers().double()
        net.load_state_dict({n: p[lane] for n, p in run.end.parameters.items()})
        end = run.data.isel(seed=lane, step=-1)
        grouped = instruments.clusters(instruments.neurons(net, "0", "2"), signed=False)
        assert float(end.directions) == float(grouped.count)
        rank = instruments.effective_rank(net[0].weight)
        np.testing.assert_allclose(end.effective_rank, rank, rtol=1e-12)
        stable = instruments.effective_rank(net[2].weight, "stable")
        np.testing.assert_allclose(end.stable_rank, stable, rtol=1e-12)
    np.testing.assert_array_equal(
        run.data.directions.sel(seed=[0, 2]), train((0, 2)).data.directions
    )
    lost = train((0, 1), lr=1e9).data.isel(step=-1)
    assert lost.directions.isnull().all() and lost.effective_rank.isnull().all()


def test_a_training_records_every_neuron_of_each_lane():
    record = (
        instruments.training_directions("0"), instruments.training_amplitudes("0", "2")
    )  # fmt: skip
    x, y = randn(9, 3).numpy(), randn(9, 3, seed=1).numpy()
    place = Bench("s", "e", (0, 1, 2), dtype=F64)
    run = place.train(
        place.networks(two_layers), GradientDescent(0.1), samples(x), samples(y), steps=10,
        record={i: every(5) for i in record},
    )  # fmt: skip
    assert run.data.direction.sizes == {"seed": 3, "step": 3, "neuron": 6, "feature": 4}
    # Neurons are numbered, so that a run can be stored and joined.
    assert {"neuron", "feature"} <= set(run.data.coords)
    for lane in range(3):
        net = two_layers().double()
        net.load_state_dict({n: p[lane] for n, p in run.end.parameters.items()})
        found = instruments.neurons(net, "0", "2")
        end = run.data.isel(seed=lane, step=-1)
        np.testing.assert_allclose(end.direction, found.directions)
        np.testing.assert_allclose(end.amplitude, found.amplitudes)
    with pytest.raises(CannotMeasure, match="no layer is called"):
        place.train(
            place.networks(two_layers), GradientDescent(0.1), samples(x), samples(y), steps=1,
            record={instruments.training_amplitudes("9", "2"): every()},
        )  # fmt: skip


@pytest.mark.parametrize("kind", ["entropy", "stable", "participation"])
def test_a_rank_is_that_of_a_projection_and_does_not_feel_scale_or_rotation(kind):
    q = torch.linalg.qr(randn(8, 8))[0]
    projection = q[:, :3] @ q[:, :3].T
    found = instruments.effective_rank(projection, kind)
    torch.testing.assert_close(found, torch.tensor(3.0, dtype=F64))
    matrix = randn(8, 5, seed=2)
    found = instruments.effective_rank(matrix, kind)
    for other in (7 * matrix, q @ matrix, matrix.T):
        torch.testing.assert_close(instruments.effective_rank(other, kind), found)
    lanes = torch.stack([matrix, 0 * matrix, randn(8, 5, seed=3)])
    together = instruments.effective_rank(lanes, kind)
    torch.testing.assert_close(together[0], found)
    assert together[1].isnan() and 1 < together[2] < 5
    assert instruments.effective_rank(matrix * torch.nan, kind).isnan()


def test_ranks_of_known_spectra():
    s = torch.tensor([4.0, 2.0, 2.0], dtype=F64)
    matrix = torch.diag(s)
    p = s / s.sum()
    entropy = float((-(p * p.log()).sum()).exp())
    assert float(instruments.effective_rank(matrix)) == pytest.approx(entropy)
    assert float(instruments.effective_rank(matrix, "stable")) == pytest.approx(24 / 16)
    assert float(instruments.effective_rank(matrix, "participation")) == pytest.approx(24**2 / 288)


def test_features_are_those_that_a_layer_puts_out():
    case = small("features", two_layers)
    net, x = case.model, case.data[0]
    torch.testing.assert_close(instruments.features(net, x, "1"), torch.tanh(net[0](x)).detach())
    rows = torch.tanh(net[0](x)).detach()
    expected = instruments.effective_rank(rows - rows.mean(0), "stable")
    found = instruments.feature_rank(net, x, "1", "stable", centred=True)
    torch.testing.assert_close(found, expected)
    assert not net[1]._forward_hooks
    line = wide(4, 3)
    with torch.no_grad():
        line[0].bias.zero_()
        line[0].weight[:] = line[0].weight[:1]
    assert float(instruments.feature_rank(line, randn(20, 5), "0")) == pytest.approx(1)


class Functional(nn.Module):
    """Activations that are no modules, of tokens."""

    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(1, 3), nn.Linear(3, 2)

    def forward(self, x):
        h = nn.functional.relu(self.inner(x[..., None]))
        h = torch.tanh(20 * h)
        return self.outer(h).sigmoid().relu().mean(1)


def test_dead_and_saturated_units_are_found_wherever_they_are_called():
    net = Functional().double()
    with torch.no_grad():
        net.inner.weight.copy_(torch.tensor([[1.0], [-1.0], [1.0]]))
        net.inner.bias.copy_(torch.tensor([0.0, 0.0, -9.0]))
    x = torch.tensor([[-1.0, 1.0, 1.0], [0.5, 0.25, 1.0]], dtype=F64)
    found = instruments.activity(net, x)
    assert list(found) == ["", "#2", "#3", "#4"]
    assert [a.kind for a in found.values()] == ["dead", "saturated", "saturated", "dead"]
    torch.testing.assert_close(found[""].off, torch.tensor([1 / 6, 5 / 6, 1], dtype=F64))
    assert found[""].idle.tolist() == [False, False, True] and found[""].share == 1 / 3
    # tanh(20 h) is within 0.02 of 1 where h is above 0.115, and zero is no end of its range.
    torch.testing.assert_close(found["#2"].off, torch.tensor([5 / 6, 1 / 6, 0], dtype=F64))


def test_modules_give_their_names_and_pictures_their_channels():
    net = nn.Sequential(
        nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 3, 1), nn.ReLU(inplace=True), nn.Flatten(),
        nn.Linear(12, 2), nn.Sigmoid(),
    )  # fmt: skip
    with torch.no_grad():
        net[1].weight.zero_()
        net[1].bias.copy_(torch.tensor([1.0, -1.0, 0.0]))
        net[4].weight.zero_()
        net[4].bias.copy_(torch.tensor([-9.0, 0.0]))
    before = copy.deepcopy(net.state_dict())
    found = instruments.activity(net, torch.ones(5, 4))
    assert found["2"].off.tolist() == [0.0, 1.0, 1.0]
    assert found["5"].off.tolist() == [1.0, 0.0]
    assert all(torch.equal(t, before[n]) for n, t in net.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_a_dead_unit_passes_no_gradient():
    net = wide(3, 4, spread=0.1)
    with torch.no_grad():
        net[0].bias[5:8] = -50.0
    x = randn(30, 5)
    idle = instruments.activity(net, x)["1"].idle
    net(x).square().sum().backward()
    assert torch.equal(net[0].weight.grad.norm(dim=1) == 0, idle) and int(idle.sum()) >= 3


def test_what_cannot_be_measured_is_said():
    net = wide(2, 2)
    x = randn(4, 5)
    bad = x.clone()
    bad[0, 0] = torch.nan
    for call, kind, words in (
        (lambda: instruments.neurons(net, "O"), CannotMeasure, "no layer is called 'O'"),
        (lambda: instruments.neurons(net, "0", "0"), CannotMeasure, "does not take the 4 outputs"),
        (lambda: instruments.features(net, x, "7"), CannotMeasure, "no layer is called '7'"),
        (lambda: instruments.features(net, bad, "1"), CannotMeasure, "1 of 20 values"),
        (lambda: instruments.features(net, x[:0], "1"), CannotMeasure, "no samples"),
        (lambda: instruments.features(net, x.float(), "1"), CannotMeasure, "float32"),
        (lambda: instruments.activity(nn.Linear(5, 2).double(), x), CannotMeasure, "no ReLU"),
        (lambda: instruments.activity(net, x, margin=0.5), BadParameter, "margin is 0.5"),
        (lambda: instruments.effective_rank(x, "nuclear"), BadParameter, "entropy, stable"),
        (lambda: instruments.effective_rank(x[0]), BadParameter, "shape"),
        (lambda: instruments.training_rank("0", "nuclear"), BadParameter, "entropy, stable"),
        (lambda: instruments.training_condensation("0", least=1.0), BadParameter, "least 1.0"),
        (
            lambda: instruments.clusters(instruments.neurons(net, "0"), 1.5),
            BadParameter, "threshold is 1.5",
        ),
        (
            lambda: instruments.activity(nn.Sequential(nn.Dropout(), nn.ReLU()).train(), x),
            MovingTarget, "model.eval()",
        ),
    ):  # fmt: skip
        with pytest.raises(kind) as caught:
            call()
        line = str(caught.value)
        assert words in line and "\n" not in line and caught.value.hint, line
