"""CLIP's two halves against open_clip, on random weights; what is said where there are none."""

import open_clip
import pytest
import torch
import torch.nn.functional as F
from huggingface_hub import constants

from kit.ask.prompts.text import text_direction
from kit.ask.queries import Query
from kit.features.extract import look
from kit.features.spaces import space_of
from kit.street.dataset import Street
from kit.teacher import clip as text
from kit.teacher.clip import PAIRS, ClipTeacher, value_path

SIZE = (224, 224)  # the size CLIP was made for: no position embedding is resized


@pytest.fixture(scope="module", params=PAIRS)
def halves(request, tmp_path_factory):
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
def test_the_whole_image_has_open_clips_embedding(halves, images):
    """timm's network with these weights, its attention untouched, is open_clip's image half."""
    theirs, teacher = halves
    ours = teacher.network(normalised(teacher, images))
    assert torch.allclose(ours, theirs.encode_image(normalised(teacher, images)), atol=2e-5)


@torch.no_grad()
def test_patches_are_the_value_path_of_open_clips_last_block(halves, images):
    """By open_clip's own layers: an attention with itself alone is out_proj of the value."""
    theirs, teacher = halves
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
    inside = block.ln_1(tokens)
    value = F.linear(
        inside, block.attn.in_proj_weight[2 * width :], block.attn.in_proj_bias[2 * width :]
    )
    tokens = tokens + block.attn.out_proj(value)
    tokens = tokens + block.mlp(block.ln_2(tokens))
    dense = (visual.ln_post(tokens) @ visual.proj)[:, 1:]  # (B, 196, 512)
    grid = teacher(images).maps[0]
    assert grid.shape == (2, 512, 14, 14)
    assert torch.allclose(grid.flatten(2).mT, dense, atol=2e-5)


@torch.no_grad()
def test_one_token_alone_attends_to_itself(halves):
    """With a single token attention has no choice: the value path is the block itself."""
    _, teacher = halves
    block = teacher.network.blocks[3]
    token = torch.randn(2, 1, 768, generator=torch.Generator().manual_seed(2))
    assert torch.allclose(value_path(block, token), block(token), atol=1e-5)


@torch.no_grad()
def test_texts_have_open_clips_embedding(halves):
    theirs, teacher = halves
    texts = ["a car", "a traffic cone on a wet road"]
    tokens = open_clip.get_tokenizer(teacher.text_model)(texts)
    expected = F.normalize(theirs.encode_text(tokens), dim=1)
    assert torch.allclose(teacher.encode_text(texts), expected, atol=1e-6)


def test_a_text_becomes_the_mean_of_its_prompts_against_anything(halves):
    _, teacher = halves
    prompts = teacher.encode_text([prompt.format("a car") for prompt in text.TEMPLATES])
    anything = teacher.encode_text(list(text.GENERIC))
    direction, bias = text_direction(teacher, " a car ")
    own, other = F.normalize(prompts.mean(0), dim=0), F.normalize(anything.mean(0), dim=0)
    assert torch.allclose(direction, own - other, atol=1e-6) and bias == 0
    assert own @ direction > 0 > other @ direction


def test_a_query_of_text_is_answered_in_the_teachers_space_only(halves):
    _, teacher = halves
    keyframe = Street(1, 1, image_size=(64, 128))[0]
    query = Query.from_text(teacher, "a car")
    assert query.space == space_of(teacher) and query.name == "a car"
    assert query.score(look(teacher, keyframe)).isfinite().all()


def test_it_is_a_frozen_teacher_like_any_other():
    teacher = ClipTeacher(weights="random", image_size=(32, 64))
    assert teacher.dim == 512 and not any(p.requires_grad for p in teacher.parameters())
    assert teacher(torch.zeros(1, 3, 32, 64)).maps[0].shape == (1, 512, 2, 4)
    with pytest.raises(RuntimeError, match="frozen"):
        teacher.train()
    with pytest.raises(ValueError, match="images are 16x16"):
        teacher(torch.zeros(1, 3, 16, 16))
    with pytest.raises(ValueError, match="no pair 'clip'"):
        ClipTeacher("clip")


def test_without_weights_the_error_names_the_ways(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(FileNotFoundError) as error:
        ClipTeacher()
    for way in ("huggingface.co", "HF_HOME=", "ClipTeacher(weights="):
        assert way in str(error.value)


def test_a_file_of_the_image_half_alone_is_refused(tmp_path):
    from kit.store import files as store
    from kit.teacher import weights as backbone

    network = backbone.build_network(PAIRS["clip_vitb16"][0], SIZE, "random")
    store.save_tensors(tmp_path / "half.safetensors", network.state_dict())
    with pytest.raises(ValueError, match="the head of vit_base.* are not in it"):
        ClipTeacher(weights=tmp_path / "half.safetensors")
