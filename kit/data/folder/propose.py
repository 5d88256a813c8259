"""A first recording.json for a folder: what was found, with gaps for what only its owner knows."""

import json
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kit.data import format_of
from kit.data.folder.description import NAME
from kit.data.folder.files import in_order, is_image, stem
from kit.data.numbered import numbered
from kit.data.point_files import is_point_file
from kit.data.scan_layout import other_layout
from kit.store import files as store
from kit.store.reading import open_regular

_WARNING = (
    "this folder opens already, without recording.json, as {name}. With recording.json it is opened"
    " as that says: remove the file if you want {name} back"
)
MAX_DEPTH = 4  # of folders below the root
MOST_FOLDERS = 10_000
_HEAD = 400_000  # bytes that show the layout of a .bin file
_LABELS = {"label", "labels", "semseg", "lidarseg", "panoptic", "annotation", "annotations"}
_NAMES = {3: ["x", "y", "z"], 4: ["x", "y", "z", "intensity"]}


def propose(root: Path) -> tuple[dict[str, Any], list[str]]:
    """Look at a folder and describe it.

    Returns:
        the content of recording.json, and notes on what to check or to fill in.

    Raises:
        FileNotFoundError: the folder is missing, or has no point file.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder")
    points, images = _folders(root, is_point_file), _folders(root, is_image)
    scans = {folder: names for folder, names in points.items() if not _is_of_labels(folder)}
    if not scans:
        raise FileNotFoundError(
            f"{root}: no point file (.pcd .ply .las .laz .npy .npz .bin .csv .parquet) in it or in "
            f"its sub-folders, {MAX_DEPTH} levels deep (folders named like labels are left out)"
        )
    scan_folder = max(scans, key=lambda folder: (len(scans[folder]), -len(folder)))
    files = scans[scan_folder]
    notes = [f"lidar: {_counted(files)} in {scan_folder}/"]
    others = {folder: names for folder, names in points.items() if folder != scan_folder}
    notes += [f"not used: {_counted(names)} in {folder}/" for folder, names in others.items()]
    lidar: dict[str, Any] = {"files": _place(scan_folder, files)}
    if Path(files[0]).suffix.lower() == ".bin":
        lidar |= _columns(root / scan_folder / files[0], notes)
    content: dict[str, Any] = {"lidar": lidar}
    cameras = {_camera_name(folder): folder for folder in sorted(images)}
    if len(cameras) < len(images):
        names = numbered(folder.replace("/", "_") for folder in sorted(images))
        cameras = dict(zip(names, sorted(images), strict=True))
    if cameras:
        content["cameras"] = {
            name: {"images": _place(folder, images[folder]), "K": None, "T_cam_lidar": None}
            for name, folder in cameras.items()
        }
        content["match"] = _match(files, [images[folder] for folder in cameras.values()], notes)
        notes.append(
            f"cameras: {', '.join(cameras)}. Fill in K (3 rows), T_cam_lidar (4 rows: lidar frame "
            "to camera frame, x right, y down, z forward) and, if the images are not rectified, "
            'distortion: {"model": ..., "coefficients": [...]}. Until then they are left out'
        )
    return content, notes


def _is_of_labels(folder: str) -> bool:
    """Whether a word of a folder's name, or of one above it, says that it holds labels."""
    return not _LABELS.isdisjoint(re.split(r"[/_\-. ]", folder.lower()))


def _counted(files: Sequence[str]) -> str:
    return f"{len(files):,} point file{'s' * (len(files) != 1)}"


def _folders(root: Path, wanted: Any) -> dict[str, list[str]]:
    """Names of wanted files in order, by folder below the root; hidden folders are left out."""
    found: dict[str, list[str]] = defaultdict(list)
    for number, (folder, below, names) in enumerate(os.walk(root)):
        relative = os.path.relpath(folder, root).replace(os.sep, "/")
        below[:] = sorted(n for n in below if not n.startswith("."))
        if relative.count("/") >= MAX_DEPTH - 1 or number > MOST_FOLDERS:
            below.clear()
        chosen = in_order([name for name in names if wanted(name)])
        if chosen:
            found[relative] = chosen
    return dict(found)


def _place(folder: str, names: Sequence[str]) -> str:
    """The folder; or the file, if it is the only one beside recording.json."""
    return names[0] if folder == "." and len(names) == 1 else folder


def _camera_name(folder: str) -> str:
    parts = [part for part in folder.split("/") if part.lower() not in ("images", "data", ".")]
    return parts[-1] if parts else "camera"


def _columns(file: Path, notes: list[str]) -> dict[str, Any]:
    """What a .bin file seems to hold."""
    with open_regular(file) as opened:
        seems = other_layout(opened.read(_HEAD // 480 * 480), 4)
    found = re.fullmatch(r"rows of (\d+) (float\d+)( .*)?", seems or "rows of 4 float32")
    if found is None:
        notes.append(f"{file.name} seems to be {seems}: fill in columns and dtype")
        return {"columns": _NAMES[4], "dtype": "float32"}
    count, dtype = int(found[1]), found[2]
    names = _NAMES.get(count) or [*_NAMES[4], *(f"column{n}" for n in range(5, count + 1))]
    notes.append(
        f"{file.name} seems to hold {count} columns of {dtype}: check their names and their order"
    )
    return {"columns": names, "dtype": dtype}


def _match(scans: Sequence[str], images: Sequence[Sequence[str]], notes: list[str]) -> str:
    """How images seem to belong to scans."""
    names = {stem(name) for name in scans}
    one_each = len(scans) == 1 and all(len(each) == 1 for each in images)
    if one_each or all(names & {stem(name) for name in each} for each in images):
        return "name"
    if all(len(each) == len(scans) for each in images):
        notes.append(
            "match: names differ, numbers of files agree: the first image belongs to the "
            "first scan, and so on. Check this"
        )
        return "index"
    notes.append(
        'match: names and numbers of files differ. Use "time" with time_unit and timestamps '
        '("file names" if these are times)'
    )
    return "name"


def write_first(root: Path) -> str:
    """Write a first recording.json into a folder; returns what was found, and what to do.

    Raises:
        FileNotFoundError: the folder is missing, or has no point file.
        ValueError: there is one already; it is never overwritten.
    """
    file = root / NAME
    if file.exists() or file.is_symlink():
        raise ValueError(f"{file}: exists already, and is not overwritten. Rename it first")
    content, notes = propose(root)
    if name := format_of(root):
        notes.insert(0, _WARNING.format(name=name))
    store.write_text(file, _text(content))
    lines = [f"wrote {file}", *(f"- {note}" for note in notes)]
    lines.append(f"Then look at it: kit.open_dataset({str(root)!r})[0]")
    return "\n".join(lines)


def _text(content: dict[str, Any]) -> str:
    """JSON with short lists in one line."""
    text = json.dumps(content, indent=2)
    return re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", _one_line, text) + "\n"


def _one_line(found: re.Match) -> str:
    return f"[{', '.join(part.strip() for part in found[1].split(','))}]"
