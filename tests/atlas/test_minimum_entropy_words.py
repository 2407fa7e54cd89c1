"""The study of words: its text, the user's own, and the files that it makes."""

import csv

import numpy as np
import pytest
import xarray as xr

from chymist import catalogue, data
from chymist.atlas.information import least_bits, merges, words
from chymist.bench import Bench
from chymist.errors import BadInput
from chymist.lab.runner import run

STUDY = catalogue.find("minimum-entropy-words")


def bench(given=None, seeds=(0, 1)):
    return Bench("minimum-entropy-words", "test", seeds, given)


def cell(**given):
    return STUDY.params.parse({"letters": 4000, "merge_letters": 3000, **given}).cells()[0]


@pytest.fixture
def corpus(tmp_path):
    """Sentences of drawn words, spaces and all."""
    rng = np.random.default_rng(0)
    found, _ = data.zipf_text(60, 9000, 12, rng)
    drawn = "".join(data.written(found, found.words)).split()
    lines = [" ".join(drawn[i : i + 12]) + ".\n" for i in range(0, len(drawn), 12)]
    path = tmp_path / "corpus.txt"
    path.write_text("".join(lines).title())
    return path


def test_a_users_corpus_becomes_a_lexicon_and_a_cut_text(corpus, tmp_path):
    options = {"letters": 8000, "kinds": 80, "ends": True}
    done = run(STUDY, lab=tmp_path / "lab", data=corpus, **options)
    assert set(done.outcome["experiments"]) == {"least-bits", "merging"}
    assert done.verdicts["has-words"].status == "supported"
    files = {}
    for name, write in done.outputs.items():
        write(tmp_path / name)
        files[name] = (tmp_path / name).read_text(encoding="utf-8")
    rows = list(csv.DictReader(files["lexicon.csv"].splitlines()))
    tokens = files["segmented.txt"].split()
    assert {r["word"]: int(r["count"]) for r in rows} == {t: tokens.count(t) for t in set(tokens)}
    known = corpus.read_text().lower().replace(".", "")
    assert "".join(tokens) == "".join(known.split())
    assert files["segmented.txt"].strip().count("\n") == known.strip().count("\n")
    same = np.mean([a == b for a, b in zip(files["segmented.txt"].splitlines(),
                                           known.splitlines(), strict=True)])  # fmt: skip
    assert same > 0.9


def test_a_text_without_spaces_leaves_its_claims_on_words_undecided(tmp_path):
    found, _ = data.zipf_text(60, 9000, 12, np.random.default_rng(0))
    text = "".join(chr(0x4E00 + s) for s in found.text)
    given = xr.Dataset({"text": ("byte", np.frombuffer(text.encode(), dtype=np.uint8))})
    measured = least_bits.least_words(cell(), bench(given))
    assert float(STUDY.claim("has-words").statistic(measured).max()) < 0
    for name in ("below-known", "under-segments", "context"):
        assert STUDY.claim(name).statistic(measured).isnull().all(), name


def test_a_text_too_short_for_so_many_seeds_is_refused():
    text = b"words and words " * 400
    given = xr.Dataset({"text": ("byte", np.frombuffer(text, dtype=np.uint8))})
    with pytest.raises(BadInput, match="no block"):
        merges.merged_words(cell(seeds=5), bench(given, seeds=(0, 5)))


def test_a_text_is_read_in_parts_as_it_is_at_once(monkeypatch):
    text = ("Älter als\n\n日本の古い本。 It's so. " * 200).encode()
    given = xr.Dataset({"text": ("byte", np.frombuffer(text, dtype=np.uint8))})
    monkeypatch.setattr(words, "PART", 5)
    found, whole = words.given_letters(cell(ends=True), given), data.letters(text)
    assert found.letters == whole.letters
    assert np.array_equal(found.text, whole.text) and np.array_equal(found.words, whole.words)


def test_the_shuffled_control_has_no_lexicon():
    assert "word" not in least_bits.least_words(cell(shuffled=True), bench())
    assert "word" in least_bits.least_words(cell(), bench())


def test_known_bits_count_each_word_and_spell_it_once():
    found = data.letters(b"ab b ab. " * 800)
    bits = words.known_bits(found)
    tokens = 1600 * np.log2(2400 / 1600) + 800 * np.log2(2400 / 800)
    letters = np.log2(4000 / 1600) + np.log2(4000 / 2400)
    assert bits == pytest.approx(tokens + letters + 3)
