"""Examination of a data set: its keyframes are read once, and every check looks at them."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from kit import geometry
from kit.data import open_dataset
from kit.data.clocks import HasPoses, Poses
from kit.data.keyframe import Dataset, Keyframe
from kit.doctor.alignment import Shift, fit_together, largest
from kit.doctor.camera_checks import (
    CameraReport,
    examine_camera,
    missing_images,
    unknown_alignments,
)
from kit.doctor.camera_edges import Twist
from kit.doctor.findings import Finding, sorted_findings
from kit.doctor.label_checks import check_labels, label_facts
from kit.doctor.report import Report
from kit.doctor.scan_checks import check_scans, scan_facts
from kit.doctor.scan_edges import find_edges

ERRORS = (OSError, ValueError)
FASTEST = 70.0  # m/s; faster cars show wrong poses or time stamps
MORE_CERTAIN = 0.5  # standard errors, by which an error of every camera beats one of the lidar
SLOW = 1.0  # m/s; below, a clock offset cannot be measured


class _Keyframes:
    """Keyframes in memory as a data set; each is read once."""

    def __init__(self, source: Any):
        self.source, self.read = source, {}
        self.scenes = getattr(source, "scenes", None) or [each.scene for each in source]

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, number: int) -> Keyframe:
        if number not in self.read:
            self.read[number] = self.source[number]
        return self.read[number]

    def poses(self, number: int) -> Poses:
        """Poses of a keyframe and its neighbours in the scene."""
        near = (at for at in (number - 1, number, number + 1) if 0 <= at < len(self))
        same = [self[at] for at in near if self.scenes[at] == self.scenes[number]]
        known = [each for each in same if each.T_global_lidar is not None]
        times = torch.tensor([each.timestamp for each in known], dtype=torch.int64)
        return Poses(times, torch.stack([each.T_global_lidar for each in known]))


def doctor(
    source: str | Path | Dataset | Keyframe | Sequence[Keyframe], *, most: int = 12
) -> Report:
    """Find out what is wrong with a data set before a network is trained on it.

    Args:
        source: an opened data set, the path of one, a keyframe, or a list of keyframes.
        most: number of keyframes to examine, evenly spaced.

    Returns:
        the report: `print(report)`, `report.findings`, `report.to_html("report.html")`.

    Raises:
        ValueError: `most` is below 1, or the source has no keyframe.
    """
    if most < 1:
        raise ValueError(f"most must be at least 1 keyframe, got {most}")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            opened = open_dataset(source) if isinstance(source, str | Path) else source
        except ERRORS as error:
            return _not_opened(str(source), error)
        opened = [opened] if isinstance(opened, Keyframe) else opened
        if not len(opened):
            raise ValueError("there is no keyframe to examine")
        cached = _Keyframes(opened)
        keyframes, findings = _read(cached, most)
        report = _examine(opened, cached, keyframes, findings)
    told = [Finding("warning", "reading", text) for text in _texts(caught)]
    return report.with_findings(told)


def _not_opened(name: str, error: Exception) -> Report:
    fix = "see the table of formats in the documentation of the kit"
    return Report(name, 0, (), (Finding("problem", "data set", str(error), fix),), {}, {}, {})


def _texts(caught: Sequence[warnings.WarningMessage]) -> list[str]:
    """The warnings that were given while reading; those that the checks repeat are left out."""
    texts = dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, UserWarning))
    return [
        text for text in texts if "tilted by more than" not in text and "can be seen" not in text
    ]


def _read(keyframes: _Keyframes, most: int) -> tuple[dict[int, Keyframe], list[Finding]]:
    """Read evenly spaced keyframes; those that cannot be read are findings."""
    spaced = np.unique(np.linspace(0, len(keyframes) - 1, min(most, len(keyframes))).round())
    found, findings = {}, []
    for number in map(int, spaced):
        try:
            found[number] = keyframes[number]
        except ERRORS as error:
            findings.append(Finding("problem", f"keyframe {number}", str(error), _fix(error)))
    return found, findings


def _fix(error: Exception) -> str:
    """One line for an error of a reader; most messages say themselves what to do."""
    if isinstance(error, FileNotFoundError):
        return "download the file again, or remove it from the tables"
    return "fix the file or the table that the message names"


def _examine(
    opened: Any,
    cached: _Keyframes,
    keyframes: Mapping[int, Keyframe],
    findings: list[Finding],
) -> Report:
    """Apply all checks to the keyframes that could be read."""
    name = getattr(opened, "name", None) or ", ".join(dict.fromkeys(cached.scenes))[:80]
    if not keyframes:
        return Report(name, len(opened), (), sorted_findings(findings), {}, {}, {})
    first = next(iter(keyframes.values()))
    facts = {number: scan_facts(keyframe) for number, keyframe in keyframes.items()}
    labels = {number: label_facts(keyframe) for number, keyframe in keyframes.items()}
    findings += check_scans(facts, first.sensor)
    findings += check_labels(labels, first.classes, list(keyframes))
    twists = _twists(opened, cached, keyframes)
    findings += _check_poses(keyframes, twists)
    cameras = _cameras(keyframes, twists, findings)
    rig, each = _together(cameras, findings)
    missing = getattr(opened, "missing", {})
    findings += [
        Finding("note", "files", f"missing: {count:,} {what}")
        for what, count in missing.items()
        if count
    ]
    return Report(
        name,
        len(opened),
        tuple(keyframes),
        sorted_findings(findings),
        facts,
        labels,
        cameras,
        keyframes,
        len(set(cached.scenes)),
        rig,
        each,
    )


def _cameras(
    keyframes: Mapping[int, Keyframe],
    twists: Mapping[int, Twist] | None,
    findings: list[Finding],
) -> dict[str, CameraReport]:
    """Examine every camera; adds to the findings."""
    names = list(dict.fromkeys(name for each in keyframes.values() for name in each.cameras))
    if not names:
        fix = "give images and their calibration to distil; features of a student need none"
        findings.append(Finding("warning", "cameras", "there are none", fix))
        return {}
    findings += missing_images(names, keyframes)
    scans = {number: find_edges(keyframe) for number, keyframe in keyframes.items()}
    moving = twists if twists and max(t.speed for t in twists.values()) > SLOW else None
    reports = {}
    for name in names:
        reports[name], found = examine_camera(name, keyframes, scans, moving)
        findings += found
    findings += unknown_alignments(reports)
    return reports


def _together(
    cameras: Mapping[str, CameraReport], findings: list[Finding]
) -> tuple[Shift | None, Shift | None]:
    """The turn or move that all cameras have in common; adds a finding if it is certain.

    Returns:
        that of the lidar, and that in the frame of each camera; the second one is None if the first
        one explains as much.
    """
    fair = [each for each in cameras.values() if each.rig and each.cause is None]
    if len(fair) < 2:
        return None, None
    rig = largest(fit_together([each.rig for each in fair]).values())
    each = largest(fit_together([each.alignment.scores for each in fair]).values())
    if rig is not None and each is not None and each.certainty < rig.certainty + MORE_CERTAIN:
        each = None
    if each is not None:
        words = f"{each} in the frame of each camera"
        fix = "look for a mistake that is made for every camera: code that makes T_cam_lidar"
    elif rig is not None:
        words = f"{in_lidar_frame(rig)} (lidar frame)"
        fix = "look for the pose of the lidar in the calibration: T_ego_lidar, or its mount"
    else:
        return None, None
    certainty = (each or rig).certainty
    text = f"together they fit better if the scan is {words}: {certainty:.1f} standard errors"
    findings.append(Finding("problem", "all cameras", text, fix))
    return rig, each


def in_lidar_frame(shift: Shift) -> str:
    """A shift of the lidar in words, with the axes of its own frame."""
    axis, sign = {
        "pitch": ("x", 1), "roll": ("y", 1), "yaw": ("z", -1),
        "right": ("x", 1), "ahead": ("y", 1), "down": ("z", -1),
    }[shift.name]  # fmt: skip
    amount = sign * shift.amount
    if shift.name in ("pitch", "yaw", "roll"):
        return f"turned by {amount:+.1f} degrees about {axis}"
    return f"moved by {amount:+.2f} m along {axis}"


def _twists(
    opened: object, cached: _Keyframes, keyframes: Mapping[int, Keyframe]
) -> dict[int, Twist] | None:
    """Motion of the lidar in every keyframe; None if it is not known in one of them."""
    found = {}
    for number, keyframe in keyframes.items():
        if keyframe.T_global_lidar is None:
            return None
        try:
            poses = opened.poses(number) if isinstance(opened, HasPoses) else cached.poses(number)
            now, then = (poses.at(keyframe.timestamp + shift) for shift in (0.0, 1e5))
        except ERRORS:
            return None
        change = geometry.invert_rigid(now) @ then
        turn = Rotation.from_matrix(change[:3, :3].numpy()).as_rotvec() / 0.1
        found[number] = Twist(tuple((change[:3, 3] / 0.1).tolist()), tuple(turn.tolist()))
    return found


def _check_poses(
    keyframes: Mapping[int, Keyframe], twists: Mapping[int, Twist] | None
) -> Iterator[Finding]:
    """Findings about poses and time stamps."""
    if all(keyframe.T_global_lidar is None for keyframe in keyframes.values()):
        yield Finding("note", "poses", "there are none: no sweeps, and no test of clocks")
    elif twists is not None and (speed := max(t.speed for t in twists.values())) > FASTEST:
        yield Finding(
            "problem",
            "poses",
            f"the car moves at {speed:,.0f} m/s between keyframes: wrong poses or time stamps",
            "time stamps are microseconds; T_global_lidar takes lidar to global coordinates",
        )
