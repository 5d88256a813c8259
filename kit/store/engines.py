"""Spread jobs over processes: on this machine, or on a Dask cluster."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import joblib

from kit.store.machine import num_cores
from kit.store.workers import exit_with_parent

Job = tuple[Callable, tuple]
ENGINES = ("loky", "dask")


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
        threads = max(1, num_cores() // workers)
        with joblib.parallel_config("loky", n_jobs=workers, inner_max_num_threads=threads):
            delayed = (joblib.delayed(_with_threads)(threads, *job) for job in jobs)
            watch = {"initializer": exit_with_parent, "initargs": (os.getpid(),)}
            yield from joblib.Parallel(return_as="generator_unordered", **watch)(delayed)


def _with_threads(threads: int, function: Callable, arguments: tuple) -> Any:
    import torch

    torch.set_num_threads(threads)
    return function(*arguments)


def _on_dask(jobs: Sequence[Job], scheduler: str | None) -> Iterator[Any]:
    """A worker that dies is replaced: Dask gives its job to another one, which continues it."""
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
        futures = [client.submit(function, *args, pure=False, retries=3) for function, args in jobs]
        for future in as_completed(futures):
            yield future.result()
