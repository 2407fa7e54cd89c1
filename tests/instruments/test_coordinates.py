"""The coordinate check: exponents that are known, muP against the standard form, refusals."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from chymist.errors import BadParameter, CannotMeasure, MovingTarget
from chymist.instruments import coordinate_check, second_moments

X = torch.randn(12, 6, generator=torch.Generator().manual_seed(0))
Y = torch.randn(12, 1, generator=torch.Generator().manual_seed(1))
LOSS = nn.MSELoss()


def standard(width):
    return nn.Sequential(
        nn.Linear(6, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)
    )


def mup(width):
    made = standard(width)
    with torch.no_grad():
        made[4].weight.zero_()  # the read-out
    return made


def adam(network, width):
    return torch.optim.Adam(network.parameters(), 0.01)


def mup_adam(network, width):
    wide = [network[2].weight, network[4].weight]
    rest = [p for p in network.parameters() if all(p is not w for w in wide)]
    groups = [{"params": wide, "lr": 0.01 * 32 / width}, {"params": rest}]
    return torch.optim.Adam(groups, 0.01)


def still(network, width):
    return torch.optim.SGD(network.parameters(), 0.0)


def check(build=standard, optimizer=adam, widths=(32, 64, 128, 256), **options):
    return coordinate_check(build, widths, LOSS, (X, Y), optimizer, **options)


def test_adam_explodes_with_width_in_the_standard_form_and_not_in_mup():
    # Yang et al. (2022): one Adam step changes the next layer's inputs by width in the standard
    # form, by 1 in muP. The change of the output is taken, as after the first update.
    usual = check(steps=1).slopes("change", step=1)["4"]
    flat = check(mup, mup_adam, steps=3).slopes("change")
    assert usual.low > 0.3
    for layer in ("0", "2", "4"):
        assert abs(flat[layer].estimate) < 0.2, (layer, flat[layer])


def test_slopes_are_least_squares_over_widths_and_intervals_over_seeds():
    found = check(steps=1, seeds=3)
    logs = np.log(found.data.activation.sel(layer="2").isel(step=-1))
    each = np.polyfit(np.log([32, 64, 128, 256]), logs, 1)[0]
    interval = found.slopes(level=0.9)["2"]
    assert interval.estimate == pytest.approx(each.mean())
    half = 2.919986 * each.std(ddof=1) / math.sqrt(3)  # Student's t with 2 degrees of freedom
    assert interval.high - interval.estimate == pytest.approx(half, rel=1e-6)
    assert found.slopes("change", step=0)["2"].estimate != found.slopes("change", step=0)["2"]


def test_the_numbers_are_those_of_the_network():
    found = check(optimizer=still, steps=1, seeds=2, layers="2").data
    assert found.activation.dims == ("width", "seed", "step", "layer")
    assert (found.change == 0).all()
    assert (found.activation.isel(step=0) == found.activation.isel(step=1)).all()

    built = []

    def spied(width):
        built.append(standard(width))
        return built[-1]

    again = coordinate_check(spied, (32, 64), LOSS, (X, Y), still, steps=1, seeds=2)
    with torch.no_grad():
        expected = built[-1][:3](X).abs().double().mean()
    value = again.data.activation.sel(width=64, seed=1, step=0, layer="2")
    assert float(value) == pytest.approx(float(expected))
    assert float(value) == float(found.activation.sel(width=64, seed=1, step=0, layer="2"))
    assert second_moments(built[-1], X, layers="2").leaving > 0


def test_seeds_do_not_depend_on_each_other_nor_on_the_global_generator():
    before = torch.get_rng_state()
    few = check(widths=(16, 32), seeds=2, steps=2).data
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(5)
    many = check(widths=(32, 16), seeds=3, steps=2).data
    for width in (16, 32):
        at = {"width": width, "seed": [0, 1]}
        np.testing.assert_array_equal(many.change.sel(at), few.change.sel(at))


def test_the_change_is_that_of_training():
    network = []

    def spied(width):
        network.append(standard(width))
        return network[-1]

    descent = lambda net, width: torch.optim.SGD(net.parameters(), 0.1)  # noqa: E731
    found = coordinate_check(spied, (8, 16), LOSS, (X, Y), descent, steps=3, seeds=2).data
    at = found.sel(width=16, seed=1, layer="(network)")
    with torch.no_grad():
        end = network[-1](X)
    assert float(at.activation[-1]) == pytest.approx(float(end.abs().mean()), rel=1e-6)
    torch.manual_seed(0)
    apart = coordinate_check(spied, (8, 16), LOSS, (X, Y), descent, steps=1, seeds=2)
    model = network[-1]
    first = apart.data.sel(width=16, seed=1, layer="(network)", step=1)
    assert float(first.activation) == pytest.approx(float(at.activation[1]))
    assert all(p.grad is not None for p in model.parameters())
    optimizer = descent(model, 16)
    for _ in range(2):
        optimizer.zero_grad()
        LOSS(model(X), Y).backward()
        optimizer.step()
    with torch.no_grad():
        assert float(at.activation[3]) == pytest.approx(float(model(X).abs().mean()), rel=1e-5)
    steps = at.change.values
    assert steps[0] == 0 and (np.diff(steps) > 0).all()


def test_a_training_that_diverges_is_missing():
    wild = lambda net, width: torch.optim.SGD(net.parameters(), 1e30)  # noqa: E731
    slope = check(optimizer=wild, widths=(8, 16), steps=4).slopes()["4"]
    assert math.isnan(slope.estimate)


REFUSED = {
    "one width": ({"widths": (8,)}, BadParameter, "widths is [8]"),
    "equal widths": ({"widths": (8, 8)}, BadParameter, "different"),
    "one seed": ({"seeds": 1}, BadParameter, "seeds is 1"),
    "no steps": ({"steps": 0}, BadParameter, "steps 0"),
    "unknown layer": ({"layers": "lines"}, BadParameter, "no layer is called 'lines'"),
    "other layers": (
        {"build": lambda w: nn.Sequential(*[nn.Linear(6, 6)] * (w // 8), nn.Linear(6, 1))},
        CannotMeasure,
        "at width 16 the layers differ from those at width 8:",
    ),
    "dropout": (
        {"build": lambda w: nn.Sequential(nn.Linear(6, w), nn.Dropout(), nn.Linear(w, 1))},
        MovingTarget,
        "model.eval()",
    ),
    "frozen": (
        {"build": lambda w: standard(w).requires_grad_(False), "optimizer": still},
        CannotMeasure,
        "does not depend on any parameter",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_checked_is_refused_in_one_line(name):
    options, kind, words = REFUSED[name]
    with pytest.raises(kind) as caught:
        check(**{"widths": (8, 16), **options})
    line = str(caught.value)
    assert words in line and caught.value.hint and "\n" not in line and len(line) < 250


def test_unknown_variables_and_steps_are_refused():
    found = check(widths=(8, 16), steps=1, seeds=2)
    with pytest.raises(BadParameter, match="activation or change"):
        found.slopes("gradient")
    with pytest.raises(BadParameter, match="0 to 1"):
        found.slopes(step=2)
