import pytest
import torch

from chymist import training


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
