"""What answers first: the cloud; what is left out while a slow machine moves the view."""

import numpy as np
import pytest

PIXELS = """x.draw();
const {gl, canvas} = x.cloud, ratio = x.pixels, [left, top] = given;
const at = (dx, dy) => {
  const pixel = new Uint8Array(4), [across, down] = [(left + dx) * ratio, (top + dy) * ratio];
  gl.readPixels(across, canvas.height - 1 - down, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);
  return [...pixel.slice(0, 3)];
};"""


def place_of(shown, point: int) -> list[int]:
    """The pixel of a point, from the upper left corner of the cloud."""
    box = shown.page.locator(".kx-cloud").bounding_box()
    return [round(v) for v in shown.places()[0][point] - [box["x"], box["y"]]]


@pytest.mark.parametrize(("kind", "inner"), [("picked", 255), ("negatives", 17)])
def test_a_ring_is_part_of_the_picture_and_needs_no_layer(shown, kind, inner):
    shown.change(mode="height")
    point = int(shown.alone()[0])
    shown.change(**{kind: [point]})
    code = "return [9, 11].map((far) => [at(far, 0), at(-far, 0), at(0, far), at(0, -far)])"
    ring, rim = np.array(shown.run(PIXELS + code, place_of(shown, point)))
    assert np.abs(ring - inner).max() < 70
    assert np.abs(rim - (272 - inner)).max(1).min() < 70  # places are rounded to a pixel
    assert shown.run("return x.over.hidden")


def test_the_line_between_sets_is_part_of_the_picture_too(shown):
    shown.change(side_by_side=True)
    first, last = shown.run("return [x.panels.length, x.panels[1].x / x.pixels]")
    code = "return [at(0, 0), at(-4, 0), x.style().divider]"
    line, beside, colour = shown.run(PIXELS + code, [last, 20])
    assert first == 3 and shown.run("return x.over.hidden")
    middle = np.add(beside, colour) / 2  # half of the line lies on this pixel
    assert np.abs(middle - line).max() < 6


def test_the_lasso_and_names_of_boxes_still_have_their_layer(shown):
    shown.run("x.setLasso(true); x.draw()")
    assert not shown.run("return x.over.hidden")
    shown.run("x.setLasso(false); x.draw()")
    assert shown.run("return x.over.hidden")


def test_cards_do_not_blur_what_is_below_on_a_slow_machine(shown):
    blur = "return getComputedStyle(x.legend.node).backdropFilter"
    shown.run("x.measure = () => {}; x.restTime = 100; x.draw()")
    assert shown.run(blur) == "none"
    shown.run("x.restTime = 10; x.draw()")
    still = shown.run(blur)
    shown.run("x.slow = true; x.setMoving(); x.draw()")
    assert "blur" in still and shown.run(blur) == "none"
    shown.run("x.slow = false; x.restTime = 10; x.draw()")
    assert shown.run(blur) == still
    shown.page.wait_for_function("() => !document.querySelector('.kx').explorer.moving")
    shown.run("delete x.measure")


def test_the_cloud_answers_a_click_before_images_and_legend(shown):
    shown.change(mode="similarity", picked=[])
    code = """return (async () => {
      const order = [], note = (owner, method, name) => {
        const own = owner[method];
        owner[method] = (...all) => { order.push(name); return own.apply(owner, all); };
      };
      note(x.cloud, "draw", "cloud");
      note(x.legend, "show", "legend");
      note(x.cloud, "read", "read");
      for (const picture of x.pictures) note(picture, "draw", "image");
      x.restTime = 0;
      x.click(given, {}, "cloud");
      while (x.waiting) await new Promise(requestAnimationFrame);
      for (const owner of [x.legend, x.cloud, ...x.pictures])
        for (const name of ["show", "draw", "read"]) delete owner[name];
      return order; })()"""
    order = shown.run(code, int(shown.alone()[0]))
    assert order[0] == "cloud" and {"legend", "image"} <= set(order[1:])
    assert order.count("cloud") == 1


@pytest.mark.parametrize(("rest_time", "expected"), [(100, [0.5, 1]), (10, [1])])
def test_where_frames_take_long_a_click_is_answered_with_few_pixels_first(
    shown, rest_time, expected
):
    shown.change(mode="similarity", picked=[])
    code = """return (async () => {
      const [point, restTime] = given, ratios = [], draw = x.draw;
      x.draw = () => {
        draw.call(x);
        ratios.push(x.canvas.width / x.stage.clientWidth / window.devicePixelRatio);
      };
      x.restTime = restTime;
      x.click(point, {}, "cloud");
      while (x.waiting) await new Promise(requestAnimationFrame);
      delete x.draw;
      return ratios; })()"""
    assert shown.run(code, [int(shown.alone()[0]), rest_time]) == pytest.approx(expected, abs=0.01)


def test_points_that_are_not_drawn_are_not_picked(shown):
    shown.change(mode="height", picked=[])
    drawn = shown.run("x.state.density = 0.5; return [...x.cloud.order.slice(0, x.data.count / 2)]")
    alone = shown.alone()
    box = shown.page.locator(".kx-cloud").bounding_box()
    places = shown.places()[0] - [box["x"], box["y"]]
    code = """const [panel] = x.panels;
      const {view} = x.state, {height} = panel, style = x.style();
      x.state.density = 1;
      return given.map(([left, top]) => x.cloud.pointAt(panel, left, height - top, view, style))"""
    found = shown.run(code, places[alone].tolist())
    expected = [point if point in set(drawn) else -1 for point in alone.tolist()]
    assert found == expected and -1 in found


WHOLE = """const {gl, canvas} = x.cloud, pixels = new Uint8Array(4 * canvas.width * canvas.height);
const whole = () => {
  x.draw();
  gl.readPixels(0, 0, canvas.width, canvas.height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
  return pixels.reduce((sum, value, i) => (sum * 31 + value) % 1000003, 7);
};
let count = 0;
const own = x.cloud.drawPart.bind(x.cloud);
x.cloud.drawPart = (...all) => { count++; own(...all); };
"""


def test_a_hover_shows_the_same_points_without_painting_them_again(shown):
    shown.change(mode="similarity", picked=[300])
    code = """const still = whole(); count = 0;
      x.hover([90]);
      const ringed = whole(), painted = count;
      x.hover(null);
      const again = whole(), kept = count;
      x.cloud.painted = '';
      const anew = whole();
      delete x.cloud.drawPart;
      return [still === again, still === anew, still === ringed, painted, kept, count > 0]"""
    assert shown.run(WHOLE + code) == [True, True, False, 0, 0, True]


@pytest.mark.parametrize(
    "change",
    [
        "x.change({point_size: 2})",
        "x.change({density: 0.5})",
        "x.change({mode: 'labels'})",
        "x.change({threshold: 0.5})",
        "x.change({frusta: false})",
        "x.change({background: 'light'})",
        "x.change({picked: [90]})",
        "x.cloud.mark([3, 4, 5, 6])",
        "x.state.view = {...x.state.view, azimuth: 4}",
    ],
)
def test_what_changes_the_picture_is_painted(shown, change):
    shown.change(mode="similarity", picked=[300], frusta=True, background="dark")
    code = f"""const before = whole(); {change};
      const after = whole();
      x.cloud.painted = '';
      const anew = whole();
      delete x.cloud.drawPart;
      return [before === after, after === anew]"""
    assert shown.run(WHOLE + code) == [False, True]
    shown.change(point_size=1.0, density=1.0, frusta=True, background="dark")
    shown.run("x.cloud.mark(null)")
