"""A film of an explorer as GIF, drawn without a browser: a turn, the keyframes, or the steps."""

from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kit.show.arrays import Number
from kit.show.explorer.poster import draw_clouds
from kit.store import files as store
from kit.store.images import gif_bytes

if TYPE_CHECKING:
    from kit.show.explorer.widget import Explorer

Through = Literal["turn", "keyframes", "steps"]


def save_gif(
    explorer: "Explorer",
    path: str | PathLike,
    through: Through,
    num_frames: int,
    seconds: Number,
    image_size: tuple[int, int],
) -> Path:
    """Write a film; the explorer is afterwards as it was before.

    Args:
        explorer: what is drawn.
        path: of the .gif file.
        through: "turn" goes once around the view's target, "keyframes" through the keyframes, and
            "steps" through the steps of the feature set that is shown (`kit.show.Steps`).
        num_frames: of a turn; the others have a frame for each keyframe or step.
        seconds: the whole film takes.
        image_size: (height, width) in pixels.

    Raises:
        ValueError: less than two frames.
    """
    states = list(_states(explorer, through, num_frames))
    if len(states) < 2:
        raise ValueError(
            f"a film through {through} needs at least two frames, got {len(states)}; there are "
            'through="turn", "keyframes" and "steps"'
        )
    before = {name: getattr(explorer, name) for name in states[0]}
    frames = []
    with explorer.hold_sync():  # the browser does not see the frames
        try:
            for state in states:
                _set(explorer, state)
                frames.append(draw_clouds(explorer, image_size))
        finally:
            _set(explorer, before)
    store.write_bytes(path, gif_bytes(frames, round(1000 * seconds / len(frames))))
    return Path(path)


def _set(explorer: "Explorer", state: dict[str, Any]) -> None:
    for name, value in state.items():
        explorer.set_trait(name, value)


def _states(explorer: "Explorer", through: Through, num_frames: int) -> Iterator[dict[str, Any]]:
    """The state of each frame."""
    content = explorer.content
    if through == "turn":
        view = {name: value for name, value in explorer.view.items() if name != "camera"}
        for i in range(num_frames):
            yield {"view": view | {"azimuth": view["azimuth"] + 360 * i / num_frames}}
    elif through == "keyframes":
        for number in range(len(content.keyframes)):
            yield {"keyframe": number}
    else:
        own = content.steps.get(explorer.feature_set)
        for name, step in content.steps.items():
            if own is not None and step.group == own.group:
                yield {"feature_set": name}
