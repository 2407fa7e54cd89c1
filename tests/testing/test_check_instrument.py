"""The battery itself: a sound instrument passes, and each spoilt one is named."""

from functools import partial

import pytest
import torch

from chymist import instruments
from chymist.instruments import Estimate, Instrument
from chymist.testing import check_instrument


def trace_of(case):
    return case.hessian.trace()


def mean_curvature(model, loss, data, seed=0):
    """Mean of the Hessian's eigenvalues, tr H / P.

    Shapes: a number. Unit: loss over parameters squared. Cost: two gradient evaluations a
    parameter. Memory: parameters squared. Error: rounding. Source: none.

    >>> line = torch.nn.Linear(1, 1)
    >>> half = lambda out, y: 0.5 * (out - y).square().mean()
    >>> mean_curvature(line, half, (torch.ones(2, 1), torch.ones(2, 1)))
    tensor(1., dtype=torch.float64)
    """
    found = instruments.trace(model, loss, data, products=300, seed=seed)
    return found.value / sum(p.numel() for p in model.parameters())


def mean_of(case):
    return case.hessian.trace() / len(case.row)


def spoilt(change):
    """Return `mean_curvature` with its result, or its call, changed."""

    def instrument(model, loss, data, seed=0):
        return change(
            lambda *given: mean_curvature(*(given or (model, loss, data))), model, loss, data
        )

    return instrument


def failures(measure, **options):
    options = {"referee": mean_of, "documented": mean_curvature, **options}
    with pytest.raises(AssertionError) as caught:
        check_instrument(measure, **options)
    return [line.removeprefix("- ") for line in str(caught.value).splitlines()[1:]]


def test_the_sound_one_passes():
    check_instrument(mean_curvature, referee=mean_of)


def leaves_gradients(whole, model, loss, data):
    loss(model(data[0]), data[1]).backward()
    return whole()


def draws(whole, model, loss, data):
    torch.rand(1)
    return whole()


def switches(whole, model, loss, data):
    model.train()
    return whole()


def nudges(whole, model, loss, data):
    value = whole()
    with torch.no_grad():
        next(model.parameters()).add_(1e-9)
    return value


def counts_calls():
    calls = []

    def change(whole, model, loss, data):
        calls.append(1)
        return whole() * (1 + 1e-6 * len(calls))

    return change


def first_sample_twice(whole, model, loss, data):
    x, y = (torch.cat([d[:1], d]) for d in data)
    return whole(model, loss, (x, y)) if len(data[0]) else whole()


def first_neuron(whole, model, loss, data):
    return whole() + 1e-3 * next(model.parameters())[0].sum().detach()


def in_eval_mode(whole, model, loss, data):
    training = model.training
    model.eval()
    try:
        return whole()
    finally:
        model.train(training)


def blind_to_nan(whole, model, loss, data):
    return whole(model, loss, (data[0].nan_to_num(), data[1]))


def blind_to_lost_weights(whole, model, loss, data):
    with torch.no_grad():
        lost = [(p, p.isnan()) for p in model.parameters()]
        for p, there in lost:
            p.masked_fill_(there, 0.0)
        try:
            return whole()
        finally:
            for p, there in lost:
                p.masked_fill_(there, torch.nan)


def in_words(whole, model, loss, data):
    try:
        return whole()
    except instruments.objective.__globals__["CannotMeasure"] as error:
        raise type(error)("it\ndid not work") from error


def in_other_words(whole, model, loss, data):
    if not len(data[0]):
        raise IndexError("index 0 is out of bounds")
    return whole()


SPOILT = {
    "differs from the referee": (lambda whole, *given: 2 * whole(), {}),
    "does not scale as the loss": (lambda whole, *given: whole() + 1e-3, {"referee": None}),
    "feels the order of samples": (first_sample_twice, {"referee": None}),
    "feels the order of hidden neurons": (first_neuron, {"referee": None, "degree": None}),
    "gives another number when called again": (counts_calls(), {}),
    "PyTorch's state: gradients": (leaves_gradients, {}),
    "PyTorch's state: random generator": (draws, {}),
    "PyTorch's state: mode": (switches, {}),
    "PyTorch's state: parameters": (nudges, {}),
    "is not finite": (lambda whole, *given: whole() / 0, {}),
    "rather than ()": (lambda whole, *given: whole()[None], {}),
    "dropout in training mode: was measured": (in_eval_mode, {}),
    "batch norm in training mode: was measured": (in_eval_mode, {}),
    "a NaN in the inputs: was measured": (blind_to_nan, {}),
    "a NaN in a parameter: was measured": (blind_to_lost_weights, {}),
    "should be one line with a hint": (in_words, {}),
    "an empty batch: ended in IndexError": (in_other_words, {}),
}


