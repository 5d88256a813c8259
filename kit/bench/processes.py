"""Speed-up by several processes, and the time that stored feature maps save.

    python -m kit bench processes [--data <root>]

One process, and two with as many threads each, make the same files. The start of the workers is not
timed, because it takes the same time for a data set of any size. Then an epoch of a distillation is
timed, with the maps of `teacher-features` and with a teacher that computes every image. Without
`--data` a small street is written first.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from kit.bench import Row
from kit.data import open_dataset
from kit.demo import small
from kit.distill.loop import distill
from kit.distill.settings import DistillConfig
from kit.features.export import write_features
from kit.store import num_cores
from kit.store.engines import run_all
from kit.street.dataroot.writer import write_dataroot
from kit.street.dataset import Street
from kit.student.checkpoints import save_student
from kit.student.presets import build_student
from kit.teacher.precompute import teacher_features
from kit.teacher.presets import TeacherConfig, build_teacher
from kit.teacher.stored_maps import StoredMaps

SCENES, KEYFRAMES = 4, 2
WORKERS = 2
BATCH = 2
TEACHER = TeacherConfig()
STUDENT = small("wi-6-64")


def rows(data: str | None, device: str) -> Iterator[Row]:
    """Measure the commands with one and with two processes, and an epoch of a distillation."""
    with TemporaryDirectory() as folder, _threads_of_a_worker():
        root, out = data or _street(Path(folder) / "street"), Path(folder)
        teacher = build_teacher(TEACHER).to(device)
        student, dataset = build_student(STUDENT, teacher.dim), open_dataset(root)
        save_student(student, out / "student.safetensors")
        list(run_all([(_warm, ()) for _ in range(2 * WORKERS)], workers=WORKERS))

        def maps(to: str, workers: int) -> None:
            teacher_features(root, TEACHER, out / to, per_shard=1, workers=workers)

        def features(to: str, workers: int) -> None:
            write_features(root, out / "student.safetensors", out / to, workers=workers)

        for name, make in {"teacher-features": maps, "features": features}.items():
            one, two = (_seconds(make, f"{name}-{n}", n) for n in (1, WORKERS))
            yield Row(f"{name}: keyframe, one process", one / len(dataset), "s")
            yield Row(f"{name}: speed-up of {WORKERS} processes", one / two, "times", ">= 1.5")
        config = DistillConfig(steps=max(1, len(dataset) // BATCH), batch_size=BATCH, augment=False)
        stored = StoredMaps(out / "teacher-features-1", dataset, teacher)
        for name, cache in {"stored maps": stored, "no maps": None}.items():
            run = distill(dataset, teacher, student, config, cache=cache, progress=False)
            yield Row(f"epoch of {len(dataset)} keyframes, {name}", run.history[-1]["seconds"], "s")


def _street(root: Path) -> str:
    write_dataroot(Street(SCENES, KEYFRAMES, (225, 400)), root)
    return str(root)


def _seconds(make: Callable[[str, int], None], to: str, workers: int) -> float:
    began = time.perf_counter()
    make(to, workers)
    return time.perf_counter() - began


def _warm() -> None:
    """Start a worker and load what the commands need."""
    import kit.features.export  # noqa: F401
    import kit.teacher.precompute  # noqa: F401

    time.sleep(1)


@contextmanager
def _threads_of_a_worker() -> Iterator[None]:
    """Compute with as many threads in this process as each worker has."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, num_cores() // WORKERS))
    try:
        yield
    finally:
        torch.set_num_threads(before)
