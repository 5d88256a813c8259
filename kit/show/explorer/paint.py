"""The colours of the explorer's points, computed in numpy from the features without quantisation.

They go into files, and the browser's colours are tested against them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8

from kit.data.classes import IGNORE
from kit.features.pca import to_bytes
from kit.projection import find_pairs
from kit.show import theme
from kit.show.explorer.agreement import agreement
from kit.show.explorer.modes import Mode, mode_of
from kit.show.explorer.payload import POINT_SIZE, class_colours, numbers, spread_of
from kit.show.explorer.quantisation import unit_rows
from kit.show.explorer.scales import SCALES, STAGES, similarity_limits
from kit.show.explorer.state import Content, features_at
from kit.show.explorer.viewpoint import viewpoint_of
from kit.show.scene import Cloud, Scene, SizeInSpace

if TYPE_CHECKING:
    from kit.show.explorer.widget import Explorer


SHADING = 5  # strength of the depth shading, as in `js/canvas.js`


@dataclass(frozen=True, eq=False)
class Colours:
    """The colours of a keyframe's points in one mode.

    Attributes:
        rgb: (N, 3).
        has_value: (N,) the point has a value in this mode; the others are grey.
        shown: (N,) False for points of hidden classes.
    """

    rgb: UInt8[np.ndarray, "N 3"]
    has_value: Bool[np.ndarray, " N"]
    shown: Bool[np.ndarray, " N"]


@dataclass(frozen=True, eq=False)
class _Task:
    """An explorer with the mode and the feature set that its points are coloured by."""

    explorer: "Explorer"
    mode: Mode
    set_name: str
    dark: bool

    @property
    def content(self) -> Content:
        return self.explorer.content

    @property
    def keyframe(self) -> int:
        return self.explorer.keyframe

    def predicted(self) -> np.ndarray | None:
        of_set = self.content.predictions.get(self.set_name)
        return None if of_set is None else of_set[self.keyframe]


# Which points have a value (N,), and the colours of these (M, 3); or None if no point has one.
Valued = tuple[Bool[np.ndarray, " N"], UInt8[np.ndarray, "M 3"]] | None


def similarity_of(
    explorer: "Explorer", name: str
) -> tuple[Float[np.ndarray, " N"], Bool[np.ndarray, " N"]]:
    """Mean cosine of each point to the picked ones, minus that to the negatives.

    "centred" cosines are of unit features minus the set's mean (that of the quantiser), at unit
    length again; "plain" ones of the features as they are. Picked points without a feature do not
    count.

    Returns:
        score: (N,); 0 for points without a feature.
        has: (N,) whether the point has one.

    Raises:
        ValueError: no such feature set.

    Source: relevance feedback of Rocchio (1971), with equal weights; as each cosine is taken by
        itself, one picked point gives just the cosine to it.
    """
    content = explorer.content
    if name not in content.features:
        raise ValueError(f"no features {name!r}, there are {list(content.features)}")
    count = len(content.keyframes[explorer.keyframe].points)
    rows, has = _directions(content, name, explorer.keyframe, np.arange(count), explorer.cosine)
    score = torch.zeros(count)
    for points, sign in ((explorer.picked, 1.0), (explorer.negatives, -1.0)):
        index = np.array(points, dtype=np.int64)
        picks, valid = _directions(content, name, explorer.picked_in, index, explorer.cosine)
        if valid.any():
            score += sign * (rows @ picks[torch.from_numpy(valid)].T).mean(1)
    return score.numpy() * has, has


def _directions(
    content: Content, name: str, keyframe: int, points: np.ndarray, cosine: str
) -> tuple[Float[torch.Tensor, "P D"], Bool[np.ndarray, " P"]]:
    """Unit rows whose dot products are the cosines, and which points have one."""
    unit = unit_rows(features_at(content.features[name][keyframe], points))
    centred = unit - content.quantisers[name].mean
    has = ((unit != 0).any(1) & (centred.norm(dim=1) >= 1e-6)).numpy()
    return (unit if cosine == "plain" else unit_rows(centred)), has


def scene_of(
    explorer: "Explorer",
    set_name: str | None = None,
    dark: bool | None = None,
    aspect: float = 1.0,
) -> Scene:
    """Describe one panel of the explorer: its points in the current mode and view.

    Args:
        set_name: of the feature set; None: the explorer's.
        dark: on a dark background; None: as the explorer.
        aspect: width by height of the panel.
    """
    colours = paint(explorer, set_name, dark)
    points = explorer.content.keyframes[explorer.keyframe].points.numpy()
    scale = explorer.point_size
    clouds = []
    for part, times in (
        (colours.shown & colours.has_value, 1.0),
        (colours.shown & ~colours.has_value, POINT_SIZE["without_value"]),
    ):
        size = SizeInSpace(
            scale * times * POINT_SIZE["metres"],
            scale * times * POINT_SIZE["least"],
            scale * times * POINT_SIZE["most"],
            scale * times * spread_of(len(explorer.content.drawn[explorer.keyframe])),
        )
        clouds.append(Cloud(points[part], colours.rgb[part], size, np.flatnonzero(part)))
    page = theme.DARK if _is_dark(explorer, dark) else theme.LIGHT
    shading = SHADING if explorer.shading else 0
    seen_from = viewpoint_of(explorer, aspect)
    return Scene(tuple(clouds), seen_from, background=page.background, shading=shading)


def colours_of(
    explorer: "Explorer", set_name: str | None = None, dark: bool | None = None
) -> tuple[UInt8[np.ndarray, "P 3"], Int[np.ndarray, " P"]]:
    """Colours of the points that are shown, and their index; arguments as in `paint`."""
    colours = paint(explorer, set_name, dark)
    return colours.rgb[colours.shown], np.flatnonzero(colours.shown)


def paint(explorer: "Explorer", set_name: str | None = None, dark: bool | None = None) -> Colours:
    """Colour the explorer's keyframe in its mode.

    Args:
        set_name: of the feature set; None: the explorer's.
        dark: colours for a dark background; None: for that of the explorer.

    Raises:
        ValueError: no such feature set.
    """
    content, index = explorer.content, explorer.keyframe
    name = set_name or explorer.feature_set
    if name and name not in content.sets:
        raise ValueError(f"no feature set {name!r}, there are {content.sets}")
    dark = _is_dark(explorer, dark)
    task = _Task(explorer, mode_of(explorer.mode), name, dark)
    page = theme.DARK if dark else theme.LIGHT
    count = len(content.keyframes[index].points)
    rgb = np.tile(np.array(page.no_value, dtype=np.uint8), (count, 1))
    has_value, shown = np.zeros(count, dtype=bool), np.ones(count, dtype=bool)
    found = KINDS[task.mode.kind](task)
    if found is not None:
        has_value, values = found
        rgb[has_value] = values
    classes = _classes(task)
    if classes is not None:
        shown = ~np.isin(classes, explorer.hidden_classes)
    return Colours(rgb, has_value, shown)


def _by_number(task: _Task) -> Valued:
    values = numbers(task.content, task.keyframe, task.mode.name)
    kept = np.ones(len(values), dtype=bool)
    if task.mode.kind == "score" and task.explorer.threshold is not None:
        kept = values >= task.explorer.threshold
    limits = next(m for m in task.explorer.setup["modes"] if m["name"] == task.mode.name)
    return kept, _on_scale(values[kept], _scale_of(task), limits["low"], limits["high"])


def _scale_of(task: _Task) -> str:
    """The name of the colour scale; answers to words have that of a similarity."""
    own = task.mode.kind == "similarity" or task.mode.name in task.content.queries
    return f"{'similarity' if own else task.explorer.colour_map} {_page(task.dark)}"


def _by_pair(task: _Task) -> Valued:
    explorer, sets = task.explorer, task.content.sets
    own = sets.index(task.set_name)
    others = [name for name in (explorer.compare_with, *sets) if name in sets]
    pairs = [tuple(sorted((own, sets.index(name)))) for name in others]
    pair = next((pair for pair in pairs if pair in task.content.pairs), None)
    if pair is None:
        return None
    cosine, has = agreement(task.content, task.keyframe, pair)
    limits = next(m for m in explorer.setup["modes"] if m["name"] == task.mode.name)
    return has, _on_scale(cosine[has], _scale_of(task), limits["low"], limits["high"])


def _by_segment(task: _Task) -> Valued:
    """The query whose score is highest above its threshold, see `Explorer.thresholds`."""
    content, chosen = task.content, task.explorer.thresholds
    limits = {mode["name"]: mode for mode in task.explorer.setup["modes"]}
    middle = {name: (limits[name]["low"] + limits[name]["high"]) / 2 for name in content.queries}
    least = np.array([chosen.get(name, middle[name]) for name in content.queries])
    scores = np.stack([content.scores[name][task.keyframe] for name in content.queries], axis=1)
    best, has = (scores - least).argmax(1), (scores >= least).any(1)
    series = np.array([theme.rgb_of(colour) for colour in theme.SERIES], dtype=np.uint8)
    return has, series[best[has] % len(series)]


def _by_camera(task: _Task) -> Valued:
    """The pixel each point falls on; where two cameras see a point, the later one's."""
    keyframe = task.content.keyframes[task.keyframe]
    rgb = np.zeros((len(keyframe.points), 3), dtype=np.uint8)
    has = np.zeros(len(rgb), dtype=bool)
    pairs = find_pairs(keyframe.points, keyframe.cameras)
    for name, camera in keyframe.cameras.items():
        try:
            pixels = camera.pixels()
        except (FileNotFoundError, ValueError):
            continue  # a note of the explorer names it
        of_camera = pairs.of_camera(name)
        column, row = of_camera.uv.numpy().astype(np.int64).T
        rgb[of_camera.point.numpy()] = pixels[row, column]
        has[of_camera.point.numpy()] = True
    return has, rgb[has]


