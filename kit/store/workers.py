"""Worker processes that end when the process that started them ends, even if it is killed."""

import os
import threading
import time

INTERVAL = 0.5  # seconds between two looks at the parent


def exit_with_parent(parent: int) -> None:
    """End this worker process soon after its parent has ended; an initialiser of workers.

    A killed process (`kill -9`, out of memory) cannot stop its workers. They would finish their
    jobs, for minutes and with all their memory. A thread watches the parent: when it ends, the
    operating system gives its children to another process, on Linux and on macOS.

    Args:
        parent: process id of the process that starts the workers, `os.getpid()` there.
    """
    threading.Thread(target=_watch, args=(parent,), daemon=True, name="watch parent").start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(INTERVAL)
    os._exit(1)
