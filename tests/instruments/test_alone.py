"""Instruments that are made for trainings, of one network alone."""

import pytest
import torch
from torch import nn

from chymist import instruments
from chymist.errors import CannotMeasure, MovingTarget
from chymist.instruments import alone
from chymist.testing import small_networks

CASES = {case.name: case for case in small_networks()}


@pytest.mark.parametrize("name", CASES)
def test_curvature_as_it_is_recorded_is_the_matrixs(name):
    case = CASES[name]
    found = alone(
        instruments.training_sharpness(tolerance=1e-8), case.model, case.data, case.loss
    )  # fmt: skip
    torch.testing.assert_close(
        found, torch.linalg.eigvalsh(case.hessian)[-1], rtol=1e-5, atol=0
    )  # fmt: skip


def test_the_loss_is_the_one_given_and_missed_where_it_is_not():
    case = CASES["two layers, cross-entropy"]
    torch.testing.assert_close(
        alone(instruments.loss, case.model, case.data, case.loss), case.value(case.row).detach()
    )
    with pytest.raises(CannotMeasure, match=r"asks for the loss, and|asks for the loss \(give it"):
        alone(instruments.loss, case.model, case.data)


def test_a_model_that_takes_several_inputs_and_has_no_parameters():
    class Sum(nn.Module):
        def forward(self, a, b):
            return a + b

    x = {"a": torch.ones(4, 1), "b": torch.ones(4, 1)}
    found = alone(instruments.training_psnr(), Sum(), (x, torch.full((4, 1), 1.9)))
    assert found.item() == pytest.approx(20, rel=1e-5)


def test_frozen_networks_are_measured_too():
    model = nn.Linear(2, 1).requires_grad_(False)
    found = alone(instruments.training_psnr(), model, (torch.randn(4, 2), torch.zeros(4)))
    assert found.shape == ()


class Overflows(nn.Module):
    def forward(self, x):
        return x / 0


@pytest.mark.parametrize(
    ("model", "data", "kind", "says"),
    [
        (nn.Linear(2, 1), torch.zeros(3, 2), CannotMeasure, "not a pair"),
        (nn.Linear(2, 1), (torch.zeros(3, 2), torch.zeros(2, 1)), CannotMeasure, "differ"),
        (nn.Linear(2, 1), (torch.zeros(3, 2).double(), torch.zeros(3, 1)), CannotMeasure, "float"),
        (nn.Flatten(0), (torch.ones(3, 2), torch.zeros(3, 1)), CannotMeasure, "output is (6,)"),
        (Overflows(), (torch.ones(3, 2), torch.ones(3, 2)), CannotMeasure, "6 of 6 values"),
        (nn.Dropout(), (torch.ones(3, 2), torch.ones(3, 2)), MovingTarget, "model.eval()"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(model, data, kind, says):
    with pytest.raises(kind) as caught:
        alone(instruments.training_psnr(), model, data)
    assert says in str(caught.value)
    assert caught.value.hint


def test_what_differentiates_sample_by_sample_is_measured_of_attention():
    case = next(c for c in small_networks() if c.name.startswith("attention"))
    found = alone(instruments.training_noise_scale()[1], case.model, case.data, case.loss)
    expected = instruments.noise_scale(case.model, case.loss, case.data).trace
    torch.testing.assert_close(found, expected)


class Overflowing(nn.Linear):
    def forward(self, x):
        return super().forward(x).pow(2).exp()


def test_a_network_that_overflows_is_refused_here_and_where_it_is_asked_for():
    model, (x, y) = Overflowing(3, 3).double(), CASES["two layers, squared error"].data
    with pytest.raises(CannotMeasure, match="not finite"):
        alone(instruments.training_norms()[0], model, (1e6 * x, y))
    elsewhere = instruments.held_out_psnr(1e6 * x, y)
    with pytest.raises(CannotMeasure, match="not finite"):
        alone(elsewhere, model, (0.1 * x, y))
