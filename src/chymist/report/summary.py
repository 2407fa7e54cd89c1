"""A run in short: for `--json`, and for a bibliography."""

from __future__ import annotations

from typing import Any


def summary(manifest: dict[str, Any], outcome: dict[str, Any]) -> dict[str, Any]:
    """Return what a run found as plain JSON: identity, overall verdict, claims and controls."""
    return {
        "id": manifest["id"],
        "study": manifest["study"]["slug"],
        "preset": manifest["preset"],
        "parameters": manifest["parameters"],
        "seconds": manifest["seconds"],
        "verdict": manifest["verdict"],
        **({"chunks": manifest["chunks"]} if "chunks" in manifest else {}),
        **outcome,
    }


def bibtex(manifest: dict[str, Any]) -> str:
    """Return a BibTeX entry for a run: the study, the version that ran it, and the run's id."""
    study, version = manifest["study"], manifest["versions"]["chymist"]
    year = manifest["finished"][:4]
    return "\n".join(
        [
            f"@misc{{chymist-{manifest['id']},",
            "  author = {{The chymist authors}},",
            f"  title = {{{{{study['title']}}}: run {manifest['id']} of study {study['slug']}}},",
            f"  howpublished = {{chymist {version}}},",
            f"  year = {{{year}}},",
            "}",
        ]
    )
