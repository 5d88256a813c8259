"""The cache: any text is a key, the first entry is kept, a damaged one is computed again.

A cache that does not work is told once, and the job goes on without it.
"""

import os
import shutil
import sys
import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kit import store
from kit.__main__ import main
from kit.store import cache as cache_module
from kit.store import cache_files


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


@pytest.fixture(autouse=True)
def _untold(monkeypatch):
    """No failure of a cache was told yet."""
    monkeypatch.setattr(cache_module, "_failed", set())


def works_without_a_cache(folder):
    """Use a cache that cannot store anything; the warnings."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for number in range(3):
            cache = store.FeatureCache(folder)
            result = cache.get_or_compute(str(number), lambda: {"x": torch.ones(2)})
            assert result["x"].tolist() == [1, 1]
            assert not cache.has(str(number)) and cache.get(str(number)) is None
    return [str(each.message) for each in said]


@pytest.mark.parametrize(
    "folder", ["a file", "below a file", "/proc/x", "/dev/null", "/dev/full/x"]
)
def test_a_folder_that_cannot_be_written_is_told_once(tmp_path, folder):
    (tmp_path / "a file").write_text("")
    (tmp_path / "below").symlink_to("a file")
    place = {"a file": tmp_path / "a file", "below a file": tmp_path / "below" / "x"}
    (said,) = works_without_a_cache(place.get(folder, Path(folder)))
    assert "cannot store entries" in said and "KIT_CACHE" in said


@pytest.mark.parametrize("error", [OSError(30, "Read-only file system"), OSError(122, "Quota")])
def test_a_file_system_that_refuses_is_told_once(tmp_path, monkeypatch, error):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(cache_module, "save_tensors", refuse)
    (said,) = works_without_a_cache(tmp_path / "cache")
    assert error.strerror in said


def test_a_folder_that_is_deleted_while_it_fills_is_filled_again(tmp_path, monkeypatch):
    cache, save, calls = store.FeatureCache(tmp_path / "cache"), cache_module.save_tensors, []

    def deleted_in_between(*args, **options):
        calls.append(1)
        if len(calls) == 1:
            shutil.rmtree(tmp_path / "cache", ignore_errors=True)
            raise FileNotFoundError(2, "No such file or directory")
        save(*args, **options)

    monkeypatch.setattr(cache_module, "save_tensors", deleted_in_between)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache.put("a", {"x": torch.ones(2)})
    assert cache.get("a")["x"].tolist() == [1, 1] and len(calls) == 2


def test_an_entry_that_is_deleted_while_it_is_read_is_missing(tmp_path, monkeypatch):
    cache = store.FeatureCache(tmp_path)
    cache.put("a", {"x": torch.ones(2)})

    def gone(self, key):
        shutil.rmtree(tmp_path)
        raise FileNotFoundError("gone")

    monkeypatch.setattr(store.FeatureCache, "_read", gone)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cache.get("a") is None


def test_without_a_home_folder_the_cache_is_in_the_folder_of_temporary_files(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("KIT_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert store.default_cache_folder().parent.name == f"cache-{os.getuid()}"
    monkeypatch.setenv("KIT_CACHE", "~nobody-of-this-name/cache")
    with pytest.raises(ValueError, match="KIT_CACHE=~nobody-of-this-name/cache: "):
        store.FeatureCache()


def filled(folder, count=6, **options):
    """A cache with entries of 4 kB; the first was used most recently, then the others in order."""
    cache = store.FeatureCache(folder, **options)
    for number in range(count):
        cache.put(f"key {number}", {"x": torch.full((1000,), number)})
        os.utime(cache._path(f"key {number}"), (1000 + number,) * 2)
    os.utime(cache._path("key 0"), (5000, 5000))
    return cache


def present(cache, count=6):
    return [number for number in range(count) if cache.has(f"key {number}")]


def test_the_least_recently_used_entries_are_deleted_until_the_limit(tmp_path):
    cache = filled(tmp_path)
    one = next(cache_files.entries(tmp_path)).bytes
    assert cache_files.remove_least_recent(tmp_path, 3 * one) == 3 * one
    assert present(cache) == [0, 4, 5]
    assert cache_files.remove_least_recent(tmp_path, 3 * one) == 0
    names = {path.name for path in tmp_path.rglob("*.sha256")}
    assert len(names) == 3  # their checksums are deleted too


def test_reading_an_entry_counts_as_use(tmp_path):
    cache = filled(tmp_path)
    cache.get("key 1")
    cache_files.remove_older(tmp_path, 3600.0)
    assert present(cache) == [1]


def test_a_limit_holds_while_the_cache_fills(tmp_path, monkeypatch):
    monkeypatch.setenv("KIT_CACHE_LIMIT", "100kB")
    cache = store.FeatureCache(tmp_path)
    for number in range(60):
        cache.put(f"key {number}", {"x": torch.full((1000,), number)})
        os.utime(cache._path(f"key {number}"), (1000 + number,) * 2)
        assert cache.size() < 100_000
    assert len(present(cache, 60)) > 5 and cache.has("key 59") and not cache.has("key 0")
    monkeypatch.setenv("KIT_CACHE_LIMIT", "much")
    with pytest.raises(ValueError, match="KIT_CACHE_LIMIT: expected a size such as 20GB"):
        store.FeatureCache()


@settings(max_examples=max(settings.default.max_examples // 10, 6))
@given(st.lists(st.integers(0, 5), max_size=6), st.integers(0, 30_000))
def test_whatever_is_deleted_the_rest_is_whole_and_below_the_limit(tmp_path_factory, used, limit):
    cache = filled(tmp_path_factory.mktemp("cache"))
    for moment, number in enumerate(used):
        os.utime(cache._path(f"key {number}"), (9000 + moment,) * 2)
    cache_files.remove_least_recent(cache.folder, limit)
    left = list(cache_files.entries(cache.folder))
    assert sum(entry.bytes for entry in left) <= limit
    for number in present(cache):
        assert cache.get(f"key {number}")["x"].unique().tolist() == [number]
    unused = [number for number in range(1, 6) if number not in used]
    gone = [number for number in unused if number not in present(cache)]
    assert gone == unused[: len(gone)]  # the oldest go first


@pytest.mark.parametrize(
    ("text", "size"), [("20GB", 20e9), ("500 mb", 5e8), ("2GiB", 2**31), ("7", 7), ("1.5kB", 1500)]
)
def test_sizes_are_read_in_the_usual_units(text, size):
    assert cache_files.parse_size(text, "--limit") == size
    for bad in ("", "GB", "-1GB", "1XB", "nan", "1e3GB"):
        with pytest.raises(ValueError, match="--limit: expected a size"):
            cache_files.parse_size(bad, "--limit")


def test_the_command_shows_kinds_and_deletes_what_is_asked(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KIT_CACHE", str(tmp_path))
    cache = filled(tmp_path)
    for key in ("superpixels slic 150/ab", "street 1 Moment(seed=0)", "words f car 0 1 2 3"):
        cache.put(key, {"x": torch.ones(3)})
    (tmp_path / "holiday.jpg").write_bytes(b"mine")
    (tmp_path / "ab").mkdir(exist_ok=True)
    old = tmp_path / "ab" / f".0123{store.PART}"
    old.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert main(["cache"]) == 0
    said = capsys.readouterr().out
    for kind in ("feature maps", "superpixels", "street", "text prompts"):
        assert kind in said
    assert str(tmp_path) in said and "KIT_CACHE" in said and not old.exists()
    assert main(["cache", "--older-than", "30d"]) == 0
    assert present(cache) == [] and cache.has("superpixels slic 150/ab")
    assert main(["cache", "--limit", "0"]) == 0
    assert cache.size() == 0 and "deleted" in capsys.readouterr().out
    cache.put("a", {"x": torch.ones(1)})
    assert main(["cache", "--clear"]) == 0
    assert cache.size() == 0 and (tmp_path / "holiday.jpg").read_bytes() == b"mine"
    assert main(["cache", "--older-than", "soon"]) == 1
    assert "--older-than: expected an age such as 30d" in capsys.readouterr().err


def test_a_damaged_entry_is_listed_and_deleted(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KIT_CACHE", str(tmp_path))
    cache = filled(tmp_path, 1)
    cache._path("key 0").write_bytes(b"\xff" * 20)
    assert main(["cache"]) == 0
    assert "damaged" in capsys.readouterr().out
    cache_files.remove_least_recent(tmp_path, 0)
    assert list(cache_files.entries(tmp_path)) == []
