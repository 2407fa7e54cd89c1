from functools import partial

import pytest
import torch
from sample_modules import REWRITTEN, VECTORISED
from torch import nn
from torch.func import functional_call

from chymist import models
from chymist import stacked as stacking
from chymist.ensemble import initialise
from chymist.instruments.calling import by_formula
from chymist.keys import Key
from chymist.stacked import _rewritten, _vectorised, must_go_one_by_one, stacked_forward

LANES, SAMPLES = 3, 7


def stacked(module):
    torch.manual_seed(1)
    named = dict(module.named_parameters()), dict(module.named_buffers())
    return [
        {n: torch.randn(LANES, *p.shape, dtype=torch.float64) for n, p in part.items()}
        for part in named
    ]


def one_by_one(module, parameters, buffers, x):
    state = {**parameters, **buffers}
    return torch.stack(
        [
            functional_call(module, {n: p[i] for n, p in state.items()}, x[i] if x.ndim == 3 else x)
            for i in range(LANES)
        ]
    )


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("build", REWRITTEN + VECTORISED)
def test_stacked_forward_and_gradients_equal_lane_by_lane(build, training, shared):
    module = build().double()
    parameters, buffers = stacked(module)
    x = torch.randn(*(() if shared else (LANES,)), SAMPLES, 2, dtype=torch.float64)
    results = []
    for forward in (
        stacked_forward(module, 2, training=training),
        lambda p, b, x: one_by_one(module, p, b, x),
    ):
        leaves = {n: p.clone().requires_grad_() for n, p in parameters.items()}
        out = forward(leaves, buffers, x)
        gradients = torch.autograd.grad(out.sin().sum(), list(leaves.values()))
        results.append((out.detach(), *gradients))
    for ours, reference in zip(*results, strict=True):
        assert ours.shape == reference.shape
        scale = float(reference.abs().max())
        torch.testing.assert_close(ours, reference, rtol=1e-10, atol=1e-12 * max(1.0, scale))


@pytest.mark.parametrize("build", REWRITTEN)
def test_known_modules_are_rewritten(build):
    assert _rewritten(build(), 2, torch.nn.functional.linear) is not None


@pytest.mark.parametrize("build", VECTORISED)
def test_unknown_modules_are_left_to_vmap(build):
    assert _rewritten(build(), 2, torch.nn.functional.linear) is None


def test_a_hook_is_not_lost():
    module = nn.Sequential(nn.Linear(2, 2))
    module[0].register_forward_hook(lambda module, args, out: out + 1)
    parameters, buffers = stacked(module.double())
    x = torch.randn(SAMPLES, 2, dtype=torch.float64)
    expected = one_by_one(module, parameters, buffers, x)
    torch.testing.assert_close(stacked_forward(module, 2)(parameters, buffers, x), expected)


def test_second_derivatives_pass_through_the_training_forward():
    module = models.MLP(2, 4, 1).double()
    parameters, buffers = stacked(module)
    x = torch.randn(SAMPLES, 2, dtype=torch.float64)

    def curvature(forward):
        leaves = {n: p.clone().requires_grad_() for n, p in parameters.items()}
        loss = forward(leaves, buffers, x).square().sum()
        first = torch.autograd.grad(loss, list(leaves.values()), create_graph=True)
        return torch.autograd.grad(sum(g.square().sum() for g in first), list(leaves.values()))

    fast = curvature(stacked_forward(module, 2, training=True))
    slow = curvature(_vectorised(module))
    for ours, reference in zip(fast, slow, strict=True):
        torch.testing.assert_close(ours, reference, rtol=1e-11, atol=1e-11)


def test_a_module_is_asked_once_whether_it_can_be_stacked(monkeypatch):
    module = models.Transformer(3, 4, width=8, blocks=1, outputs=2).double()
    asked, ask = [], stacking._cannot_be_stacked
    monkeypatch.setattr(stacking, "_cannot_be_stacked", lambda *a: asked.append(a) or ask(*a))
    for samples in (5, 2):
        x = torch.zeros(samples, 12, dtype=torch.float64)
        with by_formula():
            assert not must_go_one_by_one(module, *stacked(module), x)
    assert len(asked) == 1


@pytest.mark.parametrize("batch", [None, 3])
def test_what_a_pass_keeps_is_found_once_and_is_in_proportion_to_the_samples(batch):
    build = partial(models.Transformer, 3, 4, width=8, blocks=1, outputs=2)
    start = models.transformer_start
    first, other = (initialise(build, start, (0, 1), partial(Key, "t", "e")) for _ in range(2))
    x = torch.zeros(6, 12)
    kept = first._saved_bytes(x, batch)
    assert kept == first._saved_bytes(x, batch) == other._saved_bytes(x, batch)
    larger = first._saved_bytes(x.repeat(2, 1), batch and 2 * batch)
    assert larger == pytest.approx(2 * kept, rel=0.2)
