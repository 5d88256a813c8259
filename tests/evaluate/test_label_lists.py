"""Lists of few labels: the rule, chance by seed, the classes they cover, files."""

from dataclasses import replace

import pytest
from by_hand import ByHand

from kit.data import open_dataset
from kit.data.split import few_shot_scenes
from kit.evaluate.label_lists import FewShotList, few_shot


class Dataset(ByHand):
    """Ten scenes of three keyframes; only the labels of what is chosen are read."""

    name, sensor, has_labels = "ten scenes", None, True
    scenes = [f"s{i}" for i in range(10) for _ in range(3)]
    tokens = [f"s{i}-k{j}" for i in range(10) for j in range(3)]

    def __init__(self, keyframe):
        self.classes, self.keyframe, self.read = keyframe.classes, keyframe, []

    def __getitem__(self, index):
        self.read.append(index)
        return self.keyframe


@pytest.fixture(scope="module")
def keyframe():
    return open_dataset("street", num_scenes=1, keyframes_per_scene=1, image_size=(28, 56))[0]


def test_whole_scenes_as_slidr_counts_them(keyframe):
    dataset = Dataset(keyframe)
    found = few_shot(dataset, 20)
    assert found.indices == few_shot_scenes(dataset, 5) == (12, 13, 14, 27, 28, 29)
    assert dataset.read == list(found.indices)
    assert found.rule == "every 5th of 10 scenes, 2 in all" and found.seed is None
    assert found.tokens[0] == "s4-k0"
    assert few_shot(dataset, 1).indices == few_shot_scenes(dataset, 10)
    everything = few_shot(dataset, 100)
    assert len(everything.indices) == 30 and everything.rule == "all 10 scenes"


def test_keyframes_among_some(keyframe):
    found = few_shot(Dataset(keyframe), 50, by="keyframe", among=[0, 1, 2, 3, 9, 10])
    assert found.indices == (1, 3, 10)


def test_chance_depends_on_the_seed_only(keyframe):
    lists = [few_shot(Dataset(keyframe), 30, seed=seed).indices for seed in (0, 0, 1, 2)]
    assert lists[0] == lists[1] and len(set(lists)) == 3 and all(len(each) == 9 for each in lists)


def test_coverage_counts_the_labels_of_every_class(keyframe):
    found = few_shot(Dataset(keyframe), 10)
    for number, name in enumerate(keyframe.classes.names):
        assert found.coverage[name] == 3 * int((keyframe.labels == number).sum())
    assert found.missing == tuple(name for name, count in found.coverage.items() if not count)
    assert "labelled points" in repr(found)


def test_a_list_is_kept_with_its_rule(keyframe, tmp_path):
    dataset = Dataset(keyframe)
    found = few_shot(dataset, 30, seed=3)
    found.save(tmp_path / "list.json")
    assert FewShotList.load(tmp_path / "list.json", dataset) == found
    other = Dataset(keyframe)
    other.tokens = [f"x{token}" for token in other.tokens]
    with pytest.raises(ValueError, match="9 of 9 keyframes are not in ten scenes, first 's"):
        FewShotList.load(tmp_path / "list.json", other)
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(ValueError, match="expected a list of keyframes with tokens"):
        FewShotList.load(tmp_path / "list.json", dataset)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"percent": 0}, "percent must be above 0"),
        ({"percent": 101}, "percent must be above 0 and at most 100"),
        ({"percent": 10, "by": "point"}, "by must be one of scene, keyframe"),
        ({"percent": 10, "among": []}, "no keyframe to choose from"),
    ],
)
def test_wrong_requests_are_refused(keyframe, options, message):
    with pytest.raises(ValueError, match=message):
        few_shot(Dataset(keyframe), **options)


def test_keyframes_without_labels_are_refused(keyframe):
    with pytest.raises(ValueError, match="s9-k0 has no labels"):
        few_shot(Dataset(replace(keyframe, labels=None)), 10)
