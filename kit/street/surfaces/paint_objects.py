"""Materials of vehicles, people, street furniture and building sites."""

import numpy as np

from kit.street.surfaces.paint_buildings import facade, lettering, wall_along
from kit.street.surfaces.patterns import (
    SurfacePoints,
    hashed,
    line,
    mix,
    noise,
    paint_where,
    with_gloss,
)


def _lamps(s: SurfacePoints, low, inner, colour) -> np.ndarray:
    """White lamps in front and red ones behind, at height `low` and |y| above `inner`."""
    lamp = (s.normal[0] > 0.45) & (np.abs(s.z - low) < 0.085) & (np.abs(s.y) > inner)
    shade = 0.7 + 0.3 * (np.abs(s.y) * 9 % 1)
    tint = np.where((s.x > 0)[:, None], (0.85, 0.86, 0.85), (0.62, 0.04, 0.04)) * shade[:, None]
    return mix(lamp, tint, colour)


def car(s: SurfacePoints) -> np.ndarray:
    """A car body: door gaps, handles, grille, lamps, licence plates, wheel arches.

    style: x of the front, of the front axle and of the rear axle; belt height.
    """
    _, ahead, behind, belt = s.style.T
    flank, ends = s.normal[1] > 0.6, s.normal[0] > 0.55
    middle = flank & (s.x < ahead - 0.42) & (s.x > behind + 0.3) & (s.z > 0.35)
    gaps = line((s.x - ahead + 0.5) % 1.05, 0.012, s) * middle
    colour = mix(0.8 * gaps, s.colour * 0.25, s.colour)
    handle = middle & (np.abs(s.z - belt + 0.14) < 0.02) & ((s.x - ahead + 0.5) % 1.05 < 0.22)
    colour = mix(0.7 * handle, s.colour * 0.5 + 0.25, colour)
    near = np.minimum(np.abs(s.x - ahead), np.abs(s.x - behind))
    arch = flank & (np.hypot(near, s.z - 0.33) < 0.41)
    dark = arch | (s.z < 0.3)
    grille = ends & (s.x > 0) & (np.abs(s.y) < 0.52) & (s.z > 0.33) & (s.z < 0.6)
    bars = 0.35 + 0.65 * (s.z % 0.06 < 0.03) * s.fade(0.03)
    colour = mix(grille, bars[:, None] * np.array((0.12, 0.12, 0.13)), colour)
    bumper = ends & (s.x < 0) & (s.z < 0.42)
    colour = mix(bumper, s.colour * 0.25, colour)
    height = np.where(s.x > 0, 0.44, belt - 0.28)
    plate = ends & (np.abs(s.y) < 0.26) & (np.abs(s.z - height) < 0.06)
    text = (s.y % 0.06 < 0.03) & (np.abs(s.z - height) < 0.03)
    colour = mix(plate, np.where(text[:, None], (0.3, 0.3, 0.4), (0.9, 0.9, 0.86)), colour)
    colour = _lamps(s, np.where(s.x > 0, 0.66, belt - 0.16), 0.5, colour)
    colour = mix(dark, (0.025, 0.025, 0.028), colour)
    return with_gloss(colour, np.where(dark | grille | plate, 0.03, 0.22))


def cabin(s: SurfacePoints) -> np.ndarray:
    """Car windows with pillars, and the roof. style: belt and roof height, x of rear and front."""
    low, roof, rear, front = s.style.T
    seen = (s.z > low + 0.03) & (s.z < roof - 0.09) & (s.normal[2] < 0.9)
    side = s.normal[1] > 0.5
    third = (s.x - rear) / (front - rear)
    pillar = np.abs(third - 0.5) < 0.022
    pillar |= (third < 0.1) | (np.abs(third - 0.2) < 0.015) | (third > 0.93)
    ends = np.abs(s.y) > np.where(s.z > (low + roof) / 2, 0.56, 0.64)
    glass = seen & ~np.where(side, pillar, ends)
    inside = 0.035 + 0.05 * np.clip(noise(s, 0.03), 0, 2)
    inside = inside + 0.05 * ((third * 2.6 % 1 < 0.3) & side & (s.z < low + 0.35))[:, None]
    colour = mix(glass, inside * np.ones(3), s.colour)
    return with_gloss(colour, np.where(glass, 0.55, 0.2))


