"""The weights of a user's network: an NPZ archive of arrays that are called as PyTorch does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy import ndarray

from chymist.data.given_arrays import given_arrays
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
    arrays = given_arrays(path, LARGEST, SAVE)
    found: dict[str, ndarray[Any, Any]] = {}
    notes = []
    for key, array in arrays.items():
        name, dot, last = key.rpartition(".")
        if last != "weight" or not dot or array.ndim < 2:
            continue
        rows = _numbers(path, key, array).reshape(len(array), -1)
        bias = arrays.get(f"{name}.bias")
        if bias is not None and bias.shape == (len(rows),):
            rows = np.hstack([rows, _numbers(path, f"{name}.bias", bias)[:, None]])
        if len(rows) < FEWEST or rows.shape[1] < 2:
            notes.append(f"{name} of shape {array.shape} is left out")
            continue
        if len(rows) > MOST:
            notes.append(f"of the {len(rows)} neurons of {name} {MOST} are taken")
            rows = rows[np.linspace(0, len(rows) - 1, MOST).round().astype(int)]
        found[name] = rows
    if not found:
        held = ", ".join(list(arrays)[:6]) or "nothing"
        raise BadInput(f"{path.name} holds no layer NAME.weight of {FEWEST} neurons or more, but "
                       f"{held if len(held) <= 80 else held[:80] + '...'}", SAVE)  # fmt: skip
    made = xr.Dataset({"layers": ("layer", list(found))},
                      attrs={"name": path.stem, "notes": "; ".join(notes)})  # fmt: skip
    made["layers"].attrs = {"long_name": f"layers of {path.name}", "units": "1"}
    for i, (name, rows) in enumerate(found.items()):
        made[f"weight_{i}"] = ((f"neuron_{i}", f"input_{i}"), rows)
        made[f"weight_{i}"].attrs = {"long_name": f"weights of {name}", "units": "1"}
    return made


def _numbers(path: Path, key: str, array: ndarray[Any, Any]) -> ndarray[Any, Any]:
    if array.dtype.kind not in "fiu":
        raise BadInput(f"{path.name}: {key} does not hold real numbers", "give floats")
    values = array.astype(float)
    # Squares are taken.
    wrong = int((~(np.abs(values) < 1e100)).sum())
    if wrong:
        raise BadInput(f"{path.name}: {key} has {wrong} weights that are not finite",
                       "give weights from before the training diverged")  # fmt: skip
    return values
