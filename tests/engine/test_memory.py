"""More lanes than memory: they are split, and it is said; what fits in no way is refused."""

import re
from dataclasses import replace

import numpy as np
import pytest
from small_networks import X, Y, loss, networks
from torch import nn

from chymist import ensemble as ensembles
from chymist import training
from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.errors import TooLarge
from chymist.solvers import GradientDescent


def train(memory, seeds=range(9)):
    bounded = replace(networks(seeds=seeds), memory=memory)
    return bounded.train(
        GradientDescent(0.1), samples(X), samples(Y), steps=5, record={loss: every()}
    )


def test_lanes_that_the_memory_splits_say_so():
    whole, split = train(2**30), train(40_000)
    assert "group" not in whole.path
    groups, lanes = re.search(
        r"; in (\d+) groups of (.*) lanes to stay below 39.1 KiB$", split.path
    ).groups()
    assert int(groups) >= 2
    assert all(2 <= int(n) < 9 for n in lanes.split(" or "))
    np.testing.assert_allclose(whole.data.loss, split.data.loss, rtol=0, atol=1e-13)


def test_a_bound_too_small_for_two_lanes_says_what_is_held():
    assert re.search(
        r"; in 4 groups of 2 or 3 lanes, the least, of up to [\d.]+ KiB: above 12 bytes$",
        train(12).path,
    )
    assert re.search(r"; in 1 group of 1 lane, the least, .* above 12 bytes$", train(12, (0,)).path)


def test_the_note_of_a_training_tells_it():
    notes = []
    bench = Bench("s", "e", tuple(range(9)), memory=40_000, note=notes.append)
    made = bench.networks(lambda: nn.Linear(2, 500))
    bench.train(made, GradientDescent(0.1), samples(X), samples(np.ones((13, 500))), steps=1,
                record={}, label="wide")  # fmt: skip
    assert re.fullmatch(r"wide by .*: .*; in 4 groups of 2 or 3 lanes, .*", notes[0])


@pytest.mark.parametrize("seeds", [(0,), range(9)])
def test_what_fits_in_no_way_is_refused_in_one_line(monkeypatch, seeds):
    monkeypatch.setattr(training, "free", lambda: 4096.0)
    with pytest.raises(TooLarge) as caught:
        train(2**30, seeds)
    assert caught.value.exit_code == 2
    count = len(seeds)
    assert re.fullmatch(
        rf"{count} networks? of 105 parameters on 13 samples at a step need about [\d.]+ KiB of "
        r"memory, however they are split; 4 KiB are free \(take smaller minibatches, .*\)",
        str(caught.value),
    )


def test_a_machine_with_less_than_the_bound_splits_to_half_of_what_is_free(monkeypatch):
    monkeypatch.setattr(ensembles, "free_memory", lambda: 80_000.0)
    assert train(2**30).path.endswith("to stay below 39.1 KiB")


def test_a_container_s_bound_counts(monkeypatch, tmp_path):
    from chymist import memory

    monkeypatch.setattr(memory, "CONTAINER", tmp_path)
    unbounded = memory.free()
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("3000\n")
    (tmp_path / "memory.stat").write_text("anon 2000\ninactive_file 700\n")
    assert memory.free() == 2700
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.free() > unbounded / 2
