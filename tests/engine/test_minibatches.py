import numpy as np
import pytest
import torch
from small_networks import SOLVERS, X, Y, loss, networks

from chymist.bench import Bench, samples
from chymist.ensemble import every, mean_squared_error
from chymist.errors import BadParameter
from chymist.group import Batches, Task
from chymist.models import MLP
from chymist.solvers import GradientDescent


def test_minibatches_are_drawn_by_key_without_replacement():
    ensemble = networks("two-layer", seeds=(3, 8))
    y = samples(np.stack([np.arange(13.0), np.arange(13.0)]), copy=[0, 1])
    lanes = ensemble.spread(ensemble.lanes.joined([y]))
    task = Task(
        lanes.module, lanes.parameters, lanes.buffers, lanes.lanes, lanes.key,
        GradientDescent(1e-6), mean_squared_error, samples(X), y, 9, 4, {},
    )  # fmt: skip
    rows = torch.arange(4)
    batches, again = Batches(task, rows, 13), Batches(task, rows[2:], 13)
    seen = []
    for step in range(9):
        _, picked = batches.take(step, torch.tensor(X), torch.tensor(y.values).repeat(2, 1, 1))
        seen.append(picked[..., 0].tolist())
        assert batches.at(step).tolist() == again.at(step).tolist(), "feels its packing"
        assert batches.at(step).tolist() == batches.at(step).tolist(), "not to be asked again"
    seed3, seed8, *copies = np.array(seen).transpose(1, 0, 2).tolist()
    assert copies == [seed3, seed8]
    assert seed3[0] != seed8[0]
    for order in (seed3, seed8):
        for epoch in range(3):
            used = [place for batch in order[3 * epoch : 3 * epoch + 3] for place in batch]
            assert len(used) == len(set(used)) == 12
    assert seed3[:3] != seed3[3:6]


def test_minibatch_training_equals_a_plain_loop():
    ensemble = networks(seeds=(6, 1))
    run = ensemble.train(
        GradientDescent(0.1), samples(X), samples(Y), steps=10, batch=4, record={loss: every()}
    )
    module = MLP(2, 9, 7, 1).double()
    module.load_state_dict({n: p[1] for n, p in ensemble.parameters.items()})
    generator = Bench("s", "e", (1,)).key(1, "batches").torch()
    x, y, full = torch.tensor(X), torch.tensor(Y)[:, None], []
    for step in range(10):
        if step % 3 == 0:
            order = torch.randperm(13, generator=generator)
        picked = order[4 * (step % 3) : 4 * (step % 3) + 4]
        full.append(mean_squared_error(module(x), y).item())
        module.zero_grad()
        mean_squared_error(module(x[picked]), y[picked]).backward()
        with torch.no_grad():
            for p in module.parameters():
                p -= 0.1 * p.grad
    np.testing.assert_allclose(run.data.loss.sel(seed=1)[:-1], full, rtol=0, atol=1e-12)


def test_a_batch_of_all_samples_descends_as_full_batch():
    runs = [
        networks()
        .train(
            GradientDescent(0.1),
            samples(X),
            samples(Y),
            steps=5,
            batch=batch,
            record={loss: every()},
        )
        .data.loss
        for batch in (None, 13)
    ]
    np.testing.assert_allclose(*runs, rtol=1e-12)


@pytest.mark.parametrize("batch", [0, 14])
def test_a_batch_that_cannot_be_drawn_is_refused(batch):
    words = rf"batch {batch} cannot be drawn from 13 samples \(allowed: 1 to 13"
    with pytest.raises(BadParameter, match=words):
        networks().train(SOLVERS["gd"], samples(X), samples(Y), steps=1, batch=batch, record={})


def test_without_epochs_each_step_draws_from_all_samples():
    ensemble = networks(seeds=(6, 1))
    run = ensemble.train(
        GradientDescent(0.1), samples(X), samples(Y), steps=10, batch=6, epochs=False,
        record={loss: every()},
    )  # fmt: skip
    module = MLP(2, 9, 7, 1).double()
    module.load_state_dict({n: p[1] for n, p in ensemble.parameters.items()})
    generator = Bench("s", "e", (1,)).key(1, "batches").torch()
    x, y, full, drawn = torch.tensor(X), torch.tensor(Y)[:, None], [], []
    for _ in range(10):
        picked = torch.randperm(13, generator=generator)[:6]
        drawn.append(set(picked.tolist()))
        full.append(mean_squared_error(module(x), y).item())
        module.zero_grad()
        mean_squared_error(module(x[picked]), y[picked]).backward()
        with torch.no_grad():
            for p in module.parameters():
                p -= 0.1 * p.grad
    np.testing.assert_allclose(run.data.loss.sel(seed=1)[:-1], full, rtol=0, atol=1e-12)
    # Two batches of one epoch would share no sample.
    assert all(drawn[step] & drawn[step + 1] for step in (0, 2, 4, 6))


def test_batches_in_the_order_of_the_data():
    """Twelve of thirteen samples in three batches, from the first again: a plain loop's steps."""
    ensemble = networks(seeds=(6, 1))
    run = ensemble.train(
        GradientDescent(0.1), samples(X), samples(Y), steps=7, batch=4, shuffle=False,
        record={loss: every()},
    )  # fmt: skip
    module = MLP(2, 9, 7, 1).double()
    module.load_state_dict({n: p[1] for n, p in ensemble.parameters.items()})
    x, y, full = torch.tensor(X), torch.tensor(Y)[:, None], []
    for step in range(7):
        taken = slice(4 * (step % 3), 4 * (step % 3) + 4)
        full.append(mean_squared_error(module(x), y).item())
        module.zero_grad()
        mean_squared_error(module(x[taken]), y[taken]).backward()
        with torch.no_grad():
            for p in module.parameters():
                p -= 0.1 * p.grad
    np.testing.assert_allclose(run.data.loss.sel(seed=1)[:-1], full, rtol=0, atol=1e-12)
