"""Lists of few labelled keyframes, with the rule that chose them and the classes they cover."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from kit import store
from kit.data.classes import IGNORE
from kit.data.keyframe import Dataset

UNITS = ("scene", "keyframe")


@dataclass(frozen=True)
class FewShotList:
    """Some keyframes of a data set for training with few labels.

    Attributes:
        indices: of the keyframes, ascending.
        tokens: of the same keyframes; they stay valid if the data set grows.
        rule: how they were chosen, as a sentence.
        seed: of the random choice; None: the choice is not random.
        coverage: number of labelled points of every class of the data set; 0 for those missing.
    """

    indices: tuple[int, ...]
    tokens: tuple[str, ...]
    rule: str
    seed: int | None
    coverage: dict[str, int]

    @property
    def missing(self) -> tuple[str, ...]:
        """Classes without a labelled point: nothing can be learned about them."""
        return tuple(name for name, count in self.coverage.items() if count == 0)

    def __repr__(self) -> str:
        missing = f"; no point of {', '.join(self.missing)}" if self.missing else ""
        points = sum(self.coverage.values())
        return f"{len(self.indices)} keyframes, {points:,} labelled points{missing} ({self.rule})"

    def save(self, path: str | Path) -> None:
        """Write the list with its rule, seed and coverage as JSON."""
        content = {"tokens": list(self.tokens), "rule": self.rule, "seed": self.seed}
        store.write_json(path, {**content, "coverage": self.coverage})

    @classmethod
    def load(cls, path: str | Path, dataset: Dataset) -> "FewShotList":
        """Read a list and find its keyframes in a data set.

        Raises:
            ValueError: another file, or keyframes that the data set does not have.
        """
        content = store.read_json(path)
        names = {"tokens": list, "rule": str, "coverage": dict}
        if not isinstance(content, dict) or not all(
            isinstance(content.get(name), kind) for name, kind in names.items()
        ):
            raise ValueError(f"{path}: expected a list of keyframes with tokens, rule and coverage")
        place = {token: index for index, token in enumerate(dataset.tokens)}
        unknown = [token for token in content["tokens"] if token not in place]
        if unknown:
            raise ValueError(
                f"{path}: {len(unknown)} of {len(content['tokens'])} keyframes are not in "
                f"{dataset.name}, first {unknown[0]!r}. Is it another data set, or a part of it?"
            )
        indices = tuple(sorted(place[token] for token in content["tokens"]))
        tokens = tuple(dataset.tokens[i] for i in indices)
        return cls(indices, tokens, content["rule"], content.get("seed"), content["coverage"])


def few_shot(
    dataset: Dataset,
    percent: float | int,
    *,
    by: str = "scene",
    seed: int | None = None,
    among: Sequence[int] | None = None,
) -> FewShotList:
    """Choose a percentage of the labelled keyframes.

    Args:
        dataset: with labels; those of the chosen keyframes are read, for the coverage.
        percent: above 0, at most 100. At least one scene or keyframe is chosen.
        by: "scene": whole scenes, as in SLidR. "keyframe": single keyframes, as ScaLR does on
            SemanticKITTI.
        seed: of a random choice; None: every n-th one, without chance.
        among: indices to choose from, usually `split(dataset).train`; None: all.

    Raises:
        ValueError: a percentage or unit out of range, nothing to choose from, or no labels.

    Source: SLidR (arXiv:2203.16258): every n-th scene; ScaLR (arXiv:2310.17504): every 100th scan
        of the ten training sequences. On nuScenes ScaLR reads stored lists; compare lists before
        you compare figures at 1 %.
    """
    if not 0 < percent <= 100:
        raise ValueError(f"percent must be above 0 and at most 100, got {percent}")
    if by not in UNITS:
        raise ValueError(f"by must be one of {', '.join(UNITS)}, got {by!r}")
    among = tuple(range(len(dataset.tokens)) if among is None else among)
    unit_of = {i: dataset.scenes[i] if by == "scene" else dataset.tokens[i] for i in among}
    units = list(dict.fromkeys(unit_of.values()))
    if not units:
        raise ValueError("there is no keyframe to choose from")
    count = max(round(percent / 100 * len(units)), 1)
    if seed is None:
        every = len(units) // count
        chosen = set(units[every - 1 :: every][:count])
        rule = f"every {every}th of {len(units)} {by}s, {count} in all"
        rule = f"all {len(units)} {by}s" if every == 1 and count == len(units) else rule
    else:
        order = torch.randperm(len(units), generator=torch.Generator().manual_seed(seed))
        chosen = {units[i] for i in order[:count].tolist()}
        rule = f"{count} of {len(units)} {by}s at random, seed {seed}"
    indices = tuple(sorted(i for i in among if unit_of[i] in chosen))
    tokens = tuple(dataset.tokens[i] for i in indices)
    return FewShotList(indices, tokens, rule, seed, _coverage(dataset, indices))


def _coverage(dataset: Dataset, indices: Sequence[int]) -> dict[str, int]:
    total = torch.zeros(len(dataset.classes), dtype=torch.int64)
    for index in indices:
        labels = dataset[index].labels
        if labels is None:
            raise ValueError(f"keyframe {dataset.tokens[index]} has no labels to train with")
        total += torch.bincount(labels[labels != IGNORE], minlength=len(total))
    return dict(zip(dataset.classes.names, total.tolist(), strict=True))
