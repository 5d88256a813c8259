"""Choice of the ground's settings on hills.

On simulated streets that are used for nothing else, with three lidars, on level ground and on hills
of two slopes: foreground as shipped, with each setting of the ground changed alone, and the error
of the heights above the ground, which the street knows exactly.
"""

from collections.abc import Iterator

import numpy as np
import torch

from kit.bench import Row
from kit.bench.discover_settings import TOLERANCE, UNIT, VALUES, changed_settings, measured_on
from kit.data.ground import height_above_ground
from kit.discover.settings import DiscoverConfig
from kit.street.dataset import Street

SENSORS = ("nuscenes", "pandaset", "kitti")
SLOPES = (0.0, 0.05, 0.1)  # root mean square
GROUND = {name: values for name, values in VALUES.items() if name.startswith("ground")}
NEAR = 50.0  # metres from the lidar, in which heights are compared


def rows(data: str | None, device: str) -> Iterator[Row]:
    """Measure every setting on every slope; `data` is not used."""
    lost = 0.0
    for slope in SLOPES:
        streets = [
            Street(num_scenes=4, keyframes_per_scene=1, seed=3200, sensor=sensor, hills=slope)
            for sensor in SENSORS
        ]
        measure, title = measured_on(streets), f"slope {slope:.0%}"
        shipped = best = measure()
        yield Row(f"{title}, as shipped", shipped, UNIT)
        yield Row(f"{title}, as shipped, heights", _height_error(streets, DiscoverConfig()), "m")
        for changed, config in changed_settings(GROUND):
            score = measure(config=config)
            best = max(best, score)
            yield Row(f"{title}, {changed}", score, UNIT)
            yield Row(f"{title}, {changed}, heights", _height_error(streets, config), "m")
        lost = max(lost, best - shipped)
    yield Row("lost against the best of them, on any slope", lost, UNIT, f"<= {TOLERANCE}")


def _height_error(streets: list[Street], config: DiscoverConfig) -> float:
    """Error of heights above the ground, metres: 90 % of the points near the lidar have less."""
    errors = []
    for street in streets:
        for index, moment in enumerate(street.moments):
            points = street[index].points
            T = torch.from_numpy(moment.T_world_lidar(np.zeros(1))[0])
            world = (points.double() @ T[:3, :3].T + T[:3, 3]).numpy()
            exact = world[:, 2] - moment.draw_scene().terrain.elevation(world[:, 0], world[:, 1])
            near = points[:, :2].norm(dim=1) < NEAR
            errors.append(np.abs(height_above_ground(points, config.ground).numpy() - exact)[near])
    return float(np.quantile(np.concatenate(errors), 0.9))
