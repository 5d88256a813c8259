"""Students that others have published, by name: address, licence and download.

A file is downloaded once, converted, and kept in the cache. Nothing in it is executed.
"""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from torch.hub import download_url_to_file

from kit import store
from kit.data.class_maps import PANDASET, SEMANTIC_KITTI
from kit.data.classes import NUSCENES, ClassMap
from kit.student.published import import_checkpoint
from kit.student.scans import InputConfig

SECONDS = 20  # to wait for a server's answer
SCALR = "https://github.com/valeoai/ScaLR/releases/download"
SLIDR = "https://github.com/valeoai/SLidR/releases/download"
CLOSE, FAR = InputConfig(), InputConfig(fov=(128.0, 128.0, 8.0))
MIDDLE = InputConfig(fov=(96.0, 96.0, 8.0))
WAFFLE = "intensity normalised by the sensor's mean and deviation, x, y, z, range; voxels of 0.1 m"
CYLINDER = "raw intensity of one point in each voxel of 0.1 m, 1 degree, 0.1 m; all points"


@dataclass(frozen=True)
class Benchmark:
    """What a published score was measured on.

    Attributes:
        classes: of the head.
        keyframes: number of scored keyframes.
        scenes: first letters of the names of their scenes; None: the kit has other ones.
        words: the same for a reader.
    """

    classes: ClassMap
    keyframes: int | None
    scenes: str | None
    words: str


_PANDA = "ScaLR's validation scenes of PandaSet, {}, z shifted by -1.6 m, its intensity constants"
BENCHMARKS = {
    "nuscenes": Benchmark(NUSCENES, 6019, "scene-", "the 6,019 validation keyframes of nuScenes"),
    "kitti": Benchmark(
        SEMANTIC_KITTI, 4071, "08", "the 4,071 scans of SemanticKITTI's sequence 08"
    ),
    "panda64": Benchmark(PANDASET, None, None, _PANDA.format("Pandar64")),
    "pandagt": Benchmark(PANDASET, None, None, _PANDA.format("PandarGT")),
}


@dataclass(frozen=True)
class Release:
    """A published file.

    Attributes:
        url: of the file, from the README of its repository.
        layout: what the network reads, in words.
        activation: of a WaffleIron, which its file does not say.
        inputs: how scans are prepared; None: as `import_checkpoint` does by default.
        miou: mIoU in percent that its README gives for the classification head in it.
        benchmark: of the head, a name of `BENCHMARKS`.
        licence: of the repository.
        sha256: of the file; None: not known. The publishers give none, and the files could not be
            downloaded when this table was written. The digest is printed after a download.
    """

    url: str
    layout: str = WAFFLE
    activation: str | None = None
    inputs: InputConfig | None = CLOSE
    miou: float | None = None
    benchmark: str | None = None
    licence: str = "Apache-2.0"
    sha256: str | None = None

    @property
    def file(self) -> str:
        """Name of the file."""
        return urlsplit(self.url).path.rpartition("/")[2]


def _scalr(part: str, miou: float | None = None, inputs: InputConfig = CLOSE) -> Release:
    url = f"{SCALR}/v0.1.0/WI_768-DINOv2_ViT_L_14-NS_KI_PD-{part}.tar.gz"
    return Release(url, activation="relu", inputs=inputs, miou=miou, benchmark=_benchmark(part))


def _scalr_plus(part: str, miou: float | None = None, inputs: InputConfig = CLOSE) -> Release:
    url = f"{SCALR}/v0.2.0/WI_768-ScaLR_plus-{part}.tar.gz"
    return Release(url, activation="gelu", inputs=inputs, miou=miou, benchmark=_benchmark(part))


def _benchmark(part: str) -> str | None:
    return next((name for name in BENCHMARKS if f"-{name}" in part), None)


