"""Any harm to any file of a run is found and named, and hides no other run."""

import json
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from run_folders import copied, manifest_of

import chymist
from chymist.cli import execute
from chymist.errors import DamagedRun
from chymist.files import sha256
from chymist.lab import Lab
from chymist.lab.lab import new_id

TINY = Path(__file__).parents[1] / "studies" / "tiny.py"


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    return chymist.run(TINY, lab=tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="module")
def other(sealed, tmp_path_factory):
    """A sound run beside the harmed one."""
    return chymist.run(TINY, lab=tmp_path_factory.mktemp("other"))


def harmed(content, harm, place, bit):
    if harm == "flip":
        changed = bytearray(content)
        changed[place] ^= 1 << bit
        return bytes(changed)
    return content[:place]


def check_without_manifest(sealed, lab, capsys):
    """Nothing vouches for the run: it is unfinished again, and nothing is taken for sealed."""
    assert not Lab(lab).open(sealed.id).sealed
    assert execute(["lab", "verify", "--lab", str(lab)]) == 0
    assert f"run {sealed.id}: run.json is missing" in capsys.readouterr().out


def check(sealed, other, lab, data, capsys):
    copied(other.folder, lab)
    copy = copied(sealed.folder, lab)
    name = data.draw(st.sampled_from(["run.json", *sorted(sealed.manifest["files"])]), "file")
    harm = data.draw(st.sampled_from(["flip", "truncate", "remove"]), "harm")
    path = copy / name
    content = path.read_bytes()
    if harm == "remove":
        path.unlink()
    else:
        place = data.draw(st.integers(0, len(content) - 1), "byte")
        path.write_bytes(harmed(content, harm, place, data.draw(st.integers(0, 7), "bit")))
    if (name, harm) == ("run.json", "remove"):
        check_without_manifest(sealed, lab, capsys)
        return
    with pytest.raises(DamagedRun) as caught:
        Lab(lab).open(sealed.id)
    said = str(caught.value)
    assert said.startswith(f"run {sealed.id}: {name} ")
    assert "chymist run" in said or "run the study again" in said
    if harm == "remove":
        assert f"{name} is missing" in said
    elif name == "run.json":
        assert "was altered" in said or "cannot be read" in said
    else:
        expected, found = sealed.manifest["files"][name], sha256(path)
        assert f"expected SHA-256 {expected[:12]}, found {found[:12]}" in said
        assert (caught.value.expected, caught.value.found) == (expected, found)
    assert execute(["lab", "verify", "--lab", str(lab)]) == 6
    assert f"run {sealed.id}: {name} " in capsys.readouterr().out
    assert execute(["runs", "--json", "--lab", str(lab)]) == 0
    rows = {row["id"]: row["verdict"] for row in json.loads(capsys.readouterr().out)}
    assert rows[other.id] == "supported"
    assert rows[sealed.id] == ("damaged" if name == "run.json" else "supported")


settle = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@settings(settle, max_examples=100)
@given(data=st.data())
def test_a_flipped_bit_a_cut_and_a_lost_file_are_found_and_named(
    sealed, other, tmp_path, capsys, data
):
    check(sealed, other, tmp_path / "lab", data, capsys)


@pytest.mark.slow
@settings(settle, max_examples=500)
@given(data=st.data())
def test_five_hundred_harms_are_found_and_named(sealed, other, tmp_path, capsys, data):
    check(sealed, other, tmp_path / "lab", data, capsys)


@pytest.mark.slow
def test_every_bit_of_the_manifest_counts(sealed, tmp_path):
    """Not a sample: each bit of each byte, and each length."""
    copy = copied(sealed.folder, tmp_path / "lab")
    path = copy / "run.json"
    content = path.read_bytes()
    for place in range(len(content)):
        for bit in range(8):
            path.write_bytes(harmed(content, "flip", place, bit))
            with pytest.raises(DamagedRun, match=r"run\.json (was altered|cannot be read)"):
                chymist.Run.open(copy)
        path.write_bytes(content[:place])
        with pytest.raises(DamagedRun, match=r"run\.json cannot be read"):
            chymist.Run.open(copy)
    path.write_bytes(content)
    assert chymist.Run.open(copy).id == sealed.id


def test_a_folder_of_another_name_is_not_the_run(sealed, tmp_path):
    copy = copied(sealed.folder, tmp_path / "lab", new_id())
    with pytest.raises(DamagedRun, match="belongs to another run"):
        Lab(tmp_path / "lab").open(copy.name)


def test_one_damaged_file_does_not_hide_the_next(sealed, tmp_path, capsys):
    copy = copied(sealed.folder, tmp_path / "lab")
    shutil.rmtree(copy / "chunks")
    assert execute(["lab", "verify", "--lab", str(tmp_path / "lab")]) == 6
    out = capsys.readouterr().out
    assert len(re.findall(r"chunks/\d{4}\.means\.\w+\.nc is missing", out)) == 2
    assert len(manifest_of(copy)["files"]) == 8
