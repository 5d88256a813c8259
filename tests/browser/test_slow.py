"""A slow machine draws fewer pixels while the view moves, and all of them otherwise."""

import pytest

SIZES = """const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const sizes = [], size = () => sizes.push(x.canvas.width);"""


@pytest.fixture(autouse=True)
def _slow(shown):
    shown.run("x.slow = true")
    yield
    shown.run("x.slow = false")
    at_rest = "() => !document.querySelector('.kx').explorer.moving"
    shown.page.wait_for_function(at_rest)
    shown.wait()


def test_pixels_are_fewer_until_the_view_rests(shown):
    code = """return (async () => {
      size(); x.turn(8, 0); await wait(80); size(); await wait(600); size();
      x.slow = false; x.turn(-8, 0); await wait(80); size();
      return sizes; })();"""
    still, moving, later, fast = shown.run(SIZES + code)
    assert still == later == fast and moving == pytest.approx(still / 2, abs=1)


def test_a_flight_ends_in_all_pixels(shown):
    code = """return (async () => {
      size(); x.flight = {from: {...x.state.view}, started: performance.now()}; x.redraw();
      await wait(150); size(); await wait(900); size();
      return sizes; })();"""
    still, flying, landed = shown.run(SIZES + code)
    assert still == landed and flying == pytest.approx(still / 2, abs=1)


def test_a_film_has_all_pixels(shown):
    still = shown.run("return x.canvas.width")
    shown.page.locator("button[title='Save and share']").click()
    with shown.page.expect_download() as film:
        shown.page.get_by_text("Turntable (WebM)").click()
        shown.page.wait_for_timeout(1000)
        assert shown.run("return [x.canvas.width, x.moving > 0]") == [still, True]
    assert film.value.path().read_bytes()[:4] == b"\x1a\x45\xdf\xa3"  # a Matroska file
    assert shown.run("return x.film") is None


def test_a_click_right_after_a_move_hits_its_point(shown):
    shown.change(mode="height", picked=[])
    point = int(shown.alone()[0])
    uv = shown.places()[0][point]
    shown.run("x.setMoving(); x.draw()")
    shown.page.mouse.click(*uv)
    assert shown.state("picked") == [point]
