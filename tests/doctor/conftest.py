from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    """Draw every test's nets and data from one seed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
