"""Every study has a story, evidence that is still evidence, and a page that shows both."""

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from chymist import catalogue
from chymist.claims import Certificate, Claim, Region, judge
from chymist.explorable import course
from chymist.lab.judging import outcome
from chymist.report import evidence
from chymist.report.gallery import pages
from chymist.testing import check_story

ROOT = Path(__file__).parents[1]
EVIDENCE, ATLAS = ROOT / "docs" / "evidence", ROOT / "docs" / "atlas"
SLUGS = [entry.slug for entry in catalogue.entries()]
RECORDS = [
    (slug, preset)
    for slug in SLUGS
    if (EVIDENCE / f"{slug}.json").is_file()
    for preset in evidence.read(EVIDENCE / f"{slug}.json")["presets"]
]


def record_of(slug, preset):
    return evidence.read(EVIDENCE / f"{slug}.json")["presets"][preset]


def verdicts(record):
    """Yield every verdict of a record: the claims', and those under the control."""
    for experiment in record["experiments"].values():
        yield from experiment["claims"]
        yield from (control["verdict"] for control in experiment["control"])


@pytest.mark.parametrize("slug", SLUGS)
def test_a_study_says_which_questions_it_answers(slug):
    assert catalogue.find(slug).answers, f"give {slug} answers=(...), keys of chymist.questions"


@pytest.mark.parametrize("slug", SLUGS)
def test_the_quick_preset_has_evidence(slug):
    hint = f"run: chymist evidence {slug}"
    assert (slug, "quick") in RECORDS, hint
    assert evidence.read(EVIDENCE / f"{slug}.json")["study"] == slug


@pytest.mark.parametrize("slug", SLUGS)
def test_the_story_is_whole_and_explains_what_evidence_does_not_support(slug):
    presets = [preset for s, preset in RECORDS if s == slug]
    doubted = {
        claim["claim"]
        for preset in presets
        for experiment in record_of(slug, preset)["experiments"].values()
        for claim in experiment["claims"]
        if claim["status"] != "supported"
    }
    check_story(catalogue.find(slug), ATLAS, doubted)


@pytest.mark.parametrize(("slug", "preset"), RECORDS)
def test_evidence_is_of_the_claims_and_the_preset_as_they_are(slug, preset):
    wrong = evidence.stale(catalogue.find(slug), preset, record_of(slug, preset))
    assert not wrong, f"{'; '.join(wrong)}; run: chymist evidence {slug} --preset {preset}"


@pytest.mark.parametrize(("slug", "preset"), RECORDS)
def test_verdicts_follow_from_the_values_of_the_seeds(slug, preset):
    record = record_of(slug, preset)
    for kept in verdicts(record):
        claim = claim_of(slug, kept)
        values = np.array([row["values"] for row in kept["rows"]], dtype=float)
        assert values.shape[1] == record["parameters"]["seeds"]
        data = xr.DataArray(values, dims=("row", "seed"))
        assert kept.get("kind", "sampled") == claim.kind
        shown = None
        if claim.kind == "exact":
            data = data.isel(seed=0)
            shown = [Certificate(**certificate) for certificate in kept["certificates"]]
        again = judge(
            dataclasses.replace(
                claim,
                statistic=lambda _, data=data: data,
                certificates=shown and (lambda _, shown=shown: shown),
            ),
            xr.Dataset(),
        )
        assert again.status == kept["status"]
        for row, was in zip(again.rows, kept["rows"], strict=True):
            assert row.status == was["status"]
            interval = dataclasses.asdict(row.interval) if row.interval else None
            assert interval == pytest.approx(was["interval"], rel=1e-6, nan_ok=True)


def claim_of(slug, kept) -> Claim:
    """The claim as it is, whose words and region must be those that were judged."""
    claim = catalogue.find(slug).claim(kept["claim"])
    low, high = (kept["region_low"], kept["region_high"])
    judged = Region(-np.inf if low is None else low, np.inf if high is None else high)
    assert (claim.region, claim.centre) == (judged, kept["centre"])
    return claim


@pytest.mark.parametrize(("slug", "preset"), RECORDS)
def test_the_overall_verdict_follows_from_the_claims(slug, preset):
    record = record_of(slug, preset)
    again = outcome(record["experiments"])
    assert (again["status"], again["broken"]) == (record["status"], record["broken"])
    for experiment in catalogue.find(slug).experiments:
        judged = record["experiments"][experiment.name]
        assert [v["claim"] for v in judged["claims"]] == [c.name for c in experiment.claims]
        assert [c["claim"] for c in judged["control"]] == list(experiment.control.flips)
        for control in judged["control"]:
            assert control["flipped"] == (control["verdict"]["status"] == "refuted")


@pytest.mark.parametrize(("slug", "preset"), RECORDS)
def test_figures_are_those_of_the_record_and_small(slug, preset):
    kept, specs = record_of(slug, preset)["figures"], record_of(slug, preset).get("specs", {})
    folder = EVIDENCE / slug / preset
    names = {f"{name}.svg" for name in kept} | {f"{name}.json" for name in specs}
    assert {path.name for path in folder.iterdir()} == names and set(specs) <= set(kept)
    assert set(kept) == {f.name for e in catalogue.find(slug).experiments for f in e.figures}
    for name, digest in kept.items():
        content = (folder / f"{name}.svg").read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest
        assert len(content) <= evidence.FIGURE_BYTES
        assert b"<script" not in content and b"http" not in content.replace(
            b"http://www.w3.org/2000/svg", b""
        )


@pytest.mark.parametrize(("slug", "preset"), RECORDS)
def test_what_figures_are_drawn_from_is_whole_and_small(slug, preset):
    specs = record_of(slug, preset).get("specs", {})
    contents = {n: (EVIDENCE / slug / preset / f"{n}.json").read_bytes() for n in specs}
    for name, content in contents.items():
        assert hashlib.sha256(content).hexdigest() == specs[name]
    assert sum(map(len, contents.values())) <= 1_000_000
    if specs and any(
        f.name == "course" for e in catalogue.find(slug).experiments for f in e.figures
    ):
        assert course(json.loads(contents["course"]))


def test_evidence_is_of_studies_and_nothing_else_lies_there():
    presets = {f"{slug}/{preset}" for slug, preset in RECORDS}
    assert {path.stem for path in EVIDENCE.glob("*.json")} <= set(SLUGS)
    assert {str(path.relative_to(EVIDENCE)) for path in EVIDENCE.glob("*/*")} == presets


def test_evidence_names_no_folder_and_no_machine():
    import getpass
    import platform

    for path in EVIDENCE.glob("*.json"):
        text = path.read_text(encoding="utf-8")
        words = {platform.node(), str(Path.home()), str(ROOT), "/home/", "/tmp/"}
        assert not [word for word in words if len(word) > 4 and word in text]
        assert getpass.getuser() not in json.loads(text)["presets"]


def test_the_gallery_is_what_the_evidence_says():
    studies = [catalogue.find(slug) for slug in SLUGS]
    written = pages(studies, EVIDENCE, ATLAS)
    there = {path.name: path.read_text(encoding="utf-8") for path in ATLAS.iterdir()}
    assert sorted(there) == sorted(written), "run: chymist atlas"
    for name, text in written.items():
        assert there[name] == text, f"{name} is not what is written; run: chymist atlas"
