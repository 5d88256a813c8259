"""Camera models: how a lens bends the ray of a point, before `K` maps it to a pixel.

In: points of the camera frame. Out: homogeneous coordinates that `K` takes to pixels, and which
points the lens can see at all; images are never changed. Read `lens.py` first (the interface and
the table `LENSES`); every other file is one model.

A new model is one file and one line in `LENSES`.
"""

from collections.abc import Mapping
from typing import Any

from kit.lens.brown_conrady import BrownConrady
from kit.lens.fisheye import Fisheye
from kit.lens.lens import PINHOLE, Lens, Pinhole
from kit.lens.mei import Mei

LENSES: dict[str, type[Lens]] = {
    "pinhole": Pinhole,
    "brown-conrady": BrownConrady,
    "fisheye": Fisheye,
    "mei": Mei,
}
# Names of the same models in ROS, Kalibr, OpenCV and COLMAP.
ALIASES = {
    "none": "pinhole",
    "plumb-bob": "brown-conrady",
    "rational-polynomial": "brown-conrady",
    "radtan": "brown-conrady",
    "opencv": "brown-conrady",
    "kannala-brandt": "fisheye",
    "equidistant": "fisheye",
    "opencv-fisheye": "fisheye",
    "omni": "mei",
    "omnidir": "mei",
    "unified": "mei",
}


def make_lens(model: str, coefficients: Any = ()) -> Lens:
    """Make a lens from the name of its model and its coefficients.

    Args:
        model: a name in `LENSES` or `ALIASES`; upper case and "_" for "-" are the same.
        coefficients: in the order of OpenCV; see each model.

    Raises:
        ValueError: the model is unknown, or the coefficients are not those of this model.
    """
    name = str(model).lower().replace("_", "-").replace(" ", "-")
    name = ALIASES.get(name, name)
    if name not in LENSES:
        known = ", ".join([*LENSES, *ALIASES])
        raise ValueError(f"distortion model: expected one of {known}, got {model!r}")
    return LENSES[name].from_coefficients(coefficients)


def as_lens(distortion: Any) -> Lens:
    """Make a lens from what users give as "distortion".

    Args:
        distortion: None or no numbers (none), a `Lens`, 5 or 8 numbers (Brown-Conrady), or a
            mapping such as {"model": "fisheye", "coefficients": [0.1, 0, 0, 0]}.

    Raises:
        ValueError: it is something else; or it is 4 numbers, which two models have.
    """
    if distortion is None:
        return PINHOLE
    if isinstance(distortion, Lens):
        return distortion
    if isinstance(distortion, Mapping):
        unknown = set(distortion) - {"model", "coefficients"}
        if unknown or "model" not in distortion:
            raise ValueError(
                'distortion: expected {"model": NAME, "coefficients": [...]}, got the keys '
                f"{sorted(map(str, distortion))}"
            )
        return make_lens(distortion["model"], distortion.get("coefficients", ()))
    numbers = Lens.checked(distortion, "distortion")
    if not any(numbers):
        return PINHOLE
    if len(numbers) not in (5, 8):
        four = " 4 can be Brown-Conrady (k1 k2 p1 p2) or fisheye (k1 k2 k3 k4)."
        raise ValueError(
            "distortion: expected 5 or 8 coefficients (Brown-Conrady, in the order of OpenCV), got "
            f"{len(numbers)}.{four if len(numbers) == 4 else ''} Name the model: "
            '{"model": NAME, "coefficients": [...]}, with one of ' + ", ".join(LENSES)
        )
    return make_lens("brown-conrady", numbers)


__all__ = [
    "ALIASES",
    "LENSES",
    "PINHOLE",
    "BrownConrady",
    "Fisheye",
    "Lens",
    "Mei",
    "Pinhole",
    "as_lens",
    "make_lens",
]
