"""The benches of queries and of discovery on a small street, with small settings."""

from dataclasses import replace

import pytest
import torch

import kit
from kit.ask.prompts.asset import STREET_SEED
from kit.ask.queries import Query
from kit.bench import _asking, discover, discover_settings, names, queries
from kit.pretrain import SCENES
from kit.street.dataset import Street

SMALL = {"car": "car", "driveable_surface": "road", "manmade": "building", "vegetation": "tree"}


@pytest.fixture(scope="module")
def keyframes():
    street = Street(3, 1, image_size=(224, 448), seed=7)
    return [street[index] for index in range(3)]


@pytest.fixture(scope="module")
def sources():
    teacher, cache = kit.build_teacher(image_size=(224, 448)), kit.FeatureCache()
    return teacher, cache, _asking.looks(teacher, cache)


def test_both_are_benches_and_what_they_share_is_none():
    assert {"queries", "discover"} <= set(names()) and "_asking" not in names()


def test_streets_to_be_judged_on_are_no_others():
    assert len({_asking.TEST["seed"], STREET_SEED, SCENES.get("seed", 0)}) == 3


def test_queries_are_reported_source_by_source(keyframes, sources, monkeypatch):
    teacher, cache, looks = sources
    monkeypatch.setattr(queries, "REPEATS", 1)
    words = {name: Query.from_asset(teacher, word, cache=cache) for name, word in SMALL.items()}
    pictures = queries._picture_queries(keyframes[0], teacher)
    start, rest = keyframes[0], keyframes[1:]
    rows = list(queries._on("here", start, rest, looks, words, {"car": 0.5}, ("car",), pictures))
    found = {row.name: row for row in rows}
    first = next(iter(looks))
    share = found["here, share of car"].value
    assert found[f"here, words, {first}, car"].reach == f">= {2 * share:.3f}"
    assert found[f"here, 20 clicks, {first}, car"].reach == ">= 0.5"
    assert "here, words, position, mean" not in found and "here, 20 clicks, position, mean" in found
    assert found["here, words, teacher, mean"].value > 2 * 0.2
    assert found["here, pictures, teacher, mean"].value > 0.3
    assert all(row.value is not None and row.value == row.value for row in rows)


def test_discovery_is_judged_by_annotations_it_does_not_read(keyframes, sources):
    _, _, looks = sources
    looks = {name: looks[name] for name in ("student of the street", "random student")}
    rows = {row.name: row for row in discover._judge("here", keyframes[:2], looks)}
    bare = replace(keyframes[0], labels=None, boxes=(), annotations=None)
    features = looks["student of the street"](bare)
    found = kit.find_foreground(bare, features)
    assert torch.equal(found, kit.find_foreground(keyframes[0], features))
    refined = discover.ON_FEATURES["refined"]
    assert torch.equal(found, refined(features, kit.discover.Geometry.of(bare.points)))
    refined = rows["here, refined, student of the street, AP"]
    assert refined.reach == ">= 0.75" and refined.value > rows["here, height band, AP"].value
    assert rows["here, discovery and objects"].unit == "s"
    recall = [row for name, row in rows.items() if "recall of" in name]
    assert 0 < recall[0].value <= 1


def test_settings_are_judged_on_streets_of_their_own_and_put_back(monkeypatch):
    seeds = {street.seed for street in discover_settings.STREETS}
    assert not seeds & {_asking.TEST["seed"], STREET_SEED, SCENES.get("seed", 0)}
    small = Street(2, 1, image_size=(224, 448), seed=3001)
    monkeypatch.setattr(discover_settings, "STREETS", [small])
    rough = (kit.discover, "ROUGH", (0.0, kit.discover.ROUGH))
    monkeypatch.setattr(discover_settings, "CHOICES", [rough])
    only = {"first component": discover_settings.WAYS["first component"]}
    monkeypatch.setattr(discover_settings, "WAYS", only)
    shipped = kit.discover.ROUGH
    rows = {row.name: row for row in discover_settings.rows(None, "cpu")}
    assert kit.discover.ROUGH == shipped
    # nothing is smoother than 0: with that bound every piece is a plant
    assert rows["ROUGH 0.0"].value < rows["as shipped"].value - 0.1
    assert f"ROUGH {shipped}" not in rows
    assert rows["first component"].value < rows["as shipped"].value
    assert rows["lost against the best of them"].value == 0
    # a better neighbour is told
    monkeypatch.setattr(kit.discover, "ROUGH", 0.0)
    monkeypatch.setattr(discover_settings, "CHOICES", [(kit.discover, "ROUGH", (shipped,))])
    monkeypatch.setattr(discover_settings, "WAYS", {})
    rows = {row.name: row for row in discover_settings.rows(None, "cpu")}
    gain = rows[f"ROUGH {shipped}"].value - rows["as shipped"].value
    assert gain > 0.1 and rows["lost against the best of them"].value == gain
    assert rows["lost against the best of them"].ok is False


def test_all_ways_of_discovery_can_be_tried(keyframes, sources):
    features = sources[2]["student of the street"](keyframes[0])
    geometry = kit.discover.Geometry.of(keyframes[0].points)
    for way in discover_settings.WAYS.values():
        score = way(features, geometry)
        assert score.shape == (len(features),) and score.isfinite().all()
