"""Nothing in the source turns data into code."""

import ast
from pathlib import Path

import pytest

import chymist

SOURCE = Path(chymist.__file__).parent
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml"}
CALLS = {"eval", "exec", "compile", "__import__"}
ATTRIBUTES = {
    "read_pickle",
    "to_pickle",
    "open_zarr",
    "load_pickle",
    "extractall",
    "unpack_archive",
}
STARTS = {"system", "popen"}
LOADS = {"torch", "np", "numpy", "marshal", "pickle", "yaml", "joblib"}
# A user's own study is code, and is run because the user names the file.
# Code that the user names on the command line; nothing that a run names.
ALLOWED = {
    (file, way)
    for file in ("catalogue.py", "factories.py")
    for way in ("exec_module", "import_module")
}
# Archives of numbers: NumPy refuses objects unless it is told otherwise, which is looked for.
ALLOWED |= {("data/given_arrays.py", "np.load")}


def offences(tree):
    """Yield what a module does that could run data as code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.partition(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom):
            if (node.module or "").partition(".")[0] in MODULES:
                yield node.module
        elif isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "shell"):
            yield node.arg
        elif isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in CALLS:
                yield called.id
            elif isinstance(called, ast.Attribute):
                owner = called.value.id if isinstance(called.value, ast.Name) else ""
                loads = called.attr in ("load", "loads") and owner in LOADS
                if loads or (called.attr in STARTS and owner == "os"):
                    yield f"{owner}.{called.attr}"
                elif called.attr in ATTRIBUTES | {"exec_module", "import_module"}:
                    yield called.attr


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from pickle import loads",
        "import torch\ntorch.load(f)",
        "import numpy as np\nnp.load(f)",
        "np.save(f, x, allow_pickle=True)",
        "eval('1')",
        "exec(text)",
        "import yaml",
        "subprocess.run(x, shell=True)",
        "importlib.import_module(name)",
        "os.system(x)",
    ],
)
def test_the_scan_sees(text):
    assert list(offences(ast.parse(text)))


@pytest.mark.parametrize("text", ["model.eval()", "re.compile(x)", "json.loads(x)", "self.load(x)"])
def test_the_scan_lets_pass(text):
    assert not list(offences(ast.parse(text)))


def test_no_module_turns_data_into_code():
    paths = sorted(SOURCE.rglob("*.py"))
    assert len(paths) > 70
    found = {
        (path.relative_to(SOURCE).as_posix(), offence)
        for path in paths
        for offence in offences(ast.parse(path.read_text(encoding="utf-8")))
    }
    # Public names are loaded when they are first used, from a table in the source.
    assert found - ALLOWED == {("__init__.py", "import_module")}
