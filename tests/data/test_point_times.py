"""Times of points: any usual column and unit, relative to the time stamp of the scan."""

import json

import laspy
import numpy as np
import open3d
import pyarrow
import pytest
import torch
from own_recording import rows, write_recording
from pyarrow import parquet

import kit
from kit.data.point_files import Layout, read_points
from kit.data.point_times import seconds_of

ROWS = rows()
SECONDS = np.linspace(0, 0.1, len(ROWS))
START = 1_700_000_000 * 10**9  # nanoseconds
EVERY = np.full(len(ROWS), True)


@pytest.mark.parametrize(
    "values, stamp",
    [
        (SECONDS, None),
        (SECONDS - 0.05, None),
        (SECONDS * 1e6, None),
        ((SECONDS * 1e9).astype(np.uint32), START),
        (START // 10**9 + SECONDS, START),
        (START + (SECONDS * 1e9).astype(np.int64), START),
        (START // 1000 + (SECONDS * 1e6).astype(np.int64), START),
        (5000 + SECONDS, None),  # since the lidar was switched on
    ],
)
def test_units_and_origins_are_recognised(values, stamp):
    found = seconds_of(values, EVERY, stamp)
    wanted = SECONDS - 0.05 if values[0] < 0 else SECONDS
    assert found.dtype == torch.float32 and np.abs(found.numpy() - wanted).max() < 2e-6


def test_rows_without_a_point_do_not_count():
    values = START // 10**9 + SECONDS
    values[::7], values[1] = 0, np.nan
    measured = values != 0
    found = seconds_of(values, measured, START).numpy()
    kept = measured & np.isfinite(values)
    assert np.abs(found - SECONDS)[kept].max() < 2e-6 and not found[~kept].any()


@pytest.mark.parametrize(
    "values, words",
    [
        (SECONDS * 0, "no turn"),
        (SECONDS * 1e3, "no turn"),  # milliseconds look like seconds of a long recording
        (5000 + SECONDS, "from the time stamp"),
        (START // 10**9 + 10.5 + SECONDS, "more than 10 s from the time stamp"),
        (START // 10**9 - 10.5 + SECONDS, "more than 10 s from the time stamp"),
        (SECONDS * np.nan, "finite number"),
        (np.where(SECONDS < 0.05, -1e308, 1e308), "no turn"),
    ],
)
def test_times_that_cannot_be_understood_are_refused(values, words):
    with pytest.raises(ValueError, match=words):
        seconds_of(values, EVERY, START)
    assert seconds_of(SECONDS * 1e3, EVERY, None, "ms")[-1] == pytest.approx(0.1)


def write_open3d(file):
    cloud = open3d.t.geometry.PointCloud(ROWS[:, :3].copy())
    cloud.point["timestamp"] = (START / 1e9 + SECONDS)[:, None]
    assert open3d.t.io.write_point_cloud(str(file), cloud)


def write_las(file):
    cloud = laspy.LasData(laspy.LasHeader(point_format=3, version="1.2"))
    cloud.x, cloud.y, cloud.z = ROWS[:, :3].astype(np.float64).T
    cloud.gps_time = 300_000_000 + SECONDS
    cloud.write(str(file))


def named(time):
    return {"x": ROWS[:, 0], "y": ROWS[:, 1], "z": ROWS[:, 2], **time}


def write_csv(file):
    rows_and_times = zip(ROWS, SECONDS, strict=True)
    lines = [f"{x:.6g},{y:.6g},{z:.6g},{t:.9g}" for (x, y, z, _), t in rows_and_times]
    file.write_text("\n".join(["x,y,z,time", *lines]))


def write_parquet(file):
    parquet.write_table(pyarrow.table(named({"t": (SECONDS * 1e9).astype(np.uint32)})), file)


WRITERS = {
    "a.pcd": write_open3d,
    "a.ply": write_open3d,
    "a.laz": write_las,
    "a.csv": write_csv,
    "a.parquet": write_parquet,
    "a.npz": lambda file: np.savez(file, **named({"offset_time": SECONDS * 1e6})),
}


@pytest.mark.parametrize("name", WRITERS)
def test_times_are_found_in_every_kind_of_file(tmp_path, name):
    WRITERS[name](tmp_path / name)
    time = kit.open_dataset(tmp_path / name)[0].time
    assert np.abs(time.numpy() - SECONDS).max() < 2e-6


def test_a_recording_names_the_column_and_its_unit(tmp_path):
    kinds = [(name, "<f4") for name in ("x", "y", "z", "intensity")] + [("when", "<u4")]
    lidar = {
        "files": "lidar",
        "columns": [name for name, _ in kinds],
        "dtype": ["float32"] * 4 + ["uint32"],
        "point_times": {"column": "when", "unit": "ms"},
        "timestamps": "times.txt",
    }
    root = write_recording(tmp_path / "drive", count=1, lidar=lidar, time_unit="s")
    (root / "times.txt").write_text("1700000000.0")
    table = np.zeros(len(ROWS), kinds)
    for number, (name, _) in enumerate(kinds[:4]):
        table[name] = ROWS[:, number]
    table["when"] = np.round(SECONDS * 1000)
    table["x"][5] = np.nan
    table.tofile(root / "lidar/000.bin")
    keyframe = kit.open_dataset(root)[0]
    wanted = np.delete(np.round(SECONDS, 3), 5)
    assert np.abs(keyframe.time.numpy() - wanted).max() < 2e-6
    content = json.loads((root / "recording.json").read_text())
    del content["lidar"]["point_times"]["unit"]
    (root / "recording.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="000.bin: column .when.: the times .*Give the unit"):
        kit.open_dataset(root)[0]


def test_a_column_that_is_named_must_be_there_and_be_understood(tmp_path):
    np.savez(tmp_path / "a.npz", **named({"t": SECONDS * 0 + 3}))
    assert read_points(tmp_path / "a.npz").time is None
    with pytest.raises(ValueError, match="column 't'.*span 0.*Give the unit"):
        read_points(tmp_path / "a.npz", Layout(time="t"))
    with pytest.raises(ValueError, match="expected the column 'when' of times, found x, y, z, t"):
        read_points(tmp_path / "a.npz", Layout(time="when"))
    with pytest.raises(ValueError, match="time_unit: expected s, ms, us, ns, got 'min'"):
        kit.open_dataset(tmp_path / "a.npz", time_unit="min")
