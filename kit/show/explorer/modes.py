"""The modes of the explorer: one table, used by Python and sent to the browser."""

from dataclasses import dataclass

from kit.show import theme


@dataclass(frozen=True)
class Mode:
    """One way to colour the points.

    Attributes:
        name: value of the explorer's trait `mode`.
        title: text of its button.
        kind: how colours are computed and which legend belongs to them.
        branch: number of the kind in the shader of `explorer.js`.
        per_set: colours depend on the feature set, so that sets are shown side by side.
        label: beside the colour bar.
    """

    name: str
    title: str
    kind: str
    branch: int
    per_set: bool = False
    label: str = ""


MODES = {
    mode.name: mode
    for mode in (
        Mode("height", "Height", "number", 0, label=theme.SCALES["height"][1]),
        Mode("intensity", "Intensity", "number", 0, label=theme.SCALES["intensity"][1]),
        Mode("colour", "Camera colour", "colour", 1),
        Mode("features", "Features", "features", 5, per_set=True),
        Mode("similarity", "Similarity", "similarity", 4, per_set=True),
        Mode("labels", "Labels", "labels", 2),
        Mode("predictions", "Predictions", "predictions", 2, per_set=True),
        Mode("errors", "Errors", "errors", 3, per_set=True),
    )
}


def mode_of(name: str) -> Mode:
    """The mode of this name: one of `MODES`, or that of a score."""
    return MODES.get(name) or Mode(name, name, "score", 0, label=name)
