"""Networks with PyTorch's own attention train as lanes, without a word of warning."""

import numpy as np
import pytest
import torch
from torch import nn

from chymist import instruments
from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.solvers import GradientDescent
from chymist.testing.networks import Attention, half_squared_error

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(11, 3)), RNG.normal(size=(11, 3))


class Tokens(nn.Module):
    """Something over three tokens of four numbers, between two linear layers."""

    def __init__(self, inner):
        super().__init__()
        self.read, self.inner, self.write = nn.Linear(1, 4), inner, nn.Linear(4, 3)

    def forward(self, x):
        return self.write(self.inner(self.read(x[..., None])).mean(1))


class Weighed(nn.MultiheadAttention):
    """Attention that hands on its weights too, which takes another way through PyTorch."""

    def forward(self, x):
        out, weights = super().forward(x, x, x)
        return out + weights.mean()


BUILDS = {
    "attention": Attention,
    "attention in eval mode": lambda: Attention().eval(),
    "with weights": lambda: Tokens(Weighed(4, 2, batch_first=True)),
    "encoder layer": lambda: Tokens(
        nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)
    ),
    "encoder layer in eval mode": lambda: Tokens(
        nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)
    ).eval(),
}


def switches():
    cuda = torch.backends.cuda
    return (torch.backends.mha.get_fastpath_enabled(), cuda.flash_sdp_enabled(),
            cuda.math_sdp_enabled(), cuda.mem_efficient_sdp_enabled())  # fmt: skip


@pytest.mark.parametrize("name", BUILDS)
def test_attention_trains_as_by_pytorch_and_is_measured(name):
    build = BUILDS[name]
    before = switches()
    place = Bench("s", "e", (0, 1), dtype=torch.float64)
    networks = place.networks(build)
    sharp = instruments.training_sharpness(tolerance=1e-3)
    run = place.train(
        networks, GradientDescent(0.1), samples(X), samples(Y), steps=3,
        record={instruments.loss: every(1), sharp: lambda steps: [steps]},
    )  # fmt: skip
    outputs = run.end.predict(samples(X))
    assert switches() == before
    x, y = torch.tensor(X), torch.tensor(Y)
    for lane in range(2):
        model = build().double()
        model.load_state_dict({n: p[lane] for n, p in networks.parameters.items()})
        rule = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            rule.zero_grad()
            half_squared_error(model(x), y).backward()
            rule.step()
        end = run.data.loss.isel(seed=lane, step=-1)
        with torch.no_grad():
            expected = model(x)
        np.testing.assert_allclose(outputs[lane], expected, rtol=1e-9)
        np.testing.assert_allclose(end, half_squared_error(expected, y), rtol=1e-9)
        top = instruments.sharpness(model, half_squared_error, (x, y), tolerance=1e-3).values[0]
        sharpness = run.data.sharpness.isel(seed=lane).sel(step=3)
        np.testing.assert_allclose(sharpness, top, rtol=1e-2)
