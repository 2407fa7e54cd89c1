"""Data that studies share, and readers of what a user brings."""

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
from chymist.data.readers import picture_or_sound
from chymist.data.recall import associative_recall, one_hot
from chymist.data.signals import signal
from chymist.data.sounds import flat_sound, sound, strong_octaves

__all__ = [
    "area_average",
    "associative_recall",
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
    "strong_octaves",
    "zone_plate",
]
