import random
from pathlib import Path

import pytest
import torch
from nuscenes.utils.splits import create_splits_scenes

from kit.data.classes import NUSCENES
from kit.data.keyframe import Sensor
from kit.data.recording import Frame, Recording
from kit.data.split import all_but_official, few_shot_scenes, split


class SceneNames:
    """A data set that has only scene names."""

    name, classes, sensor, has_labels = "names", NUSCENES, Sensor("none", 0.0, 1.0), False

    def __init__(self, scenes):
        self.scenes, self.tokens = scenes, [str(i) for i in range(len(scenes))]

    def __len__(self):
        return len(self.scenes)

    def __getitem__(self, index):
        raise AssertionError("a split must not read keyframes")

    def prepare(self, keyframes=None):
        raise AssertionError("a split must not render keyframes")

    def content(self):
        return ""


def scenes_only(*scenes):
    return SceneNames(list(scenes))


def test_the_last_quarter_of_one_scene_is_held_out():
    parts = split(scenes_only(*["pandaset-002"] * 12))
    assert parts.train == tuple(range(9))
    assert parts.held_out == (9, 10, 11)
    assert "last 3 of 12" in parts.rule


def test_both_parts_have_at_least_one_keyframe():
    assert split(scenes_only("a", "a")).held_out == (1,)
    assert split(scenes_only("a", "a"), held_out=0.01).held_out == (1,)
    assert split(scenes_only("a", "a"), held_out=0.99).train == (0,)


def test_a_single_keyframe_is_for_training_and_the_rule_says_too_few():
    parts = split(scenes_only("scene-0061"))
    assert (parts.train, parts.held_out) == ((0,), ())
    assert parts.rule.startswith("too few")


def test_scenes_are_never_divided_even_when_interleaved():
    parts = split(scenes_only("b", "a", "b", "c", "a", "d"))
    assert parts.held_out == (5,)
    assert parts.train == (0, 1, 2, 3, 4)
    assert split(scenes_only("b", "a", "b", "a")).held_out == (1, 3)


def test_the_official_split_of_the_mini_version_is_used():
    official = create_splits_scenes()
    names = sorted(official["mini_train"] + official["mini_val"])
    parts = split(scenes_only(*names))
    assert sorted(names[i] for i in parts.held_out) == sorted(official["mini_val"])
    assert sorted(names[i] for i in parts.train) == sorted(official["mini_train"])
    assert "mini_val" in parts.rule


def test_the_official_split_applies_to_a_subset_of_its_scenes():
    official = create_splits_scenes()
    names = [official["val"][3], *official["train"][10:14], official["val"][-1]]
    parts = split(scenes_only(*names))
    assert parts.held_out == (0, 5)
    assert "official nuScenes val" in parts.rule


def test_official_scenes_of_one_part_only_fall_back_to_the_last_scenes():
    names = create_splits_scenes()["train"][:8]
    parts = split(scenes_only(*names))
    assert parts.held_out == (6, 7)
    assert "last 2 of 8 scenes" in parts.rule
    assert "last" in split(scenes_only("scene-0061", "scene-0103", "scene-9999")).rule


def test_train_and_held_out_are_disjoint_at_random_sizes():
    draw = random.Random(0)
    for _ in range(300):
        names = [f"s{i}" for i in range(draw.randint(1, 9))]
        scenes = [draw.choice(names) for _ in range(draw.randint(1, 60))]
        parts = split(scenes_only(*scenes), held_out=draw.uniform(0.01, 0.99))
        assert sorted(parts.train + parts.held_out) == list(range(len(scenes)))
        assert parts.train and (parts.held_out or len(scenes) == 1)
        if len(set(scenes)) > 1:
            assert not {scenes[i] for i in parts.train} & {scenes[i] for i in parts.held_out}
        elif parts.held_out:
            assert max(parts.train) < min(parts.held_out)


