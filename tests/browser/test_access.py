"""Keyboard, touch, names for screen readers, contrast."""

import explorer_scene as scene
import numpy as np
import pytest

UNNAMED = """return [...x.root.querySelectorAll('button, select, input, canvas, summary, [role]')]
  .filter((node) => node.checkVisibility() && !node.ariaHidden && node.role !== 'status')
  .filter((node) => !(node.ariaLabel || node.textContent.trim() ||
    node.labels?.[0]?.textContent.trim()))
  .map((node) => node.outerHTML.slice(0, 90))"""

# Contrast of each text to what is behind it, as the Web Content Accessibility Guidelines define it.
CONTRAST = """
const parse = (text) => {
  const v = text.match(/[\\d.]+/g).map(Number);
  return [v[0], v[1], v[2], v[3] ?? 1];
};
const light = (c) => c.slice(0, 3).map((v) => v / 255)
  .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const over = (top, below) =>
  [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
const behind = (node) => {
  const layers = [];
  for (let each = node; each; each = each.parentElement)
    layers.push(parse(getComputedStyle(each).backgroundColor));
  return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
};
const bad = [];
for (const node of x.root.querySelectorAll('*')) {
  const own = [...node.childNodes].some((each) => each.nodeType === 3 && each.textContent.trim());
  if (!(own || node.matches('.kx-tool')) || !node.checkVisibility()) continue;
  if (node.closest('option, figcaption')) continue;
  const back = behind(node), ink = over(parse(getComputedStyle(node).color), back);
  const [a, b] = [light(ink), light(back)].sort((p, q) => q - p);
  const ratio = (a + 0.05) / (b + 0.05);
  const least = node.matches('.kx-tool') ? 3 : 4.5;
  if (ratio < least) bad.push([node.className, node.textContent.slice(0, 20), ratio]);
}
return bad;"""


@pytest.fixture(params=["light", "dark"])
def page(request, browser, save_and_open, tmp_path):
    explorer = scene.explorer(mode="similarity", picked=[300], background=request.param)
    opened = save_and_open(explorer, tmp_path / "page.html", scheme=request.param)
    yield opened
    opened.page.close()


def test_every_control_has_a_name_and_every_text_contrast(page):
    for mode in ("similarity", "labels", "errors", "features", "foreground", "agreement"):
        page.change(mode=mode)
        page.page.locator(f".kx-mode[data-mode={mode}]").hover()  # pressed, and under the pointer
        assert page.run(UNNAMED) == [] and page.run(CONTRAST) == []
    for name in ("Display", "Save", "Keys"):
        page.page.locator(f".kx-pop > button[title^='{name}']").click()
        assert page.run(UNNAMED) == [] and page.run(CONTRAST) == []


def test_the_focus_stays_on_what_was_pressed(shown):
    for selector in (".kx-mode[data-mode=labels]", ".kx-class[data-label='10']", ".kx-sets button"):
        button = shown.page.locator(selector).first
        button.focus()
        shown.page.keyboard.press("Enter")
        shown.wait()
        assert button.evaluate("(node) => node === document.activeElement")


def press(shown, *keys: str) -> dict:
    shown.page.locator(".kx-cloud").focus()
    for key in keys:
        shown.page.keyboard.press(key)
    shown.wait()
    return shown.state("view")


def test_keys_turn_move_zoom_and_pick(shown):
    first = shown.state("view")
    assert press(shown, "ArrowRight")["azimuth"] == pytest.approx(first["azimuth"] + 8, abs=0.01)
    assert press(shown, "ArrowDown")["elevation"] == pytest.approx(first["elevation"] + 8, abs=0.01)
    assert press(shown, "Shift+ArrowLeft")["target"] != first["target"]
    assert press(shown, "+")["distance"] < first["distance"]
    assert press(shown, "-", "-")["distance"] > first["distance"]
    for key in ("t", "T"):
        assert press(shown, "h")["elevation"] == first["elevation"]
        assert press(shown, key)["elevation"] == 90
    press(shown, "h", "Enter")
    (picked,) = shown.state("picked")
    uv, depth = shown.places()
    box = shown.page.locator(".kx-cloud").bounding_box()
    middle = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
    off = np.linalg.norm(uv - middle, axis=1)
    assert off[picked] < 40 + np.nanmin(off[depth > 0])
    press(shown, "Escape")
    assert shown.state("picked") == []


def test_undo_and_redo(shown):
    shown.change(mode="height")
    shown.change(mode="labels", hidden_classes=[10])
    press(shown, "Control+z")
    assert (shown.state("mode"), shown.state("hidden_classes")) == ("height", [])
    press(shown, "Control+y")
    assert (shown.state("mode"), shown.state("hidden_classes")) == ("labels", [10])


def test_two_fingers_move_and_pinch(shown):
    """Two pointers that move together pan; that come apart zoom."""
    code = """const at = x.canvas.getBoundingClientRect();
      const send = (type, pointerId, dx, dy) => x.canvas.dispatchEvent(new PointerEvent(type, {
        pointerId, pointerType: 'touch', clientX: at.left + 300 + dx, clientY: at.top + 200 + dy}));
      send('pointerdown', 11, 0, 0); send('pointerdown', 12, 100, 0);
      for (const [a, b] of given) { send('pointermove', 11, ...a); send('pointermove', 12, ...b); }
      send('pointerup', 11, 0, 0); send('pointerup', 12, 0, 0);"""
    first = shown.state("view")
    steps = [[[10 * i, 6 * i], [100 + 10 * i, 6 * i]] for i in range(8)]
    shown.run(code, steps)
    moved = shown.state("view")
    assert moved["distance"] == pytest.approx(first["distance"], rel=0.06)
    assert np.linalg.norm(np.subtract(moved["target"], first["target"])) > 1
    assert moved["azimuth"] == first["azimuth"] and shown.state("picked") == []
    shown.run(code, [[[-10 * i, 0], [100 + 10 * i, 0]] for i in range(8)])
    assert shown.state("view")["distance"] < 0.7 * moved["distance"]
