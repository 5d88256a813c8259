"""The simulated camera: casts rays, shades the surfaces, and converts light to pixels.

All computations use linear light; the colours of materials are squared first (a gamma of 2).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from kit.street.render.rays import Hits, cast_rays, is_occluded, surface_colour
from kit.street.world.mesh import Mesh
from kit.street.world.weather import Weather

# Offsets from a pixel's centre of the 2 x 2 rays that supersample it, pixels.
SUBPIXELS = np.array([(-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25)])
AMBIENT_RANGE = 5.0  # metres within which surfaces reduce each other's light from the sky
AMBIENT_RAYS = 3  # for each pixel
TILE = 5  # pixels; directions of ambient rays repeat after a tile


class RenderedImage(NamedTuple):
    """An image with its exact annotations.

    Attributes:
        pixels: (H, W, 3) uint8.
        part: (H, W) index of the mesh's part at each pixel's centre, -1 for the sky.
        depth: (H, W) float32 metres along the camera's z axis, inf for the sky.
    """

    pixels: UInt8[np.ndarray, "H W 3"]
    part: Int[np.ndarray, "H W"]
    depth: Float[np.ndarray, "H W"]


def pixel_centres(image_size: tuple[int, int]) -> Float[np.ndarray, "M 2"]:
    """Column and row of every pixel's centre, row by row; the first is (0.5, 0.5)."""
    row, column = np.indices(image_size)
    return np.stack([column, row], -1).reshape(-1, 2) + 0.5


def pixel_rays(
    T_world_cam: Float[np.ndarray, "4 4"], K: Float[np.ndarray, "3 3"], uv: Float[np.ndarray, "N 2"]
) -> Float[np.ndarray, "N 3"]:
    """Unit rays in the world frame through image positions `uv` (column, row), pixels."""
    M = (T_world_cam[:3, :3] @ np.linalg.inv(K)).T.astype(np.float32)
    rays = uv.astype(np.float32) @ M[:2] + M[2]
    return rays / np.sqrt(np.einsum("ij,ij->i", rays, rays))[:, None]


def render_image(
    mesh: Mesh,
    weather: Weather,
    T_world_cam: Float[np.ndarray, "4 4"],
    K: Float[np.ndarray, "3 3"],
    image_size: tuple[int, int],
    rng: np.random.Generator,
    supersample_all: bool = False,
) -> RenderedImage:
    """Render an image, supersampled 2 x 2 at edges.

    One ray is cast through every pixel's centre. Pixels whose part or brightness differs from a
    neighbour's get four rays instead. Those of the four that hit the same part keep its colour,
    unless the brightness varies within that part.

    Args:
        mesh: finished.
        weather: light, atmosphere, exposure and noise.
        T_world_cam: pose of the camera (x right, y down, z forward).
        K: intrinsics in pixels, for image_size.
        image_size: (height, width) in pixels.
        rng: draws the noise of the image.
        supersample_all: cast four rays in every pixel, for comparison.
    """
    view = _View(mesh, weather, T_world_cam, np.asarray(K), image_size)
    hits = cast_rays(mesh, view.origin, view.rays)
    ambient = view.ambient(hits)
    light = view.shade(hits, view.rays, ambient)
    part = _parts(mesh, hits)
    edge, varied = _edges(light, part, image_size)
    again = np.arange(len(part)) if supersample_all else np.flatnonzero(edge | varied)
    rays = pixel_rays(T_world_cam, K, (view.centres[again, None] + SUBPIXELS).reshape(-1, 2))
    found = cast_rays(mesh, view.origin, rays)
    pixel_of_ray = np.repeat(again, 4)
    four = np.take(light, pixel_of_ray, 0)
    other_part = _parts(mesh, found) != part[pixel_of_ray]
    other = np.flatnonzero(varied[pixel_of_ray] | other_part | supersample_all)
    four[other] = view.shade(found.select(other), rays[other], ambient[pixel_of_ray[other]])
    light[again] = four.reshape(-1, 4, 3).mean(1)
    depth = hits.t * (view.rays @ T_world_cam[:3, 2].astype(np.float32))
    pixels = tone_map(light.reshape(*image_size, 3), weather, rng)
    return RenderedImage(pixels, part.reshape(image_size), depth.reshape(image_size))


def _parts(mesh: Mesh, hits: Hits) -> np.ndarray:
    """Index of the part that each ray hit, -1 for the sky."""
    hit = np.isfinite(hits.t)
    return np.where(hit, np.take(mesh.part_of_triangle, np.where(hit, hits.triangle, 0)), -1)


