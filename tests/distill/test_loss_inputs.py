"""What losses compare: superpixels' means over all pixels, patches, ranges."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tiny_distillation import CONFIG, run, small_teacher, street

from kit.data.classes import IGNORE
from kit.distill.batches import TrainingBatches
from kit.distill.loss_inputs import loss_inputs, patches_of_pairs
from kit.distill.losses import LOSSES, LossInputs, compute_loss, needs
from kit.distill.superpixels import superpixel_means
from kit.student.scans import InputConfig
from kit.teacher.camera_maps import camera_maps
from kit.teacher.feature_maps import FeatureMaps

DISTILLED = [name for name in LOSSES if name != "superflow"]  # in test_moments.py


def made(loss):
    batches = TrainingBatches(
        street(), [0, 1], InputConfig(), batch_size=2, steps=1, seed=0, needs=needs(loss)
    )
    batch = batches[0]
    maps = camera_maps(small_teacher(), [view.camera for view in batch.views])
    student_feat = torch.randn(len(batch.points.feat), maps[0].dim)
    return batch, maps, loss_inputs(batch, maps, student_feat, needs(loss))


@pytest.mark.parametrize("loss", DISTILLED)
def test_every_loss_can_be_distilled_with(loss):
    torch.manual_seed(0)
    history = run(config=type(CONFIG)(steps=1, batch_size=2, loss=loss)).history
    assert all(0 < row["loss"] < 50 for row in history)


def test_other_moments_are_asked_for():
    _, _, inputs = made("class_mean")
    with pytest.raises(ValueError, match="'superflow' needs dense_classes, dense_feat, moments"):
        compute_loss("superflow", inputs)


@pytest.mark.parametrize("loss", ["class_mean", "class_spread"])
def test_pairs_without_a_label_are_no_class(loss):
    batch, maps, inputs = made(loss)
    labelled = inputs.classes != inputs.classes[0]
    left_out = batch.classes.where(labelled, IGNORE)
    student_feat = torch.zeros(len(batch.points.feat), maps[0].dim)
    student_feat[batch.point_of_pair] = inputs.student_feat
    found = loss_inputs(replace(batch, classes=left_out), maps, student_feat, needs(loss))
    names = ("student_feat", "teacher_feat", "image_of_pair", "classes")
    known = LossInputs(**{name: getattr(inputs, name)[labelled] for name in names})
    assert compute_loss(loss, found) == pytest.approx(float(compute_loss(loss, known)), rel=1e-5)


def test_superpixel_feat_has_a_row_for_every_superpixel_of_a_pair():
    batch, maps, inputs = made("slidr")
    assert int(inputs.superpixels.max()) < len(inputs.superpixel_feat)
    own = F.normalize(inputs.teacher_feat, dim=1)
    means = F.normalize(inputs.superpixel_feat, dim=1)[inputs.superpixels]
    shuffled = means[torch.randperm(len(means), generator=torch.Generator().manual_seed(0))]
    assert (own * means).sum(1).mean() > (own * shuffled).sum(1).mean() + 0.05


def test_superpixel_means_by_loops():
    regions = torch.zeros(16, 24, dtype=torch.int64)
    regions[:, 12:] = 1
    regions[0, 0] = 2  # too small for the sampled pixels 4, 12 and 4, 12, 20
    maps = FeatureMaps((torch.randn(1, 3, 4, 6),), (16, 24))
    expected = []
    for pixels in ([(4, 4), (12, 4)], [(4, 12), (12, 12), (4, 20), (12, 20)], [(0, 0)]):
        uv = torch.tensor([(column, row) for row, column in pixels]).float()
        feat = maps.sample(torch.zeros(len(uv), dtype=torch.int64), uv, (16, 24))
        expected.append(F.normalize(feat, dim=1).mean(0))
    assert torch.allclose(superpixel_means([regions], [maps]), torch.stack(expected), atol=1e-5)


def test_patches_are_cells_of_the_first_map_and_differ_between_images():
    batch, maps, inputs = made("pearson")
    rows, columns = maps[0].maps[0].shape[-2:]
    first = 0
    for number, view in enumerate(batch.views):
        height, width = view.camera.image_size
        for column, row in view.uv[:20].tolist():
            expected = int(row / height * rows) * columns + int(column / width * columns)
            assert int(inputs.patches[first]) == number * rows * columns + expected
            first += 1
        first += len(view.uv) - 20
    assert torch.equal(inputs.patches, patches_of_pairs(batch.views, maps))


def test_ranges_are_distances():
    batch, _, inputs = made("olivine")
    assert torch.allclose(inputs.ranges, batch.points.feat[:, 1:4].norm(dim=1), rtol=1e-4)
