"""Compiled C: built by the system's compiler on first use, kept in the user's cache.

Nothing is compiled where no compiler is; who asks is told why, and has a slower way that says so.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

SWITCH = "CHYMIST_NATIVE"
_FLAGS = ("-O3", "-std=gnu11", "-shared", "-fPIC")


class NoKernel(Exception):
    """There is no compiled kernel here; the message says why."""


def compiled(source: Path, flags: Sequence[str] = ()) -> ctypes.CDLL:
    """Load the library made of a C file, compiled at the first call on this machine (a second).

    It is compiled anew when the file, a header beside it, the compiler, its flags or the processor
    are others.

    Raises:
        NoKernel: switched off by CHYMIST_NATIVE=0, no compiler, or it failed.
    """
    if os.environ.get(SWITCH) == "0":
        raise NoKernel(f"switched off by {SWITCH}=0")
    command = compiler()
    if command is None:
        raise NoKernel("no C compiler was found")
    try:
        return ctypes.CDLL(str(_library(command, source, [*_FLAGS, *flags])))
    except (OSError, subprocess.SubprocessError) as error:
        raise NoKernel(f"{command} did not build it: {error}") from error


def compiler() -> str | None:
    """Return the user's C compiler, as their environment names it, or the system's."""
    return next((c for c in (os.environ.get("CC"), "cc", "gcc", "clang") if _which(c)), None)


def version(command: str) -> str:
    """Return what a compiler says of itself.

    Raises:
        OSError, SubprocessError: it says nothing.
    """
    words = [*command.split(), "--version"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout


def _which(command: str | None) -> bool:
    return bool(command) and shutil.which(str(command).split()[0]) is not None


def _library(command: str, source: Path, flags: Sequence[str]) -> Path:
    """Return the compiled library; the cached one if all that it is made of is the same."""
    files = [source, *sorted(source.parent.glob("*.h"))]
    told = [f.read_text(encoding="utf-8") for f in files]
    told += [version(command), _processor(), repr(flags)]
    digest = hashlib.sha256("\0".join(told).encode()).hexdigest()[:20]
    folder = _cache()
    library = folder / f"{source.stem}-{digest}.so"
    if library.is_file():
        return library
    handle, name = tempfile.mkstemp(suffix=".so", dir=folder)
    os.close(handle)
    aside = Path(name)
    try:
        # What the processor can do beyond the least of its kind, where the compiler knows it.
        for native in (("-march=native",), ("-mcpu=native",), ()):
            words = [*command.split(), *native, *flags, str(source), "-o", name, "-lm"]
            done = subprocess.run(words, capture_output=True, text=True, timeout=120)  # noqa: S603
            if done.returncode == 0:
                aside.replace(library)
                return library
        raise OSError(done.stderr.strip().splitlines()[0] if done.stderr.strip() else "no output")
    finally:
        aside.unlink(missing_ok=True)


def _cache() -> Path:
    """Return the user's cache folder, or a private temporary one where that cannot be written."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "chymist"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="chymist-"))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.platform() + platform.processor()
    return "".join(sorted({line for line in lines if line.startswith(("flags", "model name"))}))
