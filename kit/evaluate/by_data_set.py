"""Linear probes of several models on each data set of a run, with its own classes and split."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kit.data.keyframe import Dataset
from kit.data.mixture import Mixture
from kit.data.split import Split, split
from kit.evaluate.baselines import position
from kit.evaluate.probe import ProbeConfig, ProbeResult
from kit.evaluate.protocols import probe_dataset, seen_points
from kit.features.extract import source
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
    models: Mapping[str, Student | Teacher],
    dataset: Dataset,
    config: ProbeConfig = ProbeConfig(),  # noqa: B008
    cache: FeatureCache | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, Probed]:
    """Probe the features of models, and the position as a baseline, on each data set apart.

    All sources are compared on the same points: those that a camera sees.

    Args:
        models: students and teachers by name.
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


def why_no_probe(dataset: Dataset, parts: Split) -> str | None:
    """Why features cannot be probed here; None if they can."""
    if not dataset.has_labels:
        return f"{dataset.name} has no point labels"
    if not parts.held_out:
        return f"nothing can be held out: {parts.rule}"
    return None


def _probe(
    models: Mapping[str, Student | Teacher],
    dataset: Dataset,
    parts: Split,
    config: ProbeConfig,
    cache: FeatureCache | None,
) -> dict[str, ProbeResult]:
    """Probe every source on the points that a camera sees."""
    sources = {"position": source(position)}
    for name, model in models.items():
        layer = None if isinstance(model, Teacher) else model.layers[-1]
        sources[name] = source(model, layer=layer, cache=cache)
    return {
        name: probe_dataset(each, dataset, parts.train, parts.held_out, config, seen_points)
        for name, each in sources.items()
    }
