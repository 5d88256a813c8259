"""Distillation: a student learns to predict the features of a frozen teacher, without labels.

In: a data set, a teacher, a student and settings. Out: the distilled student and the loss of each
step, in a folder from which an interrupted run continues. Read `loop.py` first, then `step.py` (one
step), `batches.py` (its inputs), `losses/` (how features are compared) and `recipes.py` (published
settings).

`kit.distill(...)` calls `kit.distill.loop.distill`.
"""

from kit._lazy import lazy, make_callable

_HOME = {
    "LOSSES": "kit.distill.losses",
    "compute_loss": "kit.distill.losses",
    "distillation_loss": "kit.distill.losses",
    "needs": "kit.distill.losses",
}
__getattr__ = lazy(__name__, _HOME)
make_callable(__name__, "kit.distill.loop", "distill")
