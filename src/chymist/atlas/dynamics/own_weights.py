"""The directions of the neurons of any network's layers: an experiment of `condensation`.

`p` is a cell of its parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr

from chymist import instruments, models
from chymist.atlas.dynamics import condensation_figures as draw
from chymist.bench import Bench, samples
from chymist.claims import Claim, between
from chymist.instruments import Neurons
from chymist.solvers import GradientDescent
from chymist.study import Control, Experiment, Figure, Output

INPUTS, NEURONS, STD, LR, STEPS = 10, 50, 1e-4, 0.1, 200
"""The network that stands in where no weights are given: small, of one tanh layer."""
LEAST = 0.02
"""Share of the largest amplitude, the size of the input weights, below which none counts."""
SHOWN = 48
"""Neurons whose cosines are kept, evenly spaced."""


def condensed_layers(p: Any, bench: Bench) -> xr.Dataset:
    """Count the directions of layers, yours or of a network trained here, and of random ones.

    With `own_random` the layers are random themselves.

    Returns:
        directions (of, layer, seed): of the layer, and of a layer of its shape with weights of
        N(0, 1); counting (layer, seed): neurons of 2 % of the largest amplitude and more. Of the
        first seed: group, -1 where a neuron does not count, and amplitude (layer, neuron), NaN
        beyond the layer's neurons; cosine (layer, row, column) of at most 48, in the order of their
        groups, and of the largest eigenvector within.
    """
    names, layers = _given(p, bench)
    counts, counting, first = [], [], []
    for seed in bench.seeds:
        for name in names:
            own = layers[name, seed]
            if p.own_random:
                own = drawn(bench, seed, f"itself, {name}", own.shape)
            found = grouped(own)
            chance = grouped(drawn(bench, seed, f"chance, {name}", own.shape))
            counts.append([int(found[1].count), int(chance[1].count)])
            counting.append(int(found[1].counted.sum()))
            if seed == bench.seeds[0]:
                first.append(found)
        bench.progress("layers", len(counting) // len(names), len(bench.seeds))
    shape = (len(bench.seeds), len(names))
    most = max(len(neurons.amplitudes) for neurons, _ in first)
    one = {"units": "1"}
    return xr.Dataset({
        "directions": (("seed", "layer", "of"), np.reshape(counts, (*shape, 2)),
                       one | {"long_name": "directions of neurons"}),
        "counting": (("seed", "layer"), np.reshape(counting, shape),
                     one | {"long_name": "neurons that count"}),
        "group": (("layer", "neuron"), [_padded(c.labels, most) for _, c in first],
                  one | {"long_name": "group of the neuron"}),
        "amplitude": (("layer", "neuron"), [_padded(n.amplitudes, most) for n, _ in first],
                      one | {"long_name": "size of the neuron's input weights"}),
        "cosine": (("layer", "row", "column"), [_ordered(*f) for f in first],
                   one | {"long_name": "cosine between neurons"}),
    }, {"seed": list(bench.seeds), "layer": names, "of": ["layer", "random"],
        "neuron": range(most), "row": range(SHOWN), "column": range(SHOWN)})  # fmt: skip


def _given(
    p: Any, bench: Bench
) -> tuple[list[str], dict[tuple[str, int], np.ndarray[Any, Any]]]:
    """Return the layers' names, and the weights of each for each seed."""
    if bench.input is None:
        _, rows = trained(bench)
        return ["inner"], {("inner", s): rows[i] for i, s in enumerate(bench.seeds)}
    if bench.input.attrs.get("notes"):
        bench.note(f"{bench.input.attrs['name']}: {bench.input.attrs['notes']}")
    names = bench.input.layers.values.tolist()
    weights = [bench.input[f"weight_{i}"].values for i in range(len(names))]
    return names, {(n, s): w for n, w in zip(names, weights, strict=True) for s in bench.seeds}


