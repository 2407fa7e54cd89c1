"""Watched trainings in a lab: sealed, listed, verified, shown, and no other verb's business."""

import contextlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from run_folders import manifest_of, reseal

import chymist
from chymist import files, report
from chymist.api import write_report
from chymist.cli import execute
from chymist.doctor.chart import Chart, Reading
from chymist.doctor.checkup import Checkup
from chymist.doctor.finding import Finding
from chymist.errors import CannotWrite, DamagedRun, NewerRun, UnknownRun, UsageError
from chymist.lab import Lab
from chymist.lab.watched import Keeping, cleaned, fitting, seal


def finding(severity="critical", **changes):
    said = {
        "rule": "step-size", "severity": severity, "says": "the step is too long", "value": 90.0,
        "threshold": 20.0, "formula": "2 / lr", "why": "It grows.", "remedy": "lr=0.02",
        "study": "edge-of-stability",
    }  # fmt: skip
    return Finding(**{**said, **changes})


def checkup(*findings):
    chart = Chart({"optimizer": {"rule": "SGD", "lr": 0.1}, "layers": {"0": {}, "2": {}}})
    for step in (0, 10, 20):
        chart.add("sharpness", Reading(step, {"": 15.0 + step}, {"": 0.5}))
        chart.add("activity", Reading(step, {"0": 0.5, "2": math.inf}))
    chart.off["kernel_drift"] = "RuntimeError: too large"
    return Checkup(findings, chart)


def keep(*findings, name="mlp", **options):
    return seal(None, checkup(*findings).as_json(), name=name, **options)


def test_what_is_sealed_is_read_again(lab):
    begun = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    made = keep(finding(error=0.5), started=begun, seconds=12.3, training={"steps": 200})
    assert made.manifest["training"] == {"steps": 200}
    assert made.manifest["started"] == "2026-01-02T03:04:05+00:00"
    found = Lab().watched("mlp")
    assert found.id == made.id
    assert found.checkup == checkup(finding(error=0.5)).as_json()
    assert sorted(p.name for p in found.folder.iterdir()) == ["checkup.json", "run.json"]
    assert repr(found).startswith("Watched(mlp: critical;")


@pytest.mark.parametrize(
    ("found", "verdict", "code"),
    [((), "healthy", 0), (("note",), "healthy", 0), (("warning", "note"), "warning", 3),
     (("critical", "warning"), "critical", 4)],
)  # fmt: skip
def test_the_verdict_is_that_of_the_worst_finding(lab, capsys, found, verdict, code):
    keep(*map(finding, found))
    assert execute(["findings"]) == code
    assert execute(["runs", "--json"]) == 0
    shown = capsys.readouterr().out
    [row] = json.loads(shown[shown.index("[") :])
    assert (row["study"], row["verdict"], row["kind"]) == ("mlp", verdict, "watched")


