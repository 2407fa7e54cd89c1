import numpy as np
import pytest
import torch

from chymist import models
from chymist.theory.two_layer_loss import TwoLayerLoss

X = np.random.default_rng(0).normal(size=(7, 3))
Y = np.random.default_rng(1).normal(size=7)
LOSS = TwoLayerLoss(X, Y, 4)
W = np.random.default_rng(2).normal(size=LOSS.size)
MODULE = models.MLP(3, 4, 1).double()


def by_autograd(w):
    pieces, place = {}, 0
    for name, p in MODULE.named_parameters():
        pieces[name] = w[place : place + p.numel()].reshape(p.shape)
        place += p.numel()
    assert place == len(w)
    out = torch.func.functional_call(MODULE, pieces, torch.as_tensor(X))
    return 0.5 * (out[:, 0] - torch.as_tensor(Y)).square().mean()


def test_it_is_the_loss_of_the_module_with_its_derivatives():
    w = torch.as_tensor(W)
    gradient = torch.autograd.functional.jacobian(by_autograd, w)
    hessian = torch.autograd.functional.hessian(by_autograd, w)
    assert LOSS(W) == pytest.approx(by_autograd(w).item(), rel=1e-12)
    np.testing.assert_allclose(LOSS.gradient(W), gradient, atol=1e-13)
    np.testing.assert_allclose(LOSS.hessian(W), hessian, atol=1e-12)


@pytest.mark.parametrize(
    ("x", "y", "neurons", "message"),
    [
        (X, Y[:3], 4, r"x must be .n, d. and y .n,., got .7, 3. and .3,."),
        (X, Y, 0, "neurons must be a whole number from 1, got 0"),
        (X, np.full(7, np.nan), 4, "y must be finite, got nan"),
    ],
)
def test_bad_arguments_are_refused(x, y, neurons, message):
    with pytest.raises(ValueError, match=message):
        TwoLayerLoss(x, y, neurons)


def test_parameters_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"w must have shape .21,., got .20,."):
        LOSS(W[:-1])
