"""Distillation: a student learns to predict the features of a frozen teacher, without labels.

In: a data set, a teacher, a student and settings. Out: the distilled student and the loss of each
step, in a folder from which an interrupted run continues. Read `loop.py` first, then `step.py` (one
step), `batches.py` (its inputs), `losses/` (how features are compared) and `recipes.py` (published
settings).

`kit.distill(...)` calls `kit.distill.loop.distill`.
"""

import sys
import types

from kit._lazy import lazy

_HOME = {
    "LOSSES": "kit.distill.losses",
    "compute_loss": "kit.distill.losses",
    "distillation_loss": "kit.distill.losses",
    "needs": "kit.distill.losses",
}
__getattr__ = lazy(__name__, _HOME)


class _Room(types.ModuleType):
    """The package `kit.distill`, which can be called like its main function."""

    def __call__(self, *args, **options):
        from kit.distill.loop import distill

        return distill(*args, **options)


sys.modules[__name__].__class__ = _Room