def _edges(light, part, image_size) -> tuple[np.ndarray, np.ndarray]:
    """Masks of pixels next to another part, and of those whose brightness differs by over 8 %."""
    grey = _grey(light)
    tone = np.sqrt(grey / (grey + 1)).reshape(image_size)
    part = part.reshape(image_size)
    edge, varied = np.zeros(image_size, bool), np.zeros(image_size, bool)
    for a, b in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        differs = part[a] != part[b]
        apart = (np.abs(tone[a] - tone[b]) > 0.08) & ~differs
        for mask, step in ((edge, differs), (varied, apart)):
            mask[a] |= step
            mask[b] |= step
    return edge.ravel(), varied.ravel()


def _grey(light) -> np.ndarray:
    """Mean of the three channels; additions are faster here than a reduction over 3 values."""
    return (light[..., 0] + light[..., 1] + light[..., 2]) / 3


class _View:
    """The shading of a mesh as seen from one camera."""

    def __init__(self, mesh, weather, T_world_cam, K, image_size):
        """Prepare the rays of all pixel centres; arguments as in `render_image`."""
        self.mesh, self.weather, self.image_size = mesh, weather, image_size
        self.origin = T_world_cam[:3, 3].astype(np.float32)
        self.centres = pixel_centres(image_size)
        self.rays = pixel_rays(T_world_cam, K, self.centres)
        self.pixel_angle = 1 / np.sqrt(K[0, 0] * K[1, 1])

    def shade(self, hits: Hits, rays, ambient) -> np.ndarray:
        """Radiance (N, 3) along unit rays; `ambient` is the visible ratio of the sky's light."""
        light = np.empty_like(rays)
        miss, hit = np.flatnonzero(np.isinf(hits.t)), np.flatnonzero(np.isfinite(hits.t))
        light[miss] = self.weather.sky(rays[miss])
        hits, rays = hits.select(hit), rays[hit]
        colour = surface_colour(self.mesh, hits, hits.t * self.pixel_angle)
        normal, towards = self._normal(hits, rays)
        lit = colour[:, :3] ** 2 * self._light(hits, rays, normal, ambient[hit])
        glossy = np.flatnonzero(colour[:, 3] > 0.01)
        mirrored, fresnel = self._reflection(rays[glossy], normal[glossy], towards[glossy])
        ratio = colour[glossy, 3:] * fresnel
        lit[glossy] += ratio * (mirrored * ambient[hit[glossy], None] - lit[glossy])
        clear = np.exp(-hits.t / self.weather.visibility)[:, None]
        light[hit] = clear * lit + (1 - clear) * self._haze()
        return light

    def _normal(self, hits: Hits, rays):
        """Unit normals on the camera's side, and the cosine of their angle to the ray."""
        normal = np.take(self.mesh.normal, hits.triangle, 0)
        smooth = np.flatnonzero(self.mesh.smooth_index[hits.triangle] >= 0)
        corners = self.mesh.corner_normal[self.mesh.smooth_index[hits.triangle[smooth]]]
        u, v = hits.uv[smooth].T[:, :, None]
        mixed = corners[:, 0] * (1 - u - v) + corners[:, 1] * u + corners[:, 2] * v
        normal[smooth] = mixed / (np.sqrt(np.einsum("ij,ij->i", mixed, mixed))[:, None] + 1e-9)
        towards = -np.einsum("ij,ij->i", normal, rays)
        normal *= np.where(towards < 0, -1, 1).astype(np.float32)[:, None]
        return normal, np.abs(towards)

    def _light(self, hits: Hits, rays, normal, ambient) -> np.ndarray:
        """Irradiance: the sky's light and, where it is not in shadow, the sun's (Lambert's law)."""
        direct = (normal @ self.weather.to_sun).clip(0)
        faces = np.flatnonzero(direct > 0)
        position = self.origin + rays[faces] * (hits.t[faces, None] * 0.9995)
        direct[faces] *= ~is_occluded(
            self.mesh, position + 0.01 * normal[faces], self.weather.to_sun
        )
        bounced = 0.22 * (1 - normal[:, 2:])  # reflected by the ground
        sky = (0.62 + 0.38 * normal[:, 2:] + bounced) * ambient[:, None] * self.weather.skylight
        return sky + direct[:, None] * self.weather.sunlight

    def _reflection(self, rays, normal, towards):
        """Radiance of a mirror image, sky above and a dark street below, and its Fresnel factor."""
        mirrored = rays + 2 * towards[:, None] * normal
        ratio = np.clip((mirrored[:, 2:] - 0.02) / 0.35, 0, 1)
        dark = 0.18 * self.weather.skylight
        shown = dark + ratio * (self.weather.sky(mirrored) - dark)
        fresnel = 0.22 + 0.78 * (1 - towards[:, None].clip(0, 1)) ** 3
        return shown, fresnel

    def _haze(self) -> np.ndarray:
        """Radiance of distant haze: the sky just above the horizon."""
        return self.weather.sky(np.array([[1, 0, 0.05], [-1, 0, 0.05]], np.float32)).mean(0) * 0.8

    def ambient(self, hits: Hits) -> np.ndarray:
        """Ambient occlusion: the ratio (M,) of the sky's light that reaches each pixel.

        Rays are cast from every second pixel of every second row. Their directions repeat every
        `TILE` pixels, so the mean over a tile contains all directions and has no noise.
        """
        height, width = self.image_size
        index = np.arange(height * width).reshape(height, width)[::2, ::2]
        i, j = np.indices(index.shape)
        t = hits.t[index]
        lit = np.isfinite(t)
        visible, tile = index[lit], ((i % TILE) * TILE + j % TILE)[lit]
        occluded = np.zeros(t.shape, np.float32)
        if len(visible):
            normal, _ = self._normal(hits.select(visible), self.rays[visible])
            distance = hits.t[visible, None] * 0.9995
            position = self.origin + self.rays[visible] * distance + 0.01 * normal
            for ray in _DIRECTIONS[:, tile] + 1.02 * normal:  # more of them along the normal
                ray /= np.sqrt(np.einsum("ij,ij->i", ray, ray))[:, None]
                occluded[lit] += is_occluded(self.mesh, position, ray, AMBIENT_RANGE)
        ratio = 1 - _tile_mean(occluded, np.log(np.minimum(t, 1e4))) / len(_DIRECTIONS)
        return np.repeat(np.repeat(ratio, 2, 0), 2, 1)[:height, :width].ravel()


