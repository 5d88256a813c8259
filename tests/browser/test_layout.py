"""Every width from a phone to a wide screen: nothing overlaps, nothing is cut off."""

import explorer_scene as scene
import pytest

WIDTHS = (360, 390, 480, 640, 800, 900, 1006, 1280, 1920, 2560)

# Controls and texts with their boxes; what lies in a part that scrolls is cut to this part.
BOXES = """
const root = x.root.getBoundingClientRect();
const scrolls = '.kx-strip, .kx-legend-body, .kx-modes';
const found = [];
const controls = 'button, select, input, .kx-status, .kx-notes, .kx-value, .kx-legend';
for (const node of x.root.querySelectorAll(controls + ', .kx-heading span, .kx-hint p')) {
  if (!node.checkVisibility() || node.closest('.kx-picture')) continue;
  let {left, top, right, bottom} = node.getBoundingClientRect();
  const part = node.closest(scrolls);
  if (part) {
    const area = part.getBoundingClientRect();
    [left, top] = [Math.max(left, area.left), Math.max(top, area.top)];
    [right, bottom] = [Math.min(right, area.right), Math.min(bottom, area.bottom)];
    if (right - left < 2 || bottom - top < 2) continue;
  }
  const name = node.className + ':' + (node.title || node.textContent || node.value).slice(0, 24);
  found.push({name, left, top, right, bottom, in: node.closest('.kx-legend') ? 1 : 0});
}
const out = found.filter(b => b.left < root.left - 1 || b.right > root.right + 1 ||
  b.top < root.top - 1 || b.bottom > root.bottom + 1 || b.right - b.left < 8).map(b => b.name);
const over = [];
for (const a of found) for (const b of found) {
  if (a.name >= b.name || (a.in && b.in)) continue;
  const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  if (wide > 1.5 && high > 1.5) over.push(a.name + ' / ' + b.name);
}
return {out, over, overflow: document.documentElement.scrollWidth > window.innerWidth,
  stage: [x.stage.clientWidth, x.stage.clientHeight], count: found.length};
"""


@pytest.fixture(scope="module")
def sequence(save_and_open, tmp_path_factory):
    """Two keyframes, three feature sets, ten modes and a note."""
    explorer = scene.explorer(num_keyframes=2, max_points=800, mode="similarity")
    path = tmp_path_factory.mktemp("layout") / "page.html"
    shown = save_and_open(explorer, path, keyframes=[0, 1])
    yield shown
    shown.page.close()


def check(shown):
    shown.wait()
    found = shown.run(BOXES)
    assert found["count"] > 20
    assert found["out"] == [] and found["over"] == [] and not found["overflow"]
    assert found["stage"][1] >= 200


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_overlaps_or_is_cut_off(sequence, width):
    sequence.page.set_viewport_size({"width": width, "height": 800})
    for changes in (
        dict(side_by_side=False, mode="labels", picked=[]),
        dict(side_by_side=True, mode="similarity", picked=[]),
        dict(side_by_side=True, mode="similarity", picked=[300]),
    ):
        sequence.change(**changes)
        check(sequence)


def test_an_explorer_in_half_of_a_page_suits_its_half(sequence):
    sequence.page.set_viewport_size({"width": 1280, "height": 800})
    sequence.run("x.root.style.width = '50%'")
    sequence.page.wait_for_timeout(100)
    check(sequence)
    sequence.run("x.root.style.width = ''")


def test_a_note_about_all_keyframes_is_written_once(sequence):
    assert sequence.explorer.setup["notes"] == ["800 of 900 points are drawn in 2 keyframes"]


def test_the_legend_folds_moves_and_comes_back(sequence):
    sequence.page.set_viewport_size({"width": 1280, "height": 800})
    sequence.change(side_by_side=False, mode="labels")
    legend, head = sequence.page.locator(".kx-legend"), sequence.page.locator(".kx-legend-title")
    tall = legend.bounding_box()["height"]
    sequence.page.locator(".kx-fold").click()
    assert legend.bounding_box()["height"] < tall / 2
    sequence.page.locator(".kx-fold").click()
    before, at = legend.bounding_box(), head.bounding_box()
    sequence.page.mouse.move(at["x"] + 5, at["y"] + 5)
    sequence.page.mouse.down()
    sequence.page.mouse.move(at["x"] + 305, at["y"] - 95, steps=3)
    sequence.page.mouse.up()
    after = legend.bounding_box()
    assert after["x"] == pytest.approx(before["x"] + 300, abs=2)
    assert after["y"] == pytest.approx(before["y"] - 100, abs=2)
    head.dblclick()
    assert legend.bounding_box()["x"] == pytest.approx(before["x"], abs=1)


def test_panel_names_stand_on_a_background_of_their_own(sequence):
    sequence.change(side_by_side=True, mode="features")
    colours = sequence.run(
        "return [...x.root.querySelectorAll('.kx-heading span')]"
        ".map((node) => getComputedStyle(node).backgroundColor)"
    )
    assert len(colours) == 3 and "rgba(0, 0, 0, 0)" not in colours
