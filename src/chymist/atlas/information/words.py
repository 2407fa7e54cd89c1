"""What `minimum-entropy-words` measures: texts without their spaces, and the words found in them.

`p` is a cell of its parameters. A seed is a block of the text; blocks do not overlap.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy import ndarray

from chymist import data, instruments
from chymist.bench import Bench
from chymist.data.texts import Letters
from chymist.errors import BadInput
from chymist.instruments import SegmentationScores
from chymist.solvers import lexicon, merging, ngrams
from chymist.solvers.segmenting import Cutter
from chymist.theory import code_length

POINTS = 25
"""Places at which the curves of merging are kept."""
PART = 2**22
"""Bytes of a text that are read at a time."""
LARGE = 2_000_000
"""Of every so many symbols a substring must occur once to be thought of as a word."""


def least_words(p: Any, bench: Bench) -> xr.Dataset:
    """Cut each block by the shortest description and by autonomy; find the whole text's lexicon.

    Returns:
        bits (code, seed) a symbol, of the words found, the known words and single letters, spelling
        included; score (cut, measure, seed); sweep_bits (sweep, seed). Unless shuffled, of the
        whole text: word, copies, saved, cohesion, each along `entry`, and `cuts` (octet), where
        tokens start, packed.
    """
    whole = _text(p, bench)
    found = _by_seed([_cut(p, bench, whole, seed) for seed in bench.seeds], bench)
    return found if p.shuffled else found.assign(_whole(p, bench, whole))


def merged_words(p: Any, bench: Bench) -> xr.Dataset:
    """Merge neighbours by `rank` and by count until either has so many words beyond its letters.

    Returns:
        merge_score (rule, measure, seed), merge_bits (rule, seed) a symbol, spelling included; and
        bits_of_tokens (rule, beyond, seed) by the kinds of token beyond letters.
    """
    whole = _text(p, bench)
    runs = []
    for seed in bench.seeds:
        block = _block(p, bench, whole, seed, p.merge_letters)
        rules = []
        ranks: dict[str, merging.Rank] = {"gain": p.rank, "count": "count"}
        for name, rank in ranks.items():
            bench.progress(f"merging by {rank}", seed, p.seeds)
            generator = bench.key(seed, "merges").numpy()
            done = merging.merge_pairs(
                block.text, len(block.letters), rank=rank, together=p.together,
                kinds=len(block.letters) + p.kinds, generator=generator,
            )  # fmt: skip
            rules.append(_merging(block, done, p.kinds).expand_dims(rule=[name]))
        runs.append(xr.concat(rules, "rule", join="outer"))
    return _by_seed(runs, bench)


def drawn_words(p: Any, bench: Bench) -> xr.Dataset:
    """Cut texts of words drawn independently from a known lexicon of random strings.

    Returns:
        drawn_score (measure, seed); drawn_bits (code, seed) a symbol.
    """
    runs = []
    for seed in bench.seeds:
        key = bench.key(seed, "text").numpy()
        block = _shuffled(p, bench, data.zipf_text(p.types, p.tokens, 26, key)[0], seed)
        grams = ngrams.frequent(block.text, 26, longest=8, least=p.least)
        found = lexicon.shortest_lexicon(block.text, grams)
        bits = _bits(block, grams, found)
        score = instruments.segmentation_scores(block.text, found.starts, block.words)
        runs.append(xr.Dataset({"drawn_score": _measures(score), "drawn_bits": bits}))
    return _by_seed(runs, bench)


def single_merges(p: Any, bench: Bench) -> xr.Dataset:
    """Merge one pair at a time, chosen by gain, by count and at random; recount after each.

    Returns:
        change (rule, merge, seed) of the tokens' bits, recounted; gain, total, left, right, pair,
        same (rule, merge, seed): what the formulas need; all before the merge.
    """
    whole = _text(p, bench)
    runs = []
    for seed in bench.seeds:
        block = _block(p, bench, whole, seed, p.merge_letters)
        alphabet = len(block.letters)
        rules = []
        for rank in ("gain", "count", "random"):
            done = merging.merge_pairs(
                block.text, alphabet, rank=rank, rounds=p.merges, overlapping=p.overlapping,
                generator=bench.key(seed, "single merges").numpy(),
            )  # fmt: skip
            rules.append(_single(block, done, p.merges).expand_dims(rule=[rank]))
        runs.append(xr.concat(rules, "rule", join="outer"))
    return _by_seed(runs, bench)


def merge_theory(p: Any, run: xr.Dataset) -> xr.Dataset:
    """Change of the code length from the counts before the merge alone."""
    change = code_length.merge_change(run.total, run.left, run.right, run.pair, run.same)
    return xr.Dataset({"change": (run.pair.dims, change)}, run.coords)


def lexicon_table(p: Any, run: xr.Dataset, given: xr.Dataset | None) -> Iterator[str]:
    """Write the lexicon as CSV, the most frequent word first."""
    yield "word,count,saved_bits,cohesion_bits\n"
    columns = (run.word.values, run.copies.values, run.saved.values, run.cohesion.values)
    for word, count, saved, cohesion in zip(*columns, strict=True):
        yield f"{word},{int(count)},{saved:.3f},{cohesion:.3f}\n"


def segmented_text(p: Any, run: xr.Dataset, given: xr.Dataset | None) -> Iterator[str]:
    """Write the letters with a space before each token, and a new line at each boundary."""
    whole = _letters(p, given)
    starts = np.unpackbits(run.cuts.values, count=len(whole.text)).astype(bool)
    yield from data.written(whole, starts)
    if whole.text[-1] >= 0:
        yield "\n"


def _letters(p: Any, given: xr.Dataset | None) -> Letters:
    if given is None:
        return data.letters(data.english(), ends=p.ends)
    octets = given.text.values
    parts = (octets[i : i + PART].tobytes() for i in range(0, len(octets), PART))
    return data.letters(parts, ends=p.ends)


def _text(p: Any, bench: Bench) -> Letters:
    bench.progress("reading", 0, 1)
    return _letters(p, bench.input)


def _block(p: Any, bench: Bench, whole: Letters, seed: int, symbols: int) -> Letters:
    """Return the seed's block of a text, one of all that there is room for, in random order."""
    size = min(symbols, len(whole.text) // p.seeds)
    if (seed + 1) * size > len(whole.text):
        raise BadInput(f"the text has no block {seed + 1} of {size} letters",
                       "give fewer seeds, or fewer letters a block")  # fmt: skip
    order = bench.key(0, "blocks").numpy().permutation(len(whole.text) // size)
    return _shuffled(p, bench, whole.block(int(order[seed]), size), seed)


def _shuffled(p: Any, bench: Bench, block: Letters, seed: int) -> Letters:
    if not p.shuffled:
        return block
    text = block.text.copy()
    text[text >= 0] = bench.key(seed, "shuffle").numpy().permutation(text[text >= 0])
    return Letters(text, block.words, block.letters)


def _cut(p: Any, bench: Bench, whole: Letters, seed: int) -> xr.Dataset:
    bench.progress("cutting blocks", seed, p.seeds)
    block = _block(p, bench, whole, seed, p.letters)
    grams = ngrams.frequent(
        block.text, len(block.letters), longest=p.longest, least=p.least, uncertainty=True
    )
    found = lexicon.shortest_lexicon(block.text, grams)
    context = Cutter(grams).cut(block.text, -grams.length * lexicon.autonomy(grams))
    cuts = {"least bits": found.starts, "context": context.starts}
    scores = [
        _measures(instruments.segmentation_scores(block.text, starts, block.words))
        for starts in cuts.values()
    ]
    # As long for every block: after its last sweep nothing changes.
    curve = np.full(lexicon.SWEEPS, found.curve[-1])
    curve[: len(found.curve)] = found.curve
    curve /= (block.text >= 0).sum()
    return xr.Dataset(
        {
            "bits": _bits(block, grams, found),
            "score": xr.concat(scores, "cut").assign_coords(cut=list(cuts)),
            "sweep_bits": _says(
                xr.DataArray(curve, {"sweep": np.arange(1, len(curve) + 1)}, ("sweep",)),
                "description length after each sweep", "bit/letter",
            ),
        }
    )  # fmt: skip


def _whole(p: Any, bench: Bench, whole: Letters) -> Mapping[str, xr.DataArray]:
    """Find the lexicon of the whole text; rare substrings of a large one are not thought of."""
    least = max(p.least, len(whole.text) // LARGE)
    bench.progress("counting substrings", 0, 1)
    grams = ngrams.frequent(whole.text, len(whole.letters), longest=p.longest, least=least)
    by = "the compiled kernel" if ngrams.kernel() else "NumPy and Python, which is slow"
    bench.note(f"{len(grams)} substrings that occur {least} times or more, by {by}")
    found = lexicon.shortest_lexicon(
        whole.text, grams,
        progress=lambda done, most: bench.progress("lexicon of the whole text", done, most),
    )  # fmt: skip
    order = np.argsort(-found.count, kind="stable")
    words = _spelled(whole, found.first[order], found.length[order])
    count, saved = found.count[order], found.saved[order]
    split = np.where(found.length[order] > 1, saved + found.spelling[order], 0) / count
    columns = {
        "word": (words, "word found in the whole text"),
        "copies": (count, "tokens of the word"),
        "saved": (saved, "bits that the word saves, its spelling paid"),
        "cohesion": (split, "bits that a copy would cost more in pieces"),
    }
    entry = np.arange(len(order))
    kept = {
        name: _says(xr.DataArray(values, {"entry": entry}, ("entry",)), says)
        for name, (values, says) in columns.items()
    }
    packed = np.packbits(found.starts)
    place = {"octet": np.arange(len(packed), dtype=np.int32)}
    cuts = xr.DataArray(packed, place, ("octet",))
    return {**kept, "cuts": _says(cuts, "where tokens of the whole text start, eight a byte")}


def _spelled(whole: Letters, first: ndarray[Any, Any], length: ndarray[Any, Any]) -> Any:
    letters = whole.letters
    return np.array(
        [
            "".join(letters[s] for s in whole.text[a : a + n].tolist())
            for a, n in zip(first.tolist(), length.tolist(), strict=True)
        ],
        dtype=object,
    )


def _merging(block: Letters, done: merging.Merged, most: int) -> xr.Dataset:
    symbols = (block.text >= 0).sum()
    letters = _letter_bits(block)
    spelling = letters.copy()
    spelling = np.concatenate([spelling, np.zeros(len(done.parts) - len(spelling))])
    for token in range(len(letters), len(done.parts)):
        spelling[token] = spelling[done.parts[token]].sum()
    spelling = np.where(done.length > 1, spelling + code_length.length_bits(done.length), 0)
    bits = code_length.description_bits(done.count, spelling) / symbols
    score = instruments.segmentation_scores(block.text, done.starts, block.words)
    beyond = np.linspace(0, most, POINTS)
    kinds = np.maximum.accumulate([r.kinds - len(letters) for r in done.rounds])
    curve = np.interp(beyond, kinds, [r.bits / symbols for r in done.rounds])
    tokens = xr.DataArray(curve, {"beyond": beyond}, ("beyond",))
    return xr.Dataset(
        {
            "merge_score": _measures(score),
            "merge_bits": _says(xr.DataArray(bits), "description length", "bit/letter"),
            "bits_of_tokens": _says(tokens, "bits of the tokens", "bit/letter"),
        }
    )


def _single(block: Letters, done: merging.Merged, merges: int) -> xr.Dataset:
    rounds = [r.merged for r in done.rounds]
    count = np.bincount(block.text[block.text >= 0])
    bits = np.array([code_length.code_bits(count), *(r.bits for r in done.rounds)])
    columns = {
        name: np.array([float(getattr(r, field)[0]) for r in rounds])
        for name, field in (("left", "left_count"), ("right", "right_count"), ("pair", "count"))
    }
    columns["total"] = np.array([float(r.total) for r in rounds])
    columns["same"] = np.array([float(r.left[0] == r.right[0]) for r in rounds])
    gain = code_length.merge_gain(*(columns[n] for n in ("total", "left", "right", "pair")))
    merge = {"merge": np.arange(1, len(rounds) + 1)}
    kept = {n: _says(xr.DataArray(v, merge, ("merge",)), f"{n} count") for n, v in columns.items()}
    change = xr.DataArray(np.diff(bits), merge, ("merge",))
    return xr.Dataset(
        {
            "change": _says(change, "change of the tokens' bits", "bit"),
            "gain": _says(xr.DataArray(gain, merge, ("merge",)), "first-order saving", "bit"),
            "bits_a_letter": _says(
                xr.DataArray(bits[1:] / count.sum(), merge, ("merge",)), "bits of the tokens",
                "bit/letter",
            ),
            **kept,
        }
    ).reindex(merge=np.arange(1, merges + 1))  # fmt: skip


def _bits(block: Letters, grams: ngrams.Grams, found: lexicon.Lexicon) -> xr.DataArray:
    symbols = (block.text >= 0).sum()
    letters = code_length.code_bits(grams.count[: grams.alphabet])
    codes = {"words found": found.bits, "known words": _known_bits(block), "letters": letters}
    array = xr.DataArray([b / symbols for b in codes.values()], {"code": list(codes)}, ("code",))
    return _says(array, "description length, spelling included", "bit/letter")


def _known_bits(block: Letters) -> float:
    """Return the bits of the known words and their spelling; NaN where the text has no spaces."""
    starts = np.flatnonzero(block.words)
    symbols = block.text >= 0
    if len(starts) < 2:
        return float("nan")
    stops = np.append(starts[1:], len(block.text))
    length = np.add.reduceat(symbols, starts)
    text, letters = block.text, _letter_bits(block)
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


def _letter_bits(block: Letters) -> Any:
    count = np.bincount(block.text[block.text >= 0], minlength=len(block.letters))
    return np.log2(count.sum() / np.maximum(count, 1))


def _measures(score: SegmentationScores) -> xr.DataArray:
    """Name the scores; none is known where no word is known to begin within a piece."""
    known = np.isfinite(score.boundary_recall)
    names = [name.replace("_", " ") for name in score._fields]
    array = xr.DataArray([s if known else np.nan for s in score], {"measure": names}, ("measure",))
    return _says(array, "against the known words")


def _by_seed(runs: list[xr.Dataset], bench: Bench) -> xr.Dataset:
    joined = xr.concat(runs, "seed", join="outer", combine_attrs="override")
    return joined.assign_coords(seed=list(bench.seeds))


def _says(array: xr.DataArray, says: str, units: str = "1") -> xr.DataArray:
    array.attrs = {"long_name": says, "units": units}
    return array
