"""Places for blocks of numbers of which each is needed for a while only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """So many numbers, needed from one time to another, both included."""

    first: int
    last: int
    size: int

    def meets(self, other: Block) -> bool:
        """Whether both are needed at some time."""
        return self.first <= other.last and other.first <= self.last


def packed(blocks: Sequence[Block]) -> tuple[list[int], int]:
    """Return where each block begins, and how many numbers all take together.

    No two that meet overlap. The largest goes first, each to the first gap that takes it: not
    always the least there is, near it in practice (Pisarchyk and Lee, 2020, arXiv:2001.03288).

    >>> packed([Block(0, 1, 10), Block(1, 2, 5), Block(2, 3, 10)])
    ([0, 10, 0], 15)
    """
    places = [0] * len(blocks)
    done: list[int] = []
    for i in sorted(range(len(blocks)), key=lambda i: -blocks[i].size):
        taken = sorted((places[j], blocks[j].size) for j in done if blocks[i].meets(blocks[j]))
        for begin, size in taken:
            if places[i] + blocks[i].size <= begin:
                break
            places[i] = max(places[i], begin + size)
        done.append(i)
    return places, max((places[i] + blocks[i].size for i in done), default=0)
