"""Point clouds in space as data: the content of a 3-D picture and its viewpoint.

Nothing here draws. `kit.show.figures` turns a `Scene` into a plotly figure and `kit.show.png` into
pixels; the explorer's PNG is drawn from the same `Scene`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Integer

from kit.show.arrays import Number
from kit.store.ranges import check_number

Place = tuple[float, float, float, float]  # left, low, right, high; fractions of the plot area
WHOLE: Place = (0.0, 0.0, 1.0, 1.0)

# Eye and target of the first view in half box widths: behind and above the ego, looking forward.
EYE = np.array([-0.16, -0.78, 0.50])
TARGET = np.array([0.0, 0.06, -0.03])
PIN_HEIGHT = 0.07  # half box widths
MAX_SIZE = 100  # of a point


def check_limit(limit: Number) -> None:
    """Raise ValueError unless the limit of a view is a centimetre or more; infinite: no limit."""
    if not limit >= 0.01:  # NaN compares as False
        raise ValueError(f"limit must be a positive number of metres, at least 0.01, got {limit}")


@dataclass(frozen=True, eq=False)
class Viewpoint:
    """A pinhole camera that looks from `eye` at `centre`; lengths in any one unit.

    Attributes:
        eye, centre, up: (3,) positions, and the direction that is up in the picture.
        field_of_view: degrees between the lower and the upper border; plotly's is 45.
    """

    eye: Float[np.ndarray, "3"]
    centre: Float[np.ndarray, "3"]
    up: Float[np.ndarray, "3"]
    field_of_view: float = 45.0

    @classmethod
    def orbit(
        cls,
        target: Sequence[Number],
        distance: Number,
        azimuth: Number,
        elevation: Number,
        fov: Number,
        aspect: Number = 1.0,
    ) -> "Viewpoint":
        """Look at a target from a distance, as the explorer's trait `view` describes it.

        Args:
            target: (3,) metres, lidar frame.
            distance: from the target, metres.
            azimuth: degrees; 0 looks along y, 90 along x.
            elevation: degrees above the target.
            fov: degrees, over the shorter side of the picture.
            aspect: width by height of the picture.
        """
        turn, tilt = np.radians(float(azimuth)), np.radians(float(elevation))
        level = np.array([np.sin(turn), np.cos(turn), 0.0])
        ahead = level * np.cos(tilt) - np.array([0.0, 0.0, np.sin(tilt)])
        up = level * np.sin(tilt) + np.array([0.0, 0.0, np.cos(tilt)])
        centre = np.array(target, dtype=np.float64)
        half = np.tan(np.radians(fov) / 2) / min(aspect, 1.0)
        return cls(centre - distance * ahead, centre, up, float(2 * np.degrees(np.arctan(half))))

    @classmethod
    def behind(cls, box: "Box", farther: Number = 1.0) -> "Viewpoint":
        """Look at a box from behind and above, `farther` times the usual distance away."""
        floor = np.array([*((box.low + box.high) / 2)[:2], box.ground])
        centre = floor + box.half * TARGET
        return cls(centre + box.half * farther * (EYE - TARGET), centre, np.array([0.0, 0.0, 1.0]))


@dataclass(frozen=True, eq=False)
class CameraView(Viewpoint):
    """The view of a pinhole camera: its image as large as fits, in the middle of the picture.

    Attributes:
        matrix: (3, 4), from the lidar frame to homogeneous pixels of the image: K T_cam_lidar[:3].
        image_size: (height, width) of the image in pixels.
    """

    matrix: Float[np.ndarray, "3 4"] = field(kw_only=True)
    image_size: tuple[int, int] = field(kw_only=True)

    @classmethod
    def of(
        cls,
        T_cam_lidar: Float[np.ndarray, "4 4"],
        K: Float[np.ndarray, "3 3"],
        image_size: tuple[int, int],
        aspect: Number = 1.0,
    ) -> "CameraView":
        """Look through a camera.

        Args:
            T_cam_lidar: extrinsics, metres; the camera looks along z, y points down.
            K: intrinsics, pixels.
            image_size: (height, width) in pixels.
            aspect: width by height of the picture.
        """
        turn, shift = T_cam_lidar[:3, :3], T_cam_lidar[:3, 3]
        eye = -turn.T @ shift
        height, width = image_size
        half = max(height, width / aspect) / 2 / K[1, 1]  # of the picture, at a depth of 1
        angle = float(2 * np.degrees(np.arctan(half)))
        matrix = K @ T_cam_lidar[:3]
        return cls(eye, eye + turn[2], -turn[1], angle, matrix=matrix, image_size=image_size)

    def project(
        self, points: Float[np.ndarray, "N 3"], image_size: tuple[int, int]
    ) -> tuple[Float[np.ndarray, "N 2"], Float[np.ndarray, " N"]]:
        """The pixel (column, row) of a picture and the depth of points in the lidar frame."""
        moved = points @ self.matrix[:, :3].T + self.matrix[:, 3]  # (N, 3)
        depth = moved[:, 2]
        own, whole = np.array(self.image_size[::-1]), np.array(image_size[::-1])
        scale = (whole / own).min()
        safe = np.where(depth > 0, depth, np.nan)
        return scale * moved[:, :2] / safe[:, None] + (whole - scale * own) / 2, depth


@dataclass(frozen=True, eq=False)
class Box:
    """The part of space a scene shows, metres, lidar frame; points outside are cut off.

    Attributes:
        low, high: (3,) corners.
        ground: height z of the range rings.
        around_ego: the box is centred on the lidar.
    """

    low: Float[np.ndarray, "3"]
    high: Float[np.ndarray, "3"]
    ground: float
    around_ego: bool

    @property
    def half(self) -> float:
        """Half the width in x and y."""
        return float(self.high[0] - self.low[0]) / 2

    def contains(self, points: Float[np.ndarray, "N 3"]) -> np.ndarray:
        """Mask (N,) of the points that lie inside."""
        return ((points >= self.low) & (points <= self.high)).all(1)

    def ring_labels(self) -> tuple[list[str], Float[np.ndarray, "R 3"]]:
        """Radius of each ring, of every second one if there are many, and where it is written.

        Straight ahead of the ego: the first view shows this direction in a panel of any width.
        """
        radii = self.rings()
        radii = radii[1::2] if len(radii) > 2 else radii
        texts = [f"{radius:g} m" for radius in radii]
        return texts, np.stack([0 * radii, radii, np.full(len(radii), self.ground)], axis=1)

    def rings(self) -> np.ndarray:
        """Radii in metres of at most four range rings that fit; none unless centred on the ego."""
        if not self.around_ego:
            return np.empty(0)
        step = next(s for s in (50, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0) if self.half / 2.4 >= s)
        radii = np.arange(1.0, 5.0) * step
        return radii[(radii > 0) & (radii < 0.97 * self.half)]

    @classmethod
    def around(cls, points: Float[np.ndarray, "N 3"], limit: Number) -> "Box":
        """Fit a box around the ego, at most `limit` metres to each side; z without its outliers.

        Where most points lie beyond the limit (a crop far away) the box is centred on their median.

        Raises:
            ValueError: a limit that is not positive.
        """
        check_limit(limit)
        centre = np.zeros(2)
        around_ego = bool((np.abs(points[:, :2]).max(1) <= limit).mean() >= 0.5)
        if not around_ego:
            centre = np.median(points[:, :2], axis=0).astype(np.float64)
        off = np.abs(points[:, :2] - centre).max(1)  # (N,) metres to the side or ahead
        half = float(np.clip(off.max() * 1.02, 0.5, limit))
        inside = off <= half
        z = points[inside if inside.any() else slice(None), 2]
        z_low, z_high = np.percentile(z, [0.2, 99.8])
        pad = max(0.05 * (z_high - z_low), 0.05 * half)
        low = np.array([centre[0] - half, centre[1] - half, z_low - pad])
        high = np.array([centre[0] + half, centre[1] + half, z_high + pad])
        return cls(low, high, float(np.percentile(z, 5)), around_ego)


@dataclass(frozen=True)
class SizeInSpace:
    """A point size that shrinks with distance.

    Attributes:
        metres: diameter in space.
        least, most: limits of the diameter in the picture, pixels.
        spread: added to the diameter for each metre from the lidar, metres; far points of a scan
            lie farther apart.
    """

    metres: float
    least: float
    most: float
    spread: float = 0.0


@dataclass(frozen=True, eq=False)
class Cloud:
    """Coloured points.

    Attributes:
        points: (N, 3) metres, lidar frame.
        colour: (N,) numbers on the picture's scale, (N, 3) uint8 red, green, blue, or one
            "#rrggbb" for all.
        size: of a point; 1 is about 1.7 pixels. Or a size in space.
        index: (N,) which points of the keyframe these are.
        name: in the legend.
        in_legend: the legend lists the cloud; clouds of one name share an entry.
        hover: text for all points, or for each; hovering tells it before place and index.

    Raises:
        ValueError: a size out of its range.
    """

    points: Float[np.ndarray, "N 3"]
    colour: np.ndarray | str
    size: Number | SizeInSpace
    index: Integer[np.ndarray, " N"]
    name: str = ""
    in_legend: bool = False
    hover: str | Sequence[str] = ""

    def __post_init__(self):
        if not isinstance(self.size, SizeInSpace):
            check_number(self, 0, MAX_SIZE, "size", above=True)


@dataclass(frozen=True, eq=False)
class Scene:
    """Point clouds in space, seen from one viewpoint.

    Attributes:
        clouds: nearer points hide farther ones.
        view: the first viewpoint; a figure can be turned.
        box: what is shown of space, with range rings and the ego; None: everything, without them.
        name: above the panel.
        pins: (3,) points that a pin marks.
        background: red, green, blue in 0..255.
        shading: strength of the depth shading, as in the explorer; 0: none.
    """

    clouds: tuple[Cloud, ...]
    view: Viewpoint
    box: Box | None = None
    name: str = ""
    pins: tuple[np.ndarray, ...] = ()
    background: tuple[int, int, int] = (255, 255, 255)
    place: Place = WHOLE
    shading: Number = 0

    @property
    def marks(self) -> tuple[Cloud, ...]:
        """The clouds, by the name that a chart uses."""
        return self.clouds
