"""Planted faults are found and named, each on a street that is clean without it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import kit
from kit.data.clocks import Poses, shift_camera

CAMERA, OTHER = "CAM_FRONT_LEFT", "CAM_BACK"


def with_camera(keyframes, change, name=CAMERA):
    """Change one camera in every keyframe."""
    return [replace(k, cameras={**k.cameras, name: change(k.cameras[name], k)}) for k in keyframes]


def two_cameras(keyframes):
    """Keep two cameras, which is faster."""
    return [replace(k, cameras={n: k.cameras[n] for n in (CAMERA, OTHER)}) for k in keyframes]


def extrinsics(change):
    return lambda camera, _: replace(camera, T_cam_lidar=change(camera.T_cam_lidar))


def turned(**amounts):
    return extrinsics(lambda T: kit.doctor.motion(**amounts) @ T)


def transposed(T):
    return torch.cat([torch.cat([T[:3, :3].T, T[:3, 3:]], 1), T[3:]])


def forward_left_up(T):
    axes = torch.tensor([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    return axes.double() @ T


def in_millimetres(T):
    return torch.cat([torch.cat([T[:3, :3], 1000 * T[:3, 3:]], 1), T[3:]])


def resized_K(factor):
    return lambda camera, _: replace(
        camera, K=torch.diag(torch.tensor([factor, factor, 1.0]).double()) @ camera.K
    )


CAMERA_FAULTS = {
    "extrinsics are inverted": extrinsics(kit.geometry.invert_rigid),
    "rotation of the extrinsics is transposed": extrinsics(transposed),
    "camera's axes are x forward, y left, z up": extrinsics(forward_left_up),
    "translation is in millimetres": extrinsics(in_millimetres),
    "K is for images of about 427 x 213": resized_K(2 / 3),
    "K is for images of about 960 x 480": resized_K(1.5),
    "(R0_rect": turned(pitch=-0.25, yaw=0.5, roll=0.6),
    "(yaw)": turned(yaw=1.0),
    "(pitch)": turned(pitch=-1.0),
    "to the right": turned(right=-0.2),
    "downwards": turned(down=0.2),
}


@pytest.mark.filterwarnings("ignore:T_cam_lidar of")
@pytest.mark.parametrize("words", CAMERA_FAULTS)
def test_a_fault_of_a_camera_is_named(keyframes, words):
    report = kit.doctor(two_cameras(with_camera(keyframes, CAMERA_FAULTS[words])))
    found = [f for f in report.findings if f.level == "problem" and f.subject == CAMERA]
    assert any(words in finding.text for finding in found), report
    assert all(finding.fix for finding in found)
    others = {f.subject for f in report.problems} - {CAMERA, "all cameras"}
    assert not others and report.exit_code == 1


def test_interchanged_cameras_are_named(keyframes):
    def of_other(camera, keyframe):
        other = OTHER if camera.name == CAMERA else CAMERA
        return replace(camera, T_cam_lidar=keyframe.cameras[other].T_cam_lidar)

    swapped = with_camera(keyframes, of_other)
    swapped = [
        replace(k, cameras={**k.cameras, OTHER: of_other(full.cameras[OTHER], full)})
        for k, full in zip(swapped, keyframes, strict=True)
    ]
    report = kit.doctor(two_cameras(swapped))
    texts = {f.subject: f.text for f in report.problems}
    assert f"are those of {OTHER}" in texts[CAMERA]
    assert f"are those of {CAMERA}" in texts[OTHER]


def test_the_street_itself_is_clean(keyframes):
    report = kit.doctor(keyframes)
    assert report.problems == () and report.exit_code == 0
    assert {f.subject for f in report.findings if f.level == "warning"} <= set()
    verdicts = [camera.alignment.verdict for camera in report.cameras.values()]
    assert "shifted" not in verdicts and verdicts.count("aligned") >= 3


def test_the_correction_corrects_the_extrinsics(keyframes):
    report = kit.doctor(two_cameras(with_camera(keyframes, turned(yaw=1.0))))
    alignment = report.cameras[CAMERA].alignment
    corrected = alignment.T_correction @ kit.doctor.motion(yaw=1.0)
    turn = np.degrees(np.arccos(np.clip((corrected[:3, :3].trace().item() - 1) / 2, -1, 1)))
    assert turn < 0.35 and corrected[:3, 3].norm() < 0.1


def late(camera, keyframe, keyframes, offset):
    poses = Poses(
        torch.tensor([k.timestamp for k in keyframes]),
        torch.stack([k.T_global_lidar for k in keyframes]),
    )
    return shift_camera(camera, keyframe, poses, offset)


def test_a_clock_offset_is_named(keyframes):
    faulty = with_camera(keyframes, lambda c, k: late(c, k, keyframes, -0.15))
    report = kit.doctor(two_cameras(faulty))
    (finding,) = [f for f in report.problems if f.subject == CAMERA]
    assert "clock offset" in finding.text or "clock is off by" in finding.text
    assert abs(report.cameras[CAMERA].alignment.clock.amount - 0.15) <= 0.03


def test_a_turned_lidar_is_found_by_all_cameras_together(keyframes):
    turn = kit.doctor.motion(roll=1.0)  # about z of the lidar frame
    points = kit.geometry.transform_points(turn, keyframes[0].points).float()
    report = kit.doctor(replace(keyframes[0], points=points))
    (finding,) = [f for f in report.problems if f.subject == "all cameras"]
    assert "about z" in finding.text and report.rig.name == "yaw"


SHUFFLED = torch.from_numpy(np.random.default_rng(0).permutation(100_000))


def scan_fault(change):
    return lambda keyframes: [replace(k, **change(k, i)) for i, k in enumerate(keyframes)]


def duplicated(k, _):
    index = torch.cat([torch.arange(len(k.points)), torch.arange(0, len(k.points), 20)])
    rows = {name: getattr(k, name)[index] for name in ("points", "intensity", "labels")}
    return rows | {"row_in_file": None, "num_rows_in_file": None, "annotations": None}


def emptied(k, _):
    points = k.points.clone()
    points[::10] = 0
    return {"points": points}


SCAN_FAULTS = {
    ("points", "z seems to point down"): lambda k, _: {
        "points": k.points * torch.tensor([1.0, -1, -1])
    },
    ("points", "y seems to be the vertical axis"): lambda k, _: {
        "points": k.points[:, [0, 2, 1]] * torch.tensor([1.0, 1, -1])
    },
    ("points", "unit is not metres"): lambda k, _: {"points": k.points * 80},
    ("points", "duplicates"): duplicated,
    ("points", "slots without a return"): emptied,
    ("intensity", "another unit"): lambda k, _: {"intensity": k.intensity * 257},
    ("intensity", "scans have different units"): lambda k, i: {
        "intensity": k.intensity / (255 if i == 1 else 1)
    },
    ("intensity", "the scans have none"): lambda k, _: {"intensity": torch.zeros(len(k.points))},
    ("intensity", "negative"): lambda k, _: {"intensity": k.intensity - 30},
    ("labels", "another order"): lambda k, _: {
        "labels": k.labels[SHUFFLED[SHUFFLED < len(k.points)]]
    },
    ("labels", "of the points have a class"): lambda k, _: {
        "labels": torch.where(torch.arange(len(k.points)) < 500, k.labels, kit.IGNORE)
    },
}


@pytest.mark.parametrize("subject, words", SCAN_FAULTS)
def test_a_fault_of_scans_or_labels_is_named(keyframes, subject, words):
    without_images = [replace(k, cameras={}) for k in keyframes]
    report = kit.doctor(scan_fault(SCAN_FAULTS[subject, words])(without_images))
    found = [f for f in report.findings if f.subject == subject and f.level != "note"]
    assert any(words in finding.text for finding in found), report


def test_images_that_lack_or_are_copies_are_named(keyframes):
    first = keyframes[0].cameras[CAMERA]
    copied = with_camera(keyframes, lambda c, _: replace(c, source=first.source))
    black = np.zeros((320, 640, 3), np.uint8)
    dark = with_camera(copied, lambda c, _: replace(c, source=lambda: black), "CAM_FRONT")
    del dark[0].cameras[OTHER]
    gone = with_camera(dark, lambda c, _: replace(c, source=Path("gone.png")), "CAM_BACK_LEFT")
    report = kit.doctor(gone)
    texts = {(f.subject, f.text) for f in report.findings}
    assert any(s == CAMERA and "the same image" in t for s, t in texts)
    assert any(s == "CAM_FRONT" and "one colour" in t for s, t in texts)
    assert any(s == OTHER and "1 of 2" in t for s, t in texts)
    assert any(s == "CAM_BACK_LEFT" and "gone.png" in t for s, t in texts)


def test_without_images_it_says_what_still_works(keyframes):
    report = kit.doctor([replace(k, cameras={}, labels=None) for k in keyframes])
    works = report.works()
    assert works["distillation"] == "no images" and works["linear probe, scores"] == "no labels"
    assert works["features of a student"] == "" and works["explorer, queries, discovery"] == ""
    assert report.exit_code == 0
