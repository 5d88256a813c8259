"""Jobs in several processes, on this machine and on a Dask cluster, while workers are killed.

The jobs are those of the commands: maps of a teacher, features and scores of a student.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
import torch
from joblib.externals.loky.process_executor import TerminatedWorkerError

from kit.evaluate.checkpoint import score_file
from kit.features.export import write_features
from kit.store import engines
from kit.store.engines import run_all
from kit.street.dataroot.writer import write_dataroot
from kit.street.dataset import Street
from kit.student.checkpoints import probe_file, save_probe, save_student
from kit.student.presets import build_student
from kit.teacher.precompute import teacher_features
from kit.teacher.presets import TeacherConfig

TEACHER = TeacherConfig(image_size=(64, 128), weights="random")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A street of 3 keyframes, as a folder: a worker process opens it by its path."""
    folder = tmp_path_factory.mktemp("street")
    write_dataroot(Street(1, 3, (28, 56)), folder)
    return str(folder)


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    file = tmp_path_factory.mktemp("student") / "student.safetensors"
    save_student(build_student("wi-6-64", 12, depth=2, width=8), file)
    head = torch.nn.Sequential(torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 16)).eval()
    save_probe(head, probe_file(file))
    return file


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The address of a Dask scheduler, and its two worker processes."""
    pytest.importorskip("distributed")
    folder = tmp_path_factory.mktemp("cluster")
    tests = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([tests, *sys.path])}
    environment |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    options = {"env": environment, "stderr": subprocess.DEVNULL, "cwd": folder}
    address_file = folder / "scheduler.json"
    start = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard"]
    start += ["--port", "0", "--host", "127.0.0.1", "--scheduler-file", str(address_file)]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--no-dashboard", "--no-nanny"]
    worker += ["--nthreads", "1", "--scheduler-file", str(address_file)]
    start += ["--idle-timeout", "120"]  # where the tests are killed
    worker += ["--death-timeout", "60"]
    processes = [subprocess.Popen(command, **options) for command in (start, worker, worker)]
    try:
        deadline = time.monotonic() + 60
        while not address_file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        yield json.loads(address_file.read_text())["address"], processes[1:]
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.fixture
def one_thread(monkeypatch):
    """Workers compute with one thread each, as two of them do on two cores."""
    monkeypatch.setattr(engines, "num_cores", lambda: 2)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def contents(folder):
    """The bytes of all files that do not tell when they were made."""
    return {file.name: file.read_bytes() for file in sorted(folder.glob("*.safetensors*"))}


def kill_after_the_first_file(folder, workers):
    """In a thread, kill a worker as soon as the folder holds a file; returns the thread."""

    def watch():
        deadline = time.monotonic() + 60
        while not list(folder.glob("*.safetensors")) and time.monotonic() < deadline:
            time.sleep(0.002)
        workers()[0].kill()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def loky_workers():
    found = psutil.Process().children(recursive=True)
    return [each for each in found if "loky.backend.popen_loky" in " ".join(each.cmdline())]


def test_a_command_ends_with_the_same_files_when_a_worker_is_killed(
    root, student, tmp_path, one_thread, capfd
):
    write_features(root, student, tmp_path / "whole")
    killer = kill_after_the_first_file(tmp_path / "features", loky_workers)
    write_features(root, student, tmp_path / "features", workers=2)
    killer.join()
    assert "a worker process ended" in capfd.readouterr().out
    whole = contents(tmp_path / "whole")
    assert len(whole) == 6 and contents(tmp_path / "features") == whole


def test_jobs_whose_workers_always_die_end_with_a_message(monkeypatch, capsys):
    def dies(_):
        raise TerminatedWorkerError("killed")

    monkeypatch.setattr(engines.joblib, "Parallel", lambda **_: dies)
    with pytest.raises(RuntimeError, match="worker processes ended 4 times, 2 of 2 jobs are left"):
        list(run_all([(int, ()), (int, ())], workers=2))
    assert capsys.readouterr().out.count("its job runs again") == engines.RETRIES


def test_a_cluster_makes_the_same_when_a_worker_is_killed(
    cluster, root, student, tmp_path, one_thread
):
    address, workers = cluster
    options = {"engine": "dask", "scheduler": address}
    teacher_features(root, TEACHER, tmp_path / "whole", per_shard=1)
    killer = kill_after_the_first_file(tmp_path / "maps", lambda: workers)
    teacher_features(root, TEACHER, tmp_path / "maps", per_shard=1, **options)
    killer.join()
    assert workers[0].wait() == -signal.SIGKILL
    assert contents(tmp_path / "maps") == contents(tmp_path / "whole")
    here = score_file(student, probe_file(student), root, range(3))
    there = score_file(student, probe_file(student), root, range(3), **options)
    assert torch.equal(here.confusion, there.confusion)
    write_features(root, student, tmp_path / "features")
    write_features(root, student, tmp_path / "on-cluster", **options)
    assert contents(tmp_path / "on-cluster") == contents(tmp_path / "features")


def test_wrong_engines_are_refused():
    with pytest.raises(ValueError, match="engine must be one of loky, dask"):
        list(run_all([], "ray"))
    with pytest.raises(ValueError, match="needs the address of a scheduler"):
        list(run_all([], "dask"))
