"""Settings of discovery, all in one place."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DiscoverConfig:
    """Settings of discovery. Lengths are in metres, heights are above the ground.

    Simulated streets chose the defaults of foreground and components: see
    `python -m kit bench discover_settings`.

    Attributes:
        ground_radius: the plane of the ground is fitted to points within this distance of the
            lidar.
        ground_cell: size of the cells whose lowest points may be ground.
        ground_tolerance: points that are closer to the plane than this are ground.
        column_cell: size of the cells in which the highest point above a place is searched.
        min_height: lowest height at which a point of a movable object is recognised.
        max_height: highest such height. Other heights are undecided, unless ground or tall.
        max_top: most movable objects have no point higher than this.
        tall_top: where the highest point is above this, a house, a tree or a pole stands.
        max_surface_variation: mean surface variation of a component, 0 to 1/3. Leaves have more
            than this, vehicles and barriers have less.
        component_floor: lower points are ground; they would connect everything.
        component_gap: closer points belong to one component.
        component_gap_per_metre: times a point's range, this gap replaces `component_gap` where it
            is larger. The rings of a 32-beam lidar are 0.023 m apart at a range of one metre.
        component_neighbours: nearest points, itself included, to which a point may be connected.
        surface_neighbours: nearest points, itself included, from which surface variation is
            computed.
        surface_voxel: one point of each voxel of this size is used for surface variation. Without
            it, a wall near the lidar is as rough as the noise.
        rounds: trainings of the linear layer; from the second one on, on its own scores. 0: the
            shape of the scan alone.
        examples: points drawn for each side of every training.
        seed: of the points drawn.
        object_floor: lower points belong to no object.
        own_radius: points closer to the lidar's vertical axis are on the vehicle that carries it.
        object_gap: closer points belong to one object.
        object_min_points: objects with fewer points are dropped.
        max_object_length: longer objects are walls, and are dropped.

    Raises:
        ValueError: a value outside of its range.
    """

    ground_radius: float = 40.0
    ground_cell: float = 2.0
    ground_tolerance: float = 0.2
    column_cell: float = 0.5
    min_height: float = 0.5
    max_height: float = 2.0
    max_top: float = 3.2
    tall_top: float = 4.0
    max_surface_variation: float = 0.07
    component_floor: float = 0.15
    component_gap: float = 0.5
    component_gap_per_metre: float = 0.025
    component_neighbours: int = 10
    surface_neighbours: int = 32
    surface_voxel: float = 0.1
    rounds: int = 1
    examples: int = 3000
    seed: int = 0
    object_floor: float = 0.25
    own_radius: float = 1.5
    object_gap: float = 0.6
    object_min_points: int = 20
    max_object_length: float = 25.0

    def __post_init__(self):
        for name, lowest in _AT_LEAST.items():
            if not getattr(self, name) >= lowest:
                raise ValueError(f"{name} must be at least {lowest}, got {getattr(self, name)}")
        for name in _POSITIVE:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        if not self.max_height > self.min_height:
            raise ValueError(
                f"max_height must be above min_height = {self.min_height}, got {self.max_height}"
            )


_POSITIVE = (
    "ground_radius",
    "ground_cell",
    "ground_tolerance",
    "column_cell",
    "max_top",
    "tall_top",
    "component_gap",
    "surface_voxel",
    "object_gap",
    "max_object_length",
)
_AT_LEAST = {
    "min_height": 0,
    "max_surface_variation": 0,
    "component_floor": 0,
    "component_gap_per_metre": 0,
    "component_neighbours": 1,
    "surface_neighbours": 3,
    "rounds": 0,
    "examples": 1,
    "object_floor": 0,
    "own_radius": 0,
    "object_min_points": 1,
}
