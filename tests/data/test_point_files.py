import io

import laspy
import numpy as np
import open3d
import pyarrow
import pytest
from own_recording import NAMES, rows
from pyarrow import csv, feather, parquet

import kit
from kit.data.point_files import Layout, read_columns, read_points

ROWS = rows()
LAYOUT = Layout(NAMES)


def table() -> pyarrow.Table:
    return pyarrow.table({name: ROWS[:, n] for n, name in enumerate(NAMES)})


def write_bin(file, dtype="<f4"):
    ROWS.astype(dtype).tofile(file)


def write_mixed(file):
    kinds = [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "u1"), ("ring", "<u2")]
    mixed = np.zeros(len(ROWS), kinds)
    for number, name in enumerate(NAMES):
        mixed[name] = ROWS[:, number]
    mixed.tofile(file)


def write_fields(file):
    fields = np.zeros(len(ROWS), [(name.upper(), "f4") for name in NAMES])
    for number, name in enumerate(NAMES):
        fields[name.upper()] = ROWS[:, number]
    np.save(file, fields)


def write_open3d(file, **options):
    cloud = open3d.t.geometry.PointCloud(ROWS[:, :3].copy())
    cloud.point["intensity"] = ROWS[:, 3:].copy()
    assert open3d.t.io.write_point_cloud(str(file), cloud, **options)


def write_pcd_by_hand(file):
    """Text with a type and a width of its own for every field, and a row without a return."""
    head = "# .PCD v0.7\nVERSION 0.7\nFIELDS x y z intensity ring\nSIZE 4 4 4 4 2\nTYPE F F F F U\n"
    head += f"COUNT 1 1 1 1 1\nWIDTH {len(ROWS)}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\n"
    head += f"POINTS {len(ROWS)}\nDATA ascii\n"
    file.write_text(head + "\n".join(f"{a:.9g} {b:.9g} {c:.9g} {d:.9g} 3" for a, b, c, d in ROWS))


def write_las(file):
    header = laspy.LasHeader(point_format=3, version="1.2")
    header.scales, header.offsets = [1e-4] * 3, [10.0, 20.0, 0.0]
    cloud = laspy.LasData(header)
    cloud.x, cloud.y, cloud.z = ROWS[:, :3].astype(np.float64).T
    cloud.intensity = ROWS[:, 3].astype(np.uint16)
    cloud.write(str(file))


def csv_text(delimiter=",", head=True):
    lines = [delimiter.join(map("{:.9g}".format, row)) for row in ROWS]
    return "\n".join([delimiter.join(NAMES)] * head + lines) + "\n"


WRITERS = {
    "a.bin": (write_bin, LAYOUT),
    "b.bin": (lambda file: write_bin(file, "<f8"), Layout(NAMES, "float64")),
    "c.bin": (lambda file: write_bin(file, "<f2"), Layout(NAMES, "float16")),
    "d.bin": (write_mixed, Layout((*NAMES, "ring"), ("float32",) * 3 + ("uint8", "uint16"))),
    "a.npy": (lambda file: np.save(file, ROWS), LAYOUT),
    "b.npy": (write_fields, None),
    "a.npz": (lambda file: np.savez(file, points=ROWS[:, :3], intensity=ROWS[:, 3]), None),
    "b.npz": (lambda file: np.savez_compressed(file, ROWS), LAYOUT),
    "c.npz": (lambda file: np.savez(file, **dict(zip(NAMES, ROWS.T, strict=True))), None),
    "a.pcd": (write_open3d, None),
    "b.pcd": (lambda file: write_open3d(file, compressed=True), None),
    "c.pcd": (lambda file: write_open3d(file, write_ascii=True), None),
    "d.PCD": (write_pcd_by_hand, None),
    "a.ply": (write_open3d, None),
    "b.ply": (lambda file: write_open3d(file, write_ascii=True), None),
    "a.las": (write_las, None),
    "a.laz": (write_las, None),
    "a.csv": (lambda file: csv.write_csv(table(), file), None),
    "b.csv": (lambda file: file.write_text(csv_text(";")), None),
    "c.csv": (lambda file: file.write_text(csv_text(",", head=False)), LAYOUT),
    "a.parquet": (lambda file: parquet.write_table(table(), file), None),
    "a.feather": (lambda file: feather.write_feather(table(), str(file)), None),
}


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_points_are_read_from_every_kind_of_file(tmp_path, name):
    write, layout = WRITERS[name]
    write(tmp_path / name)
    scan = read_points(tmp_path / name, layout)
    close = 0.02 if name == "c.bin" else 1e-4
    assert np.abs(scan.points.numpy() - ROWS[:, :3]).max() < close
    assert np.array_equal(scan.intensity, ROWS[:, 3])
    assert scan.num_rows == len(ROWS) and scan.row_in_file.tolist() == list(range(len(ROWS)))