def trained(bench: Bench) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Train networks of small weights, a seed each, on one tanh neuron.

    Returns:
        Their input weights (seed, neuron, input), the bias last, before and after.
    """
    x = bench.draw("points", lambda key: samples(key.normal(size=(80, INPUTS))))
    taught: xr.DataArray = np.tanh(x.sum("feature"))  # type: ignore[assignment]
    y = taught.expand_dims("feature", -1)
    build = partial(models.TwoLayer, INPUTS, NEURONS, activation="tanh", alpha=1.0)
    start = partial(models.normal_start, std=STD)
    networks = bench.networks(build, start)
    end = bench.train(networks, GradientDescent(LR), x, y, steps=STEPS, record={},
                      label="a network of small weights").end  # fmt: skip
    return _rows(networks.parameters), _rows(end.parameters)


def _rows(parameters: Mapping[str, torch.Tensor]) -> np.ndarray[Any, Any]:
    both = [parameters["inner.weight"], parameters["inner.bias"][..., None]]
    rows: np.ndarray[Any, Any] = torch.cat(both, 2).double().numpy()
    return rows


def drawn(bench: Bench, seed: int, purpose: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Return a random layer: weights of N(0, 1)."""
    return bench.key(seed, purpose).numpy().normal(size=shape)


def grouped(rows: np.ndarray[Any, Any]) -> tuple[Neurons, instruments.Clusters]:
    """Return the neurons of a layer (neuron, input), and their groups of one direction."""
    size = np.linalg.norm(rows, axis=1)
    unit = rows / np.where(size == 0, 1, size)[:, None]
    found = Neurons(torch.as_tensor(unit), torch.as_tensor(size))
    return found, instruments.clusters(found, least=LEAST)


def _padded(values: torch.Tensor, most: int) -> np.ndarray[Any, Any]:
    padded = np.full(most, np.nan)
    padded[: len(values)] = values.numpy()
    return padded


def _ordered(found: Neurons, groups: instruments.Clusters) -> np.ndarray[Any, Any]:
    count = len(found.amplitudes)
    some = np.linspace(0, count - 1, min(count, SHOWN)).round().astype(int)
    cosines = found.directions.numpy()[some] @ found.directions.numpy()[some].T
    order = np.lexsort((np.linalg.eigh(cosines)[1][:, -1], groups.labels.numpy()[some]))
    padded = np.full((SHOWN, SHOWN), np.nan)
    padded[: len(some), : len(some)] = cosines[order][:, order]
    return padded


def share_of_random(run: xr.Dataset) -> xr.DataArray:
    """Directions of a layer's neurons over those of a random layer of its shape; each layer."""
    counts = run.directions
    return counts.sel(of="layer", drop=True) / counts.sel(of="random", drop=True)


def groups_table(p: Any, run: xr.Dataset, given: xr.Dataset | None) -> Iterator[str]:
    """Write each neuron's group and amplitude as CSV; -1 is no group."""
    yield "layer,neuron,group,amplitude\n"
    for layer in run.layer.values.tolist():
        one = run.sel(layer=layer)
        name = f'"{layer}"' if "," in layer else layer
        for neuron, (group, size) in enumerate(
            zip(one.group.values, one.amplitude.values, strict=True)
        ):
            if np.isfinite(size):
                yield f"{name},{neuron},{int(group)},{size:.6g}\n"


OWN = Experiment(
    "own-weights", "The directions of the neurons of a network's layers, yours or one that is "
    "trained here from small weights.", condensed_layers, claims=(
        Claim("condensed", "A layer's neurons point in at most half as many directions as those "
              "of a random layer of its shape.", share_of_random, between(0, 0.5)),
    ),
    figures=(
        Figure("similarity", "Cosines between neurons of each layer, of at most "
               f"{SHOWN}, in the order of their groups.", draw.similarity),
        Figure("layers", "Directions of each layer, and of a random one of its shape, by seed.",
               draw.layers),
    ),
    control=Control("Random layers have not condensed.", {"own_random": True}, ("condensed",)),
    reads="layers",
    outputs=(Output("groups.csv", "the group of every neuron", groups_table),),
)  # fmt: skip