def test_verbs_live_with_watched_trainings_beside_studies(lab, tiny, capsys):
    study = chymist.run(tiny)
    made = keep(finding())
    home = Lab()
    assert home.open("latest").id == study.id
    assert home.watched("latest").id == made.id
    assert execute(["runs"]) == 0
    listed = capsys.readouterr().out
    assert "mlp    ✗ critical   (watched)" in listed and "tiny   ✓ supported" in listed
    assert execute(["runs", "--kind", "watched", "--json"]) == 0
    assert [r["id"] for r in json.loads(capsys.readouterr().out)] == [made.id]
    assert execute(["runs", "--kind", "study", "--verdict", "supported", "--json"]) == 0
    assert [r["id"] for r in json.loads(capsys.readouterr().out)] == [study.id]
    assert execute(["lab", "verify"]) == 0
    assert "2 runs, 11 files" in capsys.readouterr().out
    for words in (["lab", "rebuild"], ["lab", "gc"], ["show", study.id], ["export", "--csv"]):
        assert execute(words) == 0
    capsys.readouterr()
    assert execute(["show"]) == 0
    assert "the step is too long" in capsys.readouterr().out
    assert execute(["show", made.id, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == made.id
    assert execute(["report", "mlp"]) == 0
    assert capsys.readouterr().out.strip() == str(made.report)
    assert made.report.is_file()
    assert execute(["lab", "verify", "mlp"]) == 0
    assert [m["id"] for m in home.manifests()] == [made.id, study.id]


def test_what_only_a_study_has_is_refused_in_one_line(lab, tiny, refused):
    made = keep(finding())
    says = f"run {made.id} is a watched training, not of a study (chymist findings {made.id})"
    for words in (["export", made.id, "--csv"], ["replay", made.id], ["cite", made.id],
                  ["resume", made.id]):  # fmt: skip
        assert refused(*words) == says
    assert refused("export", "--csv").startswith("no runs in")
    assert refused("findings", "mpl").endswith("(did you mean mlp?)")
    study = chymist.run(tiny)
    assert refused("findings", study.id).startswith(f"run {study.id} is of a study")
    assert refused("runs", "--kind", "watch").endswith("(did you mean watched?)")


def test_an_empty_lab_has_no_watched_trainings(lab, refused, tiny):
    assert refused("findings").startswith("no watched trainings in ")
    chymist.run(tiny)
    assert refused("findings").startswith("no watched trainings in ")


@pytest.mark.parametrize("name", ["", "a/b", "../x", "latest", "a\nb", "x" * 101, ".hidden"])
def test_a_name_that_cannot_be_is_refused_before_anything_is_written(lab, name):
    with pytest.raises(UsageError, match="a training cannot be named"):
        keep(name=name)
    assert not lab.exists()


@pytest.mark.parametrize("file", ["checkup.json", "run.json"])
def test_a_flipped_byte_is_named(lab, capsys, file):
    made = keep(finding())
    path = made.folder / file
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedRun, match=rf"{made.id}: {file}"):
        Lab().watched(made.id)
    assert execute(["lab", "verify"]) == 6
    assert f"{file} was altered" in capsys.readouterr().out
    assert execute(["runs"]) == 0
    assert execute(["findings", made.id]) == 6


def altered(made, change):
    """Change the record and seal it again, as a stranger could."""
    record = json.loads((made.folder / "checkup.json").read_text())
    change(record)
    (made.folder / "checkup.json").write_text(json.dumps(record))
    reseal(made.folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r.pop("chart"),
        lambda r: r["findings"][0].pop("says"),
        lambda r: r["findings"][0].update(extra=1),
        lambda r: r["findings"][0].update(study="../../etc"),
        lambda r: r["findings"][0].update(severity="fatal"),
        lambda r: r["findings"][0].update(value="1e5"),
        lambda r: r["chart"]["readings"]["sharpness"][0].update(values={"": None}),
        lambda r: r["chart"]["readings"]["sharpness"][0].update(step=-1),
        lambda r: r["chart"].update(off=["x"]),
        lambda r: r["chart"]["facts"].update(parameters="many"),
        lambda r: r["chart"]["facts"].update(watch={"steps": "<b>"}),
        lambda r: r["chart"]["facts"].update(layers={"0": []}),
        lambda r: r["chart"]["facts"].update(optimizer="SGD"),
        lambda r: r["chart"]["off"].update(x="\x1b[2J"),
    ],
)
def test_a_record_that_no_doctor_writes_is_refused_in_one_line(lab, refused, change):
    made = keep(finding())
    altered(made, change)
    line = refused("findings", made.id, code=6)
    assert line.startswith(f"run {made.id}: checkup.json cannot be read")


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r["chart"].update(readings={"sharpness": [], "loss": []}),
        lambda r: r["chart"].update(facts={"optimizer": {"lr": "inf"}, "data": {"samples": "x"}}),
        lambda r: r["chart"].update(facts={"watch": {"steps": 0, "elapsed": "nan"}, "x": [1]}),
        lambda r: r["chart"]["readings"].update(
            sharpness_threshold=[{"step": 0, "values": {"": "inf"}, "errors": {}}]
        ),
        lambda r: r["chart"]["readings"].update(
            odd=[{"step": s, "values": {"a": v, "b": -v}, "errors": {"a": "nan"}}
                 for s, v in ((5, 1e300), (5, 1e-300), (1, 0.0))]
        ),
        lambda r: r["findings"][0].update(value="nan", threshold="-inf", error="inf"),
    ],
)  # fmt: skip
def test_an_odd_record_is_told_all_the_same(lab, capsys, change):
    made = keep(finding())
    altered(made, change)
    assert execute(["findings", made.id, "--table"]) == 4
    assert execute(["findings", made.id, "--json"]) == 4
    assert execute(["report", made.id]) == 0
    assert made.report.read_text().startswith("<!DOCTYPE html>")


