"""Students: 3-D networks on lidar points, by name, and what they make of a keyframe."""

from dataclasses import asdict, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from kit import store
from kit.data.keyframe import Keyframe
from kit.student.inputs import InputConfig, collate, nearest_kept, prepare_scan
from kit.student.waffleiron import WaffleIron, WaffleIronConfig

# Sizes by name. Source of WI-48-*: WaffleIron (arXiv:2301.10100) and ScaLR (arXiv:2310.17504).
PRESETS = {
    "wi-6-64": WaffleIronConfig(depth=6, width=64),
    "wi-12-128": WaffleIronConfig(depth=12, width=128),
    "wi-48-256": WaffleIronConfig(depth=48, width=256),
    "wi-48-384": WaffleIronConfig(depth=48, width=384),
    "wi-48-768": WaffleIronConfig(depth=48, width=768),
}


def build_student(
    name: str,
    teacher_dim: int,
    *,
    depth: int | None = None,
    width: int | None = None,
    inputs: InputConfig | None = None,
    seed: int = 0,
) -> WaffleIron:
    """A student with random weights, ready to be distilled.

    Args:
        name: one of `PRESETS`.
        teacher_dim: channels D of the teacher, the width of the distillation head's output.
        depth, width, inputs: change the preset's.
        seed: of the initial weights; the global random state is left as it was.
    """
    if name not in PRESETS:
        raise ValueError(f"no student {name!r}; there are {', '.join(PRESETS)}")
    preset = PRESETS[name]
    config = replace(
        preset,
        depth=depth or preset.depth,
        width=width or preset.width,
        inputs=inputs or preset.inputs,
        head=(*preset.head[:-1], teacher_dim),
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return WaffleIron(config)


@torch.no_grad()
def embed(
    student: WaffleIron, keyframe: Keyframe
) -> tuple[Float[Tensor, "N C"], Float[Tensor, "N D"]]:
    """Features of ALL points of a keyframe: the backbone's and the distillation head's.

    Voxels are deterministic; points that fall outside of the student's view or share a voxel get
    the features of the nearest point kept, as in ScaLR's evaluation (arXiv:2310.17504).

    The student is put in eval mode and left in the mode it came in.
    """
    was_training = student.training
    student.eval()
    try:
        inputs, device = student.config.inputs, next(student.parameters()).device
        scan = prepare_scan(keyframe.points, keyframe.intensity, keyframe.sensor, inputs)
        point_feat = student.features(collate([scan], inputs).to(device))
        head_feat = student.head(point_feat)
    finally:
        student.train(was_training)
    rows = nearest_kept(keyframe.points, keyframe.points[scan.kept])
    return point_feat.cpu()[rows], head_feat.cpu()[rows]


def save_student(student: WaffleIron, path: str | Path, **meta) -> None:
    """Write weights and configuration; `meta` goes along, e.g. the teacher's name."""
    tensors = {name: tensor.cpu() for name, tensor in student.state_dict().items()}
    store.save_tensors(path, tensors, {**meta, "student": asdict(student.config)})


def load_student(path: str | Path) -> WaffleIron:
    """Read a student written by `save_student`, in eval mode.

    Raises:
        ValueError: the file is broken or holds no student.
    """
    tensors, meta = store.load_tensors(path)
    if "student" not in meta:
        raise ValueError(f"{path}: holds tensors, but no student's configuration")
    student = WaffleIron(config_from_dict(meta["student"]))
    student.load_state_dict(tensors)
    return student.eval()


def config_from_dict(values: dict) -> WaffleIronConfig:
    """Undo `dataclasses.asdict` after a trip through JSON, where tuples became lists."""
    inputs = dict(values["inputs"], fov=tuple(values["inputs"]["fov"]))
    return WaffleIronConfig(
        **{**values, "head": tuple(values["head"]), "inputs": InputConfig(**inputs)}
    )
