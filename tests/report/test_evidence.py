import json
import re
import shutil
from html import unescape
from pathlib import Path

import pytest

import chymist
from chymist import catalogue
from chymist.cli import execute
from chymist.errors import UnfinishedRun, UsageError
from chymist.report import evidence
from chymist.report.gallery import pages
from chymist.testing import check_story
from chymist.testing.stories import PARTS, TRANSLATED

EXACT = Path(__file__).parents[1] / "studies" / "exact.py"
STORY = """## Intuition

{words}

## Derivation

$\\sigma / \\sqrt n$ {words}

## Experiment

{words}

## What would refute it

{words}

## Where it stops being true

{words}

## Neighbours

[low frequencies](frequency-principle.md) {words}
""".format(words="word " * 20)


@pytest.fixture
def kept(lab, tiny, tmp_path):
    """The tiny study, a run of its quick preset, and the evidence of that."""
    run = chymist.run(tiny)
    study = catalogue.find(str(tiny))
    return study, run, evidence.keep(run, study, tmp_path / "evidence")


def words_of(page):
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


def test_it_says_what_the_report_says(kept, tmp_path):
    study, run, path = kept
    record = evidence.read(path)["presets"]["quick"]
    report = words_of(run.report.read_text(encoding="utf-8"))
    page = pages([study], path.parent, tmp_path / "atlas")["tiny.md"].replace("\xa0", " ")
    [line] = re.findall(r"^\| `located` \|.*$", page, re.M)
    _, where, estimate, interval, region, verdict = [c.strip() for c in line.strip("|").split("|")]
    assert f"{estimate} {interval}" in report and where in report
    assert region in report
    assert verdict == "✓ supported" and "supported The claim is supported" in report
    assert record["experiments"] == json.loads(json.dumps(run.outcome["experiments"]))
    assert record["claims"] == {"located": study.claim("located").digest()}
    assert record["command"] == "chymist run tiny.py"


def test_the_command_keeps_evidence_beside_that_of_other_presets(lab, tiny, tmp_path, capsys):
    assert execute(["evidence", str(tiny), "--output", "here"]) == 0
    assert execute(["evidence", str(tiny), "--output", "here", "--preset", "paper"]) == 0
    assert "✓ supported" in capsys.readouterr().out
    found = evidence.read(Path("here/tiny.json"))
    assert list(found["presets"]) == ["quick", "paper"]
    assert found["presets"]["paper"]["parameters"]["seeds"] == 20
    for preset in found["presets"]:
        names = sorted(p.name for p in Path("here/tiny", preset).iterdir())
        assert names == ["means.json", "means.svg"]


def test_a_refuted_claim_is_evidence(lab, variant, capsys):
    path = variant("between(0.5, 1.5)", "between(7, 8)")
    assert execute(["evidence", str(path), "--output", "here"]) == 0
    assert evidence.read(Path("here/tiny.json"))["presets"]["quick"]["status"] == "refuted"
    page = pages([catalogue.find(str(path))], Path("here"), Path("atlas"))["tiny.md"]
    assert "### Preset quick: ✗ refuted" in page


def test_a_control_that_does_not_flip_is_said_loudly(lab, variant):
    path = variant('{"centre": 3.0}', '{"centre": 1.01}')
    assert execute(["evidence", str(path), "--output", "here"]) == 5
    page = pages([catalogue.find(str(path))], Path("here"), Path("atlas"))["tiny.md"]
    assert "### Preset quick: ! broken" in page
    assert "A control did not flip, so the claims prove nothing." in page
    assert re.search(r"^\| control of `located` \|.*! did not flip \|$", page, re.M)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("between(0.5, 1.5)", "between(0.5, 1.6)", "claim located has changed"),
        ('return run["mean"]\n\n\ndef', 'return run["mean"] + 0\n\n\ndef', "claim located has"),
        ('Claim("located"', 'Claim("put"', "claim put is new; claim located is gone"),
        ('{"quick": {}', '{"quick": {"width": (8,)}', "parameter width has changed"),
    ],
)
def test_what_changed_makes_it_stale(kept, variant, tmp_path, old, new, said):
    _, run, path = kept
    text = variant(old, new).read_text().replace('("located",)', '("put",)' if "put" in new else "")
    altered = tmp_path / "altered.py"
    if "put" in new:
        altered.write_text(text)
    else:
        variant(old, new)
    study = catalogue.find(str(altered))
    record = evidence.read(path)["presets"]["quick"]
    assert said in "; ".join(evidence.stale(study, "quick", record))
    page = pages([study], path.parent, tmp_path / "atlas")["tiny.md"]
    assert f"**Stale:** {said}" in page
    with pytest.raises(UsageError, match="no evidence any more"):
        evidence.keep(run, study, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_evidence_of_experiments_that_are_gone_is_stale(kept, variant, tmp_path):
    _, _, path = kept
    study = catalogue.find(str(variant('Experiment(\n            "means"', 'Experiment("others"')))
    gone = "experiment others is new; experiment means is gone"
    page = pages([study], path.parent, tmp_path / "atlas")["tiny.md"]
    assert f"**Stale:** {gone}." in page
    assert "None of the study's experiments was part of it." in page


def test_what_does_not_decide_a_claim_leaves_it_valid(kept, variant):
    _, _, path = kept
    study = catalogue.find(str(variant("The mean is near one.", "It is near one.")))
    assert evidence.stale(study, "quick", evidence.read(path)["presets"]["quick"]) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--centre", "1.1"], "not of a preset: centre given"),
        (["--sweep", "kind=a,b"], "not of a preset: kind given"),
        (["--until-decided"], "not of a preset: until_decided given"),
    ],
)
def test_a_run_of_other_parameters_is_refused(lab, tiny, refused, capsys, words, said):
    execute(["run", str(tiny), *words])
    capsys.readouterr()
    assert said in refused("evidence", tiny, "--run", "latest", "--output", "here")
    assert not Path("here").exists()


