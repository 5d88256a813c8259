"""Beams of a lidar: found from elevations, kept by number, left out at random."""

import numpy as np
import pytest
import torch

from kit.student.beams import drop_beams, find_beams, keep_beams
from kit.student.scan_motion import Motion, elevations, find_motion


def scan(elevations, count=400, noise=0.005):
    """Points of a lidar with these beams, degrees; the beam of each."""
    generator = torch.Generator().manual_seed(0)
    angle = torch.tensor(elevations).repeat_interleave(count)
    beam = torch.arange(len(elevations)).repeat_interleave(count)
    angle = (angle + noise * torch.randn(len(angle), generator=generator)).deg2rad()
    turn = 6.28 * torch.rand(len(angle), generator=generator)
    away = 2 + 60 * torch.rand(len(angle), generator=generator)
    flat = away * angle.cos()
    points = torch.stack([flat * turn.cos(), flat * turn.sin(), away * angle.sin()], 1)
    order = torch.randperm(len(points), generator=generator)
    return points[order], beam[order]


def test_the_elevation_by_hand():
    points = np.array([[3.0, 4.0, 5.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    assert elevations(points).tolist() == pytest.approx([45, 0, -90], abs=1e-4)
    # Measured behind the lidar, half a turn after the start, when it was 1 m further back.
    point = np.array([[0.0, -4.0, 3.0]])
    assert elevations(point, Motion(0, 2, 0, 1)) == pytest.approx([45])


def moving_scan(drive, start, clockwise):
    """A rotating lidar of 40 beams between a road and round walls, in the frame of its end."""
    beam, turn = np.meshgrid(np.arange(40), np.arange(720) / 720, indexing="ij")
    beam, time = beam.ravel(), turn.ravel()  # 0 to 1 in a rotation
    angle = 2 * np.pi * (start + (time if clockwise else -time))
    up = np.radians(-24 + 0.8 * beam)
    ray = np.stack([np.sin(angle) * np.cos(up), np.cos(angle) * np.cos(up), np.sin(up)], 1)
    wall = (12 + 10 * np.sin(7 * angle) ** 2) / np.cos(up)
    with np.errstate(divide="ignore"):
        length = np.where(ray[:, 2] < 0, np.minimum(wall, -1.8 / ray[:, 2]), wall)
    points = ray * length[:, None] - (1 - time[:, None]) * np.array([*drive, 0])
    return torch.from_numpy(points).float(), torch.from_numpy(beam)


@pytest.mark.parametrize(
    ("drive", "start", "clockwise"),
    [((0.0, 0.8), 0.7, True), ((1.3, 0.0), 0.5, True), ((0.05, 0.6), 0.2, False)],
)
def test_the_beams_of_a_moving_lidar_are_found(drive, start, clockwise):
    points, beam = moving_scan(drive, start, clockwise)
    motion = find_motion(points)
    driven = np.array([motion.x, motion.y]) * (1 if clockwise else -1)
    assert driven == pytest.approx(drive, abs=0.1)
    assert float((find_beams(points, 40) == beam).float().mean()) > 0.95
    assert float((find_beams(points) == beam).float().mean()) > 0.95


def test_a_lidar_at_rest_has_no_motion():
    points, beam = moving_scan((0.0, 0.0), 0.0, True)
    assert find_motion(points) == Motion()
    assert torch.equal(find_beams(points), beam)


def test_the_beams_of_a_real_scan_are_those_of_its_file(shared_data):
    (file,) = (shared_data / "nuscenes" / "samples" / "LIDAR_TOP").glob("*.bin")
    rows = torch.from_numpy(np.fromfile(file, np.float32).reshape(-1, 5))
    rows = rows[rows[:, :3].norm(dim=1) > 1.5]
    for number in (32, None):
        right = find_beams(rows[:, :3], number) == rows[:, 4].long()
        assert float(right.float().mean()) > 0.98


@pytest.mark.parametrize("known", [True, False])
def test_uneven_beams_are_found(known):
    elevations = [-25.0, -19.0, -14.0, -6.0, *(-5 + 0.33 * i for i in range(20)), 8.0, 15.0]
    points, beam = scan(elevations)
    assert torch.equal(find_beams(points, len(elevations) if known else None), beam)


def test_every_second_beam():
    points, beam = scan([float(e) for e in range(-16, 16)])
    kept = keep_beams(points, 2, 32)
    assert torch.equal(kept, beam % 2 == 0)
    assert torch.equal(keep_beams(points, 4, 32, first=3), beam % 4 == 3)
    assert keep_beams(points, 1).all()


def test_half_or_a_quarter_is_left_with_the_probability():
    points, _ = scan([float(e) for e in range(-16, 16)], count=50)
    ratios = [
        float(drop_beams(points, 0.6, torch.Generator().manual_seed(seed)).float().mean())
        for seed in range(60)
    ]
    assert {round(ratio, 2) for ratio in ratios} == {0.25, 0.5, 1.0}
    assert 0.4 < sum(ratio < 1 for ratio in ratios) / 60 < 0.8


def test_a_scan_without_peaks_is_one_beam_and_bad_input_is_refused():
    assert find_beams(torch.ones(3, 3)).tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="beams need points and a beam, got 0"):
        find_beams(torch.zeros(0, 3))
    with pytest.raises(ValueError, match="every must be at least 1"):
        keep_beams(torch.ones(3, 3), 0)
