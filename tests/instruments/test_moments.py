"""Second moments and similarity: closed forms, branches, calls, trainings."""

import math
from typing import NamedTuple

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from chymist import instruments
from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.errors import CannotMeasure
from chymist.solvers import GradientDescent
from chymist.testing.networks import half_squared_error, two_layers

F64 = torch.float64


def normal(*shape, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=draw, dtype=F64)


def orthogonal(n, gain, seed):
    line = nn.Linear(n, n, bias=False, dtype=F64)
    with torch.no_grad():
        line.weight.copy_(gain * torch.linalg.qr(normal(n, n, seed=seed))[0])
    return line


def test_orthogonal_layers_multiply_both_ways_by_the_square_of_their_gain():
    gains = (0.5, 3.0, 2.0)
    model = nn.Sequential(*(orthogonal(6, g, i) for i, g in enumerate(gains)))
    x = normal(5, 6)
    loss = lambda out, y: 0.5 * (out - y).square().sum(-1).mean()  # noqa: E731
    found = instruments.second_moments(
        model, x, loss=loss, y=torch.zeros(5, 6, dtype=F64), layers=["0", "1", "2"]
    )
    size = x.square().mean()
    forward = size * torch.tensor([0.5, 1.5, 3.0]).double().square()
    torch.testing.assert_close(found.leaving, forward)
    torch.testing.assert_close(found.gain, torch.tensor(gains).double().square())
    # The gradient by the output is the output; each layer multiplies by its gain on the way back.
    back = forward[2] * torch.tensor([36.0, 4.0, 1.0])
    torch.testing.assert_close(found.backward, back.double())


def test_the_batch_size_does_not_enter_gradients():
    model, x, y = two_layers().double(), normal(4, 3), normal(4, 3, seed=1)
    once, twice = (
        instruments.second_moments(
            model, x.repeat(n, 1), loss=half_squared_error, y=y.repeat(n, 1)
        ).backward
        for n in (1, 2)
    )
    torch.testing.assert_close(once, twice)


class Block(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.branch = nn.Sequential(orthogonal(4, scale, 3))

    def forward(self, x):
        return x + self.branch(x)


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block(0.5), Block(2.0)])

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


def test_a_branch_is_the_module_that_computes_it():
    model, x = Deep(), normal(7, 4)
    found = instruments.second_moments(model, x, layers="blocks.*.branch")
    assert found.layers == ("blocks.0.branch", "blocks.1.branch")
    torch.testing.assert_close(found.gain, torch.tensor([0.25, 4.0], dtype=F64))
    block = instruments.second_moments(model, x, layers="blocks.1").at("blocks.1")
    assert block["entering"] == pytest.approx(model.blocks[0](x).square().mean().item())
    assert block["leaving"] == pytest.approx(model(x).square().mean().item())


def test_a_module_called_twice_has_two_rows_and_in_place_layers_deceive_nobody():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.line = orthogonal(3, 2.0, 0)
            self.act = nn.ReLU(inplace=True)

        def forward(self, x):
            return self.act(self.line(self.line(x)))

    x, model = normal(5, 3), Twice()
    y = torch.zeros(5, 3, dtype=F64)
    found = instruments.second_moments(model, x, loss=half_squared_error, y=y)
    assert found.layers == ("line", "line#2", "act", "(network)")
    torch.testing.assert_close(found.gain[:2], torch.tensor([4.0, 4.0], dtype=F64))
    before = 4 * x @ model.line.weight.T @ model.line.weight.T / 4
    assert found.at("act")["entering"] == pytest.approx(before.square().mean().item())
    assert found.at("line#2")["leaving"] == pytest.approx(before.square().mean().item())
    behind = torch.where(before > 0, before, 0.0)
    assert found.at("line#2")["backward"] == pytest.approx(behind.square().mean().item())


