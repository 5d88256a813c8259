"""The pictures that cameras take of a street: rays, paint, light, and the film.

Linear light throughout; painters' colours are squared on the way in, as a display would.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from kit.street.assets.shapes import Mesh
from kit.street.surfaces.spots import Spots
from kit.street.surfaces.textures import PAINTERS
from kit.street.world.sky import Weather

CORNERS = np.array([(-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25)])
NEAR_LIGHT = 5.0  # metres in which things keep the sky's light from each other
AMBIENT_RAYS, TILE = 3, 5  # rays a pixel; pixels across after which their directions repeat


class Hits(NamedTuple):
    """Where rays ended: distance in ray lengths (inf: nowhere), triangle, place on it."""

    t: np.ndarray
    triangle: np.ndarray
    uv: np.ndarray

    def at(self, rows) -> "Hits":
        return Hits(*(np.take(values, rows, 0) for values in self))


class Picture(NamedTuple):
    """What a camera took.

    Attributes:
        pixels: (H, W, 3) uint8.
        part: (H, W) row of the mesh's parts at each pixel's centre, -1 for the sky.
        depth: (H, W) float32 metres along the camera's z axis, inf for the sky.
    """

    pixels: UInt8[np.ndarray, "H W 3"]
    part: Int[np.ndarray, "H W"]
    depth: Float[np.ndarray, "H W"]


def trace(mesh: Mesh, origin, rays) -> Hits:
    """Follow rays to the first surface; `origin` and `rays` are (N, 3), or (3,) where all agree."""
    import open3d

    found = mesh.rays.cast_rays(open3d.core.Tensor(_six(origin, rays)))
    return Hits(*(found[key].numpy() for key in ("t_hit", "primitive_ids", "primitive_uvs")))


def blocked(mesh: Mesh, origin, rays, reach: float = np.inf) -> np.ndarray:
    """Whether anything stands in the way of rays, up to `reach` ray lengths."""
    import open3d

    return mesh.rays.test_occlusions(open3d.core.Tensor(_six(origin, rays)), 0.0, reach).numpy()


def _six(origin, rays) -> np.ndarray:
    rays = np.asarray(rays)
    six = np.empty((len(rays) if rays.ndim > 1 else len(origin), 6), np.float32)
    six[:, :3], six[:, 3:] = origin, rays
    return six


def paint(mesh: Mesh, hits: Hits, pixel) -> Float[np.ndarray, "N 4"]:
    """Colour and gloss of what was hit (every ray must have hit).

    Args:
        pixel: metres that a pixel covers there, (N,) or one number.
    """
    part, (u, v) = np.take(mesh.part, hits.triangle), hits.uv.T[:, :, None]
    edges = np.take(mesh.edges, hits.triangle, 0)
    local = np.take(mesh.corner, hits.triangle, 0) + u * edges[:, 0] + v * edges[:, 1]
    local = np.ascontiguousarray(local.T)
    normal = np.ascontiguousarray(np.abs(np.take(mesh.local_normal, hits.triangle, 0)).T)
    pixel = np.broadcast_to(np.float32(pixel), len(part))
    surface, looks = np.take(mesh.surface, part), np.zeros((len(part), 4), np.float32)
    order = np.argsort(surface, kind="stable")
    borders = np.searchsorted(surface[order], np.arange(len(mesh.surfaces) + 1))
    for index in np.flatnonzero(np.diff(borders)):
        at = order[borders[index] : borders[index + 1]]
        own = part[at]
        colour, style = np.take(mesh.colour, own, 0), np.take(mesh.style, own, 0)
        spots = Spots(*np.take(local, at, 1), np.take(normal, at, 1), colour, style, pixel[at])
        look = PAINTERS[mesh.surfaces[index]](spots)
        looks[at, : look.shape[1]] = look
    return looks.clip(0, 1)


def pixel_centres(image_size: tuple[int, int]) -> Float[np.ndarray, "M 2"]:
    """Column and row of every pixel's centre, row by row: 0.5, 0.5 is the first."""
    row, column = np.indices(image_size)
    return np.stack([column, row], -1).reshape(-1, 2) + 0.5


