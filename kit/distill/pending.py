"""Rows of the history whose losses are still on the device.

To read a loss waits until the GPU has finished the step, and the next one is prepared meanwhile
only if nobody waits. So several losses are read at once.
"""

import math
from collections.abc import Callable

import torch

from kit.distill.settings import DistillConfig

STEPS = {"cpu": 1, "cuda": 10}  # between two readings; on a CPU the loss is finished with the step


class PendingRows:
    """Takes the rows of steps, and reads their losses after some steps, or when asked to.

    Args:
        history: gets the rows whose losses were read.
        record: is called with each of them.
        config: of this distillation, for the error.
        device: that computes.
    """

    def __init__(
        self,
        history: list[dict],
        record: Callable[[dict], None],
        config: DistillConfig,
        device: torch.device,
    ):
        self._history, self._record, self._config = history, record, config
        self._steps = STEPS.get(device.type, 1)
        self._rows: list[dict] = []

    def add(self, row: dict) -> None:
        """Take the row of a step, with its loss as a tensor.

        Raises:
            FloatingPointError: see `read`.
        """
        self._rows.append(row)
        if len(self._rows) >= self._steps:
            self.read()

    def read(self) -> None:
        """Read all losses.

        Raises:
            FloatingPointError: one became infinite or NaN; says at which step.
        """
        rows, self._rows = self._rows, []
        losses = torch.stack([row["loss"] for row in rows]).tolist() if rows else []
        for row, loss in zip(rows, losses, strict=True):
            if not math.isfinite(loss):
                raise FloatingPointError(
                    f"the loss became {loss} at step {row['step']}: try a lower lr than "
                    f"{self._config.lr}, or the precision 32-true"
                )
            self._history.append({**row, "loss": loss})
            self._record(self._history[-1])
