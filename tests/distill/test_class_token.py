"""The class-token term: a mean of points predicts the class token of the image."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from lightning.fabric import Fabric
from tiny_distillation import CONFIG, run, same_weights, small_teacher, street

from kit import store
from kit.distill.batches import TrainingBatches
from kit.distill.class_token import WithClassToken, mean_by_image
from kit.distill.step import DistillStep
from kit.student.checkpoints import load_student
from kit.student.presets import build_student
from kit.student.scans import InputConfig
from kit.student.waffleiron.model import WaffleIron
from kit.teacher.camera_maps import camera_class_tokens
from kit.teacher.clip import ClipTeacher
from kit.teacher.joint import JointTeacher
from kit.teacher.presets import build_teacher

SIZE = (64, 128)
WITH = replace(CONFIG, class_token=1.0)
STUDENTS = {"wi-6-64": ("layer 6", 64), "minkunet-18": ("block 4", 256)}


@pytest.fixture(scope="module")
def teacher():
    return build_teacher("test_vit", image_size=SIZE, weights="random")


@pytest.fixture(scope="module")
def images():
    return torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("norm", [False, True])
def test_it_is_the_first_token_of_the_last_block(images, norm):
    teacher = build_teacher("test_vit", image_size=SIZE, weights="random", norm=norm)
    network, normalised = teacher.network, teacher.normalise(images)
    tokens = network.blocks(network.norm_pre(network._pos_embed(network.patch_embed(normalised))))
    expected = (network.norm(tokens) if norm else tokens)[:, 0]
    torch.testing.assert_close(teacher.class_tokens(images), expected)


def test_those_of_several_layers_or_teachers_are_at_unit_length(teacher, images):
    other = build_teacher("vit_tiny_patch16_224", image_size=SIZE, weights="random")
    both = JointTeacher([teacher, other]).class_tokens(images)
    first, second = both.split([teacher.dim, other.dim], dim=1)
    torch.testing.assert_close(first, F.normalize(teacher.class_tokens(images), dim=1))
    torch.testing.assert_close(second, F.normalize(other.class_tokens(images), dim=1))
    layers = build_teacher("test_vit", image_size=SIZE, weights="random", layer=(0, -1))
    assert layers.class_tokens(images).shape == (2, layers.dim)
    torch.testing.assert_close(layers.class_tokens(images).norm(dim=1) ** 2, torch.full((2,), 2.0))


def test_that_of_clip_is_its_embedding_of_the_image(images):
    teacher = ClipTeacher(image_size=SIZE, weights="random")
    network, normalised = teacher.network, teacher.normalise(images)
    tokens = network.norm_pre(network._pos_embed(network.patch_embed(normalised)))
    expected = network.head(network.norm(network.blocks(tokens))[:, 0])
    torch.testing.assert_close(teacher.class_tokens(images), expected)
    assert teacher.class_tokens(images).shape == (2, teacher.dim)


def test_the_cache_keeps_them(teacher, tmp_path, monkeypatch):
    cache, cameras = store.FeatureCache(tmp_path), list(street()[0].cameras.values())
    expected = camera_class_tokens(teacher, cameras, cache)
    torch.testing.assert_close(camera_class_tokens(teacher, cameras), expected)
    monkeypatch.setattr(teacher, "class_tokens", None)
    assert torch.equal(camera_class_tokens(teacher, cameras, cache), expected)


def test_the_mean_is_over_the_points_of_each_image():
    feat = torch.tensor([[1.0, 2], [3, 4], [5, 0], [9, 9]])
    found = mean_by_image(feat, torch.tensor([0, 1, 0, 1]), 2)
    assert found.tolist() == [[3.0, 1.0], [6.0, 6.5]]


@pytest.mark.parametrize("cameras", ["one", "all"])
@pytest.mark.parametrize("name", STUDENTS)
def test_one_vector_for_each_image_from_the_bottleneck(name, cameras):
    student = build_student(name, 12).eval()
    both = WithClassToken(student, 12, seed=3)
    assert student.bottleneck == STUDENTS[name]
    batch = TrainingBatches(
        street(), [0, 1], student.config.inputs, batch_size=2, steps=1, seed=0, cameras=cameras
    )[0]
    with torch.no_grad():
        point_feat, tokens = both(batch)
        deep = student.features(batch.points, (STUDENTS[name][0],))[STUDENTS[name][0]]
    assert tokens.shape == (len(batch.views), 12)
    torch.testing.assert_close(point_feat, student(batch.points).detach())
    row, first = batch.point_of_pair, 0
    for view, token in zip(batch.views, tokens, strict=True):
        pairs = slice(first, first + len(view.uv))
        own = deep[pairs] if row is None else deep[row[pairs]]
        torch.testing.assert_close(token, both.to_class_token(own.mean(0)).detach())
        first += len(view.uv)


def test_the_loss_has_its_weight(teacher):
    def loss(weight):
        torch.manual_seed(0)
        student = build_student("wi-6-64", teacher.dim)
        config = replace(CONFIG, class_token=weight)
        batches = TrainingBatches(street(), [0, 1], InputConfig(), batch_size=2, steps=1, seed=0)
        step = DistillStep(teacher, student, config, Fabric(accelerator="cpu", devices=1))
        return float(step(batches[0], lr=0.0))

    without, one, three = loss(0.0), loss(1.0), loss(3.0)
    assert three - without == pytest.approx(3 * (one - without), rel=1e-4)
    assert 0.5 < one - without < 1.5  # 1 - cosine of unrelated vectors


def test_the_term_is_learned_and_the_student_has_no_more_weights(teacher, tmp_path):
    config = replace(WITH, steps=40, lr=1e-2, checkpoint_every=100)
    history = run(tmp_path / "with", config, teacher).history
    first, last = (sum(row["loss"] for row in rows) / 5 for rows in (history[:5], history[-5:]))
    assert last < first - 0.5
    run(tmp_path / "without", CONFIG, teacher)
    students = [load_student(tmp_path / n / "student.safetensors") for n in ("with", "without")]
    assert students[0].state_dict().keys() == students[1].state_dict().keys()


def test_an_interrupted_run_ends_with_the_same_weights(teacher, tmp_path, monkeypatch):
    whole = run(tmp_path / "whole", WITH, teacher)

    def failing(self, batch, lr, step=DistillStep.__call__):
        if lr == WITH.lr_at(5):
            raise RuntimeError("power cut")
        return step(self, batch, lr)

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="power cut"):
        patch.setattr(DistillStep, "__call__", failing)
        run(tmp_path / "cut", WITH, teacher)
    resumed = run(tmp_path / "cut", WITH, teacher)
    assert same_weights(whole.student, resumed.student)
    with pytest.raises(ValueError, match="class_token: 1.0 there, 0.0 now"):
        run(tmp_path / "cut", CONFIG, teacher)


def test_a_network_without_class_token_is_refused(images, monkeypatch):
    teacher = small_teacher()
    assert not teacher.has_class_token
    with pytest.raises(
        ValueError, match="efficientnet_lite0 has no class token; use a transformer"
    ):
        run(config=WITH, teacher=teacher)
    with pytest.raises(ValueError, match="efficientnet_lite0 has no class token"):
        teacher.class_tokens(images)
    with pytest.raises(ValueError, match="class_token"):
        replace(CONFIG, class_token=-1.0)
    monkeypatch.delattr(WaffleIron, "bottleneck")
    with pytest.raises(ValueError, match="a WaffleIron has no property bottleneck"):
        WithClassToken(build_student("wi-6-64", 3), 3, seed=0)