def test_bad_calls_end_in_one_line(lab, tiny, refused, kept):
    assert "no study is named" in refused("evidence")
    assert "did you mean paper" in refused("evidence", tiny, "--preset", "papr")
    assert "one run is evidence of one" in refused("evidence", tiny, "a", "--run", "latest")
    assert "is of tiny" in refused("evidence", "frequency-principle", "--run", "latest")
    Path("evidence", "tiny.json").write_text("[]")
    assert "cannot be read as evidence" in refused("evidence", tiny, "--run", "latest",
                                                   "--output", "evidence")  # fmt: skip


def test_an_unfinished_run_is_refused(cut, pair):
    with pytest.raises(UnfinishedRun):
        evidence.gather(cut(2), catalogue.find(str(pair)))


def test_the_story_is_in_the_report_the_page_and_the_info(lab, tmp_path, variant, capsys):
    path = variant('kind: str = Field("plain"', 'kind: str = Field("odd"')
    (tmp_path / "stories").mkdir()
    (tmp_path / "stories" / "tiny.md").write_text(STORY)
    run = chymist.run(path)
    text = run.report.read_text(encoding="utf-8")
    assert '<a href="#story">' in text and "<h3>What would refute it</h3>" in text
    assert "low frequencies" in text and "frequency-principle.md" not in text
    study = catalogue.find(str(path))
    evidence.keep(run, study, tmp_path / "evidence")
    assert STORY.strip() in pages([study], tmp_path / "evidence", tmp_path / "atlas")["tiny.md"]
    assert execute(["info", str(path), "--story"]) == 0
    assert capsys.readouterr().out == STORY
    assert execute(["info", str(path)]) == 0
    assert f"chymist info {path} --story" in capsys.readouterr().out.replace("\n", "")
    check_story(study)


def test_a_study_without_a_story_says_where_it_belongs(lab, tiny, refused):
    line = refused("info", tiny, "--story")
    assert "tiny has no story" in line and "stories/tiny.md" in line
    assert '<a href="#story">' not in chymist.run(tiny).report.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("## Experiment", "## The experiment", "the parts are"),
        ("$\\sigma / \\sqrt n$", "", "no formula"),
        ("\\sqrt n", "\\nosuch n", "does not render"),
        ("frequency-principle.md", "nowhere.md", "no page of a study"),
        ("frequency-principle.md", "../nothing/x.md", "to no file"),
        ("frequency-principle.md", "https://example.org/x", "no publication"),
        ("[low frequencies](frequency-principle.md)", "", "links to no neighbour"),
        ("word " * 20 + "\n\n## What would", "word\n\n## What would", "fewer than 20 words"),
        ("## Neighbours", "long " * 1500 + "\n\n## Neighbours", "at most 1500"),
        ("Intuition", "Intuition", "evidence does not support located"),
    ],
)
def test_a_story_that_lacks_something_is_named(lab, tmp_path, tiny, old, new, said):
    path = Path(shutil.copy(tiny, tmp_path / "mine.py"))
    (tmp_path / "stories").mkdir()
    assert old in STORY
    (tmp_path / "stories" / "tiny.md").write_text(STORY.replace(old, new, 1))
    doubted = {"located"} if "located" in said else ()
    with pytest.raises(AssertionError, match=said):
        check_story(catalogue.find(str(path)), tmp_path, doubted)


