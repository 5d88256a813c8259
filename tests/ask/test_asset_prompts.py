"""The words of the street: which there are, and that a teacher tells their things apart."""

import pytest
import torch

import kit
from kit.ask.prompts import asset as words
from kit.ask.queries import Query
from kit.data.classes import NUSCENES


@pytest.fixture(scope="module")
def teacher():
    return kit.build_teacher(image_size=(224, 448))


@pytest.mark.parametrize(
    ("text", "word"),
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
def test_a_text_is_brought_to_a_word_of_the_street(text, word):
    assert words.known(text) == word


def test_every_word_is_known_as_itself():
    assert [words.known(word) for word in words.all_words()] == list(words.all_words())


def test_scenery_is_named_after_classes_there_are():
    assert set(words.SCENERY.values()) <= set(NUSCENES.names)


def test_an_unknown_thing_lists_what_there_is(teacher):
    with pytest.raises(ValueError, match="no 'unicorn' on the street. There are: car, .*colour"):
        Query.from_asset(teacher, "unicorn")


def test_a_things_pictures_are_mostly_around_it_and_are_kept(teacher, monkeypatch):
    cache = kit.FeatureCache()
    inside, others, around = words.asset_features(teacher, "traffic cone", cache)
    assert 100 < len(inside) < len(around) and len(others) > 1000
    assert all(
        torch.allclose(f.norm(dim=1), torch.ones(len(f)), atol=2e-3) for f in (inside, around)
    )
    monkeypatch.setattr(words, "portraits", None)  # would fail if it were drawn again
    assert torch.equal(words.asset_features(teacher, "cones", cache)[0], inside)


def test_a_word_finds_its_own_thing_drawn_another_time(teacher):
    """Tested on shapes and streets of another seed; in a colour a thing is only drawn alone."""
    cache = kit.FeatureCache()
    query = Query.from_asset(teacher, "car", cache=cache)
    inside, _, around = words.asset_features(teacher, "white car", cache, seed=5)
    score = torch.cat([inside, around]) @ query.weight + query.bias
    wanted = torch.arange(len(score)) < len(inside)
    assert wanted.float().mean() < 0.4
    assert kit.scores.average_precision(score, wanted) > 0.8
    assert query.name == "car" and Query.from_text(teacher, "a car", cache=cache).name == "a car"


def test_the_road_is_cut_out_of_street_pictures(teacher):
    cache = kit.FeatureCache()
    query = Query.from_asset(teacher, "road", cache=cache)
    street = words.street_features(teacher, cache)
    feat, labels = street["feat"], street["labels"]
    wanted = labels == NUSCENES.names.index("driveable_surface")
    score = feat @ query.weight + query.bias
    assert kit.scores.average_precision(score, wanted) > 0.85
    assert set(labels.tolist()) <= {*range(16), words.SKY}
