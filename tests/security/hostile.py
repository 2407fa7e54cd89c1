"""Run folders as an attacker would make them: every digest agrees, the content does not.

Each generator takes a copy of a sound run and changes it; `HARMS` names them all.
"""

from __future__ import annotations

import ctypes
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
from run_folders import manifest_of, reseal

CHUNK = "chunks/0000.means.treatment.nc"
SCRIPT = "<script>alert('hellebore')</script><img src=x onerror=alert('hellebore')>"
SECRET = "a text that no run holds"
Harm = Callable[[Path, Path], None]
HARMS: dict[str, Harm] = {}


class Struck:
    """Unpickled, this would write a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch hellebore",)


def harm(function: Harm) -> Harm:
    HARMS[function.__name__] = function
    return function


def with_file(name: str, content: bytes) -> Harm:
    def change(run: Path, outside: Path) -> None:
        (run / name).write_bytes(content)
        reseal(run)

    return change


for _name in ("verdicts.json", "figures/means.json", CHUNK):
    HARMS[f"pickle as {_name}"] = with_file(_name, pickle.dumps(Struck()))


@harm
def pickle_as_manifest(run: Path, outside: Path) -> None:
    (run / "run.json").write_bytes(pickle.dumps(Struck()))


def with_manifest(change: Callable[[dict[str, Any]], None]) -> Harm:
    def apply(run: Path, outside: Path) -> None:
        manifest = manifest_of(run)
        change(manifest)
        reseal(run, manifest)

    return apply


def setter(path: str, value: Any) -> Harm:
    *way, last = path.split(".")

    def change(manifest: dict[str, Any]) -> None:
        for step in way:
            manifest = manifest[int(step) if step.isdigit() else step]  # type: ignore[call-overload]
        manifest[last] = value

    return with_manifest(change)


OUTSIDE = ("../secret", "/etc/hostname", "chunks/../../../secret", "a\\b", "", ".", "..", "chunks",
           "run.json", "chunks/x.nc", "CON\x00", "figures/../verdicts.json")  # fmt: skip
for _name in OUTSIDE:
    HARMS[f"file {_name!r}"] = with_manifest(
        lambda m, name=_name: m["files"].update({name: "0" * 64})  # type: ignore[misc]
    )
for _path, _value in {
    "seconds": float("nan"),
    "started": 5,
    "verdict": "splendid",
    "study": [],
    "study.slug": "../../x",
    "study.title": None,
    "study.experiments": {},
    "study.references": [{"title": "x"}],
    "parameters": 7,
    "versions": {},
    "command": "chymist run x; touch hellebore",
    "machine.cores": 10**400,
    "diverged": {"means, treatment": -1},
    "files": [],
    "format": True,
    "threads": "two",
    "input": {"name": 3},
}.items():
    HARMS[f"{_path} = {_value!r:.30}"] = setter(_path, _value)
HARMS["a parameter of a thousand digits"] = setter("parameters", {"centre": 10**1000})
HARMS["a title that commands the terminal"] = setter("study.title", "\x1b]0;hellebore\x07\x1b[2J")
HARMS["a slug that commands the terminal"] = setter("study.slug", "tiny\x1b[2J")


def deep(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


for _name in ("verdicts.json", "figures/means.json"):
    HARMS[f"deep {_name}"] = with_file(_name, deep(100_000).encode())
    HARMS[f"long number in {_name}"] = with_file(_name, b'{"a": ' + b"9" * 100_000 + b"}")
    HARMS[f"no object in {_name}"] = with_file(_name, b"[1, 2]")
    HARMS[f"no text in {_name}"] = with_file(_name, b"\xff\xfe\x00")
    HARMS[f"large {_name}"] = with_file(_name, b'{"a": "' + b"x" * 40_000_000 + b'"}')


@harm
def deep_manifest(run: Path, outside: Path) -> None:
    (run / "run.json").write_text(deep(100_000))


@harm
def large_manifest(run: Path, outside: Path) -> None:
    manifest = manifest_of(run)
    reseal(run, {**manifest, "note": "x" * 5_000_000})


def with_outcome(change: Callable[[dict[str, Any]], None]) -> Harm:
    def apply(run: Path, outside: Path) -> None:
        outcome = json.loads((run / "verdicts.json").read_text())
        change(outcome)
        (run / "verdicts.json").write_text(json.dumps(outcome))
        reseal(run)

    return apply


HARMS["verdicts without experiments"] = with_outcome(lambda o: o.pop("experiments"))
HARMS["a status of its own"] = with_outcome(lambda o: o.update(status=SCRIPT))
HARMS["a claim with more fields"] = with_outcome(
    lambda o: o["experiments"]["means"]["claims"][0].update(surprise=1)
)
HARMS["values that are text"] = with_outcome(
    lambda o: o["experiments"]["means"]["claims"][0]["rows"][0].update(values=["a"])
)
HARMS["an endless interval"] = with_outcome(
    lambda o: o["experiments"]["means"]["claims"][0]["rows"][0].update(
        interval={"estimate": 1e308, "low": -1e308, "high": 1e308, "level": 2.0}
    )
)


@harm
def link_to_a_file(run: Path, outside: Path) -> None:
    (run / "log.jsonl").unlink()
    (run / "log.jsonl").symlink_to(outside / "secret.txt")


@harm
def link_as_manifest(run: Path, outside: Path) -> None:
    (run / "run.json").rename(outside / "run.json")
    (run / "run.json").symlink_to(outside / "run.json")


@harm
def link_to_a_folder(run: Path, outside: Path) -> None:
    (run / "chunks").rename(outside / "chunks")
    (run / "chunks").symlink_to(outside / "chunks")


@harm
def pipe_as_manifest(run: Path, outside: Path) -> None:
    (run / "run.json").unlink()
    os.mkfifo(run / "run.json")


@harm
def pipe_as_chunk(run: Path, outside: Path) -> None:
    (run / CHUNK).unlink()
    os.mkfifo(run / CHUNK)


@harm
def folder_as_chunk(run: Path, outside: Path) -> None:
    (run / CHUNK).unlink()
    (run / CHUNK).mkdir()


@harm
def terabyte_of_holes(run: Path, outside: Path) -> None:
    os.truncate(run / CHUNK, 2**40)


# --- netCDF: the data are only read when they are asked for.


def netcdf(write: Callable[[netCDF4.Dataset], None]) -> Harm:
    def apply(run: Path, outside: Path) -> None:
        (run / CHUNK).unlink()
        with netCDF4.Dataset(run / CHUNK, "w") as data:
            data.createDimension("seed", 8)
            write(data)
        reseal(run)

    return apply


def vast(data: netCDF4.Dataset) -> None:
    data.createDimension("vast", 1_000_000_000)
    variable = data.createVariable("mean", "f8", ("vast",), zlib=True, chunksizes=(1_000_000,))
    variable[:1_000_000] = 1.0


def vaster(data: netCDF4.Dataset) -> None:
    for name in "abc":
        data.createDimension(name, 1_000_000)
    data.createVariable("mean", "f8", ("a", "b", "c"), zlib=True, chunksizes=(100, 100, 100))


def ragged(data: netCDF4.Dataset) -> None:
    kind = data.createVLType(np.float64, "ragged")
    variable = data.createVariable("mean", kind, ("seed",))
    variable[0] = np.arange(5.0)


def record(data: netCDF4.Dataset) -> None:
    kind = data.createCompoundType(np.dtype([("a", "f8"), ("b", "i4")]), "record")
    data.createVariable("mean", kind, ("seed",))


def texts(data: netCDF4.Dataset) -> None:
    data.createDimension("many", 1_000_000)
    variable = data.createVariable("mean", str, ("many",))
    variable[0] = "x" * 40_000_000


def nested(data: netCDF4.Dataset) -> None:
    group = data
    for _ in range(50):
        group = group.createGroup("g")


def odd_time(data: netCDF4.Dataset) -> None:
    variable = data.createVariable("mean", "f8", ("seed",))
    variable[:] = 1e300
    variable.units = "days since 0000-99-99"


NETCDF = {
    "vast": netcdf(vast),
    "vaster": netcdf(vaster),
    "ragged": netcdf(ragged),
    "record": netcdf(record),
    "texts": netcdf(texts),
    "nested": netcdf(nested),
    "odd time": netcdf(odd_time),
    "a name that is none": netcdf(lambda d: d.createVariable("a:*b", "f8", ("seed",))),
    "pickle": with_file(CHUNK, pickle.dumps(Struck())),
    "only a signature": with_file(CHUNK, b"\x89HDF\r\n\x1a\n" + b"\xff" * 4000),
    "classic with a vast shape": with_file(CHUNK, b"CDF\x01" + b"\x7f\xff\xff\xff" * 20),
}


class Hdf5:
    """What netCDF4 cannot write: HDF5 through the library that netCDF4 brings."""

    def __init__(self, path: Path) -> None:
        # netCDF4's wheel keeps it beside the package; once loaded, symbols are found by file.
        folder = Path(netCDF4.__file__).parents[1] / "netcdf4.libs"
        found = sorted(folder.glob("libhdf5-*.so*"))
        if not found:
            import pytest

            pytest.skip("netCDF4 brings no HDF5 library of its own")
        self.library = ctypes.CDLL(str(found[0]))
        self("H5open")
        self.file = self("H5Fopen", str(path), 1, ctypes.c_int64(0))

    def __call__(self, name: str, *given: Any) -> int:
        function = getattr(self.library, name)
        status = name.startswith(("H5L", "H5Pset")) or name == "H5open" or name.endswith("close")
        function.restype = ctypes.c_int if status else ctypes.c_int64
        words = [g.encode() if isinstance(g, str) else g for g in given]
        words = [ctypes.c_int64(w) if isinstance(w, int) else w for w in words]
        result: int = function(*words)
        return result

    def constant(self, name: str) -> int:
        return ctypes.c_int64.in_dll(self.library, name).value

    def dataset(self, name: str, kind: str, size: int, plan: int) -> None:
        space = self("H5Screate_simple", 1, (ctypes.c_uint64 * 1)(size), None)
        made = self("H5Dcreate2", self.file, name, self.constant(kind), space, 0, plan, 0)
        assert made > 0
        self("H5Dclose", made)

    def plan(self) -> int:
        return self("H5Pcreate", self.constant("H5P_CLS_DATASET_CREATE_ID_g"))

    def close(self) -> None:
        assert self("H5Fclose", self.file) >= 0


def hdf5(change: Callable[[Hdf5, Path], None]) -> Harm:
    def apply(run: Path, outside: Path) -> None:
        netcdf(lambda d: d.createVariable("mean", "f8", ("seed",)))(run, outside)
        file = Hdf5(run / CHUNK)
        change(file, outside)
        file.close()
        reseal(run)

    return apply


def external_storage(file: Hdf5, outside: Path) -> None:
    plan = file.plan()
    size = len(SECRET)
    assert file("H5Pset_external", plan, str(outside / "secret.txt"), 0, size) >= 0
    file.dataset("stolen", "H5T_STD_U8LE_g", size, plan)


def external_link(file: Hdf5, outside: Path) -> None:
    made = file(
        "H5Lcreate_external", str(outside / "secret.nc"), "/secret", file.file, "stolen", 0, 0
    )
    assert made >= 0


def virtual(file: Hdf5, outside: Path) -> None:
    plan = file.plan()
    space = file("H5Screate_simple", 1, (ctypes.c_uint64 * 1)(5), None)
    made = file("H5Pset_virtual", plan, space, str(outside / "secret.nc"), "/secret", space)
    assert made >= 0
    file.dataset("stolen", "H5T_IEEE_F64LE_g", 5, plan)


def cycle(file: Hdf5, outside: Path) -> None:
    group = file("H5Gcreate2", file.file, "g", 0, 0, 0)
    assert file("H5Lcreate_hard", file.file, "/", group, "loop", 0, 0) >= 0
    assert file("H5Gclose", group) >= 0


HDF5 = {
    "external storage": hdf5(external_storage),
    "external link": hdf5(external_link),
    "virtual": hdf5(virtual),
    "cycle": hdf5(cycle),
}


UNREAD = {"pickle as log.jsonl": with_file("log.jsonl", pickle.dumps(Struck()))}
"""Nothing reads the log."""


# --- Figures: programs for a JavaScript engine.


def figure(**parts: Any) -> Harm:
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "data": {"values": [{"a": 1}]},
        "mark": "point",
        "encoding": {"x": {"field": "a", "type": "quantitative"}},
        **parts,
    }
    return with_file("figures/means.json", json.dumps(spec).encode())


FIGURES = {
    "a thousand million points": figure(data={"sequence": {"start": 0, "stop": 1e9}}),
    "an expression without end": figure(
        transform=[{"calculate": "length(sequence(0, 1e10))", "as": "b"}]
    ),
    "a picture of a square kilometre": figure(width=1e7, height=1e7),
    "data from a file": figure(data={"url": "file:///etc/passwd", "format": {"type": "csv"}}),
    "data from the network": figure(data={"url": "http://127.0.0.1:9/x.csv"}),
    "no specification": with_file("figures/means.json", b'{"mark": 5}'),
    "script in every text": figure(
        title=SCRIPT,
        data={"values": [{"a": SCRIPT}]},
        encoding={"x": {"field": "a", "type": "nominal", "title": SCRIPT}},
    ),
    "an image from elsewhere": figure(
        mark={"type": "image", "url": "http://127.0.0.1:9/x.png", "width": 9, "height": 9}
    ),
}


ENDLESS = list(FIGURES)[:3]
"""Each takes all the time that a drawing may take."""


def scripted(run: Path, outside: Path) -> None:
    """Put HTML, script, Markdown and markup into every text that may be anything."""
    link = "[click](javascript:alert('hellebore')) $\\href{javascript:hellebore}{x}$"
    words = f"{SCRIPT} {link} [/b]"
    manifest = manifest_of(run)
    study = manifest["study"]
    for name in ("title", "question", "family", "theory", "limits", "story"):
        study[name] = words
    for experiment in study["experiments"]:
        experiment["says"] = experiment["control"]["says"] = words
        experiment["control"]["change"] = {words: words}
        experiment["figures"][0]["caption"] = words
        experiment["claims"][0]["sentence"] = experiment["claims"][0]["digest"] = words
        experiment["claims"][0]["published"] = [
            {"value": 1e300, "setting": words, "source": source} for source in (words, "nameless")
        ]
    study["references"][0] |= {"authors": [words], "title": words, "venue": words, "key": words}
    study["references"].append(
        {
            "key": "nameless",
            "authors": [" "],
            "title": "",
            "venue": "",
            "year": 1,
            "arxiv": "",
            "doi": "",
        }
    )
    manifest["parameters"] = {words: words, "centre": [words]}
    manifest["sweep"] = {words: [words]}
    manifest["parameter_help"] = {words: {"description": words, "range": words, "default": words}}
    manifest["input"] = {"name": words, "sha256": words, "says": words}
    for name in ("preset", "started", "finished", "status", "device"):
        manifest[name] = words
    manifest["machine"] = {"system": words, "processor": words, "cores": 2, "python": words}
    manifest["versions"] = {"chymist": words, words: words}
    manifest["source"] = {"module": words, "sha256": words}
    manifest["diverged"] = {words: 3, f"means, {words}": 1}
    outcome = json.loads((run / "verdicts.json").read_text())
    for experiment in outcome["experiments"].values():
        for verdict in [*experiment["claims"], *(c["verdict"] for c in experiment["control"])]:
            for name in ("sentence", "region", "statistic", "centre", "note"):
                verdict[name] = words
            verdict["rows"][0]["where"] = {words: words}
    (run / "verdicts.json").write_text(json.dumps(outcome))
    reseal(run, manifest)
