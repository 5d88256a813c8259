"""Feature maps and class tokens of camera images; a cache keeps them: images never change."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kit.data.keyframe import Camera
from kit.store import FeatureCache
from kit.teacher.feature_maps import FeatureMaps
from kit.teacher.teacher import Teacher

Images = Sequence[Float[Tensor, "3 h w"] | None]


@dataclass(frozen=True)
class MissingImages:
    """Decodes images whose feature maps are not in the cache; for processes that prepare batches.

    Attributes:
        fingerprint: of the teacher.
        image_size: (height, width) in pixels that the teacher takes.
        cache: of the teacher's maps.
    """

    fingerprint: str
    image_size: tuple[int, int]
    cache: FeatureCache | None = None

    def __call__(self, camera: Camera) -> Float[Tensor, "3 h w"] | None:
        """The image as the teacher takes it; None if its maps are in the cache."""
        if self.cache is not None and self.cache.has(_key(self.fingerprint, camera)):
            return None
        return camera.resized(self.image_size)


def camera_maps(
    teacher: Teacher,
    cameras: Sequence[Camera],
    cache: FeatureCache | None = None,
    batch_size: int = 6,
    images: Images | None = None,
) -> list[FeatureMaps]:
    """The feature maps of each camera's image, from the cache if they are in it.

    With a cache all maps are rounded to half precision, so that the result does not depend on
    whether they were in the cache.

    Args:
        teacher: computes the maps that are not in the cache.
        cameras: their images may differ in size.
        cache: new maps are added to it.
        batch_size: images given to the network at a time.
        images: of the cameras, decoded and resized before; None: they are decoded if needed.
    """
    images = [None] * len(cameras) if images is None else images
    found: list[FeatureMaps | None] = [None] * len(cameras)
    keys = []
    if cache is not None:
        keys = [_key(teacher.fingerprint, camera) for camera in cameras]
    for index, key in enumerate(keys):
        stored = cache.get(key)
        if stored is not None:
            layers = tuple(stored[str(number)] for number in range(len(stored)))
            found[index] = FeatureMaps(layers, teacher.image_size)
    missing = [index for index, maps in enumerate(found) if maps is None]
    for start in range(0, len(missing), batch_size):
        chunk = missing[start : start + batch_size]
        batch = torch.stack([_image(teacher, cameras[i], images[i]) for i in chunk])
        for index, maps in zip(chunk, teacher(batch).split(), strict=True):
            if cache is not None:
                maps = maps.half()
                cache.put(keys[index], {str(n): each for n, each in enumerate(maps.maps)})
            found[index] = maps
    return [maps.to(teacher.device, torch.float32) for maps in found]


def _key(fingerprint: str, camera: Camera) -> str:
    """Name in the cache of the maps that a teacher with this fingerprint makes of an image."""
    return f"{fingerprint}/{camera.fingerprint()}"


def _image(
    teacher: Teacher, camera: Camera, image: Float[Tensor, "3 h w"] | None
) -> Float[Tensor, "3 h w"]:
    return camera.resized(teacher.image_size) if image is None else image


def camera_class_tokens(
    teacher: Teacher,
    cameras: Sequence[Camera],
    cache: FeatureCache | None = None,
    images: Images | None = None,
) -> Float[Tensor, "B D"]:
    """The class token of each camera's image, from the cache if it is in it.

    Args:
        teacher: with class tokens.
        cameras: of the images.
        cache: new tokens are added to it.
        images: see `camera_maps`.

    Raises:
        ValueError: the teacher has no class token.
    """
    found = []
    for camera, image in zip(cameras, images or [None] * len(cameras), strict=True):

        def compute(camera: Camera = camera, image: Tensor | None = image) -> dict[str, Tensor]:
            return {"0": teacher.class_tokens(_image(teacher, camera, image)[None])[0].cpu()}

        key = f"{teacher.fingerprint}/class token/{camera.fingerprint()}"
        stored = compute() if cache is None else cache.get_or_compute(key, compute)
        found.append(stored["0"].to(teacher.device))
    return torch.stack(found)
