"""What the names of topics say: cameras, depth and rectified images, and their calibrations."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from kit.data.numbered import numbered

# Words at the ends of names of image topics that say nothing about the camera.
_PLAIN = {"image", "compressed", "raw", "color", "colour", "mono", "republished", "rgb"}
_RECTIFIED = {"rect", "rectified"}
_INFRARED = {"infra", "infrared"}


def _words(part: str) -> list[str]:
    """The words of a part of a name: image_rect_color gives image, rect, color."""
    return [word.rstrip("0123456789") for word in re.split(r"[_\-]", part.lower())]


def is_rectified(topic: str) -> bool:
    """Whether images are rectified: "rect" is a word of the name, as in image_rect_color."""
    return any(not _RECTIFIED.isdisjoint(_words(part)) for part in topic.split("/"))


def is_depth(topic: str) -> bool:
    """Whether images show depth or infrared light, such as /camera/aligned_depth_to_color/image."""
    words = [word for part in topic.split("/") for word in _words(part)]
    starts = ("depth", "disparity", "compresseddepth")
    return any(word.startswith(starts) or word in _INFRARED for word in words)


def _path_of_camera(topic: str) -> list[str]:
    """The parts of the name of an image topic without the plain words at its end."""
    parts = topic.strip("/").split("/")
    while len(parts) > 1 and set(parts[-1].lower().split("_")) <= _PLAIN | _RECTIFIED:
        parts.pop()
    return parts


def camera_name(topic: str) -> str:
    """The name of a camera from its image topic: "/front/image_raw/compressed" gives "front"."""
    return "_".join(_path_of_camera(topic))


def by_camera(topics: Iterable[str]) -> dict[str, str]:
    """Image topics by distinct names of cameras; where two would be equal, the whole topics."""
    topics = sorted(dict.fromkeys(topics))
    names = [camera_name(topic) for topic in topics]
    count = Counter(names)
    whole = [topic.strip("/").replace("/", "_") for topic in topics]
    names = [w if count[name] > 1 else name for name, w in zip(names, whole, strict=True)]
    return dict(zip(numbered(names), topics, strict=True))


def one_of_each_camera(topics: Iterable[str], infos: Sequence[str]) -> list[str]:
    """One topic of each camera, without depth images.

    Topics are of one camera if their names differ by plain words only, and their calibration is the
    same topic of `infos`. Raw images are preferred: they fit K and the distortion.
    """
    of_camera: dict[tuple, list[str]] = {}
    for topic in topics:
        if not is_depth(topic):
            key = (*_path_of_camera(topic), info_topic(topic, infos))
            of_camera.setdefault(key, []).append(topic)
    return [
        min(same, key=lambda topic: (is_rectified(topic), topic)) for same in of_camera.values()
    ]


def info_topic(topic: str, infos: Sequence[str]) -> str | None:
    """The topic of the calibration that belongs to an image topic: the nearest above it."""
    folder = topic
    while "/" in folder:
        folder = folder.rpartition("/")[0]
        if f"{folder}/camera_info" in infos:
            return f"{folder}/camera_info"
    name = camera_name(topic)
    return next((info for info in infos if name in info.split("/")), None)
