"""The cut of a text that needs fewest bits: an experiment of `minimum-entropy-words`.

`p` is a cell of its parameters. A seed is a block of the text; blocks do not overlap.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy import ndarray

from chymist import data, instruments
from chymist.atlas.information import word_figures as draw
from chymist.atlas.information.words import (
    bits_by_code,
    block_of,
    by_seed,
    described,
    given_letters,
    measures,
    whole_text,
)
from chymist.bench import Bench
from chymist.claims import Claim, above, below
from chymist.data.texts import Letters
from chymist.solvers import lexicon, ngrams
from chymist.solvers.segmenting import Cutter
from chymist.study import Control, Experiment, Figure, Output

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
    whole = whole_text(p, bench)
    found = by_seed([_cut(p, bench, whole, seed) for seed in bench.seeds], bench)
    return found if p.shuffled else found.assign(_whole(p, bench, whole))


def _cut(p: Any, bench: Bench, whole: Letters, seed: int) -> xr.Dataset:
    bench.progress("cutting blocks", seed, p.seeds)
    block = block_of(p, bench, whole, seed, p.letters)
    grams = ngrams.frequent(
        block.text, len(block.letters), longest=p.longest, least=p.least, uncertainty=True
    )
    found = lexicon.shortest_lexicon(block.text, grams)
    context = Cutter(grams).cut(block.text, -grams.length * lexicon.autonomy(grams))
    cuts = {"least bits": found.starts, "context": context.starts}
    scores = [
        measures(instruments.segmentation_scores(block.text, starts, block.words))
        for starts in cuts.values()
    ]
    # As long for every block: after its last sweep nothing changes.
    curve = np.full(lexicon.SWEEPS, found.curve[-1])
    curve[: len(found.curve)] = found.curve
    curve /= (block.text >= 0).sum()
    return xr.Dataset(
        {
            "bits": bits_by_code(block, grams, found),
            "score": xr.concat(scores, "cut").assign_coords(cut=list(cuts)),
            "sweep_bits": described(
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
        name: described(xr.DataArray(values, {"entry": entry}, ("entry",)), says)
        for name, (values, says) in columns.items()
    }
    packed = np.packbits(found.starts)
    place = {"octet": np.arange(len(packed), dtype=np.int32)}
    cuts = xr.DataArray(packed, place, ("octet",))
    return {**kept, "cuts": described(cuts, "where tokens of the whole text start, eight a byte")}


def _spelled(whole: Letters, first: ndarray[Any, Any], length: ndarray[Any, Any]) -> Any:
    letters = whole.letters
    return np.array(
        [
            "".join(letters[s] for s in whole.text[a : a + n].tolist())
            for a, n in zip(first.tolist(), length.tolist(), strict=True)
        ],
        dtype=object,
    )


def lexicon_table(p: Any, run: xr.Dataset, given: xr.Dataset | None) -> Iterator[str]:
    """Write the lexicon as CSV, the most frequent word first."""
    yield "word,count,saved_bits,cohesion_bits\n"
    columns = (run.word.values, run.copies.values, run.saved.values, run.cohesion.values)
    for word, count, saved, cohesion in zip(*columns, strict=True):
        yield f"{word},{int(count)},{saved:.3f},{cohesion:.3f}\n"


def segmented_text(p: Any, run: xr.Dataset, given: xr.Dataset | None) -> Iterator[str]:
    """Write the letters with a space before each token, and a new line at each boundary."""
    whole = given_letters(p, given)
    starts = np.unpackbits(run.cuts.values, count=len(whole.text)).astype(bool)
    yield from data.written(whole, starts)
    if whole.text[-1] >= 0:
        yield "\n"


def shortening(run):
    """Bits a letter of the words found, less those of single letters."""
    return run.bits.sel(code="words found", drop=True) - run.bits.sel(code="letters", drop=True)


def below_known(run):
    """Bits a letter of the words found, less those of the known words."""
    return run.bits.sel(code="words found", drop=True) - run.bits.sel(code="known words", drop=True)


def under_segmentation(run):
    """Precision less recall of the boundaries of least bits."""
    score = run.score.sel(cut="least bits", drop=True)
    precision, recall = (score.sel(measure=f"boundary {m}", drop=True)
                         for m in ("precision", "recall"))  # fmt: skip
    return precision - recall


def context_gain(run):
    """Token F1 by autonomy, less that of least bits."""
    f1 = run.score.sel(measure="token f1", drop=True)
    return f1.sel(cut="context", drop=True) - f1.sel(cut="least bits", drop=True)


LEAST = Experiment(
    "least-bits", "The cut of least description length, and the cut at rises of uncertainty, of "
    "blocks of a text; yours, or Python's own English. Spaces, where there are, tell how good "
    "they are. The lexicon and the cut of the whole text are kept as files.", least_words,
    claims=(
        Claim("has-words", "Words describe the text in fewer bits than its letters do.",
              shortening, below(0)),
        Claim("below-known", "The least is below the description by the known words.",
              below_known, below(0)),
        Claim("under-segments", "Of the boundaries of least bits more are right than are found.",
              under_segmentation, above(0)),
        Claim("context", "Uncertainty of what comes next finds words better, by 0.08 of token F1.",
              context_gain, above(0.08)),
    ),
    figures=(
        Figure("code-lengths", "Bits a letter: letters alone, the known words, the words found; "
               "the control beside.", draw.code_lengths),
        Figure("boundaries", "Precision and recall of boundaries, a dot a block.", draw.boundaries),
        Figure("sweeps", "Description length after each sweep: median and range of blocks.",
               draw.sweeps),
    ),
    control=Control("In shuffled letters there are no words.", {"shuffled": True}, ("has-words",)),
    reads="text",
    outputs=(
        Output("lexicon.csv", "words of the whole text", lexicon_table),
        Output("segmented.txt", "the whole text, cut into words", segmented_text),
    ),
)  # fmt: skip
