"""`chymist export`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from chymist.errors import UsageError
from chymist.files import refusals, write_whole
from chymist.lab import Lab
from chymist.lab.layout import INPUT

if TYPE_CHECKING:
    import xarray as xr

FORMATS = ("svg", "png", "pdf")


def export_(
    run: str = "latest",
    /,
    *,
    csv: Annotated[bool, Parameter(negative="")] = False,
    netcdf: Annotated[bool, Parameter(negative="")] = False,
    figures: str = "",
    outputs: Annotated[bool, Parameter(negative="")] = False,
    output: Path | None = None,
    lab: Path | None = None,
) -> None:
    """Write a run's data and figures for other programs, and print each file's path.

    Parameters
    ----------
    run
        A run's id, a unique part of it, a study's slug (its newest run), or latest.
    csv
        Each measured variable as a table with one row a value.
    netcdf
        The measured data as netCDF-4 files.
    figures
        Formats for the figures: svg, png, pdf, separated by commas.
    outputs
        The files that the study makes of what it found, such as a lexicon.
    output
        Folder to write to; by default export-ID here.
    lab
        Folder of runs; else $CHYMIST_LAB, else ./chymist-lab.
    """
    formats = [f.strip() for f in figures.split(",") if f.strip()]
    for name in formats:
        if name not in FORMATS:
            raise UsageError(f"unknown figure format {name}", f"allowed: {', '.join(FORMATS)}")
    if not (csv or netcdf or formats or outputs):
        raise UsageError(
            "nothing to export", "give --csv, --netcdf, --outputs or --figures svg,png,pdf"
        )
    found = Lab(lab).open(run).require_sealed()
    writers = found.outputs if outputs else {}
    if outputs and not writers:
        slug = found.manifest["study"]["slug"]
        raise UsageError(f"{slug} makes no files of what it finds", "give --csv or --netcdf")
    folder = output or Path(f"export-{found.id}")
    with refusals(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if netcdf:
        from chymist.lab.store import write_dataset

        for branch in found.data.leaves:
            arm = "control" if branch.path.startswith("/control/") else "treatment"
            path = folder / f"{branch.name}.{arm}.nc"
            write_dataset(path, branch.to_dataset())
            print(path)
        if INPUT in found.manifest["files"]:
            _write(folder / INPUT, lambda to: shutil.copyfile(found.folder / INPUT, to))
    if csv:
        for branch in found.data.leaves:
            place = branch.path.strip("/").replace("/", "-")
            for variable, array in branch.to_dataset().data_vars.items():
                _write(folder / f"{place}-{variable}.csv", lambda to, a=array: _table(a, to))
    for name, write in writers.items():
        _write(folder / name, write)
    if formats:
        for name in found.specs:
            for kind in formats:
                content = found.drawing(name, kind)  # type: ignore[arg-type]
                _write(folder / f"{name}.{kind}", lambda to, c=content: to.write_bytes(c))


def _table(array: xr.DataArray, path: Path) -> None:
    name = str(array.name)
    array.reset_coords(drop=True).to_dataframe(name=name).reset_index().to_csv(path, index=False)


def _write(path: Path, write: Any) -> None:
    write_whole(path, write)
    print(path)
