"""The directions of the neurons of a network's layers before a training and after it.

An experiment of `condensation`; `p` is a cell of its parameters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from chymist.atlas.dynamics import condensation_figures as draw
from chymist.atlas.dynamics.own_weights import drawn, grouped, trained
from chymist.bench import Bench
from chymist.claims import Claim, between
from chymist.study import Control, Experiment, Figure

WHEN = ("before", "after")


def changed_layers(p: Any, bench: Bench) -> xr.Dataset:
    """Count the directions of layers, yours or of a network trained here, before and after.

    With `own_random` the layers are random, both times.

    Returns:
        directions (of, layer, seed), before and after; moved (layer, seed), the distance that the
        weights went over their size before.
    """
    names, pairs = _given(bench)
    counts, moved = [], []
    for seed in bench.seeds:
        for name in names:
            before, after = pairs[name, seed]
            if p.own_random:
                before, after = (drawn(bench, seed, f"{when}, {name}", before.shape)
                                 for when in WHEN)  # fmt: skip
            counts.append([int(grouped(rows)[1].count) for rows in (before, after)])
            size = float(np.linalg.norm(before))
            moved.append(float(np.linalg.norm(after - before)) / max(size, 1e-300))
        bench.progress("layers before and after", len(counts) // len(names), len(bench.seeds))
    shape = (len(bench.seeds), len(names))
    one = {"units": "1"}
    return xr.Dataset({
        "directions": (("seed", "layer", "of"), np.reshape(counts, (*shape, 2)),
                       one | {"long_name": "directions of neurons"}),
        "moved": (("seed", "layer"), np.reshape(moved, shape),
                  one | {"long_name": "movement of the weights / their size"}),
    }, {"seed": list(bench.seeds), "layer": names, "of": list(WHEN)})  # fmt: skip


def _given(
    bench: Bench,
) -> tuple[list[str], dict[tuple[str, int], tuple[np.ndarray, np.ndarray]]]:
    """Return the layers' names, and the weights of each before and after, for each seed."""
    if bench.input is None:
        start, end = trained(bench)
        return ["inner"], {("inner", s): (start[i], end[i]) for i, s in enumerate(bench.seeds)}
    names = bench.input.before.values.tolist()
    pairs = [(bench.input[f"before_{i}"].values, bench.input[f"weight_{i}"].values)
             for i in range(len(names))]  # fmt: skip
    return names, {(n, s): w for n, w in zip(names, pairs, strict=True) for s in bench.seeds}


def share_left(run: xr.Dataset) -> xr.DataArray:
    """Directions of a layer's neurons after the training over those before it; each layer."""
    counts = run.directions
    return counts.sel(of="after", drop=True) / counts.sel(of="before", drop=True)


CHANGE = Experiment(
    "own-change", "The directions of the neurons of a network's layers before a training and after "
    "it: yours, or those of the network that is trained here.", changed_layers, claims=(
        Claim("fewer-directions", "Training takes a tenth or more of a layer's directions away.",
              share_left, between(0, 0.9)),
    ),
    figures=(Figure("before-and-after", "Directions of each layer before the training and after "
                    "it, by seed.", draw.layers),),
    control=Control("From one random layer to another none are lost.", {"own_random": True},
                    ("fewer-directions",)),
    reads="before",
)  # fmt: skip
