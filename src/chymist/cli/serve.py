"""`chymist serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from chymist.cli.output import err


def serve_(
    *studies: str,
    port: int | None = None,
    no_browser: Annotated[bool, Parameter(negative="")] = False,
    at_once: int = 1,
    evidence: Path = Path("docs/evidence"),
    lab: Path | None = None,
) -> None:
    """Open the atlas in a browser: read the studies, run them, watch the runs.

    Only this machine can reach the server, and only who has the link that is printed: it carries a
    token, a new one at each start. Ctrl-C ends it; runs that are being computed then keep what they
    have sealed, and can be resumed.

    Parameters
    ----------
    studies
        Python files that bind STUDY, to be shown beside the installed studies.
    port
        Port of this machine; by default 8765, or any free one if that is taken.
    no_browser
        Print the link and open nothing.
    at_once
        Runs that are computed at a time; others wait for their turn.
    evidence
        Folder that `chymist evidence` writes.
    lab
        Folder of runs; else $CHYMIST_LAB, else ./chymist-lab.
    """
    from chymist.web.server import serve

    def tell(address: str) -> None:
        print(address, flush=True)
        err().print("the atlas is at this address, for you alone; Ctrl-C ends it")

    serve(
        studies,
        port=port,
        browser=not no_browser,
        at_once=at_once,
        evidence_in=evidence,
        lab=lab,
        tell=tell,
    )
