"""Instruments that measure nothing: they keep what is there."""

import numpy as np
import torch

from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.instruments import training_outputs, training_weights
from chymist.models import MLP
from chymist.solvers import GradientDescent

X = np.linspace(-1, 1, 5)[:, None]


def test_weights_and_outputs_are_those_of_the_networks():
    ensemble = Bench("s", "e", (0, 1, 2), dtype=torch.float64).networks(lambda: MLP(1, 3, 2))
    run = ensemble.train(
        GradientDescent(0.1), samples(X), samples(np.hstack([X, X**2])), steps=4,
        record={training_weights(14): every(2), training_outputs(5, output=1): every(2)},
    )  # fmt: skip
    assert run.data.weights.sizes == {"seed": 3, "step": 3, "parameter": 14}
    ends = torch.cat([p.flatten(1) for p in run.end.parameters.values()], dim=1)
    np.testing.assert_allclose(run.data.weights.sel(step=4), ends, rtol=1e-12)
    made = run.end.predict(samples(X)).isel(feature=1).transpose("seed", "sample")
    np.testing.assert_allclose(run.data.output.sel(step=4), made, rtol=1e-9)
    assert float(abs(run.data.weights.diff("step")).min("parameter").max()) > 0
