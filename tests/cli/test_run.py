import json
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import chymist
import chymist.api
from chymist.catalogue import find
from chymist.cli import execute
from chymist.errors import BadInput, BadStudy, ChymistError, UsageError


@pytest.fixture
def wave(tmp_path):
    path = tmp_path / "wave.csv"
    x = np.arange(64) / 64
    y = np.sin(2 * np.pi * x) + np.sin(10 * np.pi * x)
    path.write_text("\n".join(f"{a},{b}" for a, b in zip(x, y, strict=True)))
    return path


def test_a_run_ends_in_a_verdict_a_report_and_a_sealed_folder(lab, tiny, capsys):
    assert execute(["run", str(tiny)]) == 0
    printed = capsys.readouterr()
    assert "✓ supported" in printed.out
    assert "✓ flipped" in printed.out
    [folder] = (lab / "runs").iterdir()
    assert printed.err.strip() == f"report: {folder / 'report.html'}"
    names = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert names == {
        "plan.json",
        "run.json",
        "verdicts.json",
        "log.jsonl",
        "report.html",
        "figures/means.json",
        "chunks/0000.means.treatment.nc",
        "chunks/0000.means.treatment.json",
        "chunks/0001.means.control.nc",
        "chunks/0001.means.control.json",
    }
    manifest = json.loads((folder / "run.json").read_text())
    assert set(manifest["files"]) == names - {"run.json", "report.html"}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], 0),
        (["--centre", "9"], 4),
        (["--centre", "1.5"], 3),
    ],
)
def test_the_exit_code_is_the_verdict(lab, tiny, words, code, capsys):
    assert execute(["run", str(tiny), *words]) == code


def test_a_control_that_does_not_flip_breaks_the_study(lab, variant, capsys):
    path = variant('{"centre": 3.0}', '{"centre": 1.1}')
    assert execute(["run", str(path)]) == 5
    out = capsys.readouterr().out
    assert "did not flip" in out
    assert "broken: a control did not flip, so the claims prove nothing" in out


