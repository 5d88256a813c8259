"""The benches of queries and of discovery on a small street, with small settings."""

from dataclasses import fields, replace

import pytest
import torch

import kit
from kit.ask.prompts.asset import STREET_SEED
from kit.ask.queries import Query
from kit.bench import _asking, discover, discover_settings, names, queries
from kit.commands.pretrain import STREETS
from kit.discover.settings import DiscoverConfig
from kit.discover.shape import Geometry
from kit.street.dataset import Street

DISTILLED = {seed for seed, _, _ in STREETS.values()}  # of the student that comes with the kit
SMALL = {"car": "car", "driveable_surface": "road", "manmade": "building", "vegetation": "tree"}


@pytest.fixture(scope="module")
def keyframes():
    street = Street(3, 1, image_size=(224, 448), seed=7)
    return [street[index] for index in range(3)]


@pytest.fixture(scope="module")
def compared():
    teacher, cache = kit.build_teacher(image_size=(224, 448)), kit.FeatureCache()
    sources = _asking.all_sources(teacher, cache)
    # The student that comes with the kit had a teacher of larger images; here it stands for one
    # that was distilled from this teacher.
    student = kit.pretrained("street")
    student.distilled_from = replace(student.distilled_from, fingerprint=teacher.fingerprint)
    return teacher, cache, {**sources, "student of the street": kit.source(student)}


def test_both_are_benches_and_the_module_they_share_is_none():
    assert {"queries", "discover"} <= set(names()) and "_asking" not in names()


def test_the_streets_to_score_on_are_no_others():
    assert not DISTILLED & {_asking.UNSEEN["seed"], STREET_SEED}
    assert _asking.UNSEEN["seed"] != STREET_SEED


@pytest.mark.slow
def test_queries_are_measured_source_by_source(keyframes, compared, monkeypatch):
    teacher, cache, sources = compared
    monkeypatch.setattr(queries, "REPEATS", 1)
    assets = {name: Query.from_asset(teacher, asset, cache=cache) for name, asset in SMALL.items()}
    images = queries._image_queries(keyframes[0], teacher)
    prompts = queries.Prompts(assets, images, {"car": 0.5}, ("car",))
    rows = list(queries._on("here", keyframes[:1], keyframes[1:], sources, prompts))
    found = {row.name: row for row in rows}
    assert len(found) == len(rows)
    first = next(iter(sources))
    ratio = found["here, ratio of car"].value
    assert found[f"here, asset prompts, {first}, car"].target == f">= {2 * ratio:.3f}"
    assert found[f"here, 20 clicks, {first}, car"].target == ">= 0.5"
    assert "here, 20 clicks, position, mean" in found
    assert not [name for name in found if "prompts, position" in name]
    assert found["here, asset prompts, teacher, mean"].value > 2 * 0.2
    assert found["here, image prompts, teacher, mean"].value > 0.3
    assert found[f"here, asset prompts, {first}, segment, with images"].value > 0
    assert all(row.value is not None and row.value == row.value for row in rows)


def test_discovery_is_scored_with_annotations_it_does_not_read(keyframes, compared):
    sources = {name: compared[2][name] for name in ("student of the street", "random student")}
    rows = {row.name: row for row in discover._on("here", keyframes[:2], sources)}
    bare = replace(keyframes[0], labels=None, boxes=(), annotations=None)
    features = sources["student of the street"](bare)
    found = kit.find_foreground(bare, features)
    assert torch.equal(found, kit.find_foreground(keyframes[0], features))
    refined = discover.METHODS["refined"]
    assert torch.equal(found, refined(features, Geometry.of(bare.points)))
    refined = rows["here, refined, student of the street, AP"]
    assert refined.target == ">= 0.75" and refined.value > rows["here, height band, AP"].value
    assert rows["here, discovery and objects"].unit == "s"
    recall = [row for name, row in rows.items() if "recall of" in name]
    assert 0 < recall[0].value <= 1


@pytest.fixture
def small_settings(monkeypatch):
    """The bench of settings with one street and one method; returns a function that runs it."""
    small = Street(2, 1, image_size=(224, 448), seed=3001)
    monkeypatch.setattr(discover_settings, "STREETS", [small])

    def run(shipped, values, variants=()):
        monkeypatch.setattr(discover_settings, "SHIPPED", shipped)
        monkeypatch.setattr(discover_settings, "VALUES", {"max_surface_variation": values})
        chosen = {name: ALL_VARIANTS[name] for name in variants}
        monkeypatch.setattr(discover_settings, "VARIANTS", chosen)
        return {row.name: row for row in discover_settings.rows(None, "cpu")}

    return run


ALL_VARIANTS = dict(discover_settings.VARIANTS)


def test_settings_are_chosen_on_streets_of_their_own():
    seeds = {street.seed for street in discover_settings.STREETS}
    assert not seeds & {_asking.UNSEEN["seed"], STREET_SEED, *DISTILLED}


def test_every_value_that_is_tried_is_of_a_setting_and_in_range():
    names = {field.name for field in fields(DiscoverConfig)}
    for name, values in discover_settings.VALUES.items():
        assert name in names and getattr(DiscoverConfig(), name) in values
        assert [replace(DiscoverConfig(), **{name: value}) for value in values]


def test_a_worse_setting_is_measured_and_nothing_is_lost(small_settings):
    shipped = DiscoverConfig()
    value = shipped.max_surface_variation
    rows = small_settings(shipped, (0.0, value), ["first component"])
    # No component is smoother than 0: with this bound all are plants.
    assert rows["max_surface_variation 0.0"].value < rows["as shipped"].value - 0.1
    assert f"max_surface_variation {value}" not in rows
    assert rows["first component"].value < rows["as shipped"].value
    assert rows["lost against the best of them"].value == 0


def test_a_better_setting_misses_the_target(small_settings):
    value = DiscoverConfig().max_surface_variation
    rows = small_settings(replace(DiscoverConfig(), max_surface_variation=0.0), (value,))
    gain = rows[f"max_surface_variation {value}"].value - rows["as shipped"].value
    assert gain > 0.1 and rows["lost against the best of them"].value == gain
    assert rows["lost against the best of them"].ok is False


def test_all_variants_of_discovery_can_be_tried(keyframes, compared):
    features = compared[2]["student of the street"](keyframes[0])
    geometry = Geometry.of(keyframes[0].points)
    for method in discover_settings.VARIANTS.values():
        score = method(features, geometry)
        assert score.shape == (len(features),) and score.isfinite().all()
