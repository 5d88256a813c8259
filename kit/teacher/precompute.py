"""Compute a teacher's feature maps of a whole data set once: `python -m kit teacher-features`."""

from functools import lru_cache
from pathlib import Path

from kit.data import open_dataset
from kit.store.engines import run_all
from kit.store.processes import own_device, this_process
from kit.store.progress import progress_bar
from kit.teacher.presets import TeacherConfig, build_teacher
from kit.teacher.stored_maps import (
    KEYFRAMES_PER_SHARD,
    Plan,
    announced_bytes,
    check_space,
    make_plan,
    make_shard,
    write_manifest,
)


def teacher_features(
    data: str,
    teacher: TeacherConfig,
    folder: str | Path,
    *,
    per_shard: int = KEYFRAMES_PER_SHARD,
    rank: int | None = None,
    ranks: int | None = None,
    engine: str = "loky",
    workers: int = 1,
    scheduler: str | None = None,
) -> Plan:
    """Write the maps of all images in float16; what is there and undamaged is kept.

    The size is announced, and compared with the free space, before anything is written. The same
    call after a crash goes on.

    Args:
        data: "street" or the root of a data set.
        teacher: the network.
        folder: of the shards, for `StoredMaps`.
        per_shard: keyframes in a file.
        rank, ranks: of several commands with one folder, each makes the shards rank, rank + ranks,
            ... None: of srun or torchrun, see `kit.store.processes`.
        engine, workers, scheduler: see `kit.store.engines.run_all`.

    Raises:
        ValueError: `folder` holds maps of another teacher or data set.
        OSError: there is not enough free space.
    """
    process = this_process()
    first = process.rank if rank is None else rank
    count = process.ranks if ranks is None else ranks
    if not 0 <= first < count:
        raise ValueError(f"rank must be from 0 to ranks - 1, got rank {first} of {count}")
    dataset, network = open_dataset(data), _teacher(teacher)
    dataset.prepare()
    print(check_space(Path(folder), announced_bytes(dataset, network)))
    plan = make_plan(dataset, network, folder, per_shard)
    shards = range(first, len(plan), count)
    jobs = [(_job, (data, teacher, plan, shard)) for shard in shards]
    made = run_all(jobs, engine, workers, scheduler)
    computed = sum(progress_bar(made, desc="teacher features", unit="shard", total=len(jobs)))
    complete = write_manifest(plan)
    print(
        f"{computed} of {len(jobs)} shards were computed, the others were there; "
        + ("all shards are there" if complete else "others are not finished yet")
    )
    return plan


def _job(data: str, teacher: TeacherConfig, plan: Plan, shard: int) -> bool:
    return make_shard(plan, shard, _dataset(data), _teacher(teacher))


@lru_cache(1)
def _dataset(data: str):
    return open_dataset(data)


@lru_cache(1)
def _teacher(config: TeacherConfig):
    return build_teacher(config).to(own_device())