def test_json_is_all_that_is_on_stdout(lab, tiny, capsys):
    assert execute(["run", str(tiny), "--json", "--seeds", "6"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["verdict"] == "supported"
    assert len(record["experiments"]["means"]["claims"][0]["rows"][0]["values"]) == 6


def test_sweeps_and_axes_are_joined_on_named_coordinates(lab, tiny):
    run = chymist.run(tiny, sweep={"centre": (0.9, 1.1)}, width=(4, 16))
    data = run.data["means"]
    assert dict(data["mean"].sizes) == {"centre": 2, "width": 2, "seed": 8}
    assert len(run.verdicts["located"].rows) == 4
    assert run.data["control/means"]["mean"].sizes["width"] == 2


def test_sweep_from_the_command_line(lab, tiny, capsys):
    assert execute(["run", str(tiny), "--sweep", "width=2,4", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["experiments"]["means"]["claims"][0]["rows"]
    assert [row["where"] for row in rows] == [{"width": 2}, {"width": 4}]


def test_the_users_data_are_read_and_kept(lab, tiny, wave):
    run = chymist.run(tiny, data=wave)
    kept = xr.load_dataset(run.folder / "input.nc")
    assert kept.y.size == 63
    assert run.manifest["input"]["name"] == "wave.csv"


def test_the_same_run_twice_gives_the_same_bytes(lab, tiny):
    first = chymist.run(tiny)
    time.sleep(1.1)  # file formats like to write the time down
    second = chymist.run(tiny)
    name = "chunks/0000.means.treatment.nc"
    assert first.manifest["files"][name] == second.manifest["files"][name]


def test_draws_of_a_seed_do_not_depend_on_other_seeds(lab, tiny):
    few, many = chymist.run(tiny, seeds=5), chymist.run(tiny, seeds=9)
    a, b = few.data["means"]["mean"], many.data["means"]["mean"]
    assert np.array_equal(a.values, b.isel(seed=slice(5)).values)


def test_python_is_as_short_as_the_command_line(lab, tiny):
    run = chymist.run(tiny, centre=1.1, seeds=6)
    assert run.status == "supported"
    assert run.verdicts["located"].status == "supported"
    assert "predicted_mean" in run.data["means"]
    assert list(run.figures) == ["means"]
    assert "data:image/svg+xml" in run._repr_html_()
    assert "tiny: supported" in repr(run)
    assert chymist.Lab(lab).open("tiny").id == run.id


BAD = [
    (["run", "frequency-principel"], "unknown study frequency-principel"),
    (["run", "{tiny}", "--widht", "3"], "unknown parameter widht (did you mean width?)"),
    (["run", "{tiny}", "--centre", "11"], "parameter centre cannot be '11' (allowed: number from"),
    (["run", "{tiny}", "--centre", "x"], "parameter centre cannot be 'x'"),
    (["run", "{tiny}", "--preset", "papr"], "unknown preset papr (did you mean paper?)"),
    (["run", "{tiny}", "--sweep", "width"], "cannot read --sweep width"),
    (["run", "{tiny}", "--sweep", "widt=1,2"], "unknown parameter widt in sweep"),
    (["run", "{tiny}", "--sweep", "seeds=5,6"], "seeds cannot be swept"),
    (["run", "{tiny}", "--threads", "0"], "threads cannot be 0"),
    (["run", "{tiny}", "--device", "tpu"], "device tpu is not available here"),
    (["run", "{tiny}", "--data", "absent.csv"], "no file absent.csv"),
    (["run", "absent.csv"], "no file absent.csv"),
    (["run", "absent.py"], "no file absent.py"),
    (["run", "thing.xyz"], "thing.xyz is neither a study nor a file that a study takes"),
    (["show"], "no runs in"),
    (["new", "1x"], "1x cannot name a study"),
    (["export", "latest"], "nothing to export"),
    (["export", "latest", "--figures", "gif"], "unknown figure format gif"),
    (["runs", "--nonsense"], "Unknown option"),
]


@pytest.mark.parametrize(("words", "line"), BAD)
def test_bad_use_is_one_line_and_leaves_nothing(lab, tiny, refused, words, line):
    said = refused(*(w.format(tiny=tiny) for w in words))
    assert line in said
    assert not lab.exists()


def test_a_misspelt_slug_gets_a_suggestion(lab, refused):
    assert "did you mean frequency-principle?" in refused("run", "frequency-principel")


def test_bad_data_leave_nothing(lab, tiny, refused, tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("x,y\n1,2\nthree,4\n")
    assert "row 3" in refused("run", tiny, "--data", path)
    assert not lab.exists()


STUDIES = [
    ("experiments=(", "experiments=((", "syntax"),
    ("STUDY = Study(", "OTHER = Study(", "binds no STUDY"),
    ("STUDY = Study(", "STUDY = dict(", "STUDY is dict"),
    ("import xarray as xr", "import xarray as xr\nimport no_such_module", "line 4: ModuleNotFound"),
    ('slug="tiny"', 'slug="Tiny One"', "slug 'Tiny One'"),
    ('family="numbers"', 'family="nombers"', "did you mean numbers?"),
    ('("located",)),', '("lokated",)),', "flips unknown claim lokated (did you mean located?)"),
    (
        'return run["mean"]',
        'return run["mean"].mean()',
        "claim located: the statistic returned dimensions ()",
    ),
    ('return run["mean"]', "return 3.0", "claim located: the statistic returned"),
    ('return xr.Dataset({"mean": mean})', "return 3", "returned no xarray Dataset"),
    (
        'mean.attrs = {"long_name": "mean of the draws", "units": "1"}',
        "mean.attrs = {}",
        "variable mean lacks long_name or units",
    ),
    ('xr.Dataset({"mean": mean})', 'xr.Dataset({"centre": mean})', "is called like a parameter"),
    (
        'return xr.Dataset({"mean": xr.full',
        'return xr.Dataset({"meen": xr.full',
        "predicts meen, which it does not measure (did you mean mean?)",
    ),
]


@pytest.mark.parametrize(("old", "new", "line"), STUDIES)
def test_a_broken_study_file_is_one_line_and_leaves_nothing(lab, variant, refused, old, new, line):
    assert line in refused("run", variant(old, new))
    assert not lab.exists()


def test_a_bug_in_a_study_is_a_traceback_and_leaves_nothing(lab, variant):
    path = variant('mean = values.mean("sample")', "mean = 1 / 0")
    with pytest.raises(ZeroDivisionError):
        execute(["run", str(path)])
    assert not lab.exists()


def test_a_study_without_input_refuses_data(lab, variant, wave):
    path = variant('            reads="y",\n', "")
    with pytest.raises(BadInput, match="takes no data file"):
        chymist.run(path, data=wave)


def test_an_experiment_runs_once_over_axes_that_it_ignores(lab, variant):
    path = str(variant('reads="y"', 'reads="y", ignores=("width",)'))
    run = chymist.run(path, width=(4, 8))
    assert [(c.arm, dict(c.place)) for c in run.chunks] == [("treatment", {}), ("control", {})]
    assert "width" not in run.data["means"].dims
    swept = chymist.run(path, sweep={"width": (4, 8)})
    assert [dict(c.place) for c in swept.chunks] == [{}, {}]
    with pytest.raises(BadStudy, match="means ignores centre, which is no axis"):
        chymist.run(str(variant('reads="y"', 'reads="y", ignores=("centre",)')))


def test_a_reader_whose_data_no_experiment_reads_is_named(lab, variant, wave):
    path = variant('reads="y"', 'reads="z"')
    with pytest.raises(BadStudy, match=r"no experiment reads what .* holds: x, y"):
        chymist.run(path, data=wave)
    assert not lab.exists()


def test_every_error_names_what_to_do():
    for kind in (BadInput, BadStudy, ChymistError):
        assert str(kind("what", "do this")) == "what (do this)"


SIGNAL = "".join(f"{x},{np.sin(x) + np.sin(3 * x)}\n" for x in np.linspace(0, 2 * np.pi, 65))
INDEXED = "".join(f"{i + 1},{line.split(',')[1]}\n" for i, line in enumerate(SIGNAL.splitlines()))


@pytest.fixture
def asked_for(monkeypatch):
    """The studies and files that runs were asked for; none is begun."""
    asked = []

    def run(study, *, data, **_):
        asked.append((study, data))
        raise UsageError("enough")

    monkeypatch.setattr(chymist.api, "run", run)
    return asked


@pytest.mark.parametrize(
    ("text", "study"),
    [
        ("source,target\nann,bob\nbob,cid\ncid,ann\n", "ricci-flow"),
        ("n\n719\n1439\n", "integer-complexity"),
    ],
)
def test_a_file_runs_the_one_study_that_can_read_it(
    tmp_path, monkeypatch, capsys, asked_for, text, study
):
    monkeypatch.chdir(tmp_path)
    path = Path("my.csv")
    path.write_text(text)
    execute(["run", "my.csv"])
    assert capsys.readouterr().err.startswith(f"my.csv: running {study} on it\n")
    execute(["run", study, "--data", "my.csv"])
    assert asked_for == [(study, path), (study, path)]
    assert find(study).input.read(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"x,y\n{SIGNAL}", "several studies can read my.csv (choose: chymist run "
         "edge-of-stability --data my.csv or chymist run frequency-principle --data my.csv or "),
        ("1,2\n2,3\n3,1\n", "several studies can read my.csv (choose: chymist run "
         "integer-complexity --data my.csv or chymist run ricci-flow --data my.csv)"),
        ("a,b,c,d\n", "no study can read my.csv (to see why: chymist run barron-approximation "),
    ],
)  # fmt: skip
def test_a_file_of_several_studies_or_none_is_asked_about(
    tmp_path, monkeypatch, refused, asked_for, text, says
):
    monkeypatch.chdir(tmp_path)
    Path("my.csv").write_text(text)
    assert refused("run", "my.csv").startswith(says)
    assert not asked_for


def test_the_commands_offered_can_be_typed_whatever_the_file_is_called(
    tmp_path, monkeypatch, refused, asked_for
):
    monkeypatch.chdir(tmp_path)
    Path("my data.csv").write_text("1,2\n2,3\n3,1\n")
    assert "chymist run ricci-flow --data 'my data.csv')" in refused("run", "my data.csv")
