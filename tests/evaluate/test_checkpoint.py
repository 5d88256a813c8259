"""A student's file and its classification head: scores by the command, in several processes."""

import pytest
import torch

from kit import store
from kit.__main__ import main
from kit.data import open_dataset
from kit.data.split import split
from kit.evaluate.checkpoint import parts_of, score_file, score_student
from kit.evaluate.metrics import confusion_matrix
from kit.evaluate.probe import ProbeConfig, linear_probe
from kit.features.extract import extract
from kit.student.checkpoints import load_probe, load_student, probe_file, save_probe, save_student
from kit.student.presets import build_student


@pytest.fixture
def files(tmp_path):
    student = build_student("wi-6-64", 12, depth=2, width=8)
    save_student(student, tmp_path / "student.safetensors")
    head = torch.nn.Sequential(torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 16))
    head[0].running_mean.normal_()
    save_probe(head.eval(), probe_file(tmp_path / "student.safetensors"))
    return tmp_path / "student.safetensors", head


@pytest.fixture
def street(monkeypatch):
    street = open_dataset("street", num_scenes=2, keyframes_per_scene=1, image_size=(28, 56))
    for module in ("kit.evaluate.checkpoint", "kit.data"):
        monkeypatch.setattr(f"{module}.open_dataset", lambda _: street)
    return street


def test_every_point_is_scored_by_the_head(files, street):
    file, head = files
    dataset = street
    keyframe, student = dataset[0], load_student(file)
    result = score_student(student, head, dataset, [0])
    feat = extract(student, keyframe, layer=student.layers[-1], outside="nearest").feat
    with torch.no_grad():  # BatchNorm and the layer by hand
        norm = (feat - head[0].running_mean) / (head[0].running_var + 1e-5).sqrt()
        predicted = (norm @ head[1].weight.T + head[1].bias).argmax(1)
    seen = keyframe.labels != 255
    expected = confusion_matrix(predicted[seen], keyframe.labels[seen], 16)
    assert torch.equal(result.confusion, expected)


def test_the_command_prints_and_writes_the_scores(files, tmp_path, capsys, street):
    file, _ = files
    out = tmp_path / "scores.json"
    command = ["evaluate", "--checkpoint", str(file), "--data", "street", "--out", str(out)]
    assert main(command) == 0
    printed = capsys.readouterr().out
    held_out = split(street).held_out
    expected = score_file(file, probe_file(file), "street", held_out)
    assert store.read_json(out)["miou"] == pytest.approx(expected.miou)
    assert f"mIoU {100 * expected.miou:.1f} %" in printed and "vegetation" in printed


def test_a_head_of_other_classes_is_refused(files, street):
    file, _ = files
    head = torch.nn.Sequential(torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 19))
    with pytest.raises(ValueError, match=r"8 channels and 19 classes.*16 classes"):
        score_student(load_student(file), head, street, [0])


def test_a_head_of_as_many_other_classes_is_refused(files, street):
    """For example one of another data set with 16 classes, or of the same in another order."""
    file, head = files
    names = list(street.classes.names)
    names[2], names[5] = names[5], names[2]
    head.class_names = tuple(names)
    save_probe(head, probe_file(file))
    read = load_probe(probe_file(file))
    assert read.class_names == tuple(names)
    expected = f"class 2 of the head is {names[2]!r}, of .* it is {names[5]!r}"
    with pytest.raises(ValueError, match=expected):
        score_student(load_student(file), read, street, [0])
    head.class_names = street.classes.names
    score_student(load_student(file), head, street, [0])


def test_a_fitted_head_knows_its_classes(street):
    train = torch.randn(40, 8), torch.randint(16, (40,))
    head = linear_probe(train, [train], street.classes, ProbeConfig(steps=2)).head
    assert head.class_names == street.classes.names


def test_a_probe_with_damaged_names_is_refused(files):
    file, head = files
    for names in (["one"], "sixteen letters!", [1] * 16):
        save_probe(head, probe_file(file), classes=names)
        with pytest.raises(ValueError, match="expected the names of 16 classes"):
            load_probe(probe_file(file))


@pytest.mark.parametrize(("count", "parts"), [(10, 4), (3, 8), (0, 2), (7, 1)])
def test_parts_hold_every_keyframe_once(count, parts):
    found = list(parts_of(range(count), parts))
    assert [index for part in found for index in part] == list(range(count))
    assert len(found) <= parts
