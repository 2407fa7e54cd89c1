"""What signals cannot be measured of ends in one line that says what, and what to do."""

import math

import pytest
import torch
from torch import nn

from chymist import instruments
from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.errors import BadParameter, CannotMeasure, MovingTarget
from chymist.solvers import GradientDescent
from chymist.testing.networks import convolutional, two_layers

X = torch.linspace(-1, 1, 24).view(2, 4, 3)
INSTRUMENTS = {
    "moments": instruments.second_moments,
    "similarity": instruments.sample_similarity,
    "tokens": instruments.token_similarity,
    "jacobian": instruments.jacobian_singular_values,
    "attention": instruments.attention_saturation,
}


def net():
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def refused(measure, kind, *words, model=None, x=X, **options):
    with pytest.raises(kind) as caught:
        measure(model or net(), x, **options)
    line = str(caught.value)
    assert caught.value.exit_code == 2
    assert "\n" not in line and caught.value.hint and len(line) < 250
    for word in words:
        assert word in line, line


class Noisy(nn.Module):
    def forward(self, x):
        return x + torch.rand_like(x)


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_every_instrument_refuses_what_it_cannot_measure(name):
    measure = INSTRUMENTS[name]
    drop = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.1))
    refused(measure, MovingTarget, "Dropout", "model.eval()", model=drop)
    norm = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    refused(measure, MovingTarget, "BatchNorm1d", model=norm)
    noisy, before = nn.Sequential(nn.Linear(3, 3), Noisy()), torch.get_rng_state()
    refused(measure, MovingTarget, "two outputs", model=noisy)
    assert torch.equal(before, torch.get_rng_state())
    refused(measure, CannotMeasure, "no samples", x=X[:0])
    refused(measure, CannotMeasure, "float64", "float32", x=X.double())
    refused(measure, CannotMeasure, "meta", "one device", x=X.to("meta"))
    wrong = X.clone()
    wrong[1, 2, 0] = math.nan
    refused(measure, CannotMeasure, "input x", "1 of 24", "finite", x=wrong)
    broken = net()
    with torch.no_grad():
        broken[2].bias[1] = math.inf
    refused(measure, CannotMeasure, "2.bias", "1 of 2", model=broken)
    if name != "jacobian":
        refused(measure, BadParameter, "no layer is called 'tanh'", layers="tanh")


@pytest.mark.parametrize("name", ["moments", "similarity", "tokens"])
def test_the_first_layer_that_overflows_is_named(name):
    model = net()
    with torch.no_grad():
        model[0].weight.fill_(1e38)
        model[0].bias.fill_(1e38)
    # Tanh brings infinities back to one.
    refused(INSTRUMENTS[name], CannotMeasure, "layer 0 has values", model=model, x=X.abs() + 9)


def test_layers_that_are_not_called_or_not_fit_are_named():
    class Spare(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.spare = nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x):
            return self.used(x)

    for measure in (instruments.second_moments, instruments.sample_similarity):
        refused(measure, CannotMeasure, "layer spare is not called" if measure is
                instruments.second_moments else "layer spare", "used", model=Spare(),
                layers=["used", "spare"])  # fmt: skip
    assert instruments.second_moments(Spare(), X).layers == ("used", "(network)")
    flat = nn.Sequential(nn.Linear(3, 2), nn.Flatten())
    refused(instruments.token_similarity, CannotMeasure, "layer 1", model=flat, layers="1")
    whole = nn.Sequential(nn.Linear(3, 2), nn.Flatten(0))
    refused(instruments.sample_similarity, CannotMeasure, "layer 1", model=whole, layers="1")
    refused(instruments.sample_similarity, CannotMeasure, "one sample", x=X[:1])
    refused(instruments.token_similarity, BadParameter, "tokens is 2", tokens=2)


def test_losses_must_be_one_finite_number_of_the_layers():
    y = torch.zeros(2, 4, 2)
    measure, mse = instruments.second_moments, nn.MSELoss()
    refused(measure, BadParameter, "go together", loss=mse)
    refused(measure, CannotMeasure, "(2, 4, 2)", loss=nn.MSELoss(reduction="none"), y=y)
    refused(measure, CannotMeasure, "the loss is nan", loss=lambda o, y: mse(o, y) * math.nan, y=y)
    refused(measure, CannotMeasure, "does not depend", loss=lambda o, y: mse(o.detach(), y), y=y)
    refused(measure, CannotMeasure, "samples differ", loss=mse, y=y[:1])
    with pytest.raises(BadParameter, match="no layer is called 'x'"):
        measure(net(), X).at("x")


def train(build, instrument):
    x = torch.linspace(-1, 1, 15).view(5, 3).numpy()
    place = Bench("s", "e", (0, 1), dtype=torch.float64)
    return place.train(
        place.networks(build), GradientDescent(0.1), samples(x), samples(x), steps=2,
        record={instrument: every(1)},
    )  # fmt: skip


def test_a_trainings_networks_must_be_those_of_the_instrument():
    for made in (
        instruments.training_similarity(net()),
        instruments.training_moments(net())[0],
        instruments.training_update_ratio(nn.Sequential(nn.Linear(3, 3))),
    ):
        with pytest.raises(CannotMeasure, match=r"parameter (0|2)") as caught:
            train(two_layers, made)
        assert caught.value.hint
    for make in (instruments.training_similarity, instruments.training_moments):
        with pytest.raises(MovingTarget, match=r"model\.eval"):
            make(nn.Sequential(nn.Dropout()))
        with pytest.raises(BadParameter, match="no layer is called"):
            make(net(), "5")
    with pytest.raises(CannotMeasure, match="hands on nothing to compare"):
        train(two_layers, instruments.training_token_similarity(two_layers(), "1"))
    with pytest.raises(BadParameter, match="k is 9"):
        train(two_layers, instruments.training_jacobian(9))
    with pytest.raises(BadParameter, match="k is 0"):
        instruments.training_jacobian(0)
    train(convolutional, instruments.training_jacobian(2, samples=3))
