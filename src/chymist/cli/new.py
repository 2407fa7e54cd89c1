"""`chymist new`."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

from chymist.errors import UsageError
from chymist.files import write_text


def new_(name: str, /) -> None:
    """Write a study to start from: a runnable file in this folder.

    Parameters
    ----------
    name
        Its slug: lower-case words joined by hyphens. The file is named after it.
    """
    slug = name.removesuffix(".py").replace("_", "-")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", slug):
        raise UsageError(f"{name} cannot name a study", "use lower-case words joined by hyphens")
    path = Path(f"{slug.replace('-', '_')}.py")
    if path.exists():
        raise UsageError(f"{path} exists already", "choose another name, or remove it first")
    template = resources.files("chymist.cli").joinpath("new_study.py.txt")
    write_text(path, template.read_text(encoding="utf-8").replace("my-claim", slug))
    print(path)
