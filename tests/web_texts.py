"""Every text that pages say, taken from the source that says it."""

import ast
import re
import typing
from pathlib import Path

from jinja2 import Environment

import chymist
from chymist import catalogue, errors, stats
from chymist.lab import listed
from chymist.questions import QUESTIONS
from chymist.report import checkup
from chymist.study import FAMILIES
from chymist.web import app, downloads, guard, home, lab_page
from chymist.web.pages import script_texts

SOURCE = Path(chymist.__file__).parent
ROOMS = [SOURCE / "web", SOURCE / "report"]
ERRORS = {"TooMany", *vars(errors)}
UNSEEN = {"server.py", "site.py"}
"""What these refuse is said in the terminal."""


def of_templates():
    environment = Environment(extensions=["jinja2.ext.i18n"], trim_blocks=True, lstrip_blocks=True)
    environment.newstyle_gettext = True
    for room in ROOMS:
        for file in sorted(room.glob("templates/*.html.j2")):
            for _, _, said in environment.extract_translations(file.read_text()):
                yield from (said,) if isinstance(said, str) else filter(None, said)


def of_python():
    """Constants that `say` is given; what it is given otherwise is said elsewhere."""
    for file in sorted(file for room in ROOMS for file in room.glob("*.py")):
        for call in calls(file, "say"):
            if isinstance(call.args[0], ast.Constant):
                yield call.args[0].value


def marked():
    return {*of_templates(), *of_python(), *script_texts()}


def words():
    """What is shown by its own name: constants of the source, and what logs call things."""
    events = {
        part.value
        for file in (SOURCE / "lab").glob("*.py")
        for call in calls(file, "log")
        for part in (call.args[0], *getattr(call.args[0], "__dict__", {}).values())
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    }
    facts = {
        node.elts[0].value
        for node in ast.walk(ast.parse((SOURCE / "report" / "checkup_page.py").read_text()))
        if isinstance(node, ast.Tuple) and len(node.elts) == 2
        if isinstance(node.elts[0], ast.Constant) and str(node.elts[0].value)[:1].isupper()
    }
    return {
        *({*home.VERDICTS} - {"none"}),
        *(*lab_page.VERDICTS, *lab_page.STATES, *lab_page.SORTS),
        *(listed.UNFINISHED, listed.DAMAGED, listed.NEWER),
        *(*checkup.SEVERITIES, *typing.get_args(stats.Centre)),
        *("experiment", "control"),  # the lanes of a strip
        *FAMILIES,
        *QUESTIONS.values(),
        *(*app.REFUSALS.values(), app.IMPOSSIBLE, guard.BROKEN),
        *(says for says, _, _ in (*downloads.FILES.values(), *downloads.WATCHED.values())),
        *events,
        *facts,
    }


def atlas():
    return {text for entry in catalogue.built_in() for text in (entry.title, entry.question)}


def refusals():
    """Lines with which pages refuse, values replaced by {}: what is raised, and its hint."""
    files = [*(SOURCE / "web").glob("*.py"), SOURCE / "params.py"]
    for file in sorted(files):
        if file.name in UNSEEN:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Assign) and "'says'" in ast.dump(node.targets[0]):
                said = getattr(node.value, "elts", [])
                yield from (shape(part) for part in said if isinstance(part, ast.JoinedStr))
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ERRORS:
                yield from filter(None, map(shape, node.args))


def shape(node):
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = (p.value if isinstance(p, ast.Constant) else "{}" for p in node.values)
        return re.sub(r"(\{\})+", "{}", "".join(parts))
    return None


def calls(file, name):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and node.args:
            called = node.func
            if getattr(called, "id", getattr(called, "attr", "")) == name:
                yield node


def ranges():
    from chymist.params import describe_range

    for entry in catalogue.built_in():
        params = catalogue.find(entry.slug).params
        for name in params.model_fields:
            said = describe_range(params, name)
            yield said
            yield said.replace(">=", "≥").replace("<=", "≤")


def hints():
    from chymist.errors import did_you_mean

    yield from (did_you_mean(word, ["width", "steps"]) for word in ("widht", "x"))
    yield "parameters do not fit together: so"
    yield "parameter steps cannot be 0"
    yield "1,024, 1,000 of them trained"
    yield from ("integer", "number", "text", "value")  # of parameters without bounds
    yield "steps cannot be 0: allowed: integer >= 1"


def regions():
    from chymist.claims import above, below, between, exactly

    yield from map(str, (above(1.0), below(1.0), between(1.0, 2.0), exactly(1.0)))


def parts(line):
    """A line, and what is within it and may be a line of its own."""
    yield line
    for mark in (": ", ", ", "integer ", "number "):
        if mark in line:
            yield from (line.partition(mark)[2], line.rpartition(mark)[0])
