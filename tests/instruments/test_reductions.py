"""Losses that are sums over samples, means, or neither."""

import pytest
import torch
from torch import nn

from chymist import instruments
from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.errors import CannotMeasure
from chymist.instruments import alone
from chymist.instruments.reductions import own_share
from chymist.solvers import GradientDescent
from chymist.testing import small_networks
from chymist.testing.networks import small, two_layers

CASES = {case.name: case for case in small_networks()}
CASE = CASES["two layers, squared error"]


def mean(out, y):
    return 0.5 * (out - y).square().sum(-1).mean()


def total(out, y):
    return 0.5 * (out - y).square().sum()


def between(out, y):
    return total(out, y) / len(out) ** 0.5


def weighted(out, y):
    return (torch.arange(1, 10) * (out - y).square().sum(-1)).mean()


@pytest.mark.parametrize("name", CASES)
def test_a_sum_of_samples_losses_gives_their_gradients_as_a_mean_does(name):
    case = CASES[name]

    def summed(out, y):
        return len(y) * case.loss(out, y)

    for instrument in instruments.training_noise_scale()[1:]:
        found, expected = (
            alone(instrument, case.model, case.data, loss) for loss in (summed, case.loss)
        )
        torch.testing.assert_close(found, expected)
    found, expected = (
        instruments.second_moments(case.model, case.data[0], loss=loss, y=case.data[1]).backward
        for loss in (summed, case.loss)
    )
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("measure", [
    instruments.gradient_norms, instruments.gradient_variance,
    lambda *given: instruments.noise_scale(*given).trace,
    lambda *given: instruments.gradient_covariance(*given).values,
    lambda *given: instruments.noise_alignment(*given).factor,
    lambda *given: instruments.nonuniformity(*given).value,
])  # fmt: skip
def test_what_is_made_of_single_samples_losses_takes_a_sum_for_a_mean(measure):
    found, expected = (measure(CASE.model, loss, CASE.data) for loss in (total, mean))
    torch.testing.assert_close(found, expected)


def trained(loss, lr):
    bench = Bench("testing", "reductions", (0, 1, 2), dtype=torch.float64)
    case = small("reductions", two_layers)
    noise, moments = instruments.training_noise_scale(), instruments.training_moments(two_layers())
    return bench.train(
        bench.networks(two_layers), GradientDescent(lr), *(samples(d.numpy()) for d in case.data),
        loss=loss, steps=4, record={i: every(2) for i in (*noise, *moments)},
    )  # fmt: skip


def test_a_training_on_a_sum_records_what_one_on_a_mean_does():
    # With a rate smaller by the number of samples it takes the same steps.
    one, other = trained(mean, 0.1), trained(total, 0.1 / 9)
    for name in ("noise_scale_trace", "noise_scale_squared_gradient", "moment_backward"):
        torch.testing.assert_close(
            torch.tensor(other.data[name].values), torch.tensor(one.data[name].values)
        )


@pytest.mark.parametrize(("loss", "said"), [
    (between, "neither a mean nor a sum over samples"),
    (weighted, "does not take every sample twice"),
])  # fmt: skip
def test_a_loss_that_is_neither_is_refused_in_one_line(loss, said):
    for measure in (
        lambda: trained(loss, 0.01),
        lambda: alone(instruments.training_noise_scale()[1], CASE.model, CASE.data, loss),
        lambda: instruments.second_moments(CASE.model, CASE.data[0], loss=loss, y=CASE.data[1]),
    ):
        with pytest.raises(CannotMeasure) as caught:
            measure()
        text = str(caught.value)
        assert said in text and 'reduction="mean"' in text and "\n" not in text, text


def test_lanes_that_are_lost_have_no_say():
    out = torch.randn(3, 4, 2)
    out[1] = torch.inf
    y = torch.zeros(4, 2)

    def by_lane(out, y):
        return (out - y).square().mean((1, 2))

    assert own_share(by_lane, out, y, 4, dim=1) == 4
    assert own_share(lambda out, y: 4 * by_lane(out, y), out, y, 4, dim=1) == 4
    assert own_share(lambda out, y: len(y) * by_lane(out, y), out, y, 4, dim=1) == 1
    # Each lane has targets of its own.
    assert own_share(by_lane, out, y.expand(3, 4, 2), 4, dim=1) == 4


def test_curvature_follows_the_loss_as_it_is_given():
    for measure in (
        instruments.trace,
        lambda *given: instruments.sharpness(*given, tolerance=1e-8),
    ):
        found, expected = (measure(CASE.model, loss, CASE.data) for loss in (total, mean))
        one, two = (getattr(f, "value", None) for f in (found, expected))
        one, two = (f.values if v is None else v for f, v in ((found, one), (expected, two)))
        torch.testing.assert_close(one, 9 * two, rtol=1e-5, atol=0)
    of_classes = nn.CrossEntropyLoss(reduction="sum")
    assert own_share(of_classes, torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1]), 5) == 1
