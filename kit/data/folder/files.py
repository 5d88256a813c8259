"""Files of a folder: scans and images in order, their time stamps, and which belong together."""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from kit.data.folder.description import FROM_NAMES
from kit.data.limits import MAX_TIMESTAMP
from kit.data.recording import nearest_in_time
from kit.data.text_files import content_lines, read_poses, rigid_from_row

IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".tif", ".tiff")
_FEW = 3  # names in a message
_COARSEST = 1000  # microseconds: the steps of time stamps such as 1.700000e+09


def is_image(name: str) -> bool:
    """Whether a file has the ending of an image; hidden files have none."""
    return Path(name).suffix.lower() in IMAGES and not name.startswith(".")


def in_order(names: Sequence[str]) -> list[str]:
    """Sort file names as people do: frame2 before frame10."""

    def key(name: str) -> list[int | str]:
        return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]

    return sorted(names, key=key)


def list_files(root: Path, where: str, wanted: Callable[[str], bool]) -> list[str]:
    """Files of a folder below the root, or one file, as paths below the root, in order.

    Raises:
        FileNotFoundError: there is no such folder or file, or no wanted file in it.
    """
    place = root / where
    if place.is_file():
        return [where]
    if not place.is_dir():
        raise FileNotFoundError(f"{place}: no such folder or file")
    names = in_order([each.name for each in place.iterdir() if wanted(each.name)])
    if not names:
        raise FileNotFoundError(f"{place}: there is no file of the expected kind in this folder")
    return names if where == "." else [f"{where}/{name}" for name in names]


def stem(file: str) -> str:
    """The name of a file without folder and ending."""
    return Path(file).stem


def read_stamps(root: Path, source: str, files: Sequence[str], unit: float) -> list[int]:
    """Time stamps of files in microseconds.

    Args:
        root: of the recording.
        source: `FROM_NAMES`, or a text file with one number per line.
        files: in order.
        unit: microseconds of a unit.

    Raises:
        OSError: the text file cannot be read.
        ValueError: a time stamp is no number or out of range, or there is not one for each file.
    """
    if source == FROM_NAMES:
        named = [(str(root / file), stem(file)) for file in files]
    else:
        lines = content_lines(root / source)
        named = [(f"{root / source}: line {number}", line) for number, line in lines]
        if len(named) != len(files):
            raise ValueError(
                f"{root / source}: {len(named)} time stamps for {len(files)} files in "
                f"{(root / files[0]).parent}; expected one number per line for each file"
            )
    return [_stamp(given, name, unit) for name, given in named]


def _stamp(given: str, name: str, unit: float) -> int:
    """Microseconds; every digit counts: nanoseconds since 1970 have 19, a float64 has 15."""
    found = re.fullmatch(r"\d{1,19}(\.\d{1,20}(e[+-]\d{2})?)?", given)
    if found is None:
        raise ValueError(f"{name}: expected a time stamp of 0 or more, got {given[:60]!r}")
    value, microseconds = Decimal(given), Decimal(str(unit))
    step = Decimal(1).scaleb(value.as_tuple().exponent) * microseconds
    if found[2] and step > _COARSEST:
        raise ValueError(
            f"{name}: the time stamp {given} is written in steps of {float(step) / 1e6:g} s. Write "
            'all digits: numpy.savetxt(file, stamps, fmt="%d") for integers, fmt="%.6f" for seconds'
        )
    stamp = value * microseconds
    # Integers are rounded down, as are the time stamps of ROS.
    whole = int(stamp) if value == value.to_integral_value() else int(stamp.to_integral_value())
    if whole > MAX_TIMESTAMP:
        raise ValueError(f"{name}: the time stamp {given} is too large for its time_unit")
    return whole


def _by_stem(files: Sequence[str], two: str) -> dict[str, str]:
    """Files by their names without ending; raises a ValueError that names two of one name."""
    found: dict[str, str] = {}
    for file in files:
        other = found.setdefault(stem(file), file)
        if other != file:
            raise ValueError(
                f"{two} are named {stem(file)}: {Path(other).name} and {Path(file).name}; "
                "expected one for each scan. Move the others to another folder"
            )
    return found


def match_by_name(scans: Sequence[str], images: Sequence[str]) -> list[str | None]:
    """The image of each scan: the one of the same name without ending."""
    by_stem = _by_stem(images, "two images")
    found = [by_stem.get(stem(scan)) for scan in scans]
    if not any(found) and len(scans) == len(images) == 1:
        return [images[0]]
    if not any(found):
        raise ValueError(
            f"no image has the name of a scan: scans {_few(scans)}; images {_few(images)}. Set "
            'match to "index" or "time"'
        )
    return found


def match_by_index(scans: Sequence[str], images: Sequence[str]) -> list[str | None]:
    """The image of each scan: the one at the same place in the order."""
    if len(scans) != len(images):
        raise ValueError(
            f'match "index" needs as many images as scans, got {len(images)} images and '
            f"{len(scans)} scans"
        )
    return list(images)


def match_by_time(
    times: Sequence[int], images: Sequence[str], image_times: Sequence[int], max_gap: float
) -> list[str | None]:
    """The image of each scan: the nearest in time, at most `max_gap` seconds away."""
    order = sorted(range(len(images)), key=image_times.__getitem__)
    ordered = [image_times[number] for number in order]
    found: list[str | None] = []
    for time in times:
        best = nearest_in_time(ordered, time)
        is_near = abs(ordered[best] - time) <= 1e6 * max_gap
        found.append(images[order[best]] if is_near else None)
    if not any(found):
        raise ValueError(
            f"no image was taken within {max_gap} s of a scan: scans from {times[0] / 1e6:.3f} to "
            f"{times[-1] / 1e6:.3f} s, images from {ordered[0] / 1e6:.3f} to "
            f"{ordered[-1] / 1e6:.3f} s. Is the time_unit right?"
        )
    return found


def _few(files: Sequence[str]) -> str:
    return ", ".join(stem(file) for file in files[:_FEW]) + ", ..." * (len(files) > _FEW)


def poses_of_scans(file: Path, count: int) -> Float[Tensor, "S 4 4"]:
    """Read T_global_lidar of every scan: 12 numbers per line, its first three rows.

    Raises:
        OSError: the file cannot be read.
        ValueError: a line has other content, or the number of lines is another one.
    """
    rows = read_poses(file)
    if len(rows) != count:
        raise ValueError(f"{file}: {len(rows)} poses for {count} scans; expected one per line")
    poses = [
        rigid_from_row(row, f"{file}: pose {number}: the first three rows of T_global_lidar")
        for number, row in enumerate(rows, 1)
    ]
    return torch.stack(poses)


def label_files(scans: Sequence[str], files: Sequence[str]) -> Mapping[str, str]:
    """The label file, of the same name without ending, of each scan that has one."""
    by_stem = _by_stem(files, "labels.files: two label files")
    found = {scan: by_stem[stem(scan)] for scan in scans if stem(scan) in by_stem}
    if not found and len(scans) == len(files) == 1:
        return {scans[0]: files[0]}
    if not found:
        raise ValueError(
            f"labels.files: no label file has the name of a scan: scans {_few(scans)}; label files "
            f"{_few(files)}"
        )
    return found
