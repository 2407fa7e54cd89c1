"""Data that studies share, and readers of what a user brings."""

from chymist.data.digits import digits8, one_hot, standardised
from chymist.data.images import (
    area_average,
    flat_spectrum,
    grey,
    load_image,
    picture,
    pictures,
    pixel_grid,
    power_law_noise,
    split_pixels,
    zone_plate,
)
from chymist.data.polynomials import chebyshev
from chymist.data.readers import picture_or_sound
from chymist.data.signals import signal
from chymist.data.sounds import flat_sound, sound, strong_octaves
from chymist.data.tables import table

__all__ = [
    "area_average",
    "chebyshev",
    "digits8",
    "flat_sound",
    "flat_spectrum",
    "grey",
    "load_image",
    "one_hot",
    "picture",
    "picture_or_sound",
    "pictures",
    "pixel_grid",
    "power_law_noise",
    "signal",
    "sound",
    "split_pixels",
    "standardised",
    "strong_octaves",
    "table",
    "zone_plate",
]
