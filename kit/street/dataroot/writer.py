"""A street as a nuScenes dataroot, lidarseg included: for nuscenes-devkit, and for the kit itself.

Keyframes are written one by one; the tables follow at the end, made from what was noted of each
keyframe. So a folder without tables was interrupted, and the same call goes on where it stopped.
"""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image, ImageDraw
from torch import Tensor
from tqdm.auto import tqdm

from kit.data.classes import CATEGORIES, NUSCENES
from kit.data.keyframe import Keyframe
from kit.store import files as store
from kit.street.dataroot.tables import (
    LIDAR,
    VERSION,
    annotations_of,
    label_file,
    make_tables,
    scenes_of,
    shots_of,
)
from kit.street.dataset import Street
from kit.street.render.moment import MAP_ORIGIN, SECONDS, Moment

NOTES = "street"  # folder beside the schema's: the settings, and the boxes of finished keyframes
JPEG_QUALITY = 95
PIXEL, MARGIN = 0.1, 60.0  # of maps, metres; the devkit takes 0.1 m for granted


def write_dataroot(street: Street, folder: str | Path) -> None:
    """Render a street into a folder in the nuScenes schema; what is there already is kept.

    Keyframes only, no sweeps and no radar; objects that no lidar point hit have no box at that
    moment. Beside the schema's folders there is `street/`, with which an interrupted run goes on.

    Args:
        street: what to write. Its keyframes go through the kit's cache.
        folder: new, empty, or begun by a call with the same street.

    Raises:
        ValueError: the folder holds something else, or another street; names it.
        OSError: it cannot be written.

    Source: the nuScenes schema, https://www.nuscenes.org/nuscenes#data-format, and what
        nuscenes-devkit 1.2 asks for when it loads a root.
    """
    root = Path(folder).expanduser()
    _claim(root, street)
    missing = [index for index in range(len(street)) if not _is_complete(street, root, index)]
    street.prepare(missing)
    for index in tqdm(missing, "writing keyframes", unit="keyframe", disable=not missing):
        _write_keyframe(street, root, index)
    notes = [store.read_json(_note_file(street, root, index)) for index in range(len(street))]
    tables = make_tables(street, notes)
    for indices, row in zip(scenes_of(street).values(), tables["map"], strict=True):
        if not (root / row["filename"]).exists():
            drawing = draw_map([street.moments[index] for index in indices])
            store.write_bytes(root / row["filename"], _encoded(drawing, "png"))
    for name, rows in tables.items():
        store.write_json(root / VERSION / f"{name}.json", rows)
    print(_closing_words(root, {name: len(rows) for name, rows in tables.items()}, len(missing)))


def _closing_words(root: Path, count: dict[str, int], num_new: int) -> str:
    scenes = f"{count['scene']} scene{'s' * (count['scene'] != 1)}"
    return (
        f"{root}: {count['sample']} keyframes ({num_new} new) in {scenes}, "
        f"{count['sample_data'] - count['sample']} images, {count['sample_annotation']} boxes\n"
        f'open it with  kit.open_dataset("{root}")\n'
        f'or            nuscenes.nuscenes.NuScenes("{VERSION}", "{root}")'
    )


def _claim(root: Path, street: Street) -> None:
    """Make sure that the folder is empty or holds this street, and leave a mark in it."""
    mark = root / NOTES / "settings.json"
    if root.exists() and not root.is_dir():
        raise ValueError(f"{root}: expected a folder, this is a file. Choose another place")
    if root.exists() and not mark.exists():
        entries = (*root.iterdir(), *(root / NOTES).glob("*"))
        found = sorted(entry.name for entry in entries if entry.suffix != store.PART)
        found = [name for name in found if name != NOTES]
        if found:
            raise ValueError(
                f"{root}: holds {', '.join(found[:5])}, not a street of the kit. "
                "Choose a new or an empty folder"
            )
    settings = {"street": repr(street), "content": street.content()}
    if not mark.exists():
        store.write_json(mark, settings)
    elif (there := store.read_json(mark)) != settings:
        raise ValueError(
            f"{root}: holds a street of other settings, or of another version of the kit: "
            f"{' '.join(there['street'].split())}. Choose another folder, or delete this one"
        )


