"""Operations with faster second derivatives: PyTorch's values and derivatives, of every order."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from chymist.instruments import hessian, objective
from chymist.instruments.products import own_functions
from chymist.instruments.second_derivatives import OWN, POOLED, FasterSecondDerivatives
from chymist.keys import Key

F64 = torch.float64


def drawn(name, *shape):
    return torch.randn(*shape, generator=Key("tests", "second", 0, name).torch(), dtype=F64)


def tensors(*shapes):
    return [drawn(str(i), *shape) for i, shape in enumerate(shapes)]


COVERED = {
    "convolution": (F.conv2d, tensors((2, 3, 5, 4), (4, 3, 3, 2), (4,))),
    "without a bias": (F.conv2d, tensors((2, 3, 5, 4), (4, 3, 3, 2))),
    "strided, padded": (
        lambda x, w, b: F.conv2d(x, w, b, 2, (1, 2)), tensors((2, 2, 5, 6), (3, 2, 3, 3), (3,)),
    ),
    "dilated, in groups": (
        lambda x, w, b: F.conv2d(x, w, b, dilation=2, groups=2),
        tensors((2, 4, 6, 5), (6, 2, 2, 2), (6,)),
    ),
    "along a line": (
        lambda x, w, b: F.conv1d(x, w, b, stride=2), tensors((2, 3, 7), (4, 3, 3), (4,)),
    ),
    "in space": (F.conv3d, tensors((1, 2, 3, 4, 3), (2, 2, 2, 2, 2), (2,))),
    "a constant picture": (
        lambda w, b: F.conv2d(drawn("picture", 2, 3, 4, 4), w, b), tensors((2, 3, 3, 3), (2,)),
    ),
    "a constant weight": (
        lambda x: F.conv2d(x, drawn("filter", 2, 3, 3, 3)), tensors((2, 3, 4, 4)),
    ),
    "gelu": (F.gelu, tensors((3, 7))),
    "silu": (nn.SiLU(), tensors((3, 7))),
    "pooling": (lambda x: F.avg_pool2d(x, 2), tensors((2, 3, 4, 6))),
    "pooling oblongs": (lambda x: F.avg_pool2d(x, (2, 3), (2, 3)), tensors((2, 1, 4, 6))),
}  # fmt: skip

LEFT = {
    "padding by name": (
        lambda x, w: F.conv2d(x, w, padding="same"), tensors((1, 1, 4, 4), (1, 1, 3, 3)),
    ),
    "one picture": (F.conv2d, tensors((2, 4, 4), (3, 2, 3, 3))),
    "pooling with overlap": (lambda x: F.avg_pool2d(x, 3, 1), tensors((1, 2, 5, 5))),
    "pooling with padding": (lambda x: F.avg_pool2d(x, 2, padding=1), tensors((1, 2, 4, 4))),
    "pooling with a rest": (lambda x: F.avg_pool2d(x, 2), tensors((1, 2, 5, 4))),
    "pooling rounded up": (lambda x: F.avg_pool2d(x, 2, ceil_mode=True), tensors((1, 2, 5, 4))),
    "pooling by a sum": (lambda x: F.avg_pool2d(x, 2, divisor_override=1), tensors((1, 2, 4, 4))),
    "pooling a large picture": (lambda x: F.avg_pool2d(x, 2), tensors((1, 1, 2, POOLED))),
    "gelu by tanh": (lambda x: F.gelu(x, approximate="tanh"), tensors((2, 3))),
    "silu in place": (lambda x: F.silu(1 * x, inplace=True), tensors((2, 3))),
}  # fmt: skip


def derivatives(function, inputs):
    """The value, and three derivatives along random directions, by all inputs."""
    leaves = [t.clone().requires_grad_() for t in inputs]
    made = [function(*leaves)]
    # Not linear in the operation's output, so that all terms of its derivatives count.
    last = (made[0] * drawn("out", *made[0].shape)).sin().sum()
    for order in range(3):
        slopes = torch.autograd.grad(last, leaves, create_graph=True, materialize_grads=True)
        made += slopes
        along = [drawn(f"{order} {i}", *s.shape) for i, s in enumerate(slopes)]
        last = sum((s * v).sum() for s, v in zip(slopes, along, strict=True))
    return made


def nodes(tensor):
    waiting, seen = [tensor.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [following for following, _ in node.next_functions]
    return {node.name().removesuffix("Backward") for node in seen}


OWN_NAMES = {function.__name__ for function in OWN}


@pytest.mark.parametrize("name", COVERED | LEFT)
def test_derivatives_of_three_orders_are_pytorchs(name):
    function, inputs = (COVERED | LEFT)[name]
    expected = derivatives(function, inputs)
    with FasterSecondDerivatives():
        found = derivatives(function, inputs)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", COVERED | LEFT)
def test_what_is_covered_is_computed_here_and_what_is_left_is_not(name):
    function, inputs = (COVERED | LEFT)[name]
    with FasterSecondDerivatives():
        met = nodes(function(*(t.clone().requires_grad_() for t in inputs)))
    own = "AvgPool2DBackward0" not in met if "pooling" in name else bool(met & OWN_NAMES)
    assert own == (name in COVERED)


def test_a_product_with_the_hessian_of_a_picture_network_is_not_checked_against_differences():
    torch.random.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.GELU(), nn.AvgPool2d(2), nn.Conv2d(2, 2, 2), nn.SiLU(),
        nn.Flatten(), nn.Linear(8, 3),
    ).double()  # fmt: skip
    made = objective(model, nn.CrossEntropyLoss(), (drawn("x", 4, 1, 8, 8), torch.arange(4) % 3))
    assert own_functions(made.kept) == set()
    v = drawn("v", 1, 1, made.size)
    leaves = list(model.parameters())
    value = nn.CrossEntropyLoss()(model(drawn("x", 4, 1, 8, 8)), torch.arange(4) % 3)
    row = torch.cat([g.flatten() for g in torch.autograd.grad(value, leaves, create_graph=True)])
    expected = torch.cat([g.flatten() for g in torch.autograd.grad(row, leaves, v[0, 0])])
    torch.testing.assert_close(hessian(made)(v)[0, 0], expected, rtol=1e-11, atol=1e-13)


class Steep(nn.Module):
    """A model with a derivative by its input, taken by torch.func, in its forward pass."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(2, 3), nn.GELU(), nn.Linear(3, 1, bias=False))

    def forward(self, x):
        return torch.vmap(torch.func.grad(lambda one: self.inner(one).sum()))(x)


def test_a_model_may_use_torch_func():
    torch.random.manual_seed(0)
    model, x = Steep().double(), drawn("steep", 5, 2)
    made = objective(model, nn.MSELoss(), (x, drawn("goal", 5, 2)))
    assert hessian(made)(torch.ones(1, 1, made.size, dtype=F64)).isfinite().all()
