"""Calling a model with a part of its batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from chymist.errors import CannotMeasure


@contextmanager
def of_a_part() -> Iterator[None]:
    """Say of what fails inside that the model cannot be called with a part of its batch.

    Raises:
        CannotMeasure: PyTorch refuses a shape or an operation inside.
    """
    try:
        yield
    except RuntimeError as error:
        raise CannotMeasure(
            "the model cannot be called with a part of its batch",
            "samples that feel each other, as the nodes of a graph, are measured as a whole only",
        ) from error