def test_a_newer_format_is_named(lab):
    made = keep(finding())
    reseal(made.folder, manifest_of(made.folder) | {"format": 4})
    with pytest.raises(NewerRun, match="has format 4; this version reads up to 3"):
        Lab().watched(made.id)


def test_a_study_run_cannot_pose_as_a_watched_training(lab, tiny):
    study = chymist.run(tiny)
    reseal(study.folder, manifest_of(study.folder) | {"format": 3})
    with pytest.raises(DamagedRun):
        Lab().open(study.id)
    with pytest.raises(DamagedRun):
        Lab().watched(study.id)


def test_a_record_that_could_not_be_read_again_is_not_written(lab):
    record = checkup(finding()).as_json()
    record["chart"]["facts"]["parameters"] = -1
    with pytest.raises(DamagedRun, match=r"checkup.json cannot be read: chart.facts.parameters"):
        seal(None, record)
    assert not lab.exists()


POINTS = ["folder:1", *(f"{p}:{n}" for p in ("write", "flush") for n in (1, 2, 3)), "seal:1",
          *(f"rename:{n}" for n in (1, 2, 3, 4))]  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
def test_a_disk_that_refuses_leaves_nothing(lab, monkeypatch, point):
    files._passed.clear()
    monkeypatch.setenv(files.FAULT, f"{point}:ENOSPC")
    with pytest.raises(CannotWrite, match="No space left"):
        keep(finding(), page=lambda record, run: "<p>")
    assert not lab.exists()
    monkeypatch.delenv(files.FAULT)
    assert keep(finding()).checkup["verdict"] == "critical"


SEAL = """
import json, sys
from chymist.lab.watched import seal
seal(None, json.load(sys.stdin), name="mlp", page=lambda record, run: "<p>")
"""


@pytest.mark.parametrize("point", ["write:2", "seal:1", "rename:3", "rename:4"])
def test_a_killed_process_leaves_no_run_and_nothing_that_clearing_keeps(lab, monkeypatch, point):
    monkeypatch.setenv(files.FAULT, f"{point}:exit")
    text = json.dumps(checkup(finding()).as_json())
    done = subprocess.run([sys.executable, "-c", SEAL], input=text, text=True, check=False)
    monkeypatch.delenv(files.FAULT)
    assert done.returncode == 70
    home = Lab()
    assert home.folders() == [] and home.listing() == []
    [left] = home.runs_folder.iterdir()
    assert left.name.endswith(".tmp")
    with pytest.raises(UnknownRun):
        home.watched()
    monkeypatch.setattr("chymist.lab.clearing.FILE_AGE", -1.0)
    assert execute(["lab", "gc", "--yes"]) == 0
    assert not left.exists()


def test_a_copied_run_can_be_read_elsewhere(lab, tmp_path):
    made = keep(finding())
    shutil.copytree(made.folder, tmp_path / "other" / "runs" / made.id)
    found = Lab(tmp_path / "other").watched(made.id)
    assert write_report(found, tmp_path / "page.html").is_file()


