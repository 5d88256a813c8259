"""Feature maps of a whole data set in a few large files, computed once, by any number of processes.

    folder/plan.json            teacher, data set, keyframes of each shard
    folder/shard-00000.safetensors (+ .sha256)   float16 maps of some keyframes
    folder/manifest.json        size and sha256 of every shard, when all are there

A shard is complete or absent, so a command that was killed goes on where it was. A shard that is
missing or damaged is made again.
"""

import shutil
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import safe_open
from torch import Tensor

from kit import store
from kit.data.keyframe import Dataset
from kit.store.files import locked_folder, sidecar_of
from kit.store.serialisation import parse_checksum_lines
from kit.teacher.camera_maps import camera_maps
from kit.teacher.feature_maps import FeatureMaps
from kit.teacher.teacher import Teacher

PLAN, MANIFEST = "plan.json", "manifest.json"
KEYFRAMES_PER_SHARD = 50


@dataclass(frozen=True)
class Plan:
    """The assignment of keyframes to shards.

    Attributes:
        folder: of the shards.
        fingerprint: of the teacher.
        tokens: of all keyframes.
        per_shard: keyframes in a shard.
    """

    folder: Path
    fingerprint: str
    tokens: tuple[str, ...]
    per_shard: int

    def __len__(self) -> int:
        return -(-len(self.tokens) // self.per_shard)

    def keyframes(self, shard: int) -> range:
        """Indices of the keyframes in a shard."""
        first = shard * self.per_shard
        return range(first, min(first + self.per_shard, len(self.tokens)))

    def file(self, shard: int) -> Path:
        """The file of a shard."""
        return self.folder / f"shard-{shard:05}.safetensors"

    def made_from(self, shard: int) -> dict:
        """The teacher and keyframes of a shard, for its header."""
        tokens = [self.tokens[index] for index in self.keyframes(shard)]
        return {"teacher": self.fingerprint, "tokens": tokens}


def make_plan(
    dataset: Dataset, teacher: Teacher, folder: str | Path, per_shard: int = KEYFRAMES_PER_SHARD
) -> Plan:
    """Write the plan of a folder, or read the one that is there.

    Raises:
        ValueError: the folder holds maps of another teacher or of other keyframes.
    """
    folder = Path(folder)
    plan = Plan(folder, teacher.fingerprint, tuple(dataset.tokens), per_shard)
    if (folder / PLAN).exists():
        return _there(plan)
    content = {"fingerprint": plan.fingerprint, "tokens": plan.tokens, "per_shard": per_shard}
    content |= {"teacher": teacher.name, "image_size": teacher.image_size, "data": dataset.name}
    store.check_place(folder / PLAN)
    with locked_folder(folder):  # several ranks start at once: one writes, the others compare
        if (folder / PLAN).exists():
            return _there(plan)
        store.write_json(folder / PLAN, content)
    return plan


def _there(plan: Plan) -> Plan:
    """The plan in the same folder, if it is of the same maps."""
    there = read_plan(plan.folder)
    if (there.fingerprint, there.tokens) != (plan.fingerprint, plan.tokens):
        what = "another teacher" if there.tokens == plan.tokens else "other keyframes"
        raise ValueError(f"{plan.folder} holds the maps of {what}; choose another folder")
    return there


def read_plan(folder: str | Path) -> Plan:
    """Read the plan of a folder.

    Raises:
        FileNotFoundError: the folder holds no maps.
        ValueError: the plan is damaged.
    """
    path = Path(folder) / PLAN
    content = store.read_json(path)
    try:
        tokens, per_shard = tuple(content["tokens"]), int(content["per_shard"])
        return Plan(Path(folder), str(content["fingerprint"]), tokens, max(1, per_shard))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not a plan of `teacher-features` ({error})") from error


def announced_bytes(dataset: Dataset, teacher: Teacher) -> int:
    """The size of all maps, estimated from the first keyframe that has cameras."""
    for index in range(len(dataset)):
        cameras = list(dataset[index].cameras.values())
        if cameras:
            (maps,) = camera_maps(teacher, cameras[:1])
            one = sum(each.nbytes for each in maps.half().maps)
            return one * len(cameras) * len(dataset)
    raise ValueError(f"{dataset.name}: no keyframe has a camera, so there are no images")


def check_space(folder: Path, size: int) -> str:
    """A sentence about the announced and the free space.

    Raises:
        OSError: there is not enough free space.
    """
    store.check_place(folder / PLAN)
    free = shutil.disk_usage(folder).free
    there = sum(file.stat().st_size for file in folder.glob("shard-*.safetensors"))
    if size - there > free:
        raise OSError(
            f"{folder}: about {size / 1e9:.2f} GB are needed ({there / 1e9:.2f} GB are there), "
            f"{free / 1e9:.2f} GB are free. Free some space, choose another disk or a smaller "
            "image size; without stored maps the teacher computes them in every step"
        )
    return f"about {size / 1e9:.2f} GB in {folder}, {free / 1e9:.2f} GB are free"


def make_shard(plan: Plan, shard: int, dataset: Dataset, teacher: Teacher) -> bool:
    """Compute one shard, unless a complete and undamaged one is there; whether it was computed."""
    file = plan.file(shard)
    if _is_sound(plan, shard):
        return False
    tensors, keys = {}, []
    for index in plan.keyframes(shard):
        cameras = list(dataset[index].cameras.values())
        for camera, maps in zip(cameras, camera_maps(teacher, cameras), strict=True):
            key = camera.fingerprint()
            if key not in keys:
                tensors |= {f"{key}.{n}": m.cpu() for n, m in enumerate(maps.half().maps)}
                keys.append(key)
    store.save_tensors(file, tensors, {**plan.made_from(shard), "keys": keys})
    return True


def _is_sound(plan: Plan, shard: int) -> bool:
    """Whether a shard is there, undamaged, and of this plan."""
    try:
        _, meta = store.load_tensors(plan.file(shard), require_checksum=True)
    except (OSError, ValueError):
        return False
    return {name: meta.get(name) for name in ("teacher", "tokens")} == plan.made_from(shard)


def write_manifest(plan: Plan) -> bool:
    """Write size and sha256 of all shards, if all are there; whether they are."""
    rows = []
    for shard in range(len(plan)):
        file = plan.file(shard)
        if not file.exists() or not sidecar_of(file).exists():  # another process writes it
            return False
        (digest, *_) = parse_checksum_lines(sidecar_of(file).read_bytes(), file.name)
        rows.append({"file": file.name, "bytes": file.stat().st_size, "sha256": digest})
    store.write_json(plan.folder / MANIFEST, {"teacher": plan.fingerprint, "shards": rows})
    return True


class StoredMaps(store.FeatureCache):
    """Reads the maps of a folder; give it in place of a cache, e.g. `kit.distill(cache=...)`.

    Only the maps that are asked for are read from a shard. A shard is compared with its sha256 when
    it is first used. If it is missing or damaged, it is made again where the data set and the
    teacher are given; otherwise its maps are computed when they are needed.

    Args:
        folder: written by `python -m kit teacher-features`.
        dataset: that the maps were computed from.
        teacher: that computed them.
        cache: folder for everything else that is kept, such as superpixels; None: the usual one.

    Raises:
        FileNotFoundError: the folder holds no maps.
        ValueError: it holds those of another teacher or of other keyframes.
    """

    def __init__(
        self,
        folder: str | Path,
        dataset: Dataset | None = None,
        teacher: Teacher | None = None,
        cache: str | Path | None = None,
    ):
        super().__init__(cache)
        self.plan = read_plan(folder)
        self._dataset, self._teacher = dataset, teacher
        if teacher is not None and dataset is not None:
            make_plan(dataset, teacher, folder)  # compares
        self._checked: set[int] = set()
        self._shard_of: dict[str, int] = {}
        for shard in range(len(self.plan)):
            self._index(shard)

    def __getstate__(self) -> dict:  # worker processes read no maps
        return {**vars(self), "_dataset": None, "_teacher": None}

    def get(self, key: str) -> dict[str, Tensor] | None:
        """The maps of an image in float16, or another entry from the cache; None: neither."""
        fingerprint, _, image = key.partition("/")
        if fingerprint != self.plan.fingerprint:
            return super().get(key)
        shard = self._shard_of.get(image)
        if shard is None or not self._sound(shard):
            return super().get(key)
        with safe_open(self.plan.file(shard), framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(f"{image}.")]  # noqa: SIM118
            return {name.rpartition(".")[2]: file.get_tensor(name) for name in names}

    def has(self, key: str) -> bool:
        """Whether a shard lists the image, or there is another entry; not checked for damage."""
        fingerprint, _, image = key.partition("/")
        listed = fingerprint == self.plan.fingerprint and image in self._shard_of
        return listed or super().has(key)

    def stream(self) -> Iterator[tuple[str, FeatureMaps]]:
        """All images' maps in the order of the shards, by the fingerprint of the image."""
        size = store.read_json(self.plan.folder / PLAN)["image_size"]
        for image in list(self._shard_of):
            found = self.get(f"{self.plan.fingerprint}/{image}")
            if found:
                layers = tuple(found[str(number)] for number in range(len(found)))
                yield image, FeatureMaps(layers, tuple(size))

    def _index(self, shard: int) -> None:
        """Read which images a shard holds; an unreadable one is made again if possible."""
        keys = _keys_of(self.plan.file(shard))
        if not keys and self._remake(shard):
            keys = _keys_of(self.plan.file(shard))
        self._shard_of |= dict.fromkeys(keys, shard)

    def _sound(self, shard: int) -> bool:
        if shard in self._checked:
            return True
        if _is_sound(self.plan, shard) or self._remake(shard):
            self._checked.add(shard)
            return True
        return False

    def _remake(self, shard: int) -> bool:
        file = self.plan.file(shard)
        if self._dataset is None or self._teacher is None:
            warnings.warn(
                f"{file} is missing or damaged: its maps are computed when they are needed. "
                "python -m kit teacher-features makes it again",
                stacklevel=4,
            )
            return False
        print(f"{file} is missing or damaged, it is made again")
        return make_shard(self.plan, shard, self._dataset, self._teacher)


def _keys_of(file: Path) -> Sequence[str]:
    """The images in a shard; none if its header cannot be read."""
    try:
        with safe_open(file, framework="pt") as opened:
            return list(dict.fromkeys(n.rpartition(".")[0] for n in opened.keys()))  # noqa: SIM118
    except Exception:  # what a damaged header raises is not documented
        return []
