"""Components and surface variation, against scikit-learn and surfaces that are known."""

import pytest
import torch
from handmade import block, ground
from sklearn.cluster import DBSCAN

from kit.data.ground import height_above_ground
from kit.discover.components import connected_components, mean_of_components, surface_variation
from kit.discover.settings import DiscoverConfig


def test_two_blocks_are_two_components_and_the_ground_is_none():
    parts = [ground(), block(5.0, 5.0, count=2000), block(-6.0, 3.0, angle=0.5, count=2000)]
    points = torch.cat(parts)
    kind = torch.cat([torch.full((len(p),), i) for i, p in enumerate(parts)])
    component = connected_components(points, height_above_ground(points))
    assert (component[kind == 0] == -1).all()
    high = points[:, 2] > -1.4
    numbers = [component[(kind == i) & high].unique() for i in (1, 2)]
    assert [len(n) for n in numbers] == [1, 1] and numbers[0] != numbers[1]


def test_components_are_those_of_scikit_learn():
    """Near the lidar the gap is the same everywhere; in groups of ten all neighbours are used."""
    generator = torch.Generator().manual_seed(0)
    centres = 5 * torch.randn(30, 1, 3, generator=generator)
    points = (centres + 0.3 * torch.randn(30, 10, 3, generator=generator)).reshape(-1, 3)
    points = points / points.norm(dim=1).max() * 15
    ours = connected_components(points, torch.ones(len(points)))
    theirs = torch.from_numpy(
        DBSCAN(eps=DiscoverConfig().component_gap, min_samples=1).fit_predict(points.numpy())
    )
    same = ours[:, None] == ours[None]
    agree = (same == (theirs[:, None] == theirs[None])).float().mean()
    assert agree > 0.995 and ours.unique().numel() > 5


@pytest.mark.parametrize(("distance", "count"), [(10.0, 2), (40.0, 1)])
def test_rings_far_away_are_joined_by_a_larger_gap(distance, count):
    """Two rings 0.6 m apart: less than 0.025 * 40 m, more than 0.5 m."""
    along = torch.arange(0, 2, 0.1)
    ring = torch.stack([along, torch.full_like(along, distance), torch.zeros_like(along)], 1)
    both = torch.cat([ring, ring + torch.tensor([0.0, 0.0, 0.6])])
    assert connected_components(both, torch.ones(len(both))).unique().numel() == count


def test_a_mean_by_hand():
    score, component = torch.tensor([1.0, 3.0, 5.0, 7.0]), torch.tensor([4, 4, -1, 0])
    assert mean_of_components(score, component).tolist() == [2.0, 2.0, 5.0, 7.0]
    assert torch.equal(mean_of_components(score, torch.full((4,), -1)), score)


def test_planes_in_any_rotation_are_smooth_and_leaves_are_rough():
    generator = torch.Generator().manual_seed(0)
    flat = torch.rand(2000, 2, generator=generator)
    rotation = torch.linalg.qr(torch.randn(3, 3, generator=generator))[0]
    plane = torch.cat([flat, torch.zeros(2000, 1)], 1) @ rotation.T + 5
    assert surface_variation(plane).max() < 1e-4
    leaves = surface_variation(torch.rand(2000, 3, generator=generator))
    assert 0.1 < leaves.median() < 1 / 3 and leaves.max() <= 1 / 3


def test_a_wall_near_the_lidar_is_smooth_in_spite_of_noise():
    """Twenty thousand points on a square metre: their distance is less than the 2 cm of noise."""
    generator = torch.Generator().manual_seed(0)
    wall = torch.rand(20_000, 3, generator=generator)
    wall[:, 2] = 0.02 * torch.randn(20_000, generator=generator)
    assert surface_variation(wall).mean() < 0.05


def test_a_cube_has_the_variation_computed_by_hand():
    """Eight corners: the same variance along all axes, so a third."""
    corners = torch.tensor([[a, b, c] for a in (0.0, 1) for b in (0.0, 1) for c in (0.0, 1)])
    assert surface_variation(corners).tolist() == pytest.approx([1 / 3] * 8)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_points_are_smooth_components(count):
    points = torch.arange(3.0 * count).reshape(count, 3)
    assert surface_variation(points).tolist() == pytest.approx([0.0] * count, abs=1e-6)
    assert len(connected_components(points, torch.ones(count))) == count
    assert (connected_components(points, torch.zeros(count)) == -1).all()
