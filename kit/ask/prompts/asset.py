"""What the words of the simulated street look like to a teacher.

A thing of the catalogue is rendered alone, from all sides, on asphalt and on an empty street, and
cut out of whole street pictures where it happens to stand, by the simulation's own knowledge. What
cannot stand alone, the road for example, is only cut out. Nothing of a recording is used.
"""

import re
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from kit.ask.prompts.image import dense
from kit.data.classes import NUSCENES
from kit.data.keyframe import Keyframe
from kit.features.linear import draw
from kit.store import FeatureCache
from kit.street.assets.catalogue import ASSETS, make
from kit.street.assets.colours import COLOURS
from kit.street.dataset import Street
from kit.street.render.portraits import portraits
from kit.teacher.teacher import Teacher

# What is cut out of street pictures, and the class of the benchmark it is.
SCENERY = {
    "road": "driveable_surface",
    "sidewalk": "sidewalk",
    "grass": "terrain",
    "vegetation": "vegetation",
    "building": "manmade",
}
SAME = {
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
STREET_SEED = 1000  # streets that are looked at for words and for nothing else
STREET_SCENES = 5
VIEWS, TILE = 8, (224, 224)  # two rows of four pictures fill one image of 448x896
SEEDS = 2  # shapes and colours a word is drawn in, on each background
MOST = 300  # places kept of one class in one street picture
MOST_ALONE = 1500  # places of a thing alone, and as many of it amid a street
MOST_AROUND = 3000
SKY = 255


def all_words() -> tuple[str, ...]:
    """Every word there is; many things also in a colour, e.g. "red car"."""
    return (*ASSETS, *SCENERY)


def known(text: str) -> str | None:
    """The word of the street that a text means, "a red car" for example; None if there is none."""
    words = re.sub(r"\s+", " ", text.strip().lower().replace("_", " "))
    words = re.sub(r"^(a|an|the|some) ", "", words)
    for word in dict.fromkeys((words, words.removesuffix("s"), re.sub("ses$", "s", words))):
        word = SAME.get(word, word)
        if word in SCENERY or _is_thing(word):
            return word
    return None


def _is_thing(word: str) -> bool:
    try:
        make(word, np.random.default_rng(0))
    except ValueError:
        return False
    return True


def asset_features(
    teacher: Teacher, word: str, cache: FeatureCache, seed: int = 0
) -> tuple[Float[Tensor, "P D"], Float[Tensor, "M D"], Float[Tensor, "B D"]]:
    """Unit features of a word's thing, of other classes on other streets, and of what stood around.

    Raises:
        ValueError: no such word; lists what there is.
    """
    meant = known(word)
    if meant is None:
        raise ValueError(
            f"there is no {word!r} on the street. There are: {', '.join(all_words())}; many of "
            f"them in a colour: {', '.join(COLOURS)}"
        )
    street = street_features(teacher, cache)
    label = NUSCENES.names.index(_class_of(meant))
    others = street["feat"][street["labels"] != label]
    if meant in SCENERY:
        return street["feat"][street["labels"] == label], others, others[:0]

    def compute() -> dict[str, Tensor]:
        parts = [_tile_features(teacher, *tile) for tile in _tiles(meant, seed)]
        inside, around = (torch.cat(column) for column in zip(*parts, strict=True))
        return {"inside": inside.half(), "around": draw(around, MOST_AROUND).half()}

    key = f"words {teacher.fingerprint} {meant} {seed} {VIEWS} {TILE} {SEEDS}"
    alone = cache.get_or_compute(key, compute)
    inside = alone["inside"].float()
    if meant in ASSETS:  # without a colour of its own
        amid = street["feat"][street["kinds"] == tuple(ASSETS).index(meant)]
        if len(amid):
            inside = torch.cat([draw(inside, MOST_ALONE), draw(amid, MOST_ALONE)])
    return inside, others, alone["around"].float()


def street_features(teacher: Teacher, cache: FeatureCache) -> dict[str, Tensor]:
    """Places in street pictures and what each shows.

    Returns:
        feat: (P, D) of unit length. labels: (P,) class, SKY for the sky. kinds: (P,) number of the
        thing in the catalogue, -1 for scenery.
    """
    street = Street(STREET_SCENES, 1, teacher.image_size, STREET_SEED)

    def compute() -> dict[str, Tensor]:
        street.prepare()
        keyframes = (street[index] for index in range(len(street)))
        parts = [_picture(teacher, k, name) for k in keyframes for name in k.cameras]
        feat, labels, kinds = (torch.cat(column) for column in zip(*parts, strict=True))
        return {"feat": feat.half(), "labels": labels, "kinds": kinds}

    key = f"street words {teacher.fingerprint} {street.content()} {MOST}"
    stored = cache.get_or_compute(key, compute)
    return {**stored, "feat": stored["feat"].float()}


def _picture(teacher: Teacher, keyframe: Keyframe, name: str) -> tuple[Tensor, Tensor, Tensor]:
    feat, places = dense(teacher, keyframe.cameras[name].resized(teacher.image_size))
    truth = keyframe.truth.pixels(name)
    u, v = places.T.numpy()
    labels = torch.from_numpy(truth.labels[v, u]).long()
    kind_of_box = torch.tensor([*(_kind(box.name) for box in keyframe.boxes), -1])
    kinds = kind_of_box[torch.from_numpy(truth.objects[v, u]).long()]
    order = torch.randperm(len(labels), generator=Generator().manual_seed(0))
    rows = torch.cat([order[labels[order] == label][:MOST] for label in labels.unique()])
    return feat[rows], labels[rows], kinds[rows]


def _kind(name: str) -> int:
    """Number in the catalogue of "red car" or "person in red"."""
    first, _, rest = name.partition(" in ")[0].partition(" ")
    kind = rest if first in COLOURS else name.partition(" in ")[0]
    return list(ASSETS).index(kind) if kind in ASSETS else -1


def _class_of(word: str) -> str:
    return SCENERY.get(word) or make(word, np.random.default_rng(0))[1].label


def _tiles(word: str, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Images (3, 448, 896) of eight views each, and where in them the thing is."""
    for background in ("plain", "street"):
        for number in range(SEEDS):
            drawn = seed * SEEDS + number
            views = portraits(word, VIEWS, TILE, background, drawn)
            columns = VIEWS // 2
            images = views.images.unflatten(0, (2, columns)).permute(2, 0, 3, 1, 4)
            masks = views.masks.unflatten(0, (2, columns)).permute(0, 2, 1, 3)
            size = (2 * TILE[0], columns * TILE[1])
            yield images.reshape(3, *size), masks.reshape(size)


def _tile_features(
    teacher: Teacher, image: Float[Tensor, "3 H W"], mask: Bool[Tensor, "H W"]
) -> tuple[Tensor, Tensor]:
    feat, places = dense(teacher, image)
    scale = torch.tensor(mask.shape).flip(0) / torch.tensor(teacher.image_size).flip(0)
    u, v = (places * scale).long().T
    inside = mask[v, u]
    return feat[inside], feat[~inside]