def _classes(task: _Task) -> np.ndarray | None:
    """The class of each point by which the legend hides points; None where none is known."""
    if task.mode.kind == "predictions":
        return task.predicted()
    return None if task.mode.kind == "segments" else task.content.labels[task.keyframe]


def _by_class(task: _Task) -> Valued:
    classes = _classes(task)
    if classes is None:
        return None
    has = classes != IGNORE
    colours = class_colours(task.content, task.explorer.palette)
    return has, np.array(colours, dtype=np.uint8)[classes[has]]


def _by_error(task: _Task) -> Valued:
    labels, predicted = task.content.labels[task.keyframe], task.predicted()
    if labels is None or predicted is None:
        return None
    has = (labels != IGNORE) & (predicted != IGNORE)
    page = STAGES[_page(task.dark)]
    both = np.array([page["wrong"], page["correct"]], dtype=np.uint8)
    return has, both[(labels == predicted)[has].astype(np.int64)]


def _by_component(task: _Task) -> Valued:
    if task.set_name not in task.content.features:
        return None
    features = task.content.features[task.set_name][task.keyframe]
    directed = features.feat.any(1)
    feat = features.feat if directed.all() else features.feat[directed]  # (M, D)
    ratios = task.content.bases[task.set_name].ratios(feat)  # (M, C)
    lacking = max(3 - ratios.shape[1], 0)  # a component that features do not have: middle value
    ratios = torch.nn.functional.pad(ratios, (0, lacking), value=0.5)
    has = np.zeros(features.num_points, dtype=bool)
    has[features.index[directed].numpy()] = True
    return has, to_bytes(ratios[:, task.explorer.components]).numpy()