def _note_file(street: Street, root: Path, index: int) -> Path:
    return root / NOTES / f"{street.tokens[index]}.json"


def _is_complete(street: Street, root: Path, index: int) -> bool:
    """Whether all files are there. Files appear whole or not at all, so that is enough."""
    shots = shots_of(street, index)
    files = [label_file(shots[LIDAR]["token"]), *(shot["filename"] for shot in shots.values())]
    return all((root / file).exists() for file in (*files, _note_file(street, root, index)))


def _write_keyframe(street: Street, root: Path, index: int) -> None:
    keyframe, shots = street[index], shots_of(street, index)
    rings = beams(keyframe.points, street.rig.lidar.elevations)
    scan = np.column_stack([keyframe.points, keyframe.intensity, rings]).astype("<f4")  # (N, 5)
    store.write_bytes(root / shots[LIDAR]["filename"], scan.tobytes())
    store.write_bytes(root / label_file(shots[LIDAR]["token"]), raw_labels(keyframe).tobytes())
    for name, camera in keyframe.cameras.items():
        image = _encoded(Image.fromarray(camera.pixels()), "jpeg", quality=JPEG_QUALITY)
        store.write_bytes(root / shots[name]["filename"], image)
    store.write_json(_note_file(street, root, index), annotations_of(street, keyframe))


def _encoded(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def raw_labels(keyframe: Keyframe) -> UInt8[np.ndarray, " N"]:
    """Raw lidarseg ids: of an object's category; for scenery, of the category its class is from.

    Args:
        keyframe: of a street: labelled, with its truth.
    """
    scenery = torch.tensor([NUSCENES.class_of_raw.index(label) for label in range(len(NUSCENES))])
    things = torch.tensor([CATEGORIES.index(box.category) for box in keyframe.boxes]).long()
    raw, objects = scenery[keyframe.labels], keyframe.annotations.object_of_point
    raw[objects >= 0] = things[objects[objects >= 0]]
    return raw.numpy().astype(np.uint8)


def beams(points: Float[Tensor, "N 3"], elevations: Sequence[float]) -> Int[np.ndarray, " N"]:
    """Which beam each point is from, 0 the lowest: the one of the nearest elevation.

    An estimate: the car moves during a turn, by half a metre or so, and all points are in the frame
    of the turn's end. Within a few metres a point may get a neighbour's number.

    Args:
        points: lidar frame, metres.
        elevations: degrees of each beam, in any order.
    """
    x, y, z = points.double().numpy().T
    steps = np.sort(np.asarray(elevations, float))
    return np.searchsorted((steps[1:] + steps[:-1]) / 2, np.degrees(np.arctan2(z, np.hypot(x, y))))


def draw_map(moments: Sequence[Moment]) -> Image.Image:
    """The road along a scene's way, white on black; side roads are left out.

    The global frame's origin is in the lower left corner, a pixel is 0.1 m, and 60 m around the way
    are inside.

    Args:
        moments: of one scene, in order of time.
    """
    scene = moments[0].layout()
    end = scene.speed * SECONDS * moments[-1].keyframe
    along = np.arange(-MARGIN, end + MARGIN, 1.0)
    edges = [np.stack(scene.pose(along, side * scene.half)[:2], 1) for side in (-1, 1)]
    road = np.concatenate([edges[0], edges[1][::-1]]) + MAP_ORIGIN[:2]  # (P, 2) global, metres
    width, height = np.ceil((road.max(0) + MARGIN) / PIXEL).astype(int).tolist()
    drawing = Image.new("L", (width, height))
    corners = [(x / PIXEL, height - y / PIXEL) for x, y in road.tolist()]
    ImageDraw.Draw(drawing).polygon(corners, fill=255)
    return drawing
