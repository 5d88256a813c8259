"""WebGL contexts that are lost or given back, frames that take long, kernels that do not answer."""

import explorer_scene as scene
import pytest


def painted(shown, node="x") -> float:
    """The ratio of the canvas whose colour is not that of the background, right after a frame."""
    code = """const {gl, canvas} = %s.cloud; %s.draw();
      const pixels = new Uint8Array(4 * canvas.width * canvas.height);
      gl.readPixels(0, 0, canvas.width, canvas.height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
      let count = 0;
      for (let i = 0; i < pixels.length; i += 4)
        if (Math.max(...pixels.subarray(i, i + 3)) > 60) count++;
      return 4 * count / pixels.length;"""
    return shown.run(code % (node, node))


def test_a_lost_context_is_restored_when_it_is_in_sight(open_page):
    shown = open_page(scene.explorer(mode="height"))
    before = painted(shown)
    assert before > 0.0005
    shown.run("x.old = x.canvas; x.cloud.gl.getExtension('WEBGL_lose_context').loseContext()")
    shown.page.wait_for_function(
        "() => { const x = document.querySelector('.kx').explorer; "
        "return x.cloud && x.canvas !== x.old; }"
    )
    shown.wait()
    assert painted(shown) == pytest.approx(before, rel=0.02)
    row = shown.alone()[0]
    shown.click(row)
    assert shown.state("picked") == [row]


def test_without_a_context_pointer_and_keys_do_nothing_wrong(open_page):
    """The page stays without one as long as the browser gives none."""
    shown = open_page(scene.explorer(mode="similarity", picked=[300]))
    uv, _ = shown.places()
    shown.run("x.revive = () => {}; x.cloud.gl.getExtension('WEBGL_lose_context').loseContext()")
    shown.page.wait_for_function("() => !document.querySelector('.kx').explorer.cloud")
    shown.errors.clear()
    shown.page.mouse.click(*uv[300])
    shown.page.locator(".kx-cloud").focus()
    for key in ("Enter", "Shift+ArrowLeft", "ArrowLeft", "+", "Escape"):
        shown.page.keyboard.press(key)
    shown.run("x.change({picked: [300]}); x.setLasso(true)")
    shown.page.mouse.move(500, 200)
    shown.page.mouse.down()
    shown.page.mouse.move(700, 300, steps=3)
    shown.page.mouse.move(500, 350, steps=3)
    shown.page.mouse.up()
    image = shown.page.locator(".kx-strip .kx-image").first.bounding_box()
    shown.page.mouse.move(image["x"] + 30, image["y"] + image["height"] / 2)
    shown.page.mouse.move(image["x"] + 60, image["y"] + image["height"] / 2, steps=8)
    shown.page.wait_for_timeout(150)
    assert shown.errors == []


def test_a_move_before_the_first_frame_is_no_error(open_page):
    shown = open_page(scene.explorer(mode="height"))
    shown.run("x.panels = undefined")
    shown.page.locator(".kx-cloud").focus()
    for key in ("Shift+ArrowLeft", "Enter"):
        shown.page.keyboard.press(key)
    assert shown.errors == []


def test_twenty_explorers_share_few_contexts_and_each_is_drawn_when_looked_at(open_page):
    shown = open_page(scene.explorer(mode="height"))
    shown.run("""
      document.body.style.cssText = 'overflow: auto; height: auto';
      window.all = [x];
      for (let i = 0; i < 19; i++) {
        const root = document.createElement('div');
        document.body.append(root);
        root.explorer = new x.constructor(x.model, root);
        window.all.push(root.explorer);
      }""")
    for number in (19, 0, 10):
        shown.page.evaluate("(i) => window.all[i].root.scrollIntoView()", number)
        shown.page.wait_for_function(
            f"() => window.all[{number}].cloud?.gl.isContextLost() === false"
        )
        shown.page.wait_for_timeout(250)
        assert painted(shown, f"window.all[{number}]") > 0.0005
    assert shown.page.evaluate("() => window.all.filter((x) => x.cloud).length") <= 10
    pictures = """() => window.all.filter((x) => !x.cloud && x.frames)
      .map((x) => [x.still.hidden, x.still.width])"""
    assert all(not hidden and width for hidden, width in shown.page.evaluate(pictures))
    closed = (
        "() => { for (const x of window.all) x.close(); return window.all.map((x) => x.cloud); }"
    )
    assert shown.page.evaluate(closed) == [None] * 20
    errors = [error for error in shown.errors if "Too many active WebGL contexts" in error]
    assert errors == []


