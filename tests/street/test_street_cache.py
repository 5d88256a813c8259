"""The street in its cache and in other processes."""

import os
import pickle
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import torch
from ended import has_ended
from small_street import clear_memory, street

from kit.store import FeatureCache

pytestmark = pytest.mark.usefixtures("fresh_memory")


def test_a_keyframe_is_rendered_once_with_a_progress_bar(keyframes, capsys, monkeypatch, tmp_path):
    street()[0]
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("KIT_CACHE", str(tmp_path))
    clear_memory()
    small = street(num_scenes=1, keyframes_per_scene=1, image_size=(8, 16))
    small[0]
    assert "rendering the street, scene 0, keyframe 0" in capsys.readouterr().err
    assert FeatureCache().size() > 0


def test_prepare_renders_missing_keyframes_with_a_progress_bar(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("KIT_CACHE", str(tmp_path))
    small = street(num_scenes=1, image_size=(8, 16))
    small.prepare()
    assert "rendering the street" in capsys.readouterr().err
    small.prepare()
    small[1]
    assert capsys.readouterr().err == ""


def test_a_cache_that_cannot_be_written_gives_a_warning(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KIT_CACHE", str(tmp_path / "file"))
    small = street(num_scenes=1, keyframes_per_scene=1, image_size=(8, 16))
    with pytest.warns(UserWarning, match="KIT_CACHE can name another folder"):
        assert len(small[0].points) > 10_000


def test_pickling_for_worker_processes(keyframes):
    camera = pickle.loads(pickle.dumps(keyframes[0].cameras["CAM_FRONT"]))
    assert np.array_equal(camera.pixels(), keyframes[0].cameras["CAM_FRONT"].pixels())
    assert torch.equal(pickle.loads(pickle.dumps(street()))[1].points, keyframes[1].points)


def test_workers_end_when_the_rendering_process_is_killed(tmp_path):
    script = (
        "from kit.street.dataset import Street\n"
        "Street(num_scenes=20, keyframes_per_scene=5).prepare()"  # minutes of work
    )
    environment = {**os.environ, "KIT_CACHE": str(tmp_path), "KIT_UNCHECKED": "1"}
    parent = subprocess.Popen(
        [sys.executable, "-c", script], env=environment, stderr=subprocess.DEVNULL
    )
    try:
        process, workers = psutil.Process(parent.pid), []
        for _ in range(600):  # until the workers have started to render
            workers = [c for c in process.children() if "popen_loky" in " ".join(c.cmdline())]
            if workers and all(worker.cpu_times().user > 1.5 for worker in workers):
                break
            time.sleep(0.1)
    finally:
        parent.kill()
        parent.wait()
    alive = [worker for worker in workers if not has_ended(worker, seconds=20)]
    for worker in alive:
        worker.kill()
    assert workers and not alive
