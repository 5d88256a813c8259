"""The processes that share a job: number and GPU of this one, as torchrun or srun say it.

torchrun's variables come first, because srun may have started it. SLURM sets its own also in the
script of sbatch, which is a single process; only srun sets SLURM_STEP_ID.

Source: torchrun's and srun's documentation, "environment variables". Differs: Lightning Fabric also
    takes the script of sbatch for processes of srun, and those of srun inside salloc for none.
"""

import os
from collections.abc import Callable
from contextvars import ContextVar
from multiprocessing import current_process
from typing import Any, NamedTuple

import torch

INTERACTIVE_STEP = 0xFFFFFFF0  # SLURM's own steps, such as the shell of salloc, begin here

LOKY = "LokyProcess-"  # name of a worker of loky, before its number from 1

_workers: ContextVar[int] = ContextVar("workers", default=0)  # in a job: how many share its work


class Process(NamedTuple):
    """One of the processes that share a job.

    Attributes:
        rank: its number, from 0.
        ranks: number of processes.
        local_rank: its number on its machine, from 0.
        local_ranks: number of processes on its machine; None: not known.
        launcher: "torchrun", "srun", or None if it was started alone.
    """

    rank: int = 0
    ranks: int = 1
    local_rank: int = 0
    local_ranks: int | None = 1
    launcher: str | None = None


def this_process() -> Process:
    """Number and count of this process, from the environment; in `run_alone` it is the only one.

    Raises:
        ValueError: a variable is not a whole number, or the numbers contradict each other.
    """
    found = _launched()
    return Process(local_rank=found.local_rank) if _workers.get() else found


def run_alone(function: Callable[..., Any], *arguments: Any, workers: int = 1) -> Any:
    """Call a function that shares its work with no other process, although srun started several.

    For example in a worker of Dask that srun has started: each job is for one worker.

    Args:
        function: the job.
        arguments: of it.
        workers: number of processes of loky that this one is one of.
    """
    token = _workers.set(workers)
    try:
        return function(*arguments)
    finally:
        _workers.reset(token)


def own_device() -> torch.device:
    """The GPU of this process, another one than its neighbours' on the machine; else the CPU.

    With more processes than GPUs, several share one.
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", _number_on_machine() % torch.cuda.device_count())


def _number_on_machine() -> int:
    """Number of this process among those of its machine, workers of loky included."""
    name, workers = current_process().name, max(1, _workers.get())
    worker = int(name.removeprefix(LOKY)) - 1 if name.startswith(LOKY) else 0
    return _launched().local_rank * workers + worker


def _launched() -> Process:
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        return _checked(Process(*map(_number, names), "torchrun"), names)
    if _in_step_of_srun():
        ranks = "SLURM_STEP_NUM_TASKS" if "SLURM_STEP_NUM_TASKS" in os.environ else "SLURM_NTASKS"
        names = ("SLURM_PROCID", ranks, "SLURM_LOCALID", "SLURM_NTASKS_PER_NODE")
        return _checked(Process(*map(_number, names), "srun"), names)
    return Process()


def _in_step_of_srun() -> bool:
    if not {"SLURM_STEP_ID", "SLURM_PROCID", "SLURM_NTASKS"} <= os.environ.keys():
        return False
    return _number("SLURM_STEP_ID") < INTERACTIVE_STEP


def _number(name: str) -> int | None:
    text = os.environ.get(name)
    try:
        return None if text is None else int(text)
    except ValueError as error:
        raise ValueError(f"{name} must be a whole number, got {text!r}") from error


def _checked(process: Process, names: tuple[str, ...]) -> Process:
    if process.local_rank is None:
        process = process._replace(local_rank=0)
    if process.ranks == 1:
        process = process._replace(local_ranks=1)
    elif process.local_ranks and process.ranks % process.local_ranks:
        process = process._replace(local_ranks=None)  # the job's, and the step has other ones
    if not 0 <= process.rank < process.ranks or process.local_rank < 0:
        given = ", ".join(f"{name}={os.environ.get(name)}" for name in names)
        raise ValueError(
            f"the number of a process must be from 0 to their count - 1, got {given}: start the "
            "processes with torchrun or srun, or remove these variables"
        )
    return process