def test_integer_inputs_and_outputs_of_several_tensors_are_followed():
    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(5, 4)
            self.read = nn.LSTM(4, 3, batch_first=True)

        def forward(self, tokens):
            out, state = self.read(self.embed(tokens))
            return {"last": out[:, -1], "state": state}

    tokens = torch.randint(0, 5, (6, 2), generator=torch.Generator().manual_seed(0))
    loss = lambda out, y: out["last"].square().mean()  # noqa: E731
    found = instruments.second_moments(Words(), tokens, loss=loss, y=tokens)
    assert found.layers == ("embed", "read", "(network)")
    assert math.isnan(found.at("embed")["entering"])
    assert bool((found.backward > 0).all())
    encoder = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, norm_first=True).eval()
    with torch.no_grad():  # where PyTorch would take a fused path that calls no layer
        assert "self_attn" in instruments.second_moments(encoder, torch.randn(2, 3, 4)).layers


class Pair(NamedTuple):
    made: torch.Tensor
    spare: torch.Tensor


class Counting(nn.Module):
    """Hands on a named pair, keeps a state, and has a layer beside the way to the loss."""

    def __init__(self):
        super().__init__()
        self.line, self.aside = nn.Linear(3, 3), nn.Linear(3, 3)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return Pair(self.line(x), self.aside(x))


def test_states_stay_named_pairs_too_and_what_does_not_reach_the_loss_has_no_gradient():
    model, y = Counting(), torch.zeros(4, 3)
    loss = lambda out, y: out.made.square().mean()  # noqa: E731
    found = instruments.second_moments(model, torch.ones(4, 3), loss=loss, y=y)
    assert model.calls == 0
    assert found.layers == ("line", "aside", "(network)")
    assert found.at("aside")["backward"] == 0 < found.at("line")["backward"]


