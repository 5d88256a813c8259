"""A notebook in JupyterLab: clicks arrive in the kernel, and its changes in the page."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from explorer_scene import explorer

from kit.bench import _browser
from kit.show.png.splat import project
from kit.show.scene import Viewpoint

HERE = Path(__file__).parent
CELLS = [
    "from explorer_scene import explorer\nx = explorer()\nheard = []\nx.on_click(heard.append)\nx",
    'print("picked", x.picked, x.negatives, x.mode, len(x.clicks), [c.point for c in heard])',
    'x.mode, x.threshold = "foreground", 0.4\nx.view = x.view | {"elevation": 70.0}',
    'print("selected", len(x.selected), x.selected[:3].tolist(), x.view["azimuth"])',
    "big = explorer(3, count=40_000, channels=128)\nbig",
    "from ipywidgets.widgets.widget import _instances\n"
    "kinds = [type(each).__name__ for each in _instances.values()]\n"
    'print("open", kinds.count("Explorer"), kinds.count("_Keyframe"))',
]


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    _browser.write_notebook(folder / "explore.ipynb", CELLS)
    with pytest.MonkeyPatch.context() as patch:
        paths = [
            str(HERE.parent / "helpers"),
            str(HERE.parents[1]),
            os.environ.get("PYTHONPATH", ""),
        ]
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        with _browser.jupyterlab(folder) as address:
            page = browser.new_page(viewport={"width": 1280, "height": 1000})
            _browser.open_notebook(page, address, "explore.ipynb")
            yield page
            page.close()


def run(page, code: str):
    return page.evaluate(
        "() => { const x = document.querySelector('.kx').explorer; %s }" % code  # noqa: UP031
    )


def wait(page, code: str):
    """Wait until JavaScript about `x`, the explorer in the page, is true."""
    found = "() => { const x = document.querySelector('.kx')?.explorer; if (!x) return; %s; }"
    page.wait_for_function(found % code, timeout=60_000)


def text_of(page, word: str) -> str:
    """The output of a cell that holds a word, once it is there."""
    line = page.locator(".jp-OutputArea-output", has_text=word).last
    line.wait_for(timeout=20_000)
    return line.inner_text().strip()


def places(page):
    """Place of each point on the page by numpy, and the points without others close by."""
    box = page.locator(".kx-cloud").bounding_box()
    size = (round(box["height"]), round(box["width"]))
    view = Viewpoint.orbit(**run(page, "return x.state.view"), aspect=size[1] / size[0])
    points = explorer().content.keyframes[0].points.numpy().astype(np.float64)
    uv, depth = project(points, view, size)
    inside = (depth > 0) & (uv > [280, 50]).all(1) & (uv < [size[1] - 30, size[0] - 60]).all(1)
    apart = np.linalg.norm(uv[:, None] - uv[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    alone = np.flatnonzero(inside & (np.nanmin(apart, axis=1) > 14))
    return uv + [box["x"], box["y"]], alone


def draw_box(page):
    """Drag over almost all of the first image."""
    image = page.locator(".kx-strip .kx-image").first
    image.scroll_into_view_if_needed()
    box = image.bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 20, box["y"] + box["height"] - 20, steps=3)
    page.mouse.up()


def test_clicks_arrive_in_the_kernel_and_its_changes_in_the_page(page):
    _browser.run_cell(page, 0)
    page.wait_for_function(
        "() => document.querySelector('.kx')?.explorer?.frames > 0", timeout=60_000
    )
    page.locator(".kx").scroll_into_view_if_needed()
    page.locator(".kx-mode[data-mode=similarity]").click()
    uv, alone = places(page)
    chosen = [int(row) for row in alone[:8]]
    assert len(chosen) == 8
    page.mouse.click(*uv[chosen[0]])
    page.keyboard.down("Shift")
    for row in chosen[1:]:
        page.mouse.click(*uv[row])
    page.keyboard.up("Shift")
    assert run(page, "return x.state.picked") == chosen

    _browser.run_cell(page, 1)
    expected = f"picked {chosen} [] similarity 8 {chosen}"
    assert text_of(page, "picked") == expected

    _browser.run_cell(page, 2)
    page.wait_for_function(
        "() => document.querySelector('.kx').explorer.state.mode === 'foreground'"
    )
    page.wait_for_function(
        "() => document.querySelector('.kx').explorer.state.view.elevation === 70"
    )
    scores = explorer().content.scores["foreground"][0]
    shown = run(page, "return Array.from(x.cloud.read(x.shownSet()).colours)")
    kept = np.array(shown).reshape(-1, 4)[:, 3] == 255
    np.testing.assert_array_equal(kept, scores >= np.float32(0.4))

    draw_box(page)
    rows = sorted(run(page, "return Array.from(x.selection.numbers)"))
    assert len(rows) > 20
    _browser.run_cell(page, 3)
    assert text_of(page, "selected").startswith(f"selected {len(rows)} {rows[:3]}")


def test_keyframes_of_many_megabytes_arrive(page):
    """Jupyter drops messages that are as large; widgets are not limited."""
    _browser.run_cell(page, 4)
    last = "([...document.querySelectorAll('.kx')].at(-1).explorer || {})"
    page.wait_for_function(f"() => {last}.setup?.keyframes.length === 3 && {last}.frames > 0")
    for index in (1, 2):
        page.evaluate(f"() => {last}.change({{keyframe: {index}}})")
        page.wait_for_function(f"() => {last}.data.keyframe === {index}", timeout=30_000)
        size = page.evaluate(f"() => {last}.data.arrays.position.buffer.byteLength")
        assert size > 10e6


def test_a_cell_that_runs_again_closes_what_it_made(page):
    for _ in range(3):
        _browser.run_cell(page, 0)
    wait(page, "return x.frames > 0")
    _browser.run_cell(page, 5)
    assert text_of(page, "open") == "open 2 1"  # x and big, and a keyframe of big
    assert page.evaluate("() => document.querySelectorAll('.kx').length") == 2
    living = "() => globalThis[Symbol.for('kit.explorers')].length"
    assert page.evaluate(living) <= 2


def test_the_theme_is_jupyterlabs(page):
    assert run(page, "return x.root.dataset.theme") == "light"
    page.evaluate("() => { document.body.dataset.jpThemeLight = 'false'; }")
    wait(page, "return x.root.dataset.theme === 'dark'")
    page.evaluate("() => { document.body.dataset.jpThemeLight = 'true'; }")
    wait(page, "return x.root.dataset.theme === 'light'")
