"""Features in Rerun's format (.rrd): points coloured by their features, cameras, and labels."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from kit.data.classes import IGNORE
from kit.data.keyframe import Camera, Keyframe
from kit.features.pca import PcaBasis, fit_basis
from kit.lens import Pinhole

IMAGE_WIDTH = 640  # pixels; images are shown, not measured
JPEG_QUALITY = 75
TIMELINE = "keyframe"


class RerunWriter:
    """Makes a file of each keyframe; opened together they are one recording.

    The colours are the three directions of largest variance of `head_feat` at unit length. They
    are fitted on the first keyframe and used for all, so that equal features have equal colours.
    """

    def __init__(self):
        self._basis: PcaBasis | None = None
        self._count = 0

    def __call__(self, keyframe: Keyframe, tensors: dict[str, Tensor], meta: dict) -> bytes:
        """Points, colours, cameras and labels of a keyframe.

        Raises:
            ImportError: rerun-sdk is not installed.
        """
        try:
            import rerun
        except ImportError as error:
            raise ImportError(
                "rrd files need rerun-sdk: pip install 'lidar-distillation-kit[rerun]'"
            ) from error
        make = getattr(rerun, "new_recording", rerun.RecordingStream)  # up to 0.22, and after it
        recording = make("lidar-distillation-kit", recording_id=meta["checkpoint_sha256"][:16])
        memory = rerun.memory_recording(recording=recording)
        if hasattr(rerun, "set_time"):
            rerun.set_time(TIMELINE, sequence=self._count, recording=recording)
        else:
            rerun.set_time_sequence(TIMELINE, self._count, recording=recording)
        self._count += 1
        colours = self._colours(tensors["head_feat"][keyframe.row_in_file])
        points = {"positions": keyframe.points.numpy(), "colors": colours.numpy(), "radii": 0.03}
        rerun.log("lidar/features", rerun.Points3D(**points), recording=recording)
        if keyframe.labels is not None:
            _log_labels(rerun, recording, keyframe)
        for camera in keyframe.cameras.values():
            _log_camera(rerun, recording, camera)
        return memory.drain_as_bytes()

    def _colours(self, feat: Float[Tensor, "N D"]) -> UInt8[Tensor, "N 3"]:
        if self._basis is None:
            self._basis = fit_basis(feat)
        return self._basis.colours(feat)


def _log_labels(rerun, recording, keyframe: Keyframe) -> None:
    """The labelled points again, with the names of their classes."""
    classes, known = keyframe.classes, keyframe.labels != IGNORE
    context = rerun.AnnotationContext(list(enumerate(classes.names)))
    rerun.log("lidar/labels", context, static=True, recording=recording)
    points = rerun.Points3D(
        keyframe.points[known].numpy(), class_ids=keyframe.labels[known].numpy(), radii=0.03
    )
    rerun.log("lidar/labels", points, recording=recording)


def _log_camera(rerun, recording, camera: Camera) -> None:
    """A camera's pose and image; of a camera with distortion the pose only."""
    place = f"lidar/{camera.name}"
    T_lidar_cam = torch.linalg.inv(camera.T_cam_lidar)
    pose = rerun.Transform3D(
        translation=T_lidar_cam[:3, 3].numpy(), mat3x3=T_lidar_cam[:3, :3].numpy()
    )
    rerun.log(place, pose, recording=recording)
    height, width = camera.image_size
    scale = min(1.0, IMAGE_WIDTH / width)
    size = (round(scale * height), round(scale * width))
    K = torch.diag(torch.tensor([size[1] / width, size[0] / height, 1.0]).double()) @ camera.K
    if isinstance(camera.lens, Pinhole):
        pinhole = rerun.Pinhole(image_from_camera=K.numpy(), resolution=size[::-1])
        rerun.log(place, pinhole, recording=recording)
    image = camera.resized(size)  # (3, H, W) in [0, 1]
    pixels = (255 * image).round().to(torch.uint8).movedim(0, 2).contiguous().numpy()
    picture = rerun.Image(pixels).compress(jpeg_quality=JPEG_QUALITY)
    rerun.log(f"{place}/image", picture, recording=recording)
