"""The weights of a user's network: arrays that are called as PyTorch does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy import ndarray

from chymist.data.given_arrays import given_arrays
from chymist.data.made_arrays import numbers
from chymist.errors import BadInput

LARGEST = 256 * 2**20
"""Most bytes of a file that is read."""
FEWEST, MOST = 4, 2048
"""Neurons of a layer: one of fewer is left out, of one of more so many are taken."""
SAVE = "write it by numpy.savez(path, **{n: w.numpy() for n, w in model.state_dict().items()})"


def network_weights(path: Path | str) -> xr.Dataset:
    """Read the input weights of each layer's neurons.

    A layer is an array NAME.weight of two dimensions or more, outputs first; of a convolution a
    neuron is a channel. NAME.bias, if there is one, is its last column. Layers of fewer than 4
    neurons or 2 inputs are left out; of a layer of more than 2048, so many are taken, evenly
    spaced: `notes` says which.

    Returns:
        layers (layer), their names, and for the i-th weight_i (neuron_i, input_i), in float64.

    Raises:
        BadInput: no such file, over 256 MiB, no archive of numbers, no such layer, or a weight that
            is not finite.
    """
    path = Path(path)
    return _network(path.name, given_arrays(path, LARGEST, SAVE))


def network_pair(files: Sequence[Path]) -> xr.Dataset:
    """Read a network before a training and after it, of two files in the order of their names.

    Returns:
        See `network_weights`: the network after, with the layers that both have. Beside it before
        (layer), their names again, and the weights before_i (neuron_i, input_i).

    Raises:
        BadInput: see `network_weights`; not two files, no layer in both, or one of another shape.
    """
    if len(files) != 2:
        raise BadInput(f"the folder holds {len(files)} networks",
                       "give two: by name, the first is before and the second after")  # fmt: skip
    return _paired(*((f.name, given_arrays(f, LARGEST, SAVE)) for f in files))


def made_network(made: Any) -> xr.Dataset:
    """Take the network that a user's function returned, or two: before and after a training.

    A network is a PyTorch module, its state_dict, or arrays by name.

    Raises:
        BadInput: see `network_weights` and `network_pair`; it is no network.
    """
    if isinstance(made, tuple | list) and len(made) == 2:
        first, second = made
        return _paired(("before", arrays_of("the first", first)),
                       ("after", arrays_of("the second", second)))  # fmt: skip
    return _network("what it returns", arrays_of("what the function returns", made))


def arrays_of(what: str, made: Any) -> dict[str, ndarray[Any, Any]]:
    """Return the arrays by name of a PyTorch module, its state_dict, or another mapping.

    Raises:
        BadInput: it is none of them, or holds what is no array of numbers; `what` names it.
    """
    held = made.state_dict() if callable(getattr(made, "state_dict", None)) else made
    if not isinstance(held, Mapping):
        raise BadInput(f"{what} is no network but a {type(made).__name__}",
                       "return a module, its state_dict, or arrays by name")  # fmt: skip
    # What is not of a layer, such as a counter, may be a single number.
    return {str(n): numbers(f"{what}: {n}", w) for n, w in held.items()
            if getattr(w, "ndim", 1)}  # fmt: skip


def _paired(
    first: tuple[str, dict[str, ndarray[Any, Any]]],
    second: tuple[str, dict[str, ndarray[Any, Any]]],
) -> xr.Dataset:
    before, after = (_network(*one) for one in (first, second))
    names = [n for n in after.layers.values.tolist() if n in before.layers.values]
    if not names:
        raise BadInput(f"{first[0]} and {second[0]} have no layer in common",
                       "give one network before and after a training")  # fmt: skip
    pairs = {n: tuple(_layer(one, n) for one in (before, after)) for n in names}
    for name, (early, late) in pairs.items():
        if early.shape != late.shape:
            raise BadInput(f"layer {name} has the shape {early.shape} in {first[0]} and "
                           f"{late.shape} in {second[0]}",
                           "give one network before and after a training")  # fmt: skip
    made = _dataset({n: late for n, (_, late) in pairs.items()}, second[0], after.attrs["notes"])
    made["before"] = ("layer", names)
    made["before"].attrs = {"long_name": f"layers of {first[0]}", "units": "1"}
    for i, (name, (early, _)) in enumerate(pairs.items()):
        made[f"before_{i}"] = ((f"neuron_{i}", f"input_{i}"), early)
        made[f"before_{i}"].attrs = {"long_name": f"weights of {name} before", "units": "1"}
    return made


def _layer(network: xr.Dataset, name: str) -> ndarray[Any, Any]:
    place = network.layers.values.tolist().index(name)
    rows: ndarray[Any, Any] = network[f"weight_{place}"].values
    return rows


def _network(name: str, arrays: Mapping[str, ndarray[Any, Any]]) -> xr.Dataset:
    found: dict[str, ndarray[Any, Any]] = {}
    notes = []
    for key, array in arrays.items():
        layer, dot, last = key.rpartition(".")
        if last != "weight" or not dot or array.ndim < 2:
            continue
        rows = _finite(name, key, array).reshape(len(array), -1)
        bias = arrays.get(f"{layer}.bias")
        if bias is not None and bias.shape == (len(rows),):
            rows = np.hstack([rows, _finite(name, f"{layer}.bias", bias)[:, None]])
        if len(rows) < FEWEST or rows.shape[1] < 2:
            notes.append(f"{layer} of shape {array.shape} is left out")
            continue
        if len(rows) > MOST:
            notes.append(f"of the {len(rows)} neurons of {layer} {MOST} are taken")
            rows = rows[np.linspace(0, len(rows) - 1, MOST).round().astype(int)]
        found[layer] = rows
    if not found:
        held = ", ".join(list(arrays)[:6]) or "nothing"
        raise BadInput(f"{name} holds no layer NAME.weight of {FEWEST} neurons or more, but "
                       f"{held if len(held) <= 80 else held[:80] + '...'}", SAVE)  # fmt: skip
    return _dataset(found, name, "; ".join(notes))


def _dataset(found: Mapping[str, ndarray[Any, Any]], name: str, notes: str) -> xr.Dataset:
    made = xr.Dataset({"layers": ("layer", list(found))},
                      attrs={"name": Path(name).stem, "notes": notes})  # fmt: skip
    made["layers"].attrs = {"long_name": f"layers of {name}", "units": "1"}
    for i, (layer, rows) in enumerate(found.items()):
        made[f"weight_{i}"] = ((f"neuron_{i}", f"input_{i}"), rows)
        made[f"weight_{i}"].attrs = {"long_name": f"weights of {layer}", "units": "1"}
    return made


def _finite(name: str, key: str, array: ndarray[Any, Any]) -> ndarray[Any, Any]:
    if array.dtype.kind not in "fiu":
        raise BadInput(f"{name}: {key} does not hold real numbers", "give floats")
    values = array.astype(float)
    # Squares are taken.
    wrong = int((~(np.abs(values) < 1e100)).sum())
    if wrong:
        raise BadInput(f"{name}: {key} has {wrong} weights that are not finite",
                       "give weights from before the training diverged")  # fmt: skip
    return values
