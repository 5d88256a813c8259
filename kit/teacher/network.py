"""Build a timm network for images of one size, and fit published weights to it."""

import difflib
import math
import sys
import warnings
from collections.abc import Collection
from pathlib import Path

import timm
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kit.store.files import named_in_errors
from kit.store.state_dict import misfits, prefix_of, some
from kit.teacher.weights import package_file, read_weights, timm_file

# Parts of a network that feature maps do not need: a file may have them or not.
HEADS = {"head", "head_dist", "fc", "fc_norm", "classifier", "pre_logits", "mask_token"}


def check_model(model: str, others: Collection[str] = ()) -> None:
    """Check that timm has a model of this name.

    Args:
        model: timm's name, with or without a tag.
        others: names to suggest besides timm's.

    Raises:
        ValueError: there is no such model; suggests similar names.
    """
    try:
        timm.models.get_pretrained_cfg(model, allow_unregistered=False)
    except RuntimeError as error:
        names = [*others, *timm.list_models(), *timm.list_pretrained()]
        similar = ", ".join(difflib.get_close_matches(model, names, 4))
        advice = f"Did you mean {similar}?" if similar else "See timm.list_models()."
        raise ValueError(
            f"{model!r} is not a model of timm {timm.__version__}. {advice}"
        ) from error


def build_network(
    model: str,
    image_size: tuple[int, int],
    weights: str | Path | None = None,
    *,
    package: str | None = None,
    antialias: bool = True,
    offset: float = 0.0,
    num_classes: int = 0,
) -> nn.Module:
    """Make a timm network for images of one size and give it weights.

    Args:
        model: timm's name, with or without a tag.
        image_size: (height, width) in pixels.
        weights: a .safetensors or .pth file; "random" (the same at every call); None: those of
            `package`, or else those that timm publishes, from the cache or the hub.
        package: a Python package that holds the weights in a .pth file.
        antialias: see `resize_position_embedding`.
        offset: see `resize_position_embedding`.
        num_classes: channels of the classification head; 0 leaves it out.

    Raises:
        ValueError: the file holds no weights, or those of another network.
        FileNotFoundError: the weights cannot be reached; names the ways to them.
    """
    if weights == "random":
        return _create(model, image_size, num_classes=num_classes)
    if weights is not None:
        source = Path(weights)
    else:
        source = timm_file(model) if package is None else package_file(package)
    state = read_weights(source)
    # The meta device saves the time of random weights. But tables that a network computes itself
    # have no values there; such a network is made once more, on the CPU.
    for device in ("meta", "cpu"):
        network = _create(model, image_size, device, num_classes)
        with named_in_errors(f"{source}: does not fit {model}"):
            fitted = _fit(state, network, antialias, offset)
        if num_classes and "head.weight" not in fitted:
            raise ValueError(f"{source}: holds no weights for the head of {model}")
        _load(network, fitted, f"{source}: does not fit {model}")
        if not any(t.is_meta for t in (*network.parameters(), *network.buffers())):
            break
    return network


def _create(
    model: str, image_size: tuple[int, int], device: str = "cpu", num_classes: int = 0
) -> nn.Module:
    """Make timm's network, with random weights that are the same at every call."""
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.manual_seed(0)
        try:
            return timm.create_model(model, num_classes=num_classes, img_size=image_size)
        except TypeError:  # convolutional networks take images of any size
            return timm.create_model(model, num_classes=num_classes)
        except Exception as error:  # what timm raises for a size is not documented
            raise ValueError(f"{model} cannot take images of {image_size} ({error})") from error


def _fit(
    state: dict[str, Tensor], network: nn.Module, antialias: bool, offset: float
) -> dict[str, Tensor]:
    """Convert weights to timm's names, to the network's patch grid and to float32."""
    state = _own_names(state, network)
    state = {name: v.float() if v.is_floating_point() else v for name, v in state.items()}
    if "_conv_stem.weight" in state:
        state = _rename_in_order(state, network)
    tokens = getattr(network, "pos_embed", None)  # (1, prefix + rows * columns, D)
    resized = None
    grid = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    stored = state.get("pos_embed")
    if grid and stored is not None and isinstance(tokens, Tensor) and tokens.ndim == 3:
        if stored.ndim != 3 or stored.shape[2] != tokens.shape[2]:
            return state  # of another network: the check of shapes reports it
        old = stored_grid(stored.shape[1], tuple(grid), tokens.shape[1] - grid[0] * grid[1])
        resized = resize_position_embedding(stored, tuple(grid), antialias, offset, old)
        state["pos_embed"] = resized
    convert = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    if convert is not None:
        try:
            state = convert(state, network)
        except Exception as error:  # what timm raises for other names and shapes is not documented
            raise ValueError(
                f"timm cannot convert these names ({type(error).__name__}: {error}): "
                f"{some(state)}. Is it for another network?"
            ) from error
    if resized is not None:  # undo timm's own resizing; with registers there is no class position
        state["pos_embed"] = resized[:, -tokens.shape[1] :]
    return state


