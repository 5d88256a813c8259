"""Edge maps of an image: the strength of an edge relative to its surroundings."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

WIDTH = 800  # pixels; wider images are made smaller
SMOOTHING = 1.2  # pixels of the smaller image
NEIGHBOURHOOD = 3.0  # degrees to each side, whose mean is subtracted
LARGEST_WIDTH = 0.4  # degrees


def edge_maps(
    pixels: UInt8[np.ndarray, "H W 3"], focal_length: float, widths: tuple[float, float]
) -> tuple[Float[np.ndarray, "2 h w"], float]:
    """Compute the maps of vertical and of horizontal edges.

    The gradient of the strongest colour channel, as a logarithm and relative to its surroundings,
    so that a faint edge on a smooth wall counts and a leaf among leaves does not. The mean of the
    surroundings is subtracted: at places that were drawn at random the map is 0 on average.

    Args:
        pixels: the image.
        focal_length: pixels.
        widths: degrees, for vertical and horizontal edges: an edge counts up to this far beside it.
            The place of an edge of the scan is not known better than half the angle between beams.

    Returns:
        maps: (2, h, w) float32 vertical and horizontal edges.
        scale: pixels of the maps by pixels of the image.
    """
    scale = min(1.0, WIDTH / pixels.shape[1])
    if scale < 1:
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    per_degree = np.radians(1) * focal_length * scale  # pixels
    smooth = cv2.GaussianBlur(pixels.astype(np.float32), (0, 0), SMOOTHING)
    around = (2 * round(NEIGHBOURHOOD * per_degree) + 1,) * 2
    maps = []
    for direction in (0, 1):
        slope = cv2.Sobel(smooth, cv2.CV_32F, 1 - direction, direction) / 8
        slope = np.abs(slope).max(2)
        slope = np.log1p(slope / (0.3 * cv2.blur(slope, around) + 0.3))
        side = 2 * round(min(widths[direction], LARGEST_WIDTH) * per_degree) + 1
        shape = (1, side) if direction == 0 else (side, 1)
        slope = cv2.dilate(slope, np.ones(shape, np.uint8))
        slope = cv2.GaussianBlur(slope, (0, 0), max(0.8, 0.08 * per_degree))
        maps.append(slope - cv2.blur(slope, around))
    return np.stack(maps), scale
