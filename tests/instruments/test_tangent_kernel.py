"""The tangent kernel against whole Jacobians, for layers of all kinds and for what is none."""

import pytest
import torch
from sample_modules import (
    REWRITTEN,
    VECTORISED,
    Constant,
    Convolutional,
    SampleMean,
    Skipping,
    Tied,
)
from token_modules import FEATURES, SPELLINGS, ResidualMLP
from torch import nn
from torch.func import functional_call, jacrev
from torch.nn.attention import SDPBackend, sdpa_kernel

from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.instruments import (
    conjugate_kernel,
    empirical_ntk,
    jacobian_products,
    ntk,
    tangent_kernel,
    training_kernel_spectrum,
)
from chymist.instruments.layer_signals import factors
from chymist.instruments.networks import of_model
from chymist.solvers import GradientDescent

F64 = torch.float64
TREATED = {"full": "iojq->iojq", "each": "iojo->oij", "trace": "iojo->ij"}


class ChangedInPlace(nn.Module):
    """Changes what layers put out, and if asked what they were given."""

    def __init__(self, given=False):
        super().__init__()
        self.first, self.second, self.third = nn.Linear(2, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.given = given

    def forward(self, x):
        h = self.first(x).mul_(2)
        part = self.second(h)
        return self.third(part.mul_(2) + (h.mul_(3) if self.given else h))


class FoldedBias(nn.Module):
    """A layer whose bias and weight are made of parameters rather than being them."""

    def __init__(self):
        super().__init__()
        self.layer, self.scale = nn.Linear(2, 3), nn.Parameter(torch.randn(3))
        self.idle = nn.Linear(2, 2)

    def forward(self, x):
        inner = nn.functional.linear(x, self.layer.weight, self.scale.exp())
        return nn.functional.linear(inner, torch.outer(self.scale, self.scale), self.layer.bias)


class Tokens(nn.Module):
    """Layers over tokens, two of them by one weight that also enters without a layer."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(5, 4)
        self.mix, self.read = nn.Linear(4, 4), nn.Linear(4, 5)
        self.read.weight = self.embed.weight

    def forward(self, x):
        h = self.embed((x * 2).long().clamp(0, 4))
        return self.read(torch.tanh(self.mix(self.mix(h))).mean(1))


class Lines(nn.Module):
    """Convolutions of one dimension, strided, dilated, padded to the same size, in groups."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(2, 24), nn.Unflatten(1, (2, 12)), nn.Conv1d(2, 4, 3, stride=2, padding=1),
            nn.Tanh(), nn.Conv1d(4, 4, 2, dilation=2), nn.Conv1d(4, 4, 3, padding="same"),
            nn.ReLU(inplace=True), nn.Conv1d(4, 4, 1, groups=2), nn.BatchNorm1d(4), nn.Flatten(),
            nn.Linear(16, 2),
        )  # fmt: skip

    def forward(self, x):
        return self.net(x)


def wide_picture():
    return nn.Sequential(
        nn.Linear(2, 40), nn.Unflatten(1, (1, 5, 8)),
        nn.Conv2d(1, 3, (2, 3), stride=(1, 2), padding=(1, 0), dilation=(2, 1)), nn.Tanh(),
        nn.Flatten(), nn.Linear(45, 2),
    )  # fmt: skip


def one_number():
    return nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1), nn.Flatten(0))


BUILDS = [
    *REWRITTEN, *(b for b in VECTORISED if b is not Constant), Convolutional, Skipping,
    lambda: Convolutional(dilation=2), ChangedInPlace, FoldedBias, Tokens, Lines, wide_picture,
    one_number,
]  # fmt: skip


def made(build, features=2, count=6):
    torch.random.manual_seed(0)
    model = build().double().eval()
    return model, torch.randn(count, features, dtype=F64), torch.randn(4, features, dtype=F64)


def jacobian(model, x):
    own = {n: p.detach() for n, p in model.named_parameters()}

    def outputs(parameters):
        with sdpa_kernel(SDPBackend.MATH):
            return functional_call(model, parameters, (x.clone(),)).reshape(len(x), -1)

    return torch.cat([j.reshape(*j.shape[:2], -1) for j in jacrev(outputs)(own).values()], -1)