def test_wide_relu_networks_follow_the_arc_cosine_map():
    width, c = 6000, 0.3
    x = torch.tensor([[1.0, 0.0], [c, math.sqrt(1 - c * c)]], dtype=F64)
    weights = [normal(width, 2), normal(width, width, seed=1)]
    layers = []
    for w in weights:
        line = nn.Linear(w.shape[1], width, bias=False, dtype=F64)
        with torch.no_grad():
            line.weight.copy_(w * math.sqrt(2 / w.shape[1]))
        layers += [line, nn.ReLU()]
    found = instruments.sample_similarity(nn.Sequential(*layers), x, ["1", "3"])
    expected = []
    for _ in range(2):
        c = (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / math.pi
        expected.append(c)
    np.testing.assert_allclose(found.cosine, expected, atol=4 / math.sqrt(width))
    moment = instruments.second_moments(nn.Sequential(*layers), x, layers=["1", "3"])
    # Inputs of length 1 have a mean square of 1/2, which the second layer's width makes 1/2 again.
    np.testing.assert_allclose(moment.leaving, 0.5, rtol=12 / math.sqrt(width))


def test_samples_without_direction_are_left_out():
    x = torch.tensor([[1.0, 1.0], [2.0, 2.0], [0.0, 0.0]])
    found = instruments.sample_similarity(nn.Identity(), x)
    assert found.cosine.item() == pytest.approx(1.0)
    assert found.correlation.isnan().all()
    # Of thirds, the mean taken off leaves rounding.
    thirds = torch.tensor([[0.1, 0.1, 0.1], [0.7, 0.7, 0.7], [1.1, 1.1, 1.1]], dtype=F64)
    assert (thirds - thirds.mean(1, keepdim=True)).any()
    assert instruments.sample_similarity(nn.Identity(), thirds).correlation.isnan().all()
    mixing = nn.Sequential(nn.Flatten(0), nn.Unflatten(0, (3, 2)))
    with pytest.raises(CannotMeasure, match="every layer has no row for each sample"):
        instruments.sample_similarity(mixing, torch.ones(2, 3))


def test_token_similarity_is_the_mean_over_pairs_and_the_distance_from_rank_one():
    x = normal(3, 5, 4)
    found = instruments.token_similarity(nn.Identity(), x)
    cosine = torch.cosine_similarity(x[:, :, None], x[:, None], dim=-1)
    off = ~torch.eye(5, dtype=torch.bool)
    torch.testing.assert_close(found.cosine[0], cosine[:, off].mean())
    left = (x - x.mean(1, keepdim=True)).flatten(1).norm(dim=1) / x.flatten(1).norm(dim=1)
    torch.testing.assert_close(found.residual[0], left.mean())
    first = instruments.token_similarity(nn.Identity(), x.transpose(0, 1), tokens=0)
    torch.testing.assert_close(first.cosine, found.cosine)


def test_equal_tokens_have_rank_one_and_attention_alone_collapses():
    equal = normal(2, 1, 4).expand(2, 6, 4)
    found = instruments.token_similarity(nn.Identity(), equal)
    assert found.cosine.item() == pytest.approx(1.0)
    assert found.residual.item() == pytest.approx(0.0, abs=1e-12)
    layer = nn.TransformerEncoderLayer(4, 1, 8, batch_first=True, dtype=F64).eval()
    with torch.no_grad():
        layer.self_attn.in_proj_weight[:8] = 0  # every token attends to all alike
    one = instruments.token_similarity(layer, normal(2, 6, 4), "self_attn")
    assert one.residual.item() == pytest.approx(0.0, abs=1e-12)


def train(build, record, seeds=(0, 1, 2), lr=0.1, steps=6, loss=None):
    rng = np.random.default_rng(0)
    place = Bench("s", "e", tuple(seeds), dtype=F64)
    return place.train(
        place.networks(build),
        GradientDescent(lr),
        samples(rng.normal(size=(11, 3))),
        samples(rng.normal(size=(11, 3))),
        steps=steps,
        record={i: every(2) for i in record},
    )


class Mix(nn.Module):
    """Attends by its own formula."""

    def forward(self, x):
        return (x @ x.mT).softmax(-1) @ x


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.read, self.attend, self.write = nn.Linear(1, 4), Mix(), nn.Linear(4, 3)

    def forward(self, x):
        return self.write(self.attend(self.read(x[..., None])).mean(1))


BUILDS = {
    "norm": lambda: nn.Sequential(nn.Linear(3, 5), nn.LayerNorm(5), nn.Tanh(), nn.Linear(5, 3)),
    "attention": Tokens,
}


@pytest.mark.parametrize("name", BUILDS)
def test_a_recorded_lane_is_the_network_measured_alone(name):
    build = BUILDS[name]
    forward, backward = instruments.training_moments(build())
    record = [forward, backward, instruments.training_similarity(build())]
    if name == "attention":
        record.append(instruments.training_token_similarity(build(), "attend"))
    run = train(build, record)
    x, y = (torch.tensor(np.random.default_rng(0).normal(size=(2, 11, 3)))[i] for i in range(2))
    names = list(run.data.layer.values) if name == "norm" else ["read", "attend", "write"]
    for lane in range(3):
        model = build().double()
        model.load_state_dict({n: p[lane] for n, p in run.end.parameters.items()})
        alone = instruments.second_moments(model, x, loss=half_squared_error, y=y, layers=names)
        alike = instruments.sample_similarity(model, x, names)
        end = run.data.isel(seed=lane, step=-1)
        for i, layer in enumerate(alone.layers):
            for variable, expected in (
                ("moment_forward", alone.leaving),
                ("moment_backward", alone.backward),
                ("similarity", alike.cosine),
            ):
                at = end[variable].sel(layer=layer)
                np.testing.assert_allclose(at, expected[i], rtol=1e-9)
        if name == "attention":
            tokens = instruments.token_similarity(model, x, "attend").cosine
            at = end.token_similarity.sel(layer="attend")
            np.testing.assert_allclose(at, tokens[0], rtol=1e-9)


def test_recording_changes_no_bit_and_lanes_that_diverge_disturb_nobody():
    record = [
        *instruments.training_moments(two_layers()),
        instruments.training_similarity(two_layers()),
        instruments.training_jacobian(2),
        instruments.training_update_ratio(two_layers()),
    ]
    with_, without = train(two_layers, record), train(two_layers, [instruments.loss])
    assert all(torch.equal(p, without.end.parameters[n]) for n, p in with_.end.parameters.items())
    relu = lambda: nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 3))  # noqa: E731
    lr = xr.DataArray([0.1, 1e6], dims="lr", coords={"lr": [0.1, 1e6]})
    both = train(relu, record, lr=lr, steps=60).data
    alone = train(relu, record, steps=60).data
    assert both.diverged_at.sel(lr=1e6).notnull().all()
    for instrument in record:
        assert both[instrument.name].sel(lr=1e6).isel(step=-1).isnull().all()
        np.testing.assert_allclose(
            both[instrument.name].sel(lr=0.1), alone[instrument.name], rtol=1e-9
        )
