"""Open runs as a user would, in a process that reports whatever a run makes it do.

Run as: python guarded.py LAB OUT OUTSIDE ID..., where ID:VERB asks for one verb alone. Prints
JSON: for each id what each verb said, how long it took, and what was attempted; and the process's
highest memory [MB].
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
import traceback
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import chymist.api
from chymist import rendering
from chymist.cli import execute
from chymist.lab import Lab
from chymist.lab.measured import READER
from chymist.rendering import RENDERER

LAB, OUT, OUTSIDE = (Path(word).resolve() for word in [*sys.argv[1:4], *"..."][:3])
OURS = ([sys.executable, "-P", str(READER)], [sys.executable, "-P", str(RENDERER)])
FORBIDDEN = ("os.system", "os.exec", "os.fork", "os.posix_spawn", "os.startfile", "pickle.",
             "socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto",
             "urllib.", "ftplib.", "smtplib.", "webbrowser.", "ctypes.dlopen")  # fmt: skip
CHANGES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.chmod",
           "shutil.", "os.truncate")  # fmt: skip
attempts: list[str] = []
armed = False


def inside(path: object, *places: Path) -> bool:
    if not isinstance(path, str | bytes | os.PathLike):
        return True  # a handle that was opened before
    whole = Path(os.fsdecode(path)).resolve()
    return any(whole == place or place in whole.parents for place in places)


def watch(event: str, given: tuple) -> None:
    if not armed:
        return
    wrong = ""
    if event == "subprocess.Popen":
        wrong = "" if list(given[1]) in OURS else f"starts {given[1]}"
    elif event == "open":
        path, _, flags = given
        writes = bool((flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))
        if inside(path, OUTSIDE) and isinstance(path, str | bytes | os.PathLike):
            wrong = f"opens {path!r}"
        elif writes and not inside(path, LAB, OUT, Path("/dev/null")):
            wrong = f"writes {path!r}"
    elif event == "sqlite3.connect":
        wrong = "" if given[0] == ":memory:" or inside(given[0], LAB) else f"opens {given[0]!r}"
    elif event.startswith(CHANGES):
        wrong = "" if inside(given[0], LAB, OUT) else f"{event} {given!r:.200}"
    elif event in ("exec", "compile"):
        wrong = f"{event}s {given!r:.200}" if "hellebore" in repr(given) else ""
    elif event.startswith(FORBIDDEN):
        wrong = f"{event} {given!r:.200}"
    if wrong:
        attempts.append(wrong)
        raise PermissionError(wrong)


def verbs(run: str) -> dict[str, list[str]]:
    where = ["--lab", str(LAB)]
    return {
        "runs": ["runs", *where],
        "runs --json": ["runs", "--json", *where],
        "verify": ["lab", "verify", run, *where],
        "show": ["show", run, *where],
        "show --json": ["show", run, "--json", *where],
        "cite": ["cite", run, *where],
        "report": ["report", run, "--output", str(OUT / f"{run}.html"), *where],
        "export": ["export", run, "--csv", "--netcdf", "--figures", "svg,png",
                   "--output", str(OUT / run), *where],
    }  # fmt: skip


def notebook(run: str) -> int:
    """Look at a run as a notebook does."""
    opened = Lab(LAB).open(run)
    print(repr(opened), opened._repr_html_(), opened.data, opened.exit_code)
    return 0


def attempt(words: list[str] | str) -> dict[str, object]:
    global armed
    out, err = io.StringIO(), io.StringIO()
    attempts.clear()
    begun = time.perf_counter()
    armed = True
    try:
        with redirect_stdout(out), redirect_stderr(err):
            if isinstance(words, str):
                from chymist.errors import ChymistError

                try:
                    code = notebook(words)
                except ChymistError as error:
                    code = error.exit_code
                    print(f"chymist: {error}", file=sys.stderr)
            else:
                code = execute(words)
    except Exception:
        code = -1
        err.write(traceback.format_exc())
    finally:
        armed = False
    return {
        "code": code,
        "out": out.getvalue()[:200_000],
        "err": err.getvalue()[-3000:],
        "attempts": list(attempts),
        "seconds": time.perf_counter() - begun,
    }


def main() -> None:
    assert chymist.api.run, "loaded before the guard: torch loads libraries by hand"
    sys.addaudithook(watch)
    found = {}
    rendering.PATIENCE = 6.0  # a user would wait a minute
    for word in sys.argv[4:]:
        run, _, only = word.partition(":")
        asked = {**verbs(run), "notebook": run}
        found[run] = {n: attempt(words) for n, words in asked.items() if only in ("", n)}
    highest = next(
        int(line.split()[1]) / 1024
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
    json.dump({"runs": found, "memory": highest}, sys.stdout)


if __name__ == "__main__":
    main()
