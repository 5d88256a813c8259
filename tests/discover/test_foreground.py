"""Discovery on scenes made by hand, where the foreground is known."""

import math

import numpy as np
import pytest
import torch
from test_objects import block, ground
from test_spaces import features

from kit.data.classes import NUSCENES
from kit.data.keyframe import Keyframe, Sensor
from kit.discover.foreground import (
    LOW,
    Geometry,
    background_seed,
    by_clusters,
    by_shape,
    find_foreground,
    first_component,
    from_seed,
    height_band,
    otsu,
    refine,
)
from kit.discover.ground import height_above_ground, top_of_column
from kit.evaluate.metrics import average_precision

KINDS = ("ground", "car", "wall")


def shell(x, y, length=4.0, width=1.8, height=1.5, count=400, seed=0):
    """Points on the sides and the roof of an upright block that stands on the ground."""
    size, origin = torch.tensor([length, width, height]), torch.tensor([x, y, height / 2 - 1.8])
    unit = (block(x, y, length, width, height, count=count, seed=seed) - origin) / size
    to_side = 0.5 - unit.abs()
    to_side[:, 2] = torch.where(unit[:, 2] > 0, to_side[:, 2], torch.inf)
    nearest = to_side.argmin(1, keepdim=True)
    unit.scatter_(1, nearest, 0.5 * unit.gather(1, nearest).sign())
    return unit * size + origin


def scene(slope=0.0):
    """Ground, a car, a wall; and which kind each point is."""
    parts = [ground(), shell(5.0, 5.0, count=1500), shell(0.0, 12.0, 30.0, 0.4, 6.0, count=3000)]
    points = torch.cat(parts)
    points[:, 2] += slope * points[:, 0]
    return points, torch.cat([torch.full((len(p),), i) for i, p in enumerate(parts)])


def featured(kind, noise=0.25, seed=0):
    """Features that tell the kinds apart, with noise."""
    generator = torch.Generator().manual_seed(seed)
    feat = torch.eye(6)[kind] + noise * torch.randn(len(kind), 6, generator=generator)
    from kit.features.spaces import Space

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
    beside = torch.tensor([[1.0, 13.0, -1.0]])  # 0.8 m behind the wall: half a metre is looked at
    near = torch.tensor([[1.0, 12.6, -1.0]])
    for point, high in ((near, True), (beside, False)):
        both = torch.cat([points, point])
        assert (top_of_column(both, height_above_ground(both))[-1] > 4) == high
    far = torch.cat([points, torch.tensor([[1e6, -1e6, 3.0]])])
    assert top_of_column(far, height_above_ground(far)).isfinite().all()


def test_shape_alone_finds_the_car():
    points, kind = scene()
    geometry = Geometry.of(points)
    score = by_shape(geometry)
    assert (score[kind == 0] <= 0).all() and (score[kind == 2] <= 0).float().mean() > 0.9
    assert (score[(kind == 1) & (geometry.height > LOW)] > 0).all()


def test_a_hedge_is_low_and_free_but_rough():
    hedge = block(-6.0, 3.0, 6.0, 1.5, 1.6, count=1500)
    points = torch.cat([scene()[0], hedge])
    geometry = Geometry.of(points)
    mine = torch.arange(len(points)) >= len(points) - len(hedge)
    high = geometry.height > LOW
    assert geometry.standing[mine & high].all()
    assert (by_shape(geometry)[mine & high] == -1).all()
    assert (by_shape(geometry)[(points[:, 0] > 3) & (points[:, 1] < 6) & high] > 0).all()


def test_pieces_are_foreground_as_a_whole_or_not_at_all():
    points, kind = scene()
    f, geometry = featured(kind, noise=1.5), Geometry.of(points)
    alone = refine(f, by_shape(geometry))
    whole = refine(f, by_shape(geometry), piece=geometry.piece)
    car = geometry.piece[kind == 1].mode().values
    assert whole[geometry.piece == car].unique().numel() == 1
    assert average_precision(whole, kind == 1) > average_precision(alone, kind == 1)


def test_a_height_band_takes_the_foot_of_the_wall_too():
    points, kind = scene()
    geometry = Geometry.of(points)
    band = average_precision(height_band(geometry.height), kind == 1)
    assert band < average_precision(by_shape(geometry), kind == 1)


