"""Images of a keyframe for the browser: decoded, made smaller and encoded while others compute."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from kit.data.keyframe import Camera, Keyframe
from kit.store.images import jpeg_bytes, shrink, webp_bytes

THREADS = 4


@dataclass(frozen=True)
class Photo:
    """Settings of the images that are sent.

    Attributes:
        width: in pixels, at most.
        quality: 1 to 95.
        webp: as WebP, which is smaller than JPEG and takes longer to write.
    """

    width: int
    quality: int
    webp: bool = False


LIVE_PHOTO, PAGE_PHOTO = Photo(960, 84), Photo(800, 68, webp=True)


@contextmanager
def reading(keyframe: Keyframe, photo: Photo) -> Iterator[list[Future]]:
    """Read the images of a keyframe in threads.

    Returns:
        for each camera a future of its pixels (H, W, 3) and of the bytes of its photograph. Its
        result raises FileNotFoundError or ValueError where the image cannot be read.
    """
    with ThreadPoolExecutor(max_workers=THREADS) as pool:
        yield [pool.submit(_read, camera, photo) for camera in keyframe.cameras.values()]


def _read(camera: Camera, photo: Photo) -> tuple[UInt8[np.ndarray, "H W 3"], bytes]:
    pixels = camera.pixels()
    encode = webp_bytes if photo.webp else jpeg_bytes
    return pixels, encode(shrink(pixels, photo.width), photo.quality)
