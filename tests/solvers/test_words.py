"""Substrings, cuts, merges and lexicons, each against a referee that is slow and plain."""

import itertools
from collections import Counter

import numpy as np
import pytest

from chymist import data
from chymist.instruments import segmentation_scores
from chymist.solvers import lexicon, merging, ngrams, segmenting
from chymist.solvers.segmenting import Cutter
from chymist.theory import code_length


def text_of(letters):
    return np.array([-1 if c == "|" else ord(c) - 97 for c in letters], dtype=np.int32)


@pytest.fixture
def without_kernel(monkeypatch):
    def none():
        return None

    monkeypatch.setattr(ngrams, "kernel", none)
    monkeypatch.setattr(segmenting, "kernel", none)


@pytest.fixture(params=["kernel", "python"])
def engine(request):
    if request.param == "python":
        request.getfixturevalue("without_kernel")
    elif ngrams.kernel() is None:
        pytest.skip("no C compiler")


def random_text(seed, size=400, alphabet=3):
    text = np.random.default_rng(seed).integers(alphabet, size=size).astype(np.int32)
    text[::37] = -1
    return text


def spelled(grams, text, node):
    return tuple(text[grams.first[node] :][: grams.length[node]].tolist())


@pytest.mark.parametrize("seed", [0, 1])
def test_all_frequent_substrings_are_found_and_no_other(engine, seed):
    text = random_text(seed)
    grams = ngrams.frequent(text, 3, longest=5, least=4)
    runs = [list(g) for k, g in itertools.groupby(text.tolist(), lambda s: s >= 0) if k]
    counts = Counter(
        tuple(run[i : i + n]) for run in runs for n in range(1, 6) for i in range(len(run) - n + 1)
    )
    known = {w: n for w, n in counts.items() if n >= 4 or len(w) == 1}
    found = {spelled(grams, text, v): int(grams.count[v]) for v in range(len(grams))}
    assert found == known
    assert len(found) == len(grams) > 50


def test_uncertainty_is_the_entropy_of_the_neighbours(engine):
    text = random_text(3)
    grams = ngrams.frequent(text, 3, longest=3, least=5, uncertainty=True)
    padded = [-1, *text.tolist(), -1]
    for node in range(len(grams)):
        word, size = spelled(grams, text, node), int(grams.length[node])
        places = [i for i in range(1, len(padded)) if tuple(padded[i : i + size]) == word]
        for values, after in ((grams.right, size), (grams.left, -1)):
            p = np.array(list(Counter(padded[i + after] for i in places).values())) / len(places)
            assert values[node] == pytest.approx(-(p * np.log2(p)).sum(), abs=1e-12)
    pair = int(np.flatnonzero(grams.length == 2)[0])
    same = next(v for v in range(3) if spelled(grams, text, v) == spelled(grams, text, pair)[1:])
    assert grams.right_rise[pair] == pytest.approx(
        grams.right[pair] - grams.right[grams.parent[pair]]
    )
    assert grams.left_rise[pair] == pytest.approx(grams.left[pair] - grams.left[same])


def test_a_cut_is_the_cheapest_of_all(engine):
    text = text_of("abcabca|bcab")
    grams = ngrams.frequent(text, 3, longest=4, least=2)
    cost = np.random.default_rng(5).normal(size=len(grams))
    cost[[4, 6]] = np.inf
    price = {spelled(grams, text, v): cost[v] for v in range(len(grams))}

    def cheapest(run):
        best = np.inf
        for bits in itertools.product((0, 1), repeat=len(run) - 1):
            ends = [0, *(i + 1 for i, b in enumerate(bits) if b), len(run)]
            best = min(
                best, sum(price.get(tuple(run[a:b]), np.inf) for a, b in itertools.pairwise(ends))
            )
        return best

    known = cheapest(text[:7].tolist()) + cheapest(text[8:].tolist())
    found = Cutter(grams).cut(text, cost)
    used = found.count > 0
    assert (cost[used] * found.count[used]).sum() == pytest.approx(known)
    assert found.starts.sum() == found.count.sum()
    assert not found.starts[7]


