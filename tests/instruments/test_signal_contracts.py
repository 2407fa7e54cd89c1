"""Every instrument of signals that takes any model keeps the contract of instruments."""

import copy
import itertools

import numpy as np
import pytest
import torch
from torch import nn

from chymist import instruments
from chymist.instruments import Instrument
from chymist.instruments.layers import leaves
from chymist.testing import check_instrument, small_networks
from chymist.testing.networks import two_layers

NAMES = leaves(two_layers())


def by_hand(case):
    """What each layer hands on and its gradient, by plain hooks and a backward pass on a copy."""
    model = copy.deepcopy(case.model)
    kept = {}

    def hook(name):
        def keep(module, args, out):
            tensor = out[0] if isinstance(out, tuple) else out
            tensor.retain_grad()
            kept[name] = tensor

        return keep

    named = dict(model.named_modules())
    for name in leaves(model):
        named[name].register_forward_hook(hook(name))
    # Layers without parameters have a gradient where the input has one.
    case.loss(model(case.data[0].clone().requires_grad_()), case.data[1]).backward()
    return kept


def moments(model, loss, data):
    x, y = data
    return instruments.second_moments(model, x, loss=loss, y=y, layers=leaves(model))


def forward_by_hand(case):
    return torch.stack([t.detach().square().mean() for t in by_hand(case).values()])


def backward_by_hand(case):
    n = len(case.data[0])
    return torch.stack([(n * t.grad).square().mean() for t in by_hand(case).values()])


def cosines(model, loss, data):
    return instruments.sample_similarity(model, data[0], leaves(model)).cosine


def cosines_by_hand(case):
    found = []
    for t in by_hand(case).values():
        rows = t.detach().flatten(1)
        pairs = itertools.combinations(range(len(rows)), 2)
        found.append(
            torch.stack([torch.cosine_similarity(rows[a], rows[b], 0) for a, b in pairs]).mean()
        )
    return torch.stack(found)


def correlations(model, loss, data):
    names = [n for n, m in model.named_modules() if isinstance(m, nn.Linear) and "attend" not in n]
    return instruments.sample_similarity(model, data[0], names).correlation


def correlations_by_hand(case):
    found = []
    for name, t in by_hand(case).items():
        if isinstance(dict(case.model.named_modules())[name], nn.Linear):
            matrix = np.corrcoef(t.detach().flatten(1).numpy())
            found.append(matrix[~np.eye(len(matrix), dtype=bool)].mean())
    return torch.tensor(found)


def singular(model, loss, data):
    return instruments.jacobian_singular_values(model, data[0], 3).values.mean(0)


def largest_by_iteration(model, loss, data):
    found = instruments.jacobian_singular_values(model, data[0], 2, exact=False, tolerance=1e-10)
    return found.values.mean(0)


def singular_by_hand(case):
    rows = [
        torch.autograd.functional.jacobian(lambda x: case.model(x[None])[0], x)
        for x in case.data[0]
    ]
    return torch.linalg.svdvals(torch.stack(rows)).mean(0)


def over_samples(k):
    inner = instruments.training_jacobian(k)
    return Instrument("jacobian", lambda s: inner.measure(s).mean(1), dims=("singular",))


CONTRACTS = {
    "activations": (
        moments,
        {
            "documented": instruments.second_moments,
            "read": lambda found: found.leaving,
            "referee": forward_by_hand,
            "recorded": instruments.training_moments(two_layers())[0],
            "degree": 0,
        },
    ),
    "gradients": (
        moments,
        {
            "documented": instruments.second_moments,
            "read": lambda found: found.backward,
            "referee": backward_by_hand,
            "recorded": instruments.training_moments(two_layers())[1],
            "degree": 2,
        },
    ),
    "cosine": (
        cosines,
        {
            "documented": instruments.sample_similarity,
            "referee": cosines_by_hand,
            "recorded": instruments.training_similarity(two_layers()),
            "degree": 0,
        },
    ),
    "correlation": (
        correlations,
        {
            "documented": instruments.sample_similarity,
            "referee": correlations_by_hand,
            "degree": 0,
        },
    ),
    "singular values": (
        singular,
        {
            "documented": instruments.jacobian_singular_values,
            "referee": singular_by_hand,
            "recorded": over_samples(3),
            "degree": 0,
        },
    ),
    "singular values by iteration": (
        largest_by_iteration,
        {
            "documented": instruments.jacobian_singular_values,
            "referee": lambda case: singular_by_hand(case)[:2],
            "degree": 0,
        },
    ),
}


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_signal_keeps_the_contract(name):
    measure, options = CONTRACTS[name]
    check_instrument(measure, **options)


@pytest.mark.parametrize("name", ["activations", "singular values"])
def test_a_spoilt_signal_is_named(name):
    measure, options = CONTRACTS[name]
    read = options.get("read", lambda found: found)
    with pytest.raises(AssertionError, match="differs from the referee"):
        check_instrument(measure, **{**options, "read": lambda found: 1.001 * read(found)})


ATTENTION = next(c for c in small_networks() if c.name.startswith("attention"))
WITHOUT_LOSS = {
    "second_moments": instruments.second_moments,
    "sample_similarity": instruments.sample_similarity,
    "token_similarity": instruments.token_similarity,
    "jacobian": instruments.jacobian_singular_values,
    "attention": instruments.attention_saturation,
}


@pytest.mark.parametrize("name", WITHOUT_LOSS)
def test_measuring_leaves_the_model_as_it_was(name):
    model = copy.deepcopy(ATTENTION.model)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    drawn = torch.get_rng_state()
    torch.backends.mha.set_fastpath_enabled(True)
    WITHOUT_LOSS[name](model, ATTENTION.data[0])
    assert all(torch.equal(p, before[n]) for n, p in model.named_parameters())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert torch.equal(drawn, torch.get_rng_state())
    assert torch.backends.mha.get_fastpath_enabled()
    for module in model.modules():
        assert not module._forward_hooks and not module._forward_pre_hooks


@pytest.mark.parametrize(("name", "calls"), [
    ("second_moments", 3), ("sample_similarity", 4), ("token_similarity", 4), ("jacobian", 3),
    ("attention", 3),
])  # fmt: skip
def test_forward_passes_are_as_few_as_stated(name, calls):
    model, made = copy.deepcopy(ATTENTION.model), []
    model.register_forward_hook(lambda *_: made.append(1))
    WITHOUT_LOSS[name](model, ATTENTION.data[0])
    assert len(made) == calls


def test_gradients_take_two_forward_passes_more():
    case, made = copy.deepcopy(ATTENTION), []
    case.model.register_forward_hook(lambda *_: made.append(1))
    moments(case.model, case.loss, case.data)
    assert len(made) == 5
