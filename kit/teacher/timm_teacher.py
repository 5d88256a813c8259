"""Teachers from timm: any image network of timm, read at chosen layers."""

import copy
import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import timm.data
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kit.teacher.feature_maps import height_by_width, join_layers
from kit.teacher.network import build_network
from kit.teacher.teacher import Teacher, check_image_size


@dataclass(frozen=True)
class Recipe:
    """How a teacher is made from a timm network.

    Attributes:
        model: timm's name of the network.
        image_size: (height, width) in pixels of the images; multiples of the network's stride.
        layers: blocks of a transformer, or stages of a convolutional network, counted from 0, or
            with negative numbers from the end. Features of several layers are concatenated, each at
            unit length.
        norm: whether a transformer's final norm is applied. ScaLR does not apply it.
        scales: factors by which every image is enlarged, for convolutional networks. Features of
            several scales are concatenated, as those of layers are.
        antialias: smooth position embeddings when they are resized to the image size, as timm does;
            see `kit.teacher.network.resize_position_embedding`.
        offset: added to the grid when position embeddings are resized: 0.1 in DINO and DINOv2.
        package: the Python package that holds the weights; None: a file, the cache or the hub.
    """

    model: str
    image_size: tuple[int, int] = (448, 896)
    layers: tuple[int, ...] = (-1,)
    norm: bool = False
    scales: tuple[float, ...] = (1.0,)
    antialias: bool = True
    offset: float = 0.0
    package: str | None = None


