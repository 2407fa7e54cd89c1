"""`chymist atlas`: the gallery as Markdown, or as a site to publish."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from chymist import catalogue

atlas_ = App(name="atlas", help="Write the gallery of studies from their evidence.")
EVIDENCE = Path("docs/evidence")


@atlas_.default
def write_(*, evidence: Path = EVIDENCE, output: Path = Path("docs/atlas")) -> None:
    """Write the gallery: a Markdown page a study, an index by family and by question.

    The pages show the evidence as it lies there; nothing is run. Prints what it wrote.
    `chymist atlas build FOLDER` writes a site instead.

    Parameters
    ----------
    evidence
        Folder that `chymist evidence` writes.
    output
        Folder of the pages.
    """
    from chymist.files import make_folder, write_text
    from chymist.report.gallery import pages

    studies = [catalogue.find(entry.slug) for entry in catalogue.entries()]
    written = pages(studies, evidence, output)
    make_folder(output)
    for name, text in written.items():
        write_text(output / name, text)
        print(output / name)


@atlas_.command(name="build")
def build_(folder: Path, /, *, evidence: Path = EVIDENCE) -> None:
    """Write the atlas as a static site: the pages of `chymist serve`, without a server.

    It loads nothing from elsewhere, so any web server, or none, can publish it.
    Written again into the same folder, it replaces what it wrote. Prints the first page.

    Parameters
    ----------
    folder
        Where to write: an empty or a new folder, or one that this command wrote.
    evidence
        Folder that `chymist evidence` writes.
    """
    from chymist.cli.output import err
    from chymist.web.server import evidence_folder
    from chymist.web.site import build

    written = build(folder, evidence_folder(evidence))
    print(folder / "index.html")
    err().print(f"{len(written)} files; open the first page, or publish the folder", soft_wrap=True)
