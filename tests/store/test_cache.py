"""The cache: any text is a key, the first entry is kept, a damaged one is computed again."""

import sys
from pathlib import Path

import pytest
import torch

from kit import store


def test_the_first_entry_of_a_key_is_kept(tmp_path):
    cache = store.FeatureCache(tmp_path)
    assert cache.get("a") is None and cache.size() == 0
    cache.put("a", {"x": torch.ones(2)})
    cache.put("a", {"x": torch.zeros(2)})
    assert cache.get("a")["x"].tolist() == [1, 1]
    result = cache.get_or_compute("a", lambda: pytest.fail("computed again"))
    assert result["x"].tolist() == [1, 1]
    assert cache.size() == sum(p.stat().st_size for p in tmp_path.rglob("*.safetensors")) > 0


def test_any_text_is_a_key(tmp_path):
    cache = store.FeatureCache(tmp_path / "cache")
    keys = ["", "..", "/etc/passwd", "a/b\x00c", "é" * 300, "\udcff", "A", "a", "a "]
    for number, key in enumerate(keys):
        cache.put(key, {"x": torch.tensor(number)})
    assert [cache.get(key)["x"].item() for key in keys] == list(range(len(keys)))
    files = list(tmp_path.rglob("*.safetensors"))
    assert len(files) == len(keys) and all(len(f.relative_to(tmp_path).parts) == 3 for f in files)


@pytest.mark.parametrize("damage", ["flip", "cut", "no checksum", "other entry"])
def test_a_damaged_entry_counts_as_missing_and_is_computed_again(tmp_path, damage):
    cache = store.FeatureCache(tmp_path)
    cache.put("a", {"x": torch.ones(2)})
    (path,) = tmp_path.rglob("*.safetensors")
    data = path.read_bytes()
    if damage == "flip":
        path.write_bytes(data[:-1] + b"\x01")
    if damage == "cut":
        path.write_bytes(data[:-3])
    if damage == "no checksum":
        path.with_name(path.name + ".sha256").unlink()
    if damage == "other entry":
        store.save_tensors(path, {"x": torch.zeros(2)}, {"key": "b"})
    with pytest.warns(UserWarning, match=path.name) as warned:
        result = cache.get_or_compute("a", lambda: {"x": torch.full((2,), 5.0)})
    assert len(warned) == 1
    assert result["x"].tolist() == cache.get("a")["x"].tolist() == [5, 5]


def test_the_cache_folder_follows_the_environment(monkeypatch):
    monkeypatch.setenv("KIT_CACHE", "~/features")
    assert store.FeatureCache().folder == Path.home() / "features"
    monkeypatch.delenv("KIT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/scratch")
    assert store.default_cache_folder() == Path("/scratch/lidar-distillation-kit")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(sys, "platform", "linux")
    assert store.default_cache_folder() == Path.home() / ".cache" / "lidar-distillation-kit"
