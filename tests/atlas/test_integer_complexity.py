import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import chymist
from chymist import catalogue, memory
from chymist.atlas.numbers import complexities, primes
from chymist.cli import execute
from chymist.compiling import SWITCH
from chymist.data import integer_complexity
from chymist.data.ones import Search
from chymist.lab import Lab
from chymist.report import evidence
from chymist.theory.integer_complexity import HOW_MANY, LEAST_WITH, largest_with

SLUG = "integer-complexity"
EVIDENCE = Path(__file__).parents[2] / "docs" / "evidence" / f"{SLUG}.json"
SMALL = ["--up-to", "100000", "--dense", "2048"]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return chymist.run(SLUG, lab=tmp_path_factory.mktemp("lab"), up_to=10**6, dense=4096)


def test_the_number_of_the_conjecture_is_printed_as_a_formula_of_ones(lab, capsys):
    assert execute(["run", SLUG, *SMALL, "--n", "353942783"]) == 0
    shown = capsys.readouterr().out
    [formula] = re.findall(r"✓ 353942783 = [^:]*, which is 63 ones: ([1+*()]+)\n", shown)
    assert eval(formula) == 353942783  # signs as matched above
    assert formula.count("1") == 63


def test_a_small_table_supports_all_and_both_controls_flip(small):
    assert {name: v.status for name, v in small.verdicts.items()} == dict.fromkeys(
        [
            "shortest", "counterexample", "no-other-prime", "sums-needed", "first-sums", "referee",
            "largest", "upper-bound", "powers-of-two", "records", "counts", "prime-records",
        ],
        "supported",
    )  # fmt: skip
    assert not small.broken
    assert all(v.kind == "exact" and v.certificates for v in small.verdicts.values())
    around = small.data["primes"].to_dataset().isel(up_to=0)
    control = small.data["control/primes"].to_dataset().isel(up_to=0)
    at = around.n.values - complexities.PRIME
    assert around.near.values[np.isin(at, [-6, -1, 0, 1])].tolist() == [58, 63, 63, 57]
    assert control.near.values[np.isin(at, [-6, -1, 0, 1])].tolist() == [58, 63, 64, 57]


def test_what_is_counted_is_what_is_published(small):
    run = small.data["table"].to_dataset().isel(up_to=0)
    whole = [k for k in range(1, 50) if largest_with(k) <= 10**6]
    assert run.how_many.sel(ones=whole).values.tolist() == list(HOW_MANY[: len(whole)])
    assert run.least.values[:46].tolist() == list(LEAST_WITH[:46])
    assert (run.least.values[46:] == 0).all()
    # By complexity up to 10^6, computed elsewhere.
    assert run.how_many.values[38:46].tolist() == [
        105554, 146237, 191903, 191340, 83788, 9927, 227, 1,
    ]  # fmt: skip
    assert int(run.how_many.sum()) == int(run.defects.sum()) == 10**6
    np.testing.assert_allclose(run.share.sum("ones"), 1)
    sizes = np.diff([*run.number_bin.values, 10**6 + 1])
    mean = float((run.ratio * sizes)[1:].sum() / sizes[1:].sum())
    assert mean == pytest.approx(1.1294, abs=5e-5)
    assert float(run.tried[-1]) == 51150


def test_better_sums_are_found_where_they_are():
    table = integer_complexity.complexity_table(21_200_000)
    assert primes._better_sums(table) == [(21080618, 6)]
    assert primes._best_product(table, 21080618) == table[21080618] == 51
    assert table[21080617] == 54
    assert table[21080612] == 49


