"""Asset prompts: the names there are, and that a teacher tells the assets apart."""

import pytest
import torch

import kit
from kit.ask.prompts import asset
from kit.ask.queries import Query
from kit.data.classes import NUSCENES
from kit.evaluate.metrics import average_precision


@pytest.fixture(scope="module")
def teacher():
    return kit.build_teacher(image_size=(224, 448))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("car", "car"),
        ("a red car", "red car"),
        ("Traffic_Cones", "traffic cone"),
        ("buses", "bus"),
        ("the pedestrian", "person"),
        ("pavement", "sidewalk"),
        ("driveable_surface", "road"),
        ("person in red", "person in red"),
        ("unicorn", None),
        ("", None),
    ],
)
def test_a_text_stands_for_an_asset(text, name):
    assert asset.find_asset(text) == name


def test_every_name_is_found_as_itself():
    assert [asset.find_asset(name) for name in asset.asset_names()] == list(asset.asset_names())


def test_scenery_is_named_after_existing_classes():
    assert set(asset.SCENERY.values()) <= set(NUSCENES.names)


def test_an_unknown_asset_lists_what_there_is(teacher):
    with pytest.raises(ValueError, match="no asset 'unicorn'. It has: car, .*colour"):
        Query.from_asset(teacher, "unicorn")


@pytest.mark.slow
def test_samples_of_a_small_asset_are_mostly_around_it_and_are_cached(teacher, monkeypatch):
    cache = kit.FeatureCache()
    inside, others, around = asset.asset_features(teacher, "traffic cone", cache)
    assert 100 < len(inside) < len(around) and len(others) > 1000
    assert all(
        torch.allclose(f.norm(dim=1), torch.ones(len(f)), atol=2e-3) for f in (inside, around)
    )
    monkeypatch.setattr(asset, "portraits", None)  # would fail if it were rendered again
    assert torch.equal(asset.asset_features(teacher, "cones", cache)[0], inside)


@pytest.mark.slow
def test_a_query_finds_its_asset_rendered_another_time(teacher):
    """Tested on another seed; an asset in a colour is only rendered alone."""
    cache = kit.FeatureCache()
    query = Query.from_asset(teacher, "car", cache=cache)
    inside, _, around = asset.asset_features(teacher, "white car", cache, seed=5)
    score = torch.cat([inside, around]) @ query.weight + query.bias
    wanted = torch.arange(len(score)) < len(inside)
    assert wanted.float().mean() < 0.4
    assert average_precision(score, wanted) > 0.8
    assert query.name == "car" and Query.from_text(teacher, "a car", cache=cache).name == "a car"


def test_the_road_is_cut_out_of_images_of_streets(teacher):
    cache = kit.FeatureCache()
    query = Query.from_asset(teacher, "road", cache=cache)
    street = asset.street_features(teacher, cache)
    feat, labels = street["feat"], street["labels"]
    wanted = labels == NUSCENES.names.index("driveable_surface")
    score = feat @ query.weight + query.bias
    assert average_precision(score, wanted) > 0.85
    assert set(labels.tolist()) <= {*range(16), asset.SKY}


def test_features_cached_under_the_keys_of_before_are_found(teacher, tmp_path):
    """The keys are those of the first version, so that a user's cache stays useful."""
    cache = kit.FeatureCache(tmp_path)
    asset.asset_features(teacher, "traffic cone", cache)
    street = kit.Street(5, 1, teacher.image_size, 1000)
    for key in (
        f"words {teacher.fingerprint} traffic cone 0 8 (224, 224) 2",
        f"street words {teacher.fingerprint} {street.content()} 300",
    ):
        assert cache.get(key) is not None
