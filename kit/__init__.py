"""Learn and explore image-to-lidar distillation.

    import kit
    dataset = kit.open_dataset("street")        # or the root of a data set in the nuScenes schema
    keyframe = dataset[0]
    pairs = kit.find_pairs(keyframe.points, keyframe.cameras)
    points, feat = kit.keyframe_features(kit.Teacher(), keyframe, pairs)

Names are loaded when they are first used, so `import kit` itself takes no time.
"""

import importlib

from kit import torchvision_pair

torchvision_pair.install()

_HOME = {
    "Camera": "kit.data.keyframe",
    "DistillConfig": "kit.distill",
    "FeatureCache": "kit.store",
    "IGNORE": "kit.data.classes",
    "Keyframe": "kit.data.keyframe",
    "NUSCENES": "kit.data.classes",
    "ProbeConfig": "kit.probe",
    "Query": "kit.queries",
    "Sensor": "kit.data.keyframe",
    "Teacher": "kit.teacher",
    "WaffleIron": "kit.student",
    "build_student": "kit.student",
    "camera_grids": "kit.teacher",
    "ClipTeacher": "kit.text",
    "collate": "kit.student.inputs",
    "distillation_loss": "kit.loss",
    "embed": "kit.student",
    "fast": "kit.settings",
    "find_foreground": "kit.discover",
    "find_objects": "kit.objects",
    "find_pairs": "kit.projection",
    "keyframe_features": "kit.teacher",
    "linear_probe": "kit.probe",
    "look": "kit.spaces",
    "load_student": "kit.student",
    "open_dataset": "kit.data",
    "pretrained": "kit.student.pretrained",
    "pretrained_figures": "kit.student.pretrained",
    "prepare_scan": "kit.student.inputs",
    "project_points": "kit.projection",
    "save_student": "kit.student",
    "segment": "kit.segmentation",
    "space_of": "kit.spaces",
    "split": "kit.data.split",
}
_MODULES = {
    "data",
    "discover",
    "distill",
    "evaluate",
    "geometry",
    "loss",
    "objects",
    "probe",
    "scores",
    "show",
    "store",
    "student",
    "text",
}

__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"kit.{name}")
    raise AttributeError(f"kit has no {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return [*__all__, *_MODULES]