def test_what_reads_parameters_alone_is_asked_for_those_alone():
    def size(model, loss, data):
        return torch.cat([p.detach().flatten() for p in model.parameters()]).norm()

    whole = {"referee": lambda case: case.row.norm(), "degree": 0}
    found = failures(size, **whole, data=False)
    assert found == ["a NaN in a parameter: was measured"]
    assert len(failures(size, **whole)) == 6


@pytest.mark.parametrize("said", SPOILT)
def test_a_spoilt_instrument_is_named(said):
    change, options = SPOILT[said]
    found = failures(spoilt(change), **options)
    assert any(said in line for line in found), found


def bare(model, loss, data):
    return mean_curvature(model, loss, data)


def silent(model, loss, data):
    """Mean curvature. Shapes, unit, cost, memory, error, source: as above."""
    return mean_curvature(model, loss, data)


def lying():
    # Not in the module, where its doctest would be collected.
    def instrument(model, loss, data):
        """Mean curvature. Shapes, unit, cost, memory, error, source: as above.

        >>> 1 + 1
        3
        """
        return mean_curvature(model, loss, data)

    return instrument


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        (bare, "does not state: shape, unit, cost, memory, error, source"),
        (bare, "no doctest"),
        (silent, "no doctest"),
        (lying(), "lines of its doctest fail"),
    ],
)
def test_a_docstring_that_says_too_little_or_wrong_is_named(measure, said):
    found = failures(measure, documented=None)
    assert any(said in line for line in found), found


def estimated(change, method="hutchinson"):
    def measure(model, loss, data, seed=0):
        found = instruments.trace(model, loss, data, products=20, method=method, seed=seed)
        value, error = change(found.value, found.standard_error, seed)
        return Estimate(value, error, found.products, found.gradients)

    return measure


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda value, error, seed: (value + 3 * error, error), "is biased"),
        (lambda value, error, seed: (value, error / 3), "times the standard error"),
        (lambda value, error, seed: (value, 3 * error), "times the standard error"),
    ],
)
def test_an_estimate_that_is_biased_or_boasts_is_named(change, said):
    found = failures(
        estimated(change), referee=trace_of, stochastic=True, documented=instruments.trace
    )
    assert any(said in line for line in found), found


def test_an_estimate_that_ignores_its_seed_is_named():
    def measure(model, loss, data, seed=0):
        return instruments.trace(model, loss, data, products=20, seed=0)

    options = {"referee": trace_of, "stochastic": True, "documented": instruments.trace}
    assert any("seed" in line for line in failures(measure, **options))
    without = {**options, "referee": None}
    sound = partial(instruments.trace, products=20)
    assert any("needs a referee" in line for line in failures(sound, **without))


RECORDED = instruments.training_sharpness(tolerance=1e-9)


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        (lambda s: RECORDED.measure(s).flip(0), "differs from the network measured alone"),
        (lambda s: RECORDED.measure(s) * 1.01, "differs from the network measured alone"),
        (lambda s: RECORDED.measure(s) / s.loss.sum(), "a lane feels its neighbours"),
        (lambda s: RECORDED.measure(s) * torch.nan, "recorded in a training it is not finite"),
    ],
)
def test_a_recording_that_is_wrong_is_named(measure, said):
    found = failures(
        partial(instruments.sharpness, tolerance=1e-8),
        referee=lambda case: torch.linalg.eigvalsh(case.hessian)[-1],
        recorded=Instrument("spoilt", measure),
        read=lambda found: found.values[0],
        tolerance=1e-5,
        documented=instruments.sharpness,
    )
    assert any(said in line for line in found), found
