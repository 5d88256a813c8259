"""Text queries in the explorer: scores of all points, added as a mode."""

from collections.abc import Callable
from typing import Any

import numpy as np

from kit.show import arrays
from kit.show.explorer.modes import MODES
from kit.show.explorer.state import Content

MAX_WORDS = 100  # letters of a query


def add_answer(content: Content, ask: Callable[[str], Any] | None, text: str) -> None:
    """Run a text query, and store its scores under the text.

    Raises:
        ValueError: `ask` is missing, the text is empty, too long or the name of a mode, or the
            scores are not (N,) finite numbers.
    """
    if ask is None:
        raise ValueError("this explorer was made without `ask`; give a function of the words")
    if not text.strip() or len(text) > MAX_WORDS:
        raise ValueError(f"words must have 1 to {MAX_WORDS} letters, got {text[:40]!r}")
    if text in MODES or (text in content.scores and text not in content.queries):
        raise ValueError(f"a mode is called {text!r} already; ask in other words")
    answer = ask(text)
    content.scores[text] = [
        _scores(content, answer, i, text) for i in range(len(content.keyframes))
    ]
    if text not in content.queries:
        content.queries.append(text)


def _scores(content: Content, answer: Any, number: int, text: str) -> np.ndarray:
    """Scores (N,) of a keyframe's points; the lowest one where a point has no feature."""
    count = len(content.keyframes[number].points)
    if not hasattr(answer, "score"):
        values = np.asarray(arrays.to_numpy(answer), dtype=np.float32)
    else:
        features = next(iter(content.features.values()))[number]
        given = np.asarray(arrays.to_numpy(answer.score(features)), dtype=np.float32)
        values = given
        if len(given) != count:
            values = np.full(count, given.min() if len(given) else 0, dtype=np.float32)
            values[features.index.numpy()] = given
    if values.shape != (count,):
        raise ValueError(f"{text}: scores must be ({count},), got {values.shape}")
    arrays.check_finite(values, f"scores of {text}")
    return values
