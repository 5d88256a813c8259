"""The measuring functions of benches, against known sizes and times."""

import time

import pytest
import torch

from kit.bench import _against_reference, _measure
from kit.bench._against_reference import upsampled_features
from kit.data.keyframe import Camera
from kit.student.waffleiron.config import WaffleIronConfig
from kit.teacher.feature_maps import FeatureMaps


def test_memory_of_a_call_is_what_it_holds_at_once():
    def run():
        first = torch.ones(20_000_000)  # 80 MB
        del first
        return torch.ones(50_000_000) + 1.0  # 200 MB, twice for a moment

    held = torch.ones(30_000_000)  # before the call: does not count
    assert _measure.peak_extra_memory(run, "cpu") == pytest.approx(400e6, rel=0.01)
    assert len(held) == 30_000_000


def test_the_ratio_is_the_time_of_the_other_over_the_time_of_the_one():
    one, other, ratio = _measure.alternate(lambda: time.sleep(0.02), lambda: time.sleep(0.06), 3)
    assert one < other and ratio == pytest.approx(3, rel=0.4)


def test_upsampled_features_equal_sampled_ones():
    generator = torch.Generator().manual_seed(0)
    maps = tuple(torch.randn(1, d, h, 2 * h, generator=generator) for d, h in ((5, 7), (3, 4)))
    maps = FeatureMaps(maps, (56, 112))
    K = torch.tensor([[50.0, 0, 80], [0, 50, 45], [0, 0, 1]]).double()
    camera = Camera("FRONT", torch.eye(4).double(), K, (90, 160), _no_image)
    uv = torch.rand(200, 2, generator=generator) * torch.tensor([159.0, 89.0])
    sampled = maps.sample(torch.zeros(200, dtype=torch.int64), uv, camera.image_size)
    assert torch.allclose(upsampled_features([maps], [camera], [uv]), sampled, atol=1e-5)


def _no_image():
    raise AssertionError("no image is needed")


def test_operations_by_hand():
    # One point, 2 channels: a product with a 2 x 2 matrix is 8 operations. 16 neighbours make 128,
    # 3 layers 48, the last layer of the embedding 8. In training all but the neighbours count three
    # times, and so does the head of 5 channels, 20.
    config = WaffleIronConfig(3, 2, head=(5,))
    assert _against_reference.operations(config, 1, "infer") == 128 + 48 + 8
    assert _against_reference.operations(config, 1, "train") == 128 + 3 * (48 + 8 + 20)
