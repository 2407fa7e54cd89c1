"""Reading the user's graph: an edge list, or GraphML, GEXF or GML.

Of XML only elements, attributes and text are read; a file that declares a document type, and with
it entities, is refused before anything of it is expanded.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from chymist.data.given_text import given_text
from chymist.errors import BadInput

GRAPH_FILES = (".csv", ".tsv", ".edges", ".graphml", ".gexf", ".gml")
LARGEST = 64 * 2**20
"""Most bytes of a file that is read."""
MOST = 200_000
"""Most edges, and most nodes."""
WIDEST = 2**24
"""Most pairs of neighbours of the two ends of an edge."""
DEEPEST = 64
"""Most elements or lists inside one another."""
LONGEST = 200
"""Most characters of a name."""
LENGTHS = ("length", "distance")
SIMILARITIES = ("similarity",)
LABELS = ("community", "club", "group", "label", "value", "class", "modularity_class")
"""Attributes that say which group a node is in; `label` and `value` only where they repeat."""


@dataclass
class _Found:
    """What a file says: edges (line, ends, numbers by name), and attributes of nodes."""

    edges: list[tuple[int, str, str, dict[str, str]]] = field(default_factory=list)
    nodes: dict[str, dict[str, str]] = field(default_factory=dict)
    directed: bool = False


def graph(path: Path | str) -> xr.Dataset:
    """Read a graph: `ends` [edge, end], `length` [edge], `name` [node], `community` [node].

    An edge list has a row `source, target` for each edge, and a third column named `length` or
    `similarity` by its header, or none; separated by commas, semicolons, tabs or blanks, lines that
    begin with # or % left out. GraphML, GEXF and GML may have the same attributes of edges. A
    similarity s > 0 becomes the length 1 / s; a column `weight` is refused, as it might mean
    either. Lengths are scaled to a mean of 1. Directions are dropped, loops left out, edges given
    several times merged to the shortest: `notes` says how many. Nodes without edges are left out.
    `community` is there where all nodes have an attribute of `LABELS` with fewer values than half
    the nodes.

    Raises:
        BadInput: no such file, over 64 MiB or 200,000 edges, not UTF-8, not of its format, a
            document type, a weight that is neither length nor similarity, a length that is not
            positive, fewer than 3 edges, or an edge whose ends have over 2^24 pairs of neighbours.
    """
    path = Path(path)
    text = _text(path)
    suffix = path.suffix.lower()
    if suffix == ".gml":
        found = _gml(path, text)
    elif suffix in (".graphml", ".gexf"):
        found = _xml(path, text, "graphml" if suffix == ".graphml" else "gexf")
    else:
        found = _rows(path, text)
    return _dataset(path, found)


def _text(path: Path) -> str:
    text = given_text(path, LARGEST, "take a part of the graph", "save it in UTF-8")
    if not text.strip():
        raise BadInput(f"{path.name} is empty", "give an edge list: a row source,target for each")
    return text


# ---- formats -------------------------------------------------------------------------------------


def _rows(path: Path, text: str) -> _Found:
    found = _Found()
    names: list[str] | None = None
    mark: str | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip()[0] in "#%":
            continue
        if names is None:
            mark = next((m for m in ("\t", ";", ",") if m in line), None)
        cells = [cell.strip().strip('"') for cell in line.split(mark)]
        if names is None:
            lower = [cell.lower() for cell in cells]
            header = lower[:2] in (["source", "target"], ["from", "to"], ["u", "v"])
            names = lower[2:] if header else [""] * (len(cells) - 2)
            if len(cells) not in (2, 3):
                raise BadInput(
                    f"{path.name}, row {number} has {len(cells)} columns",
                    "each row needs source and target, and may have a length",
                )
            if names and names[0] not in (*LENGTHS, *SIMILARITIES):
                raise _unnamed(path, names[0] or "without a name")
            if header:
                continue
        if len(cells) != len(names) + 2 or not all(cells):
            raise BadInput(f"{path.name}, row {number} is not {len(names) + 2} columns",
                           "each row needs the same")  # fmt: skip
        _add(path, found, number, cells[0], cells[1], dict(zip(names, cells[2:], strict=True)))
    return found


def _xml(path: Path, text: str, root: str) -> _Found:
    from xml.parsers import expat

    found = _Found()
    keys: dict[str, str] = {}
    stack: list[str] = []
    opened: dict[str, Any] = {}
    # Whatever encoding the file declares: it has been read as UTF-8.
    parser = expat.ParserCreate("utf-8", " ")
    parser.buffer_text = True

    def refuse(*_: Any) -> None:
        raise BadInput(f"{path.name}, line {parser.CurrentLineNumber} declares a document type",
                       "remove the line <!DOCTYPE ...>: entities are not read")  # fmt: skip

    def start(tag: str, given: dict[str, str]) -> None:
        name = tag.rpartition(" ")[2]
        if not stack and name != root:
            raise BadInput(f"{path.name} is not {root}: it begins with <{name[:40]}>",
                           f"export it as {root}, or as an edge list")  # fmt: skip
        if len(stack) >= DEEPEST:
            raise BadInput(f"{path.name}: over {DEEPEST} elements inside one another",
                           "give a plain graph")  # fmt: skip
        stack.append(name)
        if name == "graph":
            kind = given.get("edgedefault") or given.get("defaultedgetype") or ""
            found.directed |= kind == "directed"
        elif name in ("key", "attribute") and "id" in given:
            keys[given["id"]] = given.get("attr.name", given.get("title", given["id"])).lower()
        elif name == "node" and "id" in given:
            opened.update(node=_name(path, given["id"]), edge=None)
            _limit(path, len(found.nodes))
            own = found.nodes.setdefault(opened["node"], {})
            own.update({k: v for k, v in given.items() if k == "label"})
        elif name == "edge":
            ends = given.get("source"), given.get("target")
            if None in ends:
                raise BadInput(f"{path.name}, line {parser.CurrentLineNumber}: an edge without "
                               "source or target", "export it again")  # fmt: skip
            extra = {"weight": given["weight"]} if "weight" in given else {}
            _add(path, found, parser.CurrentLineNumber, str(ends[0]), str(ends[1]), extra)
            opened.update(edge=extra)
        elif name == "data":
            opened.update(key=keys.get(given.get("key", ""), given.get("key", "")), text=[])
        elif name == "attvalue":
            key = given.get("for", given.get("id", ""))
            keep(keys.get(key, key), given.get("value", ""))

    def keep(key: str, value: str) -> None:
        if opened.get("edge") is not None:
            opened["edge"][key] = value
        elif opened.get("node") is not None:
            found.nodes[opened["node"]][key] = value

    def end(tag: str) -> None:
        name = stack.pop()
        if name == "data" and opened.get("text") is not None:
            keep(opened["key"], "".join(opened["text"]).strip())
            opened.update(text=None)
        elif name in ("node", "edge"):
            opened.update({name: None})

    def characters(data: str) -> None:
        if opened.get("text") is not None:
            opened["text"].append(data)

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = characters
    try:
        parser.Parse(text.encode(), True)
    except expat.ExpatError as error:
        raise BadInput(f"{path.name}, line {error.lineno}: {expat.ErrorString(error.code)}",
                       f"export it as {root} again") from None  # fmt: skip
    return found


_TOKEN = re.compile(r'\s*(?:#[^\n]*\n\s*)*("[^"]*"|\[|\]|[^\s\[\]"]+)')


def _gml(path: Path, text: str) -> _Found:
    found = _Found()
    stack: list[tuple[str, dict[str, str], int]] = []
    key: str | None = None
    for match in _TOKEN.finditer(text):
        token = match.group(1)
        if token == "[":  # noqa: S105  a bracket
            if key is None or len(stack) >= DEEPEST:
                raise _not_gml(path, text, match.start(1))
            stack.append((key, {}, match.start(1)))
            key = None
        elif token == "]":  # noqa: S105
            if not stack or key is not None:
                raise _not_gml(path, text, match.start(1))
            kind, own, place = stack.pop()
            if kind == "node" and "id" in own:
                _limit(path, len(found.nodes))
                found.nodes[_name(path, own.pop("id"))] = own
            elif kind == "edge":
                line = text.count("\n", 0, place) + 1 if len(found.edges) < 1000 else 0
                if "source" not in own or "target" not in own:
                    raise BadInput(f"{path.name}, line {line}: an edge without source or target",
                                   "export it again")  # fmt: skip
                _add(path, found, line, own.pop("source"), own.pop("target"), own)
        elif key is None:
            key = token.lower()
        else:
            if stack:
                stack[-1][1][key] = token.strip('"')
                if key == "directed" and token == "1":  # noqa: S105
                    found.directed = True
            key = None
    if stack or not found.edges:
        raise _not_gml(path, text, len(text))
    return found


# ---- what they have in common --------------------------------------------------------------------


def _add(
    path: Path, found: _Found, line: int, source: str, target: str, extra: dict[str, str]
) -> None:
    _limit(path, len(found.edges))
    found.edges.append((line, _name(path, source), _name(path, target), extra))


def _limit(path: Path, number: int) -> None:
    if number >= MOST:
        raise BadInput(f"{path.name} has more than {MOST} edges or nodes",
                       "take a part of the graph")  # fmt: skip


def _name(path: Path, text: str) -> str:
    if re.fullmatch(r"[+-]?\d*\.\d*([eE][+-]?\d+)?|[+-]?\d+[eE][+-]?\d+", text):
        raise BadInput(f"{path.name}: {text[:20]} is a measured number, not a node's name",
                       "allowed: words and whole numbers")  # fmt: skip
    if not 0 < len(text) <= LONGEST or not text.isprintable():
        raise BadInput(f"{path.name}: {text[:20]!r}... cannot be a node's name",
                       f"allowed: 1 to {LONGEST} printable characters")  # fmt: skip
    return text


def _dataset(path: Path, found: _Found) -> xr.Dataset:
    place: dict[str, int] = {}
    shortest: dict[tuple[int, int], float] = {}
    loops = 0
    for line, source, target, extra in found.edges:
        far = _length(path, line, extra)
        if source == target:
            loops += 1
            continue
        a, b = (place.setdefault(n, len(place)) for n in (source, target))
        pair = (min(a, b), max(a, b))
        shortest[pair] = min(far, shortest.get(pair, math.inf))
    if len(shortest) < 3:
        raise BadInput(f"{path.name} has {len(shortest)} edges", "at least 3 are needed")
    ends = np.array(list(shortest), dtype=np.int64)
    _refuse_hubs(path, ends, list(place))
    length = np.array(list(shortest.values()))
    merged = len(found.edges) - loops - len(shortest)
    lone = len(set(found.nodes) - set(place))
    notes = [
        f"{count} {what}"
        for count, what in (
            (loops, "loops left out"), (merged, "edges merged, the shortest kept"),
            (lone, "nodes without edges left out"), (int(found.directed), "direction dropped"),
        )
        if count
    ]  # fmt: skip
    data = xr.Dataset(
        {
            "ends": (("edge", "end"), ends, {"long_name": "nodes that an edge joins"}),
            "length": ("edge", length / length.mean(), {"long_name": "length, mean 1"}),
            "name": ("node", np.array(list(place), dtype=str), {"long_name": "name"}),
        },
        attrs={"name": path.stem, "notes": "; ".join(notes)},
    )
    groups = _communities(found, list(place))
    if groups is not None:
        data["community"] = ("node", groups, {"long_name": "community, as the file says"})
    for variable in data.data_vars.values():
        variable.attrs["units"] = "1"
    return data


def _length(path: Path, line: int, extra: dict[str, str]) -> float:
    where = f"{path.name}, line {line}" if line else path.name
    for name in (*LENGTHS, *SIMILARITIES):
        if name not in extra:
            continue
        shown = extra[name][:40]
        try:
            value = float(extra[name])
        except ValueError:
            raise BadInput(f"{where}: {shown!r} is not a number", f"give a {name}") from None
        if not 1e-100 < value < 1e100:
            raise BadInput(f"{where}: {name} {shown} cannot be used",
                           "allowed: positive and finite")  # fmt: skip
        return 1 / value if name in SIMILARITIES else value
    if "weight" in extra:
        raise _unnamed(path, "weight")
    return 1.0


def _unnamed(path: Path, name: str) -> BadInput:
    shown = name if name.startswith("without") else repr(name[:40])
    return BadInput(f"{path.name}: a third column {shown} may mean a length or a similarity",
                    "name it length (long is far) or similarity (large is near)")  # fmt: skip


def _not_gml(path: Path, text: str, place: int) -> BadInput:
    line = text.count("\n", 0, place) + 1
    return BadInput(f"{path.name}, line {line} is not GML", "export it again, or as an edge list")


def _refuse_hubs(path: Path, ends: np.ndarray[Any, Any], names: list[str]) -> None:
    degree = np.bincount(ends.ravel())
    pairs = np.prod(degree[ends] + 1, axis=1)
    worst = int(pairs.argmax())
    if pairs[worst] > WIDEST:
        a, b = (names[i][:40] for i in ends[worst])
        raise BadInput(f"{path.name}: {a} and {b} have {pairs[worst]} pairs of neighbours",
                       f"at most {WIDEST}; leave the hubs out")  # fmt: skip


def _communities(found: _Found, names: list[str]) -> np.ndarray[Any, Any] | None:
    for label in LABELS:
        values = [found.nodes.get(name, {}).get(label, "") for name in names]
        different = sorted(set(values))
        if all(values) and 2 <= len(different) < max(3, len(names) / 2):
            return np.searchsorted(different, values).astype(np.int64)
    return None
