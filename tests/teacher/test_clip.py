"""CLIP's two encoders against open_clip, with random weights; errors without weights."""

import open_clip
import pytest
import torch
import torch.nn.functional as F
from huggingface_hub import constants

from kit import store
from kit.ask.prompts.text import GENERIC, TEMPLATES, text_direction
from kit.ask.queries import Query
from kit.features.extract import extract
from kit.features.spaces import space_of
from kit.street.dataset import Street
from kit.teacher.clip import PAIRS, ClipTeacher, value_path
from kit.teacher.network import build_network

SIZE = (224, 224)  # the size CLIP was made for: no position embedding is resized


@pytest.fixture(scope="module", params=PAIRS)
def encoders(request, tmp_path_factory):
    """open_clip's model with random weights, and the teacher made of its file."""
    torch.manual_seed(0)
    theirs = open_clip.create_model(PAIRS[request.param][1]).eval()
    file = tmp_path_factory.mktemp("clip") / "open_clip_pytorch_model.bin"
    torch.save(theirs.state_dict(), file)
    return theirs, ClipTeacher(request.param, image_size=SIZE, weights=file)


@pytest.fixture
def images():
    return torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(1))


def normalised(teacher, images):
    return (images - teacher.mean) / teacher.std


@torch.no_grad()
def test_the_whole_image_has_open_clips_embedding(encoders, images):
    """timm's network with these weights and its usual attention is open_clip's image encoder."""
    theirs, teacher = encoders
    ours = teacher.network(normalised(teacher, images))
    assert torch.allclose(ours, theirs.encode_image(normalised(teacher, images)), atol=2e-5)


@torch.no_grad()
def test_patches_are_the_value_path_of_open_clips_last_block(encoders, images):
    """By open_clip's own layers: attention of a token to itself only is out_proj of the value."""
    theirs, teacher = encoders
    visual = theirs.visual
    inputs = []
    hook = visual.transformer.resblocks[-1].register_forward_pre_hook(
        lambda module, args: inputs.append(args[0])
    )
    theirs.encode_image(normalised(teacher, images))
    hook.remove()
    tokens = inputs[0]  # (B, 197, 768)
    block = visual.transformer.resblocks[-1]
    width = tokens.shape[-1]
    normed = block.ln_1(tokens)
    value = F.linear(
        normed, block.attn.in_proj_weight[2 * width :], block.attn.in_proj_bias[2 * width :]
    )
    tokens = tokens + block.attn.out_proj(value)
    tokens = tokens + block.mlp(block.ln_2(tokens))
    dense = (visual.ln_post(tokens) @ visual.proj)[:, 1:]  # (B, 196, 512)
    (feature_map,) = teacher(images).maps
    assert feature_map.shape == (2, 512, 14, 14)
    assert torch.allclose(feature_map.flatten(2).mT, dense, atol=2e-5)


@torch.no_grad()
def test_a_single_token_attends_to_itself(encoders):
    """With a single token, the value path is the block itself."""
    _, teacher = encoders
    block = teacher.network.blocks[3]
    token = torch.randn(2, 1, 768, generator=torch.Generator().manual_seed(2))
    assert torch.allclose(value_path(block, token), block(token), atol=1e-5)


@torch.no_grad()
def test_texts_have_open_clips_embedding(encoders):
    theirs, teacher = encoders
    texts = ["a car", "a traffic cone on a wet road"]
    tokens = open_clip.get_tokenizer(teacher.text_model)(texts)
    expected = F.normalize(theirs.encode_text(tokens), dim=1)
    assert torch.allclose(teacher.encode_text(texts), expected, atol=1e-6)


def test_a_text_becomes_the_mean_of_its_prompts_minus_that_of_generic_texts(encoders):
    _, teacher = encoders
    prompts = teacher.encode_text([template.format("a car") for template in TEMPLATES])
    generic = teacher.encode_text(list(GENERIC))
    direction, bias = text_direction(teacher, " a car ")
    own, other = F.normalize(prompts.mean(0), dim=0), F.normalize(generic.mean(0), dim=0)
    assert torch.allclose(direction, own - other, atol=1e-6) and bias == 0
    assert own @ direction > 0 > other @ direction


def test_a_text_query_is_in_the_teachers_feature_space(encoders):
    _, teacher = encoders
    keyframe = Street(1, 1, image_size=(64, 128))[0]
    query = Query.from_text(teacher, "a car")
    assert query.space == space_of(teacher) and query.name == "a car"
    assert query.score(extract(teacher, keyframe)).isfinite().all()


def test_it_is_a_frozen_teacher_like_any_other():
    teacher = ClipTeacher(weights="random", image_size=(32, 64))
    assert teacher.dim == 512 and not any(p.requires_grad for p in teacher.parameters())
    assert teacher(torch.zeros(1, 3, 32, 64)).maps[0].shape == (1, 512, 2, 4)
    with pytest.raises(RuntimeError, match="frozen"):
        teacher.train()
    with pytest.raises(ValueError, match="images are 16x16"):
        teacher(torch.zeros(1, 3, 16, 16))
    with pytest.raises(ValueError, match=r"must be in \[0, 1\], got 0 to 255: divide bytes by 255"):
        teacher(torch.tensor([0.0, 255.0]).expand(1, 3, 32, 32, 2).flatten(3))
    with pytest.raises(ValueError, match="clip_vitb16 has only one output, leave out layer=3"):
        teacher.at_layer(3)
    with pytest.raises(ValueError, match="no CLIP teacher 'clip'; there are clip_vitb16"):
        ClipTeacher("clip")
    with pytest.raises(ValueError, match="multiples of 16 .* got 40x64; the nearest is 32x64"):
        ClipTeacher(weights="random", image_size=(40, 64))


def test_without_weights_the_error_names_the_ways(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(FileNotFoundError) as error:
        ClipTeacher()
    for way in ("huggingface.co", "HF_HOME=", "weights=<open_clip_model.safetensors>"):
        assert way in str(error.value)


def test_a_file_of_the_image_encoder_alone_is_refused(tmp_path):
    network = build_network(PAIRS["clip_vitb16"][0], SIZE, "random")
    store.save_tensors(tmp_path / "half.safetensors", network.state_dict())
    with pytest.raises(ValueError, match="half.safetensors: holds no weights for the head of vit"):
        ClipTeacher(weights=tmp_path / "half.safetensors")
