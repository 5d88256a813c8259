"""Real recordings: nothing is reported on them as they are, and planted errors are found."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import kit


@pytest.fixture(params=["nuscenes", "kitti"], scope="module")
def recording(request, shared_data):
    dataset = kit.open_dataset(shared_data / request.param)
    return [dataset[i] for i in range(len(dataset))]


def planted(keyframes, **amounts):
    """Two keyframes with their first two cameras, whose extrinsics are wrong."""
    error = kit.doctor.motion(**amounts)
    return [
        replace(
            keyframe,
            cameras={
                name: replace(camera, T_cam_lidar=error @ camera.T_cam_lidar)
                for name, camera in list(keyframe.cameras.items())[:2]
            },
        )
        for keyframe in keyframes[:2]
    ]


def test_a_real_recording_has_no_problem(recording):
    report = kit.doctor(recording)
    assert report.problems == ()
    assert all(camera.alignment.verdict != "shifted" for camera in report.cameras.values())


@pytest.mark.parametrize("amounts", [{"yaw": 1.0}, {"right": 0.2}], ids=["1 degree", "20 cm"])
def test_a_planted_error_is_found_in_a_real_recording(recording, amounts):
    report = kit.doctor(planted(recording, **amounts))
    (name, amount), *_ = amounts.items()
    fits = [camera.alignment.fits[name].amount for camera in report.cameras.values()]
    assert any(camera.alignment.shift for camera in report.cameras.values())
    assert any(abs(fit + amount) <= 0.3 * abs(amount) for fit in fits)


def test_an_error_of_every_camera_is_found_in_one_keyframe_of_32_beams(shared_data):
    keyframe = kit.open_dataset(shared_data / "nuscenes")[0]
    error = kit.doctor.motion(ahead=0.2)
    faulty = {
        name: replace(camera, T_cam_lidar=error @ camera.T_cam_lidar)
        for name, camera in keyframe.cameras.items()
    }
    report = kit.doctor(replace(keyframe, cameras=faulty))
    assert report.every_camera.name == "ahead"
    assert abs(report.every_camera.amount + 0.2) <= 0.06
    assert any(f.subject == "all cameras" for f in report.problems)


def calibration(file):
    """The matrices of a calibration file of KITTI by name, (3, 4) or (3, 3)."""
    lines = (line.split(":") for line in file.read_text().splitlines() if ":" in line)
    return {name: np.array(values.split(), float).reshape(3, -1) for name, values in lines}


def without_rectification(keyframe, file):
    """The camera as if its R0_rect had been forgotten."""
    known, camera = calibration(file), keyframe.cameras["image_2"]
    T = np.eye(4)
    T[:3] = known["Tr_velo_to_cam"]
    T[:3, 3] += np.linalg.solve(known["P2"][:, :3], known["P2"][:, 3])
    return replace(keyframe, cameras={"image_2": replace(camera, T_cam_lidar=torch.from_numpy(T))})


def test_a_missing_rectification_is_found_in_kitti(shared_data):
    dataset = kit.open_dataset(shared_data / "kitti/training")
    folder = shared_data / "kitti/training/calib"
    files = [folder / f"{token.removeprefix('training_')}.txt" for token in dataset.tokens]
    faulty = [without_rectification(dataset[i], file) for i, file in enumerate(files)]
    report, camera = kit.doctor(faulty), faulty[0].cameras["image_2"]
    (problem,) = report.problems
    assert "a rectifying rotation is missing (R0_rect" in problem.text
    corrected = report.cameras["image_2"].alignment.T_correction @ camera.T_cam_lidar
    turn = corrected @ kit.geometry.invert_rigid(dataset[0].cameras["image_2"].T_cam_lidar)
    assert torch.arccos((turn[:3, :3].trace() - 1) / 2).rad2deg() < 0.25  # of 0.8 degrees