@pytest.mark.parametrize("name", ["a.pcd", "a.ply", "a.las", "a.npz", "a.csv", "a.parquet"])
def test_a_single_point_file_is_a_data_set(tmp_path, name):
    WRITERS[name][0](tmp_path / name)
    dataset = kit.open_dataset(tmp_path / name)
    assert dataset.tokens == ["a"] and len(dataset[0].points) == len(ROWS)
    assert dataset.sensor.intensity_mean == pytest.approx(ROWS[:, 3].mean())
    assert dataset[0].cameras == {}


def test_a_bin_file_needs_the_names_of_its_columns(tmp_path):
    write_bin(tmp_path / "a.bin")
    dataset = kit.open_dataset(tmp_path / "a.bin", columns=["x", "y", "z", "intensity"])
    assert np.array_equal(dataset[0].points, ROWS[:, :3])
    with pytest.raises(ValueError, match=r"a.bin: .*does not tell its columns.*columns = \["):
        kit.open_dataset(tmp_path / "a.bin")[0]


def test_rows_that_are_not_finite_are_dropped_and_counted(tmp_path):
    broken = ROWS.copy()
    broken[5, 0], broken[9, 3] = np.nan, np.inf
    np.save(tmp_path / "a.npy", broken)
    scan = read_points(tmp_path / "a.npy", LAYOUT)
    assert scan.num_rows - len(scan.points) == 2
    assert scan.row_in_file.tolist() == np.setdiff1d(np.arange(len(ROWS)), [5, 9]).tolist()


def test_intensities_are_found_by_their_usual_names_or_named(tmp_path):
    columns = {name: ROWS[:, n] for n, name in enumerate(("x", "y", "z", "reflectivity"))}
    np.savez(tmp_path / "a.npz", **columns, ambient=2 * ROWS[:, 3])
    assert np.array_equal(read_points(tmp_path / "a.npz").intensity, ROWS[:, 3])
    named = read_points(tmp_path / "a.npz", Layout(intensity="ambient"))
    assert np.array_equal(named.intensity, 2 * ROWS[:, 3])
    with pytest.raises(ValueError, match="expected the column 'power' of intensities, found"):
        read_points(tmp_path / "a.npz", Layout(intensity="power"))
    np.save(tmp_path / "a.npy", ROWS[:, :3])
    assert not read_points(tmp_path / "a.npy").intensity.any()


def pickled() -> bytes:
    content = io.BytesIO()
    np.save(content, np.array([{"x": 1}, None], dtype=object), allow_pickle=True)
    return content.getvalue()


PCD = b"""# .PCD v0.7
VERSION 0.7
FIELDS x y z
SIZE 4 4 4
TYPE F F F
COUNT 1 1 1
POINTS %s
DATA %s
"""
PLY = b"""ply
format ascii 1.0
element vertex %s
property float x
property float y
property float z
end_header
"""
BINARY = b"binary_little_endian"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 80


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.bin", rows()[:, :3].tobytes() * 2, "seems to be rows of 3 float32"),
        ("a.bin", np.column_stack([ROWS, ROWS[:, 0]]).tobytes(), "seems to be rows of 5 float32"),
        ("a.bin", ROWS.astype("<f8").tobytes(), "seems to be .*float64"),
        ("a.bin", ROWS.tobytes()[:-3], "a multiple of 16 bytes"),
        ("a.bin", b"", "a multiple of 16 bytes"),
        ("a.bin", POINTER, "pointer of Git LFS|text"),
        ("a.npy", ROWS.tobytes(), "expected a NumPy array"),
        ("a.npy", pickled(), "expected a NumPy array"),
        ("a.npz", b"PK\x03\x04 broken", "expected an archive of numpy.savez"),
        ("a.pcd", POINTER, "expected a PCD file .*Git LFS"),
        ("a.pcd", b"# .PCD v0.7\nFIELDS x y z\n", "expected the header of a PCD"),
        ("a.pcd", PCD % (b"9000000000", b"binary") + b"1" * 12, "points in its header"),
        ("a.pcd", PCD % (b"3", b"binary") + b"1" * 12, "cannot read the 3 points"),
        ("a.pcd", PCD % (b"3", b"ascii") + b"1 2 3\n1 2 3\n", "2 lines of points, 3 in its"),
        ("a.pcd", PCD % (b"3", b"words") + b"1 2 3\n1 2 3\n", "DATA: expected ascii"),
        ("a.pcd", PCD.replace(b"4 4 4", b"4 4") % (b"1", b"ascii") + b"1 2 3\n", "the header"),
        ("a.pcd", b"", "another file"),
        ("a.ply", b"ply\nformat ascii 1.0\nend_header\n", "with `element vertex`"),
        ("a.ply", PLY % b"3" + b"1 2 3\n1 2 3\n", "2 lines of points, 3 in its"),
        ("a.ply", PLY.replace(b"ascii", BINARY) % b"3" + bytes(30), "30 bytes for 3 points of 12"),
        ("a.ply", PLY % b"9000000000" + b"1 2 3\n", "points in its header"),
        ("a.las", b"LASF" + bytes(50), "cannot read this file"),
        ("a.laz", POINTER, "expected a LAS or LAZ file.*Git LFS"),
        ("a.csv", b"1,2,3\n4,5,6\n", "names of the columns"),
        ("a.csv", b"x,y,z\n1,2\n", "cannot read this csv table"),
        ("a.csv", b"a,b,c\n1,2,3\n", "expected columns x, y and z, found a, b, c"),
        ("a.csv", b"x,y,z\n1,2,car\n", "expected columns x, y and z"),
        ("a.parquet", b"PAR1" + bytes(30), "cannot read this parquet table"),
        ("a.feather", b"", "cannot read this feather table"),
    ],
)
def test_another_content_is_refused_and_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    layout = LAYOUT if name.endswith(".bin") else None
    with pytest.raises(ValueError, match=rf"{name}: .*({message})"):
        read_points(tmp_path / name, layout)