def test_a_record_beyond_what_a_lab_reads_is_thinned_evenly():
    record = json.loads(json.dumps(checkup().as_json()))
    series = [{"step": n, "values": {"0": 1.5}, "errors": {}} for n in range(1000)]
    record["chart"]["readings"] = {"long": series, "short": series[:2]}
    small, every = fitting(record, 20_000)
    steps = [r["step"] for r in small["chart"]["readings"]["long"]]
    assert every > 1 and len(files.as_json(small).encode()) <= 20_000
    assert steps[0] == 0 and steps[-1] == 999
    assert {b - a for a, b in pairwise(steps[:-1])} == {every}
    assert len(small["chart"]["readings"]["short"]) == 2
    assert fitting(record, 10**9) == (record, 1)


def test_what_could_command_a_terminal_is_not_written(lab):
    assert cleaned({"a\x1b": ["b\u202e", 1]}) == {"a?": ["b?", 1]}
    chart = Chart(off={"x": "OSError: \x1b[2J"}, readings={"loss": [Reading(0, {"": 1.0})]})
    made = seal(None, Checkup((), chart).as_json(), name="odd")
    assert Lab().watched().checkup["chart"]["off"] == {"x": "OSError: ?[2J"}
    assert made.manifest["verdict"] == "healthy"


def test_a_training_that_goes_on_is_shown_as_far_as_it_is_known(lab, capsys):
    one = Keeping(None, "mlp")
    one.write(checkup().as_json(), seconds=1.0, training={"steps": 7})
    found = Lab().watched("mlp")
    assert not found.finished and found.manifest["training"] == {"steps": 7}
    assert execute(["runs"]) == 0
    assert "healthy" in (line := capsys.readouterr().out) and "(unfinished)" in line
    assert execute(["findings", "mlp"]) == 0
    assert capsys.readouterr().err.startswith("unfinished: kept ")
    assert "unfinished: the training goes on" in report.checkup.page(found.checkup, found.manifest)
    assert execute(["lab", "verify"]) == 0
    made = one.seal(checkup(finding()).as_json(), page=report.checkup.page)
    assert made.id == found.id and made.finished and made.manifest["verdict"] == "critical"
    assert "before" not in made.manifest and made.report.is_file()
    assert [row.preset for row in Lab().listing()] == [""]


@pytest.mark.parametrize("count", range(1, 14))
def test_whatever_fails_when_the_last_record_can_be_read(lab, monkeypatch, count):
    one = Keeping(None, "mlp")
    one.write(checkup().as_json())
    records = [checkup(finding(value=float(n))).as_json() for n in range(3)]
    monkeypatch.setattr(files, "_passed", files.Counter())
    monkeypatch.setenv(files.FAULT, f"any:{count}:EIO")
    kept = [checkup().as_json()]
    for record in records:
        with contextlib.suppress(CannotWrite):
            one.write(record)
            kept.append(record)
        found = Lab().watched("mlp").checkup
        # The record before, or the one that was being written.
        assert found in (kept[-1], record)
        assert execute(["lab", "verify"]) == 0
    assert len(kept) == 3


def test_an_unfinished_training_that_was_altered_is_damaged(lab):
    one = Keeping(None, "mlp")
    one.write(checkup().as_json())
    one.write(checkup(finding()).as_json())
    (one.folder / "checkup.json").write_text("{}")
    with pytest.raises(DamagedRun, match=r"checkup\.json was altered"):
        Lab().watched("mlp")


def test_a_killed_program_leaves_what_was_known(lab):
    program = (
        "import os, signal\n"
        "from chymist.doctor.checkup import Checkup\n"
        "from chymist.doctor.chart import Chart\n"
        "from chymist.lab.watched import Keeping\n"
        "one = Keeping(None, 'mlp')\n"
        "for steps in range(1, 9):\n"
        "    one.write(Checkup.of(Chart()).as_json(), training={'steps': steps})\n"
    )
    environment = {**os.environ, files.FAULT: "rename:8:kill"}
    made = subprocess.run([sys.executable, "-c", program], env=environment, check=False)
    assert made.returncode == -signal.SIGKILL
    assert Lab().watched("mlp").manifest["training"]["steps"] in (3, 4)
