import pickle

import numpy as np
import pytest
import torch

import kit
from kit.commands import parse
from kit.data.class_maps import numbered_classes
from kit.data.keyframe import Dataset
from kit.data.mixture import Mixture
from kit.data.split import split
from kit.distill.batches import TrainingBatches
from kit.distill.order import DrawOrder
from kit.evaluate.by_data_set import probe_each

OWN = numbered_classes(["road", "hat"], "own")


class Scans:
    """A data set without cameras."""

    def __init__(self, name, count, classes=kit.NUSCENES, sensor=None, scenes=None, labels=1):
        self.name, self.classes, self.has_labels = name, classes, labels is not None
        self.sensor = sensor or kit.Sensor(f"lidar of {name}", 1.0, 2.0)
        self.tokens = [f"{index:06d}" for index in range(count)]
        self.scenes = scenes or ["drive"] * count
        self._label, self.prepared = labels, []

    def prepare(self, keyframes=None):
        self.prepared.append(keyframes)

    def content(self):
        return self.name

    def __len__(self):
        return len(self.tokens)

    def __getitem__(self, index):
        points = torch.arange(30.0).reshape(10, 3) + index
        labels = None if self._label is None else torch.tensor([self._label, kit.IGNORE] * 5)
        return kit.Keyframe(
            self.tokens[index], self.scenes[index], points, torch.ones(10), {}, self.sensor,
            self.classes, labels,
        )  # fmt: skip


def test_every_keyframe_keeps_its_own_sensor():
    bright = kit.Sensor("bright", 100.0, 50.0)
    mixed = kit.open_dataset([Scans("a", 3), Scans("b", 2, sensor=bright)])
    assert isinstance(mixed, Mixture) and isinstance(mixed, Dataset) and len(mixed) == 5
    assert [mixed[i].sensor.name for i in range(5)] == ["lidar of a"] * 3 + ["bright"] * 2
    assert torch.equal(mixed[4].points, torch.arange(30.0).reshape(10, 3) + 1)
    assert torch.equal(mixed[-1].points, mixed[4].points)
    assert mixed.name == "a + b" and "bright, intensity 100 +- 50" in repr(mixed)
    with pytest.raises(IndexError, match="keyframe 5 of a . b, which has 5"):
        mixed[5]


def test_tokens_and_names_are_unique():
    mixed = Mixture([Scans("a", 2), Scans("a", 2), Scans("b", 1)])
    assert mixed.names == ("a", "a (2)", "b")
    assert len(set(mixed.tokens)) == 5 and mixed.tokens[2] == "a (2) / 000000"
    assert [mixed[i].token for i in range(5)] == mixed.tokens
    assert mixed.scenes == ["a / drive"] * 2 + ["a (2) / drive"] * 2 + ["b / drive"]


def test_class_maps_are_kept_apart():
    mixed = Mixture([Scans("a", 1), Scans("b", 1, OWN), Scans("c", 1)])
    assert len(mixed.classes) == 16 + 2
    assert mixed.classes.names[1] == "a: bicycle" and mixed.classes.names[17] == "b: hat"
    labels = [mixed[i].labels.unique().tolist() for i in range(3)]
    assert labels == [[1, kit.IGNORE], [17, kit.IGNORE], [1, kit.IGNORE]]
    assert mixed.parts[1][0].labels.unique().tolist() == [1, kit.IGNORE]


def test_equal_classes_are_shared():
    assert Mixture([Scans("a", 1), Scans("b", 1)]).classes is kit.NUSCENES


def test_labels_of_boxes_and_pixels_move_with_those_of_points():
    street = kit.open_dataset("street", num_scenes=1, keyframes_per_scene=1, image_size=(28, 56))
    mixed = Mixture([Scans("a", 1, OWN), street])
    was, now = street[0], mixed[1]
    assert [box.label for box in now.boxes] == [box.label + 2 for box in was.boxes]
    one, other = (k.annotations.pixels("CAM_FRONT").labels for k in (was, now))
    sky = one == 255
    np.testing.assert_array_equal(other[~sky], one[~sky] + 2)
    assert (other[sky] == 255).all()


def test_weights_are_ratios():
    parts = [Scans("a", 3), Scans("b", 1)]
    assert Mixture(parts).weights == (0.75, 0.25)
    assert kit.open_dataset(parts, weights=(1, 4)).weights == (0.2, 0.8)
    for wrong in ((1,), (1, 0), (1, -1), (1, float("nan")), (1, 2, 3)):
        with pytest.raises(ValueError, match="expected 2 numbers above 0"):
            kit.open_dataset(parts, weights=wrong)
    with pytest.raises(ValueError, match="expected a list of data sets"):
        kit.open_dataset("street", weights=(1, 2))
    with pytest.raises(ValueError, match="num_scenes: which of the data sets"):
        kit.open_dataset(["street", "street"], num_scenes=1)
    with pytest.raises(ValueError, match="at least one data set"):
        kit.open_dataset([])


def test_content_depends_on_data_and_weights():
    parts = [Scans("a", 1), Scans("b", 1)]
    contents = {
        Mixture(parts).content(),
        Mixture(parts, (1, 2)).content(),
        Mixture(parts[:1]).content(),
    }
    assert len(contents) == 3


def test_only_the_wanted_keyframes_are_prepared():
    parts = [Scans("a", 3), Scans("b", 2)]
    Mixture(parts).prepare([0, 4])
    assert parts[0].prepared == [[0]] and parts[1].prepared == [[1]]


def test_each_data_set_is_split_by_its_own_rule():
    parts = [Scans("a", 4), Scans("b", 4, scenes=["s", "t", "t", "u"])]
    own = split(Mixture(parts))
    assert own.train == (0, 1, 2, 4, 5, 6) and own.held_out == (3, 7)
    assert "a: held out: the last 1 of 4 keyframes" in own.rule and "b: held out:" in own.rule


