"""The lock on a run folder: one run at a time; a dead one is no obstacle."""

import fcntl
import os
import signal
import socket
import threading

import psutil
import pytest

from kit import store
from kit.store import run_lock


def in_another_thread(action):
    """Run an action in a thread of its own; the error that it raised."""
    raised = []

    def work():
        try:
            action()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start(), thread.join()
    return raised[0] if raised else None


def lock(folder):
    with store.lock_run(folder):
        pass


def locking_process(folder):
    """A process that locks a folder until it is killed."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with store.lock_run(folder):
            os.write(write, b"locked")
            signal.pause()
        os._exit(0)
    assert os.read(read, 6) == b"locked"
    os.close(read), os.close(write)
    return child


def test_a_second_run_is_told_who_has_the_folder(tmp_path):
    with store.lock_run(tmp_path / "new"):
        error = in_another_thread(lambda: lock(tmp_path / "new"))
        assert isinstance(error, ValueError)
        for words in (str(tmp_path / "new"), f"process {os.getpid()} on {socket.gethostname()}"):
            assert words in str(error)
        assert "since 20" in str(error) and "choose another folder" in str(error)
        assert in_another_thread(lambda: lock(tmp_path / "other")) is None
    assert in_another_thread(lambda: lock(tmp_path / "new")) is None


def test_the_thread_that_has_the_lock_may_take_it_again_under_any_name(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    with store.lock_run(tmp_path):
        lock(tmp_path / "link")
        assert in_another_thread(lambda: lock(tmp_path)) is not None


def test_the_lock_is_free_after_an_error_and_leaves_no_owner(tmp_path):
    with pytest.raises(KeyboardInterrupt), store.lock_run(tmp_path):
        raise KeyboardInterrupt
    assert in_another_thread(lambda: lock(tmp_path)) is None
    assert {path.name for path in tmp_path.iterdir()} == {store.RUN_LOCK}


def test_another_process_has_it_until_it_is_killed(tmp_path):
    child = locking_process(tmp_path)
    with pytest.raises(ValueError, match=f"in use by process {child} on"):
        lock(tmp_path)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    lock(tmp_path)


def test_the_workers_of_a_killed_run_are_waited_for(tmp_path):
    child = locking_process(tmp_path)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    # A worker inherits the open lock file of its run, and lives a little longer.
    with open(tmp_path / store.RUN_LOCK) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        timer = threading.Timer(0.5, fcntl.flock, (file.fileno(), fcntl.LOCK_UN))
        timer.start()
        lock(tmp_path)
        timer.join()


def test_a_damaged_note_of_the_owner_is_no_obstacle_to_the_message(tmp_path):
    with store.lock_run(tmp_path):
        for content in ("", "[1]", "{}", '{"pid": "x", "host": 3}', '{"pid": 1}'):
            (tmp_path / store.OWNER).write_text(content)
            error = in_another_thread(lambda: lock(tmp_path))
            assert isinstance(error, ValueError) and "in use by" in str(error)


def test_only_processes_of_this_host_that_have_ended_are_dead():
    me = run_lock._this_process()
    assert not run_lock._is_dead(me)
    assert run_lock._is_dead({**me, "created": me["created"] - 100})  # its number was used again
    assert not run_lock._is_dead({**me, "host": "another", "pid": 2**22})
    assert run_lock._is_dead({**me, "pid": max(psutil.pids()) + 10_000})


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file/sub"):
        lock(tmp_path / "file" / "sub")