def _sphere(count: int) -> Float[np.ndarray, "N 3"]:
    """Evenly spread unit directions, on a Fibonacci spiral."""
    z = 1 - (2 * np.arange(count) + 1) / count
    turn = np.pi * (1 + 5**0.5) * np.arange(count)
    flat = np.sqrt(1 - z * z)
    return np.stack([flat * np.cos(turn), flat * np.sin(turn), z], 1).astype(np.float32)


# Directions of the ambient rays of every pixel of a tile.
_DIRECTIONS = _sphere(AMBIENT_RAYS * TILE**2).reshape(AMBIENT_RAYS, -1, 3)


def _tile_mean(values, log_distance) -> np.ndarray:
    """Mean over the tile around each pixel, without pixels whose distance differs by over 10 %."""
    half = TILE // 2
    padded, distance = (np.pad(a, half, mode="reflect") for a in (values, log_distance))
    total, weight = np.zeros_like(values), np.zeros_like(values)
    height, width = values.shape
    for i in range(TILE):
        for j in range(TILE):
            window = np.s_[i : i + height, j : j + width]
            near = np.abs(distance[window] - log_distance) < 0.1
            total += near * padded[window]
            weight += near
    return total / weight


def tone_map(
    light: Float[np.ndarray, "H W 3"], weather: Weather, rng: np.random.Generator
) -> UInt8[np.ndarray, "H W 3"]:
    """Convert linear light to pixels: automatic exposure, highlights, gamma, vignette, noise."""
    grey = _grey(light)
    level = np.exp(np.log(grey[::4, ::4] + 0.02).mean())
    exposed = light * (0.3 * weather.exposure / (0.35 * level + 0.12))
    height, width = grey.shape
    v, u = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    exposed *= (1 - 0.12 * (u * u + v * v)).astype(np.float32)[..., None]
    soft = exposed * (1 + exposed / 6) / (1 + exposed)
    image = np.sqrt(_lens_blur(soft.clip(0, 1))) * 0.97 + 0.01
    image += weather.noise * rng.standard_normal((height, width, 3), np.float32)
    return (255 * image.clip(0, 1)).round().astype(np.uint8)


def _lens_blur(light) -> np.ndarray:
    """Blur of the lens: a part of each pixel's light falls on its neighbours."""
    for axis in (0, 1):
        count = light.shape[axis]
        ahead = light.take(np.minimum(np.arange(1, count + 1), count - 1), axis)
        behind = light.take(np.maximum(np.arange(-1, count - 1), 0), axis)
        light = 0.875 * light + 0.0625 * (ahead + behind)
    return light
