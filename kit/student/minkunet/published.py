"""MinkUNet checkpoints: of SLidR, PPKT and ST-SLidR (MinkowskiEngine), and SuperFlow (torchsparse).

The networks differ in names, in the order of a kernel's cells, and in what a voxel holds:

- SLidR: the first axis is the fastest in kernels of 3 and of 2. A voxel holds the intensity of one
  point. The stem is one layer.
- SuperFlow: the first axis is the fastest in kernels of 3, the last axis in kernels of 2. A voxel
  holds x, y, z and the intensity of one point. The stem is two layers.

A kernel is (cells, in, out) there, and (out, cells along three axes, in) in spconv. A kernel of 2
begins at the voxel itself everywhere.

Source: `model/res16unet.py` of SLidR (arXiv:2203.16258), `kernel_region.hpp` of MinkowskiEngine,
    `minkunet.py` of SuperFlow (arXiv:2407.06190), `get_kernel_offsets` of torchsparse.
"""

import re
from collections.abc import Callable, Mapping
from typing import ClassVar

from torch import Tensor

from kit.student.converted import Converted, PublishedFile
from kit.student.minkunet.config import BLOCKS, LEVELS, MinkUNetConfig
from kit.student.scans import InputConfig

# All points of a scan, up to 128 m away, with the raw intensity.
INPUTS = InputConfig(
    voxel_size=0.1,
    fov=(128.0, 128.0, 25.6),
    cell_size=None,
    num_neighbours=0,
    max_points=10**6,
    subsample=False,
    intensity="raw",
)
_SLIDR_CONVS = ["conv0p1s1", "conv1p1s2", "conv2p2s2", "conv3p4s2", "conv4p8s2"]
_SLIDR_CONVS += ["convtr4p16s2", "convtr5p8s2", "convtr6p4s2", "convtr7p2s2"]


class SLidR:
    """Res16UNet34C of SLidR: how it is recognised and converted."""

    NAME = "MinkUNet of SLidR"
    KEYS = ("model_points", "state_dict")
    ANCHORS = ("conv0p1s1.kernel", "bntr7.bn.weight")
    BESIDE: ClassVar[dict[str, str]] = {}

    @staticmethod
    def convert(file: PublishedFile) -> Converted:
        """Convert a checkpoint, see `import_checkpoint`."""
        config = MinkUNetConfig(
            depth=_depth(file.tensors),
            widths=_widths(file, [f"{name}.kernel" for name in _SLIDR_CONVS]),
            head=_head(file.tensors.get("final.kernel"), -1),
            cylindrical=True,
            grid="sensor",
            reduce="first",
            inputs=file.inputs or INPUTS,
        )
        return _converted(config, file.tensors, _slidr_name, is_minkowski=True)


class SuperFlow:
    """MinkUNetBackbone of SuperFlow: how it is recognised and converted."""

    NAME = "MinkUNet of SuperFlow"
    KEYS = ("state_dict",)
    ANCHORS = ("conv0.1.conv.kernel", "conv8.norm.weight")
    BESIDE: ClassVar[dict[str, str]] = {"head_3d.conv_seg.": "head."}

    @staticmethod
    def convert(file: PublishedFile) -> Converted:
        """Convert a checkpoint, see `import_checkpoint`."""
        convs = ["conv0.0.conv.kernel", *(f"conv{i + 1}.conv.kernel" for i in range(2 * LEVELS))]
        config = MinkUNetConfig(
            depth=_depth(file.tensors),
            widths=_widths(file, convs),
            head=_head(file.tensors.get("head.weight"), 0),
            cylindrical=True,
            grid="scan",
            reduce="first",
            channels=4,
            stem_convs=2,
            inputs=file.inputs or INPUTS,
        )
        return _converted(config, file.tensors, _superflow_name, is_minkowski=False)


def _depth(tensors: Mapping[str, Tensor]) -> int:
    """The depth that has as many blocks in every group as the file, else 34."""
    numbers = [set() for _ in range(2 * LEVELS)]
    for name in tensors:
        if found := re.match(r"block([1-8])\.(\d{1,2})\.", name):
            numbers[int(found[1]) - 1].add(int(found[2]))
    counts = tuple(map(len, numbers))
    return next((depth for depth, blocks in BLOCKS.items() if blocks == counts), 34)


def _widths(file: PublishedFile, convs: list[str]) -> tuple[int, ...]:
    """Channels of the stem and of the eight groups of blocks."""
    stem = file.tensors.get(convs[0])
    blocks = [file.tensors.get(f"block{i + 1}.0.conv1.kernel") for i in range(2 * LEVELS)]
    if any(each is None or each.ndim != 3 for each in (stem, *blocks)):
        raise ValueError(
            f"{file.path}: expected {convs[0]} and block1.0.conv1.kernel ... "
            "block8.0.conv1.kernel, each (cells, in, out)"
        )
    return tuple(each.shape[2] for each in (stem, *blocks))


