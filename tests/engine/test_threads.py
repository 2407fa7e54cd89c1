import threading
from dataclasses import replace
from functools import partial

import pytest
import torch
from small_networks import X, Y, loss, named, networks
from torch import nn

from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.instruments import Instrument
from chymist.solvers import GradientDescent


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_is_monotone_and_told_in_the_calling_thread(workers, small_groups):
    torch.set_num_threads(workers)
    told = []

    def progress(done, steps):
        told.append((done, steps, threading.current_thread() is threading.main_thread()))

    replace(networks(seeds=range(8)), progress=progress).train(
        GradientDescent(0.01), samples(X), samples(Y), steps=300, record={}
    )
    torch.set_num_threads(2)
    done = [d for d, _, _ in told]
    assert done == sorted(done)
    assert told[-1] == (300, 300, True)
    assert all(steps == 300 and main for _, steps, main in told)
    assert len(told) < 300


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_a_worker_surfaces_and_stops_the_others(workers, small_groups):
    torch.set_num_threads(workers)
    before = set(threading.enumerate())
    latest = [0]

    def measure(snapshot):
        latest[0] = max(latest[0], snapshot.step)
        if snapshot.step == 20 and bool((snapshot.parameters["mark"] > 0).any()):
            raise ZeroDivisionError("an instrument failed")
        return snapshot.loss

    class Marked(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.mark = nn.Linear(2, 1), nn.Parameter(torch.zeros(1))

        def forward(self, x):
            return self.layer(x)

    def start(module, generator, *, mark):
        module.mark.fill_(mark)

    ensemble = Bench("s", "e", (0, 1)).networks(
        Marked, partial(start, mark=named("mark", 0.0, 1.0))
    )
    with pytest.raises(ZeroDivisionError, match="an instrument failed"):
        # With one worker the group that does not fail comes first, and has to end.
        ensemble.train(
            GradientDescent(0.0),
            samples(X),
            samples(Y),
            steps=10**6 if workers == 2 else 30,
            record={Instrument("m", measure): every()},
        )
    assert latest[0] < 10**5
    assert torch.get_num_threads() == workers
    torch.set_num_threads(2)
    assert set(threading.enumerate()) <= before


def test_an_interrupt_stops_promptly(small_groups):
    def progress(done, steps):
        if done > 0:
            raise KeyboardInterrupt

    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        replace(networks(seeds=range(8)), progress=progress).train(
            GradientDescent(0.01), samples(X), samples(Y), steps=10**7, record={}
        )
    assert set(threading.enumerate()) <= before
    assert torch.get_num_threads() == 2


def test_training_works_where_gradients_are_off():
    with torch.no_grad():
        run = networks().train(
            GradientDescent(0.1), samples(X), samples(Y), steps=5, record={loss: every()}
        )
        assert not torch.is_grad_enabled()
    assert (run.data.loss.isel(step=-1) < run.data.loss.isel(step=0)).all()
