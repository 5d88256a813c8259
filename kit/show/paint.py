"""The explorer's colours computed in numpy, from the features as they are.

For files, and as the second opinion the browser's colours are tested against.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from kit.data.classes import IGNORE
from kit.projection import find_pairs
from kit.show import arrays, theme
from kit.show.content import Content
from kit.show.packing import unit_rows
from kit.show.splat import Viewpoint
from kit.show.static_style import on_scale

if TYPE_CHECKING:
    from kit.show.explorer import Explorer

QUIET = {False: (205, 209, 215), True: (62, 68, 77)}  # points without a value, on light and dark


def similarity(
    content: Content, name: str, keyframe: int, picked: list[int], negatives: list[int], cosine: str
) -> tuple[Float[np.ndarray, " N"], np.ndarray]:
    """Mean cosine of each point to the picked ones, minus that to the negatives.

    Args:
        name: of the feature set.
        picked, negatives: rows of the keyframe's points; those without a feature do not count.
        cosine: "centred": of unit features minus the set's mean (that of the packing), at unit
            length again; "plain": of the features as they are.

    Returns:
        score: (N,).
        has: (N,) whether the point has a feature.

    Source: relevance feedback of Rocchio (1971), with equal weights; as each cosine is taken by
        itself, one picked point gives just the cosine to it.
    """
    count = len(content.keyframes[keyframe].points)
    unit = unit_rows(content.features[name][keyframe].of(np.arange(count)))
    centred = unit - content.packings[name].mean
    has = ((unit != 0).any(1) & (centred.norm(dim=1) >= 1e-6)).numpy()
    rows = unit if cosine == "plain" else torch.nn.functional.normalize(centred, dim=1)
    score = torch.zeros(count)
    for asked, sign in ((picked, 1.0), (negatives, -1.0)):
        asked = [row for row in asked if has[row]]
        if asked:
            score += sign * (rows @ rows[asked].T).mean(1)
    return score.numpy(), has


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
    content = explorer.content
    count = len(content.keyframes[explorer.keyframe].points)
    feats, has = _asked(explorer, name, count)
    kept = has if explorer.threshold is None else has & (feats >= explorer.threshold)
    low = explorer.setup["similarity_low"][explorer.cosine]
    rgb[kept] = _on(feats[kept], "similarity", low, 1.0)


def _asked(explorer: "Explorer", name: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """As `similarity`, with the picked points possibly in another keyframe."""
    content, here, there = explorer.content, explorer.keyframe, explorer.picked_in
    if here == there:
        return similarity(content, name, here, explorer.picked, explorer.negatives, explorer.cosine)
    parts = [content.features[name][i] for i in (here, there)]
    rows = [np.arange(count), np.array([*explorer.picked, *explorer.negatives])]
    unit = [unit_rows(part.of(row)) for part, row in zip(parts, rows, strict=True)]
    mean = content.packings[name].mean
    centred = [torch.nn.functional.normalize(each - mean, dim=1) for each in unit]
    used = unit if explorer.cosine == "plain" else centred
    cosines = used[0] @ used[1].T  # (N, P)
    valid = (unit[1] != 0).any(1)
    sign = torch.tensor([1.0] * len(explorer.picked) + [-1.0] * len(explorer.negatives))
    score = torch.zeros(count)
    for kind in (1.0, -1.0):
        chosen = (sign == kind) & valid
        if chosen.any():
            score += kind * cosines[:, chosen].mean(1)
    return score.numpy(), (unit[0] != 0).any(1).numpy()


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
