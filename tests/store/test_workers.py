"""Workers end with the process that started them, also after a real `kill -9`."""

import os
import signal
import subprocess
import sys

import psutil
import pytest
from ended import has_ended

PARENT = """
import multiprocessing, os, runpy, sys, time

def work(parent):
    watch = runpy.run_path(sys.argv[1])  # without importing the kit, which takes seconds
    if sys.argv[2] == "watched":
        watch["exit_with_parent"](parent)
    os.write(1, b"%d\\n" % os.getpid())  # in one piece: two workers share the pipe
    time.sleep(60)

context = multiprocessing.get_context("fork")
for _ in range(2):
    context.Process(target=work, args=(os.getpid(),)).start()
time.sleep(60)
"""


def start_and_kill(watched, number) -> list[psutil.Process]:
    """Start a parent of two workers, send it a signal, and return the workers."""
    import kit.store.workers as workers

    command = [sys.executable, "-c", PARENT, workers.__file__, watched]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        started = [psutil.Process(int(parent.stdout.readline())) for _ in range(2)]
        os.kill(parent.pid, number)
    return started


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_after_their_parent_was_killed(number):
    assert all(has_ended(worker, seconds=10) for worker in start_and_kill("watched", number))


def test_without_the_watch_they_would_go_on():
    workers = start_and_kill("alone", signal.SIGKILL)
    alive = [worker for worker in workers if not has_ended(worker, seconds=1)]
    for worker in alive:
        worker.kill()
    assert len(alive) == 2
