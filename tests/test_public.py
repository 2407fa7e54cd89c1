import json
import subprocess
import sys

import pytest

import chymist
from chymist import catalogue


def test_public_names_are_sorted_and_exist():
    assert chymist.__all__ == sorted(chymist.__all__)
    assert set(chymist._HOME) == set(chymist.__all__)
    for name in chymist.__all__:
        assert getattr(chymist, name) is not None
    with pytest.raises(AttributeError):
        chymist.nothing  # noqa: B018


HEAVY = ("torch", "pandas", "altair", "xarray", "scipy", "starlette", "uvicorn")


@pytest.mark.parametrize("words", [["--help"], ["list"], ["runs"], ["list", "--json"]])
def test_quick_verbs_import_nothing_heavy(words, tmp_path):
    code = (
        "import sys, json; from chymist.cli import execute\n"
        "code = execute(json.loads(sys.argv[1]))\n"
        f"print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(words)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip().splitlines()[-1] == "[]"


def test_importing_chymist_imports_no_torch():
    code = "import chymist, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_index_of_studies_is_current():
    text = catalogue.resources.files("chymist.atlas").joinpath("index.json").read_text("utf-8")
    assert text == catalogue.index_text(), "run: python -m chymist.catalogue"


def test_no_global_seed_anywhere():
    from pathlib import Path

    for path in Path(chymist.__file__).parent.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for call in (
            "torch.manual_seed(",
            "np.random.seed(",
            "random.seed(",
            "pickle",
            "torch.load(",
        ):
            assert call not in text, f"{path}: {call}"