def test_seeds_are_what_they_say():
    points, kind = scene()
    f, geometry = featured(kind), Geometry.of(points)
    assert background_seed(f, "ground", geometry)[0] > 0.9
    typical = background_seed(f, "typical")
    assert typical.argmax() == 0  # most points are ground
    attention = torch.rand(len(f), generator=torch.Generator().manual_seed(0)) + 1
    attention[4] = 0.0
    assert torch.equal(background_seed(f, "attention", attention=attention), f.feat[4])
    for how, given in (("ground", "geometry"), ("attention", "attention")):
        with pytest.raises(ValueError, match=f'"{how}" needs {given}='):
            background_seed(f, how)
    with pytest.raises(ValueError, match="how must be"):
        background_seed(f, "random")


def test_foreground_is_the_complement_of_what_is_like_the_seed():
    feat = [[1.0, 0.0, 0.0], [0.4, math.sqrt(1 - 0.16), 0.0], [0.2, 0.0, math.sqrt(1 - 0.04)]]
    score = from_seed(features(feat), torch.tensor([2.0, 0.0, 0.0]), threshold=0.3)
    assert score.tolist() == pytest.approx([-0.7, -0.1, 0.1], abs=1e-6)
    by_otsu = from_seed(features(feat * 9), torch.tensor([1.0, 0.0, 0.0]))
    assert (by_otsu[:3] > 0).tolist() == [False, True, True]


def test_centring_helps_where_all_features_share_a_large_part():
    points, kind = scene()
    shifted = featured(kind, noise=0.1).feat + 5.0
    f = features(shifted.tolist(), space=featured(kind).space)
    seed = background_seed(f, "ground", Geometry.of(points))
    plain, centred = from_seed(f, seed), from_seed(f, seed, centred=True)
    assert (centred[kind == 1] > 0).all() and (centred[kind == 0] < 0).all()
    assert average_precision(centred, kind > 0) >= average_precision(plain, kind > 0)


def test_the_first_component_is_numpys_and_points_to_standing_things():
    points, kind = scene()
    wanted = kind == 1
    f = featured(torch.where(wanted, 1, 0))
    score = first_component(f, Geometry.of(points))
    centred = (f.feat - f.feat.mean(0)).numpy()
    theirs = centred @ np.linalg.svd(centred, full_matrices=False)[2][0]
    assert abs(np.corrcoef(score, theirs)[0, 1]) == pytest.approx(1, abs=1e-4)
    assert score[wanted].mean() > 0 > score[~wanted].mean()
    flat = Geometry.of(ground())
    alone = first_component(featured(torch.arange(len(ground())) // 6000), flat)
    assert alone.isfinite().all()


@pytest.mark.parametrize("method", ["clusters", "refined", "discover"])
def test_features_find_the_car(method):
    points, kind = scene()
    f, geometry = featured(kind), Geometry.of(points)
    keyframe = Keyframe(
        "t", "s", points, torch.zeros(len(points)), {}, Sensor("l", 0.0, 1.0), NUSCENES
    )
    score = {
        "clusters": lambda: by_clusters(f, geometry),
        "refined": lambda: refine(f, by_shape(geometry)),
        "discover": lambda: find_foreground(keyframe, f),
    }[method]()
    assert average_precision(score, kind == 1) > 0.9
    assert ((score > 0) == (kind == 1)).float().mean() > 0.97


def test_refining_mends_a_first_answer_with_mistakes():
    _, kind = scene()
    f, wanted = featured(kind), kind == 1
    flipped = torch.rand(len(kind), generator=torch.Generator().manual_seed(1)) < 0.2
    first = torch.where(wanted ^ flipped, 1.0, -1.0)
    assert average_precision(refine(f, first), wanted) > average_precision(first, wanted) + 0.3


def test_what_a_first_answer_does_not_know_teaches_nothing():
    _, kind = scene()
    f = featured(kind)
    first = torch.where(kind == 1, 1.0, torch.where(kind == 2, -1.0, -0.1))
    known = kind > 0
    alone = features(f.feat[known].tolist(), space=f.space)
    assert torch.allclose(refine(f, first, 1)[known], refine(alone, first[known], 1), atol=1e-4)


@pytest.mark.parametrize("value", [1.0, -1.0])
def test_all_foreground_or_all_background_comes_back_as_it_is(value):
    _, kind = scene()
    everywhere = torch.full((len(kind),), value)
    assert torch.equal(refine(featured(kind), everywhere), everywhere)


def test_otsu_splits_two_humps_and_leaves_equal_values_below():
    generator = torch.Generator().manual_seed(0)
    low, high = (torch.randn(500, generator=generator) * 0.3 + centre for centre in (-1, 2))
    assert -0.3 < otsu(torch.cat([low, high])) < 1.3
    same = torch.full((9,), 0.7)
    assert not (same > otsu(same)).any()
