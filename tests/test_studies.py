import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import chymist
from chymist import catalogue
from chymist.cli import execute
from chymist.errors import BadParameter, BadStudy
from chymist.lab import Lab
from chymist.report import evidence
from chymist.testing import check_study

AT_ONCE = {
    "frequency-principle", "image-memorisation", "integer-complexity", "jacobi-contrast",
    "sgd-escape",
}  # fmt: skip
"""Studies that are checked whole in every suite; all would take a quarter of an hour."""
EVIDENCE = Path(__file__).parents[1] / "docs" / "evidence"


def test_the_battery_passes_a_sound_study(tiny, tmp_path):
    run = check_study(catalogue.find(str(tiny)), tmp_path / "lab")
    assert run.status == "supported"


@pytest.mark.parametrize(
    ("old", "new", "failure"),
    [
        ('{"centre": 3.0}', '{"centre": 1.01}', "does not refute claim located"),
        ("between(0.5, 1.5)", "between(-9, 9)", "with its statistic's sign changed"),
        ('"""The mean of the draws."""', "pass", "has no docstring"),
        ("$n$ draws", "$\\\\nosuchcommand{n$ draws", "formula"),
        ('cost={"quick": 5, "paper": 5}', "cost={}", "states no cost"),
        ('references=references("jacot2018neural")', "references=()", "cites nothing"),
        ('description="unused"', 'description=""', "parameter kind has no description"),
        (
            'xr.full_like(data["mean"], p.centre)',
            "data[\"mean\"] * float('nan')",
            "predicted_mean is not finite",
        ),
        (
            'mean = values.mean("sample")',
            'mean = values.mean("sample") - values.mean() + 1',
            "mean of a seed depends on which others there are",
        ),
        (
            'return figures.statistic(run["mean"]',
            'return figures.statistic(xr.concat([run["mean"], control["mean"]], "arm")[0]',
            "figure means fails where the control has other seeds",
        ),
        (
            '"units": "1"}',
            '"units": "1", "clock": "wall"}',
            "claim located depends on a clock: mean",
        ),
    ],
)
def test_the_battery_names_what_is_wrong(variant, tmp_path, old, new, failure):
    study = catalogue.find(str(variant(old, new)))
    with pytest.raises(AssertionError, match=failure):
        check_study(study, tmp_path / "lab")


def test_the_battery_lets_a_clock_never_say_the_same_twice(variant, tmp_path):
    told = 'mean * 0 + __import__("time").time_ns() % 10**9'
    marked = f'{told}).assign_attrs(long_name="time", units="s", clock="wall")'
    path = variant('Dataset({"mean": mean})', f'Dataset({{"mean": mean, "time": ({marked}}})')
    assert check_study(catalogue.find(str(path)), tmp_path / "lab").status == "supported"
    unmarked = path.read_text().replace(', clock="wall"', "")
    path.write_text(unmarked)
    with pytest.raises(AssertionError, match="time of a seed depends on which others there are"):
        check_study(catalogue.find(str(path)), tmp_path / "lab")


EXACT = Path(__file__).parent / "studies" / "exact.py"


def test_the_battery_passes_a_study_without_seeds(tmp_path):
    run = check_study(catalogue.find(str(EXACT)), tmp_path / "lab")
    assert run.status == "supported"
    assert [c.seeds for c in run.chunks] == [(0, 1)] * 2
    assert "seed" not in run.data["sums"].dims
    [certificate] = run.verdicts["squares"].certificates
    assert certificate.shows.endswith("+ 21 + 23")


@pytest.mark.parametrize(
    ("old", "new", "failure"),
    [
        ("exactly(0)", "below(99)", "with its statistic's sign changed"),
        ('{"step": 3}', '{"last": (9,)}', "does not refute claim squares"),
        (
            "total.attrs =",
            "total = total + __import__('time').time_ns() % 10**9; total.attrs =",
            "total is not the same when computed again",
        ),
    ],
)
def test_the_battery_names_what_is_wrong_without_seeds(tmp_path, old, new, failure):
    text = EXACT.read_text().replace("exactly,", "below,\n    exactly,")
    assert old in text
    path = tmp_path / "altered.py"
    path.write_text(text.replace(old, new))
    with pytest.raises(AssertionError, match=failure):
        check_study(catalogue.find(str(path)), tmp_path / "lab")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"seeds": 2}, "parameter seeds cannot be 2 (allowed: 1)"),
        ({"until_decided": True}, "exact has no seeds to add: its claims are exact"),
        (
            {"refine": ["last"], "on": "squares", "last": (2, 4)},
            "claim squares is exact: it cannot be refined",
        ),
    ],
)
def test_what_needs_seeds_is_refused_where_there_are_none(lab, options, line):
    with pytest.raises(BadParameter) as caught:
        chymist.run(str(EXACT), **options)
    assert str(caught.value).startswith(line)


def test_data_with_seeds_are_refused_where_all_claims_are_exact(lab, tmp_path):
    path = tmp_path / "seeded.py"
    path.write_text(
        EXACT.read_text().replace(
            'return xr.Dataset({"total": total})',
            'return xr.Dataset({"total": total.expand_dims(seed=[0])})',
        )
    )
    with pytest.raises(BadStudy, match="no xarray Dataset without dimension seed"):
        chymist.run(str(path))


def test_an_exact_run_prints_values_and_certificates(lab, capsys):
    assert execute(["run", str(EXACT), "--last", "3"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"squares +last=3 +0 +exact +exactly 0 +✓ supported", shown)
    assert "✓ the first 3 odd numbers add up to 9: 1 + 3 + 5\n" in shown
    page = (Lab().open("latest").folder / "report.html").read_text()
    for words in ("exact, no seeds", "1 certificate, to be checked without chymist", "1 + 3 + 5"):
        assert words in page
    assert "Numbers of every seed" not in page


STUDIES = [
    pytest.param(
        entry.slug, marks=pytest.mark.slow if entry.slug in AT_ONCE else pytest.mark.evidence
    )
    for entry in catalogue.entries()
]


@pytest.mark.parametrize("slug", STUDIES)
def test_study(slug, tmp_path):
    run = check_study(catalogue.find(slug), tmp_path / "lab")
    kept = evidence.read(EVIDENCE / f"{slug}.json")["presets"]["quick"]
    again = f"the evidence is of another study; run: chymist evidence {slug}"
    for name, judged in kept["experiments"].items():
        for was, now in zip(
            judged["claims"], run.outcome["experiments"][name]["claims"], strict=True
        ):
            assert (was["claim"], was["status"]) == (now["claim"], now["status"]), again
            for then, row in zip(was["rows"], now["rows"], strict=True):
                # On other machines the last bits differ, and training amplifies them: not so far.
                low, high = then["interval"]["low"], then["interval"]["high"]
                room = (high - low) / 2 + 1e-3 * max(abs(low), abs(high))
                assert low - room <= row["interval"]["estimate"] <= high + room, again


@pytest.mark.evidence
@pytest.mark.parametrize("slug", [entry.slug for entry in catalogue.entries()])
def test_a_study_replays_byte_for_byte_in_another_process(slug, tmp_path):
    def execute(*words, hashes):
        here = {**os.environ, "PYTHONHASHSEED": hashes, "CHYMIST_LAB": str(tmp_path / "lab")}
        command = [sys.executable, "-m", "chymist", *words, "--json"]
        done = subprocess.run(command, env=here, capture_output=True, text=True)
        return json.loads(done.stdout)

    run = execute("run", slug, hashes="1")
    again = execute("replay", run["id"], hashes="2")
    assert again["same"], again["differences"]
    assert again["arrays"] > 10