@pytest.mark.parametrize(
    ("first", "count"),
    [
        ("nan,nan,nan,0", 2),
        ("1,2,3,nan", 2),
        ("inf,2,3,7", 2),
        ("1,2,3,-Infinity", 2),
        ("1e1,2E0,3,7", 3),
        (",,,", 2),
        ("NaN,NaN,NaN,NULL", 2),
    ],
)
def test_a_first_row_without_a_number_is_no_header(tmp_path, first, count):
    file = tmp_path / "a.csv"
    file.write_text(f"{first}\n4,5,6,7\n8,9,10,11\n")
    scan = read_points(file, LAYOUT)
    assert scan.num_rows == 3 and len(scan.points) == count
    assert scan.points[-2:].tolist() == [[4, 5, 6], [8, 9, 10]]
    assert scan.intensity[-2:].tolist() == [7, 11]
    with pytest.raises(ValueError, match="a.csv: expected a first line with the names"):
        read_points(file)


@pytest.mark.parametrize("name", ["a.csv", "a.pcd", "c.npz", "b.npy", "a.parquet", "a.las"])
def test_other_names_than_those_of_the_file_are_refused(tmp_path, name):
    WRITERS[name][0](tmp_path / name)
    layout = Layout(("x", "y", "z", "energy"))
    with pytest.raises(ValueError, match=f"{name}: columns: energy not found, .*names its columns"):
        read_points(tmp_path / name, layout)
    assert np.array_equal(read_points(tmp_path / name, LAYOUT).intensity, ROWS[:, 3])


def test_arrays_of_more_columns_must_be_named(tmp_path):
    np.save(tmp_path / "a.npy", ROWS)
    with pytest.raises(ValueError, match="an array of 4 columns, and they are not named"):
        read_points(tmp_path / "a.npy")
    with pytest.raises(ValueError, match="an array of 4 columns, and columns names 5"):
        read_points(tmp_path / "a.npy", Layout((*NAMES, "ring")))
    np.save(tmp_path / "b.npy", ROWS[:, 0])
    with pytest.raises(ValueError, match=r"expected \(N, C\) numbers, got the shape \(400,\)"):
        read_points(tmp_path / "b.npy")


def test_wrong_names_of_columns_are_noticed_by_invalid_values(tmp_path):
    time = 1.7e15 + np.arange(len(ROWS))
    np.save(tmp_path / "a.npy", np.column_stack([ROWS[:, :3], time]))
    with pytest.raises(ValueError, match="none of its|rows are valid"):
        read_points(tmp_path / "a.npy", LAYOUT)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(columns=("x", "y", "w")), "x, y and z among them"),
        (dict(columns=("x", "y", "z", "z")), "different names"),
        (dict(columns=NAMES, dtype="float"), "dtype: expected one of float16"),
        (dict(columns=NAMES, dtype=("float32",)), "expected one type or 4"),
        (dict(columns=NAMES, intensity="power"), "'power' is not among columns"),
    ],
)
def test_a_layout_is_checked(fields, message):
    with pytest.raises(ValueError, match=message):
        Layout(**fields)


def test_an_unknown_ending_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"a.xyz: expected a point file, one of .bin, .npy"):
        read_columns(tmp_path / "a.xyz")
