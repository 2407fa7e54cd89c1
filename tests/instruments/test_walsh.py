"""Functions on the cube by degree."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import hadamard
from torch import nn

from chymist.errors import BadParameter, CannotMeasure, MovingTarget
from chymist.instruments import (
    alone,
    cube,
    degree_spectrum,
    training_walsh,
    walsh_degrees,
    walsh_transform,
)

bits = st.integers(0, 6)
seeds = st.integers(0, 10**6)


def normal(seed, *shape):
    return torch.tensor(np.random.default_rng(seed).normal(size=shape))


@given(bits, seeds)
def test_the_transform_is_the_hadamard_matrix(n, seed):
    values = normal(seed, 3, 2**n)
    expected = values.numpy() @ hadamard(2**n) / 2**n
    np.testing.assert_allclose(walsh_transform(values), expected, atol=1e-13)


@given(bits, seeds)
def test_twice_gives_back_and_the_energy_is_the_mean_square(n, seed):
    values = normal(seed, 2**n)
    torch.testing.assert_close(2**n * walsh_transform(walsh_transform(values)), values)
    torch.testing.assert_close(degree_spectrum(values).sum(), values.square().mean())


@pytest.mark.parametrize("chosen", [(), (0,), (2, 3), (0, 1, 3), (0, 1, 2, 3)])
def test_a_parity_is_one_coefficient(chosen):
    found = walsh_transform(cube(4)[:, list(chosen)].prod(1))
    expected = torch.zeros(16).double()
    expected[sum(2**j for j in chosen)] = 1
    assert torch.equal(found, expected)


@given(st.integers(1, 5), seeds)
def test_degrees_do_not_feel_which_bit_is_which_or_its_sign(n, seed):
    draw = np.random.default_rng(seed)
    order, sign = draw.permutation(n), draw.integers(0, 2, n) * 2 - 1
    values = normal(seed, 2**n)
    points = (cube(n)[:, torch.tensor(order)] * torch.tensor(sign)).numpy()
    number = ((points < 0) * 2 ** np.arange(n)).sum(1)
    torch.testing.assert_close(
        degree_spectrum(values[torch.tensor(number)]), degree_spectrum(values)
    )


def test_majority_of_five_has_its_known_degrees():
    # O'Donnell (2014), section 5.3: 45/64 at degree 1, 10/64 at 3, 9/64 at 5.
    found = degree_spectrum(cube(5).sum(1).sign())
    torch.testing.assert_close(found, torch.tensor([0, 45, 0, 10, 0, 9]).double() / 64)


def test_a_network_by_its_outputs_and_as_it_is_recorded():
    torch.random.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    found = walsh_degrees(model, 4)
    out = model(cube(4, torch.float32)).detach().double()
    torch.testing.assert_close(found, sum(degree_spectrum(out[:, i]) for i in range(2)))
    torch.testing.assert_close(found.sum(), out.square().sum(1).mean())
    data = torch.randn(3, 4), torch.zeros(3, 2)
    recorded = alone(training_walsh(4), model, data)
    torch.testing.assert_close(recorded.double(), found, rtol=1e-5, atol=1e-7)


def test_a_line_has_degree_one():
    model = nn.Linear(3, 1).double()
    found = walsh_degrees(model, 3)
    torch.testing.assert_close(found[0], model.bias.detach().square()[0])
    torch.testing.assert_close(found[1], model.weight.detach().square().sum())
    assert found[2:].abs().max() < 1e-25


def test_what_is_no_cube_is_refused():
    with pytest.raises(CannotMeasure, match="there are 6 points"):
        walsh_transform(torch.zeros(6))
    for wrong in (0, 21):
        with pytest.raises(BadParameter, match=f"bits is {wrong}"):
            walsh_degrees(nn.Linear(3, 1), wrong)
        with pytest.raises(BadParameter, match=f"bits is {wrong}"):
            training_walsh(wrong)
    with pytest.raises(MovingTarget):
        walsh_degrees(nn.Sequential(nn.Linear(3, 1), nn.Dropout()), 3)
