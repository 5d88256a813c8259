"""Feature sets in an order: names, bases of colours, panels, pairs."""

import explorer_scene as scene
import numpy as np
import pytest
import torch

from kit.show import Explorer, Steps
from kit.show.explorer.paint import paint


@pytest.fixture(scope="module")
def frame():
    return scene.keyframe()


def made(frame, **options) -> Explorer:
    """A teacher, and a student with three layers; the second and the third are alike, mirrored."""
    first, second = scene.features(frame, 1, 24), scene.features(frame, 2, 16)
    sets = {
        "teacher": scene.features(frame, 0),
        "student": Steps({"1": first, "2": second}, "layer"),
    }
    return Explorer(frame, sets, **options)


def test_every_step_is_a_feature_set_of_its_own(frame):
    explorer = made(frame)
    assert explorer.content.sets == ["teacher", "student: layer 1", "student: layer 2"]
    described = explorer.setup["sets"]
    assert [(each.get("group"), each.get("label")) for each in described] == [
        (None, None), ("student", "layer 1"), ("student", "layer 2"),
    ]  # fmt: skip


def test_the_name_of_the_group_is_its_last_step(frame):
    explorer = made(frame, feature_set="student")
    assert explorer.feature_set == "student: layer 2"
    explorer.feature_set = "student: layer 1"
    assert explorer.content.panels(explorer.feature_set) == ["teacher", "student: layer 1"]
    assert explorer.content.panels("teacher") == ["teacher", "student: layer 2"]


def test_a_click_is_answered_by_the_features_of_each_step(frame):
    explorer = made(frame, mode="similarity", picked=[7])
    for label, seed, dim in (("1", 1, 24), ("2", 2, 16)):
        feat = torch.nn.functional.normalize(scene.features(frame, seed, dim), dim=1)
        feat = torch.nn.functional.normalize(feat - feat.mean(0), dim=1)
        score, _ = explorer.similarity(f"student: layer {label}")
        assert np.abs(score - (feat @ feat[7]).numpy()).max() < 1e-4


def test_colours_do_not_flip_from_step_to_step(frame):
    feat = scene.features(frame, 3, 24)
    turned = torch.linalg.qr(torch.randn(24, 24, generator=torch.Generator().manual_seed(5))).Q
    for change in (-torch.eye(24), turned):  # the same distances; components have other signs
        sets = {"student": Steps({"a": feat, "b": feat @ change})}
        explorer = Explorer(frame, sets, mode="features")
        first, second = (paint(explorer, f"student: {name}").rgb.astype(int) for name in "ab")
        assert np.abs(first - second).max() <= 2


def test_steps_of_one_group_are_not_compared_with_each_other(frame):
    same = [scene.features(frame, seed, 24) for seed in range(3)]
    sets = {"teacher": same[0], "student": Steps({"1": same[1], "2": same[2]})}
    assert Explorer(frame, sets).content.pairs == [(0, 1), (0, 2)]


def test_bad_steps_are_named(frame):
    feat = scene.features(frame, 1)
    with pytest.raises(ValueError, match=r"at least two feature sets, got \['1'\]"):
        Steps({"1": feat})
    with pytest.raises(ValueError, match="two feature sets are called 'a: 1'"):
        Explorer(frame, {"a: 1": feat, "a": Steps({"1": feat, "2": feat})})
    with pytest.raises(ValueError, match=r"features\['a: 2'\]: features must be"):
        Explorer(frame, {"a": Steps({"1": feat, "2": feat[:, 0]})})
