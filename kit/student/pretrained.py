"""Students that come with the kit: distilled beforehand, ready to give features."""

from pathlib import Path

from kit.store import files as store
from kit.student.checkpoints import load_student
from kit.student.student import Student

FOLDER = Path(__file__).parent / "weights"


def pretrained(name: str = "street") -> Student:
    """Load a student that comes with the kit, in eval mode.

    `pretrained_figures` returns how it was made and its linear probes.

    Args:
        name: "street": distilled from the teacher efficientnet_lite0 on the simulated street.

    Raises:
        ValueError: no such student; lists those that come with the kit.
    """
    return load_student(_file(name, ".safetensors"))


def pretrained_figures(name: str = "street") -> dict:
    """Read the command that made a student, its settings, and its linear probes.

    Raises:
        ValueError: no such student; lists those that come with the kit.
    """
    return store.read_json(_file(name, ".json"))


def _file(name: str, ending: str) -> Path:
    names = sorted(file.stem for file in FOLDER.glob("*.safetensors"))
    if name not in names:
        listed = ", ".join(names) or "none; python -m kit pretrain makes one"
        raise ValueError(f"no student {name!r} comes with the kit; there are: {listed}")
    return FOLDER / f"{name}{ending}"
