import math
from functools import partial

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from chymist.bench import Bench
from chymist.errors import BadParameter
from chymist.models import (
    MLP,
    MultiScale,
    MultiScaleInput,
    geometric_scales,
    glorot_normal_start,
    penalised_error,
    stretched_start,
)

X = torch.linspace(-1, 1, 9)[:, None]


def test_it_is_the_sum_of_stretched_networks():
    net = MultiScale(lambda: MLP(1, 5, 1), [1.0, 3.0, 0.5])
    whole = sum(g(s * X) for g, s in zip(net.networks, (1.0, 3.0, 0.5), strict=True))
    torch.testing.assert_close(net(X), whole)


def test_apart_are_the_terms_of_the_sum():
    net = MultiScale(lambda: MLP(1, 5, 1), [1.0, 3.0], apart=True)
    parts = net(X)
    assert parts.shape == (9, 2)
    net.apart = False
    torch.testing.assert_close(parts.sum(1, keepdim=True), net(X))
    target = torch.ones(9, 1)
    torch.testing.assert_close(penalised_error(parts, target), 0.5 * ((net(X) - 1) ** 2).mean())


def test_any_module_can_be_wrapped():
    made = MultiScale(lambda: nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)), [1, 2])
    assert made(torch.zeros(4, 2)).shape == (4, 2)


def test_groups_of_neurons_see_their_scale():
    net = MultiScaleInput([1.0, 2.0, 4.0], 1, 13, 1)
    assert net.scales[:, 0].tolist() == [1.0] * 5 + [2.0] * 4 + [4.0] * 4
    first, last = net.network.layers
    hidden = torch.sin(X * first.weight[:, 0] * net.scales[:, 0] + first.bias)
    torch.testing.assert_close(net(X), hidden @ last.weight.T + last.bias)


@pytest.mark.parametrize(
    ("build", "line"),
    [
        (lambda: MultiScale(lambda: nn.Linear(1, 1), []), "no scale is given"),
        (lambda: MultiScale(lambda: nn.Linear(1, 1), [1, 0]), "scale 0 cannot be used"),
        (lambda: MultiScale(lambda: nn.Linear(1, 1), [-2]), "scale -2 cannot be used"),
        (lambda: MultiScaleInput([math.inf], 1, 8, 1), "scale inf cannot be used"),
        (lambda: MultiScaleInput([1, 2, 3], 1, 11, 1),
         "3 scales leave 3.67 neurons each of a layer of 11"),
        (lambda: geometric_scales(0, 4.0), "no scale is given"),
    ],
)  # fmt: skip
def test_scales_that_cannot_be_used_are_refused(build, line):
    with pytest.raises(BadParameter) as caught:
        build()
    assert str(caught.value).startswith(line)


def test_geometric_scales():
    assert geometric_scales(6, 32.0) == [1, 2, 4, 8, 16, 32]
    assert geometric_scales(1, 7.0) == [7.0]
    np.testing.assert_allclose(geometric_scales(3, 1.0), 1.0)


def test_the_start_has_its_variance():
    net = MLP(1, 300, 300, 1)
    with torch.no_grad():
        glorot_normal_start(net, torch.Generator().manual_seed(0))
    for layer in net.layers:
        wanted = math.sqrt(2 / (layer.in_features + layer.out_features))
        assert layer.weight.std().item() == pytest.approx(wanted, rel=0.15)
    assert net.layers[1].bias.std().item() == pytest.approx(math.sqrt(2 / 600), rel=0.15)


def test_scales_are_lanes():
    largest = xr.DataArray([1.0, 9.0], {"largest": [1.0, 9.0]}, ("largest",))
    made = Bench("s", "e", (0, 1)).networks(
        lambda: MultiScale(lambda: MLP(1, 4, 1), [1, 1, 1]),
        partial(stretched_start, largest=largest),
    )
    assert made.lanes.shape == (2, 2)
    assert sorted(made.buffers["scales"].tolist()) == [[1, 1, 1]] * 2 + [[1, 3, 9]] * 2
    both = made.parameters["networks.0.layers.0.weight"].reshape(2, 2, -1)
    torch.testing.assert_close(both[0], both[1])
