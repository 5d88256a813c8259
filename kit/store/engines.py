"""Spread jobs over processes: on this machine, or on a Dask cluster.

A worker process that dies (killed, out of memory) does not end the work: its job runs again in
another process, at most `RETRIES` times. So a job must leave the same result when it runs twice.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError

from kit.store.machine import num_cores
from kit.store.processes import run_alone
from kit.store.workers import exit_with_parent

Job = tuple[Callable, tuple]
ENGINES = ("loky", "dask")
RETRIES = 3  # after which a death is taken for the job's fault


def run_all(
    jobs: Sequence[Job], engine: str = "loky", workers: int = 1, scheduler: str | None = None
) -> Iterator[Any]:
    """Run jobs, each a function with its arguments; yields results as they finish.

    Args:
        jobs: functions that can be imported, and arguments that can be pickled.
        engine: "loky" or "dask".
        workers: processes of "loky"; with one, jobs run in this process.
        scheduler: address of the Dask scheduler, e.g. tcp://host:8786.

    Raises:
        ValueError: no such engine, or "dask" without a scheduler.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    if engine == "dask":
        yield from _on_dask(jobs, scheduler)
    elif workers == 1 or len(jobs) < 2:
        yield from (function(*arguments) for function, arguments in jobs)
    else:
        yield from _on_this_machine(jobs, workers)


def _on_this_machine(jobs: Sequence[Job], workers: int) -> Iterator[Any]:
    threads, waiting = max(1, num_cores() // workers), dict(enumerate(jobs))
    for attempt in range(RETRIES + 1):
        try:
            with joblib.parallel_config("loky", n_jobs=workers, inner_max_num_threads=threads):
                delayed = (
                    joblib.delayed(_numbered)(threads, workers, number, *job)
                    for number, job in list(waiting.items())
                )
                watch = {"initializer": exit_with_parent, "initargs": (os.getpid(),)}
                made = joblib.Parallel(return_as="generator_unordered", **watch)(delayed)
                for number, result in made:
                    del waiting[number]
                    yield result
            return
        except TerminatedWorkerError as error:
            if attempt == RETRIES:
                raise RuntimeError(
                    f"worker processes ended {RETRIES + 1} times, {len(waiting)} of {len(jobs)} "
                    "jobs are left. Is there too little memory? Try fewer workers; what is done "
                    "is kept where the command writes files"
                ) from error
            print("a worker process ended (killed, or too little memory); its job runs again")


def _numbered(
    threads: int, workers: int, number: int, function: Callable, arguments: tuple
) -> tuple[int, Any]:
    import torch

    torch.set_num_threads(threads)
    return number, run_alone(function, *arguments, workers=workers)


def _on_dask(jobs: Sequence[Job], scheduler: str | None) -> Iterator[Any]:
    if scheduler is None:
        raise ValueError(
            "the engine dask needs the address of a scheduler: start one with `dask scheduler` and "
            "give --scheduler tcp://HOST:8786"
        )
    try:
        from dask.distributed import Client, as_completed
    except ImportError as error:
        raise ValueError(
            "the engine dask needs the package distributed: pip install 'lidar-distillation-kit"
            "[cluster]'"
        ) from error
    with Client(scheduler, timeout=30) as client:
        options = {"pure": False, "retries": RETRIES}
        futures = [client.submit(run_alone, function, *args, **options) for function, args in jobs]
        for future in as_completed(futures):
            yield future.result()
