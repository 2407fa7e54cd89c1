"""The compiled kernel: built by the system's C compiler on first use, kept in the user's cache.

Nothing is compiled where no compiler is; training then takes PyTorch's operations, which is slower
and says so. Matrix products are those of SciPy's BLAS.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch

from chymist.compiling import SWITCH, NoKernel, compiled, compiler, version

SOURCE = Path(__file__).with_name("tape.c")
"""It includes the headers beside it."""
_FLAGS = ("-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-fassociative-math")
"""Sums may be reordered, so that they are vectorised; infinities and NaN keep their meaning."""
_DTYPES = {torch.float32: ("sgemm", ()), torch.float64: ("dgemm", ("-DREAL=double", "-DDOUBLE"))}


@cache
def kernel(dtype: torch.dtype) -> ctypes.CDLL:
    """Return the kernel for a dtype, compiled at the first call on this machine (a second or two).

    Raises:
        NoKernel: switched off by CHYMIST_NATIVE=0, no compiler, or it failed.
    """
    if dtype not in _DTYPES:
        raise NoKernel(f"{dtype} is not compiled for")
    library = compiled(SOURCE, (*_FLAGS, *_DTYPES[dtype][1]))
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
    return version(str(compiler())).partition("\n")[0]


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


__all__ = ["SWITCH", "NoKernel", "identity", "kernel", "matrix_product", "one_thread_a_product"]
