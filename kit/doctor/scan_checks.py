"""Checks of scans: axes, unit, range, beams, empty slots, duplicates, own car, intensity."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kit.data.keyframe import Keyframe, Sensor
from kit.doctor.findings import Finding

NEAR_SENSOR = 0.3  # metres; nearer points are slots without a return
OWN_CAR = 2.5  # metres; nearer points are on the own car
MANY = 0.01  # ratio of the points that is worth a finding
FAR = 300.0  # metres; a median beyond shows that the unit is not metres
CLOSE = 1.0  # metres; all points nearer show the same
GROUND = 0.3  # metres, thickness of the layer that holds most points
SECTOR = 0.4  # degrees of azimuth
SAME_BEAM = 0.07  # degrees of elevation
USUAL_BEAMS = (1, 4, 8, 16, 32, 40, 64, 80, 128, 256)
BRIGHT_UNITS = ((1.0, "0 to 1"), (255.0, "0 to 255"), (65_535.0, "0 to 65,535"))


@dataclass(frozen=True)
class ScanFacts:
    """Measured properties of one scan.

    Attributes:
        num_points, num_dropped, num_duplicates, num_empty, num_near: counts; empty slots lie at
            the sensor, near points are within `OWN_CAR`.
        ranges: metres, percentiles 1, 50 and 99 of the points that are not empty.
        num_beams: of the lidar, about; 0 for fewer than 1,000 points.
        elevations: degrees, percentiles 0.1 and 99.9.
        ground: ratio of the points in the fullest layer across x, y and z, and where it is (m).
        intensity: minimum, percentiles 1, 50 and 99, maximum.
        num_intensities: number of different values.
    """

    num_points: int
    num_dropped: int
    num_duplicates: int
    num_empty: int
    num_near: int
    ranges: tuple[float, float, float]
    num_beams: int
    elevations: tuple[float, float]
    ground: tuple[tuple[float, float], ...]
    intensity: tuple[float, float, float, float, float]
    num_intensities: int


def scan_facts(keyframe: Keyframe) -> ScanFacts:
    """Measure a scan."""
    points = keyframe.points.double().numpy()
    distance = np.linalg.norm(points, axis=1)
    empty = distance < NEAR_SENSOR
    rest, away = points[~empty], distance[~empty]
    intensity = keyframe.intensity.double().numpy()
    low, middle, high = np.percentile(away, (1, 50, 99)) if len(away) else (0.0, 0.0, 0.0)
    elevation = np.degrees(np.arcsin(np.clip(rest[:, 2] / np.maximum(away, 1e-9), -1, 1)))
    rows = np.ascontiguousarray(keyframe.points.numpy()[~empty])
    distinct = np.unique(rows.view([("", rows.dtype)] * 3)) if len(rows) else rows
    return ScanFacts(
        num_points=len(points),
        num_dropped=keyframe.num_dropped,
        num_duplicates=len(rows) - len(distinct),
        num_empty=int(empty.sum()),
        num_near=int((away < OWN_CAR).sum()),
        ranges=(float(low), float(middle), float(high)),
        num_beams=count_beams(rest),
        elevations=tuple(map(float, np.percentile(elevation, (0.1, 99.9))))
        if len(rest)
        else (0, 0),
        ground=tuple(_fullest_layer(rest, axis) for axis in range(3)),
        intensity=tuple(float(v) for v in np.percentile(intensity, (0, 1, 50, 99, 100))),
        num_intensities=len(np.unique(intensity)),
    )


def count_beams(points: np.ndarray) -> int:
    """Count the beams of a lidar whose frame has its origin at the lidar and its z axis up.

    In a narrow sector of azimuths, points of one beam have nearly the same elevation. The result is
    the number of different elevations in all but the fullest tenth of the sectors, where two turns
    of a beam may overlap. It is rounded to a usual number of beams if one is near.
    """
    if len(points) < 1000:
        return 0
    away = np.linalg.norm(points, axis=1)
    elevation = np.degrees(np.arcsin(np.clip(points[:, 2] / away, -1, 1)))
    sector = (np.degrees(np.arctan2(points[:, 1], points[:, 0])) // SECTOR).astype(np.int64)
    order = np.lexsort((elevation, sector))
    sector, elevation = sector[order], elevation[order]
    begins = (np.diff(sector) != 0) | (np.diff(elevation) > SAME_BEAM)
    counts = np.bincount(sector[np.concatenate([[True], begins])] - sector.min())
    count = float(np.percentile(counts[counts > 0], 90))
    nearest = min(USUAL_BEAMS, key=lambda beams: abs(beams - count))
    return nearest if abs(nearest / count - 1) < 0.13 else round(count)


def _fullest_layer(points: np.ndarray, axis: int) -> tuple[float, float]:
    """Ratio of the points 3 to 30 m away in the fullest layer across an axis, and its place."""
    away = np.linalg.norm(points, axis=1)
    values = points[(away > 3) & (away < 30), axis]
    if len(values) < 100:
        return 0.0, 0.0
    counts, edges = np.histogram(values, np.arange(-30, 30 + GROUND, GROUND))
    pairs = counts[1:] + counts[:-1]
    best = int(pairs.argmax())
    return float(pairs[best] / len(values)), float(edges[best + 1])


def check_scans(facts: Mapping[int, ScanFacts], sensor: Sensor) -> Iterator[Finding]:
    """Findings about the scans of all examined keyframes."""
    scans = list(facts.values())
    yield from _check_unit(scans)
    yield from _check_axes(scans)
    yield from _check_rows(scans)
    yield from _check_intensity(facts, sensor)


def _check_unit(scans: Sequence[ScanFacts]) -> Iterator[Finding]:
    middle, far = (float(np.median([scan.ranges[i] for scan in scans])) for i in (1, 2))
    if middle > FAR:
        yield Finding(
            "problem",
            "points",
            f"half of the points are farther than {middle:,.0f} m: the unit is not metres, or the "
            "points are in a global frame",
            "points /= 1000 for millimetres; or take global points to the lidar frame",
        )
    elif far < CLOSE:
        yield Finding(
            "problem",
            "points",
            f"99 % of the points are nearer than {far:.2g} m: the unit is not metres",
            "points *= 1000 for kilometres; or undo the normalisation",
        )


def _check_axes(scans: Sequence[ScanFacts]) -> Iterator[Finding]:
    """The ground is the fullest layer of a scan; it lies across the z axis, below the lidar."""
    layers = np.median([scan.ground for scan in scans], axis=0)  # (3, 2) ratio and place
    fullest = int(layers[:, 0].argmax())
    if layers[fullest, 0] < 0.2:
        return
    if fullest != 2 and layers[fullest, 0] > 1.5 * layers[2, 0]:
        name, place = "xyz"[fullest], layers[fullest, 1]
        swap = "points[:, [0, 2, 1]] * [1, -1, 1]" if fullest == 1 else "points[:, [2, 1, 0]] * ..."
        yield Finding(
            "problem",
            "points",
            f"another axis convention: {layers[fullest, 0]:.0%} of the points lie in one layer at "
            f"{name} = {place:.1f} m, so {name} seems to be the vertical axis. Expected z up",
            f"points = {swap} so that z points up, and the extrinsics with them",
        )
    elif fullest == 2 and layers[2, 1] > 0.5:
        yield Finding(
            "problem",
            "points",
            f"another axis convention: the ground is at z = {layers[2, 1]:+.1f} m, above the "
            "lidar, so z seems to point down",
            "points *= [1, -1, -1], and T_cam_lidar = T_cam_lidar @ diag([1, -1, -1, 1])",
        )


def _check_rows(scans: Sequence[ScanFacts]) -> Iterator[Finding]:
    total = sum(scan.num_points for scan in scans)
    empty, near, twice, dropped = (
        sum(getattr(scan, name) for scan in scans)
        for name in ("num_empty", "num_near", "num_duplicates", "num_dropped")
    )
    if empty > MANY * total:
        yield Finding(
            "warning",
            "points",
            f"{empty / total:.0%} of the points lie within {NEAR_SENSOR} m of the origin: slots "
            "without a return",
            f"keep = points.norm(dim=1) > {NEAR_SENSOR}, when the scans are read",
        )
    if twice > MANY * total:
        yield Finding(
            "warning",
            "points",
            f"{twice / total:.0%} of the points are duplicates of others (the same x, y, z)",
            "numpy.unique(points, axis=0), unless two returns of a beam were meant",
        )
    if near > MANY * total:
        yield Finding(
            "note",
            "points",
            f"{near / total:.0%} of the points are nearer than {OWN_CAR} m: probably hits on the "
            "own car, which look the same in every scan",
            f"keep = points.norm(dim=1) > {OWN_CAR}, if they disturb",
        )
    if dropped > MANY * (total + dropped):
        yield Finding(
            "note",
            "points",
            f"{dropped / (total + dropped):.0%} of the rows of the files are not finite or out of "
            "range; they are dropped",
        )


def _check_intensity(facts: Mapping[int, ScanFacts], sensor: Sensor) -> Iterator[Finding]:
    scans = list(facts.values())
    if all(scan.num_intensities == 1 for scan in scans):
        value = scans[0].intensity[0]
        yield Finding(
            "warning",
            "intensity",
            f"all intensities are {value:g}: the scans have none",
            "fill the column if your lidar measures it; without it students learn from shape only",
        )
        return
    if min(scan.intensity[0] for scan in scans) < 0:
        yield Finding(
            "warning",
            "intensity",
            f"there are negative intensities, down to {min(s.intensity[0] for s in scans):.3g}",
            "is this column another quantity, or already normalised? Give raw intensities",
        )
    units = {number: unit_of(scan) for number, scan in facts.items() if scan.num_intensities > 1}
    if len(set(units.values())) > 1 and _differ(scans):
        yield Finding(
            "problem",
            "intensity",
            "scans have different units: " + ", ".join(sorted(set(units.values()))),
            "scale the intensities of some scans, so that all have one unit",
        )
    middle = float(np.median([scan.intensity[2] for scan in scans]))
    off = abs(middle - sensor.intensity_mean) / sensor.intensity_std
    if off > 5:
        yield Finding(
            "problem",
            "intensity",
            f"the median is {middle:.3g}, but the sensor has a mean of {sensor.intensity_mean:.3g} "
            f"and a deviation of {sensor.intensity_std:.3g}: another unit",
            "kit.Sensor(name, float(intensity.mean()), float(intensity.std())) with your scans",
        )


def unit_of(scan: ScanFacts) -> str:
    """The smallest usual unit that holds the intensities of a scan."""
    return next((name for most, name in BRIGHT_UNITS if scan.intensity[4] <= most), "larger")


def _differ(scans: Sequence[ScanFacts]) -> bool:
    """Whether the spread of intensities of two scans differs by more than a factor of 50."""
    spread = [s.intensity[3] - s.intensity[1] for s in scans if s.intensity[3] > s.intensity[1]]
    return bool(spread) and max(spread) > 50 * min(spread)
