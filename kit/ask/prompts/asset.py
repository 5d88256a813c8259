"""Asset prompts: a teacher's features of the simulated street's assets, by name.

An asset of the catalogue is rendered alone, from all sides, on asphalt and on an empty street. It
is also cut out of images of whole streets, with the simulation's exact annotations. Scenery that
cannot stand alone, such as the road, is only cut out. No recording is used.
"""

import re
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from kit.ask.prompts.image import sample_image
from kit.data.classes import NUSCENES
from kit.data.keyframe import Keyframe
from kit.features.linear import draw
from kit.store import FeatureCache
from kit.street.assets.catalogue import ASSETS, make
from kit.street.assets.colours import COLOURS
from kit.street.dataset import Street
from kit.street.render.portraits import portraits
from kit.teacher.teacher import Teacher

# Class by name, for scenery.
SCENERY = {
    "road": "driveable_surface",
    "sidewalk": "sidewalk",
    "grass": "terrain",
    "vegetation": "vegetation",
    "building": "manmade",
}
SYNONYMS = {
    "pedestrian": "person",
    "pavement": "sidewalk",
    "street": "road",
    "driveable surface": "road",
    "terrain": "grass",
    "manmade": "building",
    "lorry": "truck",
    "cone": "traffic cone",
    "bike": "bicycle",
    "plant": "vegetation",
}
STREET_SEED = 1000  # of streets that are used for asset prompts and for nothing else
STREET_SCENES = 5
VIEWS, TILE = 8, (224, 224)  # two rows of four views make one image of 448x896
VARIANTS = 2  # shapes and colours of an asset, on each background
# Most samples that are kept:
MAX_OF_CLASS = 300  # of one class in one image of a street
MAX_OF_ASSET = 1500  # of an asset alone, and as many of it on streets
MAX_AROUND = 3000  # around an asset that is rendered alone
SKY = 255


def asset_names() -> tuple[str, ...]:
    """The name of every asset and scenery; many assets also in a colour, e.g. "red car"."""
    return (*ASSETS, *SCENERY)


def find_asset(text: str) -> str | None:
    """The name that a text such as "a red car" or "pedestrians" stands for, or None."""
    text = re.sub(r"\s+", " ", text.strip().lower().replace("_", " "))
    text = re.sub(r"^(a|an|the|some) ", "", text)
    for name in dict.fromkeys((text, text.removesuffix("s"), re.sub("ses$", "s", text))):
        name = SYNONYMS.get(name, name)
        if name in SCENERY or _is_asset(name):
            return name
    return None


def _is_asset(name: str) -> bool:
    try:
        make(name, np.random.default_rng(0))
    except ValueError:
        return False
    return True


def asset_features(
    teacher: Teacher, text: str, cache: FeatureCache, seed: int = 0
) -> tuple[Float[Tensor, "P D"], Float[Tensor, "M D"], Float[Tensor, "B D"]]:
    """Unit features of an asset, of the other classes on streets, and of its surroundings.

    Args:
        text: see `find_asset`.
        cache: keeps the features.
        seed: of the asset's shapes, colours and backgrounds.

    Raises:
        ValueError: no such asset; lists all names.
    """
    name = find_asset(text)
    if name is None:
        raise ValueError(
            f"the street has no asset {text!r}. It has: {', '.join(asset_names())}; many of them "
            f"in a colour: {', '.join(COLOURS)}"
        )
    street = street_features(teacher, cache)
    label = NUSCENES.names.index(_class_of(name))
    others = street["feat"][street["labels"] != label]
    if name in SCENERY:
        return street["feat"][street["labels"] == label], others, others[:0]

    def compute() -> dict[str, Tensor]:
        parts = [_features_of_tiles(teacher, *tiles) for tiles in _tiles(name, seed)]
        inside, around = (torch.cat(column) for column in zip(*parts, strict=True))
        return {"inside": inside.half(), "around": draw(around, MAX_AROUND).half()}

    # The keys of both caches are those of the first version, so that stored features are found.
    key = f"words {teacher.fingerprint} {name} {seed} {VIEWS} {TILE} {VARIANTS}"
    alone = cache.get_or_compute(key, compute)
    inside = alone["inside"].float()
    if name in ASSETS:  # streets show assets in colours of their own
        on_street = street["feat"][street["kinds"] == tuple(ASSETS).index(name)]
        if len(on_street):
            inside = torch.cat([draw(inside, MAX_OF_ASSET), draw(on_street, MAX_OF_ASSET)])
    return inside, others, alone["around"].float()


