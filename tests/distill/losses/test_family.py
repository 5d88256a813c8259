"""Every loss of the table: gradient, order of the pairs, scale of the features, range."""

import pytest
import torch

from kit.distill.losses import LOSSES, LossInputs, compute_loss, needs

COUNT, WIDTH = 12, 5


def inputs(seed=0, dtype=torch.float64, **changes):
    generator = torch.Generator().manual_seed(seed)
    feat = torch.randn(2, COUNT, WIDTH, generator=generator, dtype=dtype)
    regions = torch.arange(COUNT) % 4
    values = {
        "student_feat": feat[0],
        "teacher_feat": feat[1],
        "image_of_pair": torch.arange(COUNT) // 6,
        "superpixels": regions,
        "superpixel_feat": torch.randn(5, WIDTH, generator=generator, dtype=dtype) / 4,
        "patches": torch.arange(COUNT) // 3,
        "ranges": torch.rand(COUNT, generator=generator, dtype=dtype) * 50,
        "classes": torch.tensor([-1, 0, 0, 1, 1, 2, 2, 2, 0, 1, -1, 2]),
        "moments": torch.arange(COUNT) % 3 - 1,
        "dense_feat": torch.randn(7, WIDTH, generator=generator, dtype=dtype),
        "dense_classes": torch.tensor([0, 1, 2, 2, 1, 0, -1]),
    }
    return LossInputs(**{**values, **changes})


def value(name, given):
    torch.manual_seed(3)
    return compute_loss(name, given)


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_agrees_with_finite_differences(name):
    student = inputs().student_feat.requires_grad_()
    assert torch.autograd.gradcheck(lambda s: value(name, inputs(student_feat=s)), (student,))


@pytest.mark.parametrize("name", LOSSES)
def test_order_of_pairs_and_lengths_of_features_do_not_matter(name):
    given, order = inputs(), torch.randperm(COUNT, generator=torch.Generator().manual_seed(1))
    pairwise = ("student_feat", "teacher_feat", "image_of_pair", "superpixels", "patches", "ranges")
    pairwise += ("classes", "moments")
    shuffled = inputs(**{field: getattr(given, field)[order] for field in pairwise})
    assert torch.allclose(value(name, shuffled), value(name, given))
    if name != "pearson":  # it averages the features as they are
        longer = inputs(student_feat=3 * given.student_feat)
        assert torch.allclose(value(name, longer), value(name, given))


@pytest.mark.parametrize("name", LOSSES)
def test_a_better_student_has_a_smaller_loss(name):
    """A student that equals the teacher beats a random one, and no loss is negative."""
    given = inputs()
    region_mean = torch.stack(
        [
            torch.nn.functional.normalize(given.teacher_feat[given.superpixels == s]).mean(0)
            for s in range(4)
        ]
    )
    target = inputs(superpixel_feat=torch.cat([region_mean, region_mean[:1]]))
    perfect = inputs(superpixel_feat=target.superpixel_feat, student_feat=given.teacher_feat)
    assert -1e-9 < value(name, perfect) < value(name, target)
    assert value(name, perfect).shape == ()


@pytest.mark.parametrize("name", LOSSES)
def test_large_features_in_float32_stay_finite(name):
    given = inputs(dtype=torch.float32)
    student = (1e4 * given.student_feat).requires_grad_()
    loss = value(name, inputs(dtype=torch.float32, student_feat=student))
    loss.backward()
    assert loss.isfinite() and student.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_what_a_loss_needs_is_asked_for_by_name(name):
    for each in needs(name) - {"student_feat", "teacher_feat"}:
        with pytest.raises(ValueError, match=f"the loss '{name}' needs {each}"):
            value(name, inputs(**{each: None}))


@pytest.mark.parametrize("name", ["class_mean", "class_spread", "olivine"])
def test_without_any_label_a_loss_of_classes_is_zero_with_a_gradient(name):
    student = inputs().student_feat.requires_grad_()
    loss = value(name, inputs(student_feat=student, classes=torch.full((COUNT,), -1)))
    loss.backward()
    assert loss == 0 and (student.grad == 0).all()
