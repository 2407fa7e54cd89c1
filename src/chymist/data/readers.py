"""Reading a user's file by what its name says it is."""

from __future__ import annotations

from pathlib import Path

import xarray as xr

from chymist.data.given_arrays import array_names
from chymist.data.given_checkpoint import checkpoint
from chymist.data.images import picture
from chymist.data.sounds import sound
from chymist.data.tables import one_target


def picture_or_sound(path: Path) -> xr.Dataset:
    """Read a WAV file as `sound`, whatever else as `picture`.

    Raises:
        BadInput: it cannot be read as that; see `data.sound` and `data.load_image`.
    """
    return sound(path) if path.suffix.lower() in (".wav", ".wave") else picture(path)


def table_or_checkpoint(path: Path) -> xr.Dataset:
    """Read an archive that has weights, and safetensors, as `checkpoint`, else `one_target`.

    Raises:
        BadInput: it cannot be read as that.
    """
    suffix = path.suffix.lower()
    weights = suffix == ".npz" and any(n.endswith(".weight") for n in array_names(path))
    return checkpoint(path) if weights or suffix == ".safetensors" else one_target(path)
