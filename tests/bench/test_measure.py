"""What benches measure with, against sizes and times that are known."""

import time

import pytest
import torch

from kit.bench import _against_dense, _measure, capacity
from kit.bench._against_dense import dense_targets
from kit.data.keyframe import Camera
from kit.store import files as store
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


def test_the_ratio_is_how_many_times_longer_the_other_takes():
    one, other, ratio = _measure.alternate(lambda: time.sleep(0.02), lambda: time.sleep(0.06), 3)
    assert one < other and ratio == pytest.approx(3, rel=0.4)


def test_upsampled_targets_equal_sampled_ones():
    generator = torch.Generator().manual_seed(0)
    maps = tuple(torch.randn(1, d, h, 2 * h, generator=generator) for d, h in ((5, 7), (3, 4)))
    grids = FeatureMaps(maps, (56, 112))
    camera = Camera("FRONT", torch.eye(4).double(), torch.eye(3).double(), (90, 160), _no_image)
    uv = torch.rand(200, 2, generator=generator) * torch.tensor([159.0, 89.0])
    sampled = grids.sample(torch.zeros(200, dtype=torch.int64), uv, camera.image_size)
    assert torch.allclose(dense_targets([grids], [camera], [uv]), sampled, atol=1e-5)


def _no_image():
    raise AssertionError("nobody looks")


def test_operations_by_hand():
    # one point, 2 channels: a product of 2 x 2 is 8 operations. 16 neighbours 128, 3 layers 48, the
    # last layer of the embedding 8; backward all but the neighbours twice more, and the head of 5.
    config = WaffleIronConfig(3, 2, head=(5,))
    assert _against_dense._operations(config, 1, "infer") == 128 + 48 + 8
    assert _against_dense._operations(config, 1, "train") == 128 + 3 * (48 + 8 + 20)


def test_stored_figures_by_quantity_and_student(tmp_path, monkeypatch):
    rows = [
        {"name": "wi 6 x 32: distilled", "value": 31.0},
        {"name": "wi 6 x 32: random", "value": 12.0},
        {"name": "minkunet-18: distilled", "value": 29.0},
    ]
    store.write_json(tmp_path / "capacity_toy.json", {"rows": rows})
    monkeypatch.setattr(capacity, "RESULTS", tmp_path)
    assert capacity.measured("toy") == {
        "distilled": {"wi 6 x 32": 31.0, "minkunet-18": 29.0},
        "random": {"wi 6 x 32": 12.0},
    }
    with pytest.raises(ValueError, match="no figures of 'moon'; there are toy"):
        capacity.measured("moon")
