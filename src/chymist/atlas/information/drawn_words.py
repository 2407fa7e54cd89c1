"""Words drawn independently, which least bits should find: of `minimum-entropy-words`."""

from __future__ import annotations

from typing import Any

import xarray as xr

from chymist import data, instruments
from chymist.atlas.information import word_figures as draw
from chymist.atlas.information.words import bits_by_code, by_seed, measures, shuffled
from chymist.bench import Bench
from chymist.claims import Claim, above
from chymist.solvers import lexicon, ngrams
from chymist.study import Control, Experiment, Figure


def drawn_words(p: Any, bench: Bench) -> xr.Dataset:
    """Cut texts of words drawn independently from a known lexicon of random strings.

    Returns:
        drawn_score (measure, seed); drawn_bits (code, seed) a symbol.
    """
    runs = []
    for seed in bench.seeds:
        key = bench.key(seed, "text").numpy()
        block = shuffled(p, bench, data.zipf_text(p.types, p.tokens, 26, key)[0], seed)
        grams = ngrams.frequent(block.text, 26, longest=8, least=p.least)
        found = lexicon.shortest_lexicon(block.text, grams)
        bits = bits_by_code(block, grams, found)
        score = instruments.segmentation_scores(block.text, found.starts, block.words)
        runs.append(xr.Dataset({"drawn_score": measures(score), "drawn_bits": bits}))
    return by_seed(runs, bench)


def drawn_f1(run):
    """Boundary F1 against the words that were drawn."""
    return run.drawn_score.sel(measure="boundary f1", drop=True)


DRAWN = Experiment(
    "drawn-words", "Words drawn independently from a lexicon of random strings: the model is "
    "right.", drawn_words,
    claims=(Claim("right-model", "Where words are independent, least bits finds them.",
                  drawn_f1, above(0.99)),),
    figures=(Figure("drawn", "Boundary F1, a dot a text, the control below.", draw.drawn),),
    control=Control("Shuffled, the drawn words are gone.", {"shuffled": True}, ("right-model",)),
)  # fmt: skip
