"""The chunks that wait for somebody to compute them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from chymist.errors import WorkerDied
from chymist.lab.chunk import Chunk, Seal


class Waiting:
    """The unsealed of a run's chunks, the costliest first; nobody's death counts once.

    A chunk costs what the sealed ones of its experiment took on average; one of an experiment of
    which nothing is known goes before all others.
    """

    def __init__(self, chunks: Sequence[Chunk], seals: Mapping[int, Seal]) -> None:
        self.chunks = [chunk for chunk in chunks if chunk.index not in seals]
        self._seconds: dict[str, list[float]] = {}
        self._died: set[int] = set()
        for chunk in chunks:
            if chunk.index in seals:
                self.learn(chunk, seals[chunk.index].seconds)

    def __len__(self) -> int:
        """How many wait."""
        return len(self.chunks)

    def take(self) -> Chunk:
        """Return the costliest chunk, which waits no longer."""
        chunk = max(self.chunks, key=self._cost)
        self.chunks.remove(chunk)
        return chunk

    def learn(self, chunk: Chunk, seconds: float) -> None:
        """Note how long a chunk took."""
        self._seconds.setdefault(chunk.experiment, []).append(seconds)

    def again(self, chunk: Chunk, how: str, hint: str) -> None:
        """Let a chunk wait once more, whose worker has died: `how`, in brackets.

        Raises:
            WorkerDied: it is the second one.
        """
        if chunk.index in self._died:
            raise WorkerDied(f"a worker died ({how}) twice in chunk {chunk.name}", hint)
        self._died.add(chunk.index)
        self.chunks.insert(0, chunk)

    def _cost(self, chunk: Chunk) -> float:
        known = self._seconds.get(chunk.experiment)
        return sum(known) / len(known) if known else math.inf
