"""Gestures that end in another way than usual, keys of the browser, films that overlap."""

import numpy as np
import pytest
import torch

SEND = """const node = given === 'line' ? x.swipeNode : x.legend.head;
const {left, top} = node.getBoundingClientRect();
const send = (type, dx) => node.dispatchEvent(new PointerEvent(type, {
  pointerId: 5, bubbles: true, clientX: left + dx, clientY: top + 5}));
const place = () => given === 'line' ? x.state.swipe : x.legend.node.offsetLeft;
x.legend.head.setPointerCapture = () => {};
"""


@pytest.mark.parametrize("what", ["line", "head"])
def test_a_drag_that_is_cancelled_has_ended(shown, what):
    shown.change(mode="similarity", feature_set="teacher", swipe_with="distilled", swipe=0.5)
    code = """send('pointerdown', 5); send('pointermove', 60);
      const dragged = place(); send('pointercancel', 60); send('pointermove', 120);
      x.legend.node.removeAttribute('style');
      return [dragged, place()]"""
    dragged, after = shown.run(SEND + code, what)
    assert after == dragged if what == "line" else after == 0
    shown.change(swipe_with="", swipe=0.5)


def test_python_hears_of_the_line_when_the_drag_ends(shown):
    shown.change(mode="similarity", feature_set="teacher", swipe_with="distilled", swipe=0.5)
    code = """const saved = [], own = x.model.save_changes;
      x.model.save_changes = () => saved.push(x.model.get('swipe'));
      send('pointerdown', 11);
      for (const dx of [20, 40, 60, 80]) send('pointermove', dx);
      const during = saved.length;
      send('pointerup', 80);
      x.model.save_changes = own;
      return [during, saved, x.state.swipe]"""
    during, saved, swipe = shown.run(SEND + code, "line")
    assert during == 0 and saved == [swipe] and swipe > 0.5
    shown.change(swipe_with="", swipe=0.5)


def test_the_newest_of_several_reports_says_whether_it_is_in_sight(shown):
    code = """const Own = window.IntersectionObserver, found = [];
      let report;
      window.IntersectionObserver = class {
        constructor(call) { report = call; } observe() {} disconnect() {}
      };
      const other = new x.constructor(x.model, document.createElement('div'));
      window.IntersectionObserver = Own;
      other.setVisible = (visible) => found.push(visible);
      report([{isIntersecting: false}, {isIntersecting: true}]);
      other.close();
      return found"""
    assert shown.run(code) == [True]


def test_keys_of_the_browser_are_left_to_it(shown):
    before = shown.state("view")
    code = """return given.map((key) => {
      const event = new KeyboardEvent('keydown', {key, altKey: true, cancelable: true});
      x.canvas.dispatchEvent(event);
      return event.defaultPrevented; })"""
    assert shown.run(code, ["ArrowLeft", "ArrowRight", "h", "Enter"]) == [False, False, False, True]
    assert shown.state("view") == before and len(shown.state("negatives")) == 1


def test_an_image_that_cannot_be_read_is_named_and_nothing_else_stops(open_page):
    import explorer_scene as scene

    shown = open_page(scene.explorer(mode="height"))
    shown.run("""x.data.arrays["image/0"] = Uint8Array.of(1, 2, 3);
      x.data.bitmaps.clear(); x.loadCloud(); x.pictures.forEach((picture) => picture.load());
      x.forget({bitmaps: new Map([[0, x.bitmapOf(x.data, 0)]])});""")
    shown.page.wait_for_timeout(200)
    assert shown.errors == []
    assert "The image of front cannot be read" in shown.page.locator(".kx-hint").inner_text()


def test_a_second_film_waits_for_the_first_and_names_are_in_it(shown):
    button = shown.page.locator("button[title='Save and share']")
    code = """x.drawn = [];
      const {prototype} = CanvasRenderingContext2D; x.own = prototype.drawImage;
      prototype.drawImage = function (image, ...rest) {
        if (this.canvas === x.film?.canvas) x.drawn.push(image === x.over);
        return x.own.call(this, image, ...rest); };
      x.setLasso(true);"""
    shown.run(code)
    button.click()
    with shown.page.expect_download() as film:
        shown.page.get_by_text("Turntable (WebM)").click()
        shown.page.wait_for_timeout(500)
        shown.page.get_by_text("Turntable (WebM)").click()
        shown.page.wait_for_timeout(300)
        assert "A film is being recorded" in shown.page.locator(".kx-hint").inner_text()
        assert shown.run("return Boolean(x.film)")
    shown.run("CanvasRenderingContext2D.prototype.drawImage = x.own; x.setLasso(false)")
    assert film.value.path().read_bytes()[:4] == b"\x1a\x45\xdf\xa3"
    drawn = shown.run("return x.drawn")
    assert set(drawn) == {True, False} and shown.run("return x.film") is None


def test_a_selection_names_the_classes_that_are_nearest_to_it(shown):
    shown.change(mode="labels", feature_set="distilled")
    labels = shown.explorer.content.labels[0]
    chosen = np.flatnonzero(labels == 15)[:12]
    shown.run("x.select(Int32Array.from(given), 'cloud')", chosen.tolist())
    unit = torch.nn.functional.normalize(shown.explorer.content.features["distilled"][0].feat)
    unit = unit - shown.explorer.content.quantisers["distilled"].mean
    unit = torch.nn.functional.normalize(unit)
    cosine = unit @ unit[chosen].mean(0)
    cosine[chosen] = -1
    nearest = labels[cosine.topk(100).indices.numpy()]
    told = shown.page.locator(".kx-nearest .kx-stat").first.inner_text().split("\n")
    assert told[0] == shown.explorer.setup["classes"]["names"][15]
    assert int(told[-1]) == pytest.approx((nearest == 15).sum(), abs=3)
