"""The legend: what it says of the colours on the screen, and in the picture that is saved."""

import re

import explorer_scene as scene
import pytest

from kit.show import theme
from kit.show.explorer.agreement import agreement

# The texts of the saved picture, and the colours of the squares beside them.
WRITTEN = """const {prototype} = CanvasRenderingContext2D;
  const [own, fill] = [prototype.fillText, prototype.fillRect], [texts, squares] = [[], []];
  prototype.fillText = function (text, ...rest) {
    texts.push(text);
    own.call(this, text, ...rest);
  };
  prototype.fillRect = function (...all) {
    if (all[2] === all[3] && all[2] < 20) squares.push(this.fillStyle);
    fill.apply(this, all);
  };
  const save = x.root.querySelector(".kx-pop > button[title^='Save']");
  save.click();
  [...x.root.querySelectorAll('.kx-choice')].find((node) => /PNG/.test(node.textContent)).click();
  save.click();
  [prototype.fillText, prototype.fillRect] = [own, fill];
  return {texts, squares};"""


def written(shown) -> dict:
    return shown.run(WRITTEN)


@pytest.mark.parametrize(("own", "other"), [("teacher", "distilled"), ("random", "distilled")])
def test_the_mean_cosine_of_two_sets_is_of_points_with_both_features(shown, own, other):
    shown.change(mode="agreement", feature_set=own, compare_with=other)
    pair = tuple(sorted(["teacher", "random", "distilled"].index(name) for name in (own, other)))
    cosine, has = agreement(shown.explorer.content, 0, pair)
    text = shown.page.locator(".kx-legend").inner_text()
    told = float(re.search(r"mean cosine of their features (-?[\d.]+)", text)[1])
    assert told == pytest.approx(cosine[has].mean(), abs=0.0051)


def test_the_saved_picture_names_the_classes_that_it_shows(shown):
    names = shown.explorer.setup["classes"]["names"]
    shown.change(mode="labels", hidden_classes=[10])
    found = written(shown)
    assert found["texts"] == ["Labels", names[3], names[15]]
    colours = shown.explorer.setup["classes"]["colours"]["distinct"]
    expected = [theme.hex_of(colours[label]) for label in (3, 15)]
    assert found["squares"] == expected


@pytest.mark.parametrize("mode", ["height", "similarity", "agreement", "foreground"])
def test_the_saved_picture_of_numbers_has_a_bar_and_no_classes(shown, mode):
    shown.change(mode=mode, picked=[300])
    found = written(shown)
    low, high = shown.run("return x.limits")
    assert found["squares"] == [] and found["texts"][0].lower() == mode
    ends = [float(text) for text in found["texts"][1:3]]
    assert ends == pytest.approx([low, high], abs=0.6 if mode == "height" else 0.006)


def test_the_saved_picture_of_errors_and_features_has_their_own_entries(shown):
    shown.change(mode="errors")
    found = written(shown)
    assert found["texts"] == ["Errors", "wrong", "correct"]
    style = shown.run("return x.style()")
    expected = [theme.hex_of(style[name]) for name in ("wrong", "correct")]
    assert found["squares"] == expected
    shown.change(mode="features", components=[0, 1, 2])
    assert written(shown)["texts"] == ["Features", "component 1", "component 2", "component 3"]
    shown.change(mode="colour")
    assert written(shown)["texts"] == ["Camera colour"]


def queried():
    """An explorer that was asked for two things, left and right; each has scores from -1 to 1."""
    asked = scene.explorer(
        ask=lambda text: scene.keyframe().points[:, 0] / {"right": 30, "left": -30}[text]
    )
    asked.ask("right"), asked.ask("left")
    return asked


def test_the_saved_picture_of_segments_names_the_queries(open_page):
    shown = open_page(queried())
    shown.change(mode="segments")
    found = written(shown)
    assert found["texts"] == ["Segments", "right", "left"]
    assert found["squares"] == list(shown.explorer.setup["series"][:2])


