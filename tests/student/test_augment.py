"""Augmentations: what they must keep and what they must change."""

import torch

from kit.student.augment import rotate_flip_scale


def draw(seed, points):
    return rotate_flip_scale(points, torch.Generator().manual_seed(seed))


def test_shape_is_kept_up_to_one_scale_between_0_9_and_1_1():
    points = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    before = torch.pdist(points)
    for seed in range(50):
        ratio = torch.pdist(draw(seed, points)) / before
        assert torch.allclose(ratio, ratio[0].expand_as(ratio), rtol=1e-4)
        assert 0.9 <= ratio[0] <= 1.1


def test_z_is_only_scaled():
    points = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, -6.0]])
    for seed in range(20):
        ratio = draw(seed, points)[:, 2] / points[:, 2]
        assert torch.allclose(ratio[0], ratio[1]) and ratio[0] > 0


def test_two_of_three_scans_are_mirrored():
    corner = torch.eye(3)
    mirrored = [torch.linalg.det(draw(seed, corner)) < 0 for seed in range(600)]
    assert 0.6 < sum(mirrored) / 600 < 0.73


def test_every_direction_is_reached():
    ahead = torch.tensor([[0.0, 1.0, 0.0]])
    turned = torch.cat([draw(seed, ahead) for seed in range(400)])
    quadrant = (turned[:, 0] > 0).long() * 2 + (turned[:, 1] > 0)
    assert torch.bincount(quadrant, minlength=4).min() > 60


def test_the_same_seed_gives_the_same_points():
    points = torch.randn(5, 3)
    assert torch.equal(draw(3, points), draw(3, points))
    assert not torch.equal(draw(3, points), draw(4, points))
