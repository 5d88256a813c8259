"""Feature maps sampled at pixels: against the published method (up-sample, index) and by hand."""

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from kit.teacher.feature_maps import FeatureMaps, merge_cameras, sample_map


def some_maps(*channels_and_cells, count=3, image_size=(64, 96)):
    generator = torch.Generator().manual_seed(0)
    layers = tuple(torch.randn(count, *shape, generator=generator) for shape in channels_and_cells)
    return FeatureMaps(layers, image_size)


def some_pixels(count, image_size, images, seed=1):
    generator = torch.Generator().manual_seed(seed)
    height, width = image_size
    uv = torch.rand(count, 2, generator=generator) * torch.tensor([width - 1e-3, height - 1e-3])
    return torch.randint(images, (count,), generator=generator), uv


def pixel_counter(image_size):
    """A map of one cell per pixel that holds the pixel's own column and row."""
    height, width = image_size
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return FeatureMaps((torch.stack([columns, rows])[None].float(),), image_size)


def test_sampling_equals_the_published_upsample_and_index(oracles):
    oracle = load_file(oracles / "teacher_targets_upsample_index.safetensors")
    maps = FeatureMaps((oracle["patch_map"],), (224, 448))
    uv = torch.stack([oracle["col"], oracle["row"]], dim=1).float()
    feat = maps.sample(oracle["batch"].long(), uv, (224, 448))
    assert torch.allclose(feat, oracle["target"], atol=1e-4)


@pytest.mark.parametrize("cells", [(4, 6), (7, 5), (1, 6), (4, 1), (64, 96)])
def test_sampling_equals_indexing_the_large_map_for_any_map_size(cells):
    maps = some_maps((5, *cells))
    image, uv = some_pixels(500, (64, 96), 3)
    uv[:4] = torch.tensor([[0.0, 0.0], [95.9, 0.0], [0.0, 63.9], [95.9, 63.9]])
    large = F.interpolate(maps.maps[0], (64, 96), mode="bilinear", align_corners=True)
    column, row = uv.long().unbind(1)
    feat = maps.sample(image, uv, (64, 96))
    assert torch.allclose(feat, large[image, :, row, column], atol=1e-5)


def test_sampling_equals_grid_sample_of_torch():
    feature_map = some_maps((5, 4, 6)).maps[0]
    image, uv = some_pixels(300, (64, 96), 3)
    feat = sample_map(feature_map, image, uv.long(), (64, 96))
    where = uv.floor() / torch.tensor([95, 63]) * 2 - 1
    for index in range(3):
        other = F.grid_sample(feature_map[index : index + 1], where[None, None], align_corners=True)
        assert torch.allclose(feat[image == index], other[0, :, 0].T[image == index], atol=1e-5)


def test_pixels_of_another_camera_size_by_hand():
    # 1600x900 to 896x448: floor(floor(3.99) * 0.56) = 1, floor(floor(1599.7) * 0.56) = 895,
    # floor(floor(450.9) * 448 / 900) = 224. Rounding down only once would give 2 for the first.
    uv = torch.tensor([[3.99, 450.9], [1599.7, 899.9], [0.2, 0.9]])
    feat = pixel_counter((448, 896)).sample(torch.zeros(3, dtype=torch.int64), uv, (900, 1600))
    assert feat.round().tolist() == [[1, 224], [895, 447], [0, 0]]


