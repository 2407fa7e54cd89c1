"""`docs/write-a-study.md`, done as it is written, in an empty folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "write-a-study.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
CODES = {"✓ supported": 0, "? inconclusive": 3, "✗ refuted": 4}


def calls(block):
    """Return the commands of a block, each with the lines that it should print."""
    found = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def words(line):
    """A line without its numbers and its spacing: what does not depend on the machine."""
    return " ".join(re.sub(r"-?\d[\d.e-]*", "#", line).split())


def execute(command):
    here = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    here.pop("CHYMIST_LAB", None)
    return subprocess.run(["bash", "-c", command], env=here, capture_output=True, text=True)


def test_all_blocks_are_commands_or_code():
    assert {kind for kind, _ in BLOCKS} == {"console", "python"}
    assert sum(len(calls(text)) for kind, text in BLOCKS if kind == "console") == 6


@pytest.mark.slow
def test_the_page_does_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = None
    for kind, text in BLOCKS:
        if kind == "python":
            named = re.match(r"# (\w+\.py)\n", text)
            if named:
                file = Path(named[1])
                file.write_text("")
            file.write_text(file.read_text() + text + "\n\n")
            continue
        for command, shown in calls(text):
            done = execute(command)
            printed = [words(line) for line in (done.stdout + done.stderr).splitlines()]
            for line in shown:
                assert any(p.startswith(words(line)) for p in printed), (command, line, printed)
            verdicts = [line for line in shown if line in CODES]
            assert done.returncode == (CODES[verdicts[-1]] if verdicts else 0), (command, printed)
            if not shown:
                assert not printed
