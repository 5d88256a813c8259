"""From where an explorer's pictures are seen: its view, or the place of one of its cameras."""

from typing import TYPE_CHECKING

import numpy as np

from kit.lens import PINHOLE
from kit.show.arrays import Number
from kit.show.explorer.payload import pose_of
from kit.show.scene import CameraView, Viewpoint

if TYPE_CHECKING:
    from kit.show.explorer.widget import Explorer


def viewpoint_of(explorer: "Explorer", aspect: Number) -> Viewpoint:
    """The viewpoint of a picture, as in the browser.

    With a camera in the view, points fall on their pixels of its image; through other lenses than
    a pinhole only place and direction are the camera's. A camera that the keyframe does not have
    changes nothing.

    Args:
        explorer: whose view it is.
        aspect: width by height of the picture.
    """
    view = dict(explorer.view)
    cameras = explorer.content.keyframes[explorer.keyframe].cameras
    camera = cameras.get(view.pop("camera", ""))
    if camera is None:
        return Viewpoint.orbit(**view, aspect=aspect)
    T, K = camera.T_cam_lidar.double().numpy(), camera.K.double().numpy()
    if camera.lens == PINHOLE:
        return CameraView.of(T, K, camera.image_size, aspect)
    pose = pose_of(camera)
    target = np.array(pose["eye"]) + 10 * T[2, :3]
    angles = {name: pose[name] for name in ("azimuth", "elevation", "fov")}
    return Viewpoint.orbit(target.tolist(), 10, **angles, aspect=aspect)
