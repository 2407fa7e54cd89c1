"""A user's dense network with the data that it was trained on: weights, and x and y beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy import ndarray

from chymist.data.given_arrays import given_arrays
from chymist.data.given_network import arrays_of
from chymist.data.made_arrays import numbers, two_of
from chymist.data.tables import SMALL, checked, pair
from chymist.errors import BadInput

LARGEST = 256 * 2**20
"""Most bytes of a file that is read."""
SAVE = (
    "write it by numpy.savez(path, x=x, y=y, "
    "**{n: w.numpy() for n, w in model.state_dict().items()})"
)
DENSE = "give the weights of dense layers alone, in their order"


def checkpoint(path: Path | str) -> xr.Dataset:
    """Read a dense network of one output, and the samples x and y that it was trained on.

    Layers are arrays NAME.weight (output, input) and NAME.bias, called as PyTorch does: in the
    order of the archive, or, of safetensors, which keep none, of their names, numbers by value. All
    layers have a bias, or none. What stands between them is not in a file. x and y are taken as
    they are.

    Returns:
        layers (layer), their names; of the i-th weight_i (output_i, input_i) and bias_i (output_i),
        if it has one; points (sample, feature) and targets (sample).

    Raises:
        BadInput: no such file, over 256 MiB, no archive of numbers; no x and y of 4 to 512 samples
            and one target; layers that do not follow one another, or are not dense; values that are
            not finite.
    """
    path = Path(path)
    arrays = given_arrays(path, LARGEST, SAVE)
    for name in ("x", "y"):
        if name not in arrays:
            raise BadInput(f"{path.name} has no array {name}", SAVE)
    return _checkpoint(path.name, arrays, arrays.pop("x"), arrays.pop("y"))


def made_checkpoint(made: Any) -> xr.Dataset:
    """Take (network, (x, y)) that a user's function returned as `checkpoint` does a file.

    A network is a PyTorch module, its state_dict, or arrays by name, in the order of the layers.

    Raises:
        BadInput: see `checkpoint`.
    """
    wanted = "(network, (x, y))"
    network, data = two_of(made, wanted)
    x, y = two_of(data, wanted)
    arrays = arrays_of("what it returns", network)
    return _checkpoint("what it returns", arrays, numbers("x", x), numbers("y", y))


def _checkpoint(name: str, arrays: Mapping[str, ndarray[Any, Any]], x: Any, y: Any) -> xr.Dataset:
    x, y = (numbers(n, v).astype(float) for n, v in (("x", x), ("y", y)))
    found, _ = checked(name, pair(name, x, y))
    rows, features = found.x.shape
    if rows > SMALL:
        raise BadInput(f"{name} has {rows} samples", f"allowed: at most {SMALL}; take fewer")
    if found.sizes["output"] > 1:
        raise BadInput(f"{name} has {found.sizes['output']} targets", "give one for each sample")
    layers = _layers(name, arrays)
    sizes = [features, *(len(weight) for weight, _ in layers.values())]
    for (layer, (weight, _)), size in zip(layers.items(), sizes, strict=False):
        if weight.shape[1] != size:
            raise BadInput(f"{name}: layer {layer} takes {weight.shape[1]} inputs and is given "
                           f"{size}", DENSE)  # fmt: skip
    if sizes[-1] != 1:
        raise BadInput(f"{name}: the last layer has {sizes[-1]} outputs", "allowed: one")
    made = xr.Dataset({
        "layers": ("layer", list(layers)), "points": found.x,
        "targets": found.y.isel(output=0, drop=True),
    }, attrs={"name": Path(name).stem})  # fmt: skip
    made["layers"].attrs = {"long_name": f"layers of {name}", "units": "1"}
    for i, (layer, (weight, bias)) in enumerate(layers.items()):
        made[f"weight_{i}"] = ((f"output_{i}", f"input_{i}"), weight)
        made[f"weight_{i}"].attrs = {"long_name": f"weights of {layer}", "units": "1"}
        if bias is not None:
            made[f"bias_{i}"] = (f"output_{i}", bias)
            made[f"bias_{i}"].attrs = {"long_name": f"biases of {layer}", "units": "1"}
    return made


def _layers(
    name: str, arrays: Mapping[str, ndarray[Any, Any]]
) -> dict[str, tuple[ndarray[Any, Any], ndarray[Any, Any] | None]]:
    weights = {n.rpartition(".")[0]: w for n, w in arrays.items()
               if n.endswith(".weight") and w.ndim == 2}  # fmt: skip
    layers = {n: (w, arrays.get(f"{n}.bias")) for n, w in weights.items()}
    known = {f"{n}.{part}" for n in layers for part in ("weight", "bias")}
    for key, array in arrays.items():
        if key not in known:
            raise BadInput(f"{name}: {key} of shape {array.shape} is of no dense layer", DENSE)
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise BadInput(f"{name}: {key} holds what is not a finite number",
                           "give weights from before the training diverged")  # fmt: skip
    if not layers:
        raise BadInput(f"{name} holds no layer NAME.weight", SAVE)
    for layer, (weight, bias) in layers.items():
        if bias is not None and bias.shape != (len(weight),):
            raise BadInput(f"{name}: {layer}.bias has the shape {bias.shape}",
                           f"allowed: ({len(weight)},)")  # fmt: skip
    if len({bias is None for _, bias in layers.values()}) > 1:
        raise BadInput(f"{name}: some layers have a bias and some have none",
                       "give all, zeros where there are none")  # fmt: skip
    return layers
