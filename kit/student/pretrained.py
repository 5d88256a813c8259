"""Pretrained students by name: those that come with the kit, and those that others published."""

from pathlib import Path

from kit.store import files as store
from kit.store.state_dict import misfits, some
from kit.student.checkpoints import load_student
from kit.student.student import Student

FOLDER = Path(__file__).parent / "weights"


def pretrained(name: str = "street") -> Student:
    """Load a student that comes with the kit or that others have published, in eval mode.

    `pretrained_figures` returns how a student that comes with the kit was made, and its linear
    probes.

    Args:
        name: "street": distilled from the teacher efficientnet_lite0 on the simulated street. Or a
            name of `kit.student.released.RELEASES`, e.g. "scalr-plus" or "slidr": it is downloaded
            once and kept in the cache.

    Raises:
        ValueError: no such student; lists those there are.
        FileNotFoundError: it could not be downloaded; lists the ways to it.
    """
    from kit.student.released import RELEASES, released_file

    if name in RELEASES:
        return load_student(released_file(name))
    return load_student(_file(name, ".safetensors"))


def start_from(student: Student, initial: Student, *, same_teacher: bool) -> None:
    """Give a student the weights of one that was distilled before, to go on from there.

    Args:
        student: gets the weights, in place.
        initial: of the same kind and size; how scans are prepared may differ.
        same_teacher: whether both have the same teacher. Only then is the head taken over.

    Raises:
        ValueError: a layer of `student` has another size or is missing; names it.
    """
    state, own = initial.state_dict(), student.state_dict()
    if not same_teacher:
        for each in (state, own):
            for name in [name for name in each if name.startswith("classif")]:
                del each[name]
    wrong = [*misfits(state, own), *sorted(state.keys() ^ own.keys())]
    if wrong:
        raise ValueError(
            f"the student cannot start from the other one: {len(wrong)} tensors do not fit "
            f"({some(wrong, 2)}). Choose the same kind of student, depth and width: "
            f"{initial.config}"
        )
    student.load_state_dict(state, strict=False)


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
        from kit.student.released import RELEASES

        raise ValueError(
            f"no student {name!r} comes with the kit; there are: {listed}. Published by others: "
            f"{', '.join(RELEASES)}"
        )
    return FOLDER / f"{name}{ending}"