RELEASES: dict[str, Release] = {
    "scalr": _scalr("pretrained"),
    "scalr-probe-nuscenes": _scalr("linear_probing-nuscenes", 67.8),
    "scalr-probe-kitti": _scalr("linear_probing-kitti", 55.8),
    "scalr-probe-pandar64": _scalr("linear_probing-panda64", 37.9, FAR),
    "scalr-probe-pandargt": _scalr("linear_probing-pandagt", 34.5, FAR),
    "scalr-tuned-nuscenes": _scalr("finetuning-nuscenes-100p", 78.4),
    "scalr-tuned-kitti": _scalr("finetuning-kitti-100p", 65.8),
    "scalr-tuned-pandar64": _scalr("finetuning-panda64-100p", 48.3, FAR),
    "scalr-tuned-pandargt": _scalr("finetuning-pandagt-100p", 41.1, MIDDLE),
    "scalr-plus": _scalr_plus("pretrained"),
    "scalr-plus-probe-nuscenes": _scalr_plus("linear_probing-nuscenes", 70.4),
    "scalr-plus-probe-kitti": _scalr_plus("linear_probing-kitti", 61.0),
    "scalr-plus-probe-pandar64": _scalr_plus("linear_probing-panda64", 43.5, FAR),
    "scalr-plus-probe-pandargt": _scalr_plus("linear_probing-pandagt", 40.7, FAR),
    "scalr-plus-tuned-nuscenes-1": _scalr_plus("finetuning-nuscenes-1p", 54.1),
    "scalr-plus-tuned-nuscenes-10": _scalr_plus("finetuning-nuscenes-10p", 70.7),
    "scalr-plus-tuned-nuscenes": _scalr_plus("finetuning-nuscenes-100p", 78.4),
    "scalr-plus-tuned-kitti-1": _scalr_plus("finetuning-kitti-1p", 57.4),
    "scalr-plus-tuned-kitti": _scalr_plus("finetuning-kitti-100p", 65.2),
    "scalr-plus-tuned-pandar64": _scalr_plus("finetuning-panda64-100p", 50.7, FAR),
    "scalr-plus-tuned-pandargt": _scalr_plus("finetuning-pandagt-100p", 44.0, MIDDLE),
    "slidr": Release(f"{SLIDR}/v1.0/minkunet_slidr_1gpu.pt", CYLINDER, inputs=None),
}


def published_score(name: str, scenes: Sequence[str]) -> str | None:
    """The published mIoU in words, and whether it is of the keyframes that were scored here.

    Args:
        name: one of `RELEASES`.
        scenes: the scene of every keyframe that was scored.

    Returns:
        None if none was published.
    """
    release = RELEASES[name]
    if release.miou is None or release.benchmark is None:
        return None
    benchmark = BENCHMARKS[release.benchmark]
    same = benchmark.scenes is not None and len(scenes) == benchmark.keyframes
    same = same and all(scene.startswith(benchmark.scenes) for scene in scenes)
    line = f"published: {release.miou} % on {benchmark.words}"
    return line if same else f"{line}: another split or setting than here, so not comparable"


def released_file(name: str, folder: str | Path | None = None) -> Path:
    """The converted file of a published student: from the cache, else downloaded and converted.

    Its classification head, if it has one, lies beside it, see `kit.student.checkpoints`.

    Args:
        name: one of `RELEASES`.
        folder: of the files; None: "published" in the cache folder.

    Raises:
        ValueError: no such name; the file is not what its sha256 says, or no such checkpoint.
        FileNotFoundError: it could not be downloaded; lists the ways to it.
    """
    if name not in RELEASES:
        raise ValueError(f"no published student {name!r}; there are {', '.join(RELEASES)}")
    release = RELEASES[name]
    folder = store.default_cache_folder() / "published" if folder is None else Path(folder)
    converted, raw = folder / f"{name}.safetensors", folder / release.file
    if converted.exists():
        return converted
    downloaded = not raw.exists()
    if downloaded:
        _download(name, release, raw)
    digest = store.sha256_of(raw)
    if release.sha256 not in (None, digest):
        raise ValueError(
            f"{raw}: its sha256 is {digest}, expected {release.sha256}. Delete it, and try again"
        )
    print(f"{release.file}: sha256 {digest}, licence {release.licence}")
    classes = BENCHMARKS[release.benchmark].classes.names if release.benchmark else None
    import_checkpoint(
        raw, converted, activation=release.activation, inputs=release.inputs, classes=classes
    )
    if downloaded:
        raw.unlink()
    return converted


def _download(name: str, release: Release, raw: Path) -> None:
    """Download under a temporary name, and rename when complete."""
    store.check_place(raw)
    try:
        with _timeout():
            download_url_to_file(release.url, str(raw), hash_prefix=release.sha256)
    except Exception as error:  # the advice is the same for every error
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise FileNotFoundError(
            f"{name}: {release.url} could not be downloaded ({reason}). Try one of: a machine that "
            f"reaches {urlsplit(release.url).netloc}; download the file elsewhere and put it at "
            f"{raw}; python -m kit import-checkpoint {release.file}"
            + (f" --activation {release.activation}" if release.activation else "")
            + "; kit.pretrained('street'), which comes with the kit"
        ) from error


@contextmanager
def _timeout() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