def test_segments_have_the_thresholds_that_were_set_in_python_too(open_page):
    shown = open_page(queried())
    points = scene.keyframe().points[:, 0].numpy()
    shown.change(mode="right")
    shown.change(threshold=0.7)
    shown.change(mode="segments")
    assert shown.state("thresholds") == {"right": 0.7} and shown.state("threshold") is None
    reference, rows = shown.reference()
    colours = shown.colours()
    assert (colours[rows, :3] == reference).all()
    series = [theme.rgb_of(colour) for colour in shown.explorer.setup["series"]]
    right = (colours[:, :3] == series[0]).all(1)
    assert ((points / 30)[right] > 0.69).all() and right[points / 30 > 0.71].all() and right.any()
    shown.change(mode="right")
    assert shown.state("threshold") == 0.7
    shown.run("x.history.undo(); x.history.undo(); x.history.undo(); x.history.redo()")
    shown.wait()
    assert (shown.state("mode"), shown.state("threshold")) == ("right", 0.7)


def ends(shown) -> list[str]:
    return shown.page.locator(".kx-ends span").all_inner_texts()


def test_a_legend_that_was_moved_stays_in_a_stage_that_becomes_narrow(shown):
    shown.change(mode="height")
    head = shown.page.locator(".kx-legend-title").bounding_box()
    shown.page.mouse.move(head["x"] + 5, head["y"] + 5)
    shown.page.mouse.down()
    shown.page.mouse.move(1100, 400, steps=3)
    shown.page.mouse.up()
    for size in ((900, 800), (600, 500), (1280, 800)):
        shown.page.set_viewport_size({"width": size[0], "height": size[1]})
        shown.page.wait_for_timeout(100)
        legend, stage = (
            shown.page.locator(name).bounding_box() for name in (".kx-legend", ".kx-stage")
        )
        for side, length in (("x", "width"), ("y", "height")):
            assert legend[side] >= stage[side]
            assert legend[side] + legend[length] <= stage[side] + stage[length] + 1
    shown.page.locator(".kx-legend-title").dblclick()


def test_the_legend_follows_a_click_after_its_slider_was_dragged(shown):
    shown.change(mode="similarity", picked=[300])
    slider = shown.page.locator(".kx-threshold")
    box = slider.bounding_box()
    shown.page.mouse.move(box["x"] + 3, box["y"] + 8)
    shown.page.mouse.down()
    shown.page.mouse.move(box["x"] + 40, box["y"] + 8, steps=4)
    shown.wait()
    held = slider.evaluate("(node) => (document.held = node, true)")
    shown.page.mouse.move(box["x"] + 20, box["y"] + 8, steps=4)
    shown.wait()
    assert held and slider.evaluate("(node) => node === document.held")  # not under the pointer
    shown.page.mouse.up()
    image = shown.page.locator(".kx-strip .kx-image").first
    pixel = shown.run("const {uv} = x.pictures[0].pairs; return [uv[10] / 65535, uv[11] / 65535]")
    box = image.bounding_box()
    shown.page.mouse.click(box["x"] + pixel[0] * box["width"], box["y"] + pixel[1] * box["height"])
    shown.wait()
    assert shown.state("picked") != [300]
    assert_ends_are_the_limits(shown)
    before = ends(shown)
    slider.focus()
    shown.change(picked=[90])  # as from Python
    assert_ends_are_the_limits(shown)
    assert ends(shown) != before


def assert_ends_are_the_limits(shown):
    low, _, high = ends(shown)
    assert [float(low), float(high)] == pytest.approx(shown.run("return x.limits"), abs=0.006)


def test_each_panel_says_the_range_of_its_own_colours(shown):
    shown.change(mode="similarity", picked=[300], side_by_side=True, similarity_range="auto")
    limits = shown.run("return x.panels.map(({number}) => x.cloud.panels.get(number).limits)")
    assert len({tuple(each) for each in limits}) == 3
    headings = shown.page.locator(".kx-heading").all_inner_texts()
    for text, (low, high) in zip(headings, limits, strict=True):
        assert text.split("\n")[1] == f"{low:.2f} to {high:.2f}"
    assert ends(shown)[::2] == ["median", "best"]
    assert "Each set has a range of its own" in shown.page.locator(".kx-legend").text_content()
    assert [
        f"teacher: {limits[0][0]:.2f} to {limits[0][1]:.2f}" in text
        for text in written(shown)["texts"]
    ].count(True) == 1
    shown.change(similarity_range="fixed")
    assert shown.page.locator(".kx-heading").all_inner_texts() == ["teacher", "random", "distilled"]
    assert ends(shown)[2] == "1"
    shown.change(side_by_side=False, similarity_range="auto")
    assert ends(shown)[0] != "median"
