from pathlib import Path

import pytest

import chymist
from chymist.errors import Interrupted
from chymist.lab import Lab


@pytest.fixture
def pair():
    return Path(__file__).parents[1] / "studies" / "pair.py"


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


def results(run):
    """Digests of what a run found: data, verdicts, figures."""
    return {
        name: digest
        for name, digest in run.manifest["files"].items()
        if name.endswith(".nc") or name == "verdicts.json" or name.startswith("figures/")
    }


@pytest.fixture
def found():
    return results
