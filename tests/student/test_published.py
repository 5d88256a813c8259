"""Published checkpoints, made here at full size, are imported; other files are refused."""

import os
import tarfile

import pytest
import torch
from official_waffleiron import Segmenter

from kit.__main__ import main
from kit.data.keyframe import Sensor
from kit.student.checkpoints import load_probe, load_student, probe_file
from kit.student.point_batch import collate
from kit.student.published import import_checkpoint
from kit.student.scans import InputConfig, prepare_scan
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
            WaffleIronConfig(4, 8, head=(16, 6), activation="gelu"),
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


@torch.no_grad()
def test_a_file_of_scalr_plus_gives_the_features_of_the_official_classes(tmp_path):
    inputs = InputConfig(fov=(8.0, 8.0, 3.0))
    torch.manual_seed(0)
    official = Segmenter(768, 48, inputs.grids, (2048, 1024), torch.nn.GELU).eval()
    for module in official.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    state = {f"module.{name}": tensor for name, tensor in official.state_dict().items()}
    torch.save({"model_points": state, "epoch": 64}, tmp_path / "scalr_plus.pth")
    student = import_checkpoint(tmp_path / "scalr_plus.pth", inputs=inputs).student
    assert (student.config.depth, student.config.width) == (48, 768)
    assert (student.config.head, student.config.activation) == ((2048, 1024), "gelu")
    points = torch.randn(150, 3) * torch.tensor([3.0, 3.0, 1.0])
    scan = prepare_scan(points, 50 * torch.rand(150), Sensor("lidar", 20.0, 10.0), inputs)
    tokens, head = official(scan.feat.T[None], scan.cells[None], scan.neighbours.T[None])
    feat = student.features(collate([scan], inputs))
    assert 1 < float(feat.abs().max()) < 100
    assert torch.allclose(feat, tokens[0].T, atol=1e-4, rtol=1e-4)
    assert torch.allclose(student.head(feat), head[0].T, atol=1e-4, rtol=1e-4)


