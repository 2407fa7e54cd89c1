"""Finding studies by name without importing them: built-ins, plug-ins, a user's own file.

Built-ins are listed in `atlas/index.json`, which `python -m chymist.catalogue` regenerates.
Plug-ins are entry points of the group `chymist.studies`; one that fails to import is reported by
name and hides no other. Listing imports no torch.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import pkgutil
import sys
import traceback
from dataclasses import asdict, dataclass, field
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chymist.errors import BadStudy, UnknownStudy, did_you_mean

if TYPE_CHECKING:
    from chymist.study import Study

GROUP = "chymist.studies"
LANGUAGES = {"en": "English", "zh": "中文"}
"""Languages of stories by code; the first is that of all else."""


@dataclass(frozen=True)
class Entry:
    """What the list shows of a study."""

    slug: str
    module: str
    title: str = ""
    question: str = ""
    family: str = ""
    accepts: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    cost: dict[str, float] = field(default_factory=dict)


def entries() -> list[Entry]:
    """Return all installed studies, by slug."""
    text = resources.files("chymist.atlas").joinpath("index.json").read_text(encoding="utf-8")
    tuples = ("accepts", "answers")
    found = {
        e["slug"]: Entry(**{**e, **{name: tuple(e[name]) for name in tuples}})
        for e in json.loads(text)
    }
    for point in metadata.entry_points(group=GROUP):
        title = f"plug-in of {point.dist.name if point.dist else 'unknown'}"
        found.setdefault(point.name, Entry(point.name, point.value, title=title))
    return [found[slug] for slug in sorted(found)]


def find(name: str) -> Study:
    """Return the study of this slug, or the one in this file (a path that ends in .py).

    Raises:
        UnknownStudy: nothing has this name.
        BadStudy: the file or plug-in cannot be used.
    """
    if name.endswith(".py"):
        return load_file(Path(name))
    table = {known.slug: known for known in entries()}
    if name not in table:
        raise UnknownStudy(f"unknown study {name}", did_you_mean(name, table))
    module, _, attribute = table[name].module.partition(":")
    try:
        study = getattr(importlib.import_module(module), attribute or "STUDY")
    except Exception as error:
        if module.startswith("chymist."):
            raise
        raise BadStudy(f"plug-in {name} cannot be imported: {error}") from error
    return checked(study, name)


def load_file(path: Path) -> Study:
    """Read a study from a Python file that binds STUDY. This runs the file.

    Raises:
        UnknownStudy: there is no such file.
        BadStudy: it has a syntax error, fails when run, or binds no STUDY.
    """
    if not path.is_file():
        raise UnknownStudy(f"no file {path}", "chymist new NAME writes a study to start from")
    spec = importlib.util.spec_from_file_location(f"chymist_user_study_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise BadStudy(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise BadStudy(f"{path}, line {error.lineno}: {error.msg}", "mend the syntax") from error
    except BadStudy:
        raise
    except Exception as error:
        line = _line_in(path, error)
        raise BadStudy(f"{path}{line}: {type(error).__name__}: {error}", "mend the file") from error
    if not hasattr(module, "STUDY"):
        raise BadStudy(f"{path} binds no STUDY", "end the file with STUDY = Study(...)")
    return checked(module.STUDY, str(path))


def checked(candidate: Any, where: str) -> Study:
    """Return the candidate if it is a study.

    Raises:
        BadStudy: it is something else.
    """
    from chymist.study import Study

    if not isinstance(candidate, Study):
        raise BadStudy(f"{where}: STUDY is {type(candidate).__name__}", "make it a chymist.Study")
    return candidate


def story(study: Study, language: str = "en") -> str:
    """Return a study's story in Markdown, or an empty string if none has been written.

    It is `stories/<slug>.md` beside the file that defines the study's parameters, a translation
    `stories/<slug>.<language>.md`.
    """
    path = story_file(study, language)
    return path.read_text(encoding="utf-8") if path and path.is_file() else ""


def story_file(study: Study, language: str = "en") -> Path | None:
    """Return where a study's story belongs; None for a study that no file defines."""
    module = sys.modules.get(study.params.__module__)
    file = getattr(module, "__file__", None)
    name = f"{study.slug}.md" if language == "en" else f"{study.slug}.{language}.md"
    return Path(file).parent / "stories" / name if file else None


def accepting(path: Path) -> list[Entry]:
    """Return the studies that take a user's file of this kind."""
    return [taker for taker in entries() if path.suffix.lower() in taker.accepts]


def built_in() -> list[Entry]:
    """Import every built-in study and return its entry: what `index.json` should say."""
    import chymist.atlas

    found = []
    for info in pkgutil.walk_packages(chymist.atlas.__path__, "chymist.atlas."):
        study = getattr(importlib.import_module(info.name), "STUDY", None)
        if study is not None:
            found.append(entry(study, info.name))
    return sorted(found, key=lambda known: known.slug)


def entry(study: Study, module: str) -> Entry:
    """Return what the list shows of a study that this module binds."""
    return Entry(
        slug=study.slug,
        module=module,
        title=study.title,
        question=study.question,
        family=study.family,
        accepts=study.input.suffixes if study.input else (),
        answers=study.answers,
        cost=dict(study.cost),
    )


def index_text() -> str:
    """Return the text of `atlas/index.json` for the studies as they are."""
    records = [asdict(entry) for entry in built_in()]
    return json.dumps(records, indent=1, ensure_ascii=False) + "\n"


def _line_in(path: Path, error: Exception) -> str:
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename) == path:
            return f", line {frame.lineno}"
    return ""


if __name__ == "__main__":
    import chymist.atlas

    Path(chymist.atlas.__path__[0], "index.json").write_text(index_text(), encoding="utf-8")
