"""The transform at any places, and directions in the space of inputs."""

import importlib

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments import nudft, principal_direction, random_direction
from chymist.instruments.nudft import waves
from chymist.instruments.projection import places_along

seeds = st.integers(0, 10**6)
NUDFT = importlib.import_module("chymist.instruments.nudft")  # the name is the function's, too


def normal(seed, *shape):
    return torch.tensor(np.random.default_rng(seed).normal(size=shape))


@given(st.integers(1, 40), seeds)
def test_on_an_even_grid_it_is_the_discrete_fourier_transform(n, seed):
    values = normal(seed, 2, n, 3)
    ours = nudft(torch.arange(n).double() / n, values, range(n))
    np.testing.assert_allclose(ours, np.fft.fft(values.numpy(), axis=1), rtol=0, atol=1e-11 * n)


@given(st.integers(1, 30), seeds)
def test_parsevals_identity_over_a_period_of_frequencies(n, seed):
    values = normal(seed, n, 1)
    energy = nudft(torch.arange(n).double() / n, values, range(n)).abs().square().sum()
    torch.testing.assert_close(energy, n * values.square().sum())


@given(st.integers(1, 20), seeds, st.floats(-3, 3))
def test_it_is_the_defining_sum_at_any_places(n, seed, k):
    places, values = normal(seed, n), normal(seed + 1, n, 2)
    expected = sum(v * np.exp(-2j * np.pi * k * float(u)) for u, v in zip(places, values.numpy(),
                                                                          strict=True))  # fmt: skip
    np.testing.assert_allclose(nudft(places, values, [k])[0], expected, rtol=0, atol=1e-11 * n)


@given(st.integers(2, 20), seeds, st.floats(-5, 5))
def test_a_shift_of_places_turns_phases_and_the_order_of_samples_changes_nothing(n, seed, shift):
    places, values = normal(seed, n), normal(seed + 1, n, 2)
    k = [0.5, 1.0, 7.0]
    first = nudft(places, values, k)
    phase = torch.exp(-2j * torch.pi * torch.tensor(k).to(first) * shift)
    torch.testing.assert_close(nudft(places + shift, values, k), phase[:, None] * first)
    order = torch.tensor(np.random.default_rng(seed).permutation(n))
    torch.testing.assert_close(nudft(places[order], values[order], k), first)


def test_a_cosine_lies_at_its_frequency_with_half_its_samples():
    u = torch.arange(50).double() / 50
    wave = 0.3 * torch.cos(2 * torch.pi * 7 * u + 1)[:, None]
    found = nudft(u, wave, range(12)).abs().flatten()
    expected = torch.zeros(12).double()
    expected[7] = 0.3 * 25
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


def test_blocks_of_samples_change_nothing(monkeypatch):
    places, values = normal(1, 3, 101), normal(2, 3, 101, 2)
    whole = nudft(places, values, [1, 2, 3.5])
    monkeypatch.setattr(NUDFT, "BLOCK", 37)
    torch.testing.assert_close(nudft(places, values, [1, 2, 3.5]), whole)


def test_lanes_have_their_own_places_or_share_them():
    values = normal(3, 2, 9, 1)
    places = normal(4, 2, 9)
    own = nudft(places, values, [1, 2])
    for lane in range(2):
        torch.testing.assert_close(own[lane], nudft(places[lane], values[lane], [1, 2]))
        shared = nudft(places[0], values, [1, 2])[lane]
        torch.testing.assert_close(shared, nudft(places[0], values[lane], [1, 2]))


def test_angles_are_reduced_before_they_are_multiplied():
    u = torch.arange(8).double() / 8 + 2.0**30
    torch.testing.assert_close(
        waves(u, torch.tensor([1.0])), waves(u - 2.0**30, torch.tensor([1.0])), rtol=0, atol=1e-14
    )


