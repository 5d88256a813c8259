"""Batches of several moments: what a loop over the points finds, and what is refused."""

import math
import pickle
from dataclasses import replace

import pytest
import torch
from by_hand import ByHand
from tiny_distillation import CONFIG, run, small_teacher

import kit
from kit.distill.batches import TrainingBatches
from kit.distill.loop import distill
from kit.distill.loss_inputs import loss_inputs
from kit.distill.losses import needs
from kit.distill.moments import find_neighbours
from kit.store import FeatureCache
from kit.street.dataset import Street
from kit.street.render.lidar import Lidar
from kit.street.rigs import RIGS
from kit.student.scans import InputConfig
from kit.student.waffleiron.config import WaffleIronConfig
from kit.student.waffleiron.model import WaffleIron
from kit.teacher.feature_maps import FeatureMaps

INPUTS = InputConfig(subsample=False, num_neighbours=4)
HEIGHT, WIDTH, FOCAL = 40, 60, 30.0
NEEDED = needs("superflow")


def camera():
    T = torch.eye(4, dtype=torch.float64)
    T[:3, :3] = torch.tensor([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])  # looks along the lidar's x
    T[:3, 3] = torch.tensor([0.1, -0.2, 0.05])
    K = torch.tensor([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1.0]])
    pixels = torch.zeros(HEIGHT, WIDTH, 3, dtype=torch.uint8).numpy()
    return kit.Camera("CAM", T, K, (HEIGHT, WIDTH), lambda: pixels)


def pose(time):
    """T_global_lidar of a car on a curve."""
    c, s = math.cos(0.2 * time), math.sin(0.2 * time)
    T = torch.eye(4, dtype=torch.float64)
    T[:2, :2] = torch.tensor([[c, -s], [s, c]])
    T[:3, 3] = torch.tensor([100 + 2.0 * time, 50.0, 0.1 * time])
    return T


class Handmade(ByHand):
    """Keyframes of 50 points; the scenes as given, one letter per keyframe."""

    classes, has_labels = kit.NUSCENES, True
    sensor = kit.Sensor("lidar", 0.0, 1.0)

    def __init__(self, scenes, has_poses=True):
        self.scenes, self.has_poses = list(scenes), has_poses
        self.tokens = [f"k{i}" for i in range(len(scenes))]

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        size, middle = torch.tensor([18.0, 20.0, 12.0]), torch.tensor([12.0, 0.0, 0.0])
        points = (torch.rand(50, 3, generator=generator) - 0.5) * size + middle
        labels = torch.randint(4, (50,), generator=generator)
        return kit.Keyframe(
            token=self.tokens[index],
            scene=self.scenes[index],
            points=points,
            intensity=torch.zeros(50),
            cameras={"CAM": camera()},
            sensor=self.sensor,
            classes=self.classes,
            labels=torch.where(labels == 3, kit.IGNORE, labels),
            timestamp=500_000 * index,
            T_global_lidar=pose(index) if self.has_poses else None,
        )


def batches(dataset, keyframes=None, **changes):
    settings = {"batch_size": 1, "steps": 4, "seed": 0, "augment": False, "needs": NEEDED}
    keyframes = range(len(dataset)) if keyframes is None else keyframes
    return TrainingBatches(dataset, keyframes, INPUTS, **(settings | changes))


def is_seen(point):
    """Whether a point in the lidar frame falls into the image."""
    right, down, ahead, _ = (camera().T_cam_lidar @ torch.tensor([*point, 1.0]).double()).tolist()
    u, v = FOCAL * right / ahead + WIDTH / 2, FOCAL * down / ahead + HEIGHT / 2
    return ahead > 1 and 0 < u < WIDTH - 1 and 0 < v < HEIGHT - 1


def rows(points, *columns):
    """Points with more columns, in an order that does not depend on how they were found."""
    table = torch.cat([points.double(), *(c[:, None].double() for c in columns)], 1)
    return table[table[:, 0].argsort()]


