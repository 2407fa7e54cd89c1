"""Pictures: read from a file, taken from scikit-learn, or drawn with a chosen spectrum.

A picture is a square array (row, column, channel) of values in [0, 1], rows from the top, with the
channels red, green and blue, or grey alone. Values are sRGB-coded, not made linear in light; grey
is their luma (Rec. 601 weights), as for JPEG.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float, UInt
from numpy import ndarray

from chymist.errors import BadInput
from chymist.keys import Key

SMALLEST = 16
"""Fewest pixels on the shorter side of a picture that is read."""
LARGEST = 80_000_000
"""Most pixels of a picture that is read; more is refused before anything is decoded."""
KEPT = 512
"""Most pixels on a side that `picture` keeps."""
PHOTOGRAPHS = ("china", "flower")
"""Photographs that scikit-learn ships: a temple and a dahlia."""
KINDS = ("photographs", "zone-plate", "noise")
COLOURS = ("red", "green", "blue")
LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey, of Rec. 601."""


def load_image(path: Path | str, size: int | None = None) -> Float[ndarray, "size size channel"]:
    """Read a picture: turned as EXIF says, its central square, transparency on white.

    Any format that Pillow reads. The square is area-averaged to `size` pixels a side; without
    `size`, to at most 512. There are three channels, or one where red, green and blue are the same
    in every pixel of the file. CMYK is converted through the colour profile it carries.

    Raises:
        BadInput: no picture, cut short, animated, a side under 16 pixels, more than 80 million
            pixels, CMYK without a profile, or values without a stated range (floating point).
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    path = Path(path)
    try:
        with warnings.catch_warnings():
            # Pillow warns of size, for which there is a lower limit here, and of odd metadata.
            warnings.simplefilter("ignore")
            with Image.open(path) as opened:
                _refuse_unfit(path, opened)
                opened.load()
                values = _values(path, ImageOps.exif_transpose(opened))
    except Image.DecompressionBombError:
        raise _too_large(path) from None
    except UnidentifiedImageError:
        raise BadInput(
            f"{path.name} is not a picture", "give a PNG, JPEG or another raster image"
        ) from None
    except FileNotFoundError:
        raise BadInput(f"no file {path}", "check the path") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        # Pillow raises any of these on damaged data; what it says names the damage.
        raise BadInput(
            f"{path.name} cannot be read to its end: {error}",
            "the file is cut short or damaged; export it again",
        ) from None
    square = _central_square(values)
    side, white = size or min(len(square), KEPT), np.float32(np.iinfo(square.dtype).max)
    # Channel by channel: in floating point a large photograph needs four times its memory.
    planes = [area_average(square[..., c] / white, side) for c in range(square.shape[-1])]
    averaged: ndarray[Any, Any] = np.stack(planes, axis=-1).astype(float)
    return averaged.clip(0, 1)


def picture(path: Path) -> xr.Dataset:
    """Read a user's picture as the variable `picture` (row, column, channel); see `load_image`."""
    values = _named(load_image(path))
    values.attrs = {"long_name": f"values of {path.name}", "units": "1"}
    return xr.Dataset({"picture": values}, attrs={"name": path.stem})


def pictures(
    size: int, given: xr.Dataset | None = None, kind: str = "photographs", drawn_at: int = 0
) -> xr.DataArray:
    """Return what a user gave (`picture`), or pictures of a kind.

    Dimensions (image, row, column, channel). The kinds are scikit-learn's photographs, in colour; a
    zone plate; two of noise with amplitudes 1/|k|, the same in every call. Area-averaged to `size`,
    photographs from their central squares, the others from `drawn_at` pixels a side (by default
    `size`).

    Raises:
        ValueError: no such kind.
    """
    if given is not None:
        squares = {"yours": np.asarray(given["picture"], dtype=float)}
    elif kind == "photographs":
        squares = {name: _photograph(name) for name in PHOTOGRAPHS}
    elif kind == "zone-plate":
        squares = {"zone plate": zone_plate(drawn_at or size)[..., None]}
    elif kind == "noise":
        keys = {f"noise {i}": Key("data", "pictures", i, "noise") for i in (1, 2)}
        squares = {
            name: power_law_noise(drawn_at or size, 1, key.numpy())[..., None]
            for name, key in keys.items()
        }
    else:
        raise ValueError(f"no pictures of kind {kind!r}; known: {', '.join(KINDS)}")
    drawn = [_named(area_average(square, size)) for square in squares.values()]
    names = xr.DataArray(list(squares), dims="image", name="image")
    joined = xr.concat(drawn, names, join="exact")
    joined.attrs = {"long_name": "value of the picture", "units": "1"}
    return joined