def pixel_rays(
    T_world_cam: Float[np.ndarray, "4 4"], K: Float[np.ndarray, "3 3"], uv: Float[np.ndarray, "N 2"]
) -> Float[np.ndarray, "N 3"]:
    """Unit rays in the world through places `uv` (column, row) on the image, pixels."""
    M = (T_world_cam[:3, :3] @ np.linalg.inv(K)).T.astype(np.float32)
    rays = uv.astype(np.float32) @ M[:2] + M[2]
    return rays / np.sqrt(np.einsum("ij,ij->i", rays, rays))[:, None]


def render(
    mesh: Mesh,
    weather: Weather,
    T_world_cam: Float[np.ndarray, "4 4"],
    K: Float[np.ndarray, "3 3"],
    image_size: tuple[int, int],
    rng: np.random.Generator,
    everywhere: bool = False,
) -> Picture:
    """Take a picture: 2 x 2 rays a pixel wherever one ray would not do.

    One ray goes through every pixel's centre. Where its part or its colour differs from a
    neighbour's, four rays take its place; those that hit the same part share one colour unless
    that part itself is busy there.

    Args:
        mesh: finished.
        T_world_cam: the camera's pose (x right, y down, z forward). K: in pixels of image_size.
        rng: of the film's noise.
        everywhere: four rays in every pixel, for comparison.
    """
    view = _View(mesh, weather, T_world_cam, np.asarray(K), image_size)
    hits = trace(mesh, view.origin, view.rays)
    ambient = view.ambient(hits)
    light = view.look(hits, view.rays, ambient)
    part = _parts(mesh, hits)
    edge, busy = _rough(light, part, image_size)
    again = np.arange(len(part)) if everywhere else np.flatnonzero(edge | busy)
    rays = pixel_rays(T_world_cam, K, (view.centres[again, None] + CORNERS).reshape(-1, 2))
    found = trace(mesh, view.origin, rays)
    owner = np.repeat(again, 4)  # pixel of each ray
    four = np.take(light, owner, 0)
    other = np.flatnonzero(busy[owner] | (_parts(mesh, found) != part[owner]) | everywhere)
    four[other] = view.look(found.at(other), rays[other], ambient[owner[other]])
    light[again] = four.reshape(-1, 4, 3).mean(1)
    depth = hits.t * (view.rays @ T_world_cam[:3, 2].astype(np.float32))
    film = develop(light.reshape(*image_size, 3), weather, rng)
    return Picture(film, part.reshape(image_size), depth.reshape(image_size))


def _parts(mesh: Mesh, hits: Hits) -> np.ndarray:
    """Row of the part that each ray hit, -1 for the sky."""
    hit = np.isfinite(hits.t)
    return np.where(hit, np.take(mesh.part, np.where(hit, hits.triangle, 0)), -1)


def _rough(light, part, image_size) -> tuple[np.ndarray, np.ndarray]:
    """Pixels with a neighbour of another part, and of the same part but 8 % of white apart."""
    grey = _grey(light)
    tone = np.sqrt(grey / (grey + 1)).reshape(image_size)
    part, edge, busy = (
        part.reshape(image_size),
        np.zeros(image_size, bool),
        np.zeros(image_size, bool),
    )
    for a, b in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        differs = part[a] != part[b]
        apart = (np.abs(tone[a] - tone[b]) > 0.08) & ~differs
        for mask, step in ((edge, differs), (busy, apart)):
            mask[a] |= step
            mask[b] |= step
    return edge.ravel(), busy.ravel()


def _grey(light) -> np.ndarray:
    """Mean over the colours; three additions are faster than a reduction over so short an axis."""
    return (light[..., 0] + light[..., 1] + light[..., 2]) / 3


