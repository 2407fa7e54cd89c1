"""Files that a reader brings to a study: looked at here, read in a process of its own.

What a file is called decides only which of the study's own endings it has. Its content must look
like that ending; to decode it, and so to plan the run, is left to a process with bounded memory and
time, which a file may bring down without harm to the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from chymist import errors
from chymist.errors import BadInput, ChymistError
from chymist.web.queue import surroundings

LARGEST = 20 * 2**20
PATIENCE = 90.0
"""Seconds to read a file and plan the run."""
MEMORY = 12 * 2**30
"""Address space; torch alone takes some gigabytes of it."""
_STARTS = {
    ".png": (b"\x89PNG\r\n\x1a\n",),
    ".jpg": (b"\xff\xd8\xff",),
    ".jpeg": (b"\xff\xd8\xff",),
    ".gif": (b"GIF87a", b"GIF89a"),
    ".bmp": (b"BM",),
    ".tiff": (b"II*\x00", b"MM\x00*"),
    ".webp": (b"RIFF",),
    ".wav": (b"RIFF",),
    ".npz": (b"PK\x03\x04",),
    ".safetensors": (b"",),
}
_FORMS = {".webp": b"WEBP", ".wav": b"WAVE", ".safetensors": b"{"}
"""What stands from the eighth byte on: a kind of RIFF, or a header after its length."""


def ending(name: str, content: bytes, accepted: tuple[str, ...]) -> str:
    """Return which of the accepted endings a file has, if its content looks like it.

    Raises:
        BadInput: it has another, is empty, or looks like something else.

    >>> ending("My.CSV", b"x,y", (".csv",))
    '.csv'
    """
    found = next((e for e in accepted if name.lower().endswith(e)), None)
    allowed = f"allowed: {', '.join(accepted)}"
    if found is None:
        raise BadInput("this study takes no such file", allowed)
    if not content:
        raise BadInput("the file is empty", "choose another")
    starts = _STARTS.get(found)
    if starts is None:
        looks = _is_text(content)
    else:
        form = _FORMS.get(found, b"")
        looks = content.startswith(starts) and content[8 : 8 + len(form)] == form
    if not looks:
        raise BadInput(f"the file is called {found} and is something else", "give the file itself")
    return found


def _is_text(content: bytes) -> bool:
    try:
        return b"\x00" not in content and bool(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return False


async def planned(content: bytes, suffix: str, order: dict[str, Any]) -> str:
    """Let a process read the file and plan the run that `order` describes; return the run's id.

    Raises:
        ChymistError: what that process met.
        BadInput: it died of the file, or took too long.
    """
    folder = Path(tempfile.mkdtemp(prefix="chymist-"))
    try:
        file = folder / f"data{suffix}"
        file.write_bytes(content)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "chymist.web.admitting"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=surroundings(order["threads"]),
            start_new_session=True,
        )
        told = json.dumps({**order, "data": str(file)}).encode()
        try:
            said, _ = await asyncio.wait_for(process.communicate(told), PATIENCE)
        except TimeoutError:
            raise BadInput("the file takes too long to read", "give a smaller one") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        try:
            answer = json.loads(said)
        except ValueError:
            raise BadInput("the file cannot be read", "give another, or a smaller one") from None
        if "run" in answer:
            return str(answer["run"])
        kind = getattr(errors, answer["kind"], BadInput)
        raise (kind if issubclass(kind, ChymistError) else BadInput)(
            answer["message"].replace(str(file), "the file").replace(file.name, "the file"),
            answer["hint"],
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
