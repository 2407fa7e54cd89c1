"""Which file system a folder is on, as far as the system tells: Linux does, others do not."""

from __future__ import annotations

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")
_SHARED = (
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "gpfs", "beegfs", "gfs2",
    "ocfs2", "glusterfs", "orangefs", "virtiofs", "vboxsf", "prl_fs",
)  # fmt: skip
"""Served by another machine. What `fuse` serves may be: it counts as well."""


def shared_system(folder: Path) -> str:
    """Return the file system that a folder is mounted with from another machine, or nothing.

    There, memory is not shared, and locks may hold on one machine only, or not at all.
    """
    if not MOUNTS.is_file():
        return ""
    path, longest, kind = str(folder.resolve()), "", ""
    for line in MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines():
        _, place, system, *_ = line.split(" ")
        place = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), place)
        if (path + "/").startswith(place.rstrip("/") + "/") and len(place) >= len(longest):
            longest, kind = place, system
    return kind if kind in _SHARED or kind.startswith("fuse.") else ""


def warning(folder: Path) -> str:
    """Say what a run in this folder risks from its file system; nothing if there is no risk."""
    kind = shared_system(folder)
    return kind and (
        f"{folder} is on a network file system ({kind}), where a lock may not keep out other "
        "machines: compute a run on one machine at a time, or name a folder on a local disk "
        "with --lab"
    )
