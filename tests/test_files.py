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
