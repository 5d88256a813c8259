"""Evaluation: compare features, scores and objects with annotations.

In: features of keyframes that have annotations. Out: mIoU of a linear probe or after fine-tuning,
average precision of a score, recall of objects, and how much they change on other scans or data
sets. Read `protocols.py` first (probing a data set), then `probe.py` and `metrics.py`,
`fine_tuning.py`, `resilience.py` (corrupted scans) and `transfer.py` (other data sets).
"""

from kit.evaluate.annotated import annotated_foreground, annotated_objects
from kit.evaluate.baselines import position, random_student
from kit.evaluate.corruptions import CORRUPTIONS, corrupt
from kit.evaluate.fine_tuning import PUBLISHED, FineTuneConfig, fine_tune, label_ratios
from kit.evaluate.label_lists import FewShotList, few_shot
from kit.evaluate.metrics import (
    average_precision,
    class_iou,
    confusion_matrix,
    object_recall,
    overlap,
    r_precision,
)
from kit.evaluate.probe import PAPER, ProbeConfig, ProbeResult, knn_predict, linear_probe
from kit.evaluate.protocols import (
    knn_dataset,
    labelled_features,
    over_seeds,
    probe_dataset,
    probe_student,
    seen_points,
)
from kit.evaluate.resilience import Robustness, robustness
from kit.evaluate.stored import stored_figures

__all__ = [
    "CORRUPTIONS",
    "PAPER",
    "PUBLISHED",
    "FewShotList",
    "FineTuneConfig",
    "ProbeConfig",
    "ProbeResult",
    "Robustness",
    "annotated_foreground",
    "annotated_objects",
    "average_precision",
    "class_iou",
    "confusion_matrix",
    "corrupt",
    "few_shot",
    "fine_tune",
    "knn_dataset",
    "knn_predict",
    "label_ratios",
    "labelled_features",
    "linear_probe",
    "object_recall",
    "over_seeds",
    "overlap",
    "position",
    "probe_dataset",
    "probe_student",
    "r_precision",
    "random_student",
    "robustness",
    "seen_points",
    "stored_figures",
]
