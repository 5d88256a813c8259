"""Explorers that share view, keyframe and picked points.

    kit.show.link(before, after)  # e.g. the same street with two students

In the browser a drag turns all of them at once; Python keeps their traits equal.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from kit.show.explorer.widget import Explorer

LINKED = ["keyframe", "negatives", "picked", "picked_in", "view"]  # as in js/linking.js


def link(*explorers: "Explorer") -> Callable[[], None]:
    """Link explorers of the same keyframes: view, keyframe and picked points are those of all.

    They begin with those of the first explorer.

    Returns:
        A function that ends the link.

    Raises:
        ValueError: fewer than two explorers, or keyframes with other counts of points.
    """
    counts = [[len(index) for index in each.content.drawn] for each in explorers]
    if len(explorers) < 2 or any(other != counts[0] for other in counts):
        raise ValueError(
            "link takes two or more explorers of the same keyframes; got explorers with "
            f"{counts} points drawn. Make them from the same keyframes and max_points"
        )
    group = uuid4().hex

    def follow(change) -> None:
        for other in explorers:
            if other is not change["owner"] and other.content.keyframes:  # not closed
                copy_state(change["owner"], other)

    for other in explorers[1:]:
        copy_state(explorers[0], other)
    for each in explorers:
        each.linked = group
        each.observe(follow, LINKED)

    def end() -> None:
        for each in explorers:
            each.linked = ""
            each.unobserve(follow, LINKED)

    return end


def copy_state(source: "Explorer", target: "Explorer") -> None:
    """Give an explorer what is linked; picks are checked with their keyframe."""
    with target.hold_sync(), target.hold_trait_notifications():
        for name in LINKED:
            target.set_trait(name, getattr(source, name))
