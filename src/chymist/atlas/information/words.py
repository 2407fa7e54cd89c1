"""Texts without their spaces, and bits and scores of a cut: shared by `minimum-entropy-words`.

`p` is a cell of its parameters. A seed is a block of the text; blocks do not overlap.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from chymist import data
from chymist.bench import Bench
from chymist.data.texts import Letters
from chymist.errors import BadInput
from chymist.instruments import SegmentationScores
from chymist.solvers import lexicon, ngrams
from chymist.theory import code_length

PART = 2**22
"""Bytes of a text that are read at a time."""


def given_letters(p: Any, given: xr.Dataset | None) -> Letters:
    """Return the letters of the user's text, or of Python's own English."""
    if given is None:
        return data.letters(data.english(), ends=p.ends)
    octets = given.text.values
    parts = (octets[i : i + PART].tobytes() for i in range(0, len(octets), PART))
    return data.letters(parts, ends=p.ends)


def whole_text(p: Any, bench: Bench) -> Letters:
    """Return all letters there are, and show that they are being read."""
    bench.progress("reading", 0, 1)
    return given_letters(p, bench.input)


def block_of(p: Any, bench: Bench, whole: Letters, seed: int, symbols: int) -> Letters:
    """Return the seed's block of a text, one of all that there is room for, in random order."""
    size = min(symbols, len(whole.text) // p.seeds)
    if (seed + 1) * size > len(whole.text):
        raise BadInput(f"the text has no block {seed + 1} of {size} letters",
                       "give fewer seeds, or fewer letters a block")  # fmt: skip
    order = bench.key(0, "blocks").numpy().permutation(len(whole.text) // size)
    return shuffled(p, bench, whole.block(int(order[seed]), size), seed)


def shuffled(p: Any, bench: Bench, block: Letters, seed: int) -> Letters:
    """Return a block, its letters in random order where the control asks for that."""
    if not p.shuffled:
        return block
    text = block.text.copy()
    text[text >= 0] = bench.key(seed, "shuffle").numpy().permutation(text[text >= 0])
    return Letters(text, block.words, block.letters)


def bits_by_code(block: Letters, grams: ngrams.Grams, found: lexicon.Lexicon) -> xr.DataArray:
    """Return bits a symbol, spelling included, of the words found, the known words and letters."""
    symbols = (block.text >= 0).sum()
    letters = code_length.code_bits(grams.count[: grams.alphabet])
    codes = {"words found": found.bits, "known words": known_bits(block), "letters": letters}
    array = xr.DataArray([b / symbols for b in codes.values()], {"code": list(codes)}, ("code",))
    return described(array, "description length, spelling included", "bit/letter")


def known_bits(block: Letters) -> float:
    """Return the bits of the known words and their spelling; NaN where the text has no spaces."""
    starts = np.flatnonzero(block.words)
    symbols = block.text >= 0
    if len(starts) < 2:
        return float("nan")
    stops = np.append(starts[1:], len(block.text))
    length = np.add.reduceat(symbols, starts)
    text, letters = block.text, letter_bits(block)
    counts: dict[bytes, int] = {}
    spelling: dict[bytes, float] = {}
    for a, b, n in zip(starts.tolist(), stops.tolist(), length.tolist(), strict=True):
        word = text[a:b][:n]
        key = word.tobytes()
        counts[key] = counts.get(key, 0) + 1
        if key not in spelling:
            own = letters[word].sum() + float(code_length.length_bits([n])[0])
            spelling[key] = own if n > 1 else 0.0
    return code_length.description_bits(list(counts.values()), list(spelling.values()))


def letter_bits(block: Letters) -> Any:
    """Return the bits of each letter at its frequency."""
    count = np.bincount(block.text[block.text >= 0], minlength=len(block.letters))
    return np.log2(count.sum() / np.maximum(count, 1))


def measures(score: SegmentationScores) -> xr.DataArray:
    """Name the scores; none is known where no word is known to begin within a piece."""
    known = np.isfinite(score.boundary_recall)
    names = [name.replace("_", " ") for name in score._fields]
    array = xr.DataArray([s if known else np.nan for s in score], {"measure": names}, ("measure",))
    return described(array, "against the known words")


def by_seed(runs: list[xr.Dataset], bench: Bench) -> xr.Dataset:
    """Join what the seeds found, one after another."""
    joined = xr.concat(runs, "seed", join="outer", combine_attrs="override")
    return joined.assign_coords(seed=list(bench.seeds))


def described(array: xr.DataArray, says: str, units: str = "1") -> xr.DataArray:
    """Say what an array is."""
    array.attrs = {"long_name": says, "units": units}
    return array
