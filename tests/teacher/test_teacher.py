"""The frozen teacher: what it computes, what it refuses, what its arguments change."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file

from kit.data.classes import NUSCENES
from kit.data.keyframe import Camera, Keyframe, Sensor
from kit.store import FeatureCache
from kit.teacher.camera_maps import camera_maps
from kit.teacher.presets import build_teacher
from kit.teacher.teacher import RECIPES, keyframe_features
from kit.teacher.timm_teacher import Recipe

SMALL = (64, 128)  # pixels; 4 x 8 and 2 x 4 cells of EfficientNet-Lite0
VIT_FILE = "vit_small_patch14_dinov2_saliency_fp16.safetensors"  # DINOv2, saliency fine-tuned


def some_images(count=2, image_size=SMALL, seed=0):
    return torch.rand(count, 3, *image_size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def teacher():
    return build_teacher(image_size=SMALL)


@pytest.fixture(scope="module")
def vit(weights):
    return build_teacher(
        "dinov2_vits14", layer=8, image_size=(112, 224), weights=weights / VIT_FILE
    )


# --- what it computes ---------------------------------------------------------------------------


def test_the_default_has_432_channels_at_448x896():
    default = build_teacher()
    assert default.image_size == (448, 896) and default.dim == 432
    grids = default(some_images(1, (448, 896)))
    assert [tuple(grid.shape) for grid in grids.maps] == [(1, 112, 28, 56), (1, 320, 14, 28)]


def test_the_default_is_the_stages_of_its_network_on_images_of_its_own_scale(teacher):
    images = some_images()
    with torch.no_grad():
        x = teacher.network.bn1(teacher.network.conv_stem(images * 2 - 1))
        stages = [x := stage(x) for stage in teacher.network.blocks]
    assert teacher.network.conv_stem.__class__.__name__ == "Conv2dSame"
    assert teacher.network.bn1.eps == 1e-3
    for grid, expected in zip(teacher(images).maps, (stages[4], stages[6]), strict=True):
        assert torch.allclose(grid, expected, atol=1e-4)


def independent_vit(file, image_size):
    """timm's network with DINOv2's own position embedding, put in by hand."""
    state = {name: value.float() for name, value in load_file(file).items()}
    rows, columns = image_size[0] // 14, image_size[1] // 14
    grid = state["pos_embed"][:, 1:].reshape(1, 37, 37, 384).permute(0, 3, 1, 2)
    # 0.1 as in interpolate_pos_encoding of facebookresearch/dinov2
    scale = ((rows + 0.1) / 37, (columns + 0.1) / 37)
    grid = F.interpolate(grid, scale_factor=scale, mode="bicubic", antialias=False)
    patches = grid.permute(0, 2, 3, 1).reshape(1, rows * columns, 384)
    state["pos_embed"] = torch.cat([state["pos_embed"][:, :1], patches], dim=1)
    network = timm.create_model("vit_small_patch14_dinov2", img_size=image_size, num_classes=0)
    network.load_state_dict(state, strict=True)
    return network.eval()


def test_a_vit_gives_the_patch_tokens_of_the_block_asked_for(vit, weights):
    network = independent_vit(weights / VIT_FILE, (112, 224))
    tokens = []
    network.blocks[8].register_forward_hook(lambda module, inputs, output: tokens.append(output))
    images = some_images(2, (112, 224))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        network((images - mean[:, None, None]) / std[:, None, None])
    patch_tokens = tokens[0][:, 1:]  # (B, L, D) without the class token
    (grid,) = vit(images).maps
    assert grid.shape == (2, 384, 8, 16)
    for row, column in ((0, 0), (0, 15), (3, 5), (7, 15)):
        expected = patch_tokens[:, row * 16 + column]
        assert torch.allclose(grid[:, :, row, column], expected, atol=1e-3)


def test_dinov2_takes_its_own_position_embedding_and_timm_names_take_timms(vit, weights):
    timms = build_teacher(
        "vit_small_patch14_dinov2.lvd142m",
        layer=8,
        image_size=(112, 224),
        weights=weights / VIT_FILE,
    )
    images = some_images(1, (112, 224))
    ours, theirs = vit(images).maps[0], timms(images).maps[0]
    assert F.cosine_similarity(ours, theirs).mean() < 0.999
    as_timm = replace(vit.recipe, antialias=True, offset=0.0)
    assert torch.equal(build_teacher(as_timm, weights=weights / VIT_FILE)(images).maps[0], theirs)


def test_grids_and_samples_can_teach_but_hold_no_gradient(teacher):
    images = some_images().requires_grad_()
    grids = teacher(images)
    uv = torch.rand(20, 2) * 60
    feat = grids.sample(torch.zeros(20, dtype=torch.int64), uv, SMALL)
    assert not feat.requires_grad and not any(p.requires_grad for p in teacher.parameters())
    student = torch.randn(20, teacher.dim, requires_grad=True)
    F.cosine_similarity(student, feat).mean().backward()  # keeps feat for the backward pass
    weight = torch.ones(1, requires_grad=True)
    (weight * grids.maps[0]).sum().backward()  # and so does this, of the maps themselves
    assert student.grad.abs().sum() > 0 and weight.grad.abs() > 0 and images.grad is None


def test_an_image_has_the_same_grid_in_any_batch(teacher):
    images = some_images(3)
    together, alone = teacher(images).split()[2], teacher(images[2:])
    for grid, other in zip(together.maps, alone.maps, strict=True):
        assert torch.allclose(grid, other, atol=1e-4)


# --- what it refuses ----------------------------------------------------------------------------


def test_it_stays_in_eval_mode(teacher):
    with pytest.raises(RuntimeError, match="frozen and stays in eval mode"):
        teacher.train()
    with pytest.raises(RuntimeError, match="keep it out of the module you train"):
        torch.nn.ModuleList([teacher]).train()
    assert teacher.eval() is teacher
    assert not any(module.training for module in teacher.modules())


def test_images_of_another_size_are_refused(teacher):
    with pytest.raises(ValueError, match="64x256 .* takes 64x128.*camera.resized"):
        teacher(some_images(1, (64, 256)))


@pytest.mark.parametrize("change", [lambda x: x * 255, lambda x: x - 0.5, lambda x: x / 0])
def test_images_that_are_not_from_0_to_1_are_refused(teacher, change):
    with pytest.raises(ValueError, match=r"must be in \[0, 1\], got"):
        teacher(change(some_images(1)))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"layer": 5}, "has 5 blocks or stages, 0 to 4, got \\(5,\\)"),
        ({"layer": -6}, "0 to 4"),
        ({"layer": ()}, "0 to 4"),
        ({"image_size": (440, 900)}, "multiples of 32 .* nearest is 448x896"),
        ({"image_size": (8, 8)}, "nearest is 32x32"),
        ({"norm": True}, "no final norm"),
        ({"image_size": SMALL, "scales": (0.25, 1.0)}, "multiples of 32 .* 16x32 at scale 0.25"),
        ({"scales": ()}, "must be different, above 0 and below 10, like \\(1, 2\\), got \\(\\)"),
        ({"scales": (1.0, 1.0)}, "must be different"),
        ({"scales": (-1.0,)}, "must be different"),
        ({"scales": (1.0, 10.0)}, "below 10"),
        (
            {
                "name": "vit_tiny_patch16_224",
                "weights": "random",
                "image_size": (224, 224),
                "scales": (1.0, 2.0),
            },
            "transformer, .* choose another",
        ),
    ],
)
def test_what_does_not_fit_the_network_is_refused(arguments, text):
    with pytest.raises(ValueError, match=text):
        build_teacher(**arguments)


def test_an_unknown_name_is_refused_with_recipes_that_come_close():
    with pytest.raises(ValueError, match="'dinov2_vits41' .* Did you mean dinov2_vits14"):
        build_teacher("dinov2_vits41")


def test_every_recipe_names_weights_that_timm_publishes():
    published = set(timm.list_pretrained())
    for name, recipe in RECIPES.items():
        config = timm.models.get_pretrained_cfg(recipe.model)
        assert recipe.model in published or f"{recipe.model}.{config.tag}" in published, name
        assert recipe.antialias or "dinov2" in recipe.model or recipe.model.endswith(".dino")
        assert recipe.antialias == (recipe.offset == 0), name


# --- what its arguments change ------------------------------------------------------------------


def test_layer_chooses_blocks_or_stages(teacher):
    images = some_images()
    both = teacher(images).maps
    for layer, dim in ((3, 112), (4, 320), (-1, 320)):
        one = build_teacher(layer=layer, image_size=SMALL)
        assert one.dim == dim
        assert torch.equal(one(images).maps[0], both[layer if layer == -1 else layer - 3])
    several = build_teacher(layer=(-1, 2, 4), image_size=SMALL)
    assert several.recipe.layers == (2, 4) and several.dim == 40 + 320


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_scales_are_teachers_of_resized_images_side_by_side(teacher, scale):
    images = some_images()
    height, width = (round(length * scale) for length in SMALL)
    one = build_teacher(image_size=(height, width))
    resized = [
        [Image.fromarray(c.numpy()).resize((width, height), Image.Resampling.BILINEAR) for c in i]
        for i in images
    ]
    expected = (*teacher(images).maps, *one(torch.from_numpy(np.array(resized))).maps)
    two = build_teacher(image_size=SMALL, scales=(1.0, scale))
    grids = two(images)
    for grid, other in zip(grids.maps, expected, strict=True):
        assert torch.allclose(grid, other, atol=1e-3)
    assert two.dim == 2 * teacher.dim == grids.dim
    assert two.fingerprint != teacher.fingerprint and f"at scales 1.0, {scale}" in repr(two)
    image, uv = torch.tensor([0, 1]), torch.tensor([[3.0, 7.0], [100.0, 60.0]])
    feat = grids.sample(image, uv, SMALL)
    assert torch.equal(feat[:, : teacher.dim], teacher(images).sample(image, uv, SMALL))
    assert torch.allclose(feat.square().sum(1), torch.tensor(4.0))  # unit length, four times


def test_each_argument_changes_the_features_and_the_fingerprint(vit, weights):
    def make(name="dinov2_vits14", file=weights / VIT_FILE, size=(112, 224), **changes):
        return build_teacher(name, weights=file, image_size=size, **{"layer": 8, **changes})

    others = {
        "layer": make(layer=7),
        "norm": make(norm=True),
        "image_size": make(size=(56, 112)),
        "weights": make(file="random"),
    }
    generator = torch.Generator().manual_seed(0)
    scene = torch.rand(1, 3, 8, 16, generator=generator)
    pixel = torch.tensor([[3.0, 2.0], [12.0, 6.0]])

    def features(teacher):
        images = F.interpolate(scene, teacher.image_size, mode="bilinear")
        return teacher(images).sample(torch.zeros(2, dtype=torch.int64), pixel, (8, 16))

    base = features(vit)
    for argument, other in others.items():
        assert not torch.allclose(features(other), base, atol=1e-2), argument
        assert other.fingerprint != vit.fingerprint, argument
    same = make()
    assert same.fingerprint == vit.fingerprint and torch.equal(features(same), base)


def test_norm_is_the_networks_final_norm(vit, weights):
    normed = build_teacher(
        "dinov2_vits14", layer=8, norm=True, image_size=(112, 224), weights=weights / VIT_FILE
    )
    images = some_images(1, (112, 224))
    plain, after = vit(images).maps[0], normed(images).maps[0]
    expected = vit.network.norm(plain.movedim(1, -1)).movedim(-1, 1)
    assert torch.allclose(after, expected, atol=1e-4)


def test_published_sizes_of_a_vit_give_their_grids(weights):
    for size, cells in (((224, 448), (16, 32)), ((448, 896), (32, 64))):
        vit = build_teacher("dinov2_vits14", layer=0, image_size=size, weights=weights / VIT_FILE)
        assert vit(some_images(1, size)).maps[0].shape == (1, 384, *cells)


def test_random_weights_are_a_repeatable_baseline(teacher):
    one, two = (build_teacher(image_size=SMALL, weights="random") for _ in range(2))
    assert one.fingerprint == two.fingerprint != teacher.fingerprint


@pytest.mark.parametrize(
    ("name", "size", "shape"),
    [
        ("resnet10t", (64, 128), (512, 2, 4)),
        ("convnext_atto", (64, 128), (320, 2, 4)),
        ("vit_tiny_patch16_224", (64, 128), (192, 4, 8)),
        ("dinov3_vits16", (64, 128), (384, 4, 8)),
        ("dino_vits16", (64, 128), (384, 4, 8)),
        ("dinov2_vits14_reg4", (56, 112), (384, 4, 8)),
    ],
)
def test_any_timm_network_is_a_teacher(name, size, shape):
    other = build_teacher(name, image_size=size, weights="random")
    assert other(some_images(1, size)).maps[0].shape == (1, *shape)
    assert other.dim == shape[0] and f"Teacher {name}" in repr(other)


def test_a_recipe_of_ones_own_is_taken():
    mine = Recipe("resnet10t", image_size=(64, 64), layers=(-1, -2))
    other = build_teacher(mine, weights="random")
    assert other.recipe.layers == (3, 4) and other.dim == 256 + 512


# --- cameras of a keyframe ----------------------------------------------------------------------


def some_camera(name, image_size, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (*image_size, 3), dtype=np.uint8)
    K = torch.tensor([[50.0, 0, 50], [0, 50, 30], [0, 0, 1]], dtype=torch.float64)
    return Camera(name, torch.eye(4, dtype=torch.float64), K, image_size, lambda: pixels)


@pytest.fixture(scope="module")
def keyframe():
    """Four points; point 0 is seen by both cameras, 1 by none, 2 and 3 by one each."""
    cameras = {
        "LEFT": some_camera("LEFT", (90, 160), 1),
        "RIGHT": some_camera("RIGHT", (60, 70), 2),
    }
    sensor = Sensor("lidar", 0.0, 1.0)
    points = torch.arange(12.0).view(4, 3)
    return Keyframe("token", "scene", points, torch.zeros(4), cameras, sensor, NUSCENES)


@pytest.fixture(scope="module")
def pairs():
    return SimpleNamespace(
        point=torch.tensor([0, 2, 0, 3]),
        camera=torch.tensor([0, 0, 1, 1]),
        uv=torch.tensor([[10.5, 20.5], [150.9, 80.2], [60.7, 3.3], [0.4, 59.9]]),
        camera_names=("LEFT", "RIGHT"),
        image_sizes=((90, 160), (60, 70)),
    )


def published_feature(teacher, camera, u, v):
    """Up-sample each map to the teacher's image and index it at the rescaled pixel."""
    height, width = camera.image_size
    row, column = int(v) * SMALL[0] // height, int(u) * SMALL[1] // width
    maps = teacher(camera.resized(SMALL)[None]).maps
    large = [F.interpolate(m, SMALL, mode="bilinear", align_corners=True) for m in maps]
    feat = torch.cat([F.normalize(m[0, :, row, column], dim=0) for m in large])
    return feat / feat.norm()


