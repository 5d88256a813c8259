"""Several teachers as one: the features of each, one after the other."""

import pytest
import torch
import torch.nn.functional as F

from kit.ablate.grid import grid
from kit.demo import DemoConfig
from kit.teacher.joint import JointTeacher
from kit.teacher.presets import TeacherConfig, build_teacher

SIZE = (64, 128)
NAMES = ("efficientnet_lite0", "resnet10t")


@pytest.fixture(scope="module")
def teachers():
    return [build_teacher(name, image_size=SIZE, weights="random") for name in NAMES]


@pytest.fixture(scope="module")
def pixels():
    generator = torch.Generator().manual_seed(0)
    uv = torch.rand(50, 2, generator=generator) * torch.tensor([SIZE[1], SIZE[0]])
    return torch.randint(0, 2, (50,), generator=generator), uv, SIZE


def test_a_feature_has_those_of_each_teacher_at_unit_length(teachers, pixels):
    images = torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    joint = JointTeacher(teachers)
    alone = [teacher(images).sample(*pixels) for teacher in teachers]
    first, second = joint(images).sample(*pixels).split([t.dim for t in teachers], dim=1)
    # The first teacher has two layers; alone, they are at unit length already.
    torch.testing.assert_close(first, alone[0])
    torch.testing.assert_close(second, F.normalize(alone[1], dim=1))
    assert joint.dim == first.shape[1] + second.shape[1]


def test_it_is_built_by_name_and_frozen(teachers):
    joint = build_teacher(TeacherConfig("+".join(NAMES), weights="random", image_size=SIZE))
    assert [each.name for each in joint.network] == list(NAMES)
    assert joint.dim == sum(teacher.dim for teacher in teachers)
    assert not any(weight.requires_grad for weight in joint.parameters())
    assert not any(module.training for module in joint.modules())
    with pytest.raises(RuntimeError, match="stays in eval mode"):
        joint.train()


def test_its_fingerprint_depends_on_every_teacher_and_on_their_order(teachers):
    alone = {teacher.fingerprint for teacher in teachers}
    joint = {JointTeacher(order).fingerprint for order in (teachers, teachers[::-1])}
    other = build_teacher(NAMES[1], image_size=SIZE, weights="random", layer=0)
    joint.add(JointTeacher([teachers[0], other]).fingerprint)
    assert len(joint | alone) == 5


def test_teachers_that_do_not_fit_together_are_refused(teachers):
    with pytest.raises(ValueError, match="two or more different teachers, got efficientnet_lite0$"):
        JointTeacher(teachers[:1])
    with pytest.raises(ValueError, match="different teachers"):
        build_teacher("resnet10t+resnet10t", image_size=SIZE, weights="random")
    larger = build_teacher("resnet10t", image_size=(128, 256), weights="random")
    with pytest.raises(ValueError, match=r"efficientnet_lite0: 64x128, resnet10t: 128x256.*give"):
        JointTeacher([teachers[0], larger])
    with pytest.raises(ValueError, match="'one.pth': one file cannot fit several teachers"):
        build_teacher("+".join(NAMES), weights="one.pth")
    with pytest.raises(ValueError, match="resnet10x"):
        build_teacher("efficientnet_lite0+resnet10x")


def test_it_is_a_value_of_an_axis():
    joint = "efficientnet_lite0+resnet10t"
    runs = grid(DemoConfig(), {"teacher.name": [joint], "teacher": [joint]}, 1, True)
    assert [run.config.teacher.name for run in runs[1:]] == [joint] * len(runs[1:])
