"""Where a result comes from: source, versions, machine."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
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


def source(function: Callable[..., Any]) -> dict[str, str]:
    """Return module (a user's file: its name) and digest of the file that defines a function."""
    module = sys.modules.get(function.__module__)
    path = getattr(module, "__file__", None)
    digest = sha256(Path(path)) if path and Path(path).is_file() else ""
    installed = function.__module__.partition(".")[0] in sys.modules and "." in function.__module__
    name = function.__module__ if installed or not path else Path(path).name
    return {"module": name, "sha256": digest}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"
