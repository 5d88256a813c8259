"""Images as PNG, JPEG or WebP bytes, and back. Opens no file."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt, UInt8
from PIL import Image


def png_bytes(pixels: UInt[np.ndarray, "H W *rgb"], **options) -> bytes:
    """Encode uint8 pixels, or (H, W) uint16, without loss; options are Pillow's for PNG files."""
    return _encoded(pixels, "png", options)


def jpeg_bytes(pixels: UInt8[np.ndarray, "H W 3"], quality: int) -> bytes:
    """Encode pixels with loss; quality is 1 to 95."""
    return _encoded(pixels, "jpeg", dict(quality=quality))


def webp_bytes(pixels: UInt8[np.ndarray, "H W 3"], quality: int) -> bytes:
    """Encode pixels with loss, smaller than JPEG; quality is 1 to 100."""
    return _encoded(pixels, "webp", dict(quality=quality, method=4))


def gif_bytes(frames: Sequence[UInt8[np.ndarray, "H W 3"]], milliseconds: int) -> bytes:
    """Encode pictures as a film that repeats, each shown for so long; with 256 colours each."""
    first, *others = (Image.fromarray(frame).quantize(256) for frame in frames)
    file = io.BytesIO()
    first.save(file, "gif", save_all=True, append_images=others, duration=milliseconds, loop=0)
    return file.getvalue()


def _encoded(pixels: np.ndarray, kind: str, options: dict) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def decode(data: bytes) -> np.ndarray:
    """Decode what `png_bytes` or `jpeg_bytes` encoded to (H, W) or (H, W, 3) pixels.

    Files of others are read by `kit.store.image_reader`.
    """
    with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
        return np.array(image)


def shrink(
    pixels: UInt8[np.ndarray, "H W 3"], max_width: int, quickly: bool = False
) -> UInt8[np.ndarray, "h w 3"]:
    """Scale an image down to at most `max_width` pixels; its proportions stay.

    Args:
        quickly: average whole blocks of pixels first, which is hardly to be seen where the image
            becomes much smaller.
    """
    height, width = pixels.shape[:2]
    if width <= max_width:
        return pixels
    size = (max_width, max(round(height * max_width / width), 1))
    gap = 2.0 if quickly else None  # how much larger than the result the averages still are
    made = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, reducing_gap=gap)
    return np.asarray(made)


def data_uri(data: bytes, kind: str) -> str:
    """Write an image file as a data URI for a page; kind is "png" or "jpeg"."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
