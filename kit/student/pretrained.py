"""Students that come with the kit, so that looking and asking can start at once."""

from pathlib import Path

from kit.store import files as store
from kit.student.checkpoints import load_student
from kit.student.student import Student

FOLDER = Path(__file__).parent / "weights"


def pretrained(name: str = "street") -> Student:
    """A student distilled beforehand, in eval mode.

    Args:
        name: "street": from EfficientNet-Lite0, on the simulated street; its head is 432 wide.

    Raises:
        ValueError: no such student; lists those there are.

    `pretrained_figures` tells how it was made and what it reaches.
    """
    return load_student(_file(name, ".safetensors"))


def pretrained_figures(name: str = "street") -> dict:
    """The command that made a student, its settings, and its linear probes."""
    return store.read_json(_file(name, ".json"))


def _file(name: str, ending: str) -> Path:
    there = sorted(file.stem for file in FOLDER.glob("*.safetensors"))
    if name not in there:
        listed = ", ".join(there) or "none; python -m kit pretrain makes one"
        raise ValueError(f"no student {name!r} comes with the kit; there are: {listed}")
    return FOLDER / f"{name}{ending}"
