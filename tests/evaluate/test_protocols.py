"""The two protocols of linear probing, on a small street."""

from dataclasses import replace

import pytest
import torch

import kit
from kit.data import open_dataset
from kit.evaluate import protocols
from kit.evaluate.probe import ProbeConfig
from kit.features.spaces import Features, Space
from kit.student.presets import build_student
from kit.student.student import StudentConfig

QUICK = ProbeConfig(steps=20, batch_points=512, points_per_keyframe=500, lr=3e-2, epochs=2)


@pytest.fixture(scope="module")
def street():
    return open_dataset("street", num_scenes=1, keyframes_per_scene=3, image_size=(28, 56))


@pytest.fixture(scope="module")
def student():
    return build_student("wi-6-64", 12, depth=2, width=8)


def test_labels_as_features_are_found_perfectly(street):
    def source(keyframe):
        index = (keyframe.labels != 255).nonzero().squeeze(1)
        feat = torch.nn.functional.one_hot(keyframe.labels[index], 16).float()
        return Features(Space("labels", 16, "labels"), feat, index, len(keyframe.points))

    # All points, because some classes have few.
    config = replace(QUICK, steps=150, batch_points=8192, points_per_keyframe=40_000)
    assert protocols.probe_dataset(source, street, [0, 1], [2], config).miou > 0.99


def test_a_keyframe_in_both_parts_is_refused(street, student):
    with pytest.raises(ValueError, match=r"keyframes \[1\] are in both train and held_out"):
        protocols.probe_dataset(kit.source(kit.position), street, [0, 1], [1, 2])
    with pytest.raises(ValueError, match=r"keyframes \[0\]"):
        protocols.probe_student(student, street, [0], [0])


def test_no_keyframe_to_train_on_is_refused(street, student):
    with pytest.raises(ValueError, match="at least one keyframe to train on, got none"):
        protocols.probe_dataset(kit.source(kit.position), street, [], [1])
    with pytest.raises(ValueError, match="at least one keyframe to train on, got none"):
        protocols.probe_student(student, street, [], [1])


def test_all_sources_are_compared_on_the_points_that_cameras_see(street, student):
    scored = [
        protocols.probe_dataset(source, street, [0], [1], QUICK, kit.seen_points).confusion
        for source in (kit.source(kit.position), kit.source(student))
    ]
    labels = street[1].labels[kit.seen_points(street[1])]
    assert scored[0].sum() == scored[1].sum() == (labels != 255).sum()


def test_so_many_labelled_points_are_drawn_from_every_keyframe(street):
    source = kit.source(kit.position)
    feat, labels = protocols.labelled_features(source, street, [0, 2], QUICK)
    assert feat.shape == (1000, 6) and labels.shape == (1000,) and (labels != 255).all()
    for part, index in ((feat[:500], 0), (feat[500:], 2)):
        of_keyframe = source(street[index]).feat
        assert (part[:20, None] == of_keyframe).all(2).any(1).all()
    again = protocols.labelled_features(source, street, [0, 2], QUICK)
    assert torch.equal(feat, again[0])
    other = protocols.labelled_features(source, street, [0, 2], replace(QUICK, seed=1))
    assert not torch.equal(feat, other[0])


def test_a_keyframe_without_labels_is_named(street, monkeypatch):
    bare = replace(street[0], labels=None)
    monkeypatch.setattr(type(street), "__getitem__", lambda self, index: bare)
    with pytest.raises(ValueError, match=f"keyframe {bare.token} has no labels"):
        protocols.labelled_features(kit.source(kit.position), street, [0], QUICK)


def test_the_papers_probe_scores_every_labelled_point_and_leaves_the_student(street, student):
    before = {name: value.clone() for name, value in student.state_dict().items()}
    result = protocols.probe_student(student, street, [0, 1], [2], QUICK)
    assert result.confusion.sum() == (street[2].labels != 255).sum()
    assert all(torch.equal(before[name], value) for name, value in student.state_dict().items())


def test_the_papers_probe_needs_no_more_than_the_interface_of_a_student(street):
    """One batch of one scan: the head is fitted to what `features` returns, whatever its width."""

    class Coordinates(torch.nn.Linear):
        config, layers, distilled_from = StudentConfig(), ("output",), None

        def features(self, batch, layers=None):
            feat = batch.feat[:, 1:4]
            return feat if layers is None else {"output": feat}

        def head(self, point_feat):
            return self(point_feat)

        def stages(self):
            return {}

    result = protocols.probe_student(Coordinates(3, 12), street, [0], [1], QUICK)
    assert result.head[1].in_features == 3 and 0 < result.miou < 1
