"""Foreground on scenes made by hand, where it is known."""

import math

import numpy as np
import pytest
import torch
from handmade import block, features, ground, shell

from kit.data.classes import NUSCENES
from kit.data.ground import height_above_ground
from kit.data.keyframe import Keyframe, Sensor
from kit.discover.columns import top_of_column
from kit.discover.foreground import (
    background_seed,
    cluster_score,
    find_foreground,
    principal_component_score,
    refine,
    seed_score,
)
from kit.discover.settings import DiscoverConfig
from kit.discover.shape import Geometry, height_band_score, shape_score
from kit.evaluate.metrics import average_precision
from kit.features.spaces import Space

KINDS = ("ground", "car", "wall")


def scene(slope=0.0):
    """Ground, a car, a wall; and the kind of each point."""
    parts = [ground(), shell(5.0, 5.0, count=1500), shell(0.0, 12.0, 30.0, 0.4, 6.0, count=3000)]
    points = torch.cat(parts)
    points[:, 2] += slope * points[:, 0]
    return points, torch.cat([torch.full((len(p),), i) for i, p in enumerate(parts)])


def featured(kind, noise=0.25, seed=0):
    """Features that separate the kinds, with noise."""
    generator = torch.Generator().manual_seed(seed)
    feat = torch.eye(6)[kind] + noise * torch.randn(len(kind), 6, generator=generator)
    return features(feat.tolist(), space=Space("a", 6, "a"))


@pytest.mark.parametrize("slope", [0.0, 0.1])
def test_heights_are_over_the_ground_even_on_a_slope(slope):
    points, kind = scene(slope)
    height = height_above_ground(points)
    assert height[kind == 0].abs().max() < 0.05
    assert height[kind == 1].max() == pytest.approx(1.5, abs=0.1)
    assert height[kind == 2].max() == pytest.approx(6.0, abs=0.1)


def test_few_points_have_heights_over_their_lowest():
    points = torch.tensor([[0.0, 0, -1], [1, 1, 2]])
    assert height_above_ground(points).tolist() == [0.0, 3.0]


def test_the_top_of_a_wall_is_high_above_its_foot():
    points, kind = scene()
    top = top_of_column(points, height_above_ground(points))
    low_wall = (kind == 2) & (points[:, 2] < -1)
    assert top[low_wall].median() > 4 and top[kind == 1].max() < 2
    beside = torch.tensor([[1.0, 13.0, -1.0]])  # 0.8 m behind the wall, more than a cell
    near = torch.tensor([[1.0, 12.6, -1.0]])
    for point, high in ((near, True), (beside, False)):
        both = torch.cat([points, point])
        assert (top_of_column(both, height_above_ground(both))[-1] > 4) == high
    far = torch.cat([points, torch.tensor([[1e6, -1e6, 3.0]])])
    assert top_of_column(far, height_above_ground(far)).isfinite().all()


def test_shape_alone_finds_the_car():
    points, kind = scene()
    geometry = Geometry.of(points)
    score = shape_score(geometry)
    assert (score[kind == 0] <= 0).all() and (score[kind == 2] <= 0).float().mean() > 0.9
    assert (score[(kind == 1) & (geometry.height > DiscoverConfig().min_height)] > 0).all()


def test_a_hedge_is_standing_but_rough():
    hedge = block(-6.0, 3.0, 6.0, 1.5, 1.6, count=1500)
    points = torch.cat([scene()[0], hedge])
    geometry = Geometry.of(points)
    mine = torch.arange(len(points)) >= len(points) - len(hedge)
    high = geometry.height > DiscoverConfig().min_height
    assert geometry.standing[mine & high].all()
    assert (shape_score(geometry)[mine & high] == -1).all()
    assert (shape_score(geometry)[(points[:, 0] > 3) & (points[:, 1] < 6) & high] > 0).all()


def test_components_are_foreground_as_a_whole_or_not_at_all():
    points, kind = scene()
    f, geometry = featured(kind, noise=1.5), Geometry.of(points)
    alone = refine(f, shape_score(geometry))
    whole = refine(f, shape_score(geometry), component=geometry.component)
    car = geometry.component[kind == 1].mode().values
    assert whole[geometry.component == car].unique().numel() == 1
    assert average_precision(whole, kind == 1) > average_precision(alone, kind == 1)


def test_a_height_band_includes_the_foot_of_the_wall():
    points, kind = scene()
    geometry = Geometry.of(points)
    band = average_precision(height_band_score(geometry.height), kind == 1)
    assert band < average_precision(shape_score(geometry), kind == 1)


