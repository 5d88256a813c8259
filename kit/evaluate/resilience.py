"""Robustness of features: mIoU on corrupted scans, mCE and mRR."""

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from kit.data.keyframe import Dataset, Keyframe
from kit.evaluate.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from kit.evaluate.probe import ProbeResult, labelled, score_head
from kit.features.extract import Source


@dataclass(frozen=True)
class Robustness:
    """mIoU on clean and on corrupted scans, in [0, 1].

    Attributes:
        clean: on the scans as they are.
        corrupted: by corruption, one value for each severity, the light one first.
    """

    clean: float
    corrupted: dict[str, tuple[float, ...]]

    @property
    def resilience(self) -> dict[str, float]:
        """Resilience rate by corruption: mean mIoU over the severities, of the clean mIoU.

        Source: Robo3D (arXiv:2303.17597): RR = sum of mIoU / (severities * clean mIoU).
        """
        return {
            name: statistics.fmean(values) / self.clean for name, values in self.corrupted.items()
        }

    @property
    def mrr(self) -> float:
        """Mean resilience rate over the corruptions; 1 if nothing is lost."""
        return statistics.fmean(self.resilience.values())

    def corruption_error(self, baseline: "Robustness") -> dict[str, float]:
        """Corruption error by corruption: the error relative to that of another model.

        Args:
            baseline: of the model that counts as 1.

        Raises:
            ValueError: the two have not the same corruptions and severities.

        Source: Robo3D (arXiv:2303.17597): CE = sum of (1 - mIoU) / sum of the baseline's.
        """
        shapes = [
            {name: len(values) for name, values in each.corrupted.items()}
            for each in (self, baseline)
        ]
        if shapes[0] != shapes[1]:
            raise ValueError(f"other corruptions than the baseline: {shapes[0]} and {shapes[1]}")
        errors = (
            {name: sum(1 - value for value in values) for name, values in each.corrupted.items()}
            for each in (self, baseline)
        )
        own, other = errors
        return {name: own[name] / other[name] for name in own}

    def mce(self, baseline: "Robustness") -> float:
        """Mean corruption error over the corruptions; below 1 is better than the baseline."""
        return statistics.fmean(self.corruption_error(baseline).values())


def robustness(
    source: Source,
    head: nn.Module,
    dataset: Dataset,
    held_out: Sequence[int],
    corruptions: Sequence[str] = tuple(CORRUPTIONS),
    severities: Sequence[int] = SEVERITIES,
    seed: int = 0,
) -> Robustness:
    """Score a fitted probe on clean and on corrupted scans.

    Args:
        source: features of a keyframe, see `kit.source`; of a student, as teachers read images.
        head: of a probe that was fitted on clean scans, `ProbeResult.head`.
        dataset: with labels.
        held_out: indices of keyframes that the probe has not learned from.
        corruptions: names of `CORRUPTIONS`.
        severities: 1 to 3.
        seed: of the corruptions; the same for every model, so that all get the same scans.

    Raises:
        ValueError: an unknown corruption or severity, no keyframe, or one without labels.
    """
    if not held_out or not corruptions or not severities:
        raise ValueError("robustness needs at least one keyframe, one corruption and one severity")
    clean = score_keyframes(source, head, dataset, (dataset[i] for i in held_out)).miou
    corrupted = {name: [] for name in corruptions}
    for name in corruptions:
        for level in severities:
            scans = (corrupt(dataset[i], name, level, seed + i) for i in held_out)
            corrupted[name].append(score_keyframes(source, head, dataset, scans).miou)
    return Robustness(clean, {name: tuple(values) for name, values in corrupted.items()})


def score_keyframes(
    source: Source, head: nn.Module, dataset: Dataset, keyframes: Iterable[Keyframe]
) -> ProbeResult:
    """Score a fitted probe on any keyframes with labels, for example corrupted ones.

    Args:
        source, head, dataset: as in `robustness`; `dataset` gives the classes.
        keyframes: only one of them is in memory at a time.

    Raises:
        ValueError: a keyframe without labels.
    """

    def pairs() -> Iterator[tuple[Tensor, Tensor]]:
        for keyframe in keyframes:
            if keyframe.labels is None:
                raise ValueError(f"keyframe {keyframe.token} has no labels to score with")
            features = source(keyframe)
            yield labelled(features.feat, keyframe.labels[features.index])

    return score_head(head, pairs(), dataset.classes)
