"""Draw coloured points in perspective with numpy: discs of pixels, nearer points in front."""

import numpy as np
from jaxtyping import Float, UInt8

from kit.show.arrays import Number
from kit.show.scene import CameraView, Viewpoint

SHADE_RADIUS = 3  # pixels of the picture before it is averaged, to the neighbours of the shading


def project(
    points: Float[np.ndarray, "N 3"], view: Viewpoint, image_size: tuple[int, int]
) -> tuple[Float[np.ndarray, "N 2"], Float[np.ndarray, " N"]]:
    """Return the pixel (column, row) and the depth along the viewing direction of each point.

    Source: the look-at camera of OpenGL; its vertical field of view is that of plotly's scenes.
    """
    if isinstance(view, CameraView):
        return view.project(points, image_size)
    height, width = image_size
    forward = view.centre - view.eye
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, view.up)
    right = right / np.linalg.norm(right)
    axes = np.stack([right, -np.cross(right, forward), forward])  # x right, y down, z ahead
    turned = (points - view.eye) @ axes.T  # (N, 3)
    depth = turned[:, 2]
    focal = height / 2 / np.tan(np.radians(view.field_of_view) / 2)
    safe = np.where(depth > 0, depth, np.nan)
    uv = focal * turned[:, :2] / safe[:, None] + np.array([width / 2, height / 2])
    return uv, depth


def splat(
    uv: Float[np.ndarray, "N 2"],
    depth: Float[np.ndarray, " N"],
    rgb: UInt8[np.ndarray, "N 3"],
    size: Float[np.ndarray, " N"],
    image_size: tuple[int, int],
    background: tuple[int, int, int] = (255, 255, 255),
    shading: Number = 0,
) -> UInt8[np.ndarray, "H W 3"]:
    """Draw each point as a disc of `size` pixels across; nearer points hide farther ones.

    Points behind the eye (depth <= 0 or NaN) and outside the picture are left out. With `shading`,
    pixels behind their neighbours are darker, see `shade`.
    """
    height, width = image_size
    picture = np.empty((height * width, 3), dtype=np.uint8)
    picture[:] = background
    nearest = np.full(height * width, np.inf)
    margin = size.max() / 2 + 1 if len(size) else 0
    with np.errstate(invalid="ignore"):  # behind the eye: NaN, which lies nowhere
        seen = (depth > 0) & ((uv > -margin) & (uv < np.array([width, height]) + margin)).all(1)
    order = np.flatnonzero(seen)
    order = order[np.argsort(-depth[order], kind="stable")]
    uv, depth, rgb, size = uv[order], depth[order], rgb[order], size[order]
    column, row = np.floor(uv).astype(np.int64).T.copy()
    right, down = (np.floor(uv) + 0.5 - uv).T.copy()  # from the centre to the middle of its pixel
    half = size / 2
    radius = int(np.ceil(half.max())) if len(size) else 0
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            # Discs too small for this offset are skipped; a centre's own pixel is always drawn.
            some = np.flatnonzero(half + 0.71 >= np.hypot(dx, dy))
            drawn = (right[some] + dx) ** 2 + (down[some] + dy) ** 2 <= half[some] ** 2
            drawn |= dx == dy == 0
            x, y = column[some] + dx, row[some] + dy
            drawn &= (x >= 0) & (x < width) & (y >= 0) & (y < height)
            some = some[drawn]
            place = (y * width + x)[drawn]
            wins = depth[some] <= nearest[place]
            # Points are sorted from far to near; of several writes to a pixel numpy keeps the last.
            nearest[place[wins]] = depth[some[wins]]
            picture[place[wins]] = rgb[some[wins]]
    pixels, far = picture.reshape(height, width, 3), nearest.reshape(height, width)
    return shade(pixels, far, shading) if shading else pixels


def shade(
    pixels: UInt8[np.ndarray, "H W 3"], depth: Float[np.ndarray, "H W"], strength: Number
) -> UInt8[np.ndarray, "H W 3"]:
    """Darken pixels that lie behind their neighbours (eye-dome lighting).

    Args:
        pixels: the picture.
        depth: metres along the viewing direction; infinite where there is no point.
        strength: of the shading; that of the explorer is 5.

    Source: C. Boucheny, Interactive scientific visualisation of large datasets, 2009: differences
        of the logarithm of depth to eight neighbours.
    """
    drawn = np.flatnonzero(np.isfinite(depth))  # (D,) of the pixels
    log = np.full(depth.shape, np.inf, dtype=np.float32)
    log.flat[drawn] = np.log2(depth.flat[drawn])
    padded = np.pad(log, SHADE_RADIUS, mode="edge")
    row, column = np.divmod(drawn, depth.shape[1])
    middle = (row + SHADE_RADIUS) * padded.shape[1] + column + SHADE_RADIUS
    mine, behind = log.flat[drawn], np.zeros(len(drawn), dtype=np.float32)
    for turn in np.arange(8) * np.pi / 4:
        down, right = np.round(SHADE_RADIUS * np.array([np.sin(turn), np.cos(turn)])).astype(int)
        behind += np.maximum(mine - padded.ravel()[middle + down * padded.shape[1] + right], 0)
    dark = np.exp(-strength * np.minimum(behind / 8, np.float32(1.2)))
    shaded = pixels.reshape(-1, 3).copy()
    shaded[drawn] = shaded[drawn] * dark[:, None]
    return shaded.reshape(pixels.shape)