def test_both_engines_agree_to_the_last_bit(without_kernel, monkeypatch):
    text = random_text(7, 3000, 4)
    slow = ngrams.frequent(text, 4, longest=6, least=3, uncertainty=True)
    slow_lexicon = lexicon.shortest_lexicon(text, slow)
    monkeypatch.undo()
    if ngrams.kernel() is None:
        pytest.skip("no C compiler")
    fast = ngrams.frequent(text, 4, longest=6, least=3, uncertainty=True)
    for name in ("parent", "symbol", "count", "first", "length", "right", "left", "left_rise"):
        assert np.array_equal(getattr(slow, name), getattr(fast, name)), name
    fast_lexicon = lexicon.shortest_lexicon(text, fast)
    assert np.array_equal(slow_lexicon.starts, fast_lexicon.starts)
    assert slow_lexicon.bits == fast_lexicon.bits


def test_threads_change_nothing(monkeypatch):
    text = random_text(9, 5000)
    grams = ngrams.frequent(text, 3, longest=5, least=5)
    cost = -np.log2(grams.count / grams.count.sum())
    whole = Cutter(grams).cut(text, cost)
    monkeypatch.setattr(segmenting, "LIMIT", 64)
    parts = segmenting._parts(text, 3)
    assert [len(p) > 1000 for p in parts] == [True] * 3
    assert np.array_equal(np.concatenate(parts), text)
    found = Cutter(grams).cut(text, cost)
    assert np.array_equal(found.starts, whole.starts)
    assert np.array_equal(found.count, whole.count)


@pytest.mark.parametrize("boundaries", [(), (1500, 1501, 2900), (4999,)])
def test_a_text_without_boundaries_is_shared_out_between_its_pieces(monkeypatch, boundaries):
    monkeypatch.setattr(segmenting, "LIMIT", 64)
    text = np.random.default_rng(3).integers(3, size=5000).astype(np.int32)
    text[list(boundaries)] = -1
    grams = ngrams.frequent(text, 3, longest=5, least=5)
    cutter, cost = Cutter(grams), -np.log2(grams.count / grams.count.sum())
    parts = segmenting._parts(text, 3)
    assert [abs(len(p) - 5000 / 3) <= 64 for p in parts] == [True] * 3
    starts = np.concatenate([cutter._cut(part, cost).starts for part in parts])
    assert np.array_equal(starts, cutter._cut(text, cost).starts)


def test_symbols_are_counted_over_chunks(monkeypatch):
    text = text_of("abab|babac")
    whole = ngrams._symbols(text, 4)
    monkeypatch.setattr(ngrams, "CHUNK", 3)
    assert [a.tolist() for a in ngrams._symbols(text, 4)] == [a.tolist() for a in whole]
    assert [a.tolist() for a in whole] == [[4, 4, 1, 0], [0, 1, 9, -1]]


def test_a_long_run_is_cut_in_pieces(engine, monkeypatch):
    monkeypatch.setattr(segmenting, "LIMIT", 8)
    text = text_of("ab" * 10)
    grams = ngrams.frequent(text, 2, longest=8, least=2)
    found = Cutter(grams).cut(text, 1.0 / grams.length)
    assert found.starts[[0, 8, 16]].all()


def test_a_symbol_without_a_finite_cost_is_refused():
    text = text_of("abab")
    grams = ngrams.frequent(text, 2, longest=2, least=2)
    with pytest.raises(ValueError, match="every symbol"):
        Cutter(grams).cut(text, np.full(len(grams), np.inf))


@pytest.mark.parametrize("bad", [np.array([-1], np.int32), np.array([0, 1])])
def test_what_is_no_text_is_refused(bad):
    with pytest.raises(ValueError, match="int32"):
        ngrams.frequent(bad, 2, longest=2, least=2)


def test_a_trie_that_is_thinned_keeps_what_leads_to_a_word():
    text = text_of("abcabdabcabd")
    grams = ngrams.frequent(text, 4, longest=3, least=2)
    wanted = np.array([spelled(grams, text, v) == (0, 1, 3) for v in range(len(grams))])
    thin, kept = grams.keep(wanted)
    assert [spelled(thin, text, v) for v in range(4, len(thin))] == [(0, 1), (0, 1, 3)]
    assert np.array_equal(thin.count, grams.count[kept])
    assert [spelled(thin, text, p) for p in thin.parent[4:]] == [(0,), (0, 1)]


