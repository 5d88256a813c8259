"""Distillation: a student learns to predict a frozen teacher's features, without labels.

In: a data set, a teacher, a student, settings. Out: the distilled student and its loss by step, in a
folder that an interrupted run continues. Read `loop.py` first, then `batches.py` (what one step is
given) and `losses/` (what is compared). `kit.distill(...)` is the function of `loop.py`.
"""

import sys
import types


class _Room(types.ModuleType):
    """The package, which can be called: the room and its main function share their name."""

    def __call__(self, *args, **options):
        from kit.distill.loop import distill

        return distill(*args, **options)


sys.modules[__name__].__class__ = _Room