def test_each_kind_of_seed_is_background():
    points, kind = scene()
    f, geometry = featured(kind), Geometry.of(points)
    assert background_seed(f, "ground", geometry)[0] > 0.9
    typical = background_seed(f, "typical")
    assert typical.argmax() == 0  # most points are ground
    attention = torch.rand(len(f), generator=torch.Generator().manual_seed(0)) + 1
    attention[4] = 0.0
    assert torch.equal(background_seed(f, "attention", attention=attention), f.unit[4])
    for kind, given in (("ground", "geometry"), ("attention", "attention")):
        with pytest.raises(ValueError, match=f'kind="{kind}" needs {given}='):
            background_seed(f, kind)
    with pytest.raises(ValueError, match="kind must be"):
        background_seed(f, "random")


def test_foreground_is_what_does_not_resemble_the_seed():
    feat = [[1.0, 0.0, 0.0], [0.4, math.sqrt(1 - 0.16), 0.0], [0.2, 0.0, math.sqrt(1 - 0.04)]]
    score = seed_score(features(feat), torch.tensor([2.0, 0.0, 0.0]), threshold=0.3)
    assert score.tolist() == pytest.approx([-0.7, -0.1, 0.1], abs=1e-6)
    by_otsu = seed_score(features(feat * 9), torch.tensor([1.0, 0.0, 0.0]))
    assert (by_otsu[:3] > 0).tolist() == [False, True, True]


def test_centring_helps_where_all_features_have_a_large_part_in_common():
    points, kind = scene()
    shifted = featured(kind, noise=0.1).feat + 5.0
    f = features(shifted.tolist(), space=featured(kind).space)
    seed = background_seed(f, "ground", Geometry.of(points))
    plain, centred = seed_score(f, seed), seed_score(f, seed, centred=True)
    assert (centred[kind == 1] > 0).all() and (centred[kind == 0] < 0).all()
    assert average_precision(centred, kind > 0) >= average_precision(plain, kind > 0)


def test_the_principal_component_is_numpys_and_points_to_standing_things():
    points, kind = scene()
    wanted = kind == 1
    f = featured(torch.where(wanted, 1, 0))
    score = principal_component_score(f, Geometry.of(points))
    centred = (f.unit - f.unit.mean(0)).numpy()
    theirs = centred @ np.linalg.svd(centred, full_matrices=False)[2][0]
    assert abs(np.corrcoef(score, theirs)[0, 1]) == pytest.approx(1, abs=1e-4)
    assert score[wanted].mean() > 0 > score[~wanted].mean()
    flat = Geometry.of(ground())
    alone = principal_component_score(featured(torch.arange(len(ground())) // 6000), flat)
    assert alone.isfinite().all()


@pytest.mark.parametrize("method", ["clusters", "refined", "discover"])
def test_features_find_the_car(method):
    points, kind = scene()
    f, geometry = featured(kind), Geometry.of(points)
    keyframe = Keyframe(
        "t", "s", points, torch.zeros(len(points)), {}, Sensor("l", 0.0, 1.0), NUSCENES
    )
    score = {
        "clusters": lambda: cluster_score(f, geometry),
        "refined": lambda: refine(f, shape_score(geometry)),
        "discover": lambda: find_foreground(keyframe, f),
    }[method]()
    assert average_precision(score, kind == 1) > 0.9
    assert ((score > 0) == (kind == 1)).float().mean() > 0.97


def test_refining_corrects_initial_scores_with_mistakes():
    _, kind = scene()
    f, wanted = featured(kind), kind == 1
    flipped = torch.rand(len(kind), generator=torch.Generator().manual_seed(1)) < 0.2
    initial = torch.where(wanted ^ flipped, 1.0, -1.0)
    assert average_precision(refine(f, initial), wanted) > average_precision(initial, wanted) + 0.3


def test_later_rounds_train_on_the_scores_of_the_round_before():
    _, kind = scene()
    f, initial = featured(kind), torch.where(kind == 1, 1.0, -1.0)
    once = refine(f, initial)
    twice = refine(f, initial, config=DiscoverConfig(rounds=2))
    by_hand = refine(f, torch.where(once > 0, 1.0, -1.0), config=DiscoverConfig(seed=1))
    assert torch.equal(twice, by_hand) and not torch.equal(twice, once)
    assert torch.equal(refine(f, initial, config=DiscoverConfig(rounds=0)), initial)


def test_undecided_initial_scores_are_not_trained_on():
    _, kind = scene()
    f = featured(kind)
    initial = torch.where(kind == 1, 1.0, torch.where(kind == 2, -1.0, -0.1))
    known = kind > 0
    alone = features(f.feat[known].tolist(), space=f.space)
    assert torch.allclose(refine(f, initial)[known], refine(alone, initial[known]), atol=1e-4)


@pytest.mark.parametrize("value", [1.0, -1.0])
def test_scores_of_one_side_are_not_refined(value):
    _, kind = scene()
    everywhere = torch.full((len(kind),), value)
    assert torch.equal(refine(featured(kind), everywhere), everywhere)
