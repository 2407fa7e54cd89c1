"""Merging neighbours, by rounds and one at a time: two experiments of `minimum-entropy-words`.

`p` is a cell of its parameters. A seed is a block of the text; blocks do not overlap.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from chymist import instruments
from chymist.atlas.information import word_figures as draw
from chymist.atlas.information.words import (
    block_of,
    by_seed,
    described,
    letter_bits,
    measures,
    whole_text,
)
from chymist.bench import Bench
from chymist.claims import Claim, above, below
from chymist.data.texts import Letters
from chymist.solvers import merging
from chymist.study import Control, Experiment, Figure
from chymist.theory import code_length

POINTS = 25
"""Places at which the curves of merging are kept."""


def merged_words(p: Any, bench: Bench) -> xr.Dataset:
    """Merge neighbours by `rank` and by count until either has so many words beyond its letters.

    Returns:
        merge_score (rule, measure, seed), merge_bits (rule, seed) a symbol, spelling included; and
        bits_of_tokens (rule, beyond, seed) by the kinds of token beyond letters.
    """
    whole = whole_text(p, bench)
    runs = []
    for seed in bench.seeds:
        block = block_of(p, bench, whole, seed, p.merge_letters)
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
    return by_seed(runs, bench)


def _merging(block: Letters, done: merging.Merged, most: int) -> xr.Dataset:
    symbols = (block.text >= 0).sum()
    letters = letter_bits(block)
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
            "merge_score": measures(score),
            "merge_bits": described(xr.DataArray(bits), "description length", "bit/letter"),
            "bits_of_tokens": described(tokens, "bits of the tokens", "bit/letter"),
        }
    )


def boundary_advantage(run):
    """Boundary F1 of merging by the first rule, less that of merging by count."""
    return _advantage(run.merge_score.sel(measure="boundary f1", drop=True))


def token_advantage(run):
    """Token F1 of merging by the first rule, less that of merging by count."""
    return _advantage(run.merge_score.sel(measure="token f1", drop=True))


def bits_advantage(run):
    """Bits a letter, spelling included, by the first rule, less those by count."""
    return _advantage(run.merge_bits)


def _advantage(values):
    return values.sel(rule="gain", drop=True) - values.sel(rule="count", drop=True)


MERGING = Experiment(
    "merging", "Merging by the bits that a pair saves, against merging by how often it occurs "
    "(byte pair encoding), at the same number of kinds of token.", merged_words,
    claims=(
        Claim("better-boundaries", "Saved bits find better boundaries than counts.",
              boundary_advantage, above(0)),
        Claim("better-tokens", "Saved bits find more whole words than counts.",
              token_advantage, above(0)),
        Claim("fewer-bits", "Saved bits describe the text in fewer bits than counts.",
              bits_advantage, below(0)),
    ),
    figures=(Figure("merging", "Bits of the tokens as their kinds grow, by rule; at the right the "
                    "control, random merges.", draw.merging),),
    control=Control("Random merges find worse words than counts do.", {"rank": "random"},
                    ("better-boundaries", "better-tokens", "fewer-bits")),
    reads="text",
)  # fmt: skip


def single_merges(p: Any, bench: Bench) -> xr.Dataset:
    """Merge one pair at a time, chosen by gain, by count and at random; recount after each.

    Returns:
        change (rule, merge, seed) of the tokens' bits, recounted; gain, total, left, right, pair,
        same (rule, merge, seed): what the formulas need; all before the merge.
    """
    whole = whole_text(p, bench)
    runs = []
    for seed in bench.seeds:
        block = block_of(p, bench, whole, seed, p.merge_letters)
        alphabet = len(block.letters)
        rules = []
        for rank in ("gain", "count", "random"):
            done = merging.merge_pairs(
                block.text, alphabet, rank=rank, rounds=p.merges, overlapping=p.overlapping,
                generator=bench.key(seed, "single merges").numpy(),
            )  # fmt: skip
            rules.append(_single(block, done, p.merges).expand_dims(rule=[rank]))
        runs.append(xr.concat(rules, "rule", join="outer"))
    return by_seed(runs, bench)


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
    kept = {
        n: described(xr.DataArray(v, merge, ("merge",)), f"{n} count") for n, v in columns.items()
    }
    change = xr.DataArray(np.diff(bits), merge, ("merge",))
    return xr.Dataset(
        {
            "change": described(change, "change of the tokens' bits", "bit"),
            "gain": described(xr.DataArray(gain, merge, ("merge",)), "first-order saving", "bit"),
            "bits_a_letter": described(
                xr.DataArray(bits[1:] / count.sum(), merge, ("merge",)), "bits of the tokens",
                "bit/letter",
            ),
            **kept,
        }
    ).reindex(merge=np.arange(1, merges + 1))  # fmt: skip


def merge_theory(p: Any, run: xr.Dataset) -> xr.Dataset:
    """Change of the code length from the counts before the merge alone."""
    change = code_length.merge_change(run.total, run.left, run.right, run.pair, run.same)
    return xr.Dataset({"change": (run.pair.dims, change)}, run.coords)


def largest_error(run):
    """Common logarithm of the largest error of the predicted change at a merge, in bits a token."""
    error = abs(run.change - run.predicted_change) / run.total
    return np.log10(np.maximum(error.max(("rule", "merge")), 1e-18))


def right_signs(run):
    """Share of merges by saved bits that save what the first order says they do: some, not none."""
    gain = run.sel(rule="gain", drop=True)
    right = ((gain.gain > 0) == (gain.change < 0)).where(gain.change.notnull())
    return right.mean("merge")


ARITHMETIC = Experiment(
    "arithmetic", "One merge at a time, by three rules: what the counts before it foretell, and "
    "what a recount finds.", single_merges, prediction=merge_theory,
    claims=(
        Claim("exact-change", "Counts foretell the change of each merge to $10^{-9}$ bits a token.",
              largest_error, below(-9)),
        Claim("first-order-sign", "Where the first order promises a saving there is one, in 99 %.",
              right_signs, above(0.99)),
    ),
    figures=(Figure("change", "Change at each merge against the saving to first order, and along "
                    "merges the bits of the tokens.", draw.arithmetic),),
    control=Control("Overlapping copies of a pair, counted twice, break the formula: in shuffled "
                    "letters, where the most frequent one meets itself often.",
                    {"overlapping": True, "shuffled": True}, ("exact-change",)),
)  # fmt: skip
