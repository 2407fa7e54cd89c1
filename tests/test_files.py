import hashlib
import resource
import subprocess
import sys

import pytest

from chymist import files
from chymist.errors import CannotWrite


def test_writes_whole_and_returns_the_digest(tmp_path):
    path = tmp_path / "a.txt"
    digest = files.write_text(path, "Boyle\n")
    assert path.read_bytes() == b"Boyle\n"
    assert digest == files.sha256(path)
    assert digest == hashlib.sha256(b"Boyle\n").hexdigest()
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_failing_writer_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")

    def fail(aside):
        aside.write_text("half")
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        files.write_whole(path, fail)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_missing_folder_is_one_clear_line(tmp_path):
    with pytest.raises(CannotWrite, match=r"cannot write .*No such file"):
        files.write_text(tmp_path / "absent" / "a.txt", "x")


def test_a_full_disk_is_one_clear_line(tmp_path):
    code = (
        "import sys; from pathlib import Path; from chymist import files, errors\n"
        "try: files.write_text(Path(sys.argv[1]), 'x' * 100_000)\n"
        "except errors.CannotWrite as e: print(e); sys.exit(7)\n"
    )

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a")],
        preexec_fn=limit,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 7, done.stderr
    assert "free some space" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_line_after_a_torn_one_begins_anew(tmp_path):
    path = tmp_path / "log"
    files.append_line(path, "one")
    path.write_text("one\ntw")
    files.append_line(path, "three")
    assert path.read_text().splitlines() == ["one", "tw", "three"]


@pytest.mark.parametrize("fault", ["flush:1:EIO", "any:2:EIO"])
def test_a_fault_point_fails_when_it_is_told_to_and_only_then(tmp_path, monkeypatch, fault):
    monkeypatch.setenv(files.FAULT, fault)
    files._passed.clear()
    with pytest.raises(CannotWrite, match="Input/output error"):
        files.write_text(tmp_path / "a", "x")
    assert list(tmp_path.iterdir()) == []
    files.write_text(tmp_path / "a", "x")
