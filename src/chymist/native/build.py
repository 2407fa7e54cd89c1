"""The compiled kernel: built by the system's C compiler on first use, kept in the user's cache.

Nothing is compiled where no compiler is; training then takes PyTorch's operations, which is slower
and says so. Matrix products are those of SciPy's BLAS.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch

SOURCE = Path(__file__).with_name("tape.c")
"""It includes the headers beside it."""
_FLAGS = (
    "-O3", "-std=gnu11", "-shared", "-fPIC", "-fno-math-errno", "-fno-trapping-math",
    "-fno-signed-zeros", "-fassociative-math",
)  # fmt: skip
"""Sums may be reordered, so that they are vectorised; infinities and NaN keep their meaning."""
_DTYPES = {torch.float32: ("sgemm", ()), torch.float64: ("dgemm", ("-DREAL=double", "-DDOUBLE"))}
SWITCH = "CHYMIST_NATIVE"


class NoKernel(Exception):
    """There is no compiled kernel here; the message says why."""


@cache
def kernel(dtype: torch.dtype) -> ctypes.CDLL:
    """Return the kernel for a dtype, compiled at the first call on this machine (a second or two).

    Raises:
        NoKernel: switched off by CHYMIST_NATIVE=0, no compiler, or it failed.
    """
    if os.environ.get(SWITCH) == "0":
        raise NoKernel(f"switched off by {SWITCH}=0")
    if dtype not in _DTYPES:
        raise NoKernel(f"{dtype} is not compiled for")
    compiler = _compiler()
    if compiler is None:
        raise NoKernel("no C compiler was found")
    try:
        library = ctypes.CDLL(str(_compiled(compiler, _DTYPES[dtype][1])))
    except (OSError, subprocess.SubprocessError) as error:
        raise NoKernel(f"{compiler} did not build it: {error}") from error
    library.node_size.restype = ctypes.c_int64
    for name in ("train", "predict", "learn", "step"):
        getattr(library, name).restype = None
    return library


def identity() -> str:
    """Return what compiles the kernel here, or why there is none."""
    try:
        kernel(torch.float32)
    except NoKernel as error:
        return f"none: {error}"
    return _version(str(_compiler())).partition("\n")[0]


@cache
def matrix_product(dtype: torch.dtype) -> int:
    """Return the address of SciPy's BLAS routine gemm for a dtype."""
    from scipy.linalg import cython_blas

    capsule = cython_blas.__pyx_capi__[_DTYPES[dtype][0]]
    name, pointer = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return int(pointer(capsule, name(capsule)))


@contextmanager
def one_thread_a_product() -> Iterator[None]:
    """Keep the BLAS libraries of this process from starting threads of their own."""
    with _pools().limit(limits=1, user_api="blas"):
        yield


@cache
def _pools():  # type: ignore[no-untyped-def]
    from scipy.linalg import cython_blas  # noqa: F401 (its library is to be among those found)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _compiler() -> str | None:
    """Return the user's C compiler, as their environment names it, or the system's."""
    return next((c for c in (os.environ.get("CC"), "cc", "gcc", "clang") if _which(c)), None)


def _version(compiler: str) -> str:
    command = [*compiler.split(), "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout


def _which(command: str | None) -> bool:
    return bool(command) and shutil.which(str(command).split()[0]) is not None


def _compiled(compiler: str, flags: Sequence[str]) -> Path:
    """Return the compiled library; the cached one if source, compiler, processor are the same."""
    files = [SOURCE, *sorted(SOURCE.parent.glob("*.h"))]
    told = [f.read_text(encoding="utf-8") for f in files]
    told += [_version(compiler), _processor(), repr(flags)]
    digest = hashlib.sha256("\0".join(told).encode()).hexdigest()[:20]
    folder = _cache()
    library = folder / f"tape-{digest}.so"
    if library.is_file():
        return library
    handle, name = tempfile.mkstemp(suffix=".so", dir=folder)
    os.close(handle)
    aside = Path(name)
    try:
        # What the processor can do beyond the least of its kind, where the compiler knows it.
        for native in (("-march=native",), ("-mcpu=native",), ()):
            command = [*compiler.split(), *_FLAGS, *native, *flags, str(SOURCE), "-o", name, "-lm"]
            done = subprocess.run(  # noqa: S603
                command, capture_output=True, text=True, timeout=120
            )
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
