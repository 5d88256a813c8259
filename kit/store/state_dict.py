"""State dicts (tensors by name): find them in a loaded file, remove prefixes, check values."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from torch import Tensor

StateDict = dict[str, Tensor]
WRAPPERS = ("module.", "_orig_mod.")  # of DistributedDataParallel and of torch.compile
DEPTH = 4  # of dictionaries inside each other that are searched


def state_dicts_in(content: object, key: str = "", depth: int = DEPTH) -> dict[str, StateDict]:
    """Find every dictionary that holds tensors by name, in what `torch.save` wrote.

    Returns:
        the tensors of each dictionary, by the keys that lead to it, joined by dots; "" if the
        content itself is one.
    """
    if not isinstance(content, Mapping) or depth == 0:
        return {}
    tensors = {
        name: value
        for name, value in content.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }
    found = {key: tensors} if tensors else {}
    for name, value in content.items():
        if isinstance(name, str):
            found |= state_dicts_in(value, f"{key}.{name}".lstrip("."), depth - 1)
    return found


def without_wrappers(state: Mapping[str, Tensor]) -> StateDict:
    """Remove the prefixes in `WRAPPERS` from all names, however many there are."""
    return {_unwrapped(name): value for name, value in state.items()}


def _unwrapped(name: str) -> str:
    while name.startswith(WRAPPERS):
        name = name.partition(".")[2]
    return name


def prefix_of(state: Mapping[str, Tensor], names: Collection[str], where: str | Path) -> str | None:
    """Find the prefix that all of `names` have in a state dict.

    Args:
        state: tensors by name.
        names: names without a prefix, of the network that is expected.
        where: names the file in messages.

    Returns:
        "" if the names are there without a prefix; None if they are not there.

    Raises:
        ValueError: they are there under several prefixes; lists them.
    """
    found = {""} if all(name in state for name in names) else _prefixes(state, names)
    if len(found) > 1:
        raise ValueError(
            f"{where}: holds {len(found)} networks of this kind, under the prefixes "
            f"{', '.join(map(repr, sorted(found)))}; expected one. Save a state dict of the one "
            "that you want"
        )
    return next(iter(found), None)


def _prefixes(state: Mapping[str, Tensor], names: Collection[str]) -> set[str]:
    found: set[str] | None = None
    for name in names:
        of_name = {each[: -len(name)] for each in state if each.endswith(f".{name}")}
        found = of_name if found is None else found & of_name
    return found or set()


def check_values(state: Mapping[str, Tensor], where: str | Path) -> None:
    """Check that every number of a state dict is finite and real.

    Raises:
        ValueError: names the first tensor that holds others.
    """
    for name, tensor in state.items():
        if tensor.is_complex():
            raise ValueError(f"{where}: {name} holds complex numbers, expected real ones")
        if tensor.is_floating_point():
            values = tensor if tensor.element_size() > 1 else tensor.float()  # float8 has no check
            if bad := int((~values.isfinite()).sum()):
                raise ValueError(
                    f"{where}: {name} holds {bad:,} values of {tensor.numel():,} that are NaN or "
                    "infinite. Did the training that wrote it diverge? Take an earlier checkpoint"
                )


def misfits(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> Iterator[str]:
    """Describe each tensor of another shape than expected, or of integers in place of weights."""
    for name, wanted in expected.items():
        tensor = state.get(name)
        if tensor is None:
            continue
        if tensor.shape != wanted.shape:
            yield f"{name}: {tuple(tensor.shape)} in the file, {tuple(wanted.shape)} expected"
        elif wanted.is_floating_point() and not tensor.is_floating_point():
            yield f"{name}: {tensor.dtype} in the file, {wanted.dtype} expected"


def some(names: Collection[str], most: int = 6) -> str:
    """The first names of many, joined by commas."""
    return ", ".join([*list(names)[:most], *(["..."] if len(names) > most else [])])