class TimmTeacher(Teacher):
    """A frozen network of timm; `kit.build_teacher` makes it by name.

    Args:
        recipe: the network and its layers.
        name: for messages; None: timm's name.
        layer: one or several blocks or stages in place of the recipe's.
        norm: in place of the recipe's.
        image_size: in place of the recipe's.
        scales: in place of the recipe's.
        weights: a .safetensors or .pth file; "random" for a baseline; None: the published ones,
            from a package, the Hugging Face cache, or the hub.

    Attributes:
        recipe: the recipe with all changes, and with layers counted from 0.

    Raises:
        ValueError: a layer, size, scale or file that does not fit the network.
        FileNotFoundError: the weights cannot be reached; names the ways to them.

    Source: ScaLR (arXiv:2310.17504) takes the tokens before the final norm.
    """

    def __init__(
        self,
        recipe: Recipe,
        name: str | None = None,
        *,
        layer: int | Sequence[int] | None = None,
        norm: bool | None = None,
        image_size: tuple[int, int] | None = None,
        scales: Sequence[float] | None = None,
        weights: str | Path | None = None,
    ):
        recipe = _changed(recipe, layer, norm, image_size, scales)
        network = build_network(
            recipe.model,
            recipe.image_size,
            weights,
            package=recipe.package,
            antialias=recipe.antialias,
            offset=recipe.offset,
        )
        recipe = _checked(recipe, network)
        config = timm.data.resolve_model_data_config(network)
        super().__init__(
            name or recipe.model,
            network,
            _dim(recipe, network),
            recipe.image_size,
            config["mean"],
            config["std"],
        )
        self.recipe = recipe

    def at_layer(self, layer: int) -> "TimmTeacher":
        """The same network and weights, read at another block or stage.

        Raises:
            ValueError: no such layer.
        """
        other = copy.copy(self)
        other.recipe = _checked(_changed(self.recipe, layer), self.network)
        other.dim = _dim(other.recipe, self.network)
        vars(other).pop("fingerprint", None)
        return other

    def choices(self) -> str:
        recipe = self.recipe
        choices = [recipe.model, recipe.image_size, recipe.layers, recipe.norm]
        if recipe.scales != (1.0,):  # keeps the hashes from before there were scales
            choices.append(recipe.scales)
        return repr(tuple(choices))

    def maps(self, normalised: Float[Tensor, "B 3 H W"]) -> list[Float[Tensor, "B _ _ _"]]:
        scales = self.recipe.scales
        return [each for scale in scales for each in self._at_scale(_scaled(normalised, scale))]

    @property
    def has_class_token(self) -> bool:
        taken = inspect.signature(self.network.forward_intermediates).parameters
        is_there = getattr(self.network, "cls_token", None) is not None
        return is_there and "return_prefix_tokens" in taken

    def tokens(self, normalised: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D"]:
        """Those of the same layers as the maps."""
        found = self._intermediates(normalised, return_prefix_tokens=True)
        return join_layers([prefix[:, 0] for _, prefix in found])

    def _at_scale(self, images: Float[Tensor, "B 3 h w"]) -> list[Tensor]:
        return self._intermediates(
            images.contiguous(memory_format=torch.channels_last)  # twice as fast on a CPU
        )

    def _intermediates(self, images: Float[Tensor, "B 3 h w"], **options) -> list:
        return self.network.forward_intermediates(
            images,
            indices=list(self.recipe.layers),
            norm=self.recipe.norm,
            stop_early=True,
            output_fmt="NCHW",
            intermediates_only=True,
            **options,
        )

    def __repr__(self) -> str:
        norm = "with the final norm" if self.recipe.norm else "without final norm"
        size = height_by_width(self.image_size)
        if self.recipe.scales != (1.0,):
            size += f" at scales {', '.join(map(str, self.recipe.scales))}"
        return (
            f"Teacher {self.name}: timm {self.recipe.model}, layers {list(self.recipe.layers)} "
            f"{norm}, {self.dim} channels, images {size}, frozen"
        )


def _changed(
    recipe: Recipe,
    layer: int | Sequence[int] | None = None,
    norm: bool | None = None,
    image_size: tuple[int, int] | None = None,
    scales: Sequence[float] | None = None,
) -> Recipe:
    changes = {
        "layers": (layer,) if isinstance(layer, int) else layer,
        "norm": norm,
        "image_size": image_size,
        "scales": scales,
    }
    kinds = {"layers": tuple, "norm": bool, "image_size": tuple, "scales": _floats}
    given = {name: value for name, value in changes.items() if value is not None}
    return replace(recipe, **{name: kinds[name](value) for name, value in given.items()})


def _floats(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(map(float, values))


def _dim(recipe: Recipe, network: nn.Module) -> int:
    stages = [network.feature_info[index] for index in recipe.layers]
    return len(recipe.scales) * sum(stage["num_chs"] for stage in stages)


def _scaled(images: Float[Tensor, "B 3 H W"], scale: float) -> Float[Tensor, "B 3 h w"]:
    if scale == 1:
        return images
    size = _size_at(images.shape[-2:], scale)
    return F.interpolate(images, size=size, mode="bilinear", antialias=True)


def _size_at(image_size: Sequence[int], scale: float) -> tuple[int, int]:
    return round(image_size[0] * scale), round(image_size[1] * scale)


def _checked(recipe: Recipe, network: nn.Module) -> Recipe:
    """The recipe with layers counted from 0, in order; ValueError if the network cannot do it."""
    if not hasattr(network, "forward_intermediates"):
        raise ValueError(f"timm's {recipe.model} gives no feature maps, choose another network")
    count = len(network.feature_info)
    if not recipe.layers or any(not -count <= index < count for index in recipe.layers):
        raise ValueError(
            f"{recipe.model} has {count} blocks or stages, 0 to {count - 1}, got {recipe.layers}"
        )
    layers = tuple(sorted({index % count for index in recipe.layers}))
    stride = max(network.feature_info[index]["reduction"] for index in layers)
    _check_scales(recipe, network)
    for scale in recipe.scales:
        where = "" if scale == 1 else f" at scale {scale}"
        check_image_size(_size_at(recipe.image_size, scale), stride, recipe.model, where)
    if recipe.norm and isinstance(getattr(network, "norm", nn.Identity()), nn.Identity):
        raise ValueError(f"{recipe.model} has no final norm, leave out norm=True")
    return replace(recipe, layers=layers)


def _check_scales(recipe: Recipe, network: nn.Module) -> None:
    scales = recipe.scales
    if not scales or len(set(scales)) < len(scales) or any(not 0 < s < 10 for s in scales):
        raise ValueError(
            f"scales must be different, above 0 and below 10, like (1, 2), got {scales}"
        )
    if scales != (1.0,) and hasattr(network, "pos_embed"):
        raise ValueError(
            f"{recipe.model} is a transformer for images of one size and cannot take scales "
            f"{scales}: choose another image_size, or a convolutional network"
        )