class _View:
    """One camera's look at one moment."""

    def __init__(self, mesh, weather, T_world_cam, K, image_size):
        self.mesh, self.weather, self.image_size = mesh, weather, image_size
        self.origin = T_world_cam[:3, 3].astype(np.float32)
        self.centres = pixel_centres(image_size)
        self.rays = pixel_rays(T_world_cam, K, self.centres)
        self.pixel_angle = 1 / np.sqrt(K[0, 0] * K[1, 1])

    def look(self, hits: Hits, rays, ambient) -> np.ndarray:
        """Light (N, 3) that arrives along unit rays."""
        light = np.empty_like(rays)
        miss, hit = np.flatnonzero(np.isinf(hits.t)), np.flatnonzero(np.isfinite(hits.t))
        light[miss] = self.weather.sky(rays[miss])
        hits, rays = hits.at(hit), rays[hit]
        looks = paint(self.mesh, hits, hits.t * self.pixel_angle)
        normal, towards = self._normal(hits, rays)
        lit = looks[:, :3] ** 2 * self._light(hits, rays, normal, ambient[hit])
        shiny = np.flatnonzero(looks[:, 3] > 0.01)
        mirrored, fresnel = self._mirror(rays[shiny], normal[shiny], towards[shiny])
        share = looks[shiny, 3:] * fresnel
        lit[shiny] += share * (mirrored * ambient[hit[shiny], None] - lit[shiny])
        clear = np.exp(-hits.t / self.weather.visibility)[:, None]
        light[hit] = clear * lit + (1 - clear) * self._haze()
        return light

    def _normal(self, hits: Hits, rays):
        """Unit normals towards the camera, and their cosine with the way back."""
        normal = np.take(self.mesh.normal, hits.triangle, 0)
        curved = np.flatnonzero(self.mesh.rounding[hits.triangle] >= 0)
        corners = self.mesh.corner_normal[self.mesh.rounding[hits.triangle[curved]]]
        u, v = hits.uv[curved].T[:, :, None]
        bent = corners[:, 0] * (1 - u - v) + corners[:, 1] * u + corners[:, 2] * v
        normal[curved] = bent / (np.sqrt(np.einsum("ij,ij->i", bent, bent))[:, None] + 1e-9)
        towards = -np.einsum("ij,ij->i", normal, rays)
        normal *= np.where(towards < 0, -1, 1).astype(np.float32)[:, None]
        return normal, np.abs(towards)

    def _light(self, hits: Hits, rays, normal, ambient) -> np.ndarray:
        """The sky's light and, by Lambert's law, the sun's where nothing is in its way."""
        direct = (normal @ self.weather.to_sun).clip(0)
        faces = np.flatnonzero(direct > 0)
        place = self.origin + rays[faces] * (hits.t[faces, None] * 0.9995)
        direct[faces] *= ~blocked(self.mesh, place + 0.01 * normal[faces], self.weather.to_sun)
        bounced = 0.22 * (1 - normal[:, 2:])  # from the ground
        sky = (0.62 + 0.38 * normal[:, 2:] + bounced) * ambient[:, None] * self.weather.skylight
        return sky + direct[:, None] * self.weather.sunlight

    def _mirror(self, rays, normal, towards):
        """What a polished surface shows: sky above, the dark street at its own height."""
        mirrored = rays + 2 * towards[:, None] * normal
        share = np.clip((mirrored[:, 2:] - 0.02) / 0.35, 0, 1)
        dark = 0.18 * self.weather.skylight
        shown = dark + share * (self.weather.sky(mirrored) - dark)
        fresnel = 0.22 + 0.78 * (1 - towards[:, None].clip(0, 1)) ** 3
        return shown, fresnel

    def _haze(self) -> np.ndarray:
        return self.weather.sky(np.array([[1, 0, 0.05], [-1, 0, 0.05]], np.float32)).mean(0) * 0.8

    def ambient(self, hits: Hits) -> np.ndarray:
        """Share (M,) of the sky's light that near things leave to each pixel.

        Rays are sent from every second pixel of every second row. Their directions repeat every
        `TILE` pixels, and the mean over such a tile has them all: no noise is left.
        """
        height, width = self.image_size
        rows = np.arange(height * width).reshape(height, width)[::2, ::2]
        i, j = np.indices(rows.shape)
        t = hits.t[rows]
        lit = np.isfinite(t)
        seen, tile = rows[lit], ((i % TILE) * TILE + j % TILE)[lit]
        shut = np.zeros(t.shape, np.float32)
        if len(seen):
            normal, _ = self._normal(hits.at(seen), self.rays[seen])
            place = self.origin + self.rays[seen] * (hits.t[seen, None] * 0.9995) + 0.01 * normal
            for way in _WAYS[:, tile] + 1.02 * normal:  # more of them along the normal
                way /= np.sqrt(np.einsum("ij,ij->i", way, way))[:, None]
                shut[lit] += blocked(self.mesh, place, way, NEAR_LIGHT)
        open_ = 1 - _average(shut, np.log(np.minimum(t, 1e4))) / len(_WAYS)
        return np.repeat(np.repeat(open_, 2, 0), 2, 1)[:height, :width].ravel()


