"""Evaluation: compare features, scores and objects with annotations.

In: features of keyframes that have labels. Out: mIoU of a linear probe, average precision of a
score, recall of objects. Read `protocols.py` first (probing a data set), then `probe.py` and
`metrics.py`; `annotated.py` takes foreground and objects from annotations, `stored.py` reads
figures that benches measured.
"""

from kit.evaluate.annotated import annotated_foreground, annotated_objects
from kit.evaluate.baselines import position, random_student
from kit.evaluate.metrics import (
    average_precision,
    class_iou,
    confusion_matrix,
    object_recall,
    overlap,
    r_precision,
)
from kit.evaluate.probe import PAPER, ProbeConfig, ProbeResult, knn_predict, linear_probe
from kit.evaluate.protocols import probe_dataset, probe_student, seen_points

__all__ = [
    "PAPER",
    "ProbeConfig",
    "ProbeResult",
    "annotated_foreground",
    "annotated_objects",
    "average_precision",
    "class_iou",
    "confusion_matrix",
    "knn_predict",
    "linear_probe",
    "object_recall",
    "overlap",
    "position",
    "probe_dataset",
    "probe_student",
    "r_precision",
    "random_student",
    "seen_points",
]
