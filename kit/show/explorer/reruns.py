"""Explorers of a notebook cell that ran before: they are closed when the cell runs again.

A widget lives until it is closed, with all its features, also where its variable has a new value.
Jupyter says which cell runs; without that nothing is closed.
"""

import weakref
from typing import TYPE_CHECKING

from kit.show.explorer.kernel import running_cell

if TYPE_CHECKING:
    from kit.show.explorer.widget import Explorer

_made: dict[str, list[tuple[str, weakref.ref]]] = {}


def close_earlier(explorer: "Explorer", running: tuple[str, str] | None = None) -> None:
    """Close the explorers that earlier runs of this cell made, and remember this one.

    Args:
        running: the cell and its run; by default those of the notebook.
    """
    running = running or running_cell()
    if running is None:
        return
    cell, run = running
    kept = []
    for earlier, reference in _made.get(cell, []):
        other = reference()
        if other is not None and earlier != run:
            other.close()
        elif other is not None:
            kept.append((earlier, reference))
    _made[cell] = [*kept, (run, weakref.ref(explorer))]
