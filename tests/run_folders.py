"""Run folders as somebody else may have made them: copied, changed, and sealed again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from chymist.files import sha256
from chymist.lab.layout import PLAN
from chymist.lab.plan import digest
from chymist.lab.seal import seal_manifest


def copied(folder: Path, lab: Path, name: str = "") -> Path:
    """Copy a run into another lab, there under its own name or another."""
    target = lab / "runs" / (name or folder.name)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target)
    return target


def manifest_of(folder: Path) -> dict[str, Any]:
    """Read a manifest without its seal."""
    manifest = json.loads((folder / "run.json").read_text())
    manifest.pop("seal", None)
    return manifest


def reseal(folder: Path, manifest: dict[str, Any] | None = None) -> None:
    """Seal a run with digests that agree with whatever its files are now."""
    manifest = dict(manifest if manifest is not None else manifest_of(folder))
    manifest["id"] = manifest.get("id") and folder.name
    if (folder / PLAN).is_file():
        plan = json.loads((folder / PLAN).read_text()) | {"id": folder.name}
        (folder / PLAN).write_text(json.dumps(plan | {"digest": digest(plan)}))
    for name in manifest.get("files", {}):
        path = folder / name
        if path.is_file() and not path.is_symlink():
            manifest["files"][name] = sha256(path)
    seal_manifest(folder, json.dumps(manifest, indent=1))
