"""Instruments of directions, ranks, units and tokens keep the contract of instruments."""

import numpy as np
import pytest
import torch
from torch import nn

from chymist import instruments
from chymist.instruments import Instrument
from chymist.testing import check_instrument, small_networks
from chymist.testing.networks import Attention, rectified, small

DENSE = [case for case in small_networks() if case.name.startswith("two layers")]
RECTIFIED = [small("rectified", rectified), small("rectified, classes", rectified, classes=True)]
ATTENTION = [case for case in small_networks() if case.name.startswith("attention")]
CLOSE = 0.3
"""A cosine at which six random directions in four dimensions group in several ways."""


def joined(case):
    inner = case.model[0]
    return torch.cat([inner.weight, inner.bias[:, None]], 1).detach()


def amplitudes_by_hand(case):
    rows, out = joined(case), case.model[2].weight.detach()
    return torch.stack([r.norm() * out[:, j].norm() for j, r in enumerate(rows)])


def directions_by_hand(case):
    rows, sizes = joined(case), amplitudes_by_hand(case)
    matrix = sum(s * torch.outer(r, r) / r.square().sum() for r, s in zip(rows, sizes, strict=True))
    shares = torch.linalg.eigvalsh(matrix / sizes.sum())
    entropy = -sum(s * s.log() for s in shares if s > 1e-12)
    return torch.cat([sizes.sort()[0], entropy.exp()[None]])


def of_neurons(found):
    return torch.cat([found.amplitudes.sort()[0], found.effective[None]])


def sorted_by_neuron(inner):
    """Record what neurons have, entry by entry in rising order, which their own does not change."""
    return Instrument(inner.name, lambda s: inner.measure(s).sort(1)[0], inner.dims)


def groups_by_hand(case):
    rows = joined(case)
    left, count = list(range(len(rows))), 0
    near = torch.cosine_similarity(rows[:, None], rows[None], dim=2) > CLOSE
    sizes = amplitudes_by_hand(case)
    while left:
        # The most neighbours, and of as many the heaviest.
        centre = max(left, key=lambda j: (
            sum(bool(near[j, k]) for k in left), sum(float(sizes[k]) for k in left if near[j, k])
        ))  # fmt: skip
        left = [k for k in left if not near[centre, k]]
        count += 1
    return count


def entropy_rank(matrix):
    values = np.linalg.svd(np.asarray(matrix), compute_uv=False)
    shares = values[values > 0] / values.sum()
    return np.exp(-(shares * np.log(shares)).sum())


def weights_of(model):
    return model[0].weight.detach()


def hidden(case):
    return torch.tanh(case.model[0](case.data[0])).detach()


def in_order(rows):
    """Numbers that do not tell the order of samples or of neurons."""
    return rows.sort(1)[0].sort(0)[0]


def share_off(case):
    return (case.model[0](case.data[0]) <= 0).double().mean(0).sort()[0]


def units(model, loss, data):
    return instruments.activity(model, data[0])["1"].off.sort()[0]


def saturated(case):
    return (hidden(case).abs() >= 0.5).double().mean(0).sort()[0]


def logits_of(model, x):
    """What the softmax of `Attention` is taken of, (sample, head, query, key)."""
    tokens = model.read(x[..., None])
    rows = nn.functional.linear(tokens, model.attend.in_proj_weight, model.attend.in_proj_bias)
    queries, keys, _ = rows.unflatten(-1, (3, 2, 2)).unbind(-3)
    return torch.einsum("bqhd,bkhd->bhqk", queries, keys) / 2**0.5


def participation_by_hand(case):
    weights = logits_of(case.model, case.data[0]).detach().softmax(-1)
    return weights.square().sum(-1).mean((0, 2))[None]


def cosines_by_hand(case):
    tokens = case.model.read(case.data[0][..., None]).detach()
    found = [
        torch.cosine_similarity(tokens[:, a], tokens[:, b], 1) for a, b in ((0, 1), (0, 2), (1, 2))
    ]
    return torch.stack(found).mean()[None]


def readers(model):
    """The layer of tokens, where there is one."""
    return [name for name, _ in model.named_modules() if name == "read"] or None


CONTRACTS = {
    "neurons": (lambda model, loss, data: instruments.neurons(model, "0", "2"), {
        "documented": instruments.neurons, "referee": directions_by_hand, "read": of_neurons,
        "cases": DENSE, "data": False,
    }),
    "clusters": (
        lambda model, loss, data: instruments.clusters(
            instruments.neurons(model, "0", "2"), CLOSE).count, {
            "documented": instruments.clusters, "referee": groups_by_hand, "cases": DENSE,
            "recorded": instruments.training_condensation("0", "2", CLOSE), "data": False,
        }),
    "training_condensation": (instruments.training_condensation("0", "2", CLOSE), {
        "documented": instruments.training_condensation, "referee": groups_by_hand, "cases": DENSE,
    }),
    "training_amplitudes": (
        sorted_by_neuron(instruments.training_amplitudes("0", "2")), {
            "documented": instruments.training_amplitudes, "cases": DENSE,
            "referee": lambda case: amplitudes_by_hand(case).sort()[0],
        }),
    "training_directions": (sorted_by_neuron(instruments.training_directions("0")), {
        "documented": instruments.training_directions, "cases": DENSE,
        "referee": lambda case: nn.functional.normalize(joined(case)).sort(0)[0],
    }),
    "training_rank": (instruments.training_rank("0"), {
        "documented": instruments.training_rank, "cases": DENSE,
        "referee": lambda case: entropy_rank(weights_of(case.model)),
    }),
    "features": (lambda model, loss, data: instruments.features(model, data[0], "1"), {
        "documented": instruments.features, "cases": DENSE, "read": in_order,
        "referee": lambda case: in_order(hidden(case)),
    }),
    "feature_rank": (lambda model, loss, data: instruments.feature_rank(model, data[0], "1"), {
        "documented": instruments.feature_rank, "cases": DENSE,
        "referee": lambda case: entropy_rank(hidden(case)),
    }),
    "dead": (units, {
        "documented": instruments.activity, "referee": share_off, "cases": RECTIFIED,
        "network": rectified,
    }),
    "saturated": (
        lambda model, loss, data: instruments.activity(
            model, data[0], margin=0.25)["1"].off.sort()[0], {
            "documented": instruments.activity, "referee": saturated, "cases": DENSE,
        }),
    "attention_saturation": (
        lambda model, loss, data: instruments.attention_saturation(model, data[0]), {
            "documented": instruments.attention_saturation, "referee": participation_by_hand,
            "cases": ATTENTION, "network": Attention,
            "read": lambda found: next(iter(found.values())).participation,
        }),
    "token_similarity": (
        lambda model, loss, data: instruments.token_similarity(
            model, data[0], readers(model)).cosine, {
            "documented": instruments.token_similarity, "referee": cosines_by_hand,
            "cases": ATTENTION, "network": Attention,
            "recorded": instruments.training_token_similarity(Attention(), "read"),
        }),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_instrument_of_features_keeps_the_contract(name):
    measure, options = CONTRACTS[name]
    check_instrument(measure, **{"degree": 0, **options})
