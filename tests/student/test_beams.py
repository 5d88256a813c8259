"""Beams of a lidar: found from elevations, kept by number, left out at random."""

import pytest
import torch

from kit.student.beams import drop_beams, elevation, find_beams, keep_beams


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
    points = torch.tensor([[3.0, 4.0, 5.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    assert elevation(points).tolist() == pytest.approx([45, 0, -90], abs=1e-4)


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
