"""Evaluation: compare features, scores and objects with annotations.

In: features of keyframes that have labels. Out: mIoU of a linear probe, average precision of a
score, recall of objects. Read `protocols.py` first (probing a data set), then `probe.py` and
`metrics.py`; `annotated.py` takes foreground and objects from annotations, `stored.py` reads
figures that benches measured. `fine_tuning.py` trains whole students with labels, and
`label_lists.py` chooses how many. `resilience.py` scores features of scans that were changed by
`corruptions.py`. `transfer.py` fits a probe to one data set and scores it on another, in the
classes of `common_classes.py`; `stability.py` changes a scan and compares the features.
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
    over_seeds,
    probe_dataset,
    probe_student,
    seen_points,
)
from kit.evaluate.resilience import Robustness, robustness

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
]
