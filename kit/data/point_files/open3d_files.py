"""PCD and PLY files, read by Open3D after their headers were checked.

Open3D trusts headers: for points that a file lacks it returns memory that was never written.
"""

import re
from pathlib import Path

import numpy as np

from kit.data.point_files.columns import MAX_ROWS, Layout, by_name
from kit.store.formats import format_of
from kit.store.reading import read_regular

_HEAD = 20_000  # bytes of a header
_PLY_SIZES = {"double": 8, "float64": 8, "float": 4, "float32": 4, "int": 4, "uint": 4}
_PLY_SIZES |= {"int32": 4, "uint32": 4, "short": 2, "ushort": 2, "int16": 2, "uint16": 2}
_FIELDS = ("FIELDS", "SIZE", "TYPE", "COUNT")


def read_pcd(file: Path, layout: Layout) -> dict[str, np.ndarray]:
    """Read a file of the Point Cloud Library: text, binary or compressed."""
    data = _read(file, "a PCD file of the Point Cloud Library")
    return _columns(file, "pcd", _check_pcd(data, file))


def read_ply(file: Path, layout: Layout) -> dict[str, np.ndarray]:
    """Read the vertices of a PLY file."""
    data = _read(file, "a PLY file")
    return _columns(file, "ply", _check_ply(data, file))


def _read(file: Path, kind: str) -> bytes:
    data = read_regular(file)
    found = format_of(data[:_HEAD])
    if found != kind:
        raise ValueError(f"{file}: expected {kind}, this seems to be {found or 'another file'}")
    return data


def _check_ply(data: bytes, file: Path) -> int:
    """Check the header of a PLY file, and that the file has as many vertices as it says."""
    head, _, body = data[:_HEAD].partition(b"end_header")
    vertex = re.search(
        rb"\nelement vertex (\d{1,18})\s+((?:property[^\n]*\n|comment[^\n]*\n)*)", head
    )
    if not vertex or not body:
        raise ValueError(f"{file}: expected the header of a PLY file with `element vertex`")
    body = data[len(head) :].partition(b"\n")[2]
    count = _check_count(int(vertex[1]), body, file)
    if b"format ascii" in head:
        return _check_lines(count, body, file)
    kinds = re.findall(rb"property (\w+) \w+", vertex[2])
    row = sum(_PLY_SIZES.get(kind.decode(), 1) for kind in kinds)
    if len(body) < row * count:
        raise ValueError(
            f"{file}: {len(body):,} bytes for {count:,} points of {row} bytes. Is the download "
            "complete?"
        )
    return count


def _check_lines(count: int, body: bytes, file: Path) -> int:
    lines = sum(1 for line in body.splitlines() if line.strip())
    if lines < count:
        raise ValueError(
            f"{file}: {lines:,} lines of points, {count:,} in its header. Is the download complete?"
        )
    return count


def _check_pcd(data: bytes, file: Path) -> int:
    """Check the header of a PCD file, and that the file has as many points as it says."""
    lines = re.findall(rb"(?m)^([A-Z]+)[ \t]+([^\r\n]*?)[ \t]*\r?$", data[:_HEAD])
    header = {key.decode(): value.decode("latin-1").split() for key, value in reversed(lines)}
    numbers = header.get("POINTS", []) or header.get("WIDTH", [])
    kind = " ".join(header.get("DATA", []))
    widths = {len(header.get(key, [])) for key in _FIELDS if key != "COUNT" or key in header}
    if len(widths) != 1 or 0 in widths or len(numbers) != 1 or not numbers[0].isdecimal():
        raise ValueError(
            f"{file}: expected the header of a PCD file, with FIELDS, SIZE, TYPE and COUNT of one "
            "length and the number of POINTS"
        )
    body = data[re.search(rb"(?m)^DATA[^\n]*(\n|$)", data[:_HEAD]).end() :] if kind else b""
    count = _check_count(int(numbers[0]), body, file)
    if kind == "ascii":
        _check_lines(count, body, file)
    elif kind not in ("binary", "binary_compressed"):
        raise ValueError(
            f"{file}: DATA: expected ascii, binary or binary_compressed, got {kind[:40]!r}"
        )
    return count


def _check_count(count: int, data: bytes, file: Path) -> int:
    """Refuse a number of points that no file of this size can hold."""
    most = min(MAX_ROWS, 300 * len(data))  # compression, at best
    if not 0 < count <= most:
        raise ValueError(
            f"{file}: {count:,} points in its header, expected 1 to {most:,} for its size. Is the "
            "download complete?"
        )
    return count


def _columns(file: Path, ending: str, count: int) -> dict[str, np.ndarray]:
    """Columns by name; positions are x, y, z."""
    import open3d  # slow import

    with open3d.utility.VerbosityContextManager(open3d.utility.VerbosityLevel.Error):
        try:
            cloud = open3d.t.io.read_point_cloud(str(file), format=ending)
        except RuntimeError:
            cloud = open3d.t.geometry.PointCloud()
    if "positions" not in cloud.point or len(cloud.point.positions) != count:
        raise ValueError(
            f"{file}: Open3D cannot read the {count:,} points of this {ending.upper()} file. Has "
            "it x, y and z, and is the download complete?"
        )
    columns = by_name(cloud.point.positions.numpy(), ("x", "y", "z"))
    for name in cloud.point:
        values = cloud.point[name].numpy()
        if name != "positions" and values.ndim == 2 and values.shape[1] == 1:
            columns[name.lower()] = values[:, 0]
    return columns
