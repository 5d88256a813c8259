"""Augmented scans for training with labels: clean, and as the published code makes them."""

import pytest
import torch

from kit.data import open_dataset
from kit.evaluate.training_scans import scalr_scan, training_scans
from kit.student.scans import InputConfig, point_features

INPUTS = InputConfig(voxel_size=0.3, max_points=500)
OPTIONS = {"epochs": 1, "batch_size": 2, "seed": 0}


@pytest.fixture(scope="module")
def street():
    return open_dataset("street", num_scenes=1, keyframes_per_scene=3, image_size=(28, 56))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_every_keyframe_once_an_epoch_with_its_labels(street):
    found = list(training_scans(street, [0, 1, 2], INPUTS, **OPTIONS))
    assert [int(batch.batch_of_point.max()) + 1 for batch, _ in found] == [2, 1]
    assert all(len(labels) == len(batch.feat) for batch, labels in found)
    again = list(training_scans(street, [0, 1, 2], INPUTS, **OPTIONS))
    assert all(torch.equal(a.feat, b.feat) for (a, _), (b, _) in zip(found, again, strict=True))


def test_the_published_augmentation_turns_features_and_coordinates_apart(street):
    keyframe = street[0]
    for seed in range(4):
        scan = scalr_scan(keyframe, INPUTS, generator(seed))
        plain = point_features(
            keyframe.points[scan.kept], keyframe.intensity[scan.kept], keyframe.sensor
        )
        assert torch.equal(scan.feat[:, 0], plain[:, 0])  # intensity stays
        scale = scan.feat[:, 4] / plain[:, 4]
        assert 0.9 <= float(scale.min()) <= float(scale.max()) <= 1.1
        assert torch.allclose(scale, scale[:1].expand_as(scale), rtol=1e-4)
        assert torch.allclose(scan.feat[:, 3], plain[:, 3] * scale, atol=1e-4)  # about z only
        # The cells come from coordinates that were turned by another angle and not scaled.
        rows, columns = INPUTS.grids[0]
        x = (scan.cells[0] // columns - rows / 2 + 0.5) * INPUTS.cell_size
        assert not torch.allclose(x, scan.feat[:, 1], atol=1.0)
        # Lengths in the plane are those of the plain points: rotation, flip, no scale.
        y = (scan.cells[0] % columns - columns / 2 + 0.5) * INPUTS.cell_size
        assert torch.allclose(x.hypot(y), plain[:, 1].hypot(plain[:, 2]), atol=0.4)


def test_unknown_protocols_and_missing_labels_are_refused(street):
    with pytest.raises(ValueError, match="protocol must be one of clean, scalr"):
        next(training_scans(street, [0], INPUTS, **OPTIONS, protocol="published"))