@pytest.mark.parametrize("cameras", ["one", "all"])
def test_the_inputs_of_the_loss_are_those_of_a_loop_over_the_points(cameras):
    data = Handmade("aaa")
    batch = batches(data, cameras=cameras)[0]
    maps = [
        FeatureMaps((torch.full((1, 3, 2, 3), 1.0 + view.moment),), (16, 24))
        for view in batch.views
    ]
    found = loss_inputs(batch, maps, batch.points.feat[:, 1:4], NEEDED)  # positions as features

    pairs, dense = [], []
    for moment in (-1, 0, 1):
        keyframe = data[1 + moment]
        T = torch.linalg.inv(pose(1)) @ pose(1 + moment)
        for point, label in zip(keyframe.points, keyframe.labels.tolist(), strict=True):
            label = -1 if label == kit.IGNORE else label
            if is_seen(point):
                pairs.append([*point.tolist(), moment, label])
            moved = (T @ torch.tensor([*point, 1.0]).double())[:3]
            if cameras == "all" or is_seen(moved):
                dense.append([*moved.tolist(), label])
    assert 20 < len(pairs) < 150 and 0 < len({row[-1] for row in dense} & {-1, 0, 1, 2})
    pairs, dense = torch.tensor(pairs).double(), torch.tensor(dense).double()
    made = rows(found.student_feat, found.moments, found.classes)
    torch.testing.assert_close(made, rows(pairs[:, :3], pairs[:, 3], pairs[:, 4]))
    made = rows(found.dense_feat, found.dense_classes)
    torch.testing.assert_close(made, rows(dense[:, :3], dense[:, 3]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.teacher_feat[:, 0], 1.0 + found.moments)
    assert batch.num_pairs == len(pairs)


def test_neighbours_are_training_keyframes_of_the_same_scene():
    data = Handmade("aaaabbbc")
    assert find_neighbours(data, range(8), 1) == {1: (0, 2), 2: (1, 3), 5: (4, 6)}
    assert find_neighbours(data, [6, 0, 3, 1, 4], 1) == {1: (0, 3)}
    assert find_neighbours(Handmade("aaaaa"), range(5), 2) == {2: (0, 4)}


def test_keyframes_at_the_ends_of_a_scene_are_counted_and_never_drawn():
    made = batches(Handmade("aaaabbbc"))
    assert made.keyframes == (1, 2, 5)
    assert str(made.left_out()).startswith("5 keyframes without another one before or after")
    same = pickle.loads(pickle.dumps(made))[3]
    assert torch.equal(made[3].points.feat, same.points.feat)


def test_a_data_set_without_neighbours_or_poses_is_refused_at_the_start():
    config = replace(CONFIG, loss="superflow")
    with pytest.raises(
        ValueError, match="street: this loss needs .* 3 train.* no scene has more than 2"
    ):
        run(config=config)
    with pytest.raises(ValueError, match="by hand: .* with moment_step 2 that is 5 training"):
        batches(Handmade("aaa"), moment_step=2)
    made = batches(Handmade("aaa", has_poses=False))
    assert made.left_out().no_pose == 1 and "without a pose: 1" in str(made.left_out())
    with pytest.raises(ValueError, match="by hand: .* k1 has no T_global_lidar.*class_mean"):
        made[0]


def test_superflow_is_learned():
    full = RIGS["nuscenes"]
    front = {"CAM_FRONT": full.cameras["CAM_FRONT"]}
    lidar = Lidar(full.lidar.elevations[::2], azimuths=360)
    rig = replace(full, name="small", lidar=lidar, cameras=front)
    street = Street(
        num_scenes=1, keyframes_per_scene=3, image_size=(28, 56), sensor=rig, density=0.0
    )
    teacher, steps = small_teacher(), 20
    config = replace(CONFIG, loss="superflow", steps=steps, batch_size=1, lr=0.03)
    inputs = InputConfig(voxel_size=0.3, max_points=600)
    torch.manual_seed(0)
    student = WaffleIron(WaffleIronConfig(2, 16, head=(teacher.dim,), inputs=inputs))
    history = distill(
        street, teacher, student, config, cache=FeatureCache(), progress=False
    ).history
    losses = [row["loss"] for row in history]
    assert len(losses) == steps and sum(losses[-5:]) < 0.75 * sum(losses[:5])