def street_features(teacher: Teacher, cache: FeatureCache) -> dict[str, Tensor]:
    """Samples of images of streets, and what each of them shows.

    Returns:
        feat: (P, D) unit features. labels: (P,) class, `SKY` for the sky. kinds: (P,) number of the
        asset in the catalogue, -1 for scenery.
    """
    street = Street(STREET_SCENES, 1, teacher.image_size, STREET_SEED)

    def compute() -> dict[str, Tensor]:
        street.prepare()
        keyframes = (street[index] for index in range(len(street)))
        parts = [_sample_camera(teacher, k, name) for k in keyframes for name in k.cameras]
        feat, labels, kinds = (torch.cat(column) for column in zip(*parts, strict=True))
        return {"feat": feat.half(), "labels": labels, "kinds": kinds}

    key = f"street words {teacher.fingerprint} {street.content()} {MAX_OF_CLASS}"
    stored = cache.get_or_compute(key, compute)
    return {**stored, "feat": stored["feat"].float()}


def _sample_camera(
    teacher: Teacher, keyframe: Keyframe, name: str
) -> tuple[Tensor, Tensor, Tensor]:
    feat, uv = sample_image(teacher, keyframe.cameras[name].resized(teacher.image_size))
    annotations = keyframe.annotations.pixels(name)
    u, v = uv.T.numpy()
    labels = torch.from_numpy(annotations.labels[v, u]).long()
    kind_of_box = torch.tensor([*(_kind(box.name) for box in keyframe.boxes), -1])
    kinds = kind_of_box[torch.from_numpy(annotations.objects[v, u]).long()]
    order = torch.randperm(len(labels), generator=Generator().manual_seed(0))
    kept = torch.cat([order[labels[order] == label][:MAX_OF_CLASS] for label in labels.unique()])
    return feat[kept], labels[kept], kinds[kept]


def _kind(name: str) -> int:
    """Number in the catalogue of "red car" or "person in red"; -1 if it is not in it."""
    first, _, rest = name.partition(" in ")[0].partition(" ")
    kind = rest if first in COLOURS else name.partition(" in ")[0]
    return list(ASSETS).index(kind) if kind in ASSETS else -1


def _class_of(name: str) -> str:
    return SCENERY.get(name) or make(name, np.random.default_rng(0))[1].label


def _tiles(name: str, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Images (3, 448, 896) of eight views each, and masks (448, 896) of the asset."""
    for background in ("plain", "street"):
        for number in range(VARIANTS):
            views = portraits(name, VIEWS, TILE, background, seed * VARIANTS + number)
            columns = VIEWS // 2
            images = views.images.unflatten(0, (2, columns)).permute(2, 0, 3, 1, 4)
            masks = views.masks.unflatten(0, (2, columns)).permute(0, 2, 1, 3)
            size = (2 * TILE[0], columns * TILE[1])
            yield images.reshape(3, *size), masks.reshape(size)


def _features_of_tiles(
    teacher: Teacher, image: Float[Tensor, "3 H W"], mask: Bool[Tensor, "H W"]
) -> tuple[Tensor, Tensor]:
    """Unit features inside and outside of the mask."""
    feat, uv = sample_image(teacher, image)
    scale = torch.tensor(mask.shape).flip(0) / torch.tensor(teacher.image_size).flip(0)
    u, v = (uv * scale).long().T
    inside = mask[v, u]
    return feat[inside], feat[~inside]
