"""Updates relative to weights: what optimizers are about to do, states, trainings."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from chymist import instruments
from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.errors import CannotMeasure
from chymist.instruments import update_ratio
from chymist.solvers import GradientDescent
from chymist.testing.networks import two_layers

F64 = torch.float64
OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, 0.1),
    "momentum": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
    "adamw": lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 0.01),
}


def network(name="sgd", steps=2):
    """A network on its way, with gradients for the next step."""
    torch.manual_seed(0)
    model = two_layers().double()
    optimizer = OPTIMIZERS[name](model.parameters())
    for _ in range(steps + 1):
        optimizer.zero_grad()
        model(torch.linspace(-1, 1, 15, dtype=F64).view(5, 3)).square().mean().backward()
        if _ < steps:
            optimizer.step()
    return model, optimizer


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizers_next_step_is_foreseen_and_not_taken(name):
    model, optimizer = network(name)
    before = copy.deepcopy(model.state_dict())
    state = copy.deepcopy(optimizer.state_dict())
    called = []
    optimizer.register_step_pre_hook(lambda *_: called.append(1))
    found = update_ratio(model, optimizer)
    assert not called
    assert all(torch.equal(p, before[n]) for n, p in model.state_dict().items())
    kept = optimizer.state_dict()["state"]
    for i, values in state["state"].items():
        for what, value in values.items():
            assert value is None or torch.equal(value, kept[i][what])
    gradients = {n: p.grad.clone() for n, p in model.named_parameters()}
    optimizer.step()
    for n, p in model.named_parameters():
        expected = (p - before[n]).norm() / before[n].norm()
        torch.testing.assert_close(found[n], expected.detach(), rtol=1e-12, atol=0)
        assert torch.equal(p.grad, gradients[n])


def test_the_first_steps_have_closed_forms():
    model, sgd = network("sgd", steps=0)
    adam = torch.optim.Adam(model.parameters(), 0.01, eps=0.0)
    for n, p in model.named_parameters():
        plain, signs = update_ratio(model, sgd)[n], update_ratio(model, adam)[n]
        torch.testing.assert_close(plain, 0.1 * p.grad.norm() / p.detach().norm())
        torch.testing.assert_close(signs, 0.01 * p.numel() ** 0.5 / p.detach().norm())


def test_states_are_compared_by_name_and_zeros_are_told():
    model = two_layers().double()
    other = copy.deepcopy(model)
    with torch.no_grad():
        model[0].bias.zero_()
        other[0].bias.fill_(1.0)
        other[2].weight.mul_(1.5)
        for m in (model, other):
            m[2].bias.zero_()
    found = update_ratio(model, other)
    assert found["0.weight"] == 0 and found["2.weight"].item() == pytest.approx(0.5)
    assert found["0.bias"].isinf() and found["2.bias"].isnan()
    scaled = update_ratio(
        *({n: 7 * p.detach() for n, p in m.named_parameters()} for m in (model, other))
    )
    torch.testing.assert_close(scaled, found, equal_nan=True)


def test_a_training_records_each_step():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 11, 3))
    place = Bench("s", "e", (0, 1, 2), dtype=F64)

    def train(steps, gap):
        ratio = instruments.training_update_ratio(two_layers())
        return place.train(
            place.networks(two_layers), GradientDescent(0.1), samples(x), samples(y),
            steps=steps, record={ratio: every(gap)},
        )  # fmt: skip

    each = train(4, 1)
    assert each.data.update_ratio.dims == ("seed", "step", "tensor")
    assert each.data.update_ratio.sel(step=0).isnull().all()
    for lane in range(3):
        ends = [train(s, 1).end.parameters for s in (2, 3, 4)]
        one, two, three = ({n: p[lane] for n, p in end.items()} for end in ends)
        for states, step, run in (((two, three), 4, each), ((one, three), 4, train(4, 2))):
            expected = update_ratio(*states)
            found = run.data.update_ratio.isel(seed=lane).sel(step=step)
            for n, ratio in expected.items():
                np.testing.assert_allclose(found.sel(tensor=n), ratio, rtol=1e-12)


def refused(words, before, after):
    with pytest.raises(CannotMeasure, match=words) as caught:
        update_ratio(before, after)
    assert caught.value.hint and "\n" not in str(caught.value)


def test_states_that_do_not_fit_are_refused():
    w = {"a.weight": torch.ones(2)}
    refused(
        r"a\.wieght is in one state only|did you mean a\.weight", {"a.wieght": w["a.weight"]}, w
    )
    refused("shape", w, {"a.weight": torch.ones(3)})
    refused("dtype", w, {"a.weight": torch.ones(2, dtype=F64)})
    refused("device", w, {"a.weight": torch.ones(2, device="meta")})
    refused("a.weight has values that are not finite after", w, {"a.weight": torch.ones(2) / 0})
    refused("no parameters", {}, {})
    model, optimizer = network()
    refused("goes with a module", w, optimizer)
    refused("none of the model's", nn.Linear(1, 1), optimizer)
    optimizer.zero_grad()
    refused("no parameter has a gradient", model, optimizer)


def test_lanes_move_as_each_network_by_itself():
    draw = torch.Generator().manual_seed(0)
    before, after = (
        {"a": torch.randn(3, 4, 2, generator=draw), "b": torch.randn(3, 5, generator=draw)}
        for _ in range(2)
    )
    found = instruments.stacked_update_ratio(before, after)
    whole = instruments.relative_drift(before, after)
    for lane in range(3):
        own = [{n: t[lane] for n, t in state.items()} for state in (before, after)]
        alone = update_ratio(*own)
        assert all(torch.equal(found[n][lane], alone[n]) for n in alone)
        one, two = (torch.cat([t.flatten() for t in state.values()]) for state in own)
        torch.testing.assert_close(whole[lane], (two - one).norm() / one.norm())
