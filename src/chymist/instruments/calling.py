"""Calling a model as a function of its state, its attention by its formula.

Nothing of the model is changed (`torch.func.functional_call`). The fast kernels of attention have
no second derivative and no rule for `torch.vmap`, and call no layers that could be listened to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from chymist.instruments import checks


def called(model: nn.Module, states: Mapping[str, Tensor], x: Any) -> Any:
    """Call a model as a function of its parameters and buffers, its attention by its formula."""
    args, words = checks.arguments(x)
    with by_formula():
        return functional_call(model, dict(states), args, words)


@contextmanager
def by_formula() -> Iterator[None]:
    """Keep attention from its fused kernels, in all threads, as long as it lasts.

    PyTorch's switches are global, and threads that leave in another order than they came would
    leave them wrong: enter it before they start, and what they do inside it changes nothing.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
