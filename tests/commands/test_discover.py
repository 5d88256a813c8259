"""The command `discover`: its files, compared with the functions and with the annotations."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score

import kit
from kit import store
from kit.__main__ import main
from kit.commands.discover import discover
from kit.discover import DiscoverConfig, find_foreground, find_objects
from kit.street.dataset import Street

CONFIG = DiscoverConfig(prior="none", examples=500)


@pytest.fixture(scope="module")
def street():
    return Street(num_scenes=2, keyframes_per_scene=1, image_size=(28, 56))


@pytest.fixture(scope="module")
def student():
    return kit.pretrained("street")


@pytest.fixture(scope="module")
def found(street, student, tmp_path_factory):
    out = tmp_path_factory.mktemp("found")
    return out, discover(street, student, out, CONFIG)


def content_of(out, token):
    return store.load_tensors(store.path_for(out, token, ".foreground.safetensors"))


def test_a_file_holds_the_score_the_height_and_the_objects(street, student, found):
    keyframe = street[0]
    tensors, meta = content_of(found[0], street.tokens[0])
    features = kit.extract(student, keyframe)
    score = find_foreground(keyframe, features, CONFIG)
    assert torch.equal(tensors["score"][features.index], score)
    assert tensors["valid"].all() and len(tensors["height"]) == len(keyframe.points)
    objects = find_objects(keyframe.points, tensors["score"] > 0, CONFIG)
    assert torch.equal(tensors["object"].long(), objects.object_of_point)
    boxes = json.loads(meta["boxes"])
    assert len(boxes) == len(objects) > 0
    assert json.loads(meta["settings"])["examples"] == 500
    for box, stored in zip(objects.boxes, boxes, strict=True):
        c, s = np.cos(stored["yaw"]), np.sin(stored["yaw"])
        rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        assert np.allclose(box.T_lidar_box[:3, :3], rotation, atol=1e-6)
        assert np.allclose(box.T_lidar_box[:3, 3], stored["position"])


def test_the_agreement_is_that_of_scikit_learn(street, found):
    out, agreement = found
    scores = [content_of(out, token)[0]["score"] for token in street.tokens]
    score = torch.cat(scores).numpy()
    wanted = torch.cat([keyframe.annotations.foreground for keyframe in street]).numpy()
    assert agreement["AP"] == pytest.approx(average_precision_score(wanted, score))
    assert agreement["F1"] == pytest.approx(f1_score(wanted, score > 0))


def test_files_that_are_there_are_kept_and_compared(street, student, found, monkeypatch):
    out, agreement = found
    before = {file: file.stat().st_mtime_ns for file in out.iterdir()}
    monkeypatch.setattr("kit.commands.discover.extract", lambda *_: pytest.fail("computed again"))
    assert discover(street, student, out, CONFIG) == agreement
    assert {file: file.stat().st_mtime_ns for file in out.iterdir()} == before


def test_files_of_other_settings_or_students_are_not_replaced(street, student, found):
    for other, config in (
        (student, replace(CONFIG, rounds=2)),
        (kit.random_student(student), CONFIG),
    ):
        with pytest.raises(ValueError, match="another student or other settings"):
            discover(street, other.eval(), found[0], config)


def test_a_scan_that_was_replaced_is_computed_again(street, student, tmp_path):
    columns = ["x", "y", "z", "intensity"]
    scan = torch.cat([street[0].points, street[0].intensity[:, None]], 1).numpy()
    tokens = []
    for rows in (scan, scan[::2]):
        np.save(tmp_path / "scan.npy", rows)
        dataset = kit.open_dataset(tmp_path / "scan.npy", columns=columns)
        discover(dataset, student, tmp_path / "out", CONFIG)
        tokens.append(dataset.tokens[0])
    assert tokens[0] == tokens[1]
    assert len(content_of(tmp_path / "out", tokens[1])[0]["score"]) == len(scan[::2])


def test_rows_that_were_dropped_are_marked(street, student, tmp_path):
    points = torch.cat([street[0].points, street[0].intensity[:, None]], 1).numpy()
    dropped = np.arange(len(points)) % 10 == 3
    points[dropped, 0] = np.nan
    np.save(tmp_path / "scan.npy", points)
    columns = ["x", "y", "z", "intensity"]
    dataset = kit.open_dataset(tmp_path / "scan.npy", columns=columns)
    assert discover(dataset, student, tmp_path, CONFIG) is None  # nothing is annotated
    tensors, _ = content_of(tmp_path, dataset.tokens[0])
    assert np.array_equal(tensors["valid"], ~dropped)
    assert (tensors["object"][dropped] == -1).all() and (tensors["object"] >= 0).any()


def test_the_command_prints_what_it_found(tmp_path, capsys, monkeypatch, street):
    monkeypatch.setattr("kit.data.open_dataset", lambda data: street)
    assert main(["discover", "--out", str(tmp_path), "--rounds", "0", "--prior", "none"]) == 0
    printed = capsys.readouterr().out
    assert "foreground, compared with annotations" in printed and "AP 0." in printed
    assert len(list(tmp_path.glob("*.foreground.safetensors"))) == 2
