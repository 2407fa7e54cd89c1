import re
import shutil
from pathlib import Path

import pytest
from forking import Spare
from hypothesis import settings

import chymist
from chymist.cli import execute
from chymist.errors import Interrupted
from chymist.lab import Lab

# The first example pays for imports, and machines that run tests are shared.
settings.register_profile("chymist", deadline=None)
settings.load_profile("chymist")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Put files with slow tests first: of what is shared out last, no part should be long.

    What is evidence is slow, too: -m "not slow" takes the place of the default's "not evidence".
    """
    for item in items:
        if item.get_closest_marker("evidence"):
            item.add_marker("slow")
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


TINY = Path(__file__).parent / "studies" / "tiny.py"
PAIR = Path(__file__).parent / "studies" / "pair.py"


@pytest.fixture
def old_lab(tmp_path):
    """A copy of the lab that version 0.1.0 wrote: listing a lab writes its index."""
    shutil.copytree(Path(__file__).parent / "assets" / "labs" / "0.1.0", tmp_path / "0.1.0")
    return tmp_path / "0.1.0"


@pytest.fixture
def tiny():
    return TINY


@pytest.fixture
def lab(tmp_path, monkeypatch):
    folder = tmp_path / "lab"
    monkeypatch.setenv("CHYMIST_LAB", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture(scope="session")
def spare(tmp_path_factory):
    """A process that has imported everything; `start` forks it, to run a command at once."""
    process = Spare(tmp_path_factory.mktemp("said"))
    yield process
    process.end()


@pytest.fixture
def refused(capsys):
    """Run a command that must end in one line on stderr; return the line."""

    def check(*words, code=2):
        assert execute([str(w) for w in words]) == code
        printed = capsys.readouterr()
        assert printed.out == ""
        lines = printed.err.strip().splitlines()
        assert len(lines) == 1, printed.err
        assert lines[0].startswith("chymist: ")
        assert "Traceback" not in lines[0]
        return re.sub(r"^chymist: ", "", lines[0])

    return check


@pytest.fixture
def variant(tmp_path, tiny):
    """Write the tiny study with one piece of text replaced; return its path."""

    def write(old, new, name="altered.py"):
        text = tiny.read_text()
        assert old in text
        path = tmp_path / name
        path.write_text(text.replace(old, new))
        return path

    return write


@pytest.fixture
def pair():
    return PAIR


@pytest.fixture
def cut(lab, pair):
    """Interrupt a run after so many sealed chunks; return the unfinished run."""

    def interrupted(sealed, study=pair, **options):
        def observe(event):
            if event.sealed == sealed and event.label in ("starting", "done"):
                raise KeyboardInterrupt

        with pytest.raises(Interrupted):
            chymist.run(study, observe=observe, **options)
        return Lab().open("latest")

    return interrupted


@pytest.fixture
def found():
    """Return digests of what a run found: data, verdicts, figures."""

    def results(run):
        return {
            name: digest
            for name, digest in run.manifest["files"].items()
            if name.endswith(".nc") or name == "verdicts.json" or name.startswith("figures/")
        }

    return results
