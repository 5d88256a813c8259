"""Reader of image files: 8-bit RGB pixels as the camera wrote them, or an error with the file name.

The files come from outside. Therefore only regular files are opened, only in the formats of
`FORMATS`, and the number of pixels is checked before they are decoded. A file whose colours,
brightness or orientation are ambiguous is refused.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from kit.store.reading import open_regular

# The formats that cameras and converters of recordings write. Pillow would also open about 40
# others; one of them, EPS, starts the program Ghostscript.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "PPM", "TIFF")
# 300 MB decoded. The largest cameras of cars have 12 million pixels, panoramas 33 million. Pillow
# has a limit too, but it is a global that other libraries switch off.
MAX_PIXELS = 100_000_000
_COLOUR_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA"}
_ORIENTATION = 0x0112  # of EXIF and TIFF
_PHOTOMETRIC, _BITS = 262, 258  # tags of TIFF


def read_image(file: str | os.PathLike, upright: bool = False) -> UInt8[np.ndarray, "H W 3"]:
    """Read an image file as RGB; of a file with several images the first one.

    - Grey images are repeated in all three channels; palettes are applied.
    - 16-bit values 0..65535 and float values 0..1 are scaled to 0..255.
    - An alpha channel is ignored: a camera has none, and the colours are stored beside it.

    Args:
        file: path.
        upright: apply the orientation in the EXIF data, as viewers do. Otherwise an image with an
            orientation is refused: its calibration may be for the pixels before or after the turn.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: it is not a regular file, not in one of `FORMATS`, damaged or too large; or its
            pixels are ambiguous, e.g. CMYK colours, or float values above 1.
    """
    with _opened(file, upright) as image:
        return np.asarray(_to_rgb(image))


def read_image_size(file: str | os.PathLike) -> tuple[int, int]:
    """Read (height, width) in pixels from the header; raises the errors of `read_image`.

    An orientation that a PNG file has behind its pixels is found by `read_image` only.
    """
    with _opened(file, upright=False, decodes=False) as image:
        return image.height, image.width


@contextmanager
def _opened(file: str | os.PathLike, upright: bool, decodes: bool = True) -> Iterator[Image.Image]:
    """Open an image and check its header; every error in the block names the file."""
    try:
        opened = open_regular(file)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{file}: this image is missing. Was it moved?") from error
    with opened:
        try:
            with Image.open(opened, formats=FORMATS) as image:
                _check_header(image, upright, decodes)
                yield image
        except _Refused as error:
            raise ValueError(f"{file}: {error}") from error
        except Exception as error:  # Pillow raises a dozen types for damaged files
            raise ValueError(
                f"{file}: cannot decode this image ({_reason(error)}). Is the download complete?"
            ) from error


class _Refused(ValueError):
    """The image can be decoded, but what its pixels mean is ambiguous."""


def _reason(error: Exception) -> str:
    """One line about an error of Pillow."""
    if isinstance(error, UnidentifiedImageError):
        return f"it is none of {', '.join(FORMATS)}, or of a rare kind of these"
    return str(error).partition("\n")[0] or type(error).__name__


def _check_header(image: Image.Image, upright: bool, decodes: bool) -> None:
    """Check the number of pixels and the orientation, before anything is decoded.

    Of a PNG file without EXIF data in its header, Pillow decodes the pixels to look for it behind.
    """
    if image.width * image.height > MAX_PIXELS:
        raise _Refused(
            f"{image.height}x{image.width} pixels (height x width); at most {MAX_PIXELS:,} are "
            "decoded. Is this an image of a camera?"
        )
    in_header = decodes or image.format != "PNG" or "exif" in image.info
    orientation = image.getexif().get(_ORIENTATION, 1) if in_header else 1
    if orientation not in (0, 1) and not upright:
        raise _Refused(
            f"its EXIF orientation is {orientation}, so the calibration may be for the pixels "
            "before or after the turn. Turn the pixels and remove the tag (`exiftran -a`)"
        )


def _to_rgb(image: Image.Image) -> Image.Image:
    """Decode to mode RGB, upright; refuses pixels whose meaning is ambiguous."""
    layout = str(image.tile[0].args) if image.tile else ""
    tags = getattr(image, "tag_v2", {})
    inverted = tags.get(_PHOTOMETRIC) == 0 and image.mode not in ("1", "L")
    bits = tags.get(_BITS, (16,))[0]
    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    if inverted:
        raise _Refused("0 is white in this TIFF, which is read only at up to 8 bits. Invert it")
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        return _from_grey(_scaled_integers(np.asarray(image), bits))
    if image.mode == "F":
        return _from_grey(_scaled_floats(np.asarray(image)))
    if image.mode not in _COLOUR_MODES:
        raise _Refused(
            f"its pixels are of the kind {image.mode} (Pillow's name); expected grey, RGB or a "
            "palette, 8 or 16 bits a channel, or float values 0..1. Save it as 8-bit RGB"
        )
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA")  # a palette may have an alpha channel
    if ";16" in layout:  # Pillow keeps the upper 8 bits
        _check_brightest(int(np.asarray(image.convert("RGB")).max()) << 8, 1 << 16)
    return image.convert("RGB")


def _scaled_integers(grey: np.ndarray, bits: int) -> np.ndarray:
    """Scale values of up to 16 bits to 0..255."""
    full = (1 << bits) - 1
    if brightest := int(grey.max()):
        _check_brightest(brightest, full)
    return np.rint(grey.astype(np.float32) * (255 / full))


def _check_brightest(brightest: int, full: int) -> None:
    """Refuse values that use less than 1/16 of their range, as 12 bits in 16 do."""
    if brightest * 16 < full:
        raise _Refused(
            f"its brightest value is about {brightest} of {full}. Are these 8, 10 or 12 bits in "
            "16? Scale them to 0..65535, or save 8 bits"
        )


def _scaled_floats(grey: np.ndarray) -> np.ndarray:
    """Scale float values 0..1 to 0..255."""
    low, high = float(grey.min()), float(grey.max())
    if not (low >= 0 and high <= 1):  # also where a value is NaN
        raise _Refused(
            f"its float values are {low:.6g} to {high:.6g}, expected 0 to 1. Scale them, or save "
            "8 bits"
        )
    return np.rint(grey * 255)


def _from_grey(grey: np.ndarray) -> Image.Image:
    return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
