"""The student that comes with the kit: it loads, knows its teacher, and predicts its features."""

import pytest
import torch
import torch.nn.functional as F

import kit
from kit.distill.losses.pointwise import distillation_loss
from kit.student.pretrained import FOLDER

# Every 5000th point and every 100th channel, by an earlier version of the code.
EARLIER = [
    [20.7894, 10.1035, 15.9536, 20.8702, 22.644],
    [18.9344, 2.1966, 10.5203, 13.5076, 17.3979],
    [14.8506, -17.4435, 4.4738, 7.9292, 9.4277],
    [31.5324, -33.6939, 33.1368, 6.2256, -6.6064],
    [6.9313, -10.1684, -2.0086, 2.3317, 6.7724],
    [17.4175, 6.1075, 6.0827, 13.3737, 16.8147],
    [9.102, -14.3604, 0.3032, -5.9271, 1.3716],
]


@pytest.fixture(scope="module")
def keyframe():
    """A street that the student was not distilled on."""
    return kit.open_dataset("street", num_scenes=1, keyframes_per_scene=1, seed=77)[0]


def test_it_loads_and_its_figures_say_how_it_was_made():
    student, figures = kit.pretrained(), kit.pretrained_figures()
    assert not student.training and student.config.head[-1] == kit.build_teacher().dim == 432
    assert student.config.depth >= 12 and student.config.width >= 128
    assert student.config.inputs == kit.InputConfig.for_cpu()
    assert figures["command"].startswith("python -m kit ")
    probes = figures["linear_probe"]
    assert probes["distilled"]["miou"] > probes["random"]["miou"] + 0.05
    assert (FOLDER / "street.safetensors").stat().st_size < 4e6


def test_its_features_are_in_the_space_of_its_teacher(keyframe):
    student, teacher = kit.pretrained("street"), kit.build_teacher("efficientnet_lite0")
    assert student.distilled_from.name == teacher.name == "efficientnet_lite0"
    assert kit.extract(student, keyframe).space == kit.space_of(teacher)
    assert kit.extract(student, keyframe).space == kit.extract(teacher, keyframe).space


def test_its_features_of_a_real_scan_stay_as_they_were(shared_data):
    keyframe = kit.open_dataset(str(shared_data / "nuscenes"))[0]
    features = kit.extract(kit.pretrained(), keyframe)
    assert torch.allclose(features.feat[::5000, ::100], torch.tensor(EARLIER), atol=2e-3)


def test_it_predicts_its_teacher_on_a_street_that_it_has_not_seen(keyframe):
    teacher_features = kit.extract(kit.build_teacher(), keyframe)
    student = kit.pretrained()
    teacher_feat, index = teacher_features.feat, teacher_features.index
    loss = [
        distillation_loss(kit.extract(each, keyframe).feat[index], teacher_feat)
        for each in (student, kit.random_student(student))
    ]
    mean = F.normalize(teacher_feat, dim=1).mean(0).expand_as(teacher_feat)
    # better than random weights, and than always predicting the mean
    assert loss[0] < min(loss[1], distillation_loss(mean, teacher_feat)) - 0.05


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(
        ValueError, match="no student .moon. comes with the kit; there are: street.*scalr-plus"
    ):
        kit.pretrained("moon")
