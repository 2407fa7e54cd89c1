"""`chymist atlas`."""

from __future__ import annotations

from pathlib import Path

from chymist import catalogue


def atlas_(*, evidence: Path = Path("docs/evidence"), output: Path = Path("docs/atlas")) -> None:
    """Write the gallery: a Markdown page a study, an index by family and by question.

    The pages show the evidence as it lies there; nothing is run. Prints what it wrote.

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
