"""The explorer's colours computed in numpy, from the features as they are.

For files, and as the second opinion the browser's colours are tested against.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8

from kit.data.classes import IGNORE
from kit.projection import find_pairs
from kit.show import arrays, theme
from kit.show.explorer.quantisation import unit_rows
from kit.show.explorer.state import Content
from kit.show.png.splat import Viewpoint
from kit.show.png.static_style import on_scale

if TYPE_CHECKING:
    from kit.show.explorer.widget import Explorer

QUIET = {False: (205, 209, 215), True: (62, 68, 77)}  # points without a value, on light and dark


def similarity_shown(
    explorer: "Explorer", name: str
) -> tuple[Float[np.ndarray, " N"], Bool[np.ndarray, " N"]]:
    """Mean cosine of each point shown to the picked ones, minus that to the negatives.

    "centred" cosines are of unit features minus the set's mean (that of the packing), at unit
    length again; "plain" ones of the features as they are. Picked points without a feature do not
    count.

    Returns:
        score: (N,); 0 for points without a feature.
        has: (N,) whether the point has one.

    Source: relevance feedback of Rocchio (1971), with equal weights; as each cosine is taken by
        itself, one picked point gives just the cosine to it.
    """
    content = explorer.content
    if name not in content.features:
        raise ValueError(f"no features {name!r}, there are {list(content.features)}")
    count = len(content.keyframes[explorer.keyframe].points)
    rows, has = _directions(content, name, explorer.keyframe, np.arange(count), explorer.cosine)
    score = torch.zeros(count)
    for asked, sign in ((explorer.picked, 1.0), (explorer.negatives, -1.0)):
        place = np.array(asked, dtype=np.int64)
        picks, valid = _directions(content, name, explorer.picked_in, place, explorer.cosine)
        if valid.any():
            score += sign * (rows @ picks[torch.from_numpy(valid)].T).mean(1)
    return score.numpy() * has, has


def _directions(
    content: Content, name: str, keyframe: int, points: np.ndarray, cosine: str
) -> tuple[Float[torch.Tensor, "P D"], Bool[np.ndarray, " P"]]:
    """Unit rows whose dot products are the cosines, and which points have one."""
    unit = unit_rows(content.features[name][keyframe].of(points))
    centred = unit - content.packings[name].mean
    has = ((unit != 0).any(1) & (centred.norm(dim=1) >= 1e-6)).numpy()
    return (unit if cosine == "plain" else unit_rows(centred)), has


def colours_of(
    explorer: "Explorer", feature_set: str | None = None, dark: bool = False
) -> tuple[UInt8[np.ndarray, "P 3"], Int[np.ndarray, " P"]]:
    """Colours of the shown keyframe in the explorer's mode, and the rows they belong to.

    Args:
        feature_set: in place of the explorer's.
        dark: the grey of points without a value is that of a dark page.
    """
    content, index = explorer.content, explorer.keyframe
    name = feature_set or explorer.feature_set
    if name and name not in content.sets:
        raise ValueError(f"no feature set {name!r}, there are {content.sets}")
    keyframe = content.keyframes[index]
    rgb = np.tile(np.array(QUIET[dark], dtype=np.uint8), (len(keyframe.points), 1))
    shown = np.ones(len(rgb), dtype=bool)
    mode = next(mode for mode in explorer.setup["modes"] if mode["name"] == explorer.mode)
    kind = mode["kind"]
    if kind in ("number", "score"):
        _fill_scale(rgb, _values(content, index, mode["name"]), explorer, mode)
    elif kind == "colour":
        _fill_camera(rgb, keyframe)
    elif kind in ("labels", "predictions", "errors"):
        labels = content.labels[index]
        predicted = content.predictions[name][index] if name in content.predictions else None
        asked = predicted if kind == "predictions" else labels
        if asked is not None:
            shown = ~np.isin(asked, explorer.hidden_classes)
        if kind == "errors":
            _fill_errors(rgb, labels, predicted)
        elif asked is not None:
            scored = asked != IGNORE
            rgb[scored] = np.array(content.classes.colours, dtype=np.uint8)[asked[scored]]
    elif name in content.features and kind == "features":
        _fill_features(rgb, content, name, index, explorer.components)
    elif name in content.features and (explorer.picked or explorer.negatives):
        _fill_similarity(rgb, explorer, name)
    return rgb[shown], np.flatnonzero(shown)


def view_of(view: dict[str, Any], aspect: float = 1.0) -> Viewpoint:
    """The trait `view` as a pinhole: azimuth 0 looks along y, 90 along x; elevation from above.

    Args:
        aspect: width by height of the picture; fov spans the shorter side.
    """
    azimuth, elevation = np.radians(view["azimuth"]), np.radians(view["elevation"])
    flat = np.array([np.sin(azimuth), np.cos(azimuth), 0.0])
    ahead = flat * np.cos(elevation) - np.array([0.0, 0.0, np.sin(elevation)])
    up = flat * np.sin(elevation) + np.array([0.0, 0.0, np.cos(elevation)])
    target = np.array(view["target"], dtype=np.float64)
    half = np.tan(np.radians(view["fov"]) / 2) / min(aspect, 1.0)
    upright = float(2 * np.degrees(np.arctan(half)))
    return Viewpoint(target - view["distance"] * ahead, target, up, upright)


def _values(content: Content, index: int, name: str) -> np.ndarray:
    keyframe = content.keyframes[index]
    if name == "height":
        return keyframe.points[:, 2].numpy()
    return keyframe.intensity.numpy() if name == "intensity" else content.scores[name][index]


def _fill_scale(rgb: np.ndarray, values: np.ndarray, explorer: "Explorer", mode: dict) -> None:
    kept = np.ones(len(values), dtype=bool)
    if mode["kind"] == "score" and explorer.threshold is not None:
        kept = values >= explorer.threshold
    rgb[kept] = _on(values[kept], "value", mode["low"], mode["high"])


def _fill_similarity(rgb: np.ndarray, explorer: "Explorer", name: str) -> None:
    score, has = similarity_shown(explorer, name)
    kept = has if explorer.threshold is None else has & (score >= explorer.threshold)
    low = explorer.setup["similarity_low"][explorer.cosine]
    rgb[kept] = _on(score[kept], "similarity", low, 1.0)


def _fill_camera(rgb: np.ndarray, keyframe) -> None:
    pairs = find_pairs(keyframe.points, keyframe.cameras)
    for name, camera in keyframe.cameras.items():
        try:
            pixels = camera.pixels()
        except (FileNotFoundError, ValueError):
            continue  # the explorer says so when it is made
        seen = pairs.of_camera(name)
        column, row = seen.uv.numpy().astype(np.int64).T
        rgb[seen.point.numpy()] = pixels[row, column]


def _fill_errors(rgb: np.ndarray, labels: np.ndarray | None, predicted: np.ndarray | None) -> None:
    if labels is None or predicted is None:
        return
    scored = (labels != IGNORE) & (predicted != IGNORE)
    rgb[scored & (labels == predicted)] = _rgb(theme.RIGHT)
    rgb[scored & (labels != predicted)] = _rgb(theme.WRONG)


def _fill_features(rgb: np.ndarray, content: Content, name: str, index: int, components) -> None:
    part, basis = content.features[name][index], content.bases[name]
    feat = part.feat
    has = (feat != 0).any(1)
    place = basis.project(feat)  # (M, C)
    share = (place - basis.low) / (basis.high - basis.low).clamp(min=1e-6)
    columns = [
        share[:, c] if c < share.shape[1] else torch.full((len(share),), 0.5) for c in components
    ]
    colours = (torch.stack(columns, dim=1).clamp(0, 1) * 255).round().to(torch.uint8)
    rgb[part.rows[has.numpy()]] = arrays.to_numpy(colours[has])


def _on(values: np.ndarray, scale: str, low: float, high: float) -> UInt8[np.ndarray, "N 3"]:
    """Colours of a scale in 256 steps, as the browser's table has them."""
    steps = np.floor(((values - low) / (high - low)).clip(0, 1) * 255 + 0.5)
    return on_scale(steps, theme.colour_scale(scale)[0], 0.0, 255.0)


def _rgb(colour: str) -> list[int]:
    return [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
