from dataclasses import replace

import numpy as np
import pytest
import small_root
import torch
from scipy.spatial.transform import Rotation

import kit
from kit.data.clocks import ClockOffsets, Poses, find_poses
from kit.data.wrapped import Wrapped
from kit.street.rigs import RIGS

SECOND = 1_000_000


def pose(time):
    """A car that drives a circle of 20 m radius at 10 m/s."""
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("z", 0.5 * time).as_matrix()
    T[:3, 3] = [20 * np.sin(0.5 * time), 20 - 20 * np.cos(0.5 * time), 0]
    return torch.from_numpy(T)


def poses(*times):
    return Poses(
        torch.tensor([round(SECOND * time) for time in times]),
        torch.stack([pose(time) for time in times]),
    )


@pytest.mark.parametrize("time", [-0.05, 0.0, 0.03, 0.07, 0.1, 0.15, 0.25])
def test_poses_in_between_and_a_little_outside(time):
    T = poses(0.1, 0.0, 0.2).at(SECOND * time)
    np.testing.assert_allclose(T[:3, :3], pose(time)[:3, :3], atol=1e-9)
    np.testing.assert_allclose(T[:3, 3], pose(time)[:3, 3], atol=0.02)


def test_times_without_poses_are_refused():
    with pytest.raises(ValueError, match="at least two times, got 1"):
        poses(0.0, 0.0).at(0)
    with pytest.raises(ValueError, match=r"3\.0 s apart, at most 2"):
        poses(0.0, 3.0).at(SECOND)
    with pytest.raises(ValueError, match=r"5\.0 s outside"):
        poses(0.0, 0.1).at(-5 * SECOND)


def street(delay):
    """A street whose front camera takes its image `delay` seconds after the scan."""
    rig = RIGS["nuscenes"]
    front = replace(rig.cameras["CAM_FRONT"], delay=delay)
    rig = replace(rig, cameras={"CAM_FRONT": front})
    return kit.Street(1, 2, (28, 56), sensor=rig, density=0.0)


@pytest.mark.parametrize("offset", [0.05, -0.08])
def test_an_offset_gives_the_extrinsics_of_the_true_time(offset):
    """The time stamps say 10 ms, the images were taken `offset` later."""
    said, true = street(0.01), street(0.01 + offset)
    corrected = kit.open_dataset(said, clock_offsets={"CAM_FRONT": offset})
    for index in range(2):
        T, expected = (d[index].cameras["CAM_FRONT"].T_cam_lidar for d in (corrected, true))
        assert (said[index].cameras["CAM_FRONT"].T_cam_lidar - expected).abs().max() > 0.3
        torch.testing.assert_close(T, expected, atol=1e-3, rtol=0)
    assert "CAM_FRONT +0.050 s" in repr(corrected) or offset < 0
    assert corrected.content() != said.content() and isinstance(corrected, kit.data.Dataset)


class Keyframes(Wrapped):
    """The keyframes of another data set, without its poses between them."""

    def __init__(self, dataset, poses=True):
        super().__init__(dataset)
        self.has_poses = poses

    def __getitem__(self, index):
        keyframe = self.dataset[index]
        return keyframe if self.has_poses else replace(keyframe, T_global_lidar=None)


def test_neighbours_give_the_poses_where_the_data_set_has_no_others():
    said, true = street(0.01), street(0.06)
    assert len(find_poses(Keyframes(said), 0).timestamps) == 2
    corrected = ClockOffsets(Keyframes(said), {"CAM_FRONT": 0.05})
    T, expected = (d[0].cameras["CAM_FRONT"].T_cam_lidar for d in (corrected, true))
    torch.testing.assert_close(T, expected, atol=1e-2, rtol=0)


def test_unknown_poses_cameras_and_units_are_named():
    data = street(0.01)
    with pytest.raises(ValueError, match="street-s000-k00.*clock_offsets.*two times, got 0"):
        ClockOffsets(Keyframes(data, poses=False), {"CAM_FRONT": 0.05})[0]
    with pytest.raises(ValueError, match="no camera CAM_LEFT; it has CAM_FRONT"):
        ClockOffsets(data, {"CAM_LEFT": 0.05})
    with pytest.raises(ValueError, match="are these milliseconds"):
        ClockOffsets(data, {"CAM_FRONT": 50.0})


def test_cameras_that_are_not_named_stay_as_they_are():
    data = kit.Street(1, 1, (28, 56))
    corrected = kit.open_dataset(data, clock_offsets={"CAM_FRONT": 0.05})
    was, now = data[0].cameras, corrected[0].cameras
    assert torch.equal(was["CAM_BACK"].T_cam_lidar, now["CAM_BACK"].T_cam_lidar)
    assert not torch.equal(was["CAM_FRONT"].T_cam_lidar, now["CAM_FRONT"].T_cam_lidar)


def test_wrapped_and_mixed_data_sets_keep_poses_and_what_is_missing(tmp_path):
    root = small_root.write_root(tmp_path, small_root.tables(keyframes=2))
    for image in root.glob("samples/CAM_*/*"):
        image.unlink()
    data = kit.open_dataset(root)
    assert data.missing["images"] == 4
    wrapped = [
        ClockOffsets(data, {}),
        kit.open_dataset(data, sweeps=1),
        kit.open_dataset([data, kit.open_dataset("street", num_scenes=1)]),
    ]
    for each in wrapped:
        assert torch.equal(each.poses(1).timestamps, data.poses(1).timestamps)
        (finding,) = (f.text for f in kit.doctor(each, most=2).findings if f.subject == "files")
        assert finding.startswith("missing: 4 images")
    assert wrapped[2].missing[f"images of {data.name}"] == 4
