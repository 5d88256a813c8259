"""Base class of data sets that change the keyframes of another data set."""

from collections.abc import Sequence

from kit.data.classes import ClassMap
from kit.data.keyframe import Dataset, Sensor


class Wrapped:
    """The facts of another data set; a subclass changes its keyframes in `__getitem__`.

    A subclass that changes the content of keyframes also extends `content`.

    Attributes:
        dataset: the other one.
        name: used in messages and names of run folders; that of the other one by default.
        tokens, scenes: of every keyframe.
        has_labels: whether any keyframe has labels.
        missing: what the disk lacks, as counts by a description.
    """

    def __init__(self, dataset: Dataset, name: str | None = None):
        self.dataset, self.name = dataset, name or dataset.name
        self.tokens, self.scenes = list(dataset.tokens), list(dataset.scenes)
        self.has_labels = dataset.has_labels
        self.missing = dict(getattr(dataset, "missing", {}))

    @property
    def classes(self) -> ClassMap:
        """The classes that labels index."""
        return self.dataset.classes

    @property
    def sensor(self) -> Sensor:
        """The lidar of the wrapped data set."""
        return self.dataset.sensor

    def prepare(self, keyframes: Sequence[int] | None = None) -> None:
        """Compute these keyframes (None: all) in advance."""
        self.dataset.prepare(keyframes)

    def content(self) -> str:
        """Identify the content."""
        return self.dataset.content()

    def __len__(self) -> int:
        return len(self.dataset)
