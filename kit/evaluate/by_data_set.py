"""Linear probes of several models on each data set of a run, with its own classes and split."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from kit.data.keyframe import Dataset
from kit.data.mixture import Mixture
from kit.data.split import Split, split
from kit.evaluate.probe import ProbeConfig, ProbeResult
from kit.evaluate.protocols import probe_dataset, seen_points
from kit.features.extract import Baseline, source
from kit.store import FeatureCache
from kit.student.student import Student
from kit.teacher.teacher import Teacher


@dataclass(frozen=True)
class Probed:
    """The linear probes on one data set.

    Attributes:
        dataset: the data set.
        parts: which keyframes the probes were trained on, and which they are scored on.
        probes: by source of features; empty if there are none.
        why_not: why there are none; None otherwise.
    """

    dataset: Dataset
    parts: Split
    probes: dict[str, ProbeResult]
    why_not: str | None

    def plain(self) -> dict:
        """The scores for JSON: mean and by class, by source of features."""
        return {n: {"miou": probe.miou, "iou": probe.iou} for n, probe in self.probes.items()}


def probe_each(
    models: Mapping[str, Student | Teacher | Baseline],
    dataset: Dataset,
    config: ProbeConfig = ProbeConfig(),  # noqa: B008
    cache: FeatureCache | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, Probed]:
    """Probe the features of models on each data set apart.

    All of them are compared on the same points: those that a camera sees.

    Args:
        models: students, teachers and baselines such as `kit.position`, by name.
        dataset: one data set, or a `Mixture`: then each of its data sets is probed with its own
            classes, split by its own rule (`kit.split`).
        config: of each probe.
        cache: keeps the teacher's feature maps.
        say: receives one line for each data set.

    Returns:
        by name of the data set.
    """
    apart = {dataset.name: dataset}
    if isinstance(dataset, Mixture):
        apart = dict(zip(dataset.names, dataset.parts, strict=True))
    found = {}
    for name, each in apart.items():
        parts = split(each)
        why_not, on = why_no_probe(each, parts), f" on {name}" if len(apart) > 1 else ""
        say(f"no linear probe{on}: {why_not}" if why_not else f"linear probes{on} ...")
        probes = {} if why_not else _probe(models, each, parts, config, cache)
        found[name] = Probed(each, parts, probes, why_not)
    return found


def joined(*several: Mapping[str, Probed]) -> dict[str, Probed]:
    """Several results of `probe_each` for one data set as one, with the probes in this order."""
    first = several[0]
    return {
        name: replace(each, probes={k: v for one in several for k, v in one[name].probes.items()})
        for name, each in first.items()
    }


def table_lines(several: Mapping[str, Mapping[str, Mapping] | None]) -> list[str]:
    """Lines of a table: mIoU and the IoU of the classes present, by source of features.

    Args:
        several: `Probed.plain()` by name of the data set, which may be "" if there is only one.
    """
    lines = []
    for data, probes in several.items():
        if not probes:
            continue
        present = [name for name, iou in probes["teacher"]["iou"].items() if iou is not None]
        lines.append(f"linear probe{data and f' on {data}'}, IoU in %")
        lines.append(" " * 10 + "  mIoU" + "".join(f" {name[:9]:>9}" for name in present))
        for name, probe in probes.items():
            values = "".join(f" {100 * probe['iou'][c]:9.1f}" for c in present)
            lines.append(f"{name:10}{100 * probe['miou']:6.1f}{values}")
    return lines


def why_no_probe(dataset: Dataset, parts: Split) -> str | None:
    """Why features cannot be probed here; None if they can."""
    if not dataset.has_labels:
        return f"{dataset.name} has no point labels"
    if not parts.held_out:
        return f"nothing can be held out: {parts.rule}"
    return None


def _probe(
    models: Mapping[str, Student | Teacher | Baseline],
    dataset: Dataset,
    parts: Split,
    config: ProbeConfig,
    cache: FeatureCache | None,
) -> dict[str, ProbeResult]:
    """Probe every model on the points that a camera sees; of a student, its last layer."""
    found = {}
    for name, model in models.items():
        layer = model.layers[-1] if isinstance(model, Student) else None
        feat = source(model, layer=layer, cache=cache)
        found[name] = probe_dataset(feat, dataset, parts.train, parts.held_out, config, seen_points)
    return found
