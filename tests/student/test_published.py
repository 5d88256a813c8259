"""Published checkpoints, made here at full size, are imported; other files are refused."""

import os
import tarfile

import pytest
import torch

from kit.__main__ import main
from kit.student.checkpoints import load_student
from kit.student.published import import_checkpoint
from kit.student.scans import InputConfig
from kit.student.waffleiron.config import WaffleIronConfig
from kit.student.waffleiron.model import WaffleIron

SMALL = WaffleIronConfig(2, 8, head=(6,))


def published(config, key="model_point", prefix="module.", seed=0):
    """A checkpoint as the published code saves it, from a student with random weights."""
    torch.manual_seed(seed)
    student = WaffleIron(config)
    state = {prefix + name: tensor for name, tensor in student.state_dict().items()}
    content = {key: state, "optimizer": {"state": {}}, "epoch": 24} if key else state
    return student, content


def same_weights(one, other):
    return all(
        torch.equal(a, b)
        for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize(
    ("key", "prefix", "config"),
    [
        ("model_point", "module.", WaffleIronConfig(48, 768, head=(1024,))),
        (
            "model_points",
            "module.",
            WaffleIronConfig(48, 768, head=(2048, 1024), activation="gelu"),
        ),
        ("net", "module.", WaffleIronConfig(48, 384, head=(16,), norm="batch")),
        ("", "", WaffleIronConfig(2, 8, head=(6,))),
    ],
)
def test_the_size_is_inferred_and_every_weight_taken(key, prefix, config, tmp_path):
    student, content = published(config, key, prefix)
    torch.save(content, tmp_path / "published.pth")
    found = import_checkpoint(tmp_path / "published.pth", tmp_path / "ours.safetensors")
    assert found.student.config == config
    assert (found.key, found.left_out, found.missing) == (key, [], [])
    assert same_weights(student, load_student(tmp_path / "ours.safetensors"))


def test_an_archive_and_the_command(tmp_path, monkeypatch, capsys):
    student, content = published(SMALL)
    torch.save(content, tmp_path / "WI_768.pth")
    with tarfile.open(tmp_path / "WI_768.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "WI_768.pth", "logs/WI_768.pth")
    monkeypatch.chdir(tmp_path)
    assert main(["import-checkpoint", "WI_768.tar.gz", "--fov", "50", "50", "5"]) == 0
    printed = capsys.readouterr().out
    assert "2 layers of 8 channels, layer norm, relu, head [6]" in printed
    assert "'model_point'" in printed
    loaded = load_student("WI_768.safetensors")
    assert same_weights(student, loaded)
    assert loaded.config.inputs == InputConfig(fov=(50.0, 50.0, 5.0))


def test_a_probe_in_place_of_the_head_is_left_out_and_reported(tmp_path):
    _, content = published(SMALL)
    state = content["model_point"]
    for name in ("weight", "bias"):
        state[f"module.classif.1.{name}"] = state.pop(f"module.classif.{name}")
        state[f"module.classif.0.{name}"] = torch.ones(8)
    torch.save(content, tmp_path / "probed.pth")
    found = import_checkpoint(tmp_path / "probed.pth")
    assert {n.split(".")[0] for n in found.left_out} == {"classif"}
    assert found.missing == ["classif.weight", "classif.bias"]
    assert "left out: classif" in str(found)


class Evil:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch gotcha",)


def broken(tmp_path, name):
    """Write a file that must be refused; `name` is what is wrong with it."""
    _, content = published(SMALL)
    state, path = content["model_point"], tmp_path / "file.pth"
    if name == "code":
        content["evil"] = Evil()
    elif name == "shape":
        state["module.waffleiron.channel_mix.1.mlp.0.weight"] = torch.ones(8, 9, 1)
    elif name == "channels":
        state["module.embed.conv1.weight"] = torch.ones(8, 4, 1)
    elif name == "layer":
        del state["module.waffleiron.spatial_mix.0.ffn.0.weight"]
    elif name == "other":
        content["model_point"] = {"module.conv.weight": torch.ones(2)}
    elif name == "list":
        content = [1, 2]
    torch.save(content, path)
    if name == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    if name == "two":
        with tarfile.open(tmp_path / "two.tar.gz", "w:gz") as archive:
            archive.add(path, "a.pth")
            archive.add(path, "b.pth")
        return tmp_path / "two.tar.gz"
    return path if name != "absent" else tmp_path / "nowhere.pth"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("code", "run code from the file"),
        ("shape", r"channel_mix.1.mlp.0.weight: \(8, 9, 1\) in the file, \(8, 8, 1\) expected"),
        ("channels", r"\(8, 4, 1\); expected \(channels, 5, 1\)"),
        ("layer", "1 tensors are missing:\n.*spatial_mix.0.ffn.0.weight"),
        ("other", "holds no WaffleIron"),
        ("list", "expected a dictionary"),
        ("cut", "cut short"),
        ("two", "found a.pth, b.pth"),
        ("absent", "no such file"),
    ],
)
def test_what_cannot_be_a_student_is_refused(name, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=words) as error:
        import_checkpoint(broken(tmp_path, name))
    assert str(tmp_path) in str(error.value)
    assert not (tmp_path / "gotcha").exists()
