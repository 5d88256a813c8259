"""Extract the features of a keyframe with any model; all of the kit uses this function.

kit.extract(teacher, keyframe)                   # the points that a camera sees
kit.extract(student, keyframe)                   # all points, in the teacher's feature space
kit.extract(student, keyframe, layer="layer 6")  # all points, at a layer before the head
kit.extract(kit.position, keyframe)              # a baseline: any function of a keyframe
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kit.data.keyframe import Keyframe
from kit.features.knn import knn_mean
from kit.features.spaces import Features, baseline_space, layer_space, space_of
from kit.projection import HIDDEN, NUM_NEIGHBOURS, Pairs, find_pairs
from kit.store import FeatureCache
from kit.student.point_batch import collate
from kit.student.scans import InputConfig, Scan, inside_fov, nearest_kept, prepare_scan
from kit.student.second_pass import outer_scan
from kit.student.student import HEAD, Student, device_of, eval_mode
from kit.teacher.camera_maps import camera_maps
from kit.teacher.feature_maps import merge_cameras
from kit.teacher.teacher import Teacher

Baseline = Callable[[Keyframe], Tensor]
Source = Callable[[Keyframe], Features]

OUTSIDE = SECOND_PASS, NEAREST = "second pass", "nearest"


def extract(
    model: Teacher | Student | Baseline,
    keyframe: Keyframe,
    *,
    layer: str | int | None = None,
    hidden: str = "kept",
    outside: str = SECOND_PASS,
    cache: FeatureCache | None = None,
) -> Features:
    """Extract a model's features of a keyframe.

    Args:
        model: a teacher gives features to the points that its cameras see, the mean over cameras.
            A student gives features to all points. A baseline is a function that returns (N, D)
            for a keyframe; its name identifies its feature space.
        layer: of a student, one of `student.layers`; None: its distillation head. Of a teacher, a
            block or stage, counted from 0; None: those it was built with.
        hidden: how a teacher treats a point that is in a camera's view but behind something
            nearer, according to the scan. "kept": the point gets the feature of what is in front.
            "left out": this camera does not count, and a point hidden from all cameras has no
            feature. "from neighbours": such a point gets the mean feature of the nearest points
            that have one.
        outside: how a student treats points outside of its field of view, see `extract_layers`.
        cache: keeps a teacher's feature maps, so that each image is computed once.

    Raises:
        ValueError: no such layer, an unknown `hidden` or `outside`, an option that the model does
            not have, a network that is neither a teacher nor a student, or a baseline that does
            not return one row for each point.
    """
    if hidden not in HIDDEN:
        raise ValueError(f"hidden must be one of {', '.join(map(repr, HIDDEN))}, got {hidden!r}")
    if outside != SECOND_PASS and (isinstance(model, Teacher) or not isinstance(model, Student)):
        raise ValueError(f"outside={outside!r} is for students; this model has no field of view")
    if isinstance(model, Teacher):
        return _of_teacher(_at_layer(model, layer), keyframe, hidden, cache)
    if hidden != "kept":
        raise ValueError(f"hidden={hidden!r} is for teachers; this model reads no camera image")
    if isinstance(model, Student):
        name = HEAD if layer is None else str(layer)
        return extract_layers(model, keyframe, [name], outside=outside)[name]
    if isinstance(model, nn.Module):
        raise ValueError(f"a {type(model).__name__} is neither a kit Teacher nor a kit Student")
    if layer is not None:
        raise ValueError(f"a baseline has no layers, leave out layer={layer!r}")
    return _of_baseline(model, keyframe)


def source(model: Teacher | Student | Baseline, **options) -> Source:
    """`extract` for many keyframes: a function that takes a keyframe and returns its features.

    Args:
        model: as for `extract`.
        options: `layer`, `hidden`, `outside` and `cache` of `extract`.
    """
    return partial(extract, model, **options)


@torch.no_grad()
def extract_layers(
    student: Student, keyframe: Keyframe, layers: Sequence[str], *, outside: str = SECOND_PASS
) -> dict[str, Features]:
    """Extract features of ALL points at several layers of a student.

    The choice of one point for each voxel is deterministic here. Points that share a voxel with
    another one get the features of the nearest point kept. The student's mode and its batch
    statistics do not change.

    Args:
        layers: names from `student.layers`, or "head".
        outside: points outside of the student's field of view get their features from a
            "second pass" with a larger one, or those of the "nearest" point kept (ScaLR).

    Raises:
        ValueError: no such layer; lists the student's layers. An unknown `outside`.

    Source: evaluation of ScaLR (arXiv:2310.17504). Differs: the second pass,
        `kit.student.second_pass`.
    """
    if outside not in OUTSIDE:
        raise ValueError(f"outside must be one of {', '.join(map(repr, OUTSIDE))}, got {outside!r}")
    inputs, points = student.config.inputs, keyframe.points
    arguments = points, keyframe.intensity, keyframe.sensor, inputs
    first = prepare_scan(*arguments)
    row = nearest_kept(points, points[first.kept])
    with eval_mode(student):
        found = _layers_of(student, first, inputs, layers)
        if outside == SECOND_PASS and (prepared := outer_scan(*arguments)) is not None:
            second, wide = prepared
            is_outside = ~inside_fov(points, inputs)
            new = is_outside[second.kept]
            farther = _layers_of(student, second, wide, layers)
            found = {name: torch.cat([found[name], farther[name][new]]) for name in layers}
            kept = torch.cat([first.kept, second.kept[new]])
            row[is_outside] = nearest_kept(points[is_outside], points[kept])
    return {
        name: Features(
            space_of(student) if name == HEAD else layer_space(student, name, feat.shape[1]),
            feat[row],
            torch.arange(len(points)),
            len(points),
        )
        for name, feat in found.items()
    }


def _layers_of(
    student: Student, scan: Scan, inputs: InputConfig, layers: Sequence[str]
) -> dict[str, Float[Tensor, "N _"]]:
    """The features of a prepared scan at several layers, on the CPU."""
    last = student.layers[-1]
    inside = list(dict.fromkeys(last if name == HEAD else name for name in layers))
    found = student.features(collate([scan], inputs).to(device_of(student)), inside)
    if HEAD in layers:
        found[HEAD] = student.head(found[last])
    return {name: found[name].cpu() for name in layers}


def _at_layer(teacher: Teacher, layer: str | int | None) -> Teacher:
    if isinstance(layer, str):
        raise ValueError(f"a teacher's layers are numbers, counted from 0; got layer={layer!r}")
    return teacher if layer is None else teacher.at_layer(layer)


def _of_baseline(baseline: Baseline, keyframe: Keyframe) -> Features:
    feat, count = baseline(keyframe), len(keyframe.points)
    if feat.ndim != 2 or len(feat) != count:
        raise ValueError(
            f"a baseline must return one row of features for each of the {count} points, got "
            f"{tuple(feat.shape)}"
        )
    return Features(baseline_space(baseline, feat.shape[1]), feat, torch.arange(count), count)


def _of_teacher(
    teacher: Teacher, keyframe: Keyframe, hidden: str, cache: FeatureCache | None
) -> Features:
    points = keyframe.points
    pairs = find_pairs(points, keyframe.cameras, occlusion=hidden != "kept")
    index, feat = merge_cameras(_of_pairs(teacher, keyframe, pairs, cache), pairs.point)
    if hidden == "from neighbours" and len(index):
        in_view = find_pairs(points, keyframe.cameras).seen_points()
        everywhere = knn_mean(points[index], feat, points[in_view], NUM_NEIGHBOURS)
        everywhere[torch.isin(in_view, index)] = feat
        index, feat = in_view, everywhere
    return Features(space_of(teacher), feat, index, len(points))


def _of_pairs(
    teacher: Teacher, keyframe: Keyframe, pairs: Pairs, cache: FeatureCache | None
) -> Float[Tensor, "M D"]:
    """Sample each camera's feature maps at the pixels of its pairs."""
    used = pairs.camera.unique().tolist()
    cameras = [keyframe.cameras[pairs.camera_names[index]] for index in used]
    feat = torch.zeros(len(pairs), teacher.dim)
    for index, maps in zip(used, camera_maps(teacher, cameras, cache), strict=True):
        row = (pairs.camera == index).nonzero()[:, 0]
        image = torch.zeros_like(row)
        feat[row] = maps.sample(image, pairs.uv[row], pairs.image_sizes[index]).cpu()
    return feat