@pytest.mark.parametrize(
    ("places", "values", "k", "says"),
    [
        (torch.zeros(3), torch.zeros(3, 1), [], "frequencies is []"),
        (torch.zeros(3), torch.zeros(3, 1), [1, float("nan")], "frequencies is [1, nan]"),
        (torch.zeros(3), torch.zeros(3, 1), "three", "frequencies is 'three'"),
        (torch.zeros(2), torch.zeros(3, 1), [1], "values of shape (3, 1) at places of shape (2,)"),
        (torch.zeros(3), torch.zeros(3), [1], "values of shape (3,)"),
        (torch.zeros(0), torch.zeros(0, 1), [1], "values of shape (0, 1)"),
        (torch.tensor([0.0, torch.inf]), torch.zeros(2, 1), [1], "not finite"),
    ],
)
def test_what_has_no_transform_is_refused(places, values, k, says):
    with pytest.raises((BadParameter, CannotMeasure)) as caught:
        nudft(places, values, k)
    assert says in str(caught.value)
    assert caught.value.hint


@given(st.integers(2, 12), st.integers(2, 12), seeds)
def test_the_principal_direction_is_numpys_and_turns_with_the_inputs(n, d, seed):
    x = normal(seed, n, d)
    rows = x.numpy() - x.numpy().mean(0)
    values, directions = np.linalg.svd(rows)[1:]
    assume(values[1] < 0.99 * values[0])
    found = principal_direction(x)
    np.testing.assert_allclose(abs(found.numpy() @ directions[0]), 1, rtol=1e-9)
    turn = torch.linalg.qr(normal(seed + 1, d, d))[0]
    torch.testing.assert_close((principal_direction(x @ turn) @ (found @ turn)).abs().item(), 1.0)
    torch.testing.assert_close(principal_direction(3 * x + 5), found, atol=1e-6, rtol=0)


def test_more_features_than_samples_give_the_same_as_fewer():
    x = normal(5, 4, 7)
    padded = torch.cat([x, x.mean(0).expand(20, 7)])
    torch.testing.assert_close(principal_direction(x), principal_direction(padded))


def test_each_lane_has_its_own_direction():
    x = normal(6, 3, 10, 4)
    for lane, found in enumerate(principal_direction(x)):
        torch.testing.assert_close(found, principal_direction(x[lane]))


def test_no_direction_is_made_up():
    corners = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    with pytest.raises(CannotMeasure, match="two largest variances of the inputs are equal"):
        principal_direction(corners)
    with pytest.raises(CannotMeasure, match="the inputs are all the same"):
        principal_direction(torch.ones(5, 3))


def test_random_directions_are_uniform_and_drawn_by_seed():
    drawn = torch.stack([random_direction(3, seed) for seed in range(400)])
    assert torch.equal(drawn[7], random_direction(3, 7))
    torch.testing.assert_close(drawn.norm(dim=1), torch.ones(400).double())
    # On the sphere in three dimensions each entry is uniform on [-1, 1].
    error = 4 / np.sqrt(3 * 400)
    assert (drawn.mean(0).abs() < error).all()
    assert (drawn.square().mean(0) - 1 / 3).abs().max() < 4 * np.sqrt(4 / 45 / 400)


def test_places_are_in_periods_from_the_first():
    x = torch.tensor([[3.0, 9.0], [1.0, 9.0], [2.0, 9.0]])
    e = torch.tensor([1.0, 0.0]).double()
    u, period = places_along(x, e)
    torch.testing.assert_close(u, torch.tensor([2 / 3, 0, 1 / 3]).double())
    torch.testing.assert_close(period, torch.tensor(3.0).double())
    torch.testing.assert_close(places_along(x, e, 0.5)[0], torch.tensor([4.0, 0, 2]).double())
    with pytest.raises(CannotMeasure, match="lie at one place"):
        places_along(x, e.flip(0))
    for wrong in (0, -1.0, float("inf"), [1, 2], "x"):
        with pytest.raises(BadParameter, match="period is"):
            places_along(x, e, wrong)
