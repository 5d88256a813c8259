"""Training batches: they depend on seed and step only, and pixels belong to their points."""

import pickle
from dataclasses import replace

import pytest
import torch

from kit.data import open_dataset
from kit.data.classes import IGNORE
from kit.distill.batches import TrainingBatches
from kit.distill.superpixels import camera_superpixels
from kit.projection import project_points
from kit.store import FeatureCache
from kit.street.dataset import Street
from kit.student.scans import InputConfig
from kit.teacher.camera_maps import MissingImages, camera_maps
from kit.teacher.presets import build_teacher

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


def test_a_batch_depends_on_seed_and_step_only(street):
    first, second = batches(street), batches(street)
    second[0], second[5]  # other batches before it change nothing
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


def test_every_keyframe_comes_once_per_epoch_in_a_new_order(street):
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


def test_a_run_without_keyframes_is_refused(street):
    with pytest.raises(ValueError, match="no keyframe"):
        TrainingBatches(street, [], INPUTS, batch_size=1, steps=1, seed=0)


def test_more_processes_than_views_is_an_error(street):
    with pytest.raises(ValueError, match="2 processes"):
        batches(street, batch_size=1, world_size=2)


def test_steps_beyond_the_run_are_refused(street):
    with pytest.raises(IndexError):
        batches(street)[6]


def test_superpixels_and_classes_are_made_only_if_the_loss_needs_them(street):
    made = batches(street)[0]
    assert made.superpixels is None and made.classes is None
    assert made.seconds.keys() == {"reading", "inputs"}


def test_superpixels_are_those_of_each_pairs_pixel(street, tmp_path):
    cache = FeatureCache(tmp_path)
    made = batches(street, needs={"superpixels"}, cache=cache)[0]
    assert len(made.superpixels) == len(made.points.feat) and cache.size() > 0
    first, begin = 0, 0
    for view in made.views:
        regions = camera_superpixels(view.camera)
        column, row = view.uv.long().T
        found = made.superpixels[begin : begin + len(view.uv)]
        assert torch.equal(found, regions[row, column] + first)
        first, begin = first + int(regions.max()) + 1, begin + len(view.uv)
    assert "superpixels" in made.seconds


def test_classes_are_those_of_each_pairs_point(street):
    made = batches(street, needs={"classes"})[1]
    plain = batches(street)[1]
    assert same(made, plain) and len(made.classes) == len(made.points.feat)
    known = made.classes[made.classes != IGNORE]
    assert len(known) and int(known.max()) < len(street.classes)
    keyframes = [street[index] for index in range(3)]
    begin = 0
    for view in made.views:
        labels = made.classes[begin : begin + len(view.uv)]
        fits = [torch.equal(k.labels[view.scan.kept], labels) for k in keyframes]
        assert any(fits)
        begin += len(view.uv)


def test_without_labels_there_are_no_classes(street):
    made = batches(street, needs={"classes"})
    load = made._load
    made._load = lambda index: replace(load(index), labels=None)
    assert made[0].classes is None


class Partial(Street):
    """A street of which some keyframes lack their images, or have points that no camera sees."""

    def __init__(self, no_image=(), unseen=()):
        super().__init__(num_scenes=1, keyframes_per_scene=3, image_size=(56, 112))
        self.no_image, self.unseen = no_image, unseen

    def __getitem__(self, index):
        keyframe = super().__getitem__(index)
        if index in self.no_image:
            return replace(keyframe, cameras={})
        if index in self.unseen:  # one point in view, all others above the lidar
            points = keyframe.points.clone()
            camera = next(iter(keyframe.cameras.values()))
            seen = project_points(points, camera.T_cam_lidar, camera.K, camera.image_size)[2]
            points[seen.nonzero()[1:, 0]] = torch.tensor([0.0, 0.0, 50.0])
            return replace(keyframe, points=points, cameras={camera.name: camera})
        return keyframe


def test_keyframes_that_cannot_be_learned_from_are_left_out_and_others_drawn(street):
    partial = Partial(no_image=[1], unseen=[2])
    made, whole = batches(partial), batches(street)
    order = []
    whole._load = lambda index: order.append(index) or street[index]
    for step in range(4):
        views, complete = made[step].views, whole[step].views
        for view, other, index in zip(views, complete, order[-4:], strict=True):
            assert len(view.uv) >= 2
            if index == 0:  # what is complete is used as ever
                assert torch.equal(view.scan.feat, other.scan.feat)
    assert set(order) == {0, 1, 2}
    assert same(made[3], pickle.loads(pickle.dumps(batches(partial)))[3])
    parts = [batches(partial, rank=rank, world_size=2)[3] for rank in range(2)]
    views = [parts[number % 2].views[number // 2] for number in range(4)]
    assert all(torch.equal(a.uv, b.uv) for a, b in zip(made[3].views, views, strict=True))


def test_left_out_keyframes_are_counted(street, monkeypatch):
    found = batches(Partial(no_image=[1], unseen=[2])).left_out()
    assert (found.no_image, found.unseen, found.count, found.checked) == (1, 1, 2, 3)
    assert str(found).startswith("2 of 3 keyframes left out (without images: 1; no camera sees 2")
    assert batches(street).left_out().count == 0
    monkeypatch.setattr("kit.distill.batches.MOST_CHECKED", 2)  # of a large data set: some
    found = batches(Partial(no_image=[2])).left_out()
    assert str(found).startswith("1 of 2 checked keyframes (3 in all)")


def test_a_data_set_without_any_usable_keyframe_is_an_error(street):
    nothing = batches(Partial(no_image=[0, 2], unseen=[1]))
    with pytest.raises(ValueError, match="street: no camera sees 2 or more lidar points in any of"):
        nothing[0]
    assert nothing.left_out().count == 3


def test_other_errors_of_a_scan_are_not_taken_for_a_keyframe_to_leave_out(street, monkeypatch):
    def broken(*_, **__):
        raise ValueError("1 of 9 points are out of range")

    monkeypatch.setattr("kit.distill.views.prepare_scan", broken)
    with pytest.raises(ValueError, match="out of range"):
        batches(street)[0]


def test_a_batch_is_put_into_page_locked_memory(street, monkeypatch):
    """Without a GPU there is no such memory: a double stands for it."""
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor + 1)
    batch = batches(street)[0]
    pinned = batch.pin_memory()
    assert torch.equal(pinned.points.feat, batch.points.feat + 1)
    for one, other in zip(pinned.points.planes, batch.points.planes, strict=True):
        for name, value in vars(other).items():
            assert torch.equal(getattr(one, name), value + 1)
    assert pinned.views is batch.views and pinned.points.bounds == batch.points.bounds


def test_images_are_decoded_with_the_batch_unless_their_maps_are_known(street, tmp_path):
    teacher = build_teacher(image_size=(64, 128))
    assert all(view.image is None for view in batches(street)[0].views)
    cache = FeatureCache(tmp_path)
    image_of = MissingImages(teacher.fingerprint, teacher.image_size, cache)
    views = batches(street, image_of=image_of)[0].views
    for view in views:
        assert torch.equal(view.image, view.camera.resized((64, 128)))
    camera_maps(teacher, [views[0].camera], cache)
    found = batches(street, image_of=image_of)[0].views
    known = views[0].camera.fingerprint()
    for view in found:
        assert (view.image is None) == (view.camera.fingerprint() == known)
    images, cameras = [view.image for view in views], [view.camera for view in views]
    given = camera_maps(teacher, cameras, images=images)
    for one, other in zip(given, camera_maps(teacher, cameras), strict=True):
        assert all(map(torch.equal, one.maps, other.maps))
