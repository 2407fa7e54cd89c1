"""The command line: one module a verb, loaded when it is used. Data on stdout, the rest on stderr.

Exit codes: 0 supported and every control flipped (or the verb did its work), 1 internal error,
2 usage, 3 inconclusive, 4 refuted, 5 a control did not flip, 6 damaged data or a replay that came
out otherwise, 7 cannot write, 130 interrupted. Of the doctor's verbs: 0 nothing above a note,
3 a warning, 4 something critical.
"""

from __future__ import annotations

import os
import sys

from cyclopts import App, CycloptsError

from chymist.errors import ChymistError

app = App(
    name="chymist",
    help="The laboratory for the phenomena of deep learning: claims that can be re-run, and fail.",
    version=lambda: _version(),
    help_format="markdown",
    suppress_keyboard_interrupt=False,
)
INTERRUPTED = 130
VERBS = {
    "list": "List the studies that can be run.",
    "info": "Show a study's question, claims, control, parameters, cost and references.",
    "run": "Run a study and give a verdict.",
    "resume": "Finish a run that was cut short.",
    "replay": "Compute a run again and compare it, byte by byte.",
    "runs": "List the runs of a lab.",
    "show": "Show a run's verdicts.",
    "report": "Write a run's report as one HTML file.",
    "export": "Write a run's data and figures for other programs.",
    "measure": "Measure your own network with the instruments.",
    "preflight": "Examine your own training before its first step.",
    "findings": "Show what the doctor found in a watched training.",
    "evidence": "Keep what the presets of studies find, as JSON and figures.",
    "serve": "Open the atlas in a browser: read studies, run them, watch them.",
    "atlas": "Write the gallery of studies from their evidence.",
    "new": "Write a study of your own to start from.",
    "cite": "Print BibTeX for a study or a run.",
    "lab": "Check a lab's files, rebuild its index, clear what crashes left.",
}
for _verb, _says in VERBS.items():
    # Given as text, a verb's module is imported only when the verb is used.
    app.command(f"chymist.cli.{_verb}:{_verb}_", name=_verb, help=_says)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    code = execute(sys.argv[1:] if arguments is None else arguments)
    if code == INTERRUPTED:
        # Unloading torch can take a second, which whoever pressed Ctrl-C should not wait for.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def execute(arguments: list[str]) -> int:
    """Run one command and return its exit code; what a user can cause ends in one line."""
    try:
        if arguments[:1] == ["run"] and {"-h", "--help"} & set(arguments):
            from chymist.cli.info import show_parameters

            app.help_print(["run"])
            return show_parameters(arguments[1:])
        code = app(
            arguments,
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
        return int(code or 0)
    except ChymistError as error:
        _complain(str(error))
        return error.exit_code
    except CycloptsError as error:
        _complain(str(error).strip() or type(error).__name__)
        return 2
    except KeyboardInterrupt as error:
        _complain(str(error) or "interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0


def _complain(message: str) -> None:
    print(f"chymist: {' '.join(message.split())}", file=sys.stderr)


def _version() -> str:
    from importlib.metadata import version

    return version("chymist")