WRAPPED = {
    "net module.": lambda s: {"net": under("module.", s)},
    "module.module.": lambda s: {"net": under("module.module.", s)},
    "_orig_mod.": lambda s: {"net": under("_orig_mod.", s)},
    "module._orig_mod.": lambda s: {"net": under("module._orig_mod.", s)},
    "Lightning": lambda s: {"state_dict": under("student.", s), "epoch": 3},
    "Lightning with its teacher": lambda s: {
        "state_dict": under("student.net.", s) | {"teacher.cls_token": torch.zeros(1, 1, 8)}
    },
    "state_dict": lambda s: {"state_dict": s, "epoch": 3},
    "model": lambda s: {"model": s, "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}},
    "two dictionaries": lambda s: {"checkpoint": {"weights": s}},
    "no dictionary": lambda s: under("model.backbone.", s),
    "published key first": lambda s: {"ema": {n: v * 0 for n, v in s.items()}, "net": s},
}


def under(prefix, state):
    return {prefix + name: value for name, value in state.items()}


@pytest.mark.parametrize("name", WRAPPED)
def test_a_student_is_found_under_any_key_and_prefix(name, tmp_path):
    student, state = published(SMALL, key="", prefix="")
    torch.save(WRAPPED[name](state), tmp_path / "file.pth")
    found = import_checkpoint(tmp_path / "file.pth", tmp_path / "ours.safetensors")
    assert found.missing == [] and [n for n in found.left_out if "teacher" not in n] == []
    assert same_weights(student, load_student(tmp_path / "ours.safetensors"))


def test_half_precision_is_converted(tmp_path):
    student, state = published(SMALL, key="", prefix="")
    half = {n: v.half() if v.is_floating_point() else v for n, v in state.items()}
    torch.save({"net": half}, tmp_path / "half.pth")
    found = import_checkpoint(tmp_path / "half.pth").student
    assert {p.dtype for p in found.parameters()} == {torch.float32}
    assert torch.allclose(found.embed.conv1.weight, student.embed.conv1.weight, atol=1e-3)


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


def probed(config, classes=16, seed=0):
    """A checkpoint of linear probing or fine-tuning, and its head applied by hand."""
    student, content = published(config, key="net", seed=seed)
    state = content["net"]
    for name in [name for name in state if ".classif." in name]:
        del state[name]
    head = torch.nn.Sequential(
        torch.nn.BatchNorm1d(config.width), torch.nn.Conv1d(config.width, classes, 1)
    ).eval()
    head[0].running_mean.normal_()
    head[0].running_var.uniform_(0.5, 2)
    state |= {f"module.classif.{name}": tensor for name, tensor in head.state_dict().items()}
    return student, content, head


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_a_classification_head_is_imported_as_a_probe(activation, tmp_path):
    config = WaffleIronConfig(2, 8, head=(8,), activation=activation)
    student, content, head = probed(config)
    torch.save(content, tmp_path / "probed.pth")
    out = tmp_path / "ours.safetensors"
    found = import_checkpoint(tmp_path / "probed.pth", out, activation=activation)
    assert found.missing == ["classif.weight", "classif.bias"] and found.left_out == []
    assert found.student.config == config
    assert "a classification head of 16 classes" in str(found)
    feat = torch.randn(5, 8)
    scores = head(feat.T[None])[0].T
    assert torch.allclose(found.probe(feat), scores, atol=1e-6)
    assert torch.allclose(load_probe(probe_file(out))(feat), scores, atol=1e-6)
    body = {n: v for n, v in found.student.state_dict().items() if not n.startswith("classif")}
    assert all(torch.equal(v, student.state_dict()[name]) for name, v in body.items())


def test_without_a_distillation_head_the_activation_is_asked_for(tmp_path):
    _, content, _ = probed(SMALL)
    torch.save(content, tmp_path / "probed.pth")
    with pytest.raises(ValueError, match=r"probed.pth: .*ReLU .*GELU.*--activation relu"):
        import_checkpoint(tmp_path / "probed.pth")
    _, content, _ = probed(WaffleIronConfig(2, 8, head=(6,), norm="batch"))
    torch.save(content, tmp_path / "batch.pth")  # only the original WaffleIron has BatchNorm
    assert import_checkpoint(tmp_path / "batch.pth").student.config.activation == "relu"


def test_a_head_that_does_not_fit_is_named(tmp_path):
    _, content, _ = probed(SMALL)
    content["net"]["module.classif.0.running_var"] = torch.ones(9)
    torch.save(content, tmp_path / "probed.pth")
    with pytest.raises(ValueError, match=r"head does not fit together: 0.running_var"):
        import_checkpoint(tmp_path / "probed.pth", activation="relu")


def test_a_student_is_no_probe(tmp_path):
    _, content = published(SMALL)
    torch.save(content, tmp_path / "file.pth")
    import_checkpoint(tmp_path / "file.pth", tmp_path / "ours.safetensors")
    with pytest.raises(ValueError, match="expected a probe"):
        load_probe(tmp_path / "ours.safetensors")


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
    elif name == "twice":
        content = {"ema": state, "student": state}
    elif name == "prefixes":
        plain = {name.removeprefix("module."): value for name, value in state.items()}
        content = {f"{p}.{name}": v for p in ("student", "ema") for name, v in plain.items()}
    elif name == "nan":
        state["module.embed.conv2.1.weight"][3, 2] = float("nan")
    elif name == "vit":
        content = {"cls_token": torch.zeros(1, 1, 8), "pos_embed": torch.zeros(1, 5, 8)}
    elif name == "integers":
        state["module.embed.conv1.weight"] = torch.ones(8, 5, 1, dtype=torch.int64)
    elif name == "bomb":  # a small file that claims a network of 100 TB
        state["module.embed.conv1.weight"] = torch.zeros(1, 5, 1).expand(16384, 5, 1)
        state["module.waffleiron.spatial_mix.200.norm.weight"] = torch.zeros(1)
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
        (
            "layer",
            r"1 tensors are missing: waffleiron\.spatial_mix\.0\.ffn\.0\.weight; found embed",
        ),
        (
            "other",
            r"expected one published student, .* Found 0\..* under 'model_point': conv.weight",
        ),
        (
            "twice",
            r"expected one published student, .* Found 2\..* under 'ema': embed.*; under 'student'",
        ),
        ("prefixes", r"holds 2 networks of this kind, under the prefixes 'ema\.', 'student\.'"),
        ("nan", r"embed\.conv2\.1\.weight holds 1 values of 40 that are NaN or infinite"),
        ("vit", r"Found 0\..* under '': cls_token, pos_embed"),
        ("integers", r"embed\.conv1\.weight: torch.int64 in the file, torch.float32 expected"),
        ("bomb", r"9 tensors do not fit|tensors are missing|width must be"),
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
