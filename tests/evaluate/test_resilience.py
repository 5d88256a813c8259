"""Corrupted scans, and the two summary metrics of Robo3D by hand."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from kit.data import open_dataset
from kit.data.classes import IGNORE
from kit.evaluate.corruptions import CORRUPTIONS, FEWER, SHAKE, corrupt
from kit.evaluate.resilience import Robustness, robustness
from kit.features.extract import source


@pytest.fixture(scope="module")
def street():
    return open_dataset("street", num_scenes=1, keyframes_per_scene=2, image_size=(28, 56))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_heavier_means_more_change_and_the_seed_decides(street, name):
    keyframe = street[0]
    changed = []
    for severity in (1, 2, 3):
        found, again = (corrupt(keyframe, name, severity, seed=1) for _ in range(2))
        assert torch.equal(found.points, again.points) and torch.equal(found.labels, again.labels)
        lost = len(keyframe.points) - len(found.points)
        rows = found.row_in_file
        moved = (found.points - keyframe.points[rows]).norm(dim=1)
        changed.append(lost + float(moved.clamp(max=5).sum()))
        assert torch.equal(keyframe.points[rows][moved == 0], found.points[moved == 0])
        assert found.points.isfinite().all() and len(found.labels) == len(found.points)
    assert 0 < changed[0] < changed[1] < changed[2]


def test_a_wrong_return_has_no_label_and_lies_on_its_ray(street):
    keyframe = street[0]
    for name in ("fog", "snow", "crosstalk"):
        found = corrupt(keyframe, name, 3)
        before = keyframe.points[found.row_in_file]
        moved = (found.points - before).norm(dim=1) > 1e-3
        assert moved.any() and (found.labels[moved] == IGNORE).all()
        cosine = nn.functional.cosine_similarity(
            before[moved].double(), found.points[moved].double()
        )
        assert float(cosine.min()) > 0.9999
        if name != "crosstalk":  # something in front of what would have been seen
            assert (found.points[moved].norm(dim=1) <= before[moved].norm(dim=1) + 1e-3).all()


def test_wet_ground_keeps_what_stands_on_it_and_an_incomplete_echo_the_scenery(street):
    keyframe = street[0]
    names = keyframe.classes.names
    tall = [i for i, n in enumerate(names) if n in ("manmade", "vegetation")]
    high = torch.isin(keyframe.labels, torch.tensor(tall)) & (keyframe.points[:, 2] > 0.5)
    kept = corrupt(keyframe, "wet ground", 3).row_in_file
    road = keyframe.labels == names.index("driveable_surface")
    assert high[kept].sum() > 0.95 * high.sum() and road[kept].sum() < 0.7 * road.sum()
    echo = corrupt(keyframe, "incomplete echo", 3)
    assert (keyframe.labels == names.index("manmade")).sum() == (
        echo.labels == names.index("manmade")
    ).sum()


def test_strengths_are_those_written_down(street):
    keyframe = street[0]
    noise = corrupt(keyframe, "motion blur", 2).points - keyframe.points
    assert float(noise.std()) == pytest.approx(SHAKE[1], rel=0.02)
    fewer = corrupt(keyframe, "cross sensor", 3)
    assert len(fewer.points) / len(keyframe.points) == pytest.approx(1 / FEWER[2], abs=0.1)


def test_wrong_requests_are_refused(street):
    with pytest.raises(ValueError, match="no corruption 'rain'; there are fog, snow"):
        corrupt(street[0], "rain", 1)
    with pytest.raises(ValueError, match="severity must be 1, 2 or 3, got 4"):
        corrupt(street[0], "fog", 4)
    with pytest.raises(ValueError, match="incomplete_echo needs labels"):
        corrupt(replace(street[0], labels=None), "incomplete echo", 1)


def test_mce_and_mrr_by_hand():
    model = Robustness(0.8, {"fog": (0.8, 0.6, 0.4), "snow": (0.4, 0.4, 0.4)})
    other = Robustness(0.5, {"fog": (0.4, 0.4, 0.4), "snow": (0.2, 0.2, 0.2)})
    assert model.resilience == pytest.approx({"fog": 0.75, "snow": 0.5})
    assert model.mrr == pytest.approx(0.625)
    # Fog: (0.2 + 0.4 + 0.6) / (3 * 0.6) = 2/3; snow: 1.8 / 2.4 = 3/4.
    assert model.corruption_error(other) == pytest.approx({"fog": 2 / 3, "snow": 0.75})
    assert model.mce(other) == pytest.approx((2 / 3 + 0.75) / 2)
    assert model.mce(model) == 1
    with pytest.raises(ValueError, match="other corruptions than the baseline"):
        model.mce(Robustness(0.5, {"fog": (0.4, 0.4, 0.4)}))


def test_a_perfect_probe_on_labels_loses_nothing_and_position_something(street):
    def labels(keyframe):
        known = keyframe.labels.clamp(max=15)
        return nn.functional.one_hot(known, 16).float()

    found = robustness(source(labels), nn.Identity(), street, [0], ["fog", "motion blur"], [1, 3])
    assert found.clean == 1 and found.mrr == pytest.approx(1)
    assert set(found.corrupted) == {"fog", "motion blur"} and len(found.corrupted["fog"]) == 2
    with pytest.raises(ValueError, match="at least one keyframe"):
        robustness(source(labels), nn.Identity(), street, [])
