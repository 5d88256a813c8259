"""Students: 3-D networks on lidar points, by name, and what they make of a keyframe."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kit import store
from kit.data.keyframe import Keyframe
from kit.student.inputs import InputConfig, collate, nearest_kept, prepare_scan
from kit.student.waffleiron import WaffleIron, WaffleIronConfig

# Sizes by name. Source of WI-48-*: WaffleIron (arXiv:2301.10100) and ScaLR (arXiv:2310.17504).
PRESETS = {
    "wi-6-64": WaffleIronConfig(depth=6, width=64),
    "wi-6-128": WaffleIronConfig(depth=6, width=128),
    "wi-12-128": WaffleIronConfig(depth=12, width=128),
    "wi-48-256": WaffleIronConfig(depth=48, width=256),
    "wi-48-384": WaffleIronConfig(depth=48, width=384),
    "wi-48-768": WaffleIronConfig(depth=48, width=768),
}
# Source: Res16UNet-18 and -34C of MinkowskiNet (arXiv:1904.08755). They need spconv, so they are
# only imported when one is asked for.
MINKUNETS = {
    "minkunet-18": {"depth": 18},
    "minkunet-34": {"depth": 34},
    "minkunet-34-cylinder": {"depth": 34, "cylindrical": True},
}


def build_student(
    name: str,
    teacher_dim: int,
    *,
    depth: int | None = None,
    width: int | None = None,
    inputs: InputConfig | None = None,
    seed: int = 0,
) -> nn.Module:
    """A student with random weights, ready to be distilled.

    Args:
        name: one of `PRESETS` or `MINKUNETS`, with or without its dashes.
        teacher_dim: channels D of the teacher, the width of the distillation head's output.
        depth, width: change the preset's; a MinkUNet has neither to change.
        inputs: change the preset's; a MinkUNet takes voxel size, field of view and limit of it.
        seed: of the initial weights; the global random state is left as it was.
    """
    config = _preset(name, depth, width, inputs)
    config = replace(config, head=(*config.head[:-1], teacher_dim))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return student_from_config(config)


def _preset(name: str, depth: int | None, width: int | None, inputs: InputConfig | None):
    name = _known(name)
    if name in MINKUNETS:
        if depth or width:
            raise ValueError(f"{name} has a fixed depth and width; leave them out")
        from kit.student.minkunet import MinkUNetConfig

        config = MinkUNetConfig(**MINKUNETS[name])
        if inputs is not None:  # of no use to it: cells and neighbours
            inputs = replace(inputs, cell_size=None, num_neighbours=0)
        return replace(config, inputs=inputs or config.inputs)
    preset = PRESETS[name]
    changes = {"depth": depth, "width": width, "inputs": inputs}
    return replace(preset, **{name: value for name, value in changes.items() if value})


def _known(name: str) -> str:
    """The name of a preset as it is listed: dashes may be left out."""
    listed = {known.replace("-", ""): known for known in (*PRESETS, *MINKUNETS)}
    found = listed.get(name.replace("-", "").lower())
    if found is None:
        raise ValueError(f"no student {name!r}; there are {', '.join(listed.values())}")
    return found


def student_from_config(config) -> nn.Module:
    """A student with random weights from its WaffleIronConfig or MinkUNetConfig."""
    if isinstance(config, WaffleIronConfig):
        return WaffleIron(config)
    from kit.student.minkunet import MinkUNet

    return MinkUNet(config)


@torch.no_grad()
def embed(
    student: nn.Module, keyframe: Keyframe
) -> tuple[Float[Tensor, "N C"], Float[Tensor, "N D"]]:
    """Features of ALL points of a keyframe: the backbone's and the distillation head's.

    Voxels are deterministic; points that fall outside of the student's view or share a voxel get
    the features of the nearest point kept, as in ScaLR's evaluation (arXiv:2310.17504).

    The student is put in eval mode and left in the mode it came in.
    """
    last = student.layers[-1]
    point_feat = embed_layers(student, keyframe, [last])[last]
    head_feat = student.head(point_feat.to(next(student.parameters()).device)).cpu()
    return point_feat, head_feat


@torch.no_grad()
def embed_layers(
    student: nn.Module, keyframe: Keyframe, layers: Sequence[str]
) -> dict[str, Float[Tensor, "N _"]]:
    """Features of ALL points of a keyframe at layers named in `student.layers`; as in `embed`."""
    was_training = student.training
    student.eval()
    try:
        inputs, device = student.config.inputs, next(student.parameters()).device
        scan = prepare_scan(keyframe.points, keyframe.intensity, keyframe.sensor, inputs)
        found = student.features(collate([scan], inputs).to(device), layers)
    finally:
        student.train(was_training)
    rows = nearest_kept(keyframe.points, keyframe.points[scan.kept])
    return {name: feat.cpu()[rows] for name, feat in found.items()}


def save_student(student: nn.Module, path: str | Path, **meta) -> None:
    """Write weights and configuration; `meta` goes along, e.g. the teacher's name."""
    tensors = {name: tensor.cpu() for name, tensor in student.state_dict().items()}
    config = {**asdict(student.config), "type": type(student).__name__}
    store.save_tensors(path, tensors, {**meta, "student": config})


def load_student(path: str | Path) -> nn.Module:
    """Read a student written by `save_student`, in eval mode.

    Raises:
        ValueError: the file is broken or holds no student.
    """
    tensors, meta = store.load_tensors(path)
    if "student" not in meta:
        raise ValueError(f"{path}: holds tensors, but no student's configuration")
    student = student_from_config(config_from_dict(meta["student"]))
    student.load_state_dict(tensors)
    return student.eval()


def config_from_dict(values: dict):
    """Undo `dataclasses.asdict` after a trip through JSON, where tuples became lists."""
    values = _with_tuples(values)
    kind = values.pop("type", "WaffleIron")
    values["inputs"] = InputConfig(**values["inputs"])
    if kind == "WaffleIron":
        return WaffleIronConfig(**values)
    from kit.student.minkunet import MinkUNetConfig

    return MinkUNetConfig(**values)


def _with_tuples(values: dict) -> dict:
    plain = {list: tuple, dict: _with_tuples}
    return {name: plain.get(type(value), lambda v: v)(value) for name, value in values.items()}
