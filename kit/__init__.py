"""Learn and explore image-to-lidar distillation.

    import kit
    keyframe = kit.open_dataset("street")[0]  # or the root of a data set in the nuScenes schema
    features = {"teacher": kit.extract(kit.build_teacher(), keyframe)}
    features["student"] = kit.extract(kit.pretrained("street"), keyframe)
    kit.show.feature_pca(keyframe, features)

The folders and modules, called rooms. Each imports only those before it: `store` (files),
`geometry`, `lens` (camera models), `data` (recordings), `street` (simulated ones), `projection`
(points to pixels), `teacher`, `student`, `distill`, `features`, `evaluate`, `ask` (queries),
`discover` (foreground and objects), `show` (pictures), `doctor` (checks of a recording), `demo`
(the main job), `ablate` (comparison of settings), `bench` (measurements), `commands` (command
line).

Names are loaded when they are first used, so `import kit` itself takes no time.
"""

import importlib

from kit import _idle_threads, _torchvision_pair

_idle_threads.watch()
_torchvision_pair.install()

_HOME = {
    "Accumulated": "kit.data.sweeps",
    "Camera": "kit.data.keyframe",
    "ClassMap": "kit.data.classes",
    "DiscoverConfig": "kit.discover.settings",
    "DistillConfig": "kit.distill.settings",
    "Explorer": "kit.show",
    "FeatureCache": "kit.store",
    "Features": "kit.features.spaces",
    "IGNORE": "kit.data.classes",
    "InputConfig": "kit.student.scans",
    "Keyframe": "kit.data.keyframe",
    "Mixture": "kit.data.mixture",
    "NUSCENES": "kit.data.classes",
    "ProbeConfig": "kit.evaluate.probe",
    "Query": "kit.ask.queries",
    "Sensor": "kit.data.keyframe",
    "Street": "kit.street.dataset",
    "accumulate": "kit.data.sweeps",
    "build_student": "kit.student.presets",
    "build_teacher": "kit.teacher.presets",
    "camera_maps": "kit.teacher.camera_maps",
    "collate": "kit.student.point_batch",
    "example_point": "kit.data.examples",
    "extract": "kit.features.extract",
    "extract_layers": "kit.features.extract",
    "fast": "kit.store.machine",
    "find_foreground": "kit.discover.foreground",
    "find_objects": "kit.discover.objects",
    "find_pairs": "kit.projection",
    "keyframe": "kit.data.arrays",
    "keyframes": "kit.data.arrays",
    "linear_probe": "kit.evaluate.probe",
    "load_student": "kit.student.checkpoints",
    "open_dataset": "kit.data",
    "position": "kit.evaluate.baselines",
    "prepare_scan": "kit.student.scans",
    "pretrained": "kit.student.pretrained",
    "pretrained_figures": "kit.student.pretrained",
    "probe_dataset": "kit.evaluate.protocols",
    "project_into": "kit.projection",
    "project_points": "kit.projection",
    "random_student": "kit.evaluate.baselines",
    "save_student": "kit.student.checkpoints",
    "seen_points": "kit.evaluate.protocols",
    "segment": "kit.ask.segmentation",
    "source": "kit.features.extract",
    "space_of": "kit.features.spaces",
    "split": "kit.data.split",
}
# Each imports only those before it; docs/ and tests/test_architecture.py have the same order.
ROOMS = (
    "store",
    "geometry",
    "lens",
    "data",
    "street",
    "projection",
    "teacher",
    "student",
    "distill",
    "features",
    "evaluate",
    "ask",
    "discover",
    "show",
    "doctor",
    "demo",
    "ablate",
    "bench",
    "commands",
)

__all__ = sorted([*_HOME, "ablate", "distill", "doctor"])


def __getattr__(name: str):
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in ROOMS:
        return importlib.import_module(f"kit.{name}")
    raise AttributeError(f"kit has no {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*__all__, *ROOMS})
