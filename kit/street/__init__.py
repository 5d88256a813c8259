"""The street: a simulated data set that needs no files, with all its sensors and annotations.

In: a seed and a sensor rig. Out: keyframes with labels, boxes and the exact annotations of every
point and pixel; or a folder on disk in the nuScenes schema. Read `dataset.py` first, then `rigs.py`
(sensors), `world/layout.py` (geometry of a scene) and `render/moment.py` (scan and images of a
keyframe).
"""

from kit._lazy import lazy
from kit.data.keyframe import Dataset

_HOME = {
    "RIGS": "kit.street.rigs",
    "Weather": "kit.street.world.weather",
    "portraits": "kit.street.render.portraits",
}
__getattr__ = lazy(__name__, _HOME)
LOOKS_FOR = 'the name "street"'


def recognises(source: str) -> bool:
    """Return whether `source` is the name "street"; a folder of that name is "./street"."""
    return source == "street"


def open(source: str, **options) -> Dataset:
    """Build the simulated data set; `options` are those of `Street`."""
    from kit.street.dataset import Street

    return Street(**options)