def panel(s: SurfacePoints) -> np.ndarray:
    """The sides of a van or truck body: ribs and a company name. style: seed, bottom, height."""
    flank = s.normal[1] > 0.7
    ribs = flank & (s.x % 0.45 < 0.05)
    colour = mix(0.6 * ribs * s.fade(0.08), s.colour * 0.6, s.colour * (1 + 0.03 * noise(s, 0.1)))
    v, high = s.z - s.style[:, 1] - 0.45 * s.style[:, 2], 0.3 * s.style[:, 2]
    named = flank & (v > 0) & (v < high) & (s.style[:, 0] > 0.2)
    colour = paint_where(named, lettering, colour, s, s.x + 90, v, high)
    back = (s.normal[0] > 0.7) & ((np.abs(s.y) < 0.02) | (np.abs(s.y) > 1.05))
    return with_gloss(mix(back, (0.15, 0.15, 0.16), colour), 0.08)


def container(s: SurfacePoints) -> np.ndarray:
    """Corrugated steel with rust. style: seed."""
    wave = np.where(s.normal[1] > 0.7, s.x, s.y) % 0.28
    groove = (wave < 0.1) * s.fade(0.08) + 0.35 * (1 - s.fade(0.08))
    colour = s.colour * (1 - 0.45 * groove)[:, None] * (1 + 0.05 * noise(s, 0.05))
    rust = np.clip(noise(s, 0.04, 0.2)[:, 0] - 1.1, 0, 0.8)
    return mix(rust, (0.3, 0.17, 0.1), colour)