def test_a_keyframe_has_the_published_features_of_each_camera(teacher, keyframe, pairs):
    seen, feat = keyframe_features(teacher, keyframe, pairs)
    assert seen.tolist() == [0, 2, 3]
    left, right = keyframe.cameras.values()
    first = published_feature(teacher, left, 10.5, 20.5)
    second = published_feature(teacher, right, 60.7, 3.3)
    assert torch.allclose(feat[0], (first + second) / 2, atol=1e-4)
    assert torch.allclose(feat[1], published_feature(teacher, left, 150.9, 80.2), atol=1e-4)
    assert torch.allclose(feat[2], published_feature(teacher, right, 0.4, 59.9), atol=1e-4)
    drawn = {
        bool(torch.allclose(f[0], first, atol=1e-4)) - bool(torch.allclose(f[0], second, atol=1e-4))
        for f in (
            keyframe_features(
                teacher, keyframe, pairs, "random", generator=torch.Generator().manual_seed(seed)
            )[1]
            for seed in range(8)
        )
    }
    assert drawn == {-1, 1}


def test_grids_come_in_the_order_of_the_cameras_whatever_the_batch(teacher):
    cameras = [some_camera(str(seed), (30, 40 + seed), seed) for seed in range(5)]
    for batch_size in (1, 2, 6):
        for camera, grids in zip(
            cameras, camera_maps(teacher, cameras, batch_size=batch_size), strict=True
        ):
            expected = teacher(camera.resized(SMALL)[None])
            assert torch.allclose(grids.maps[1], expected.maps[1], atol=1e-4)
    assert camera_maps(teacher, []) == []


def test_a_cached_grid_is_close_to_a_computed_one_and_asks_no_network(
    teacher, keyframe, pairs, tmp_path, monkeypatch
):
    cache = FeatureCache(tmp_path)
    _, exact = keyframe_features(teacher, keyframe, pairs)
    _, cold = keyframe_features(teacher, keyframe, pairs, cache=cache)
    other = build_teacher(layer=4, image_size=SMALL)
    expected = [grids.maps[0] for grids in camera_maps(other, list(keyframe.cameras.values()))]
    found = camera_maps(other, list(keyframe.cameras.values()), cache)
    assert all(
        torch.allclose(grids.maps[0], grid, rtol=1e-3, atol=1e-3)
        for grids, grid in zip(found, expected, strict=True)
    )

    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked although the grids are cached")

    monkeypatch.setattr(teacher.network, "forward_intermediates", refuse)
    _, warm = keyframe_features(teacher, keyframe, pairs, cache=cache)
    assert torch.equal(cold, warm)  # or a run that is resumed would not end as one that was not
    assert 0 < (exact - warm).abs().max() < 1e-3
    assert F.cosine_similarity(exact, warm).min() > 0.99999