def by_jacobians(model, x, other=None):
    one = jacobian(model, x)
    return torch.einsum("iop,jqp->iojq", one, one if other is None else jacobian(model, other))


def agrees(found, expected, tolerance=1e-12):
    assert found.shape == expected.shape
    assert (found - expected).norm() <= tolerance * expected.norm()


@pytest.mark.parametrize("build", range(len(BUILDS)))
def test_every_kind_of_layer_gives_the_jacobians_kernel(build):
    model, x, other = made(BUILDS[build])
    for second in (None, other):
        whole = by_jacobians(model, x, second)
        for outputs, way in TREATED.items():
            agrees(ntk(model, x, second, outputs=outputs), torch.einsum(way, whole))


@pytest.mark.parametrize("build", range(len(SPELLINGS)))
def test_transformers_give_the_jacobians_kernel(build):
    model, x, other = made(SPELLINGS[build], FEATURES)
    for second in (None, other):
        agrees(ntk(model, x, second, outputs="full"), by_jacobians(model, x, second))


def left(build):
    model, x, _ = made(build)
    return factors(of_model(model, x), x).left


def test_layers_are_taken_by_factors_and_the_rest_by_rows():
    assert (
        left(lambda: nn.Sequential(nn.Linear(2, 3), nn.ReLU(inplace=True), nn.Linear(3, 2))) == ()
    )
    assert left(Tied) == () and left(wide_picture) == () and left(Convolutional) == ()
    assert left(SampleMean) == ("layer.weight", "layer.bias")
    assert left(FoldedBias) == ("scale",) or "layer.weight" not in left(FoldedBias)
    assert left(Tokens) == ("embed.weight",)
    assert left(ChangedInPlace) == ()


def test_what_a_layer_was_given_may_not_be_changed_after_it():
    # PyTorch cannot train it either; products of factors would give a number, and a wrong one.
    model, x, _ = made(lambda: nn.Sequential(nn.Linear(2, 2), ChangedInPlace(given=True)))
    with pytest.raises(RuntimeError, match="inplace"):
        ntk(model, x)


@pytest.mark.parametrize("build", [Convolutional, Lines, SPELLINGS[0], SampleMean, Tied])
def test_bounds_on_memory_change_nothing(build, monkeypatch):
    model, x, other = made(build, FEATURES if build is SPELLINGS[0] else 2)
    whole = {(s is None, o): ntk(model, x, s, outputs=o) for s in (None, other) for o in TREATED}
    monkeypatch.setattr(jacobian_products, "LIMIT", 200)
    monkeypatch.setattr(jacobian_products, "PART", 60)
    monkeypatch.setattr(tangent_kernel, "LIMIT", 500)
    for (same, outputs), expected in whole.items():
        agrees(ntk(model, x, None if same else other, outputs=outputs), expected)


@pytest.mark.parametrize("outputs", TREATED)
@pytest.mark.parametrize("same", [True, False])
def test_both_ways_to_multiply_factors_agree(outputs, same):
    torch.random.manual_seed(0)

    def drawn(count):
        a, s = (2, count, 4, 6), (2, count, 3, 4, 7)
        return torch.randn(a, dtype=F64), torch.randn(s, dtype=F64)

    one = drawn(80)
    two = one if same else drawn(9)
    by_rows = jacobian_products._by_rows(*one, *two, outputs)
    agrees(jacobian_products._by_pairs(*one, *two, outputs), by_rows)


@pytest.mark.parametrize("outputs", TREATED)
def test_half_of_a_large_product_gives_the_other(outputs):
    rows = torch.randn(1, 90, 2, 500, dtype=F64)
    whole = jacobian_products.of_rows(rows, rows.clone(), outputs)
    agrees(jacobian_products.of_rows(rows, rows, outputs), whole)


def test_the_jacobian_is_never_made():
    # It would take 64 samples x 10 outputs x 4.3 million parameters x 4 bytes = 11 GB.
    model = nn.Sequential(nn.Linear(8, 2048), nn.Tanh(), nn.Linear(2048, 2048), nn.Linear(2048, 10))
    x = torch.randn(64, 8)
    kernel = ntk(model, x)
    own = [p for n, p in model.named_parameters()]
    slopes = [torch.autograd.grad(model(x)[3, o], own) for o in range(10)]
    square = sum(float(s.double().square().sum()) for each in slopes for s in each)
    assert float(kernel[3, 3]) == pytest.approx(square, rel=1e-5)


