"""Every promise names tests that exist and are run."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "PROMISES.md").read_text(encoding="utf-8")
PROMISES = {
    heading: re.findall(r"^- `(\S+)`$", body, re.M)
    for heading, body in re.findall(r"^## (\d+\. .*)\n((?:(?!## ).*\n?)*)", TEXT, re.M)
}
NODES = sorted({node for nodes in PROMISES.values() for node in nodes})


@cache
def names_in(path):
    """Return the names of a file's tests, and of those that are always or sometimes skipped."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    names, skipped = set(), set()
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef) and statement.name.startswith("test"):
            names.add(statement.name)
            marks = " ".join(map(ast.unparse, statement.decorator_list))
            if re.search(r"\b(skip|skipif|xfail)\b", marks):
                skipped.add(statement.name)
        elif isinstance(statement, ast.Assign) and "pytestmark" in ast.unparse(statement):
            assert "skip" not in ast.unparse(statement), path
    return names, skipped


def test_promises_are_found_and_numbered_once():
    numbers = [int(heading.split(".")[0]) for heading in PROMISES]
    assert len(numbers) > 12
    assert numbers == sorted(set(numbers))
    assert TEXT.count("\n## ") == len(PROMISES)
    assert TEXT.count("\n- `") == sum(map(len, PROMISES.values()))


@pytest.mark.parametrize("heading", PROMISES)
def test_a_promise_names_tests(heading):
    assert PROMISES[heading]


@pytest.mark.parametrize("node", NODES)
def test_the_test_exists_and_is_not_skipped(node):
    path, _, name = node.partition("::")
    assert (ROOT / path).is_file(), f"no file {path}"
    names, skipped = names_in(path)
    assert name in names, f"{path} has no test {name}"
    assert name not in skipped, f"{node} is skipped"
