import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chymist import catalogue
from chymist.report import evidence
from chymist.testing import check_study

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
    ],
)
def test_the_battery_names_what_is_wrong(variant, tmp_path, old, new, failure):
    study = catalogue.find(str(variant(old, new)))
    with pytest.raises(AssertionError, match=failure):
        check_study(study, tmp_path / "lab")


@pytest.mark.slow
@pytest.mark.parametrize("slug", [entry.slug for entry in catalogue.entries()])
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
                assert low - room < row["interval"]["estimate"] < high + room, again


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