def grey(picture: xr.DataArray) -> xr.DataArray:
    """Return the luma of pictures with dimension channel, as their one channel.

    >>> red = xr.DataArray([1.0, 0.0, 0.0], {"channel": list(COLOURS)}, ("channel",))
    >>> grey(red).values, grey(grey(red)).values
    (array([0.299]), array([0.299]))
    """
    if picture.sizes["channel"] == 1:
        return picture
    weights = xr.DataArray(list(LUMA), {"channel": list(COLOURS)}, ("channel",))
    luma = (picture * weights).sum("channel")
    return luma.expand_dims(channel=["grey"], axis=-1).assign_attrs(picture.attrs)


def _named(values: Float[ndarray, "size size channel"]) -> xr.DataArray:
    side, _, channels = values.shape
    names = list(COLOURS) if channels == len(COLOURS) else ["grey"]
    axes = {"row": range(side), "column": range(side), "channel": names}
    return xr.DataArray(values, axes, tuple(axes))


def _photograph(name: str) -> Float[ndarray, "side side channel"]:
    from sklearn.datasets import load_sample_image

    return _central_square(load_sample_image(f"{name}.jpg") / 255.0)


def _central_square(values: Float[ndarray, "rows columns *rest"]) -> Float[ndarray, "side side *r"]:
    side = min(values.shape[:2])
    top, left = ((n - side) // 2 for n in values.shape[:2])
    square: ndarray[Any, Any] = values[top : top + side, left : left + side]
    return square


def area_average(
    values: Float[ndarray, "rows columns *channel"], size: int
) -> Float[ndarray, "size size *channel"]:
    """Resize by averaging over each new pixel's area; the mean is kept exactly.

    A new pixel covers rows / size by columns / size old ones, in part where the ratio is not whole.

    >>> area_average(np.arange(9.0).reshape(3, 3), 1)
    array([[4.]])
    """
    # In single precision if the values are: a large photograph would need twice the memory.
    rows, columns = (_shares(n, size).astype(values.dtype) for n in values.shape[:2])
    averaged: ndarray[Any, Any] = np.einsum(
        "ar,rc...,bc->ab...", rows, values, columns, optimize=True
    )
    return averaged


def pixel_grid(size: int) -> Float[ndarray, "pixel axis"]:
    """Coordinates (row, column) / size of a square picture's pixels, row by row, in [0, 1).

    >>> pixel_grid(2).tolist()
    [[0.0, 0.0], [0.0, 0.5], [0.5, 0.0], [0.5, 0.5]]
    """
    place = np.arange(size) / size
    grid: ndarray[Any, Any] = np.stack(np.meshgrid(place, place, indexing="ij"), axis=-1)
    return grid.reshape(-1, 2)


def split_pixels(
    pictures: xr.DataArray, held_out: bool = False
) -> tuple[xr.DataArray, xr.DataArray]:
    """Coordinates and values of every second pixel: the training ones, or those held out.

    Training pixels are at even rows and columns, a square grid of half the side; held-out ones at
    odd rows and columns, as far as possible from them. `pictures` has dimensions (..., row,
    column, channel); coordinates are those of the whole picture, a channel becomes a feature.
    """
    size = pictures.sizes["row"]
    every = slice(1 if held_out else 0, None, 2)
    grid = pixel_grid(size).reshape(size, size, 2)[every, every].reshape(-1, 2)
    values = pictures.isel(row=every, column=every).rename(channel="feature")
    values = values.drop_vars(["row", "column", "feature"], errors="ignore")
    flat = values.stack(sample=("row", "column")).drop_vars(["sample", "row", "column"])
    return xr.DataArray(grid, dims=("sample", "feature")), flat.transpose(..., "sample", "feature")


def zone_plate(size: int, fraction: float = 0.5) -> Float[ndarray, "size size"]:
    """Rings that grow finer outwards: 0.5 + 0.4 cos(2 pi F r^2), r from the centre, in [0.1, 0.9].

    r is in units of the side and F = fraction * size / 2, so that the local frequency, the gradient
    of F r^2, is 2 F r cycles per picture: zero in the middle, `fraction` of the pixels' highest
    frequency size / 2 in the middle of an edge, and that on each axis in a corner. A half is the
    highest frequency of every second pixel.

    >>> float(zone_plate(4, 0.0)[0, 0])
    0.9
    """
    place = np.arange(size) / size - 0.5
    radius = place[:, None] ** 2 + place[None, :] ** 2
    rings: ndarray[Any, Any] = 0.5 + 0.4 * np.cos(np.pi * fraction * size * radius)
    return rings


def power_law_noise(
    size: int, exponent: float, generator: np.random.Generator
) -> Float[ndarray, "size size"]:
    """Picture with |DFT(k)| proportional to |k|^-exponent and random phases, in [0.1, 0.9].

    Exponent 1 is the amplitude spectrum of natural photographs (Field 1987), 0 white noise. |k| is
    radial, in cycles per picture; the constant term makes the range symmetric about 0.5.
    """
    return _spectrum_of(size, lambda k: k ** -float(exponent), generator)


def flat_spectrum(
    size: int, highest: float, generator: np.random.Generator
) -> Float[ndarray, "size size"]:
    """Picture with the same |DFT(k)| at every 1 <= |k| < highest, nothing above; in [0.1, 0.9].

    On it no frequency is learnt early merely because it is strong. Phases are random.

    Raises:
        ValueError: `highest` lies beyond the frequency size / 2 of the pixels.
    """
    if highest > size / 2:
        raise ValueError(f"{size} pixels carry up to {size / 2:g} cycles, not {highest:g}")
    return _spectrum_of(size, lambda k: (k < highest).astype(float), generator)


def _spectrum_of(
    size: int, amplitude: Callable[[Any], Any], generator: np.random.Generator
) -> Float[ndarray, "size size"]:
    frequency = np.fft.fftfreq(size, 1 / size)
    radius = np.hypot(frequency[:, None], frequency[None, :])
    wanted = np.where(radius > 0, amplitude(np.maximum(radius, 1.0)), 0.0)
    # The spectrum of real noise has the symmetry that makes the result real; keep its phases only.
    noise = np.fft.fft2(generator.standard_normal((size, size)))
    values = np.fft.ifft2(wanted * noise / np.abs(noise)).real
    scaled: ndarray[Any, Any] = 0.5 + 0.4 * values / np.abs(values).max()
    return scaled


def _shares(old: int, new: int) -> Float[ndarray, "new old"]:
    """Share of each new pixel that each old pixel fills."""
    edges = np.arange(new + 1) * (old / new)
    low, high = edges[:-1, None], edges[1:, None]
    place = np.arange(old)
    overlap = np.clip(np.minimum(high, place + 1) - np.maximum(low, place), 0, None)
    shares: ndarray[Any, Any] = overlap / overlap.sum(1, keepdims=True)
    return shares


def _refuse_unfit(path: Path, opened: Any) -> None:
    width, height = opened.size
    if width * height > LARGEST:
        raise _too_large(path)
    if min(width, height) < SMALLEST:
        raise BadInput(
            f"{path.name} has {width} x {height} pixels",
            f"a picture needs at least {SMALLEST} on each side",
        )
    if getattr(opened, "is_animated", False):
        raise BadInput(
            f"{path.name} is animated ({opened.n_frames} frames)", "export one frame as PNG or JPEG"
        )


def _too_large(path: Path) -> BadInput:
    return BadInput(
        f"{path.name} has more than {LARGEST // 10**6} million pixels",
        "make it smaller first; it would be reduced to 512 x 512 at most",
    )


def _values(path: Path, image: Any) -> UInt[ndarray, "rows columns channel"]:
    """Return the values as integers whose type's largest is white."""
    from PIL import Image

    if image.mode == "CMYK":
        image = _through_profile(path, image)
    if image.mode.startswith("I;16"):
        return np.asarray(image, dtype=np.uint16)[..., None]
    if image.mode in ("I", "F"):
        raise BadInput(
            f"{path.name} has {image.mode} pixels without a stated range",
            "export it with 8 or 16 bits a channel",
        )
    clear = image.convert("RGBA")
    white = Image.new("RGBA", clear.size, "white")
    flat = np.asarray(Image.alpha_composite(white, clear).convert("RGB"))
    coloured = (flat != flat[..., :1]).any()
    return flat if coloured else flat[..., :1]


def _through_profile(path: Path, image: Any) -> Any:
    import io

    from PIL import ImageCms

    profile = image.info.get("icc_profile")
    if not profile:
        raise BadInput(
            f"{path.name} has CMYK colours and no colour profile to read them by",
            "export it as RGB",
        )
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except ImageCms.PyCMSError as error:
        raise BadInput(
            f"{path.name} has a colour profile that cannot be used: {error}", "export it as RGB"
        ) from None
