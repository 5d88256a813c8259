"""Extract features: the one way from a model and a keyframe to features, used by all of the kit.

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
from kit.projection import Pairs, find_pairs
from kit.store import FeatureCache
from kit.student.point_batch import collate
from kit.student.scans import nearest_kept, prepare_scan
from kit.student.student import HEAD, Student, device_of, eval_mode
from kit.teacher.camera_maps import camera_maps
from kit.teacher.feature_maps import merge_cameras
from kit.teacher.teacher import Teacher

Baseline = Callable[[Keyframe], Tensor]
Source = Callable[[Keyframe], Features]

HIDDEN = ("kept", "left out", "from neighbours")
NEIGHBOURS = 5  # points; 1 to 5 give the same mIoU on PandaSet, within 0.1 points


def extract(
    model: Teacher | Student | Baseline,
    keyframe: Keyframe,
    *,
    layer: str | int | None = None,
    hidden: str = "kept",
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
        cache: keeps a teacher's feature maps, so that each image is computed once.

    Raises:
        ValueError: no such layer, an unknown `hidden`, an option that the model does not have,
            a network that is neither a teacher nor a student, or a baseline that does not return
            one row for each point.
    """
    if hidden not in HIDDEN:
        raise ValueError(f"hidden must be one of {', '.join(map(repr, HIDDEN))}, got {hidden!r}")
    if isinstance(model, Teacher):
        return _of_teacher(_at_layer(model, layer), keyframe, hidden, cache)
    if hidden != "kept":
        raise ValueError(f"hidden={hidden!r} is for teachers; this model reads no camera image")
    if isinstance(model, Student):
        name = HEAD if layer is None else str(layer)
        return extract_layers(model, keyframe, [name])[name]
    if isinstance(model, nn.Module):
        raise ValueError(f"a {type(model).__name__} is neither a kit Teacher nor a kit Student")
    if layer is not None:
        raise ValueError(f"a baseline has no layers, leave out layer={layer!r}")
    return _of_baseline(model, keyframe)


def source(model: Teacher | Student | Baseline, **options) -> Source:
    """`extract` for many keyframes: a function that takes a keyframe and returns its features.

    Args:
        model: as for `extract`.
        options: `layer`, `hidden` and `cache` of `extract`.
    """
    return partial(extract, model, **options)


@torch.no_grad()
def extract_layers(
    student: Student, keyframe: Keyframe, layers: Sequence[str]
) -> dict[str, Features]:
    """Extract features of ALL points at several layers of a student, in one pass.

    The choice of one point for each voxel is deterministic here. Points outside of the student's
    field of view, and points that share a voxel with another one, get the features of the nearest
    point kept. The student's mode and its batch statistics do not change.

    Args:
        layers: names from `student.layers`, or "head".

    Raises:
        ValueError: no such layer; lists the student's layers.

    Source: evaluation of ScaLR (arXiv:2310.17504).
    """
    last = student.layers[-1]
    inside = list(dict.fromkeys(last if name == HEAD else name for name in layers))
    inputs = student.config.inputs
    with eval_mode(student):
        scan = prepare_scan(keyframe.points, keyframe.intensity, keyframe.sensor, inputs)
        found = student.features(collate([scan], inputs).to(device_of(student)), inside)
        if HEAD in layers:
            found[HEAD] = student.head(found[last])
    row = nearest_kept(keyframe.points, keyframe.points[scan.kept])
    count = len(keyframe.points)
    return {
        name: Features(
            space_of(student) if name == HEAD else layer_space(student, name, found[name].shape[1]),
            found[name].cpu()[row],
            torch.arange(count),
            count,
        )
        for name in layers
    }


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
        everywhere = knn_mean(points[index], feat, points[in_view], NEIGHBOURS)
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
