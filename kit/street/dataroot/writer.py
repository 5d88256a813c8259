"""Writer of a street in the nuScenes schema, with lidarseg labels.

Keyframes are written one by one, each with a file of its annotations. The tables are written last,
from these files. A folder without tables is therefore incomplete, and the same call completes it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from kit.data.classes import CATEGORIES, NUSCENES
from kit.data.keyframe import Keyframe
from kit.store import files as store
from kit.store.images import jpeg_bytes, png_bytes
from kit.store.progress import progress_bar
from kit.street.dataroot.tables import (
    LIDAR,
    VERSION,
    annotations_of,
    label_file,
    make_tables,
    sample_data_of,
    scenes_of,
)
from kit.street.dataset import Street
from kit.street.render.moment import KEYFRAME_INTERVAL, MAP_ORIGIN, Moment

STATE = "street"  # folder beside those of the schema: settings, annotations of written keyframes
JPEG_QUALITY = 95
PIXEL, MARGIN = 0.1, 60.0  # of maps, metres; the devkit assumes 0.1 m


def write_dataroot(street: Street, folder: str | Path) -> None:
    """Write a street to a folder in the nuScenes schema; existing files are kept.

    There are keyframes only, no sweeps and no radar. Objects without lidar points have no box in
    that keyframe. The folder `street/` beside those of the schema allows an interrupted run to be
    resumed by the same call.

    Args:
        street: its keyframes are rendered through the kit's cache.
        folder: new, empty, or started by a call with the same street.

    Raises:
        ValueError: the folder contains other files, or another street.
        OSError: the folder cannot be written.

    Source: the nuScenes schema, https://www.nuscenes.org/nuscenes#data-format, and the files that
        nuscenes-devkit 1.2 needs to load a root.
    """
    root = Path(folder).expanduser()
    _prepare_folder(root, street)
    missing = [index for index in range(len(street)) if not _is_complete(street, root, index)]
    street.prepare(missing)
    for index in progress_bar(missing, "writing keyframes", unit="keyframe", disable=not missing):
        _write_keyframe(street, root, index)
    annotations = [
        store.read_json(_annotation_file(street, root, index)) for index in range(len(street))
    ]
    tables = make_tables(street, annotations)
    for indices, row in zip(scenes_of(street).values(), tables["map"], strict=True):
        if not (root / row["filename"]).exists():
            drawing = draw_map([street.moments[index] for index in indices])
            store.write_bytes(root / row["filename"], png_bytes(np.asarray(drawing)))
    for name, rows in tables.items():
        store.write_json(root / VERSION / f"{name}.json", rows)
    print(_summary(root, {name: len(rows) for name, rows in tables.items()}, len(missing)))


def _summary(root: Path, count: dict[str, int], num_new: int) -> str:
    """Text for the end of a run: counts, and how to open the folder."""
    scenes = f"{count['scene']} scene{'s' * (count['scene'] != 1)}"
    return (
        f"{root}: {count['sample']} keyframes ({num_new} new) in {scenes}, "
        f"{count['sample_data'] - count['sample']} images, {count['sample_annotation']} boxes\n"
        f'open it with  kit.open_dataset("{root}")\n'
        f'or            nuscenes.nuscenes.NuScenes("{VERSION}", "{root}")'
    )


def _prepare_folder(root: Path, street: Street) -> None:
    """Check that the folder is empty or contains this street, and write the settings to it."""
    settings_file = root / STATE / "settings.json"
    if root.exists() and not root.is_dir():
        raise ValueError(f"{root}: expected a folder, this is a file. Choose another path")
    if root.exists() and not settings_file.exists():
        entries = (*root.iterdir(), *(root / STATE).glob("*"))
        found = sorted(entry.name for entry in entries if entry.suffix != store.PART)
        found = [name for name in found if name != STATE]
        if found:
            raise ValueError(
                f"{root}: contains {', '.join(found[:5])}, which is no street of the kit. "
                "Choose a new or an empty folder"
            )
    settings = {"street": repr(street), "content": street.content()}
    if not settings_file.exists():
        store.write_json(settings_file, settings)
    elif (there := store.read_json(settings_file)) != settings:
        raise ValueError(
            f"{root}: contains a street of other settings, or of another version of the kit: "
            f"{' '.join(there['street'].split())}. Choose another folder, or delete this one"
        )


def _annotation_file(street: Street, root: Path, index: int) -> Path:
    """The file with the rows of sample_annotation of a keyframe."""
    return root / STATE / f"{street.tokens[index]}.json"


def _is_complete(street: Street, root: Path, index: int) -> bool:
    """Return whether all files of a keyframe exist; files are written atomically."""
    rows = sample_data_of(street, index)
    files = [label_file(rows[LIDAR]["token"]), *(row["filename"] for row in rows.values())]
    return all((root / file).exists() for file in (*files, _annotation_file(street, root, index)))


def _write_keyframe(street: Street, root: Path, index: int) -> None:
    """Write the scan, labels, images and annotations of a keyframe."""
    keyframe, rows = street[index], sample_data_of(street, index)
    rings = beam_of_point(keyframe.points, street.rig.lidar.elevations)
    scan = np.column_stack([keyframe.points, keyframe.intensity, rings]).astype("<f4")  # (N, 5)
    store.write_bytes(root / rows[LIDAR]["filename"], scan.tobytes())
    store.write_bytes(root / label_file(rows[LIDAR]["token"]), raw_labels(keyframe).tobytes())
    for name, camera in keyframe.cameras.items():
        image = jpeg_bytes(camera.pixels(), JPEG_QUALITY)
        store.write_bytes(root / rows[name]["filename"], image)
    store.write_json(_annotation_file(street, root, index), annotations_of(street, keyframe))


def raw_labels(keyframe: Keyframe) -> UInt8[np.ndarray, " N"]:
    """Raw lidarseg ids of the points: of the object's category; for scenery, of its class.

    Args:
        keyframe: of a street, with labels and exact annotations.
    """
    scenery = torch.tensor([NUSCENES.class_of_raw.index(label) for label in range(len(NUSCENES))])
    category = torch.tensor([CATEGORIES.index(box.category) for box in keyframe.boxes]).long()
    raw, objects = scenery[keyframe.labels], keyframe.annotations.object_of_point
    raw[objects >= 0] = category[objects[objects >= 0]]
    return raw.numpy().astype(np.uint8)


def beam_of_point(
    points: Float[Tensor, "N 3"], elevations: Sequence[float]
) -> Int[np.ndarray, " N"]:
    """Estimate the beam of each point from its elevation; 0 is the lowest beam.

    The car moves about 0.5 m during a rotation, and all points are in the frame of its end. For
    points within a few metres the result may therefore be an adjacent beam.

    Args:
        points: lidar frame, metres.
        elevations: angle of each beam above the horizon, degrees, in any order.
    """
    x, y, z = points.double().numpy().T
    steps = np.sort(np.asarray(elevations, float))
    return np.searchsorted((steps[1:] + steps[:-1]) / 2, np.degrees(np.arctan2(z, np.hypot(x, y))))


def draw_map(moments: Sequence[Moment]) -> Image.Image:
    """Draw the road of a scene, white on black, without side roads.

    The origin of the global frame is in the lower left corner, and a pixel is 0.1 m. The map covers
    60 m around the path of the car.

    Args:
        moments: of one scene, in order of time.
    """
    scene = moments[0].draw_scene()
    end = scene.speed * KEYFRAME_INTERVAL * moments[-1].keyframe
    along = np.arange(-MARGIN, end + MARGIN, 1.0)
    edges = [np.stack(scene.pose(along, side * scene.half)[:2], 1) for side in (-1, 1)]
    road = np.concatenate([edges[0], edges[1][::-1]]) + MAP_ORIGIN[:2]  # (P, 2) global, metres
    width, height = np.ceil((road.max(0) + MARGIN) / PIXEL).astype(int).tolist()
    drawing = Image.new("L", (width, height))
    corners = [(x / PIXEL, height - y / PIXEL) for x, y in road.tolist()]
    ImageDraw.Draw(drawing).polygon(corners, fill=255)
    return drawing
