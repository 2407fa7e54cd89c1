"""Words as the units that make a text short: what least entropy finds in a text without spaces.

Remove the spaces of a text. Of all ways to cut it into words, that which describes it in fewest
bits, the spelling of the words included, is compared with the words that were there.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from chymist import data, references
from chymist.atlas.information import word_figures as draw
from chymist.atlas.information import words
from chymist.claims import Claim, above, below
from chymist.params import Field, Params
from chymist.study import Control, Experiment, Figure, Input, Output, Source, Study


class WordsParams(Params):
    """The text, then the merges, then the text that is drawn."""

    seeds: int = Field(5, ge=5, le=10_000, description="blocks of the text, which do not overlap")
    letters: int = Field(280_000, ge=1000, le=10**8, description="letters a block, if there are")
    longest: int = Field(14, ge=2, le=64, description="letters of a word at most")
    least: int = Field(5, ge=2, le=10**6, description="copies of a word at least")
    ends: bool = Field(False, description="keep ends of sentences as known boundaries")
    shuffled: bool = Field(False, description="shuffle the letters of each block")
    merge_letters: int = Field(60_000, ge=1000, le=10**8, description="letters that are merged")
    kinds: int = Field(800, ge=50, le=10**6, description="words beyond letters to merge")
    together: int = Field(10, ge=1, le=1000, description="pairs merged a round")
    rank: Literal["gain", "random"] = Field("gain", description="what merging by count is held to")
    merges: int = Field(200, ge=10, le=10**5, description="single merges of the arithmetic")
    overlapping: bool = Field(False, description="count the overlapping copies of a pair, too")
    types: int = Field(500, ge=10, le=10**5, description="words of the lexicon that is drawn")
    tokens: int = Field(60_000, ge=1000, le=10**7, description="words drawn from it")


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
    "they are. The lexicon and the cut of the whole text are kept as files.", words.least_words,
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
        Output("lexicon.csv", "words of the whole text", words.lexicon_table),
        Output("segmented.txt", "the whole text, cut into words", words.segmented_text),
    ),
)  # fmt: skip


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
    "(byte pair encoding), at the same number of kinds of token.", words.merged_words,
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


def drawn_f1(run):
    """Boundary F1 against the words that were drawn."""
    return run.drawn_score.sel(measure="boundary f1", drop=True)


DRAWN = Experiment(
    "drawn-words", "Words drawn independently from a lexicon of random strings: the model is "
    "right.", words.drawn_words,
    claims=(Claim("right-model", "Where words are independent, least bits finds them.",
                  drawn_f1, above(0.99)),),
    figures=(Figure("drawn", "Boundary F1, a dot a text, the control below.", draw.drawn),),
    control=Control("Shuffled, the drawn words are gone.", {"shuffled": True}, ("right-model",)),
)  # fmt: skip


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
    "what a recount finds.", words.single_merges, prediction=words.merge_theory,
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


STUDY = Study(
    slug="minimum-entropy-words", family="information", title="Words by minimum entropy",
    question="Does the cut of a text that needs fewest bits find its words?", params=WordsParams,
    experiments=(LEAST, MERGING, DRAWN, ARITHMETIC),
    theory=r"""
Tokens of counts $n_w$, $\sum_w n_w = N$, take $L = \sum_w n_w \log_2(N/n_w)$ bits: with
$f(n) = n \log_2 n$, $L = f(N) - \sum_w f(n_w)$. Let $n$ copies of the neighbours $a$, $b$ become
one token each: $N$, $n_a$ and $n_b$ fall by $n$, and
$$\Delta L = f(N-n) - f(N) + f(n_a) - f(n_a-n) + f(n_b) - f(n_b-n) - f(n),$$
or $f(n_a) - f(n_a-2n)$ for both where $a = b$. To first order in the smallness of $n$ it is
$-n \log_2\frac{nN}{n_a n_b}$ up to a few bits a copy: count times pointwise information. A word
is worth its spelling if its copies save more than that. The least of such a code belongs to tokens
that are independent; since real words are not, frequent pairs of words pay for themselves, and the
least lies below the known words.
""",
    limits="A unigram code. The known words are what stands between spaces (apostrophes dropped); "
           "in a text without spaces the claims on them are left undecided. On little text the "
           "spelling weighs more: words are cut too often, and the sign of precision less recall "
           "turns at some 10^5 English letters. Python's English is that of its manual and its "
           "library's docstrings: it has names and repeats itself.",
    references=references("redlich1993redundancy", "su2018minimum", "demarcken1996unsupervised",
                          "brent1999efficient", "goldwater2009bayesian", "magistry2012unsupervized",
                          "mochihashi2009bayesian"),
    presets={"quick": {}, "paper": {"letters": 3_000_000, "merge_letters": 1_000_000,
                                    "kinds": 2500, "together": 40}},
    cost={"quick": 35, "paper": 105},
    answers=("structure", "solvers"), cover="code-lengths",
    input=Input("a text in UTF-8, of any script, its spaces taken as known words; or word/TAG "
                "pairs", (".txt", ".pos"), data.text,
                folder=Source("such files, all below it, read as one text in the order of their "
                              "names", data.joined_texts)),
)  # fmt: skip
