"""Views by name: hidden points, all cameras, fewer beams; superpixels of three kinds."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tiny_distillation import CONFIG, run, small_teacher

from kit.data import open_dataset
from kit.distill.batches import TrainingBatches
from kit.distill.loss_inputs import loss_inputs, teacher_feat_of
from kit.distill.superpixels import clusters_of_pairs, exact_superpixels, teacher_clusters
from kit.distill.views import ViewConfig, make_views
from kit.projection import project_points
from kit.student.scans import InputConfig
from kit.teacher.camera_maps import camera_maps
from kit.teacher.feature_maps import FeatureMaps

INPUTS = InputConfig(max_points=3000)


@pytest.fixture(scope="module")
def street():
    return open_dataset("street", num_scenes=1, keyframes_per_scene=2, image_size=(56, 112))


def views(keyframe, seed=0, **changes):
    config = ViewConfig(augment=False, **changes)
    return make_views(keyframe, INPUTS, config, torch.Generator().manual_seed(seed))


def annotated_hidden(keyframe, view):
    """Which points of a view are hidden, according to the simulation."""
    kept = view.scan.kept if view.point_of_pair is None else view.scan.kept[view.point_of_pair]
    return keyframe.annotations.hidden[view.camera.name][kept]


def test_hidden_points_are_kept_estimated_or_left_out_exactly(street):
    keyframe = street[0]
    (kept,), (left_out,) = (views(keyframe, hidden=name) for name in ("kept", "left out"))
    (exact,) = views(keyframe, hidden="exact")
    hidden = [annotated_hidden(keyframe, view) for view in (kept, left_out, exact)]
    assert hidden[0].any() and not hidden[2].any()
    assert hidden[1].float().mean() < hidden[0].float().mean()
    with pytest.raises(ValueError, match="hidden='exact' needs the annotations of a simulation"):
        views(replace(keyframe, annotations=None), hidden="exact")


def test_a_hidden_point_gets_the_mean_target_of_near_visible_ones(street):
    keyframe = street[0]
    (plain,), (view,) = views(keyframe), views(keyframe, hidden="from neighbours")
    assert torch.equal(plain.scan.kept, view.scan.kept)
    own = torch.arange(len(view.uv))
    borrowing = (view.borrowed != own[:, None]).any(1)
    assert 0 < borrowing.sum() < len(own) / 2
    maps = camera_maps(small_teacher(), [view.camera])
    before, after = (teacher_feat_of([each], maps) for each in (plain, view))
    assert torch.allclose(before[~borrowing], after[~borrowing], atol=1e-6)
    assert torch.allclose(before[view.borrowed[borrowing]].mean(1), after[borrowing], atol=1e-6)
    # By loops: the five nearest points that do not borrow.
    points, number = keyframe.points[view.scan.kept], int(borrowing.nonzero()[0])
    distance = (points - points[number]).norm(dim=1)
    distance[borrowing] = torch.inf
    nearest = distance.topk(5, largest=False).values
    assert torch.allclose(distance[view.borrowed[number]].sort().values, nearest)


def test_all_cameras_share_the_whole_scan_and_the_last_one_counts(street):
    keyframe = street[0]
    found = views(keyframe, cameras="all")
    assert len(found) > 1 and len({id(view.scan) for view in found}) == 1
    rows = torch.cat([view.point_of_pair for view in found])
    assert len(rows.unique()) == len(rows) < len(found[0].scan.kept)
    last = {}
    for name, camera in keyframe.cameras.items():
        points = keyframe.points[found[0].scan.kept]
        _, _, visible = project_points(points, camera.T_cam_lidar, camera.K, camera.image_size)
        last |= dict.fromkeys(visible.nonzero()[:, 0].tolist(), name)
    assert {int(row): view.camera.name for view in found for row in view.point_of_pair} == last


def test_rows_join_pairs_of_several_scans_to_their_points(street):
    batches = TrainingBatches(
        street, [0, 1], INPUTS, batch_size=2, steps=1, seed=0, augment=False, cameras="all"
    )
    batch = batches[0]
    assert batch.num_pairs == len(batch.point_of_pair) < len(batch.points.feat)
    xyz = batch.points.feat[batch.point_of_pair, 1:4]
    begin = 0
    for view in batch.views:
        part = xyz[begin : begin + len(view.uv)]
        uv, _, visible = project_points(
            part, view.camera.T_cam_lidar, view.camera.K, view.camera.image_size
        )
        assert visible.all() and torch.allclose(uv, view.uv, atol=1e-3)
        begin += len(view.uv)
    maps = camera_maps(small_teacher(), [view.camera for view in batch.views])
    student_feat = torch.randn(len(batch.points.feat), maps[0].dim)
    inputs = loss_inputs(batch, maps, student_feat, {"ranges", "student_feat"})
    assert torch.equal(inputs.student_feat, student_feat[batch.point_of_pair])
    assert torch.allclose(inputs.ranges, xyz.norm(dim=1), rtol=1e-4)
    assert int(inputs.image_of_pair.max()) == len(batch.views) - 1


def test_beams_are_left_out_as_often_as_asked(street):
    keyframe = street[0]
    sizes = [len(views(keyframe, seed, beam_drop=0.5)[0].scan.kept) for seed in range(20)]
    plain = [len(views(keyframe, seed)[0].scan.kept) for seed in range(20)]
    fewer = sum(a < 0.7 * b for a, b in zip(sizes, plain, strict=True))
    assert 4 <= fewer <= 16
    (none,), (usual,) = views(keyframe, beam_drop=0.0), views(keyframe)
    assert torch.equal(none.scan.kept, usual.scan.kept)


def test_other_sensors_are_drawn_as_often_as_asked_and_keep_their_pixels(street):
    keyframe = street[0]
    changed = 0
    for seed in range(20):
        (view,) = views(keyframe, seed, sensor_jitter=0.5)
        points, camera = keyframe.points[view.scan.kept], view.camera
        changed += not torch.allclose(view.scan.feat[:, 1:4], points)
        uv, _, visible = project_points(points, camera.T_cam_lidar, camera.K, camera.image_size)
        assert visible.all() and torch.allclose(uv, view.uv, atol=1e-3)
    assert 4 <= changed <= 16


def test_exact_superpixels_are_objects_and_classes(street):
    keyframe = street[0]
    view = next(v for v in views(keyframe, cameras="all") if v.pixels().objects.max() >= 0)
    regions, pixels = exact_superpixels(view.pixels, "CAM"), view.pixels()
    pairs = {
        (int(r), int(o), int(c))
        for r, o, c in zip(regions.flatten(), pixels.objects.flat, pixels.labels.flat, strict=True)
    }
    assert len(pairs) == len({p[0] for p in pairs}) == len({p[1:] for p in pairs})
    with pytest.raises(ValueError, match="CAM has none; choose 'slic' or 'teacher'"):
        exact_superpixels(None, "CAM")


def test_clusters_of_the_teacher_join_similar_cells():
    a, b = F.normalize(torch.randn(2, 5), dim=1)
    grid = torch.stack([a, b])[(torch.arange(6) > 2).long()].T.view(1, 5, 1, 6).expand(1, 5, 4, 6)
    maps = FeatureMaps((grid + 1e-3 * torch.randn(1, 5, 4, 6),), (16, 24))
    region, means = teacher_clusters(maps)
    assert region.shape == (4, 6) and len(means) == int(region.max()) + 1
    left, right = set(region[:, :2].flatten().tolist()), set(region[:, 4:].flatten().tolist())
    assert not left & right
    uv = torch.tensor([[1.0, 1.0], [47.0, 31.0]])
    of_pair, feat = clusters_of_pairs([maps, maps], [uv, uv], [(32, 48)] * 2)
    assert of_pair.tolist()[2:] == [int(region[0, 0]) + len(means), int(region[3, 5]) + len(means)]
    assert len(feat) == 2 * len(means)


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden": "from neighbours", "cameras": "all"},
        {"loss": "slidr", "superpixels": "teacher"},
        {"loss": "st_slidr", "superpixels": "exact", "hidden": "exact", "beam_drop": 0.5},
    ],
)
def test_every_setting_can_be_distilled_with(changes):
    history = run(config=replace(CONFIG, steps=2, **changes)).history
    assert len(history) == 2 and all(0 < row["loss"] < 50 for row in history)


@pytest.mark.parametrize("name", ["hidden", "cameras", "superpixels"])
def test_unknown_names_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be one of"):
        replace(CONFIG, **{name: "exac"})
