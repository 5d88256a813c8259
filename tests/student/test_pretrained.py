"""The student that comes with the kit: small, whole, and better than one that never learned."""

import pytest
import torch

import kit
from kit.student.pretrained import FOLDER


def test_it_loads_and_says_how_it_was_made():
    student, figures = kit.pretrained(), kit.pretrained_figures()
    assert not student.training and student.config.head[-1] == kit.build_teacher().dim == 432
    assert student.config.depth >= 12 and student.config.width >= 128
    assert figures["command"].startswith("python -m kit ")
    probes = figures["linear_probe"]
    assert probes["distilled"]["miou"] > probes["random"]["miou"] + 0.05
    assert (FOLDER / "street.safetensors").stat().st_size < 4e6


def test_it_speaks_its_teachers_language_on_a_street_it_has_not_seen():
    street = kit.open_dataset("street", num_scenes=1, keyframes_per_scene=1, seed=77)
    teacher, keyframe = kit.build_teacher(), street[0]
    pairs = kit.find_pairs(keyframe.points, keyframe.cameras)
    rows, wanted = kit.keyframe_features(teacher, keyframe, pairs)
    learned = kit.pretrained()
    untrained = type(learned)(learned.config).eval()
    loss = [
        kit.distillation_loss(kit.embed(s, keyframe)[1][rows], wanted) for s in (learned, untrained)
    ]
    same = torch.nn.functional.normalize(wanted, dim=1).mean(0).expand_as(wanted)
    # better than not having learned, and than always giving the mean answer
    assert loss[0] < min(loss[1], kit.distillation_loss(same, wanted)) - 0.05


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(ValueError, match="no student 'moon' comes with the kit; there are: street"):
        kit.pretrained("moon")
