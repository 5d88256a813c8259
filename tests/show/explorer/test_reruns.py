"""Explorers of cells that run again are closed, and their features are released."""

import gc
import tracemalloc
import weakref

import explorer_scene as scene
import numpy as np
import pytest
import torch
from ipywidgets import Widget
from ipywidgets.widgets.widget import _instances

from kit.show import Explorer
from kit.show.explorer import reruns
from kit.show.explorer.kernel import running_cell


@pytest.fixture
def cell(monkeypatch):
    """Says which cell runs, as Jupyter does."""
    Widget.close_all()  # those of other tests
    running = ["cell-1", 0]
    monkeypatch.setattr(reruns, "running_cell", lambda: (running[0], str(running[1])))
    monkeypatch.setattr(reruns, "_made", {})
    yield running
    Widget.close_all()


def test_twenty_runs_of_a_cell_need_as_much_memory_as_the_first(cell):
    frame = scene.keyframe(count=15_000)
    kept = []  # as the history of a notebook keeps the values of cells
    tracemalloc.start()
    sizes = []
    for run in range(20):
        cell[1] = run
        features = np.random.default_rng(run).random((15_000, 64), dtype=np.float32)
        kept.append(Explorer(frame, {"teacher": features}))
        del features
        gc.collect()
        sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert max(sizes[1:]) < 1.2 * sizes[0]
    assert [each.comm is None for each in kept] == [True] * 19 + [False]
    assert sum(isinstance(each, Explorer) for each in _instances.values()) == 1


def test_several_explorers_of_one_run_stay_open(cell):
    first, second = scene.explorer(), scene.explorer()
    assert first.comm is not None and second.comm is not None
    cell[0] = "cell-2"
    other = scene.explorer()
    assert all(each.comm is not None for each in (first, second, other))
    cell[:] = ["cell-1", 1]
    third = scene.explorer()
    assert [each.comm is None for each in (first, second, other, third)] == [
        True,
        True,
        False,
        False,
    ]


def test_a_closed_explorer_holds_no_features_and_can_be_closed_twice():
    explorer = scene.explorer()
    feat = weakref.ref(explorer.content.features["random"][0].feat)
    explorer.picked = [3]
    explorer.close()
    explorer.close()
    gc.collect()
    assert feat() is None and explorer.payload == b"" and explorer.picked == [3]


def test_features_are_not_copied():
    feat = torch.randn(900, 48)
    explorer = Explorer(scene.keyframe(), {"teacher": feat})
    assert explorer.content.features["teacher"][0].feat.data_ptr() == feat.data_ptr()


def test_outside_of_notebooks_nothing_is_closed():
    assert running_cell() is None
    first, second = scene.explorer(), scene.explorer()
    assert first.comm is not None and second.comm is not None
