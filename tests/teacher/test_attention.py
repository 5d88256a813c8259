"""The class token's attention against timm's own, and FOUND's weighting by hand."""

import math

import pytest
import torch

import kit
from kit.discover.foreground import background_seed
from kit.features.attention import attention_of_points
from kit.street.dataset import Street
from kit.teacher.attention import attention_map


@pytest.fixture(scope="module")
def teacher():
    return kit.build_teacher("vit_tiny_patch16_224", image_size=(64, 128), weights="random")


@torch.no_grad()
def timms_attention(teacher, images):
    """The attention that timm's unfused implementation gives to its dropout layer."""
    attention, recorded = teacher.network.blocks[-1].attn, []
    attention.fused_attn = False
    hook = attention.attn_drop.register_forward_hook(lambda m, a, out: recorded.append(out))
    teacher.network.forward_features((images - teacher.mean) / teacher.std)
    hook.remove()
    attention.fused_attn = True
    return recorded[0][:, :, 0, 1:]  # (B, A, L)


def test_heads_are_timms_and_weighted_as_found_does(teacher):
    images = torch.rand(2, 3, 64, 128, generator=torch.Generator().manual_seed(0))
    heads = timms_attention(teacher, images)
    expected = torch.zeros(2, 32)
    for b in range(2):
        mean = heads[b].mean().item()
        ratios = [sum(v > mean for v in head.tolist()) / 32 for head in heads[b]]
        for ratio, head in zip(ratios, heads[b], strict=True):
            expected[b] += math.log(sum(ratios) / ratio) * head
    found = attention_map(teacher, images)
    assert found.shape == (2, 1, 4, 8)
    assert torch.allclose(found.flatten(1), expected, atol=1e-5)


def test_points_have_the_attention_of_their_pixels_and_it_finds_the_background(teacher):
    keyframe = Street(1, 1, image_size=(64, 128))[0]
    index, attention = attention_of_points(teacher, keyframe)
    features = kit.extract(teacher, keyframe)
    assert torch.equal(index, features.index) and attention.min() >= 0
    seed = background_seed(features, "attention", attention=attention)
    assert torch.equal(seed, features.unit[attention.argmin()])


def test_a_network_without_a_class_token_is_named():
    with pytest.raises(ValueError, match="efficientnet_lite0 has no class token"):
        attention_map(kit.build_teacher(image_size=(64, 128)), torch.zeros(1, 3, 64, 128))
