"""A click in an explorer, as it is reported to Python."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Click:
    """One click, in the order of arrival.

    Attributes:
        point: which of the keyframe's points.
        kind: "pick", "positive" (with shift) or "negative" (with alt).
        keyframe: number of the keyframe.
        place: "cloud", or the name of the camera whose image was clicked.
        picked, negatives: the picked points after this click.
    """

    point: int
    kind: str
    keyframe: int
    place: str
    picked: tuple[int, ...]
    negatives: tuple[int, ...]
