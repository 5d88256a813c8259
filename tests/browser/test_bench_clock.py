"""The clocks of the explorer's bench, in pages whose moments are known."""

import time

import explorer_scene as scene
import pytest

from kit.bench.explorer import CLICK, CLOCK, DRAWN, PRELUDE

# A stand-in for an explorer, whose first frame comes after a known time.
LATE = """<div class="kx"></div><script>
const node = document.querySelector(".kx"), gl = { readPixels() { window.read = true; } };
const began = Date.now();
function frame() {
  const drawn = Date.now() - began >= 400;
  if (drawn) window.drawn = Date.now();
  node.explorer = { frames: drawn ? 1 : 0, cloud: { gl } };
  if (!drawn) requestAnimationFrame(frame);
}
requestAnimationFrame(frame);
</script>"""


def test_the_first_frame_has_the_time_it_was_drawn_and_not_that_of_the_look(browser, tmp_path):
    file = tmp_path / "late.html"
    file.write_text(LATE)
    page = browser.new_page()
    page.add_init_script(CLOCK)
    page.goto(file.as_uri())
    time.sleep(1.5)  # the bench is busy with something else, as with waiting for a cell's end
    first = page.wait_for_function(DRAWN).json_value()
    drawn, read = page.evaluate("() => [window.drawn, window.read]")
    page.close()
    assert read  # with the work of the GPU
    assert 0 <= first - drawn < 300


@pytest.mark.parametrize("rest_time", [1, 100])  # ms; above 40 a coarse picture comes first
def test_a_click_ends_with_a_picture_in_all_pixels(shown, rest_time):
    shown.change(mode="similarity")
    shown.run("x.measure = () => {}; x.restTime = given", rest_time)
    place = shown.places()[0][shown.alone()[0]].tolist()
    coloured, picked, _, first, whole = shown.page.evaluate(CLICK % PRELUDE, place)
    ratio = shown.run("delete x.measure; return x.canvas.width / x.stage.clientWidth")
    assert len(picked) == 1 and ratio == pytest.approx(1, abs=0.01)
    assert 0 < first <= coloured <= whole
    if rest_time > 40:
        assert whole > coloured + 1


def test_the_clock_reads_a_real_page(browser, tmp_path):
    path = scene.explorer().save(tmp_path / "page.html")
    page = browser.new_page()
    page.add_init_script(CLOCK)
    page.goto(path.as_uri())
    first = page.wait_for_function(DRAWN, timeout=20_000).json_value()
    opened, now = page.evaluate("() => [performance.timeOrigin, Date.now()]")
    page.close()
    assert opened < first <= now
