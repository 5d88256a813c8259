"""Models of trees, bushes and hedges; metres, the ground is z = 0."""

import numpy as np

from kit.street.assets.shapes import (
    Part,
    ellipsoid,
    ellipsoid_normals,
    leaf_cloud,
    loft,
    moved,
    rounded_body,
    tube,
)


def _tint(rng) -> np.ndarray:
    """Draw a green."""
    return np.array([0.33, 0.43, 0.15]) * rng.uniform(0.75, 1.25) * rng.uniform(0.88, 1.12, 3)


def _crown(rng, centre, half_axes, tint, count: int, leaf: float) -> list[Part]:
    """A dark core in a cloud of loose leaves; all are shaded as one ellipsoid."""
    style = (rng.random(), centre[2], half_axes[2])
    core = moved(ellipsoid(rng, np.array(half_axes) * 0.8, 0.4), *centre)
    cloud = moved(leaf_cloud(rng, half_axes, count, leaf), *centre)
    return [
        Part(core, "leaf", tint * 0.72, style, True),
        Part(cloud, "leaf", tint, style, ellipsoid_normals(cloud, centre, half_axes)),
    ]


def tree(rng, colour) -> list[Part]:
    """A street tree: trunk, branches, and a crown of several clouds of leaves."""
    tall, wide, tint = rng.uniform(4.5, 9), rng.uniform(1.4, 2.8), _tint(rng)
    bark = np.array((0.24, 0.19, 0.14)) * rng.uniform(0.7, 1.4)
    clear = rng.uniform(0.3, 0.45) * tall  # height of the lowest leaves
    trunk = [(0, 0, -0.2), (*rng.normal(0, 0.08, 2), 0.6 * clear), (*rng.normal(0, 0.2, 2), clear)]
    thick = 0.025 * tall
    parts = [Part(tube(trunk, (1.4 * thick, thick, 0.8 * thick)), "bark", bark, (), True)]
    clouds = rng.integers(3, 6)
    for number in range(clouds):
        turn, out = 2 * np.pi * number / clouds + rng.uniform(0, 0.8), rng.uniform(0.3, 0.65) * wide
        z = rng.uniform(clear + 0.25 * (tall - clear), tall - 0.3 * (tall - clear))
        centre = (out * np.cos(turn), out * np.sin(turn), z)
        parts.append(Part(tube([trunk[-1], centre], (0.6 * thick, 0.25 * thick), 5), "bark", bark))
        size = wide * rng.uniform(0.5, 0.75)
        axes = (size, size, 0.42 * (tall - clear) * rng.uniform(0.8, 1.15))
        parts += _crown(rng, centre, axes, tint * rng.uniform(0.9, 1.1), 520, 0.09)
    return parts


def conifer(rng, colour) -> list[Part]:
    """A trunk with layers of leaves that narrow towards the top."""
    tall, wide, tint = rng.uniform(5, 10), rng.uniform(1.1, 1.9), _tint(rng) * (0.75, 0.85, 1)
    parts = [
        Part(tube([(0, 0, -0.2), (0, 0, 0.8 * tall)], (0.18, 0.05)), "bark", (0.2, 0.15, 0.11))
    ]
    for z in np.arange(0.12, 0.95, 0.17):
        r = wide * (1 - 0.85 * z)
        parts += _crown(rng, (0, 0, (z + 0.05) * tall), (r, r, 0.13 * tall), tint, 260, 0.09)
    return parts


def palm(rng, colour) -> list[Part]:
    """A palm: a bent trunk with a crown of fronds."""
    tall = rng.uniform(5, 9)
    bend = rng.normal(0, 0.3, 2)
    trunk = [(0, 0, -0.2), (*0.4 * bend, tall / 2), (*bend, tall)]
    parts = [Part(tube(trunk, (0.2, 0.15, 0.13)), "bark", (0.33, 0.27, 0.2), (), True)]
    for turn in np.linspace(0, 2 * np.pi, 12)[:-1] + rng.uniform(0, 1):
        out = np.array((np.cos(turn), np.sin(turn), 0)) * rng.uniform(0.8, 1.1)
        rib = np.array(
            [(*bend, tall) + out * s * 2 + (0, 0, 0.9 * s - 1.5 * s**2) for s in (0, 0.4, 0.8, 1.1)]
        )
        side = np.cross(out, (0, 0, 1))
        wing = np.array((0.1, 0.4, 0.3, 0.02))[:, None] * side
        blade = np.stack([rib - wing - (0, 0, 0.12), rib, rib + wing - (0, 0, 0.12)], 1)
        parts.append(Part(loft(blade, False, False), "leaf", _tint(rng), (0, tall, 1.0)))
    return parts


def bush(rng, colour) -> list[Part]:
    """One cloud of leaves on the ground."""
    r, z = rng.uniform(0.5, 1.1), rng.uniform(0.4, 0.9)
    return _crown(rng, (0, 0, 0.7 * z), (r, r, z), _tint(rng), 450, 0.06)


def hedge(rng, colour) -> list[Part]:
    """2 m of clipped hedge."""
    tint, height = _tint(rng) * 0.9, rng.uniform(0.9, 1.5)
    cloud = leaf_cloud(rng, (1.25, 0.42, 0.55 * height), 420, 0.045)
    style = (rng.random(), height / 2, height / 2)
    core = rounded_body([(0, -1.05, 1.05, 0.33, 0.1), (height, -1.0, 1.0, 0.3, 0.12)])
    return [
        Part(core, "leaf", tint * 0.8, style),
        Part(moved(cloud, z=height / 2), "leaf", tint, style),
    ]
