"""Interrupts of a training: Ctrl-C and SIGTERM take effect when a step is finished.

A step that is stopped in the middle leaves a student that is half updated: its batch statistics
have changed, its weights have not. If that were saved, the continued run would end with other
weights than a run that was never stopped.
"""

import os
import signal
import sys
import threading
from types import FrameType

import torch
from lightning.fabric import Fabric

SIGNALS = (signal.SIGINT, signal.SIGTERM)
FIRST = "{name}: the step that has begun is finished and saved, then the run stops"
AGAIN = (
    "{name}: the step is still being finished and saved. `kill -9 {pid}` ends at once; then the "
    "steps after the last checkpoint are lost"
)


class DeferredInterrupts:
    """Note SIGINT (Ctrl-C) and SIGTERM while a block runs, instead of stopping in the middle of it.

    The first signal prints that the run stops after this step. Further ones print it again.
    Afterwards the earlier handlers are back, and a SIGTERM is sent to this process once more, so
    that it ends as it would have. Outside the main thread, signals cannot be handled and nothing
    changes. A signal that the process ignores (as under nohup) stays ignored.

    Args:
        fabric: if any of its processes was interrupted, `wanted` is true in all of them. Only its
            first process prints.
    """

    def __init__(self, fabric: Fabric):
        self._fabric = fabric
        self._signals: list[signal.Signals] = []
        self._earlier: dict[signal.Signals, object] = {}

    def __enter__(self) -> "DeferredInterrupts":
        if threading.current_thread() is threading.main_thread():
            for each in SIGNALS:
                handler = signal.getsignal(each)
                if handler not in (signal.SIG_IGN, None):  # None: not installed by Python
                    self._earlier[each] = handler
                    signal.signal(each, self._note)
        return self

    def __exit__(self, *_) -> None:
        for each, handler in self._earlier.items():
            signal.signal(each, handler)
        if signal.SIGTERM in self._signals:
            signal.raise_signal(signal.SIGTERM)

    @property
    def received(self) -> bool:
        """Whether this process was interrupted."""
        return bool(self._signals)

    def wanted(self) -> bool:
        """Whether the run shall stop here; every process of the run has to ask at the same step."""
        if self._fabric.world_size == 1:
            return self.received
        asked = torch.tensor(float(self.received), device=self._fabric.device)
        return bool(self._fabric.all_reduce(asked, reduce_op="max") > 0)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._signals.append(signal.Signals(number))
        if self._fabric.is_global_zero:
            text = FIRST if len(self._signals) == 1 else AGAIN
            name = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
            _print_in_handler(text.format(name=name, pid=os.getpid()))


def ignore_interrupts(_worker: int) -> None:
    """Let the training process decide when this worker process ends.

    Ctrl-C in a terminal and the SIGTERM of a cluster reach every process of a run.
    """
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)


def _print_in_handler(text: str) -> None:
    """Print, even if the signal came while the main program was printing."""
    try:
        print(f"\n{text}", file=sys.stderr, flush=True)
    except RuntimeError:  # the program is inside a write to the same file
        os.write(2, f"\n{text}\n".encode())
    except OSError:  # the terminal is closed
        pass
