"""Computing a chunk: hand an experiment its cell and hold what it returns to the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import xarray as xr
from threadpoolctl import threadpool_limits

from chymist.bench import Bench, Watcher
from chymist.errors import BadStudy, did_you_mean
from chymist.lab.chunk import Chunk
from chymist.study import Experiment, Study

Progress = Callable[[str, int, int], None]


def compute(
    study: Study,
    chunk: Chunk,
    given: xr.Dataset | None,
    device: str,
    progress: Progress,
    note: Callable[[str], None] = lambda text: None,
    watcher: Watcher | None = None,
) -> xr.Dataset:
    """Return the measured data of a chunk, with the predictions beside them.

    `note` is told by which engine its networks were trained; a `watcher` may look on.

    Raises:
        BadStudy: the experiment or its prediction breaks the contract.
    """
    experiment = study.experiment(chunk.experiment)
    cell = chunk.cell(study.params)
    bench = Bench(
        study=study.slug,
        experiment=experiment.name,
        seeds=tuple(range(*chunk.seeds)),
        input=given,
        device=device,
        progress=progress,
        note=note,
        watcher=watcher,
    )
    data = experiment.run(cell, bench)
    _check(study, experiment, data)
    if experiment.prediction is not None:
        theory = experiment.prediction(cell, data)
        for name in theory.data_vars:
            if name not in data.data_vars:
                raise BadStudy(
                    f"experiment {experiment.name} predicts {name}, which it does not measure",
                    did_you_mean(str(name), map(str, data.data_vars)),
                )
            theory[name].attrs = {**data[name].attrs, **theory[name].attrs}
        data = data.merge(
            theory.rename({n: f"predicted_{n}" for n in theory.data_vars}), join="exact"
        )
    return data


@contextmanager
def pinned(threads: int) -> Iterator[None]:
    """Compute with so many threads in torch and in the linear algebra of NumPy and SciPy.

    The last bits of a sum can depend on how many threads share it, so a run is computed with one
    number of threads throughout, in whatever process.
    """
    # A library's threads can be limited once it is loaded; SciPy has its own linear algebra.
    import scipy.linalg  # noqa: F401

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)


def _check(study: Study, experiment: Experiment, data: object) -> None:
    if not isinstance(data, xr.Dataset) or ("seed" in data.dims) == experiment.exact:
        how = "without" if experiment.exact else "with"
        raise BadStudy(
            f"experiment {experiment.name} returned no xarray Dataset {how} dimension seed",
            "return the measured variables as one Dataset; only exact claims have no seeds",
        )
    for name, variable in data.data_vars.items():
        if name in study.params.model_fields:
            raise BadStudy(
                f"experiment {experiment.name}: variable {name} is called like a parameter",
                "give the variable another name",
            )
        if not {"long_name", "units"} <= set(variable.attrs):
            raise BadStudy(
                f"experiment {experiment.name}: variable {name} lacks long_name or units",
                'set variable.attrs = {"long_name": ..., "units": ...}',
            )
