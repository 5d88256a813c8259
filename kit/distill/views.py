"""Views: the points of a keyframe that a camera sees, prepared for a student, and their pixels.

What a view holds can be changed by name, for ablations: which camera is drawn, what happens to
points hidden in an image, and whether beams of the lidar are left out.

Source: one training sample of ScaLR (arXiv:2310.17504): one camera drawn at random, only the points
    it sees, hidden ones included, points augmented, images not.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor

from kit.data.annotations import PixelAnnotations
from kit.data.keyframe import Camera, Keyframe
from kit.geometry import k_nearest
from kit.projection import HIDDEN, NUM_NEIGHBOURS, hidden_points, project_into
from kit.store.ranges import check_choice
from kit.student.augment import rotate_flip_scale, vary_sensor
from kit.student.beams import drop_beams
from kit.student.scans import InputConfig, NoPointsLeft, Scan, prepare_scan

LEAST_POINTS = 2  # of a view; statistics over a batch need two
HIDDEN_OR_EXACT = (*HIDDEN, "exact")
CAMERAS = ("one", "all")


@dataclass(frozen=True)
class ViewConfig:
    """What the views of a distillation hold; the defaults are ScaLR's.

    Attributes:
        augment: rotate, flip and scale the points.
        hidden: points that are in a camera's image, but behind something nearer. "kept": they are
            paired with the pixel of what is in front. "left out": those that `hidden_points` finds
            are not in the view. "from neighbours": those are in the view, and their target is the
            mean of the nearest points that are not hidden. "exact": left out by the annotations of
            a simulation, without error.
        cameras: "one": a camera drawn at random, and only the points that it sees. "all": the
            whole scan, with the pixels of all cameras; if several see a point, the last one counts
            (D-DITR).
        beam_drop: probability that a view keeps only every second or every fourth beam of the
            lidar, 0 to 1.
        sensor_jitter: probability that a view is changed as if another lidar, mounted in another
            way, had recorded it (`vary_sensor`), 0 to 1.

    Raises:
        ValueError: an unknown name.
    """

    augment: bool = True
    hidden: str = "kept"
    cameras: str = "one"
    beam_drop: float = 0.0
    sensor_jitter: float = 0.0

    def __post_init__(self):
        check_choice(self, hidden=HIDDEN_OR_EXACT, cameras=CAMERAS)


@dataclass(frozen=True)
class View:
    """The pairs of one camera: points prepared for a student, and their pixels.

    Attributes:
        scan: N points; with all cameras, the views of a keyframe have the same scan.
        uv: (M, 2) column and row of the pairs' pixels in the camera's own image.
        camera: the camera.
        labels: (M,) class of each pair's point; None if the keyframe has no labels.
        point_of_pair: (M,) the point of each pair, a row of `scan`; None: pair i has point i, and M
            is N.
        borrowed: (M, K) pairs whose mean target is the target of each pair; None: its own.
        pixels: function that returns the exact annotations of the image; None for recordings.
        moment: 0, or -1 and 1 for the keyframe before and after another one, see `moments.py`.
        image: as the teacher takes it, if it was decoded with the batch; None: it was not.
    """

    scan: Scan
    uv: Float[Tensor, "M 2"]
    camera: Camera
    labels: Int[Tensor, " M"] | None = None
    point_of_pair: Int[Tensor, " M"] | None = None
    borrowed: Int[Tensor, "M K"] | None = None
    pixels: Callable[[], PixelAnnotations] | None = field(default=None, repr=False)
    moment: int = 0
    image: Float[Tensor, "3 h w"] | None = field(default=None, repr=False)


def make_views(
    keyframe: Keyframe, inputs: InputConfig, config: ViewConfig, generator: Generator
) -> list[View]:
    """Make the views of a keyframe: one, or one per camera with `cameras="all"`.

    Args:
        keyframe: with cameras.
        inputs: the student's input settings.
        config: what the views hold.
        generator: of everything that is drawn.

    Returns:
        An empty list if no camera sees enough points.

    Raises:
        ValueError: exact annotations are asked for, and the keyframe has none.
    """
    if config.cameras == "all":
        return _views_of_all_cameras(keyframe, inputs, config, generator)
    cameras = list(keyframe.cameras.values())
    for number in torch.randperm(len(cameras), generator=generator).tolist():
        view = make_view(keyframe, cameras[number], inputs, config, generator)
        if view is not None:
            return [view]
    return []


def make_view(
    keyframe: Keyframe,
    camera: Camera,
    inputs: InputConfig,
    config: ViewConfig,
    generator: Generator,
) -> View | None:
    """The points that one camera of a keyframe sees; None if they are too few."""
    seen = _see(keyframe, camera, config.hidden)
    if not seen.visible.any():
        return None  # of an incomplete scan
    scan = view_scan(keyframe, inputs, config, generator, seen.visible)
    if scan is None or len(scan.kept) < LEAST_POINTS:
        return None
    return _view(keyframe, camera, scan, seen, None)


def _views_of_all_cameras(
    keyframe: Keyframe, inputs: InputConfig, config: ViewConfig, generator: Generator
) -> list[View]:
    """The whole scan; every point is paired with the last camera that sees it."""
    seen = {name: _see(keyframe, each, config.hidden) for name, each in keyframe.cameras.items()}
    if not any(each.visible.any() for each in seen.values()):
        return []
    scan = view_scan(keyframe, inputs, config, generator, None)
    if scan is None:
        return []
    taken = torch.zeros(len(scan.kept), dtype=torch.bool)
    views = []
    for name in reversed(list(keyframe.cameras)):
        row = (seen[name].visible[scan.kept] & ~taken).nonzero()[:, 0]
        taken[row] = True
        if len(row):
            views.append(_view(keyframe, keyframe.cameras[name], scan, seen[name], row))
    return views[::-1] if int(taken.sum()) >= LEAST_POINTS else []


@dataclass(frozen=True)
class _Seen:
    """What one camera sees of all points: pixels, whether they count, whether they are hidden."""

    uv: Float[Tensor, "N 2"]
    visible: Bool[Tensor, " N"]
    hidden: Bool[Tensor, " N"] | None = None  # those that borrow a target


def _see(keyframe: Keyframe, camera: Camera, hidden: str) -> _Seen:
    uv, depth, visible = project_into(camera, keyframe.points)
    if hidden == "kept":
        return _Seen(uv, visible)
    if hidden == "exact":
        if keyframe.annotations is None:
            raise ValueError(
                f"hidden='exact' needs the annotations of a simulation, and keyframe "
                f"{keyframe.token} has none; choose 'left out', which estimates them"
            )
        return _Seen(uv, visible & ~keyframe.annotations.hidden[camera.name])
    point = visible.nonzero()[:, 0]
    behind = torch.zeros_like(visible)
    behind[point] = hidden_points(uv[point], depth[point], camera.image_size)
    if hidden == "left out" or bool(behind[point].all()):
        return _Seen(uv, visible & ~behind)
    return _Seen(uv, visible, behind)


def view_scan(
    keyframe: Keyframe,
    inputs: InputConfig,
    config: ViewConfig,
    generator: Generator,
    visible: Bool[Tensor, " N"] | None,
) -> Scan | None:
    """Prepare the `visible` points of a keyframe (None: all) for a student.

    Returns:
        None if no point is left.
    """
    if config.beam_drop > 0:
        kept = drop_beams(keyframe.points, config.beam_drop, generator)
        visible = kept if visible is None else visible & kept
    points, intensity = keyframe.points, keyframe.intensity
    if config.sensor_jitter > 0 and torch.rand(1, generator=generator) < config.sensor_jitter:
        points, intensity = vary_sensor(points, intensity, keyframe.sensor, generator)
    try:
        return prepare_scan(
            points,
            intensity,
            keyframe.sensor,
            inputs,
            visible=visible,
            augment=rotate_flip_scale if config.augment else None,
            generator=generator,
        )
    except NoPointsLeft:
        return None


def _view(
    keyframe: Keyframe, camera: Camera, scan: Scan, seen: _Seen, row: Int[Tensor, " M"] | None
) -> View:
    kept = scan.kept if row is None else scan.kept[row]
    labels = None if keyframe.labels is None else keyframe.labels[kept]
    borrowed = None
    if seen.hidden is not None:
        borrowed = _borrowed(keyframe.points[kept], seen.hidden[kept])
    pixels = None
    if keyframe.annotations is not None:
        pixels = _PixelsOf(keyframe.annotations.pixels, camera.name)
    return View(scan, seen.uv[kept], camera, labels, row, borrowed, pixels)


def _borrowed(
    points: Float[Tensor, "M 3"], hidden: Bool[Tensor, " M"]
) -> Int[Tensor, "M K"] | None:
    """The nearest points that are not hidden, for hidden ones; the point itself for others."""
    if not hidden.any() or hidden.all():
        return None
    clear = (~hidden).nonzero()[:, 0]
    count = min(NUM_NEIGHBOURS, len(clear))
    own = torch.arange(len(points))[:, None].repeat(1, count)
    own[hidden] = clear[k_nearest(points[clear], points[hidden], count)[1]]
    return own


@dataclass(frozen=True)
class _PixelsOf:
    """A function without arguments that can be sent to another process."""

    pixels: Callable[[str], PixelAnnotations]
    name: str

    def __call__(self) -> PixelAnnotations:
        return self.pixels(self.name)
