"""What a user names with --data: a file, a folder of files, or a function of their own."""

from __future__ import annotations

import hashlib
from pathlib import Path

import xarray as xr

from chymist import factories
from chymist.errors import BadInput
from chymist.files import sha256
from chymist.study import Input, Study

MOST = 100_000
"""Files of a folder."""


def read_given(
    study: Study, data: str | Path | None
) -> tuple[xr.Dataset | None, dict[str, str] | None]:
    """Return the named data of what the user names, and how a plan tells of it; None without.

    A plan has its name, what the study says of such input, and a digest: of the file; of the names
    and digests of a folder's files; none of what a function made. A function's code is run.

    Raises:
        BadInput: the study takes no such thing, or this one cannot be used.
        UsageError: a function cannot be found or fails.
    """
    if data is None:
        return None, None
    taken = study.input
    if taken is None or not any(e.reads for e in study.experiments):
        raise BadInput(f"{study.slug} takes no data file", "leave --data out")
    path = Path(data)
    if path.is_dir():
        return _folder(study, taken, path)
    if _names_a_function(path):
        return _function(study, taken, str(data))
    return taken.read(path), {"name": path.name, "sha256": sha256(path), "says": taken.says}


def _folder(study: Study, taken: Input, path: Path) -> tuple[xr.Dataset, dict[str, str]]:
    if taken.folder is None:
        raise BadInput(f"{path} is a folder, and {study.slug} takes none", f"give {_kinds(taken)}")
    files = files_of(path, taken.suffixes)
    found = taken.folder.read(files)
    found.attrs["name"] = path.resolve().name
    lines = [f"{sha256(file)}  {file.relative_to(path).as_posix()}\n" for file in files]
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    return found, {"name": path.resolve().name, "sha256": digest, "says": taken.folder.says}


def files_of(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Return the files below a folder that have one of the suffixes, in the order of their names.

    What begins with a dot is left out.

    Raises:
        BadInput: there is none, or there are more than 100,000.
    """
    kept = []
    for file in folder.rglob("*"):
        inside = file.relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts)
        if not hidden and file.suffix.lower() in suffixes and file.is_file():
            kept.append((inside.as_posix(), file))
        if len(kept) > MOST:
            raise BadInput(f"{folder} holds more than {MOST} files", "take a part of them")
    if not kept:
        kinds = ", ".join(suffixes)
        raise BadInput(f"{folder} holds no file of the kinds {kinds}", "give a folder that does")
    return [file for _, file in sorted(kept)]


def _names_a_function(path: Path) -> bool:
    where, colon, name = str(path).rpartition(":")
    return bool(where and colon) and name.isidentifier() and not path.exists()


def _function(study: Study, taken: Input, named: str) -> tuple[xr.Dataset, dict[str, str]]:
    if taken.function is None:
        hint = f"give {_kinds(taken)}"
        raise BadInput(f"{named} names a function, and {study.slug} takes none", hint)
    made = factories.made(named)
    try:
        found = taken.function.read(made)
    except BadInput as error:
        raise BadInput(f"{named}: {error.message}", error.hint) from None
    found.attrs["name"] = named.rpartition(":")[2]
    return found, {"name": Path(named).name, "says": taken.function.says}


def _kinds(taken: Input) -> str:
    return f"a file ({', '.join(taken.suffixes)})"
