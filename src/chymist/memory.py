"""How much memory this process may still take."""

from __future__ import annotations

import sys
from pathlib import Path

CONTAINER = Path("/sys/fs/cgroup")


def free() -> float:
    """Return the bytes that the machine and this process's limit leave; infinite if not known.

    On Linux: what the kernel says is available, swapping apart, what `ulimit -v` leaves, and what a
    container's bound does.
    """
    if not sys.platform.startswith("linux"):
        return float("inf")
    import resource

    left = float("inf")
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            left = 1024.0 * int(line.split()[1])
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        left = min(left, limit - pages * float(resource.getpagesize()))
    return max(min(left, _left_to_container(CONTAINER)), 0.0)


def _left_to_container(group: Path) -> float:
    """Return what a control group (version 2) leaves; files that it may drop count as free."""
    try:
        bound = (group / "memory.max").read_text(encoding="ascii").strip()
        used = int((group / "memory.current").read_text(encoding="ascii"))
        lines = (group / "memory.stat").read_text(encoding="ascii").splitlines()
        kept = dict(line.split() for line in lines)
        droppable = int(kept.get("inactive_file", 0))
        return float("inf") if bound == "max" else int(bound) - used + droppable
    except (OSError, ValueError):
        return float("inf")


def size(count: float) -> str:
    """Return a number of bytes in a unit that suits it.

    >>> size(2**30), size(1_500), size(12.0)
    ('1 GiB', '1.46 KiB', '12 bytes')
    """
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:.3g} TiB"
