import numpy as np
import pytest
import torch
from small_networks import SOLVERS, X, Y, loss, networks

from chymist import training
from chymist.bench import Bench, samples
from chymist.ensemble import every, mean_squared_error
from chymist.instruments import Instrument
from chymist.models import MLP
from chymist.solvers import GradientDescent


def test_minibatches_are_drawn_by_key_without_replacement(small_groups):
    torch.set_num_threads(1)
    ensemble = networks("two-layer", seeds=(3, 8))
    y = samples(np.stack([np.arange(13.0), np.arange(13.0)]), copy=[0, 1])
    batches = Instrument("batch", lambda s: s.loss)
    seen = {}
    orders = training._Batches.take

    def spy(self, x, y):
        out = orders(self, x, y)
        for lane, seed in enumerate(self.seeds):
            seen.setdefault((self, lane, seed), []).append(out[1][lane].flatten().tolist())
        return out

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training._Batches, "take", spy)
        ensemble.train(
            GradientDescent(1e-6), samples(X), y, steps=9, batch=4, record={batches: every()}
        )
    torch.set_num_threads(2)
    by_seed = {seed: [v for (_, _, s), v in seen.items() if s == seed] for seed in (3, 8)}
    for found in by_seed.values():
        assert len(found) == 2
        assert all(order == found[0] for order in found)
    assert by_seed[3][0] != by_seed[8][0]
    for order in (found[0] for found in by_seed.values()):
        for epoch in range(3):
            used = [place for batch in order[3 * epoch : 3 * epoch + 3] for place in batch]
            assert len(used) == len(set(used)) == 12
    assert by_seed[3][0][:3] != by_seed[3][0][3:6]


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
    with pytest.raises(ValueError, match=f"batch {batch} cannot be drawn from 13 samples"):
        networks().train(SOLVERS["gd"], samples(X), samples(Y), steps=1, batch=batch, record={})
