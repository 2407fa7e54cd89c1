import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chymist.ensemble import initialise
from chymist.keys import Key
from chymist.models import MLP, gaussian_start

text = st.text(max_size=8)


def weights(seeds, start=gaussian_start, state=0):
    torch.manual_seed(state)
    made = initialise(
        lambda: MLP(2, 4, 1), start, seeds, lambda seed, what: Key("s", "e", seed, what)
    )
    return {
        seed: torch.cat([p[i].flatten() for p in made.parameters.values()])
        for i, seed in enumerate(seeds)
    }


@pytest.mark.parametrize("start", [gaussian_start, None])
def test_a_seed_draws_the_same_bits_in_any_company_and_order(start):
    alone = weights([3], start)
    among = weights([0, 3, 7, 12], start, state=5)
    backwards = weights([12, 7, 3, 0], start)
    assert torch.equal(alone[3], among[3])
    assert all(torch.equal(among[s], backwards[s]) for s in among)
    assert not torch.equal(among[0], among[7])


def test_initialising_leaves_the_global_generator_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    key = lambda seed, what: Key("s", "e", seed, what)  # noqa: E731
    initialise(lambda: MLP(2, 4, 1), None, [0, 1], key)
    assert torch.equal(torch.rand(3), expected)


@given(
    st.tuples(text, text, st.integers(0, 10**6), text),
    st.tuples(text, text, st.integers(0, 10**6), text),
)
def test_different_addresses_have_different_streams(a, b):
    assert (Key(*a).number == Key(*b).number) == (a == b)


def test_streams_start_anew_each_time_and_differ_by_purpose():
    key = Key("study", "experiment", 1, "weights")
    assert np.array_equal(key.numpy().random(4), key.numpy().random(4))
    a, b = (torch.rand(4, generator=key.torch()) for _ in range(2))
    assert torch.equal(a, b)
    other = Key("study", "experiment", 1, "noise")
    assert not np.array_equal(key.numpy().random(4), other.numpy().random(4))


def test_the_number_of_a_key_is_fixed_for_ever():
    # Recorded once: another value would change every result that was ever published.
    assert Key("study", "experiment", 0, "weights").number == PINNED


PINNED = 310524744633055668394185772125283295398
