"""Feature maps and class tokens of camera images; a cache keeps them: images never change."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from kit.data.keyframe import Camera
from kit.store import FeatureCache
from kit.teacher.feature_maps import FeatureMaps
from kit.teacher.teacher import Teacher


def camera_maps(
    teacher: Teacher,
    cameras: Sequence[Camera],
    cache: FeatureCache | None = None,
    batch_size: int = 6,
) -> list[FeatureMaps]:
    """The feature maps of each camera's image, from the cache if they are in it.

    With a cache all maps are rounded to half precision, so that the result does not depend on
    whether they were in the cache.

    Args:
        teacher: computes the maps that are not in the cache.
        cameras: their images may differ in size.
        cache: new maps are added to it.
        batch_size: images given to the network at a time.
    """
    found: list[FeatureMaps | None] = [None] * len(cameras)
    keys = []
    if cache is not None:
        keys = [f"{teacher.fingerprint}/{camera.fingerprint()}" for camera in cameras]
    for index, key in enumerate(keys):
        stored = cache.get(key)
        if stored is not None:
            layers = tuple(stored[str(number)] for number in range(len(stored)))
            found[index] = FeatureMaps(layers, teacher.image_size)
    missing = [index for index, maps in enumerate(found) if maps is None]
    for start in range(0, len(missing), batch_size):
        chunk = missing[start : start + batch_size]
        images = torch.stack([cameras[index].resized(teacher.image_size) for index in chunk])
        for index, maps in zip(chunk, teacher(images).split(), strict=True):
            if cache is not None:
                maps = maps.half()
                cache.put(keys[index], {str(n): each for n, each in enumerate(maps.maps)})
            found[index] = maps
    return [maps.to(teacher.device, torch.float32) for maps in found]


def camera_class_tokens(
    teacher: Teacher, cameras: Sequence[Camera], cache: FeatureCache | None = None
) -> Float[Tensor, "B D"]:
    """The class token of each camera's image, from the cache if it is in it.

    Raises:
        ValueError: the teacher has no class token.
    """
    found = []
    for camera in cameras:

        def compute(camera: Camera = camera) -> dict[str, Tensor]:
            return {"0": teacher.class_tokens(camera.resized(teacher.image_size)[None])[0].cpu()}

        key = f"{teacher.fingerprint}/class token/{camera.fingerprint()}"
        stored = compute() if cache is None else cache.get_or_compute(key, compute)
        found.append(stored["0"].to(teacher.device))
    return torch.stack(found)
