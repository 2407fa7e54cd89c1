"""How long a run will still take, from what its sealed chunks took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chymist.lab.chunk import Chunk, Seal


def expected(chunks: Sequence[Chunk], seals: Mapping[int, Seal], stated: float) -> list[float]:
    """Return the seconds that each chunk took, or may be expected to take.

    A chunk takes what the sealed ones of its experiment took on average, or else the sealed ones of
    all; while none is sealed, its share of the `stated` cost of the run.

    >>> one, two = (Chunk(i, "a", "control", {}, {}, (0, 8)) for i in (0, 1))
    >>> expected([one, two], {}, 10.0), expected([one, two], {0: Seal("", 0, 3.0)}, 10.0)
    ([5.0, 5.0], [3.0, 3.0])
    """
    took: dict[str, list[float]] = {}
    for chunk in chunks:
        if chunk.index in seals:
            took.setdefault(chunk.experiment, []).append(seals[chunk.index].seconds)
    every = [seconds for several in took.values() for seconds in several]
    usual = sum(every) / len(every) if every else stated / max(1, len(chunks))
    return [
        seals[chunk.index].seconds
        if chunk.index in seals
        else (
            sum(took[chunk.experiment]) / len(took[chunk.experiment])
            if chunk.experiment in took
            else usual
        )
        for chunk in chunks
    ]


def left(
    chunks: Sequence[Chunk], seals: Mapping[int, Seal], stated: float, current: float
) -> float:
    """Return the seconds that are left, `current` seconds after the last chunk was sealed."""
    seconds = [
        time
        for chunk, time in zip(chunks, expected(chunks, seals, stated), strict=True)
        if chunk.index not in seals
    ]
    return max(0.0, seconds[0] - current) + sum(seconds[1:]) if seconds else 0.0
