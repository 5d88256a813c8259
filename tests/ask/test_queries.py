"""Queries: from clicks, image regions, assets and texts to a linear function of one space."""

import numpy as np
import pytest
import torch
from handmade import features
from PIL import Image

import kit
from kit.ask.prompts.image import image_features, sample_image
from kit.ask.queries import Query
from kit.evaluate.metrics import average_precision
from kit.features.spaces import Space, space_of
from kit.street.dataset import Street


def two_groups(count=200, seed=0):
    """Points of two groups: the first half along x, the second along y."""
    noise = 0.2 * torch.randn(2 * count, 3, generator=torch.Generator().manual_seed(seed))
    noise[:count, 0] += 1
    noise[count:, 1] += 1
    return features(noise.tolist())


@pytest.fixture(scope="module")
def teacher():
    return kit.build_teacher(image_size=(64, 128))


def test_a_score_is_weight_times_unit_feature_plus_bias():
    query = Query(
        "by hand", features([[1.0, 0.0, 0.0]]).space, torch.tensor([2.0, 0, 1]), -1.0, "x"
    )
    # the unit feature is (0.6, 0, 0.8): 2 * 0.6 + 0.8 - 1 = 1
    assert query.score(features([[3.0, 0.0, 4.0]])).tolist() == pytest.approx([1.0])


def test_one_click_finds_its_group_and_a_negative_sets_the_border():
    f = two_groups()
    wanted = torch.arange(400) < 200
    for clicks in ([3], [3, 50, 99]):
        score = Query.from_points(f, clicks).score(f)
        assert average_precision(score, wanted) > 0.98
    both = Query.from_points(f, [3], [250]).score(f)
    assert ((both > 0) == wanted).float().mean() > 0.96


def test_a_negative_click_lowers_similar_points():
    f = two_groups()
    without, against = Query.from_points(f, [3]), Query.from_points(f, [3], [5])
    assert against.score(f)[5] < without.score(f)[5]


def test_neighbours_of_a_click_are_examples_and_far_points_are_not():
    f = two_groups()
    xyz = torch.arange(400.0)[:, None] * torch.tensor([[0.2, 0.0, 0.0]])
    near = Query.from_points(f, [10], [300], xyz=xyz)
    positives, negatives = range(8, 13), range(298, 303)  # up to 0.4 m
    by_hand = Query.from_points(f, list(positives), list(negatives))
    assert torch.allclose(near.weight, by_hand.weight, atol=1e-3)
    alone = Query.from_points(f, [10], [300], xyz=xyz * 10)
    assert torch.allclose(alone.weight, Query.from_points(f, [10], [300]).weight, atol=1e-3)
    assert torch.equal(alone.weight, Query.from_points(f, [10], [300], xyz=xyz * 100).weight)


def test_wrong_clicks_are_named():
    f = two_groups()
    with pytest.raises(ValueError, match="at least one positive point, got none"):
        Query.from_points(f, [])
    with pytest.raises(ValueError, match=r"points \[4\] are both positive and negative"):
        Query.from_points(f, [3, 4], [4])
    with pytest.raises(ValueError, match="points must be 0 to 399"):
        Query.from_points(f, [400])


@pytest.mark.parametrize(
    ("clicks", "options", "words"),
    [
        (
            torch.tensor([1.5]),
            {},
            "points must be whole numbers, indices of points, got torch.float32",
        ),
        (torch.tensor([True, False]), {}, "whole numbers, .* got torch.bool"),
        ([-1], {}, "points must be 0 to 399"),
        ([400], {}, "points must be 0 to 399"),
        ([10**12], {}, "points must be 0 to 399"),
        ([3], {"background": -1}, "background must be at least 0 points, got -1"),
    ],
)
def test_what_is_no_point_is_refused(clicks, options, words):
    with pytest.raises(ValueError, match=words):
        Query.from_points(two_groups(), clicks, **options)


@pytest.mark.parametrize(
    ("weight", "bias", "words"),
    [
        ([1.0, 0.0], 0.0, r"must have 3 numbers, got \(2,\)"),
        ([1.0, float("nan"), 0.0], 0.0, "weight and bias of the query 'q' must be finite"),
        ([1.0, 0.0, 0.0], float("inf"), "weight and bias of the query 'q' must be finite"),
    ],
)
def test_a_query_that_cannot_score_is_refused(weight, bias, words):
    with pytest.raises(ValueError, match=words):
        Query("q", two_groups().space, torch.tensor(weight), bias, "x")


def test_a_query_refuses_another_space():
    f = two_groups()
    query = Query.from_points(f, [3])
    other = features(f.feat.tolist(), space=Space("b", 3, "key-of-b"))
    with pytest.raises(ValueError, match="space b .* this is a .*cannot be compared"):
        query.score(other)


