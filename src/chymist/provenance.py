"""Where a result comes from: source, versions, machine."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Callable
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from chymist.files import sha256

PACKAGES = ("chymist", "torch", "numpy", "scipy", "xarray", "netCDF4", "altair")


def versions() -> dict[str, str]:
    """Return the versions of chymist and of what computes its numbers."""
    return {name: metadata.version(name) for name in PACKAGES}


def machine() -> dict[str, Any]:
    """Return what kind of machine this is; nothing that names it or its user."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "python": platform.python_version(),
    }


def source(function: Callable[..., Any]) -> dict[str, Any]:
    """Return module (a user's file: its name) and digest of the file that defines a function.

    `beside` are the digests of the files in the same folder that it is made of.
    """
    module = sys.modules.get(function.__module__)
    path = _file(module)
    installed = function.__module__.partition(".")[0] in sys.modules and "." in function.__module__
    name = function.__module__ if installed or not path else path.name
    files = _beside(module) if module else {}
    digests = {file.name: sha256(file) for file in sorted(files) if file != path}
    return {"module": name, "sha256": sha256(path) if path else "", "beside": digests}


@cache
def code() -> str:
    """Return the digest of chymist's own source."""
    root = Path(__file__).parent
    files = sorted(p.relative_to(root) for kind in ("*.py", "*.c") for p in root.rglob(kind))
    lines = "".join(f"{file.as_posix()} {sha256(root / file)}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def _file(module: ModuleType | None) -> Path | None:
    path = getattr(module, "__file__", None)
    return Path(path) if path and Path(path).is_file() else None


def _beside(module: ModuleType) -> set[Path]:
    """Find the files of a module and of what it uses from its own folder, directly or not."""
    found: dict[Path, ModuleType] = {}
    waiting = [module]
    while waiting:
        current = waiting.pop()
        path = _file(current)
        if path is None or path in found:
            continue
        found[path] = current
        for value in list(vars(current).values()):
            name = getattr(value, "__module__", None)
            used = value if isinstance(value, ModuleType) else sys.modules.get(str(name))
            file = _file(used)
            if used is not None and file is not None and file.parent == path.parent:
                waiting.append(used)
    return set(found)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"