def test_detail_follows_the_time_of_the_frame_also_when_it_is_long(open_page):
    """A painter that takes 0.4 s for all points: few are drawn while the view turns."""
    shown = open_page(scene.explorer(mode="height"))
    shown.run("""x.cloud.measure = (began, call) => {
        const ratio = x.ratios.at(-1); setTimeout(() => call(400 * ratio), 400 * ratio); };
      x.ratios = []; const draw = x.cloud.draw.bind(x.cloud);
      x.cloud.draw = (...all) => { x.ratios.push(all[3]); draw(...all); };
      x.redraw();""")
    shown.page.wait_for_timeout(600)
    shown.page.evaluate("""async () => { const x = document.querySelector('.kx').explorer;
      for (let i = 0; i < 90; i++) { x.turn(2, 0); await new Promise(requestAnimationFrame); } }""")
    last = shown.run("return x.ratios.slice(-5)")
    assert max(last) < 0.12  # 48 of 400 ms
    shown.page.wait_for_timeout(500)
    assert shown.run("return x.ratios.at(-1)") == 1  # at rest all points are drawn


def test_what_is_not_here_is_said_and_the_rest_goes_on(open_page):
    shown = open_page(scene.explorer(num_keyframes=2), keyframes=[0, 1])
    hint = shown.page.locator(".kx-hint")
    shown.change(mode="predictions", feature_set="random")
    assert "random has no predictions" in hint.inner_text()
    shown.change(mode="similarity", feature_set="teacher", picked=[1])
    assert "The picked point has no feature in teacher" in hint.inner_text()
    shown.run("x.model.standalone = false; x.model.send = () => { throw new Error('closed'); }")
    shown.change(keyframe=1)
    assert "Python does not answer" in hint.inner_text()
    shown.change(keyframe=0, mode="height")
    row = shown.alone()[0]
    shown.click(row)
    assert shown.state("picked") == [row]


def test_the_keyframe_of_a_pick_is_loaded_when_it_is_needed(open_page):
    explorer = scene.explorer(num_keyframes=2)
    explorer.mode, explorer.feature_set, explorer.picked = "similarity", "distilled", [300]
    explorer.keyframe = 1
    shown = open_page(explorer, keyframes=[0, 1])
    shown.page.wait_for_function(
        "() => document.querySelector('.kx').explorer.lastPicks?.[2]?.length === 1"
    )
    shown.wait()
    assert shown.page.locator(".kx-hint").inner_text() == ""


def test_keyframes_that_are_not_shown_are_forgotten(open_page):
    shown = open_page(scene.explorer(num_keyframes=7, mode="height"), keyframes=range(7))
    for number in range(1, 7):
        shown.change(keyframe=number)
        shown.page.wait_for_function(
            f"() => document.querySelector('.kx').explorer.data.keyframe === {number}"
        )
    assert shown.run("return [...x.loaded.keys()]") == [0, 4, 5, 6]  # 0 is that of the picks


def test_attributes_of_the_page_do_not_recolour(open_page):
    shown = open_page(scene.explorer(mode="height"))
    shown.run("x.calls = 0; const own = x.cloud.colour.bind(x.cloud);"
              "x.cloud.colour = (...all) => { x.calls++; own(...all); };")  # fmt: skip
    for i in range(3):
        shown.page.evaluate("(i) => document.body.setAttribute('data-anything', i)", i)
    shown.page.wait_for_timeout(50)
    assert shown.run("return x.calls") == 0