def _head(weight: Tensor | None, axis: int) -> tuple[int, ...]:
    return (weight.shape[axis],) if weight is not None and weight.ndim >= 2 else (64,)


def _converted(
    config: MinkUNetConfig,
    tensors: Mapping[str, Tensor],
    rename: Callable[[str], str | None],
    is_minkowski: bool,
) -> Converted:
    found, left_out = {}, []
    for name, tensor in tensors.items():
        new = rename(name)
        if new is None:
            left_out.append(name)
        else:
            found[new] = _reordered(new, tensor, is_minkowski)
    return Converted(config, found, left_out)


def _reordered(name: str, tensor: Tensor, is_minkowski: bool) -> Tensor:
    """A kernel in spconv's order; other tensors in the kit's shape."""
    if name == "classif.bias":
        return tensor.flatten()
    if name == "classif.weight" and not is_minkowski:  # of nn.Linear
        return tensor[..., None]
    if name == "classif.weight" and tensor.ndim >= 2:  # (C, D); older versions (1, C, D)
        return tensor.reshape(tensor.shape[-2:]).T[..., None]
    if ".shortcut.0." in name and tensor.ndim >= 2:
        return tensor.reshape(tensor.shape[-2:]).T
    if tensor.ndim == 3 and tensor.shape[0] in (8, 27):
        edge = 3 if tensor.shape[0] == 27 else 2
        cells = tensor.view(edge, edge, edge, *tensor.shape[1:])
        if edge == 3 or is_minkowski:
            return cells.permute(4, 2, 1, 0, 3).contiguous()
        return cells.permute(4, 0, 1, 2, 3).contiguous()
    return tensor


def _unit(number: int) -> tuple[str, str]:
    """The kit's names of convolution `number`, 0 is the stem, and of its BatchNorm."""
    if number == 0:
        return "stem.0", "stem.1.0"
    if number <= LEVELS:
        return f"halve.{number - 1}.0", f"halve.{number - 1}.1.0"
    return f"back.{number - LEVELS - 1}.0", f"back.{number - LEVELS - 1}.1.0"


def _in_block(group: str, rest: str) -> str | None:
    """The kit's name of a tensor inside group 1 to 8 of blocks."""
    number = int(group) - 1
    place = f"down.{number}" if number < LEVELS else f"up.{number - LEVELS}"
    rest = rest.replace(".kernel", ".weight").replace(".bn.", ".")
    rest = rest.replace("downsample.conv.", "downsample.0.").replace(
        "downsample.norm.", "downsample.1."
    )
    rest = rest.replace("downsample.", "shortcut.").replace("norm1.", "norm1.0.")
    return f"{place}.{rest}"


def _slidr_name(name: str) -> str | None:
    if name in _SLIDR_HEAD:
        return _SLIDR_HEAD[name]
    if found := re.fullmatch(r"block([1-8])\.(\d+\..+)", name):
        return _in_block(*found.groups())
    module, _, rest = name.partition(".")
    if module in _SLIDR_CONVS and rest == "kernel":
        return f"{_unit(_SLIDR_CONVS.index(module))[0]}.weight"
    if found := re.fullmatch(r"bn(tr)?(\d)\.bn\.(\w+)", name):
        number = int(found[2]) + (1 if found[1] else 0)
        return f"{_unit(number)[1]}.{found[3]}"
    return None


_SLIDR_HEAD = {"final.kernel": "classif.weight", "final.bias": "classif.bias"}
_SUPERFLOW_HEAD = {"head.weight": "classif.weight", "head.bias": "classif.bias"}


def _superflow_name(name: str) -> str | None:
    if name in _SUPERFLOW_HEAD:
        return _SUPERFLOW_HEAD[name]
    if found := re.fullmatch(r"block([1-8])\.(\d+\..+)", name):
        return _in_block(*found.groups())
    if found := re.fullmatch(r"conv0\.([01])\.(conv|norm)\.(\w+)", name):
        place = 2 * int(found[1])
        rest = found[3].replace("kernel", "weight")
        return f"stem.{place}.{rest}" if found[2] == "conv" else f"stem.{place + 1}.0.{rest}"
    if found := re.fullmatch(r"conv([1-8])\.(conv|norm)\.(\w+)", name):
        conv, norm = _unit(int(found[1]))
        return f"{conv if found[2] == 'conv' else norm}.{found[3].replace('kernel', 'weight')}"
    return None