def test_part_of_the_parameters_adds_up_and_frozen_ones_are_constants():
    model, x, _ = made(REWRITTEN[0])
    names = [n for n, _ in model.named_parameters()]
    agrees(sum(ntk(model, x, only=n) for n in names), ntk(model, x))
    whole = ntk(model, x, only=names[0])
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name == names[0])
    agrees(ntk(model, x), whole)


def test_the_trace_is_the_sum_over_outputs_and_single_precision_is_near():
    model, x, _ = made(Convolutional)
    agrees(ntk(model, x, outputs="each").sum(0), ntk(model, x))
    agrees(ntk(model.float(), x.float()).double(), ntk(model.double(), x), 1e-5)
    agrees(ntk(model.float(), x.float(), dtype=F64), ntk(model.double(), x), 1e-5)


def test_inputs_may_be_a_tuple_or_a_mapping():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.norm = nn.Linear(2, 3), nn.LayerNorm(3)

        def forward(self, a, b):
            return self.norm(self.layer(a)) * b

    model, x, other = made(Pair)
    b, c = x[:, :1] + 2, other[:, :1] - 1
    whole = ntk(model, (x, b), (other, c))
    agrees(ntk(model, {"a": x, "b": b}, {"a": other, "b": c}), whole)
    both = ntk(model, (torch.cat([x, other]), torch.cat([b, c])))
    agrees(both[:6, 6:], whole)


def test_the_conjugate_kernel_is_the_tangent_kernel_by_the_last_weight():
    cases = ((one_number, 2, "2"), (Convolutional, 2, "net.8"), (ResidualMLP, FEATURES, "last"))
    for build, features, last in cases:
        model, x, other = made(build, features)
        count = model(x).reshape(len(x), -1).shape[1]
        for second in (None, other):
            expected = ntk(model, x, second, only=f"{last}.weight") / count
            agrees(conjugate_kernel(model, x, second), expected)
    model, x, other = made(one_number)
    agrees(conjugate_kernel(model, x, other, layer="0"), x @ other.T)


def networks(build, seeds=(0, 1, 2)):
    return Bench("tests", "kernels", seeds, dtype=F64).networks(build)


LANES = [*REWRITTEN, *VECTORISED[:4], Convolutional]


@pytest.mark.parametrize("build", range(len(LANES)))
def test_a_recorded_kernel_is_that_of_each_network_alone(build):
    torch.random.manual_seed(0)
    ensemble = networks(LANES[build])
    x = torch.randn(5, 2, dtype=F64)
    out = LANES[build]()(x.float()).shape[1]
    training = ensemble.train(
        GradientDescent(0.05), samples(x.numpy()), samples(torch.zeros(5, out).double().numpy()),
        steps=2, record={training_kernel_spectrum(5): every(1)},
    )  # fmt: skip
    after = training.end.measure(empirical_ntk, x, ("sample", "other"))
    for trained, step in ((training.end, -1), (ensemble, 0)):
        kernels = torch.as_tensor(trained.measure(empirical_ntk, x, ("sample", "other")).values)
        expected = torch.linalg.eigvalsh(kernels / 5).flip(-1)
        found = torch.as_tensor(training.data.kernel_eigenvalue.isel(step=step).values)
        agrees(found, expected, 1e-9)
    for lane in range(3):
        model = LANES[build]().double()
        model.load_state_dict({
            **{n: p[lane] for n, p in training.end.parameters.items()},
            **{n: b[lane] for n, b in training.end.buffers.items()},
        }, strict=False)  # fmt: skip
        agrees(torch.as_tensor(after.values[lane]), ntk(model, x), 1e-10)


def test_lanes_commute_with_slicing():
    x = torch.randn(5, 2, dtype=F64, generator=torch.Generator().manual_seed(0))
    whole, part = networks(REWRITTEN[0]), networks(REWRITTEN[0], (2, 0))
    kernels = [e.measure(empirical_ntk, x, ("sample", "other")) for e in (whole, part)]
    assert (kernels[0].sel(seed=[2, 0]).values == kernels[1].values).all()
