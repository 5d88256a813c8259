"""The modes of the explorer: one table, used by Python and sent to the browser."""

from dataclasses import dataclass

from kit.show import theme


@dataclass(frozen=True)
class Mode:
    """One way to colour the points.

    Attributes:
        name: value of the explorer's trait `mode`.
        title: text of its button.
        kind: how colours are computed and which legend belongs to them: an entry of `KINDS` in
            `paint.py` and of `LEGENDS` in `js/legend.js`.
        branch: number of the kind in the colouring shader, `js/shaders.js`.
        per_set: colours depend on the feature set, so that sets are shown side by side.
        label: beside the colour bar.
        array: of the payload, with the numbers that are shown.
        column, columns: which of its columns holds the numbers.
        query: the answer to words that were asked for.
    """

    name: str
    title: str
    kind: str
    branch: int
    per_set: bool = False
    label: str = ""
    array: str = ""
    column: int = 0
    columns: int = 1
    query: bool = False


MODES = {
    mode.name: mode
    for mode in (
        Mode("height", "Height", "number", 0, False, theme.SCALES["height"][1], "position", 2, 3),
        Mode("intensity", "Intensity", "number", 0, False, "intensity", "intensity"),
        Mode("colour", "Camera colour", "colour", 1),
        Mode("features", "Features", "features", 5, per_set=True),
        Mode("similarity", "Similarity", "similarity", 4, per_set=True),
        Mode("labels", "Labels", "labels", 2),
        Mode("predictions", "Predictions", "predictions", 2, per_set=True),
        Mode("errors", "Errors", "errors", 3, per_set=True),
        Mode("agreement", "Agreement", "pair", 0, label="cosine of two sets"),
        Mode("segments", "Segments", "segments", 2),
    )
}


def mode_of(name: str, query: bool = False) -> Mode:
    """The mode of this name: one of `MODES`, or that of a score."""
    return MODES.get(name) or Mode(
        name, name, "score", 0, label=name, array=f"score/{name}", query=query
    )
