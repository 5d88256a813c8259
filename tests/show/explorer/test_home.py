"""The first view: from behind the sensor, whichever axis points forward."""

import numpy as np
import pytest
import torch
from explorer_scene import camera, keyframe
from hypothesis import given
from hypothesis import strategies as st

import kit
from kit.data.keyframe import Keyframe
from kit.show.explorer.home import first_view, forward_azimuth
from kit.show.scene import Viewpoint


def road(seed: int, azimuth: float, low: float = -60.0) -> np.ndarray:
    """Points (N, 3) of a road of 16 m between walls, from `low` to 60 m along its direction."""
    rng = np.random.default_rng(seed)
    along, across = rng.uniform(low, 60, 3000), rng.uniform(-8, 8, 3000)
    turn = np.radians(azimuth)
    ahead, right = np.array([np.sin(turn), np.cos(turn)]), np.array([np.cos(turn), -np.sin(turn)])
    height = np.where(np.abs(across) > 7, rng.uniform(-1.7, 4, 3000), -1.7)
    return np.c_[along[:, None] * ahead + across[:, None] * right, height]


def turned(azimuth: float, other: float) -> float:
    """Degrees between two directions."""
    return abs((azimuth - other + 180) % 360 - 180)


@given(st.integers(0, 2**31), st.sampled_from([0.0, 90.0]), st.floats(-8, 8))
def test_points_alone_are_seen_along_their_road_from_behind(seed, forward, off):
    frame = kit.keyframe(road(seed, forward + off))
    view = first_view([frame])
    assert view["azimuth"] == forward
    eye = Viewpoint.orbit(**view).eye
    behind = -np.array([np.sin(np.radians(forward)), np.cos(np.radians(forward))])
    assert eye[:2] @ behind > 5 and eye[2] > 5


@given(st.integers(0, 2**31), st.sampled_from([0.0, 90.0, 180.0, -90.0]))
def test_points_on_one_side_are_in_front(seed, forward):
    frame = kit.keyframe(road(seed, forward, low=4.0))
    assert turned(forward_azimuth([frame]), forward) == 0


@given(st.floats(-180, 180), st.integers(1, 4), st.integers(0, 2**31))
def test_cameras_of_any_name_decide_by_their_mean_direction(forward, count, seed):
    spread = np.linspace(-50, 50, count) if count > 1 else np.zeros(1)
    cameras = {
        f"image_{i}": camera(f"image_{i}", forward + off, (9, 9, 9)) for i, off in enumerate(spread)
    }
    frame = kit.keyframe(road(seed, 0.0))
    made = Keyframe(**{**vars(frame), "cameras": cameras})
    assert turned(forward_azimuth([made]), forward) < 1e-6


def test_a_camera_called_front_goes_before_the_mean_and_before_the_points():
    frame = keyframe(names=("SIDE", "CAM_FRONT"))  # they look 0 and 70 degrees to the right of y
    assert forward_azimuth([frame]) == pytest.approx(70)


@given(st.floats(-180, 180), st.floats(-180, 180), st.booleans())
def test_the_motion_between_keyframes_is_forward(forward, heading, reversed_in_time):
    points = torch.tensor(road(0, 0.0))
    turn = np.radians(heading)
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    way = np.array([np.sin(np.radians(forward)), np.cos(np.radians(forward)), 0.0])
    frames = []
    for i in range(4):
        shift = np.eye(4)
        shift[:3, 3] = 0.3 * i * way
        time = 1000 - i if reversed_in_time else 1000 + i
        frames.append(kit.keyframe(points, T_global_lidar=pose @ shift, timestamp=time))
    expected = forward + 180 if reversed_in_time else forward
    assert turned(forward_azimuth(frames), expected) < 1e-3


def test_a_few_points_have_a_view():
    assert first_view([kit.keyframe(np.zeros((1, 3)))])["azimuth"] == 90
