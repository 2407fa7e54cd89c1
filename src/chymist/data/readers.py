"""Reading a user's file by what its name says it is."""

from __future__ import annotations

from pathlib import Path

import xarray as xr

from chymist.data.images import picture
from chymist.data.sounds import sound


def picture_or_sound(path: Path) -> xr.Dataset:
    """Read a WAV file as `sound`, whatever else as `picture`.

    Raises:
        BadInput: it cannot be read as that; see `data.sound` and `data.load_image`.
    """
    return sound(path) if path.suffix.lower() in (".wav", ".wave") else picture(path)