def _sphere(count: int) -> Float[np.ndarray, "N 3"]:
    """Directions spread evenly, on a Fibonacci spiral."""
    z = 1 - (2 * np.arange(count) + 1) / count
    turn = np.pi * (1 + 5**0.5) * np.arange(count)
    flat = np.sqrt(1 - z * z)
    return np.stack([flat * np.cos(turn), flat * np.sin(turn), z], 1).astype(np.float32)


# Every pixel of a tile gets rays of its own.
_WAYS = _sphere(AMBIENT_RAYS * TILE**2).reshape(AMBIENT_RAYS, -1, 3)


def _average(values, near) -> np.ndarray:
    """Mean over a tile of neighbours, those of another log distance left out."""
    half = TILE // 2
    padded, close = (np.pad(a, half, mode="reflect") for a in (values, near))
    total, weight = np.zeros_like(values), np.zeros_like(values)
    height, width = values.shape
    for i in range(TILE):
        for j in range(TILE):
            window = np.s_[i : i + height, j : j + width]
            like = np.abs(close[window] - near) < 0.1
            total += like * padded[window]
            weight += like
    return total / weight


def develop(
    light: Float[np.ndarray, "H W 3"], weather: Weather, rng: np.random.Generator
) -> UInt8[np.ndarray, "H W 3"]:
    """From light to a picture: automatic exposure, soft highlights, gamma, vignette, noise."""
    grey = _grey(light)
    level = np.exp(np.log(grey[::4, ::4] + 0.02).mean())
    exposed = light * (0.3 * weather.exposure / (0.35 * level + 0.12))
    height, width = grey.shape
    v, u = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    exposed *= (1 - 0.12 * (u * u + v * v)).astype(np.float32)[..., None]
    soft = exposed * (1 + exposed / 6) / (1 + exposed)
    film = np.sqrt(_blurred(soft.clip(0, 1))) * 0.97 + 0.01
    film += weather.noise * rng.standard_normal((height, width, 3), np.float32)
    return (255 * film.clip(0, 1)).round().astype(np.uint8)


def _blurred(light) -> np.ndarray:
    """A lens is not perfectly sharp: a little of each pixel falls on its neighbours."""
    for axis in (0, 1):
        count = light.shape[axis]
        ahead = light.take(np.minimum(np.arange(1, count + 1), count - 1), axis)
        behind = light.take(np.maximum(np.arange(-1, count - 1), 0), axis)
        light = 0.875 * light + 0.0625 * (ahead + behind)
    return light
