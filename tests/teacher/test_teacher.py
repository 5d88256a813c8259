"""A timm teacher: the features it computes, the images it refuses, the effect of its options."""

from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file

from kit.teacher.presets import build_teacher

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


# --- computed features --------------------------------------------------------------------------


def test_the_default_has_432_channels_at_448x896():
    default = build_teacher()
    assert default.image_size == (448, 896) and default.dim == 432
    maps = default(some_images(1, (448, 896))).maps
    assert [tuple(each.shape) for each in maps] == [(1, 112, 28, 56), (1, 320, 14, 28)]


def test_the_default_is_the_stages_of_its_network_on_images_of_its_own_range(teacher):
    images = some_images()
    with torch.no_grad():
        x = teacher.network.bn1(teacher.network.conv_stem(images * 2 - 1))
        stages = [x := stage(x) for stage in teacher.network.blocks]
    assert teacher.network.conv_stem.__class__.__name__ == "Conv2dSame"
    assert teacher.network.bn1.eps == 1e-3
    for found, expected in zip(teacher(images).maps, (stages[4], stages[6]), strict=True):
        assert torch.allclose(found, expected, atol=1e-4)


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
    (feature_map,) = vit(images).maps
    assert feature_map.shape == (2, 384, 8, 16)
    for row, column in ((0, 0), (0, 15), (3, 5), (7, 15)):
        expected = patch_tokens[:, row * 16 + column]
        assert torch.allclose(feature_map[:, :, row, column], expected, atol=1e-3)


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


def test_maps_and_samples_hold_no_gradient_but_may_be_part_of_a_loss(teacher):
    images = some_images().requires_grad_()
    maps = teacher(images)
    uv = torch.rand(20, 2) * 60
    feat = maps.sample(torch.zeros(20, dtype=torch.int64), uv, SMALL)
    assert not feat.requires_grad and not any(p.requires_grad for p in teacher.parameters())
    student = torch.randn(20, teacher.dim, requires_grad=True)
    F.cosine_similarity(student, feat).mean().backward()  # keeps feat for the backward pass
    weight = torch.ones(1, requires_grad=True)
    (weight * maps.maps[0]).sum().backward()  # keeps the maps
    assert student.grad.abs().sum() > 0 and weight.grad.abs() > 0 and images.grad is None


def test_an_image_has_the_same_maps_in_any_batch(teacher):
    images = some_images(3)
    together, alone = teacher(images).split()[2], teacher(images[2:])
    for found, other in zip(together.maps, alone.maps, strict=True):
        assert torch.allclose(found, other, atol=1e-4)


# --- refused images and modes -------------------------------------------------------------------


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


# --- the effect of its options ------------------------------------------------------------------


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
def test_features_of_scales_are_those_of_resized_images_concatenated(teacher, scale):
    images = some_images()
    height, width = (round(length * scale) for length in SMALL)
    one = build_teacher(image_size=(height, width))
    resized = [
        [Image.fromarray(c.numpy()).resize((width, height), Image.Resampling.BILINEAR) for c in i]
        for i in images
    ]
    expected = (*teacher(images).maps, *one(torch.from_numpy(np.array(resized))).maps)
    two = build_teacher(image_size=SMALL, scales=(1.0, scale))
    maps = two(images)
    for found, other in zip(maps.maps, expected, strict=True):
        assert torch.allclose(found, other, atol=1e-3)
    assert two.dim == 2 * teacher.dim == maps.dim
    assert two.fingerprint != teacher.fingerprint and f"at scales 1.0, {scale}" in repr(two)
    image, uv = torch.tensor([0, 1]), torch.tensor([[3.0, 7.0], [100.0, 60.0]])
    feat = maps.sample(image, uv, SMALL)
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


def test_published_sizes_of_a_vit_give_their_patch_grids(weights):
    for size, cells in (((224, 448), (16, 32)), ((448, 896), (32, 64))):
        vit = build_teacher("dinov2_vits14", layer=0, image_size=size, weights=weights / VIT_FILE)
        assert vit(some_images(1, size)).maps[0].shape == (1, 384, *cells)


def test_random_weights_are_a_repeatable_baseline(teacher):
    one, two = (build_teacher(image_size=SMALL, weights="random") for _ in range(2))
    assert one.fingerprint == two.fingerprint != teacher.fingerprint


def test_another_layer_shares_the_network_and_has_a_fingerprint_of_its_own(teacher):
    images, fingerprint = some_images(), teacher.fingerprint
    other = teacher.at_layer(3)
    assert other.network is teacher.network and other.dim == 112
    assert torch.equal(other(images).maps[0], teacher(images).maps[0])
    assert other.fingerprint == build_teacher(layer=3, image_size=SMALL).fingerprint != fingerprint
    assert teacher.fingerprint == fingerprint and teacher.dim == 432
    with pytest.raises(ValueError, match="5 blocks or stages"):
        teacher.at_layer(7)
