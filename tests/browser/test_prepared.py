"""The widget's entry: explorers that are made before their view, while Python still computes."""

import base64

import explorer_scene as scene
import numpy as np
import pytest

from kit.show.explorer.modules import FOLDER, script_of

# `made.model(i)` is what anywidget gives for the i-th explorer; `start` and `show` call the entry.
PAGE = """async ({script, traits, payload}) => {
  const url = URL.createObjectURL(new Blob([script], {type: "text/javascript"}));
  const {default: entry} = await import(url);
  const bytes = Uint8Array.from(atob(payload), (letter) => letter.charCodeAt(0));
  const models = [0, 1].map(() => {
    const state = {...structuredClone(traits), payload: new DataView(bytes.slice().buffer)};
    const heard = [];
    return {
      get: (name) => state[name], save_changes() {}, send() {}, off() {},
      on: (event, call) => heard.push([event, call]),
      set(name, value) {
        state[name] = value;
        for (const [event, call] of heard) if (event === `change:${name}`) call();
      },
    };
  });
  window.start = (i) => entry.initialize({model: models[i]});
  window.show = (i) => {
    const el = document.createElement("div");
    document.body.append(el);
    return [el, entry.render({model: models[i], el})];
  };
  window.prepared = () => globalThis[Symbol.for("kit.explorer.prepared")];
  window.living = () => globalThis[Symbol.for("kit.explorers")]?.length || 0;
  window.models = models;
  window.until = async (isTrue) => {
    for (const began = Date.now(); !isTrue(); await new Promise((done) => setTimeout(done)))
      if (Date.now() - began > 20_000) throw new Error(`never true: ${isTrue}`);
  };
  window.shown = async (el) => {
    const { explorer: x } = el.querySelector(".kx");
    await until(() => x.frames && !x.waiting);
    x.draw();
    const { gl, canvas } = x.cloud;
    const pixels = new Uint8Array(4 * canvas.width * canvas.height);
    gl.readPixels(0, 0, canvas.width, canvas.height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    return [...pixels.filter((_, i) => i % 997 === 0)];
  };
}"""


@pytest.fixture
def page(browser, tmp_path):
    explorer = scene.explorer()
    traits = {name: getattr(explorer, name) for name in (*explorer.state_names(), "height")}
    payload = base64.b64encode(explorer.payload).decode()
    file = tmp_path / "empty.html"
    style = (FOLDER / "explorer.css").read_text()
    file.write_text(f"<!DOCTYPE html><title>Empty</title><style>{style}</style><body></body>")
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.goto(file.as_uri())
    traits["setup"] = explorer.setup
    page.evaluate(PAGE, {"script": script_of("widget.js"), "traits": traits, "payload": payload})
    yield page
    assert page.errors == []
    page.close()


def test_the_prepared_explorer_is_the_one_that_is_shown_and_looks_the_same(page):
    same, first, second = page.evaluate("""async () => {
      start(0);
      await until(() => prepared().root);
      const { explorer } = prepared().root, [el] = show(0);
      const same = el.firstChild.explorer === explorer && prepared() === null;
      const first = await shown(el);
      el.remove();
      const [other] = show(1);
      return [same, first, await shown(other)];
    }""")
    assert same and len(set(first)) > 20
    np.testing.assert_array_equal(first, second)


def test_a_change_before_the_view_comes_is_shown(page):
    mode, pressed = page.evaluate("""async () => {
      start(0);
      await until(() => prepared().root);
      models[0].set("mode", "height");
      const [el] = show(0), { explorer } = el.firstChild;
      await shown(el);
      return [explorer.state.mode, el.querySelector(".kx-mode[aria-pressed=true]").dataset.mode];
    }""")
    assert mode == pressed == "height"


def test_a_view_that_comes_at_once_does_not_wait(page):
    count, pixels = page.evaluate("""async () => {
      start(0);
      const [el] = show(0);
      const pixels = await shown(el);
      return [living(), pixels.length];
    }""")
    assert count == 1 and pixels > 100


def test_of_several_only_one_is_prepared_and_given_back_without_a_view(page):
    counts = page.evaluate("""async () => {
      const forget = start(0), none = start(1);
      await until(() => prepared().root);
      const counts = [living(), none === undefined];
      forget();
      counts.push(living(), prepared() === null);
      const [el, close] = show(1);
      await shown(el);
      counts.push(living());
      close();
      return [...counts, living()];
    }""")
    assert counts == [1, True, 0, True, 1, 0]


def test_the_first_frame_does_not_wait_for_photographs(page):
    before, after, cameras = page.evaluate("""async () => {
      start(0);
      await until(() => prepared().root);
      const { explorer: x } = prepared().root, sent = [];
      const { photo } = x.cloud;
      x.cloud.photo = (...given) => { sent.push(x.frames); photo.apply(x.cloud, given); };
      await Promise.all(x.data.cameras.map(({ number }) => x.bitmapOf(x.data, number)));
      const before = sent.length, [el] = show(0);
      await shown(el);
      await until(() => sent.length === x.data.cameras.length);
      return [before, sent, x.data.cameras.length];
    }""")
    assert before == 0 and len(after) == cameras > 1 and min(after) >= 1
