"""Words as the units that make a text short: what least entropy finds in a text without spaces.

Remove the spaces of a text. Of all ways to cut it into words, that which describes it in fewest
bits, the spelling of the words included, is compared with the words that were there.
"""

from __future__ import annotations

from typing import Literal

from chymist import data, references
from chymist.atlas.information.drawn_words import DRAWN
from chymist.atlas.information.least_bits import LEAST
from chymist.atlas.information.merges import ARITHMETIC, MERGING
from chymist.params import Field, Params
from chymist.study import Input, Source, Study


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
