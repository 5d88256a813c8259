"""Checks of cameras: images, intrinsics, ratio of points seen, and the measured alignment."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kit.data.keyframe import Camera, Keyframe
from kit.doctor.alignment import SURE, Alignment, Shift, measure, search_of_rig
from kit.doctor.camera_edges import TURNS, CameraEdges, Twist, gather, read_images
from kit.doctor.causes import Cause, find_cause
from kit.doctor.findings import Finding
from kit.doctor.scan_edges import ScanEdges
from kit.projection import project_into, why_unseen

FEW_SEEN = 0.01  # ratio of the points
OFF_CENTRE = 0.15  # of the image's width or height
RATIO = 0.2  # by which the two focal lengths may differ
ERRORS = (OSError, ValueError)


@dataclass(frozen=True, eq=False)
class CameraReport:
    """What was measured about one camera.

    Attributes:
        name: of the camera.
        num_images: in the examined keyframes.
        image_size: (height, width) in pixels.
        ratio_seen: of the points, mean over the keyframes.
        alignment: with the lidar; None if no image can be read.
        cause: the mistake that explains a wrong calibration, if one was found.
        example: the number of the keyframe for a picture.
        rig: scores of turns and moves of the lidar, to be added up over all cameras.
    """

    name: str
    num_images: int
    image_size: tuple[int, int]
    ratio_seen: float
    alignment: Alignment | None
    cause: Cause | None
    example: int
    rig: Mapping[str, np.ndarray] | None


def examine_camera(
    name: str,
    keyframes: Mapping[int, Keyframe],
    scans: Mapping[int, ScanEdges],
    twists: Mapping[int, Twist] | None,
) -> tuple[CameraReport, list[Finding]]:
    """Examine one camera in all keyframes that have it.

    Args:
        name: of the camera.
        keyframes: by number; those without this camera are left out.
        scans: the edges of their scans.
        twists: motion of the lidar in every keyframe; None: not known.
    """
    keyframes = {i: k for i, k in keyframes.items() if name in k.cameras}
    readable, findings = _readable_images(name, keyframes)
    cameras = {i: keyframes[i].cameras[name] for i in readable}
    first = next(iter(keyframes.values())).cameras[name]
    seen = {i: _ratio_seen(keyframes[i], name) for i in keyframes}
    ratio = float(np.mean(list(seen.values())))
    findings += _check_calibration(name, first)
    alignment, cause, rig = None, None, None
    if readable:
        edges = _edges_of(cameras, list(readable.values()), scans, twists)
        readable = dict.fromkeys(readable)  # the pixels are not needed any more
        alignment = measure(edges)
        rig = search_of_rig(edges, first.T_cam_lidar.numpy())
        if alignment.verdict != "aligned":
            cause = _cause(name, keyframes, cameras, scans, edges)
        findings += check_alignment(name, alignment, cause)
    if ratio < FEW_SEEN:
        findings.append(_unseen(name, next(iter(keyframes.values())), ratio))
    example = max(seen, key=seen.__getitem__)
    report = CameraReport(
        name, len(readable), first.image_size, ratio, alignment, cause, example, rig
    )
    return report, findings


def _readable_images(
    name: str, keyframes: Mapping[int, Keyframe]
) -> tuple[dict[int, np.ndarray], list[Finding]]:
    """The pixels that can be read, by keyframe, and findings about the others and about copies."""
    readable, findings, content = {}, [], {}
    for number, keyframe in keyframes.items():
        try:
            pixels = keyframe.cameras[name].pixels()
            content.setdefault(keyframe.cameras[name].fingerprint(), []).append(number)
        except ERRORS as error:
            findings.append(
                Finding("problem", name, str(error), "download it again, or remove the image")
            )
            continue
        if pixels.std() < 2:
            findings.append(
                Finding(
                    "warning",
                    name,
                    f"the image of keyframe {number} has one colour",
                    "was the lens covered, or a file of 0..1 or 16 bits saved as 8 bits?",
                )
            )
        readable[number] = pixels
    copies = max(content.values(), key=len, default=[])
    if len(copies) > 1:
        findings.append(
            Finding(
                "problem",
                name,
                f"keyframes {', '.join(map(str, copies[:6]))} have the same image",
                "was one file copied, or did the camera stop?",
            )
        )
    return readable, findings


def _ratio_seen(keyframe: Keyframe, name: str) -> float:
    """Ratio of the points that one camera sees."""
    return float(project_into(keyframe.cameras[name], keyframe.points)[2].double().mean())


def _edges_of(
    cameras: Mapping[int, Camera],
    pixels: Sequence[np.ndarray],
    scans: Mapping[int, ScanEdges],
    twists: Mapping[int, Twist] | None,
) -> CameraEdges:
    """The edges near the images of a camera, with its edge maps."""
    chosen = [scans[number] for number in cameras]
    images = read_images(list(cameras.values()), pixels, chosen)
    moving = None if twists is None else [twists[number] for number in cameras]
    return gather(chosen, list(cameras.values()), images, moving)


def _cause(
    name: str,
    keyframes: Mapping[int, Keyframe],
    cameras: Mapping[int, Camera],
    scans: Mapping[int, ScanEdges],
    edges: CameraEdges,
) -> Cause | None:
    """The mistake that explains why this camera does not fit."""
    chosen = [scans[number] for number in cameras]
    everywhere = gather(chosen, list(cameras.values()), edges.images, everywhere=True)
    first = next(iter(cameras))
    extrinsics = {n: c.T_cam_lidar.numpy() for n, c in keyframes[first].cameras.items()}
    return find_cause(everywhere, extrinsics, name, cameras[first].image_size)


def _unseen(name: str, keyframe: Keyframe, ratio: float) -> Finding:
    """The finding about a camera that sees hardly any point."""
    reason = why_unseen(keyframe.points, {name: keyframe.cameras[name]})
    return Finding(
        "problem",
        name,
        reason.removeprefix(f"{name}: ") or f"only {ratio:.1%} of the points can be seen",
        "check the extrinsics; a camera that sees no point cannot be used",
    )


def _check_calibration(name: str, camera: Camera) -> Iterator[Finding]:
    """Findings about intrinsics and the direction of a camera."""
    height, width = camera.image_size
    (fx, _, cx), (_, fy, cy) = camera.K[:2].tolist()
    off = max(abs(cx / width - 0.5), abs(cy / height - 0.5))
    if off > OFF_CENTRE:
        yield Finding(
            "warning",
            name,
            f"the principal point ({cx:.0f}, {cy:.0f}) is far from the middle of the image of "
            f"{width} x {height} pixels: K of another image size, unless the image was cropped",
            f"K[:2] *= {width / 2 / cx:.3g}, if the image was resized",
        )
    if abs(fx / fy - 1) > RATIO:
        yield Finding(
            "warning",
            name,
            f"the focal lengths {fx:.0f} and {fy:.0f} pixels differ: K of an image with another "
            "aspect ratio?",
            "multiply each row of K by new size / old size of its direction",
        )
    if camera.is_tilted:
        yield Finding(
            "warning",
            name,
            "the image is tilted by more than 60 degrees against the lidar's z axis: inverted "
            "extrinsics, or another axis convention",
            "T_cam_lidar = kit.geometry.invert_rigid(T), or turn the camera's axes",
        )


def check_alignment(name: str, alignment: Alignment, cause: Cause | None) -> Iterator[Finding]:
    """The finding about the measured alignment of a camera."""
    if cause is not None:
        text = f"{cause.name} ({cause.certainty:.1f} standard errors better without)"
        yield Finding("problem", name, text, cause.fix)
        return
    clock, shift = alignment.clock, alignment.shift
    if is_clock_offset(clock, shift):
        yield Finding(
            "problem" if clock.certainty >= SURE else "warning",
            name,
            f"clock offset: images and scans fit better if the images were taken "
            f"{clock.amount:+.2f} s later than their time stamps say ({clock.certainty:.1f} "
            "standard errors); the shift is larger where the car is faster",
            f"kit.open_dataset(path, clock_offsets={{{name!r}: {clock.amount:.2f}}})",
        )
    elif shift is not None:
        yield Finding(
            "problem" if shift.certainty >= SURE else "warning",
            name,
            f"the scan fits the images better if it is {shift}: edges move by {shift.effect:.1f} "
            f"degrees ({shift.certainty:.1f} standard errors){_also(clock)}. {_usual(shift)}",
            f"T_cam_lidar = kit.doctor.motion({_arguments(alignment.correction)}) @ T_cam_lidar",
        )


def is_clock_offset(clock: Shift | None, shift: Shift | None) -> bool:
    """Whether a clock offset explains the images better than a turn or move does."""
    if clock is None or not clock.matters:
        return False
    return clock.certainty >= (SURE if shift is None else max(shift.certainty + 0.5, SURE))


def _also(clock: Shift | None) -> str:
    """The clock offset that would do nearly the same."""
    if clock is None or not clock.matters or clock.certainty < SURE:
        return ""
    return f"; or its clock is off by {clock.amount:+.2f} s ({clock.certainty:.1f})"


def _usual(shift: Shift) -> str:
    """The usual cause of a small turn or move."""
    if shift.name == "turn":
        return (
            "Usual causes: a rectifying rotation is missing (R0_rect of KITTI, R_rect of others), "
            "or the camera's mount moved"
        )
    if shift.name in TURNS:
        return (
            "Usual causes: the camera's mount moved, or a rectifying rotation (R0_rect) is missing"
        )
    return "Usual causes: a lever arm measured wrongly, or of another camera of the rig"


def _arguments(amounts: Mapping[str, float]) -> str:
    return ", ".join(f"{name}={amount:g}" for name, amount in amounts.items())


def unknown_alignments(cameras: Mapping[str, CameraReport]) -> Iterator[Finding]:
    """One finding about all cameras whose alignment cannot be determined."""
    names = [
        name
        for name, camera in cameras.items()
        if camera.alignment and camera.alignment.verdict == "unknown" and camera.cause is None
    ]
    if names:
        most = max(cameras[name].num_images for name in names)
        yield Finding(
            "note",
            "cameras",
            f"{', '.join(names)}: the edges in {most} image{'s' * (most != 1)} are too few to rule "
            "out that the calibration is off by 1 degree or 20 cm",
            "look at the pictures in the report, or examine more keyframes",
        )


def missing_images(names: Sequence[str], keyframes: Mapping[int, Keyframe]) -> Iterator[Finding]:
    """Findings about cameras that some of the examined keyframes lack."""
    for name in names:
        lacking = [number for number, keyframe in keyframes.items() if name not in keyframe.cameras]
        if lacking:
            listed = ", ".join(map(str, lacking[:6])) + ", ..." * (len(lacking) > 6)
            yield Finding(
                "note",
                name,
                f"{len(lacking)} of {len(keyframes)} examined keyframes have no image: {listed}",
                "they are left out of training for this camera; nothing else is needed",
            )
