"""Another library's operators as referee, where it is installed; it is no dependency."""

import warnings

import pytest
import torch

from chymist.instruments import dense, empirical_fisher, gauss_newton, hessian, objective
from chymist.testing.networks import Residual, small, two_layers

with warnings.catch_warnings():
    # What it imports is not ours to mend.
    warnings.simplefilter("ignore")
    curvlinops = pytest.importorskip("curvlinops", exc_type=ImportError)

OPERATORS = {
    "HessianLinearOperator": hessian,
    "GGNLinearOperator": gauss_newton,
    "EFLinearOperator": empirical_fisher,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("build", [two_layers, Residual])
@pytest.mark.parametrize("classes", [True, False])
@pytest.mark.parametrize("name", OPERATORS)
def test_the_matrices_are_theirs(name, build, classes):
    case = small(f"curvlinops, {build.__name__}", build, classes=classes)
    loss = torch.nn.CrossEntropyLoss() if classes else torch.nn.MSELoss()
    theirs = getattr(curvlinops, name)(case.model, loss, list(case.model.parameters()), [case.data])
    expected = theirs @ torch.eye(len(case.row), dtype=torch.float64)
    found = dense(OPERATORS[name](objective(case.model, loss, case.data)))[0]
    if name == "EFLinearOperator" and not classes:
        # They weigh squares of gradients of sums over 3 outputs by 1/3; ours are of the means.
        found = 3 * found
    torch.testing.assert_close(found, expected.detach(), rtol=1e-8, atol=1e-12)
