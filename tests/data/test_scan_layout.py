"""Scans that are not rows of 5 float32 values are found out and named, and never read."""

import io
import os

import numpy as np
import pytest
import small_root
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from kit.data import open_dataset
from kit.data.nuscenes.scans import read_scan
from kit.data.scan_layout import other_layout

NAMES = {"<f4": "float32", "<f8": "float64", ">f4": "big-endian float32", "<f2": "float16"}
NAMES |= {">f8": "big-endian float64"}


def five(points) -> np.ndarray:
    """Add the ring, 0..31."""
    return np.column_stack([points, np.arange(len(points)) % 32])


def ordered(points) -> np.ndarray:
    """In the order of a turning lidar, in which neighbours are similar."""
    return points[np.argsort(np.arctan2(points[:, 1], points[:, 0]))]


def with_columns(points, columns) -> np.ndarray:
    rows = np.column_stack([five(points), np.linspace(0, 0.1, len(points)), points[:, :2]])
    return rows[:, :columns]


@pytest.mark.parametrize("order", [np.array, ordered])
@pytest.mark.parametrize("count", [1000, 4000, 28_800])
@pytest.mark.parametrize("columns", [3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("kind", NAMES)
def test_every_layout_is_named(kind, columns, count, order):
    rows = with_columns(order(small_root.scan(1, count)), columns)
    found = other_layout(rows.astype(kind).tobytes(), 5)
    if (kind, columns) == ("<f4", 5):
        assert found is None
    else:
        assert found.startswith(f"rows of {columns} {NAMES[kind]}")


def test_rounded_float32_values_in_float64_are_named():
    rows = five(small_root.scan(0, 2000)).astype("<f4").astype("<f8")
    assert other_layout(rows.tobytes(), 5) == "rows of 5 float64"


def test_real_scans_agree_with_their_layout(shared_data):
    for name, columns in (("nuscenes", 5), ("pandaset", 5), ("kitti", 4), ("semantickitti", 4)):
        files = [*(shared_data / name).rglob("*.bin")]
        scans = [file for file in files if file.parent.name in ("LIDAR_TOP", "velodyne")]
        assert scans
        for file in scans:
            data = file.read_bytes()
            assert other_layout(data, columns) is None
            assert other_layout(data, 9 - columns) == f"rows of {columns} float32" + (
                " (x, y, z, intensity, as in KITTI)" if columns == 4 else ""
            )


@given(
    seed=st.integers(0, 10**6),
    count=st.integers(1, 3000),
    columns=st.just(5) | st.integers(3, 8),  # those that are right as often as others
    scale=st.floats(0.05, 20),
    ratio_nan=st.floats(0, 0.5),
    intensity=st.sampled_from([0.0, 1 / 60, 1.0, 1000.0]),
)
def test_right_scans_are_never_refused_and_others_never_accepted(
    seed, count, columns, scale, ratio_nan, intensity
):
    points = small_root.scan(seed % 50, 2 * count) * [scale, scale, scale, intensity]
    rows = with_columns(points, columns).astype("<f4")
    rows[np.random.default_rng(seed).random(len(rows)) < ratio_nan, :4] = np.nan
    found = other_layout(rows.tobytes(), 5)
    if columns == 5:
        assert found is None
    elif rows.size >= 2500:
        assert found is not None


@given(data=st.binary(max_size=400))
def test_any_bytes_are_read_or_refused_with_the_name(tmp_path_factory, data):
    file = tmp_path_factory.getbasetemp() / "scan.pcd.bin"
    file.write_bytes(data)
    try:
        scan = read_scan(file)
    except ValueError as error:
        assert str(error).startswith(f"{file}: ") and "\n" not in str(error)
    else:
        assume(len(data) % 20 == 0)
        count = len(scan.points)
        assert scan.num_rows == len(data) // 20 and count == len(scan.row_in_file)
        assert (scan.points.abs() <= 10_000).all() and (scan.intensity.abs() <= 65_535).all()


OTHER_FILES = {
    "a NumPy file": b"\x93NUMPY\x01\x00",
    "a zip archive": b"PK\x03\x04",
    "a PCD file": b"# .PCD v0.7 - Point Cloud Data file format\nVERSION 0.7\n",
    "a PLY file": b"ply\nformat ascii 1.0\n",
    "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    "a gzip file": b"\x1f\x8b\x08\x00",
    "an image": b"\x89PNG\r\n\x1a\n",
    "text": b"<!DOCTYPE html>\n<html>",
}


@pytest.mark.parametrize("start", [b"\x80", b"<", b"{", b"\x1f\x8b", b"\x1f\x8b\x08"])
def test_numbers_that_begin_like_a_short_signature_are_a_scan(tmp_path, start):
    data = five(small_root.scan()).astype("<f4").tobytes()
    file = tmp_path / "scan.pcd.bin"
    file.write_bytes(start + data[len(start) :])
    assert len(read_scan(file).points) == small_root.NUM_POINTS


@pytest.mark.parametrize("kind", OTHER_FILES)
def test_other_formats_are_named(tmp_path, kind):
    file = tmp_path / "scan.pcd.bin"
    file.write_bytes(OTHER_FILES[kind] * 20)
    with pytest.raises(ValueError, match=f"{file}: expected rows of 5 float32.*seems to be {kind}"):
        read_scan(file)


def test_a_numpy_file_in_place_of_a_scan_is_named_by_the_data_set(tmp_path):
    root = small_root.write_root(tmp_path)
    saved = io.BytesIO()
    np.save(saved, five(small_root.scan()))
    file = root / "samples/LIDAR_TOP/LIDAR_TOP-0-1.pcd.bin"
    file.write_bytes(saved.getvalue())
    dataset = open_dataset(root)
    assert len(dataset[0].points) == small_root.NUM_POINTS
    with pytest.raises(ValueError, match=f"{file}: .*a NumPy file"):
        dataset[1]


# Ranges


def written(tmp_path, rows):
    rows.astype("<f4").tofile(tmp_path / "scan.pcd.bin")
    return tmp_path / "scan.pcd.bin"


def test_far_and_bright_rows_are_dropped_and_counted(tmp_path):
    rows = five(small_root.scan(0, 400))
    bad = {3: (0, 1e30), 8: (1, -10_001.0), 20: (2, 3e38), 30: (3, 3e38), 31: (3, -70_000.0)}
    bad |= {50: (0, np.nan), 51: (3, np.inf)}
    for row, (column, value) in bad.items():
        rows[row, column] = value
    scan = read_scan(written(tmp_path, rows))
    kept = np.setdiff1d(np.arange(400), list(bad))
    assert scan.row_in_file.tolist() == kept.tolist() and scan.num_rows == 400
    assert torch.equal(scan.points, torch.from_numpy(rows[kept, :3].astype("f4")))
    assert torch.equal(scan.intensity, torch.from_numpy(rows[kept, 3].astype("f4")))


def test_markers_of_beams_without_a_return_are_dropped_whatever_they_are(tmp_path):
    for marker in (1e30, np.nan, np.inf):
        rows = five(small_root.scan(0, 400))
        rows[::20, :3] = marker
        assert len(read_scan(written(tmp_path, rows)).points) == 380


def test_millimetres_are_named(tmp_path):
    rows = five(small_root.scan(0, 400) * [1000, 1000, 1000, 1])
    with pytest.raises(
        ValueError, match=r"scan.pcd.bin: \d+ of 400 points are farther.*millimetres"
    ):
        read_scan(written(tmp_path, rows))


def test_scans_without_a_valid_row_say_why(tmp_path):
    rows = five(small_root.scan(0, 400))
    rows[:, 3], rows[:10, 0] = 1e6, np.nan
    with pytest.raises(
        ValueError, match="none of its 400 rows is valid: 10 not finite, 390 with an"
    ):
        read_scan(written(tmp_path, rows))


def test_a_pipe_in_place_of_a_scan_or_labels_does_not_block(tmp_path):
    root = small_root.write_root(tmp_path)
    for name in (
        "samples/LIDAR_TOP/LIDAR_TOP-0-0.pcd.bin",
        "lidarseg/v1.0-mini/data-LIDAR_TOP-0-1_lidarseg.bin",
    ):
        (root / name).unlink()
        os.mkfifo(root / name)
    dataset = open_dataset(root)
    for index in (0, 1):
        with pytest.raises(
            ValueError, match=f"{root}/.*expected a regular file, this is a named pipe"
        ):
            dataset[index]