def test_ranges_and_own_numbers_are_written(lab, tmp_path):
    run = chymist.run(SLUG, up_to=10**5, dense=1024, n="1-12,719")
    found = run.data["formulas"].to_dataset().isel(up_to=0)
    assert found.ones.values.tolist() == [1, 2, 3, 4, 5, 5, 6, 6, 6, 7, 8, 7, 23]
    assert found.defect.values[8] == pytest.approx(0)
    path = tmp_path / "mine.csv"
    path.write_text("n\n516743639\n1439\n")
    run = chymist.run(SLUG, data=path, up_to=10**5)
    assert set(run.verdicts) == {"shortest"}
    assert run.status == "supported"
    assert not run.broken
    found = run.data["formulas"].to_dataset().isel(up_to=0)
    assert found.n.values.tolist() == [1439, 516743639]
    assert found.summand.values.tolist() == [1, 6]
    assert found.ones.values.tolist() == [26, 63]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--n", "0"], "parameter n cannot be '0' (allowed: integer from 1 to 1000000000000"),
        (["--n", "-3"], "parameter n cannot be '-3'"),
        (["--n", "x"], "parameter n cannot be 'x'"),
        (["--n", "1.5"], "parameter n cannot be '1.5'"),
        (["--n", "2000000000000"], "parameter n cannot be '2000000000000'"),
        (["--n", "9-3"], "parameter n cannot be ('9-3',)"),
        (["--n", ""], "parameter n is empty"),
        (["--up-to", "10"], "parameter up-to cannot be '10' (allowed: integer from 100000 to"),
        (["--seeds", "8"], "parameter seeds cannot be '8' (allowed: 1)"),
        (["--summands", "two"], "parameter summands cannot be 'two' (allowed: one of all, one)"),
        (["--data", "absent.csv"], "no file absent.csv"),
    ],
)
def test_bad_input_ends_in_one_line(lab, refused, words, line):
    assert refused("run", SLUG, *words).startswith(line)
    assert not lab.exists() or Lab(lab).listing() == []


def test_a_table_that_does_not_fit_ends_in_one_line_with_the_limit(lab, refused, monkeypatch):
    monkeypatch.setattr(memory, "free", lambda: 2.0**30)
    line = refused("run", SLUG, "--up-to", "100000000000")
    assert line.startswith("a table of complexities up to 100000000000 needs 46.6 GiB (1 GiB are")
    assert re.search(r"up to \d+\)$", line)
    assert Lab(lab).listing() == []


def test_without_a_compiler_the_log_says_so(lab, monkeypatch):
    integer_complexity._kernel.cache_clear()
    monkeypatch.setenv(SWITCH, "0")
    run = chymist.run(SLUG, up_to=10**5, dense=1024)
    integer_complexity._kernel.cache_clear()
    assert run.status == "supported"
    assert "table by NumPy, slower: switched off by CHYMIST_NATIVE=0" in (
        run.folder / "log.jsonl"
    ).read_text(encoding="utf-8")
    assert run.drawing("trials", "svg").startswith(b"<svg")


def test_where_the_search_gives_up_nothing_is_claimed(lab, monkeypatch):
    monkeypatch.setattr(complexities, "Search", partial(Search, looks=5))
    run = chymist.run(catalogue.find(SLUG), up_to=10**5, dense=1024, n=(10**11 + 3,))
    verdict = run.verdicts["shortest"]
    assert verdict.status == "inconclusive"
    assert verdict.note == "1 of 1 values not known"


def test_a_formula_with_another_value_is_no_certificate():
    assert complexities.holds(6, "(1+1)*(1+1+1)", 5)
    assert not complexities.holds(7, "(1+1)*(1+1+1)", 5)
    assert not complexities.holds(6, "(1+1)*(1+1+1)", 6)


@pytest.mark.parametrize("preset", evidence.read(EVIDENCE)["presets"])
def test_the_formulas_that_are_kept_as_evidence_hold(preset):
    record = evidence.read(EVIDENCE)["presets"][preset]
    kept = [
        c for e in record["experiments"].values() for v in e["claims"] for c in v["certificates"]
    ]
    pattern = r"(\d+) = \S+, which is (\d+) ones"
    found = [(m, c["shows"]) for c in kept if (m := re.fullmatch(pattern, c["says"]))]
    assert {int(m[1]) for m, _ in found} == {complexities.PRIME - k for k in (0, 1, 6)}
    assert all(complexities.holds(int(m[1]), formula, int(m[2])) for m, formula in found)


@pytest.mark.evidence
def test_the_whole_table(tmp_path):
    run = chymist.run(SLUG, lab=tmp_path, preset="paper")
    assert run.status == "supported"
    assert not run.broken
    found = run.data["primes"].to_dataset().isel(up_to=0)
    assert int(found.primes) == 27352687
    assert found.broken.values.tolist() == [353942783, *[0] * 7]
    assert found.needed.values.tolist() == [353942783, 516743639, *[0] * 6]
    assert found.first_sum.sel(summand=[6, 8]).values.tolist() == [21080618, 385159320]
    assert int(found.sums.sum()) == 26
