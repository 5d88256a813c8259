"""Words that are asked for, links of the state, class colours, agreement of two sets."""

import explorer_scene as scene
import numpy as np
import pytest
import torch
import traitlets

from kit.data.classes import NUSCENES
from kit.show.explorer.links import state_of
from kit.show.explorer.paint import colours_of, paint
from kit.show.explorer.payload import agreement, class_colours, keyframe_payload
from kit.show.palette import as_seen, distinct_colours, least_distance


class Query:
    """As `kit.Query`: a score for each row of features."""

    def score(self, features):
        return features.feat[:, 0]


def test_an_answer_becomes_a_mode_and_is_sent(tmp_path):
    heard = []
    explorer = scene.explorer(ask=lambda text: Query())
    explorer.send = lambda message, buffers=None: heard.append(message)
    explorer._receive(explorer, {"type": "ask", "text": "a car"}, [])
    assert explorer.mode == "a car" and explorer.modes[-4:] == [
        "segments",
        "foreground",
        "car",
        "a car",
    ]
    assert heard[0]["mode"] == "a car" and heard[0]["modes"][-1]["query"]
    teacher = explorer.content.features["teacher"][0]
    score = explorer.content.scores["a car"][0]
    np.testing.assert_array_equal(score[teacher.index], teacher.feat[:, 0])
    assert (score[1] == score.min()) and len(score) == 900  # no feature: the lowest score
    header, _ = keyframe_payload(explorer.content, 0)
    assert "score/a car" in header["arrays"]
    explorer.mode = "segments"
    assert 0 < paint(explorer).has_value.sum() < 900
    assert "a car" in explorer.save(tmp_path / "x.html").read_text(encoding="utf8")


@pytest.mark.parametrize(
    "ask, text, words",
    [
        (None, "a car", "made without `ask`"),
        (lambda text: np.ones(3), "a car", r"must be \(900,\)"),
        (lambda text: np.ones(900), "height", "a mode is called 'height' already"),
        (lambda text: np.ones(900), " ", "1 to 100 letters"),
        (lambda text: 1 / 0, "a car", "division"),
    ],
)
def test_what_cannot_be_answered_is_said_in_the_browser(ask, text, words):
    heard = []
    explorer = scene.explorer(ask=ask)
    explorer.send = lambda message, buffers=None: heard.append(message)
    explorer._receive(explorer, {"type": "ask", "text": text}, [])
    with pytest.raises((ValueError, ZeroDivisionError), match=words):
        explorer.ask(text)
    assert text in heard[0]["error"]


def test_a_link_restores_the_state():
    first, second = scene.explorer(), scene.explorer()
    first.mode, first.picked, first.swipe_with, first.density = "similarity", [5], "random", 0.5
    second.restore("file:///a/page.html" + first.link)
    for name in first.state_names():
        assert getattr(first, name) == getattr(second, name)
    for text in ("", "#kx=", "#kx=%%", "#kx=" + "W10"):
        with pytest.raises(ValueError, match="not a link"):
            state_of(text)
    first.picked = [899]
    with pytest.raises(traitlets.TraitError, match="point 899"):
        scene.explorer(count=800).restore(first.link)


def test_classes_can_be_told_apart_by_everyone_and_are_close_to_their_own_colours():
    own, changed = NUSCENES.colours, distinct_colours(tuple(NUSCENES.colours))
    assert least_distance(own) < 3  # car and trailer, to a deuteranope
    assert least_distance(changed) >= 11.9
    moved = np.linalg.norm(as_seen(np.array(own))[0] - as_seen(np.array(changed))[0], axis=1)
    assert np.median(moved) < 25
    assert distinct_colours(((255, 0, 0),)) == ((255, 0, 0),)
    many = tuple((i * 7 % 256, i * 13 % 256, i * 29 % 256) for i in range(60))
    assert len(distinct_colours(many)) == 60


def test_distances_of_colours_by_hand():
    """CIELAB of black, white and red, from the definition."""
    black, white, red = as_seen(np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0]]))[0]
    np.testing.assert_allclose(white, [100, 0, 0], atol=0.05)
    np.testing.assert_allclose(red, [53.2, 80.1, 67.2], atol=1)
    assert black[0] < 12  # the least light is cut


def test_the_palette_can_be_that_of_the_data_set():
    explorer = scene.explorer(mode="labels", palette="dataset")
    rgb, index = colours_of(explorer)
    cars = explorer.content.labels[0][index] == 3
    assert (rgb[cars] == NUSCENES.colours[3]).all()
    assert class_colours(explorer.content, "distinct") != list(NUSCENES.colours)


def test_the_agreement_is_the_centred_cosine_of_both_features():
    explorer = scene.explorer()
    cosine, has = agreement(explorer.content, 0, (0, 2))
    index = explorer.content.features["teacher"][0].index
    assert has.sum() == len(index) and has[index].all()
    rows = []
    for name in ("teacher", "distilled"):
        features = explorer.content.features[name][0]
        unit = torch.nn.functional.normalize(features.of_points(index), dim=1)
        rows.append(unit - torch.nn.functional.normalize(features.feat, dim=1).mean(0))
    expected = torch.nn.functional.cosine_similarity(*rows)
    np.testing.assert_allclose(cosine[index], expected, atol=1e-4)


def test_sets_of_other_widths_have_no_agreement():
    frame = scene.keyframe()
    one = {"a": scene.features(frame, 1), "b": scene.features(frame, 1, dim=8)}
    explorer = scene.Explorer(frame, one)
    assert "agreement" not in explorer.modes and explorer.setup["pairs"] == []


def test_values_out_of_range_are_refused(tmp_path):
    explorer = scene.explorer()
    for name, value in [("height", -5), ("density", 0.0), ("swipe", 1.5), ("background", "blue"),
                        ("colour_map", "jet"), ("swipe_with", "nobody")]:  # fmt: skip
        with pytest.raises(traitlets.TraitError):
            setattr(explorer, name, value)
    with pytest.raises(ValueError, match=r"end in .gltf \(text\) or .glb"):
        explorer.save_gltf(tmp_path / "b.obj")
    with pytest.raises(ValueError, match="16 to"):
        explorer.save_png(tmp_path / "x.png", image_size=(-200, 300))