# --- draws ---------------------------------------------------------------------------------------


def draws(mixed, keyframes, seed=0, count=600):
    order = DrawOrder(mixed, keyframes, seed, count)
    return [order(draw) for draw in range(count)]


@pytest.mark.parametrize("weights", [(1, 1, 1), (5, 3, 2), (20, 1, 1)])
def test_any_beginning_of_the_draws_has_the_weights(weights):
    mixed = Mixture([Scans("a", 7), Scans("b", 3), Scans("c", 11)], weights)
    parts = np.array([mixed.part_of(index)[0] for index in draws(mixed, range(21))])
    for end in (10, 60, 200, 600):
        counts = np.bincount(parts[:end], minlength=3)
        assert np.abs(counts - end * np.array(mixed.weights)).max() <= 4


def test_each_keyframe_is_drawn_once_per_epoch_of_its_data_set():
    mixed = Mixture([Scans("a", 7), Scans("b", 3)], (1, 1))
    drawn = draws(mixed, range(10))
    of_b = [index for index in drawn if index >= 7]
    for start in range(0, len(of_b) - 3, 3):
        assert sorted(of_b[start : start + 3]) == [7, 8, 9]


def test_the_same_seed_gives_the_same_draws_whatever_the_length():
    mixed = Mixture([Scans("a", 7), Scans("b", 3)], (1, 2))
    assert draws(mixed, range(10), count=600)[:50] == draws(mixed, range(10), count=50)
    assert draws(mixed, range(10)) == draws(pickle.loads(pickle.dumps(mixed)), range(10))
    assert draws(mixed, range(10)) != draws(mixed, range(10), seed=1)


def test_data_sets_without_training_keyframes_do_not_count():
    mixed = Mixture([Scans("a", 7), Scans("b", 3), Scans("c", 4)], (1, 8, 1))
    parts = [mixed.part_of(index)[0] for index in draws(mixed, [0, 1, 10, 11])]
    assert 290 < parts.count(0) < 310 and parts.count(1) == 0


def test_other_keyframes_of_the_same_data_set_are_tried_first():
    mixed = Mixture([Scans("a", 4), Scans("b", 3)], (1, 1))
    order = DrawOrder(mixed, range(7), 0, 20)
    for draw in range(20):
        part = mixed.part_of(order(draw))[0]
        others = [mixed.part_of(index)[0] for index in order.others(draw)]
        assert sorted(order.others(draw)) == list(range(7))
        assert others == sorted(others, key=lambda each: each != part)


# --- a run ---------------------------------------------------------------------------------------


def street(sensor, seed=0):
    return kit.Street(2, 1, image_size=(28, 56), sensor=sensor, seed=seed)


@pytest.fixture(scope="module")
def streets():
    return [street("nuscenes"), street("kitti")]


def test_one_run_learns_from_all_and_its_file_names_them(streets, tmp_path):
    mixed = kit.open_dataset(streets, weights=(1, 3))
    teacher = kit.build_teacher(image_size=(64, 128))
    student = kit.build_student("wi-6-64", teacher.dim, depth=2, width=8)
    config = kit.DistillConfig(steps=2, batch_size=2)
    run = kit.distill(mixed, teacher, student, config, out=tmp_path / "run", progress=False)
    data = kit.store.read_json(tmp_path / "run" / "run.json")["config"]["data"]
    assert [part["name"] for part in data["parts"]] == ["street", "street-kitti"]
    assert [part["weight"] for part in data["parts"]] == [0.25, 0.75]
    assert data["parts"][1]["sensor"]["name"] == "simulated HDL-64E"
    with pytest.raises(ValueError, match="other settings"):
        kit.distill(
            kit.open_dataset(streets), teacher, student, config, out=tmp_path / "run",
            progress=False,
        )  # fmt: skip
    said = []
    probed = probe_each(
        {"position": kit.position, "distilled": run.student},
        mixed,
        kit.ProbeConfig(steps=2),
        say=said.append,
    )
    assert list(probed) == ["street", "street-kitti"]
    assert set(probed["street"].probes) == {"position", "distilled"}
    assert said == ["linear probes on street ...", "linear probes on street-kitti ..."]


def test_intensities_are_normalised_by_their_own_lidar(streets):
    """The same batch of a part alone: only the sensor of the keyframe matters."""
    mixed = kit.open_dataset(streets, weights=(1, 1))
    batches = TrainingBatches(
        mixed, range(4), kit.InputConfig(), batch_size=2, steps=4, seed=0, augment=False
    )
    names = {view.camera.name for step in range(4) for view in batches[step].views}
    assert "CAM_FRONT" in names
    for index in range(4):
        part, position = mixed.part_of(index)
        assert mixed[index].sensor == streets[part][position].sensor


def test_several_data_sets_on_the_command_line():
    assert parse("distill", ["--data", "a"]).config.data == "a"
    for options in (["--data", "a", "b"], ["--data", "a", "--data", "b"]):
        config = parse("distill", [*options, "--weights", "3", "1", "--steps", "4"]).config
        assert config.data == ("a", "b") and config.weights == (3.0, 1.0)
        assert config.distill.steps == 4


@pytest.mark.dataset
def test_real_data_sets_of_different_kinds_mix(shared_data):
    names = ("nuscenes", "pandaset", "kitti/training", "rellis3d")
    mixed = kit.open_dataset([*(str(shared_data / name) for name in names), street("nuscenes")])
    sensors = {mixed[mixed.indices_of(part).start].sensor for part in range(5)}
    assert len(sensors) == 5 and len(set(mixed.tokens)) == len(mixed)
