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
)
from chymist.data.signals import signal

__all__ = [
    "area_average",
    "flat_spectrum",
    "grey",
    "load_image",
    "picture",
    "pictures",
    "pixel_grid",
    "power_law_noise",
    "signal",
    "split_pixels",
]
