"""What cannot be measured ends in one line that says what, and what to do."""

import math

import pytest
import torch
from torch import nn

from chymist import instruments
from chymist.errors import BadParameter, CannotMeasure, MovingTarget, UsageError
from chymist.instruments import objective, sharpness

X, Y = torch.linspace(-1, 1, 15).view(5, 3), torch.linspace(0, 1, 10).view(5, 2)
LOSS = nn.MSELoss()


def net(**options):
    return nn.Sequential(nn.Linear(3, 4, **options), nn.Tanh(), nn.Linear(4, 2))


def refused(kind, *words, model=None, loss=LOSS, data=(X, Y), k=1, **options):
    with pytest.raises(kind) as caught:
        sharpness(model or net(), loss, data, k, **options)
    line = str(caught.value)
    assert isinstance(caught.value, UsageError) and caught.value.exit_code == 2
    assert "\n" not in line and caught.value.hint and len(line) < 250
    for word in words:
        assert word in line, line


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, slope):
        return 3 * slope * ctx.saved_tensors[0] ** 2


class Whole(torch.autograd.Function):
    """As `Cube`, with a second derivative."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, slope):
        return 3 * slope * ctx.saved_tensors[0] ** 2


def test_dropout_and_batch_norm_must_be_in_eval_mode():
    for layer, name in ((nn.Dropout(0.1), "Dropout"), (nn.BatchNorm1d(4), "BatchNorm1d")):
        model = nn.Sequential(nn.Linear(3, 4), layer, nn.Linear(4, 2))
        refused(MovingTarget, name, "model.eval()", model=model)
        sharpness(model.eval(), LOSS, (X, Y))
        model.train()
        instruments.sharpness(nn.Sequential(model[0], model[2]), LOSS, (X, Y))
    still = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.0), nn.Linear(4, 2)).train()
    sharpness(still, LOSS, (X, Y))


def test_a_loss_that_draws_is_found_by_calling_it_twice():
    model = net()
    before = torch.get_rng_state()
    noisy = lambda out, y: LOSS(out + 0.01 * torch.rand_like(out), y)  # noqa: E731
    refused(MovingTarget, "and then", "moving target", loss=noisy, model=model)
    assert torch.equal(before, torch.get_rng_state())


def test_the_loss_must_be_one_number_that_depends_on_the_parameters():
    refused(CannotMeasure, "(5, 2)", "reduction", loss=nn.MSELoss(reduction="none"))
    refused(CannotMeasure, "float", "tensor", loss=lambda out, y: 1.0)
    refused(CannotMeasure, "does not depend", loss=lambda out, y: y.sum())
    refused(CannotMeasure, "does not depend", loss=lambda out, y: LOSS(out.detach(), y))


def test_what_has_no_second_derivative_is_named():
    for loss in (
        lambda out, y: Cube.apply(out).mean(),
        lambda out, y: (Cube.apply(out) ** 2).mean(),
    ):
        refused(CannotMeasure, "not twice differentiable", "Cube", loss=loss)
    own = sharpness(net().double(), lambda out, y: Whole.apply(out).mean(), (X.double(),) * 2)
    assert own.converged
    refused(
        CannotMeasure,
        "not twice differentiable",
        "second derivative",
        loss=lambda out, y: torch.nn.functional.ctc_loss(
            out[:, None].log_softmax(-1), torch.ones(1, 2), (5,), (2,)
        ),
    )


def test_dtypes_and_devices_must_agree():
    refused(CannotMeasure, "float64", "float32", "x.to(dtype)", data=(X.double(), Y))
    refused(CannotMeasure, "target", "float64", data=(X, Y.double()))
    refused(CannotMeasure, "meta", "cpu", "one device", data=(X.to("meta"), Y))
    mixed = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2).double())
    refused(CannotMeasure, "1.weight", "float64", model=mixed)


def test_there_must_be_samples_one_target_each():
    refused(CannotMeasure, "no samples", data=(X[:0], Y[:0]))
    refused(CannotMeasure, "5", "4", data=(X, Y[:4]))
    refused(CannotMeasure, "(x, y)", data=X)
    refused(CannotMeasure, "list", "tensor", data=({"x": [1.0]}, Y))


def test_something_must_be_trainable_and_used():
    frozen = net().requires_grad_(False)
    refused(CannotMeasure, "requires_grad", model=frozen)
    frozen[0].weight.requires_grad_(True)
    refused(BadParameter, "2.weight", "requires_grad", model=frozen, only="2.weight")
    refused(BadParameter, "2.wieght", "did you mean 2.weight?", only=["2.wieght"])
    spare = net()
    spare.register_parameter("spare", nn.Parameter(torch.ones(2)))
    refused(CannotMeasure, "spare", "only=", model=spare)
    sharpness(spare, LOSS, (X, Y), only=["0.*", "2.*"])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_named(bad):
    x, y, model = X.clone(), Y.clone(), net()
    x[1, 2] = y[0, 0] = bad
    refused(CannotMeasure, "input x", "1 of 15", "not finite", data=(x, Y))
    refused(CannotMeasure, "target y", "1 of 10", data=(X, y))
    with torch.no_grad():
        model[2].weight[0, 0] = bad
    refused(CannotMeasure, "2.weight", "1 of 8", model=model)
    refused(CannotMeasure, "the loss is", loss=lambda out, y: LOSS(out, y) * bad)
    refused(
        CannotMeasure, "product", "not finite",
        loss=lambda out, y: (out - out.detach()).square().sum() ** 0.5 + out.sum(),
    )  # fmt: skip


def test_numbers_must_be_in_range():
    refused(BadParameter, "k is 27", "26", k=27)
    refused(BadParameter, "k is 0", k=0)
    refused(BadParameter, "tolerance", tolerance=0.0)
    refused(BadParameter, "block", block=0)
    refused(BadParameter, "end", "top", end="middle")
    refused(BadParameter, "hesian", "did you mean hessian?", matrix="hesian")
    refused(BadParameter, "samples_at_once", samples_at_once=0)
    refused(CannotMeasure, "mean over", samples_at_once=2, loss=nn.MSELoss(reduction="sum"))
    with pytest.raises(BadParameter, match="products is 5"):
        instruments.trace(net(), LOSS, (X, Y), products=5)
    with pytest.raises(BadParameter, match="method is"):
        instruments.trace(net(), LOSS, (X, Y), method="hutch")
    with pytest.raises(BadParameter, match="probes is 1"):
        instruments.spectral_density(net(), LOSS, (X, Y), probes=1)
    with pytest.raises(BadParameter, match="width is"):
        instruments.spectral_density(net(), LOSS, (X, Y), width=-1.0)
    with pytest.raises(BadParameter, match="guard -1"):
        instruments.training_sharpness(guard=-1)


def test_directions_and_preconditioners_must_fit():
    model = net()
    good = {n: torch.ones_like(p) for n, p in model.named_parameters()}
    for change, word in (
        ({"0.wieght": torch.ones(4, 3)}, "did you mean 0.weight"),
        ({"0.weight": torch.ones(3, 4)}, r"\(3, 4\) at 0.weight"),
        ({n: 0 * v for n, v in good.items()}, "the direction is zero"),
    ):
        with pytest.raises(CannotMeasure, match=word):
            instruments.directional_curvature(model, LOSS, (X, Y), {**good, **change})
    less = {n: v for n, v in good.items() if n != "2.bias"}
    with pytest.raises(CannotMeasure, match=r"lacks 2\.bias"):
        instruments.directional_curvature(model, LOSS, (X, Y), less)
    good["0.bias"][1] = 0.0
    refused(CannotMeasure, "preconditioner is 0", model=model, preconditioner=good)


def test_large_networks_have_no_exact_inertia():
    with pytest.raises(CannotMeasure, match="too many for the whole Hessian"):
        instruments.inertia(nn.Linear(3, 2000), lambda out, y: out.square().mean(), (X, Y))


def test_outputs_of_several_tensors_have_a_hessian_and_no_gauss_newton():
    class Pair(nn.Linear):
        def forward(self, x):
            out = super().forward(x)
            return {"out": out, "size": out.square().mean()}

    loss = lambda out, y: out["size"] + LOSS(out["out"], y)  # noqa: E731
    found = objective(Pair(3, 2), loss, (X, Y))
    assert instruments.dense(instruments.hessian(found)).shape == (1, 8, 8)
    for matrix in ("gauss-newton", "empirical-fisher"):
        refused(CannotMeasure, "output", model=Pair(3, 2), loss=loss, matrix=matrix)


def test_measuring_leaves_the_model_as_it_was():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).eval()
    model[0].weight.grad = torch.ones(4, 3)
    model[1].weight.requires_grad_(False)
    before = {n: t.clone() for n, t in model.state_dict().items()}
    for measure in (sharpness, instruments.trace, instruments.spectral_density):
        measure(model, LOSS, (X, Y))
    assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())
    assert torch.equal(model[0].weight.grad, torch.ones(4, 3))
    assert model[2].weight.grad is None and not model[1].weight.requires_grad
    assert not model.training


def test_a_state_that_a_model_keeps_is_not_changed():
    class Counting(nn.Linear):
        def __init__(self):
            super().__init__(3, 2)
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls += 1
            return super().forward(x)

    model = Counting()
    assert sharpness(model, LOSS, (X, Y)).converged
    assert model.calls == 0
