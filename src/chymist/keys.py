"""Keys: every random draw is addressed by name, so no draw depends on any other.

A key names who draws (study, experiment), for which seed and for what purpose. The same key gives
the same numbers whatever else runs, in whatever order, on however many workers.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Key:
    """The address of a stream of random numbers.

    >>> a = Key("my-study", "line", 3, "weights")
    >>> float(a.numpy().random()) == float(a.numpy().random())
    True
    >>> a.number == Key("my-study", "line", 4, "weights").number
    False
    """

    study: str
    experiment: str
    seed: int
    purpose: str

    @property
    def number(self) -> int:
        """128 bits that stand for this key on every machine and version."""
        text = json.dumps(astuple(self), ensure_ascii=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")

    def numpy(self) -> np.random.Generator:
        """Return a fresh counter-based (Philox) NumPy generator at the start of this stream."""
        return np.random.Generator(np.random.Philox(key=self.number))

    def torch(self) -> torch.Generator:
        """Return a fresh CPU generator at the start of this stream.

        Draws are made on the CPU and moved, so they do not depend on the device.
        """
        import torch

        generator = torch.Generator(device="cpu")
        generator.manual_seed(self.number % 2**63)
        return generator
