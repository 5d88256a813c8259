"""Fine-tuning: learning rates by layer, a copy that learns, percentages of labels."""

from dataclasses import replace

import pytest
import torch

from kit.data import open_dataset
from kit.data.classes import NUSCENES
from kit.evaluate.fine_tuning import (
    PUBLISHED,
    FineTuneConfig,
    fine_tune,
    label_ratios,
    layer_groups,
    layer_number,
)
from kit.evaluate.probe import new_head
from kit.evaluate.protocols import knn_dataset, over_seeds
from kit.features.extract import source
from kit.student.presets import build_student
from kit.student.scans import InputConfig

QUICK = FineTuneConfig(epochs=8, batch_size=1, lr=2e-2, drop_path=0.1)


@pytest.fixture(scope="module")
def street():
    return open_dataset("street", num_scenes=1, keyframes_per_scene=3, image_size=(28, 56))


@pytest.fixture(scope="module")
def student():
    inputs = InputConfig(voxel_size=0.4, max_points=2000)
    return build_student("wi-6-64", 12, depth=2, width=16, inputs=inputs)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("embed.norm.weight", 0),
        ("waffleiron.spatial_mix.0.norm.weight", 1),
        ("waffleiron.channel_mix.47.mlp.0.weight", 48),
        ("halve.0.conv.weight", 1),
        ("down.3.0.conv1.weight", 4),
        ("back.0.weight", 5),
        ("up.3.1.weight", 8),
        ("stem.0.weight", 0),
    ],
)
def test_the_layer_of_a_parameter(name, number):
    assert layer_number(name) == number


def test_learning_rates_decay_from_the_head_to_the_embedding(student):
    groups = layer_groups(student, new_head(16, NUSCENES), lr=1.0, decay=0.5)
    assert [group["lr"] for group in groups] == [0.125, 0.25, 0.5, 1.0]  # embedding, 2 layers, head
    trained = {id(p) for group in groups for p in group["params"]}
    heads = [n for n, p in student.named_parameters() if id(p) not in trained]
    assert heads and all(name.startswith("classif") for name in heads)


def test_all_students_have_layers():
    student = build_student("minkunet-18", 12, widths=(4,) * 9)
    numbers = {layer_number(name) for name, _ in student.named_parameters()}
    assert numbers == set(range(9))


def test_the_loss_falls_and_the_given_student_stays(street, student):
    before = {name: value.clone() for name, value in student.state_dict().items()}
    found = fine_tune(student, street, [0, 1], [2], QUICK)
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())
    assert len(found.loss) == 16 and sum(found.loss[-4:]) < 0.8 * sum(found.loss[:4])
    assert found.student.config.drop_path == 0.1 and not found.student.training
    assert found.result.confusion.sum() == (street[2].labels != 255).sum()
    again = fine_tune(student, street, [0, 1], [2], replace(QUICK, epochs=1))
    assert again.loss == fine_tune(student, street, [0, 1], [2], replace(QUICK, epochs=1)).loss


def test_percentages_of_labels(street, student):
    settings = {1: replace(QUICK, epochs=1), 100: replace(QUICK, epochs=2, protocol="scalr")}
    found = dict(label_ratios(student, street, {100: [0, 1], 1: [0]}, [2], settings))
    assert list(found) == [1, 100] and all(0 <= each.miou <= 1 for each in found.values())
    with pytest.raises(ValueError, match=r"no settings for \[2\] % of the labels"):
        next(label_ratios(student, street, {2: [0]}, [2]))
    assert PUBLISHED[1].layer_decay == 0.95 and PUBLISHED[100].layer_decay == 0.99


def test_wrong_settings_and_splits_are_refused(street, student):
    with pytest.raises(ValueError, match="layer_decay"):
        FineTuneConfig(layer_decay=0.0)
    with pytest.raises(ValueError, match="protocol must be one of"):
        FineTuneConfig(protocol="published")
    with pytest.raises(ValueError, match=r"keyframes \[1\] are in both"):
        fine_tune(student, street, [0, 1], [1], QUICK)


def test_neighbours_vote_on_a_whole_data_set(street, student):
    config = replace(QUICK, epochs=1)
    assert config.epochs == 1
    position = lambda k: k.points  # noqa: E731
    found = knn_dataset(source(position), street, [0, 1], [2])
    assert found.head is None and found.confusion.sum() == (street[2].labels != 255).sum()
    assert found.accuracy > 0.3


def test_a_metric_over_seeds():
    found = over_seeds(lambda seed: [0.5, 0.7, 0.6][seed], [0, 1, 2])
    assert found.mean == pytest.approx(0.6) and found.deviation == pytest.approx(0.1)
    assert repr(found) == "0.6 +- 0.1 (3 seeds)"
    assert over_seeds(float, [3]).deviation is None
    with pytest.raises(ValueError, match="different seeds"):
        over_seeds(float, [1, 1])
