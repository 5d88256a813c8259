"""Training batches: a pure function of seed and step, and pixels that belong to their points."""

import pickle

import pytest
import torch

from kit.data import open_dataset
from kit.distill.batches import TrainingBatches
from kit.projection import project_points
from kit.student.scans import InputConfig

INPUTS = InputConfig(max_points=500)


@pytest.fixture(scope="module")
def street():
    return open_dataset("street", num_scenes=1, keyframes_per_scene=3, image_size=(56, 112))


def batches(street, **changes):
    settings = {"batch_size": 4, "steps": 6, "seed": 0} | changes
    return TrainingBatches(street, range(3), INPUTS, **settings)


def same(one, other):
    return torch.equal(one.points.feat, other.points.feat) and all(
        torch.equal(a.uv, b.uv) for a, b in zip(one.views, other.views, strict=True)
    )


def test_a_batch_depends_on_seed_and_step_alone(street):
    first, second = batches(street), batches(street)
    second[0], second[5]  # asking for others before changes nothing
    assert same(first[3], second[3])
    assert not same(first[3], first[4])
    assert not same(first[3], batches(street, seed=1)[3])


def test_worker_processes_make_the_same_batches(street):
    assert same(batches(street)[2], pickle.loads(pickle.dumps(batches(street)))[2])


def test_processes_share_the_views_of_a_step(street):
    whole = batches(street)[1]
    parts = [batches(street, rank=rank, world_size=2)[1] for rank in range(2)]
    for number, view in enumerate(whole.views):
        part = parts[number % 2].views[number // 2]
        assert torch.equal(view.uv, part.uv) and view.camera.name == part.camera.name


def test_every_keyframe_comes_once_per_epoch_in_an_order_of_its_own(street):
    made, drawn = batches(street, batch_size=3), []
    made._load = lambda index: drawn.append(index) or street[index]
    for step in range(6):
        made[step]
    epochs = [tuple(drawn[first : first + 3]) for first in range(0, 18, 3)]
    assert all(sorted(epoch) == [0, 1, 2] for epoch in epochs) and len(set(epochs)) > 1


def test_pixels_are_those_of_the_points_kept(street):
    made = batches(street, augment=False)
    for view in made[0].views:
        uv, _, visible = project_points(
            view.scan.feat[:, 1:4],
            view.camera.T_cam_lidar,
            view.camera.K,
            view.camera.image_size,
        )
        assert visible.all() and torch.allclose(uv, view.uv, atol=1e-3)


def test_augmentation_moves_points_but_no_pixel(street):
    plain, moved = batches(street, augment=False)[0], batches(street)[0]
    # Voxels, camera and limit are drawn before the augmentation, so the views are the same.
    assert plain.views[0].camera.name == moved.views[0].camera.name
    assert not torch.allclose(plain.views[0].scan.feat[:5], moved.views[0].scan.feat[:5])


def test_no_more_points_than_the_limit(street):
    assert max(len(view.uv) for view in batches(street)[0].views) <= 500


def test_nothing_to_learn_from_is_an_error(street):
    with pytest.raises(ValueError, match="no keyframe"):
        TrainingBatches(street, [], INPUTS, batch_size=1, steps=1, seed=0)


def test_more_processes_than_views_is_an_error(street):
    with pytest.raises(ValueError, match="2 processes"):
        batches(street, batch_size=1, world_size=2)


def test_steps_beyond_the_run_are_refused(street):
    with pytest.raises(IndexError):
        batches(street)[6]
