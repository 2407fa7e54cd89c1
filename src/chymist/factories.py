"""What a user's own function makes, named by text: module:function or file.py:function."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chymist.errors import UsageError


def made(factory: str) -> Any:
    """Return what a factory makes; it is called without arguments. This runs the user's code.

    Raises:
        UsageError: the factory cannot be read, found or run.
    """
    where, colon, name = factory.rpartition(":")
    if not colon or not where or not name:
        raise UsageError(f"factory {factory} cannot be read", "write module:function")
    try:
        with _from_here():
            function = getattr(_module(where), name, None)
            if not callable(function):
                raise UsageError(f"{where} has no function {name}", "write module:function")
            return function()
    except UsageError:
        raise
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{factory}: no module {error.name}", "install it, or give a file"
        ) from error
    except Exception as error:
        line = traceback.extract_tb(error.__traceback__)[-1]
        raise UsageError(
            f"{factory} failed in {Path(line.filename).name}, line {line.lineno}: "
            f"{type(error).__name__}: {error}",
            "mend it",
        ) from error


def _module(where: str) -> Any:
    if not where.endswith(".py"):
        return importlib.import_module(where)
    spec = importlib.util.spec_from_file_location(Path(where).stem, where)
    if spec is None or spec.loader is None or not Path(where).is_file():
        raise UsageError(f"no file {where}", "give the path of a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@contextmanager
def _from_here() -> Iterator[None]:
    """Let modules of the working directory be found, as `python -m` does."""
    sys.path.insert(0, str(Path.cwd()))
    try:
        yield
    finally:
        sys.path.remove(str(Path.cwd()))
