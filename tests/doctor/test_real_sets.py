"""Real recordings: nothing is reported on them as they are, and planted errors are found."""

from dataclasses import replace

import pytest

import kit


@pytest.fixture(params=["nuscenes", "kitti"])
def recording(request, shared_data):
    dataset = kit.open_dataset(shared_data / request.param)
    return [dataset[i] for i in range(len(dataset))]


def planted(keyframes, **amounts):
    error = kit.doctor.motion(**amounts)
    return [
        replace(
            keyframe,
            cameras={
                name: replace(camera, T_cam_lidar=error @ camera.T_cam_lidar)
                for name, camera in list(keyframe.cameras.items())[:2]
            },
        )
        for keyframe in keyframes
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
