import pytest
import torch
from by_kernel import need_kernel

from chymist import training
from chymist.native import run as native
from chymist.native.build import NoKernel


@pytest.fixture(autouse=True, params=["native", "stacked"])
def engine(request, monkeypatch):
    """Train by the compiled kernel where it can, and never by it: all must hold for both."""
    if request.param == "native":
        need_kernel()
    else:

        def refuse(task):
            raise NoKernel("not in this test")

        monkeypatch.setattr(native, "plan", refuse)
    return request.param


@pytest.fixture(autouse=True)
def threads():
    """Two threads, whatever the machine has; and the engine must leave the number alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


@pytest.fixture
def small_groups(monkeypatch):
    """Make groups as small as they get."""
    monkeypatch.setattr(training, "CACHE", 1)