@pytest.mark.parametrize("native", [(1080, 1920), (900, 1600), (376, 1241), (100, 200)])
def test_every_column_of_a_camera_lands_on_the_exact_pixel(native):
    width = native[1]
    uv = torch.stack([torch.arange(width) + 0.5, torch.zeros(width)], dim=1)
    feat = pixel_counter((448, 896)).sample(torch.zeros(width, dtype=torch.int64), uv, native)
    assert feat[:, 0].round().tolist() == [column * 896 // width for column in range(width)]


def test_one_map_is_plain_and_several_are_unit_vectors_side_by_side():
    maps = some_maps((5, 4, 6), (3, 2, 3))
    image, uv = some_pixels(50, (64, 96), 3)
    feat = maps.sample(image, uv, (64, 96))
    assert feat.shape == (50, maps.dim) == (50, 8)
    for single, part in zip(maps.maps, feat.split([5, 3], dim=1), strict=True):
        alone = FeatureMaps((single,), (64, 96)).sample(image, uv, (64, 96))
        assert not torch.allclose(alone.norm(dim=1), torch.ones(50), atol=0.1)
        assert torch.allclose(part, alone / alone.norm(dim=1, keepdim=True), atol=1e-6)


def test_splitting_into_images_keeps_their_features():
    maps = some_maps((5, 4, 6), (3, 2, 3))
    image, uv = some_pixels(60, (64, 96), 3)
    feat = maps.sample(image, uv, (64, 96))
    for index, single in enumerate(maps.split()):
        row = (image == index).nonzero()[:, 0]
        alone = single.sample(torch.zeros_like(row), uv[row], (64, 96))
        assert torch.allclose(alone, feat[row], atol=1e-6)


def test_half_precision_changes_features_little_and_never_to_infinity():
    maps = some_maps((64, 4, 6))
    image, uv = some_pixels(200, (64, 96), 3)
    kept = maps.half().to(torch.float32)
    exact, rounded = (m.sample(image, uv, (64, 96)) for m in (maps, kept))
    assert 0 < (exact - rounded).abs().max() < 2e-3
    assert F.cosine_similarity(exact, rounded).min() > 0.99999
    assert FeatureMaps((torch.full((1, 1, 2, 2), 1e6),), (2, 2)).half().maps[0].isfinite().all()


@pytest.mark.parametrize("uv", [[96.0, 3.0], [3.0, 64.0], [-0.1, 3.0], [torch.nan, 3.0]])
def test_a_pixel_outside_the_image_is_named(uv):
    good = torch.tensor([[1.0, 1.0]])
    with pytest.raises(ValueError, match=r"1 of 2 pixels .* 64x96 .* keep only visible points"):
        some_maps((5, 4, 6)).sample(
            torch.zeros(2, dtype=torch.int64), torch.cat([good, torch.tensor([uv])]), (64, 96)
        )


def test_an_image_out_of_range_is_named():
    with pytest.raises(ValueError, match="of image 3"):
        some_maps((5, 4, 6)).sample(torch.tensor([3]), torch.ones(1, 2), (64, 96))


def test_no_pixels_give_no_features():
    nothing = torch.zeros(0, dtype=torch.int64)
    assert some_maps((5, 4, 6)).sample(nothing, torch.zeros(0, 2), (64, 96)).shape == (0, 5)
    for reduce in ("mean", "random"):
        seen, feat = merge_cameras(torch.zeros(0, 5), nothing, reduce)
        assert seen.shape == (0,) and feat.shape == (0, 5)


# Point 7 is seen twice, at right angles and with unequal lengths; point 2 once.
FEAT = torch.tensor([[3.0, 0.0], [0.0, 2.0], [0.0, 0.5]])
POINT = torch.tensor([7, 2, 7])


def test_cameras_are_averaged_as_unit_vectors_by_hand():
    seen, feat = merge_cameras(FEAT, POINT)
    assert seen.tolist() == [2, 7]
    assert torch.allclose(feat, torch.tensor([[0.0, 1.0], [0.5, 0.5]]))


def test_a_random_camera_is_each_camera_equally_often():
    generator = torch.Generator().manual_seed(0)
    draws = [merge_cameras(FEAT, POINT, "random", generator) for _ in range(400)]
    assert all(seen.tolist() == [2, 7] for seen, _ in draws)
    assert all(feat[0].tolist() == [0, 1] for _, feat in draws)
    first = sum(feat[1].tolist() == [1, 0] for _, feat in draws)
    assert first + sum(feat[1].tolist() == [0, 1] for _, feat in draws) == 400
    assert 160 < first < 240  # 200 +- 4 standard deviations


def test_a_random_camera_is_drawn_per_point_and_repeats_with_its_generator():
    point = torch.arange(200).repeat(3)
    feat = torch.eye(3).repeat_interleave(200, dim=0)
    one, same = (
        merge_cameras(feat, point, "random", torch.Generator().manual_seed(3)) for _ in "12"
    )
    assert torch.equal(one[1], same[1])
    assert (one[1].sum(0) > 40).all() and torch.equal(one[1].sum(1), torch.ones(200))


def test_the_order_of_pairs_does_not_matter_for_the_mean():
    generator = torch.Generator().manual_seed(0)
    feat = torch.randn(300, 6, generator=generator)
    point = torch.randint(100, (300,), generator=generator)
    order = torch.randperm(300, generator=generator)
    (seen, mean), (again, other) = (
        merge_cameras(feat, point),
        merge_cameras(feat[order], point[order]),
    )
    assert torch.equal(seen, again) and torch.allclose(mean, other, atol=1e-6)
    unit = F.normalize(feat, dim=1)
    for row in (0, 17, len(seen) - 1):
        assert torch.allclose(mean[row], unit[point == seen[row]].mean(0), atol=1e-6)


def test_an_unknown_reduction_is_refused():
    with pytest.raises(ValueError, match='"mean" or "random", got \'max\''):
        merge_cameras(FEAT, POINT, "max")
