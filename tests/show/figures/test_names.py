"""Names from outside in every figure: text in plotly's figures and in PNGs, never markup."""

import json
import re
from dataclasses import replace

import pytest
import torch
from explorer_scene import HOSTILE, keyframe

from kit import show
from kit.data.classes import NUSCENES
from kit.show.png.render import to_png

NAMES = {
    "link": '<a href="https://example.org">link</a>',
    "tags": "<b>bold</b><br><sup>1</sup>",
    "script": HOSTILE,
    "entity": "&lt;i&gt; &#60;i&#62;",
    "formula": r"$\frac{1}{2}$ and $unfinished",
    "value": "%{x} %{marker.color} {y}",
    "object": "constructor",
    "prototype": "__proto__",
    "long": "long" * 100,
    "controls": "a\0b\x1bc\ud83d",
    "lines": "a\nb",
    "emoji": "日本語 🚗",
}
OWN_TAGS = re.compile(r"<br>|<extra>|</extra>")
OWN_VALUES = re.compile(r"%\{(x|y|z|text|customdata|marker\.color)(:[^}]*)?\}")


def figures_with(name):
    """One figure of every function, with the name wherever a text can be given."""
    frame = keyframe(count=60)
    points, values = frame.points, frame.points[:, 2]
    classes = replace(
        NUSCENES, names=(name, *NUSCENES.names[1:3], f"{name} 2", *NUSCENES.names[4:])
    )
    labels = torch.arange(60) % 16
    feat = torch.randn(60, 5)
    image = torch.rand(3, 20, 30)
    uv = torch.rand(10, 2) * 18
    named = {name: {"a": 1.0, name: 2.0}, f"{name} 2": {"a": 3.0}}
    titles = {"title": name, "x_title": name, "y_title": name}
    result = {"miou": 0.2, "iou": {name: 0.2, f"{name} 2": 0.4, "absent": None}}
    texts = {"title": name, "legend": name}
    return {
        "points": show.points(points, values, **texts),
        "few values": show.points(points, labels % 3, **texts),
        "side_by_side": show.side_by_side({name: (points, values), "b": (points, values)}, **texts),
        "feature_pca": show.feature_pca(frame, {name: feat, "b": feat}, title=name),
        "similarity": show.similarity(frame, {name: feat, "b": feat}, 3, title=name),
        "from above": show.points_from_above(points, values, **texts),
        "labels": show.labels(points, labels, classes, title=name),
        "errors": show.errors(points, labels.roll(1), labels, classes, title=name),
        "overlay": show.overlay(image, uv, torch.rand(10), **texts),
        "image_grid": show.image_grid({name: image, "b": image}, title=name),
        "loss_curve": show.loss_curve([{"step": 0, "loss": 1.0}, {"step": 1, "loss": 0.5}], name),
        "iou_bars": show.iou_bars({name: result, "b": result}, title=name),
        "curves": show.curves(named, **titles),
        "curves at x": show.curves(named, [1.0, 2.0], **titles),
    }


def texts_of(value, key=""):
    """Every text of a figure that plotly draws, as far down as it lies."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from texts_of(each, name)
    elif isinstance(value, list):
        for each in value:
            yield from texts_of(each, key)
    elif isinstance(value, str) and key not in ("source", "bdata", "legendgroup"):
        yield value


@pytest.mark.parametrize("kind", NAMES)
def test_no_name_is_markup_a_value_or_a_formula(kind):
    found = set()
    for function, figure in figures_with(NAMES[kind]).items():
        for text in texts_of(json.loads(figure.to_json())):
            rest = OWN_VALUES.sub("", OWN_TAGS.sub("", text))
            assert "<" not in rest, (function, text)
            assert "%{" not in rest and "$" not in rest, (function, text)
            found.add(function) if rest else None
    assert len(found) == 14


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.filterwarnings("ignore:Glyph")  # fonts of this machine
def test_every_figure_is_drawn_with_any_name(kind):
    for figure in figures_with(NAMES[kind]).values():
        assert to_png(figure, 300, 260).startswith(b"\x89PNG")
        figure.to_html(full_html=True, include_plotlyjs=False).encode()


def test_names_that_look_like_numbers_or_dates_stay_in_their_order():
    result = {"miou": 0.2, "iou": {"10": 0.9, "2": 0.8, "2024-01-01": 0.7}}
    figure = show.iou_bars({"a": result})
    assert figure.layout.xaxis.type == "category"
    assert list(figure.data[0].x) == ["10", "2", "2024-01-01"]


def test_classes_whose_names_differ_only_in_an_underscore_keep_their_bars():
    figure = show.iou_bars({"a": {"miou": 0.2, "iou": {"a_b": 0.9, "a b": 0.8}}})
    assert list(figure.data[0].x) == ["a_b", "a b"]