def test_ratios_outside_zero_to_one_and_empty_data_sets_raise():
    for ratio in (0.0, 1.0, -0.5, float("nan")):
        with pytest.raises(ValueError, match="held_out"):
            split(scenes_only("a", "a"), held_out=ratio)
    with pytest.raises(ValueError, match="no keyframes"):
        split(scenes_only())


def slidr_scenes(names, step):
    """The selection of SLidR's loader, written from its description."""
    kept, counter = [], 0
    for name in names:
        counter += 1
        if counter % step == 0:
            kept.append(name)
    return kept


@pytest.mark.parametrize(("step", "count"), [(100, 7), (10, 70), (1, 700)])
def test_few_shot_scenes_equal_those_of_slidr(step, count):
    names = create_splits_scenes()["train"]
    kept = few_shot_scenes(scenes_only(*names), step)
    assert [names[i] for i in kept] == slidr_scenes(names, step)
    assert len(kept) == count


def test_few_shot_scenes_keep_all_their_keyframes_among_the_given_indices():
    dataset = scenes_only("a", "a", "b", "c", "c", "d", "b")
    assert few_shot_scenes(dataset, 2) == (2, 5, 6)
    assert few_shot_scenes(dataset, 2, indices=(0, 1, 3, 4, 5)) == (3, 4)
    for every in (0, 5):
        with pytest.raises(ValueError, match="1 to 4"):
            few_shot_scenes(dataset, every)


class Driven(Recording):
    """A recording of which only the poses are known, as places along a road."""

    sensor = Sensor("none", 0.0, 1.0)

    def __init__(self, places):
        self.places = places
        frames = [Frame(str(i), "drive", i, "scan") for i in range(len(places))]
        super().__init__(Path(), "driven", NUSCENES, frames)

    def scan_of(self, frame):
        raise AssertionError("a split must not read scans")

    def pose_of(self, frame):
        place = self.places[int(frame.token)]
        if place is None:
            return None
        T = torch.eye(4, dtype=torch.float64)
        T[:2, 3] = torch.tensor([100.0, 7.0 + place])
        return T


def test_a_gap_in_metres_is_kept_between_the_parts_of_one_scene():
    parts = split(Driven([0, 0, 1, 3, 5, 7, 10, 11]))
    assert parts.held_out == (6, 7)
    assert parts.train == (0, 1, 2, 3, 4) and parts.unused == (5,)
    assert parts.rule.endswith("; 1 before them, nearer than 5 m, are not used")
    assert split(Driven([0, 0, 1, 3, 5, 7, 10, 11]), gap=0.0).unused == ()
    assert split(Driven([0, 0, 1, 3, 5, 7, 10, 11]), gap=8.5).train == (0, 1, 2)


def test_a_car_that_comes_back_is_near_its_earlier_keyframes():
    assert split(Driven([0, 20, 40, 60, 40, 20, 0, -9])).train == (1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("places", "words"), [([0, 0, 1, 1], "the car moved 1.0 m"), ([0, None, 9, 20], "in time")]
)
def test_without_way_or_poses_no_gap_is_kept(places, words):
    parts = split(Driven(places))
    assert (parts.train, parts.held_out, parts.unused) == ((0, 1, 2), (3,), ())
    assert parts.rule.endswith(words)


@pytest.mark.parametrize("gap", [-1.0, float("nan"), float("inf")])
def test_a_gap_is_a_distance(gap):
    with pytest.raises(ValueError, match="gap must be a distance of 0 m or more"):
        split(scenes_only("a", "a"), gap=gap)


def test_a_distillation_learns_from_everything_but_the_official_validation_scenes():
    parts = all_but_official(scenes_only("a", "a", "b"))
    assert (parts.train, parts.held_out) == ((0, 1, 2), ())
    assert parts.rule == "trained on all 3 keyframes"
    assert all_but_official(Driven([0, 5, 9])).train == (0, 1, 2)
    names = create_splits_scenes()
    official = scenes_only(*names["mini_train"], *names["mini_val"])
    assert all_but_official(official) == split(official)
