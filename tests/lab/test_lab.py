import os
import shutil
from pathlib import Path

import pytest
from run_folders import manifest_of, reseal

import chymist
from chymist.cli import execute
from chymist.errors import DamagedRun, NewerRun, UnknownRun
from chymist.lab import Lab, Run
from chymist.lab.lab import new_id


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    tiny = Path(__file__).parents[1] / "studies" / "tiny.py"
    return chymist.run(tiny, lab=tmp_path_factory.mktemp("lab"))


def test_ids_sort_by_time_and_are_path_safe():
    ids = [new_id() for _ in range(50)]
    assert len(set(ids)) == 50
    assert all(len(i) == 26 and i.isalnum() and i == i.lower() for i in ids)
    assert [i[:9] for i in ids] == sorted(i[:9] for i in ids)


@pytest.mark.parametrize("harm", ["truncate", "remove"])
def test_a_short_or_missing_file_is_named(sealed, tmp_path, harm):
    copy = tmp_path / sealed.id
    shutil.copytree(sealed.folder, copy)
    target = copy / "chunks" / "0001.means.control.nc"
    if harm == "truncate":
        target.write_bytes(target.read_bytes()[:-1])
    else:
        target.unlink()
    with pytest.raises(DamagedRun, match=r"means\.control\.nc"):
        Run.open(copy)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 1}'])
def test_a_broken_manifest_is_damage_and_the_list_still_works(lab, tiny, text, capsys):
    run = chymist.run(tiny)
    other = chymist.run(tiny)
    (run.folder / "run.json").write_text(text)
    with pytest.raises(DamagedRun, match=r"run\.json cannot be read"):
        Lab(lab).open(run.id)
    assert execute(["show", run.id]) == 6
    capsys.readouterr()
    assert execute(["runs"]) == 0
    listed = capsys.readouterr().out
    assert other.id in listed
    assert run.id in listed


def test_a_newer_format_is_refused_by_number(lab, tiny):
    run = chymist.run(tiny)
    reseal(run.folder, {**manifest_of(run.folder), "format": 99})
    with pytest.raises(NewerRun, match=r"format 99; this version reads up to 3 \(upgrade chymist"):
        Run.open(run.folder)


def test_a_manifest_cannot_point_out_of_its_run(lab, tiny):
    run = chymist.run(tiny)
    manifest = manifest_of(run.folder)
    manifest["files"]["../../secret"] = "0" * 64
    reseal(run.folder, manifest)
    with pytest.raises(DamagedRun, match="leads out of the run"):
        Run.open(run.folder)


def test_runs_are_found_by_id_part_slug_and_latest(lab, tiny):
    first, second = chymist.run(tiny), chymist.run(tiny)
    home = Lab(lab)
    assert home.open("latest").id == home.open("tiny").id == second.id
    assert home.open(first.id[-8:]).id == first.id
    assert [m["id"] for m in home.manifests()] == [second.id, first.id]
    with pytest.raises(UnknownRun, match="2 runs fit"):
        home.open(first.id[:3])
    with pytest.raises(UnknownRun, match="did you mean latest"):
        home.open("latst")


def test_a_lab_that_is_a_file(tmp_path, tiny, refused):
    path = tmp_path / "lab"
    path.write_text("not a folder")
    assert f"cannot write {path}" in refused("run", tiny, "--lab", path, code=7)
    assert path.read_text() == "not a folder"


def test_a_lab_that_cannot_be_written(tiny, refused):
    line = refused("run", tiny, "--lab", "/proc/lab", code=7)
    assert "cannot write /proc/lab" in line
    assert "--lab" in line


def test_a_read_only_lab(tmp_path, tiny, refused):
    if os.geteuid() == 0:
        pytest.skip("root writes everywhere")
    folder = tmp_path / "lab"
    folder.mkdir(mode=0o500)
    assert "Permission denied" in refused("run", tiny, "--lab", folder, code=7)


def test_a_full_disk_ends_in_one_line_and_leaves_nothing(spare, tmp_path, tiny):
    words = ["run", tiny, "--lab", tmp_path / "lab"]
    done = spare.start(2_000, *words, call="forked_calls:with_small_files")
    said = done.communicate()[1]
    assert done.returncode == 7, said
    assert len(said.strip().splitlines()) == 1
    assert "free some space" in said
    assert not (tmp_path / "lab").exists()