def translated(text):
    for title, own in zip(PARTS, TRANSLATED["zh"], strict=True):
        text = text.replace(f"## {title}", f"## {own}")
    return text


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("## 实验", "## 试验", "zh: the parts are"),
        ("$\\sigma / \\sqrt n$", "$\\sigma / n$", "zh: it lacks the formula"),
        ("frequency-principle.md", "image-memorisation.md", "zh: it lacks the link"),
        ("## 实验\n", "## 实验\n\n`centred`\n", "zh: the original has no name `centred`"),
    ],
)
def test_a_translation_that_departs_from_its_original_is_named(lab, tmp_path, tiny, old, new, said):
    path = Path(shutil.copy(tiny, tmp_path / "mine.py"))
    (tmp_path / "stories").mkdir()
    (tmp_path / "stories" / "tiny.md").write_text(STORY)
    study, chinese = catalogue.find(str(path)), tmp_path / "stories" / "tiny.zh.md"
    chinese.write_text(translated(STORY), encoding="utf-8")
    check_story(study)
    assert old in translated(STORY)
    chinese.write_text(translated(STORY).replace(old, new, 1), encoding="utf-8")
    with pytest.raises(AssertionError, match=said):
        check_story(study)


def test_a_translated_story_is_a_page_of_its_own(lab, tmp_path, tiny, capsys, refused):
    path = Path(shutil.copy(tiny, tmp_path / "mine.py"))
    (tmp_path / "stories").mkdir()
    (tmp_path / "stories" / "tiny.md").write_text(STORY)
    line = refused("info", path, "--story", "--language", "zh")
    assert "tiny has no story in zh" in line and "stories/tiny.zh.md" in line
    assert "one of en, zh" in refused("info", path, "--language", "xx")
    (tmp_path / "stories" / "tiny.zh.md").write_text(translated(STORY), encoding="utf-8")
    assert execute(["info", str(path), "--story", "--language", "zh"]) == 0
    assert capsys.readouterr().out == translated(STORY)
    made = pages([catalogue.find(str(path))], tmp_path / "evidence", tmp_path / "atlas")
    assert translated(STORY).strip() in made["tiny.zh.md"]
    assert "[中文](tiny.zh.md)" in made["tiny.md"]


def test_a_published_figure_stands_beside_ours(lab, variant, tmp_path):
    path = variant(
        "between(0.5, 1.5))",
        "between(0.5, 1.5), published="
        '(chymist.Published(1.25, "for $n$ = 9", "jacot2018neural"),))',
    )
    path.write_text(path.read_text().replace("import xarray", "import chymist\nimport xarray"))
    run, study = chymist.run(path), catalogue.find(str(path))
    told = words_of(run.report.read_text(encoding="utf-8"))
    assert re.search(r"Published: 1.25 \(for n = 9\), Jacot et al. \(2018\)\.", told)
    evidence.keep(run, study, tmp_path / "evidence")
    page = pages([study], tmp_path / "evidence", tmp_path / "atlas")["tiny.md"]
    assert "| 1.25, Jacot et al. (2018) |" in page
    assert "Published beside `located`: 1.25, for $n$ = 9; Jacot et al. (2018)." in page


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("cost=", 'answers=("widht",), cost=', "unknown question 'widht' (did you mean width?)"),
        ("cost=", 'cover="mean", cost=', "unknown figure 'mean' (did you mean means?)"),
        (
            "between(0.5, 1.5))",
            'between(0.5, 1.5), published=(chymist.Published(1, "", "me2020"),))',
            "which the study does not cite (known: jacot2018neural)",
        ),
    ],
)
def test_a_name_that_refers_to_nothing_is_refused(variant, refused, old, new, said):
    path = variant(old, new)
    path.write_text(path.read_text().replace("import xarray", "import chymist\nimport xarray"))
    assert said in refused("info", path)


def test_a_large_figure_becomes_a_picture_of_itself(figures):
    from chymist.report.drawing import standalone

    whole = standalone(figures["heat"], 10**7)
    assert whole.startswith("<svg ") and 'font-family="sans-serif"' in whole
    assert "<image" not in standalone(figures["curves"], 10**6)
    small = standalone(figures["heat"], 20_000)
    assert len(small.encode()) <= 20_000 < len(whole.encode())
    assert small.count("<image") == 1 and "data:image/png;base64," in small
    with pytest.raises(ValueError, match="more than 1500 bytes"):
        standalone(figures["heat"], 1500)


def test_exact_claims_stand_on_the_page_with_their_certificates(lab):
    assert execute(["evidence", str(EXACT), "--output", "here"]) == 0
    page = pages([catalogue.find(str(EXACT))], Path("here"), Path("atlas"))["exact.md"]
    page = page.replace("\xa0", " ")
    assert "Without seeds, " in page and "What is marked exact has no seeds" in page
    assert "where its interval lies" not in page
    assert re.search(r"^\| `squares` \| last = 12 \| 0 \| exact \| exactly 0 \|.* ✓ supported \|$",
                     page, re.M)  # fmt: skip
    [line] = [line for line in page.splitlines() if line.startswith("- the first 12 odd")]
    odd = " + ".join(str(n) for n in range(1, 24, 2))
    assert line == f"- the first 12 odd numbers add up to 144; for `squares`: `{odd}`"