def coach(s: SurfacePoints) -> np.ndarray:
    """A bus body: a band of windows, doors on the right, an illuminated sign in front.

    style: x of the front, height, seed.
    """
    front, tall = s.style[:, 0], s.style[:, 1]
    ends, flank = s.normal[0] > 0.5, s.normal[1] > 0.6
    u = (front - s.x) % 1.55
    band = (s.z > 1.2) & (s.z < tall - 0.55)
    door = flank & (s.y < 0) & ((np.abs(front - s.x - 1.0) < 0.55) | (np.abs(s.x) < 0.6))
    glass = flank & band & (u > 0.1) | door & (s.z > 0.45) & (s.z < tall - 0.55)
    glass |= ends & (s.z > 1.0) & (s.z < tall - 0.45) & (np.abs(s.y) < 1.1)
    glass &= ~(door & (np.abs((s.x * 2) % 1.1) < 0.06))
    stripe = (s.z > 0.75) & (s.z < 1.0) & flank
    colour = mix(0.8 * stripe, s.colour[:, [2, 0, 1]] * 0.8, s.colour)
    colour = mix(s.z < 0.4, (0.08, 0.08, 0.08), colour)
    sign = ends & (s.z > tall - 0.4) & (s.z < tall - 0.12) & (np.abs(s.y) < 0.8)
    text = (s.y % 0.1 < 0.05) & (s.z % 0.1 < 0.07)
    colour = mix(sign, np.where((text & (s.x > 0))[:, None], (0.95, 0.55, 0.1), 0.05), colour)
    seats = 0.04 + 0.07 * (hashed(s.x // 0.8, s.style[:, 2]) > 0.5)[:, None] * np.ones(3)
    colour = _lamps(s, 0.62, 0.8, mix(glass, seats, colour))
    return with_gloss(colour, np.where(glass, 0.5, 0.12))


def cab(s: SurfacePoints) -> np.ndarray:
    """The cab of a truck. style: x of the front, heights of sill and top, x of the axle."""
    front, sill, top, axle = s.style.T
    ends, flank = (s.normal[0] > 0.45) & (s.x > front - 0.9), s.normal[1] > 0.6
    glass = (s.z > sill) & (s.z < top - 0.35) & ends & (np.abs(s.y) < 0.98)
    glass |= (s.z > sill) & (s.z < top - 0.4) & flank & (s.x > front - 1.2) & (s.x < front - 0.25)
    gap = flank & (np.abs(s.x - front + 1.3) < 0.015)
    grille = ends & (s.z < sill - 0.25) & (s.z > 0.6) & (np.abs(s.y) < 0.8)
    bars = 0.3 + 0.7 * (s.z % 0.12 < 0.05) * s.fade(0.05)
    colour = mix(grille, s.colour * 0.5 * bars[:, None], s.colour)
    arch = flank & (np.hypot(s.x - axle, s.z - 0.48) < 0.6)
    colour = mix((s.z < 0.5) | gap | arch, (0.06, 0.06, 0.06), colour)
    colour = _lamps(s, 0.72, 0.75, mix(glass, (0.05, 0.05, 0.06), colour))
    return with_gloss(colour, 0.4 * glass + 0.1)


def tyre(s: SurfacePoints) -> np.ndarray:
    """A tyre with a spoked rim. style: x and z of the hub, radius."""
    x, z = s.x - s.style[:, 0], s.z - s.style[:, 1]
    out = np.hypot(x, z) / s.style[:, 2]
    spoke = np.cos(5 * np.arctan2(z, x)) > -0.2
    rim = np.where(((out < 0.2) | spoke | (out > 0.6))[:, None], (0.5, 0.5, 0.52), 0.06)
    rubber = 0.035 + 0.02 * (out > 0.9)[:, None] * np.ones(3)
    return mix((out < 0.68) & (s.normal[1] > 0.7), rim, rubber)


def machine(s: SurfacePoints) -> np.ndarray:
    """Painted steel with dust and mud. style: seed."""
    colour = s.colour * (1 + 0.08 * noise(s, 0.03))
    colour = mix(0.3 * np.clip(noise(s, 0.08)[:, 0], 0, 1), (0.42, 0.36, 0.28), colour)
    return with_gloss(mix(s.z < 0.25, (0.2, 0.17, 0.14), colour), 0.06)


def plate(s: SurfacePoints) -> np.ndarray:
    """The face of a traffic sign: rim, ground, bar. style: seed, height of the centre, radius."""
    y, z = s.y / s.style[:, 2], (s.z - s.style[:, 1]) / s.style[:, 2]
    seed = s.style[:, 0]
    rim = np.hypot(y, z) > 0.74
    bar = (np.abs(z) < 0.16) & (np.abs(y) < 0.6) | (np.abs(y) < 0.12) & (seed > 0.4) & ~rim
    blue, red = (0.06, 0.2, 0.55), (0.66, 0.05, 0.06)
    ground = np.where((seed > 0.66)[:, None], blue, np.where((seed > 0.33)[:, None], 0.9, red))
    edge = np.where((seed > 0.66)[:, None], blue, red)
    ink = np.where(((seed > 0.33) & (seed < 0.66))[:, None], 0.05, 0.92)
    colour = mix(rim, edge, mix(bar, ink, ground))
    return np.where((s.normal[0] > 0.7)[:, None] & (s.x > 0)[:, None], colour, (0.5, 0.5, 0.5))


def striped(s: SurfacePoints) -> np.ndarray:
    """White bands, horizontal on a cone, slanted on a barrier. style: 1 for slanted, width."""
    width = s.style[:, 1]
    slanted, level = (s.x + s.z) % (2 * width) < width, np.abs((s.z - 0.32) % 0.26 - 0.1) < 0.075
    white = np.where(s.style[:, 0] > 0.5, slanted, level & (s.z > 0.2) & (s.z < 0.68))
    dirt = 1 + 0.06 * noise(s, 0.03)
    return mix(white, (0.9, 0.9, 0.88), s.colour) * dirt


def cloth(s: SurfacePoints) -> np.ndarray:
    """Clothes with folds. style: seed."""
    return s.colour * (1 + 0.12 * noise(s, 0.008))


def glazed(s: SurfacePoints) -> np.ndarray:
    """Glass, or another glossy surface."""
    return with_gloss(s.colour * (1 + 0.2 * noise(s, 0.1)), 0.55)


def plain_wall(s: SurfacePoints) -> np.ndarray:
    """A wall without openings. style: seed, -, -, kind of `facade`."""
    return facade(s, wall_along(s))


def lattice(s: SurfacePoints) -> np.ndarray:
    """Vertical bars, as of a balcony."""
    return s.colour * (1 - 0.3 * (s.x % 0.12 < 0.03) * s.fade(0.03))[:, None]


def plain(s: SurfacePoints) -> np.ndarray:
    """One colour with weak noise."""
    return s.colour * (1 + 0.06 * noise(s, 0.02))
