"""The rows for a GPU, made on a CPU with a small student: all ways are measured, with bounds."""

from dataclasses import replace

import pytest

from kit.bench import _on_gpu
from kit.bench.students import made_up_scan
from kit.student.waffleiron.config import WaffleIronConfig

PAIR = _on_gpu.pair
RATIO = (0.1, 0.15, 1.5)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(_on_gpu, "WAYS", ("plain", "fused"))  # compiling takes a minute
    monkeypatch.setattr(_on_gpu, "seconds", lambda run, repeats: (run(), 0.25)[1])
    monkeypatch.setattr(_on_gpu, "peak_extra_memory", lambda run, device: 5e9)
    monkeypatch.setattr(
        _on_gpu, "alternate", lambda *calls: [call() for call in calls[:2]] and RATIO
    )


@pytest.mark.filterwarnings("ignore:the student is on the CPU")
def test_fused_layers_have_bounds_and_the_others_have_none():
    config = WaffleIronConfig(3, 8, head=(5,))
    scans = [made_up_scan(60, seed) for seed in range(2)]
    matrix = _on_gpu.operations(config, 120, "train") / 0.1  # so that they take 0.1 s at least
    rows = list(_on_gpu.size_rows(config, scans, "cpu", matrix))
    found = {row.name: (row.value, row.unit, row.target) for row in rows}
    label = "wi-3-8, 2 x 60 points, bf16"
    assert found == {
        f"{label}: ms a step": (250, "ms", None),
        f"{label}: memory on top": (5000, "MB", None),
        f"{label}: ratio to the matrix limit": (pytest.approx(40), "%", None),
        f"{label}, fused: ms a step": (250, "ms", "<= 350"),
        f"{label}, fused: memory on top": (5000, "MB", "<= 60000"),
        f"{label}, fused: ratio to the matrix limit": (pytest.approx(40), "%", ">= 25"),
    }
    assert all(row.ok is not False for row in rows)
    checkpointed = _on_gpu.size_rows(replace(config, checkpointing=True), scans, "cpu", matrix)
    assert all(row.target is None and "checkpointed" in row.name for row in checkpointed)


@pytest.mark.filterwarnings("ignore:the student is on the CPU")
@pytest.mark.parametrize("task", ["train", "infer"])
def test_small_students_run_beside_the_reference(task, monkeypatch):
    monkeypatch.setattr(_on_gpu, "pair", lambda width, device: PAIR(width, device, (5,)))
    rows = list(_on_gpu.fused_pair_rows(8, task, [made_up_scan(60)], "cpu"))
    assert [row.name.partition(": ")[2] for row in rows[:3]] == [
        "ms", "ms of the reference", "times faster than the reference",
    ]  # fmt: skip
    assert len({row.name for row in rows}) == len(rows) == 6
    assert all(f", {task}, bf16" in row.name for row in rows)
