"""The prior of foreground: fitted to known objects, and what it changes."""

from dataclasses import replace

import pytest
import torch
from handmade import features, ground, shell

import kit
from kit.data.classes import NUSCENES
from kit.data.keyframe import Keyframe, Sensor
from kit.discover import prior as module
from kit.discover.foreground import find_foreground
from kit.discover.prior import Prior, change_initial, fit_prior, street_prior
from kit.discover.settings import DiscoverConfig
from kit.features.spaces import Space, space_of

SPACE, SENSOR = Space("made", 3, "made"), Sensor("made", 0.0, 1.0)


def test_a_prior_separates_what_it_was_fitted_to():
    generator = torch.Generator().manual_seed(0)
    wanted = torch.rand(400, generator=generator) < 0.3
    feat = torch.randn(400, 3, generator=generator) * 0.1
    feat[:, 0] += 1.0
    feat[wanted, 1] += 1.0
    given = features(feat.tolist(), space=SPACE)
    found = fit_prior([(given, wanted), (given, wanted)])
    assert found.key == "made"
    assert ((found.score(given) > 0) == wanted).float().mean() > 0.98
    other = features(feat.tolist(), space=Space("other", 3, "other"))
    with pytest.raises(ValueError, match="the prior is of the space made"):
        found.score(other)
    with pytest.raises(ValueError, match="features of one space, got 2"):
        fit_prior([(given, wanted), (other, wanted)])


def test_the_prior_changes_only_what_it_contradicts():
    initial = torch.tensor([1.5, 1.5, -1.0, -1.0, -0.1])
    prior = torch.tensor([2.0, -1.0, 3.0, -1.0, 9.0])
    veto, both = (change_initial(initial, prior, kind) for kind in ("veto", "both"))
    assert veto.tolist() == pytest.approx([1.5, -0.1, -1.0, -1.0, -0.1])
    assert both.tolist() == pytest.approx([1.5, -1.0, -0.1, -1.0, -0.1])
    assert initial[1] == 1.5  # not changed in place


def test_the_kit_has_a_prior_for_its_teacher_and_no_other():
    space = space_of(kit.pretrained("street"))
    found = street_prior(space)
    assert found.weight.shape == (space.dim,) and found.key == space.key
    assert street_prior(replace(space, key="other")) is None


def scene():
    """Ground, a car and a container of the same shape; their features differ."""
    parts = [ground(), shell(5.0, 5.0, count=1500), shell(-8.0, 5.0, count=1500)]
    kind = torch.cat([torch.full((len(part),), i) for i, part in enumerate(parts)])
    generator = torch.Generator().manual_seed(0)
    feat = torch.eye(3)[kind] + 0.1 * torch.randn(len(kind), 3, generator=generator)
    return torch.cat(parts), features(feat.tolist(), space=SPACE), kind


def test_a_veto_of_the_prior_turns_foreground_into_background(monkeypatch):
    points, given, kind = scene()
    keyframe = Keyframe("k", "s", points, torch.zeros(len(points)), {}, SENSOR, NUSCENES)
    plain = find_foreground(keyframe, given)  # there is no prior in this space
    assert (plain[kind > 0] > 0).float().mean() > 0.9
    monkeypatch.setattr(module, "_stored", lambda: Prior("made", torch.tensor([0.0, 9, -9]), 0.0))
    for how in ("veto", "both"):
        found = find_foreground(keyframe, given, DiscoverConfig(prior=how))
        assert (found[kind == 1] > 0).float().mean() > 0.9
        assert (found[kind == 2] > 0).float().mean() < 0.1
    off = find_foreground(keyframe, given, DiscoverConfig(prior="none"))
    assert torch.equal(off, plain)


def test_an_unknown_prior_is_named():
    with pytest.raises(ValueError, match="prior must be one of .*veto.*, got 'town'"):
        DiscoverConfig(prior="town")