def _by_similarity(task: _Task) -> Valued:
    explorer = task.explorer
    if task.set_name not in task.content.features or not (explorer.picked or explorer.negatives):
        return None
    score, has = similarity_of(explorer, task.set_name)
    kept = has if explorer.threshold is None else has & (score >= explorer.threshold)
    low, high = explorer.setup["similarity_low"][explorer.cosine], 1.0
    if explorer.similarity_range == "auto":
        low, high = similarity_limits(score[has])
    return kept, _on_scale(score[kept], _scale_of(task), low, high)


KINDS: dict[str, Callable[[_Task], Valued]] = {
    "number": _by_number,
    "score": _by_number,
    "colour": _by_camera,
    "labels": _by_class,
    "predictions": _by_class,
    "errors": _by_error,
    "features": _by_component,
    "similarity": _by_similarity,
    "pair": _by_pair,
    "segments": _by_segment,
}


def _on_scale(values: np.ndarray, scale: str, low: float, high: float) -> UInt8[np.ndarray, "N 3"]:
    """Colours of a scale in 256 steps, as in the browser's table."""
    steps = np.floor(((values - low) / (high - low)).clip(0, 1) * 255 + 0.5)
    return theme.on_scale(steps, SCALES[scale], 0, 255)


def _is_dark(explorer: "Explorer", dark: bool | None) -> bool:
    return explorer.background == "dark" if dark is None else dark


def _page(dark: bool) -> str:
    return "dark" if dark else "light"
