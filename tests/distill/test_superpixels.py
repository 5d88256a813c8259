"""Superpixels: they follow colour, are computed once per image, and have unique numbers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.segmentation import slic

from kit.data.keyframe import Camera
from kit.distill import superpixels as module
from kit.distill.superpixels import camera_superpixels, find_superpixels, superpixels_of_pairs
from kit.store import FeatureCache


def halves(height=60, width=120, seed=0):
    """A dark and a bright half, with noise."""
    pixels = np.random.default_rng(seed).integers(0, 30, (height, width, 3))
    pixels[:, width // 2 :] += 200
    return pixels.astype(np.uint8)


def camera(pixels, source=None):
    size = pixels.shape[:2]
    K = torch.tensor([[50.0, 0, size[1] / 2], [0, 50, size[0] / 2], [0, 0, 1]]).double()
    return Camera("CAM", torch.eye(4).double(), K, size, source or (lambda: pixels))


def test_the_settings_are_those_of_slidr():
    expected = slic(halves(), n_segments=150, compactness=6, sigma=3.0, start_label=0)
    assert np.array_equal(find_superpixels(halves()).numpy(), expected)


def test_regions_do_not_cross_a_strong_edge():
    regions = find_superpixels(halves())
    left, right = regions[:, :55].unique(), regions[:, 65:].unique()
    assert regions.shape == (60, 120) and int(regions.min()) == 0
    assert len(left) > 10 and not torch.isin(left, right).any()


def test_numbers_of_different_images_are_different():
    cameras = [camera(halves(seed=0)), camera(halves(seed=1))]
    uv = [torch.tensor([[0.0, 0.0], [119.9, 59.9], [0.4, 0.9]]), torch.tensor([[0.0, 0.0]])]
    first, second = (camera_superpixels(each) for each in cameras)
    found = superpixels_of_pairs([first, second], uv)
    assert found[:3].tolist() == [first[0, 0], first[59, 119], first[0, 0]]
    assert int(found[3]) == int(second[0, 0]) + int(first.max()) + 1


def test_columns_and_rows_are_not_exchanged():
    regions = camera_superpixels(camera(halves()))
    uv = torch.tensor([[100.5, 7.5], [3.0, 50.0]])
    assert superpixels_of_pairs([regions], [uv]).tolist() == [
        regions[7, 100],
        regions[50, 3],
    ]


def test_the_cache_keeps_an_image_exactly_and_computes_it_once(tmp_path, monkeypatch):
    cache, pixels = FeatureCache(tmp_path), halves()
    expected = camera_superpixels(camera(pixels))
    assert torch.equal(camera_superpixels(camera(pixels), cache), expected)
    monkeypatch.setattr(module, "find_superpixels", lambda _: pytest.fail("computed again"))
    assert torch.equal(camera_superpixels(camera(pixels), cache), expected)
    assert cache.size() < pixels.size / 3


def test_more_regions_than_a_byte_can_count_are_kept(tmp_path, monkeypatch):
    many = torch.arange(60 * 120).reshape(60, 120)
    monkeypatch.setattr(module, "find_superpixels", lambda _: many)
    cache = FeatureCache(tmp_path)
    for _ in range(2):
        assert torch.equal(camera_superpixels(camera(halves()), cache), many)


def test_another_image_has_an_entry_of_its_own(tmp_path):
    cache = FeatureCache(tmp_path)
    for seed in (0, 1):
        camera_superpixels(camera(halves(seed=seed)), cache)
    assert len(list(Path(tmp_path).rglob("*.safetensors"))) == 2
