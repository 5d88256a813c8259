"""Which of several processes this one is: the variables of torchrun, srun and sbatch."""

import os
import time
from multiprocessing import current_process
from types import SimpleNamespace

import pytest
import torch
from launchers import sbatch, srun, torchrun

from kit.store.engines import run_all
from kit.store.processes import Process, own_device, run_alone, this_process


@pytest.fixture
def started(monkeypatch):
    """A function that gives the `Process` in an environment."""

    def process_in(variables):
        with monkeypatch.context() as patch:
            for name in ("RANK", "WORLD_SIZE", "SLURM_STEP_ID", "SLURM_PROCID", "SLURM_NTASKS"):
                patch.delenv(name, raising=False)
            for name, value in variables.items():
                patch.setenv(name, value)
            return this_process()

    return process_in


@pytest.mark.parametrize(
    "launched",
    [
        [{}],
        [sbatch(9)],
        [sbatch(8, per_node=4)],
        srun(1),
        srun(16),
        srun(8, per_node=4),
        torchrun(4, per_node=4),
        torchrun(8, per_node=4, inside=srun(2, per_node=1)),
        torchrun(4, per_node=4, inside=[sbatch(9)]),
    ],
    ids=lambda launched: f"{len(launched)} processes",
)
def test_everything_is_computed_by_exactly_one_process(launched, started):
    processes = [started(variables) for variables in launched]
    assert {process.ranks for process in processes} == {len(launched)}
    items = [i for process in processes for i in range(50)[process.rank :: process.ranks]]
    assert sorted(items) == list(range(50))


def test_processes_of_one_machine_have_different_numbers(started):
    launched = torchrun(8, per_node=4, inside=srun(2, per_node=1))
    found = [started(variables) for variables in launched]
    assert [process.local_rank for process in found] == [0, 1, 2, 3, 0, 1, 2, 3]
    assert found[6] == Process(6, 8, 2, 4, "torchrun")
    assert started(srun(8, per_node=4)[6]) == Process(6, 8, 2, 4, "srun")
    assert started(srun(8)[6]) == Process(6, 8, 6, None, "srun")
    of_job = {**srun(2)[1], "SLURM_NTASKS_PER_NODE": "4"}  # srun --ntasks 2 in a job with more
    assert started(of_job) == Process(1, 2, 1, None, "srun")


@pytest.fixture
def cards(monkeypatch):
    """A function that gives the number of the GPU in an environment, of a machine with some."""

    def card(variables, count, worker=None, workers=2):
        with monkeypatch.context() as patch:
            patch.setattr("torch.cuda.is_available", lambda: count > 0)
            patch.setattr("torch.cuda.device_count", lambda: count)
            for name, value in variables.items():
                patch.setenv(name, value)
            if worker is None:
                return own_device()
            process = SimpleNamespace(name=f"LokyProcess-{worker}")
            patch.setattr("kit.store.processes.current_process", lambda: process)
            return run_alone(own_device, workers=workers)

    return card


def test_each_process_has_a_gpu_of_its_own(cards):
    found = [cards(each, 4).index for each in srun(8, per_node=4)]
    assert found == [0, 1, 2, 3] * 2
    inside = srun(2, per_node=1)
    assert [cards(each, 4).index for each in torchrun(8, 4, inside=inside)] == [0, 1, 2, 3] * 2
    assert cards({}, 4) == torch.device("cuda", 0)
    assert {cards(each, 1).index for each in srun(4, per_node=4)} == {0}  # --gpus-per-task=1
    assert cards(srun(4, per_node=4)[3], 0) == torch.device("cpu")


def test_each_worker_has_a_gpu_of_its_own(cards):
    """Numbers grow where a killed worker was replaced: two neighbours still differ."""
    assert [cards({}, 4, worker, workers=4).index for worker in (1, 2, 3, 4)] == [0, 1, 2, 3]
    assert [cards({}, 4, worker, workers=4).index for worker in (6, 7)] == [1, 2]
    shared = [cards(each, 4, worker).index for each in srun(2, 2) for worker in (1, 2)]
    assert shared == [0, 1, 2, 3]


def _worker_and_device(_):
    time.sleep(0.5)  # so that one worker does not do both jobs
    return current_process().name, own_device()


def test_workers_of_loky_are_numbered():
    found = dict(run_all([(_worker_and_device, (n,)) for n in range(4)], workers=2))
    numbers = sorted(int(name.removeprefix("LokyProcess-")) for name in found)
    assert len(numbers) == 2 and numbers[1] == numbers[0] + 1


def test_the_shell_of_salloc_is_one_process(started):
    shell = {**sbatch(8, per_node=4), "SLURM_STEP_ID": str(0xFFFFFFFA)}
    assert started({**shell, "SLURM_STEP_NUM_TASKS": "1"}) == Process()
    in_it = [{**each, "SLURM_JOB_NAME": "interactive"} for each in srun(8, per_node=4)]
    assert [started(each).rank for each in in_it] == list(range(8))


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"RANK": "4", "WORLD_SIZE": "4"}, "RANK=4, WORLD_SIZE=4"),
        ({"RANK": "-1", "WORLD_SIZE": "4"}, "RANK=-1, WORLD_SIZE=4"),
        ({"RANK": "one", "WORLD_SIZE": "4"}, "RANK must be a whole number, got 'one'"),
        ({"RANK": "0", "WORLD_SIZE": "0"}, "RANK=0, WORLD_SIZE=0"),
    ],
)
def test_numbers_that_cannot_be_are_named(variables, expected, started):
    with pytest.raises(ValueError, match=expected):
        started(variables)


def test_a_job_is_for_one_process(monkeypatch):
    """A worker of Dask that srun started does a whole job, and so does a worker of loky."""
    for name, value in srun(8, per_node=4)[5].items():
        monkeypatch.setenv(name, value)
    assert run_alone(this_process) == Process(local_rank=1)
    for found in run_all([(this_process, ())] * 2, workers=2):  # perhaps workers of before
        assert (found.rank, found.ranks, found.launcher) == (0, 1, None)
    assert this_process().ranks == 8
    assert os.environ["SLURM_NTASKS"] == "8"