def _own_names(state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Remove an unknown prefix, if the names of the network follow one prefix only."""
    names = [name for name in network.state_dict() if not _is_head(name)]
    prefix = prefix_of(state, names[-8:], "the file")
    if not prefix:  # none, or other names, which are converted or reported later
        return state
    return {name[len(prefix) :]: v for name, v in state.items() if name.startswith(prefix)}


def _rename_in_order(state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Convert names of efficientnet_pytorch to timm's: both list the layers in the same order."""
    names = [name for name in state if not name.startswith("_fc.")]
    pairs = list(zip(network.state_dict(), names, strict=False))
    if len(names) != len(network.state_dict()) or any(
        a.split(".")[-1] != b.split(".")[-1] for a, b in pairs
    ):
        return state  # of another network: the check of names reports it
    return {name: state[old] for name, old in pairs}


def stored_grid(length: int, grid: tuple[int, int], num_prefix: int) -> tuple[int, int]:
    """Infer the patch grid of a position embedding, which a file does not say.

    It is, in this order: a square; the network's own grid; a grid with the network's ratio of rows
    to columns. Each is tried with the network's number of prefix tokens, with one (a class token)
    and with none.

    Args:
        length: number of positions in the file, prefix tokens included.
        grid: (rows, columns) of the network.
        num_prefix: prefix tokens of the network that have a position.

    Raises:
        ValueError: none of these has as many positions.
    """
    tried = dict.fromkeys((num_prefix, 1, 0))
    for prefix in tried:
        count = length - prefix
        side = math.isqrt(max(count, 0))
        if side and side * side == count:
            if grid[0] != grid[1] and grid[0] * grid[1] == count:
                warnings.warn(
                    f"the file's {count} position embeddings fit {side}x{side} and "
                    f"{grid[0]}x{grid[1]} patches; taken as {side}x{side}, as published. If they "
                    "were saved at this image_size, choose another one, then build it again",
                    stacklevel=2,
                )
            return side, side
        if count == grid[0] * grid[1]:
            return grid
    for prefix in tried:
        rows = math.isqrt(max(length - prefix, 0) * grid[0] // grid[1])
        columns = rows * grid[1] // grid[0]
        if rows and rows * columns == length - prefix and rows * grid[1] == columns * grid[0]:
            return rows, columns
    raise ValueError(
        f"pos_embed has {length} positions in the file: neither a square, nor of the shape "
        f"{grid[0]}x{grid[1]} of the images' patches. Set image_size to the size they were saved at"
    )


def resize_position_embedding(
    pos_embed: Float[Tensor, "1 L D"],
    grid: tuple[int, int],
    antialias: bool,
    offset: float,
    old: tuple[int, int] | None = None,
) -> Float[Tensor, "1 K D"]:
    """Resize the position embedding of a patch grid to another grid, bicubic.

    Published teachers differ in how they resize, and their features differ visibly with it.

    Args:
        pos_embed: prefix tokens (class, distillation), which do not change, then the grid row by
            row.
        grid: (rows, columns) of the new grid.
        antialias: smooth before reducing the size, as timm and DINOv2 with registers do.
        offset: added to rows and columns before the scale is computed, which moves the positions of
            the new grid closer together: 0.1 in DINO and DINOv2, which do not smooth.
        old: (rows, columns) of the grid in `pos_embed`; None: it is square.

    Raises:
        ValueError: an offset together with antialias; no teacher was published with both.

    Source: `interpolate_pos_encoding` of DINO (arXiv:2104.14294) and DINOv2 (arXiv:2304.07193);
        with registers (arXiv:2309.16588) DINOv2's hub sets antialiasing and no offset.
    """
    if antialias and offset:
        raise ValueError(
            f"offset={offset} needs antialias=False: no teacher was published with both"
        )
    if old is None:
        old = (math.isqrt(pos_embed.shape[1]),) * 2
    if old == grid:
        return pos_embed
    prefix, patches = pos_embed.tensor_split([pos_embed.shape[1] - old[0] * old[1]], dim=1)
    patches = patches.unflatten(1, old).permute(0, 3, 1, 2)  # (1, D, rows, columns)
    if offset:
        scale = ((grid[0] + offset) / old[0], (grid[1] + offset) / old[1])
        patches = F.interpolate(patches, scale_factor=scale, mode="bicubic")
    else:
        patches = F.interpolate(patches, size=grid, mode="bicubic", antialias=antialias)
    return torch.cat([prefix, patches.flatten(2).mT], dim=1)  # (1, prefix + rows * columns, D)


def _load(network: nn.Module, state: dict[str, Tensor], complaint: str) -> None:
    """Put weights into a network. Every name and shape must fit, except for heads."""
    expected = network.state_dict()
    missing = [name for name in expected if name not in state and not _is_head(name)]
    extra = [name for name in state if name not in expected and not _is_head(name)]
    both = [name for name in expected if name in state]
    other = list(misfits(state, expected))
    kinds = {"missing": missing, "unexpected": extra, "of another shape or kind": other}
    faults = [f"{len(v)} {kind} ({some(v)})" for kind, v in kinds.items() if v]
    if faults:
        raise ValueError(f"{complaint}: {'; '.join(faults)}. Is it for another network?")
    network.load_state_dict({name: state[name] for name in both}, strict=False, assign=True)


def _is_head(name: str) -> bool:
    return name.split(".")[0] in HEADS
