"""Whether a process that is no child of the tests has ended."""

import time

import psutil


def has_ended(process: psutil.Process, seconds: float) -> bool:
    """Wait for its end; a zombie has ended, but nobody has asked for its exit status."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False
