"""The kit from a terminal: `python -m kit COMMAND --help`."""

import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

COMMANDS = {
    "demo": "Distil a student, evaluate it with linear probes, draw pictures: the main job.",
    "distill": "Only distil a student; with torchrun also on several GPUs.",
    "ablate": "Distil and probe combinations of settings with several seeds; compare them.",
    "features": "Write a student's features of all points of a data set to files.",
    "evaluate": "Score a student and its classification head, or a linear probe, on a data set.",
    "discover": "Write foreground, heights and objects of a data set, found without labels.",
    "teacher-features": "Compute a teacher's feature maps of a data set once, in large files.",
    "cost": "Estimate GPU hours, storage and money of a distillation.",
    "doctor": "Find out what is wrong with a data set; the exit status is 1 if there is a problem.",
    "street": "Write a simulated street as a data set in the nuScenes schema.",
    "pretrain": "Make the student that comes with the kit.",
    "import-checkpoint": "Convert a published checkpoint to a student's file.",
    "export": "Write a student as an ONNX file, for programs without PyTorch.",
    "init-recording": "Write a first recording.json for a folder of point files and images.",
    "bench": "Measure time, memory or quality; print a table and write JSON.",
    "figures": "Write docs/figures.md and the README's figures from the JSON of the benches.",
    "gallery": "Write a page of cards for saved explorers; it needs no network.",
    "cache": "Show the size of the cache; delete old entries, or all above a size.",
}

# Errors of input, settings, files and missing packages: their messages say what to do.
USER_ERRORS = (ValueError, OSError, RuntimeError, ArithmeticError, ImportError, MemoryError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status.

    An error that a user can fix is printed in one line; --trace shows where it came from.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    trace = "--trace" in arguments
    arguments = [each for each in arguments if each != "--trace"]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return 0
    name, *options = arguments
    if name not in COMMANDS:
        print(f"error: no command {name!r}; there are {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    try:
        from kit.commands import parse  # loads torch: seconds

        with _sigterm_interrupts(), _warnings_in_one_line():
            parse(name, options, COMMANDS[name]).run()
    except KeyboardInterrupt as stop:
        print(f"\n{str(stop) or 'interrupted'}", file=sys.stderr)
        return 130
    except USER_ERRORS as error:
        if trace:
            raise
        print(
            f"error: {str(error) or type(error).__name__}\n(--trace shows where)", file=sys.stderr
        )
        return 1
    return 0


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C, so that a cluster's time limit prints no traceback."""

    def stop(*_):
        raise KeyboardInterrupt("stopped by SIGTERM")

    main_thread = threading.current_thread() is threading.main_thread()
    if not main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    """Print warnings without the line of code that gave them."""
    usual = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    try:
        yield
    finally:
        warnings.formatwarning = usual


def _overview() -> str:
    listed = "\n".join(f"  {name:18} {words}" for name, words in COMMANDS.items())
    return (
        f"usage: python -m kit COMMAND [OPTIONS] [--trace]\n\n{listed}\n\n"
        "python -m kit COMMAND --help lists every option."
    )


def restart_with_large_pages() -> None:
    """Start this Python again with its memory in pages of 2 MB, if Linux offers them.

    glibc reads this setting when a program starts, and never again. Large pages make trainings
    faster, most of all on virtual machines. GLIBC_TUNABLES is kept if it is set.

    Source: manual of glibc, Memory Allocation Tunables, glibc.malloc.hugetlb.
    """
    debugged = sys.gettrace() is not None
    if sys.platform == "linux" and "GLIBC_TUNABLES" not in os.environ and not debugged:
        environment = {**os.environ, "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


if __name__ == "__main__":
    restart_with_large_pages()
    sys.exit(main())
