"""A street with small images, for tests."""

from kit.street import dataset as street_dataset
from kit.street.dataset import Street

SIZE = (112, 224)


def street(**options) -> Street:
    """Two scenes of two keyframes."""
    return Street(**{"num_scenes": 2, "keyframes_per_scene": 2, "image_size": SIZE} | options)


def clear_memory() -> None:
    """Forget what was rendered: the cache on disk is read again."""
    street_dataset._rendered.cache_clear()
    street_dataset._image.cache_clear()
