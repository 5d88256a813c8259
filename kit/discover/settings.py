"""Settings of discovery, all in one place."""

from dataclasses import dataclass

from kit.data.ground import Ground
from kit.store.ranges import check_choice, check_number, check_whole

PRIORS = ("none", "veto", "both")


@dataclass(frozen=True)
class DiscoverConfig:
    """Settings of discovery. Lengths are in metres, heights are above the ground.

    Simulated streets chose the defaults of foreground and components: see
    `python -m kit bench discover_settings`.

    Attributes:
        ground_radius: the plane of the ground is fitted to points within this distance of the
            lidar; this and the next three are those of `kit.data.ground.Ground`.
        ground_cell: size of the cells whose lowest points may be ground.
        ground_node: distance between the nodes of the smooth surface that bends the plane.
        ground_stiffness: how much that surface resists bending.
        ground_tolerance: points that are closer to the ground than this are ground.
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
        max_component_length: longer components are walls, fences and hedges, not foreground.
        component_neighbours: nearest points, itself included, to which a point may be connected.
        surface_neighbours: nearest points, itself included, from which surface variation is
            computed.
        surface_voxel: one point of each voxel of this size is used for surface variation. Without
            it, a wall near the lidar is as rough as the noise.
        prior: what a prior of foreground may do that was learned on simulated streets, for features
            of the teacher that comes with the kit or of a student distilled from it: "none";
            "veto": refute foreground of the shape; "both": also keep what the shape takes for
            background from being learned as such, for hills and hedges. See `kit.discover.prior`.
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

    ground_radius: float = Ground.radius
    ground_cell: float = Ground.cell
    ground_node: float = Ground.node
    ground_stiffness: float = Ground.stiffness
    ground_tolerance: float = 0.2
    column_cell: float = 0.5
    min_height: float = 0.3
    max_height: float = 2.0
    max_top: float = 3.2
    tall_top: float = 4.0
    max_surface_variation: float = 0.06
    component_floor: float = 0.15
    component_gap: float = 0.5
    component_gap_per_metre: float = 0.025
    max_component_length: float = 18.0
    component_neighbours: int = 10
    surface_neighbours: int = 14
    surface_voxel: float = 0.1
    prior: str = "veto"
    rounds: int = 1
    examples: int = 3000
    seed: int = 0
    object_floor: float = 0.25
    own_radius: float = 1.5
    object_gap: float = 0.6
    object_min_points: int = 20
    max_object_length: float = 25.0

    def __post_init__(self):
        check_choice(self, prior=PRIORS)
        for name, (low, high) in _LENGTHS.items():
            check_number(self, low, high, name)
        for name, (low, high) in _COUNTS.items():
            check_whole(self, low, high, name)
        if not self.max_height > self.min_height:
            raise ValueError(
                f"max_height must be above min_height = {self.min_height}, got {self.max_height}"
            )

    @property
    def ground(self) -> Ground:
        """How the ground is fitted."""
        return Ground(self.ground_radius, self.ground_cell, self.ground_node, self.ground_stiffness)


# Lowest and highest values: lengths in metres and ratios, then whole numbers. Cells and voxels of a
# centimetre are the smallest that can be numbered.
_LENGTHS = {
    "ground_radius": (0.1, 1e4),
    "ground_cell": (0.01, 1e3),
    "ground_node": (0.5, 100),
    "ground_stiffness": (1e-3, 1e9),
    "ground_tolerance": (1e-3, 100),
    "column_cell": (0.01, 1e3),
    "min_height": (0, 1e3),
    "max_height": (0, 1e3),
    "max_top": (1e-3, 1e3),
    "tall_top": (1e-3, 1e3),
    "max_surface_variation": (0, 1),
    "component_floor": (0, 1e3),
    "component_gap": (1e-3, 1e3),
    "component_gap_per_metre": (0, 10),
    "max_component_length": (0.1, 1e4),
    "surface_voxel": (0.01, 1e3),
    "object_floor": (0, 1e3),
    "own_radius": (0, 1e4),
    "object_gap": (1e-3, 1e3),
    "max_object_length": (1e-3, 1e4),
}
_COUNTS = {
    "component_neighbours": (1, 1000),
    "surface_neighbours": (3, 1000),
    "rounds": (0, 1000),
    "examples": (1, 10**9),
    "object_min_points": (1, 10**9),
    "seed": (-(2**62), 2**62),
}