def test_runs_of_one_letter_merge_without_overlap():
    done = merging.merge_pairs(text_of("aaaaa|aa"), 1, rank="count", rounds=1)
    assert done.count.tolist() == [1, 3]
    wrong = merging.merge_pairs(text_of("aaaaa|aa"), 1, rank="count", rounds=1, overlapping=True)
    assert wrong.rounds[0].merged.count.tolist() == [5]


@pytest.mark.parametrize("rank", ["gain", "count", "random"])
def test_each_merge_changes_the_bits_as_its_counts_say(rank):
    text = random_text(11, 2000)
    done = merging.merge_pairs(
        text, 3, rank=rank, rounds=40, generator=np.random.default_rng(0)
    )  # fmt: skip
    before = code_length.code_bits(np.bincount(text[text >= 0]))
    same = 0
    for r in done.rounds:
        m = r.merged
        equal = m.left == m.right
        told = code_length.merge_change(m.total, m.left_count, m.right_count, m.count, equal)
        assert r.bits - before == pytest.approx(float(told[0]), abs=1e-8)
        before, same = r.bits, same + int(equal[0])
    assert len(done.rounds) > 5
    assert same or rank == "gain"


def test_merging_ends_at_so_many_kinds_of_token():
    done = merging.merge_pairs(random_text(1, 5000), 3, rank="count", together=4, kinds=30)
    assert (done.count > 0).sum() == 30
    assert (done.count * done.length).sum() == (random_text(1, 5000) >= 0).sum()


def test_a_random_rank_needs_a_generator():
    with pytest.raises(ValueError, match="generator"):
        merging.merge_pairs(text_of("abab"), 2, rank="random")


def drawn(seed, tokens=20_000):
    found, words = data.zipf_text(200, tokens, 26, np.random.default_rng(seed))
    return found.text, found.words, words


def test_independent_words_are_found_and_no_phrases():
    text, starts, words = drawn(0)
    grams = ngrams.frequent(text, 26, longest=8, least=5)
    found = lexicon.shortest_lexicon(text, grams)
    letters = {
        "".join(chr(97 + s) for s in text[a : a + n])
        for a, n in zip(found.first, found.length, strict=True)
    }
    assert len(letters & set(words)) > 0.95 * len(words)
    assert len(letters - set(words)) < 0.15 * len(words)
    assert segmentation_scores(text, found.starts, starts).boundary_f1 > 0.99
    assert found.bits == min(found.curve)


def test_phrases_that_hold_the_copies_of_their_words_are_dissolved(monkeypatch):
    text, _, _ = drawn(1, 40_000)
    grams = ngrams.frequent(text, 26, longest=14, least=5)
    found = lexicon.shortest_lexicon(text, grams)
    monkeypatch.setattr(lexicon, "LOOSE", 0.0)
    stuck = lexicon.shortest_lexicon(text, grams)
    assert stuck.bits > 1.01 * found.bits


def test_shuffled_letters_have_no_words():
    text, _, _ = drawn(2)
    text = np.random.default_rng(0).permutation(text)
    grams = ngrams.frequent(text, 26, longest=8, least=5)
    found = lexicon.shortest_lexicon(text, grams)
    letters = code_length.code_bits(grams.count[:26])
    assert found.bits > letters


def test_autonomy_wants_uncertainty_on_both_sides():
    text, _, words = drawn(3)
    with pytest.raises(ValueError, match="uncertainty"):
        lexicon.autonomy(ngrams.frequent(text, 26, longest=4, least=5))
    grams = ngrams.frequent(text, 26, longest=8, least=5, uncertainty=True)
    value = lexicon.autonomy(grams)
    known = {tuple(text_of(w).tolist()) for w in words[:20]}
    is_word = np.array([spelled(grams, text, v) in known for v in range(len(grams))])
    pieces = (grams.length > 2) & ~is_word
    assert np.median(value[is_word]) > np.quantile(value[pieces], 0.9)