def test_a_region_of_an_image_finds_similar_regions_in_another(teacher):
    """Stripes on the left, nothing on the right: found again where the sides are swapped."""
    image = torch.full((3, 64, 128), 0.5)
    image[:, ::4, :64] = 0.0
    swapped = image.flip(2)
    query = Query.from_image(teacher, image, (0, 0, 64, 64))
    feat, uv = sample_image(teacher, swapped)
    score = feat @ query.weight + query.bias
    right, left = score[uv[:, 0] >= 80], score[uv[:, 0] < 48]
    assert right.mean() > 0 > left.mean()
    assert query.space == space_of(teacher)


def test_a_box_and_its_mask_are_the_same_region_and_a_file_the_same_image(teacher, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (64, 128, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    image = torch.from_numpy(pixels).permute(2, 0, 1) / 255
    mask = torch.zeros(64, 128, dtype=torch.bool)
    mask[8:40, 16:80] = True
    by_box = image_features(teacher, image, (16, 8, 80, 40))
    by_mask = image_features(teacher, tmp_path / "image.png", mask)
    for a, b in zip(by_box, by_mask, strict=True):
        assert torch.equal(a, b)
    # Samples are at 4, 12, 20 ... px: columns 20 to 76 and rows 12 to 36, that is 8 x 4 of them.
    assert len(by_box[0]) == 32 and len(by_box[0]) + len(by_box[1]) == 128


def test_a_region_between_the_samples_still_has_one(teacher):
    image = torch.rand(3, 64, 128, generator=torch.Generator().manual_seed(0))
    inside, outside = image_features(teacher, image, (21, 9, 22, 10))
    assert len(inside) == 1 and len(outside) == 127


def test_unusable_images_and_regions_are_named(teacher, tmp_path):
    with pytest.raises(ValueError, match="image is 1x3 pixels"):
        Query.from_image(teacher, torch.zeros(3, 1, 3))
    with pytest.raises(ValueError, match="the whole image, so there is no counter-example"):
        Query.from_image(teacher, torch.zeros(3, 64, 128))
    with pytest.raises(ValueError, match="region has no pixel"):
        Query.from_image(teacher, torch.zeros(3, 64, 128), (200, 0, 210, 10))
    with pytest.raises(ValueError, match="region is .*the image"):
        Query.from_image(teacher, torch.zeros(3, 64, 128), torch.ones(5, 5, dtype=torch.bool))
    with pytest.raises(ValueError, match="2 regions for 1 images"):
        Query.from_image(teacher, [torch.zeros(3, 64, 128)], [None, None])
    (tmp_path / "broken.png").write_bytes(b"not an image")
    with pytest.raises(ValueError, match="broken.png: cannot decode this image"):
        Query.from_image(teacher, tmp_path / "broken.png")


@pytest.mark.parametrize(
    ("image", "region", "words"),
    [
        (torch.rand(3, 40, 60) * 255, None, r"an image must be in \[0, 1\], got .* to 25"),
        (torch.full((3, 40, 60), float("nan")), None, r"an image must be in \[0, 1\], got nan"),
        (torch.rand(3, 40, 60), (0, 0, 10, 2**40), None),
        (torch.rand(3, 40, 60), (5, 5, 5, 9), "the region has no pixel"),
    ],
)
def test_images_and_regions_out_of_range_are_named(teacher, image, region, words):
    if words is None:
        assert len(image_features(teacher, image, region)[0])
        return
    with pytest.raises((ValueError, TypeError), match=words):
        image_features(teacher, image, region)


def test_a_whole_image_is_compared_with_the_points_of_a_keyframe(teacher):
    keyframe = Street(1, 1, image_size=(64, 128))[0]
    seen = kit.extract(teacher, keyframe)
    image = torch.zeros(3, 64, 128)
    image[0] = 1.0
    query = Query.from_image(teacher, image, background=seen)
    assert (query.score(seen) < 0).float().mean() > 0.9
    other = features([[1.0, 0.0, 0.0]])
    with pytest.raises(ValueError, match="the background is of the space a"):
        Query.from_image(teacher, image, background=other)


def test_an_empty_text_is_refused(teacher):
    with pytest.raises(ValueError, match="needs a text, got an empty one"):
        Query.from_text(teacher, "  ")


def test_a_text_that_names_no_asset_lists_the_ways_out(teacher):
    with pytest.raises(ValueError) as error:
        Query.from_text(teacher, "unicorn")
    for way in ("no text encoder", "traffic cone", "clip_vitb16", "HF_HOME", "weights=", "hugging"):
        assert way in str(error.value)
