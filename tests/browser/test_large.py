"""A large cloud, which comes, is coloured and is drawn in parts: here 6,000 points in three."""

import explorer_scene as scene
import numpy as np
import pytest

PARTS = "const done = () => new Promise((next) => setTimeout(next, 10));"
QUIET = """() => {
  const x = document.querySelector('.kx').explorer;
  return x.cloud.rested && !x.background.running && !x.waiting && !x.moving;
}"""


@pytest.fixture(scope="module")
def large(save_and_open, tmp_path_factory):
    """All of it drawn; the tests share it and leave it at rest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kit.show.explorer.order.LARGE", 5_000)
        patch.setattr("kit.show.explorer.order.PART", 2_048)
        made = scene.explorer(count=6_000, mode="similarity", feature_set="distilled")
        page = save_and_open(made, tmp_path_factory.mktemp("large") / "page.html")
    page.page.wait_for_function(QUIET)
    yield page
    page.page.close()


def settled(page, **changes):
    """Change the state, and wait until nothing is left to do."""
    page.run("x.change(given)", changes)
    page.page.wait_for_function(QUIET)


def index_of(page) -> np.ndarray:
    return np.array(page.run("return Array.from(x.data.arrays.index)"))


def test_it_comes_in_parts_and_logs_no_error(large):
    assert large.errors == []
    parts = large.run("return [x.data.even, x.cloud.part, x.cloud.count, x.cloud.ready]")
    assert parts == [True, 2048, 6000, 6000]
    assert sorted(index_of(large)) == list(range(6000))


@pytest.mark.parametrize("mode", ["height", "features", "similarity"])
def test_every_point_has_the_colour_numpy_computes_whether_it_was_drawn_or_not(large, mode):
    index = index_of(large)
    settled(large, mode=mode, picked=[300], hidden_classes=[10])
    reference, rows = large.reference()
    colours = np.empty((6000, 4), dtype=int)
    colours[index] = large.colours()
    np.testing.assert_array_equal(np.flatnonzero(colours[:, 3]), rows)
    apart = np.abs(colours[rows, :3] - reference.astype(int)).max(1)
    assert (apart <= 5).mean() > 0.97 and apart.max() <= 24
    settled(large, hidden_classes=[], picked=[])


def test_a_click_shows_its_colours_first_in_a_part_and_then_in_all(large):
    settled(large, mode="similarity", picked=[])
    code = """%s return (async () => {
      x.change({ picked: [given] });
      const counts = [x.cloud.panels.get(x.shownSet()).coloured];
      while (x.background.running) {
        await done();
        counts.push(x.cloud.panels.get(x.shownSet()).coloured);
      }
      return counts; })()"""
    counts = large.run(code % PARTS, 300)
    assert counts[0] == 2048 and counts[-1] == 6000
    score, _ = large.explorer.similarity("distilled") if large.reference() else None
    assert np.abs(large.scores() - score[index_of(large)]).max() < 0.1
    low, high = large.run("return x.limits")
    expected = np.percentile(large.scores(), [50, 99.8])
    assert [low, high] == pytest.approx(expected, abs=0.01)


def test_a_click_scores_each_point_once_and_colours_only_the_first_part_twice(large):
    settled(large, mode="similarity", picked=[])
    code = """const own = x.cloud.compute, done = { scores: 0, colours: 0 };
      x.cloud.compute = (number, job, task) => {
        for (const what of ["scores", "colours"]) if (task[what]) done[what] += task.to - task.from;
        own.call(x.cloud, number, job, task);
      };
      x.change({ picked: [given] });
      window.done = done;"""
    large.run(code, 300)
    large.page.wait_for_function(QUIET)
    assert large.run("delete x.cloud.compute; return window.done") == {
        "scores": 6000,
        "colours": 6000 + 2048,
    }


def test_the_picture_at_rest_is_that_of_all_points_at_once(large):
    settled(large, mode="labels", picked=[])
    read = """
      const { gl, canvas } = x.cloud;
      const shot = () => {
        const pixels = new Uint8Array(4 * canvas.width * canvas.height);
        gl.readPixels(0, 0, canvas.width, canvas.height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
        return pixels;
      };
      const drawn = (ratio) => {
        x.cloud.draw(x.panels, x.state.view, { ...x.style(), shapes: x.shapes() }, ratio);
        return shot();
      };
      x.draw();
      const parts = shot();
      const differ = (other) => parts.filter((value, i) => value !== other[i]).length;
      return [differ(drawn(1)), differ(drawn(0.1))];"""
    whole, few = large.run(read)
    assert whole == 0 and few > 1000


def test_work_in_the_background_leaves_the_picture_on_the_screen(large):
    settled(large, mode="height", picked=[])
    clip = large.page.locator(".kx-cloud").bounding_box()
    before = large.page.screenshot(clip=clip)
    large.run("x.cloud.panels.get(x.shownSet()).coloured = 0")
    for _ in range(3):
        large.run("x.cloud.advance(x.shownSet())")
        large.page.wait_for_timeout(60)
        assert large.page.screenshot(clip=clip) == before
    large.page.wait_for_function(QUIET)


def test_points_are_picked_without_the_gpu_also_those_that_are_not_drawn(large):
    settled(large, mode="height", picked=[])
    index = index_of(large)
    large.run("x.drawnRatio = 0.05")
    uv, depth = large.places()
    box = large.page.locator(".kx-cloud").bounding_box()
    late = index[3000:]  # numbers from 3,000 on: these points are not drawn
    inner = (uv[late] > [box["x"] + 260, box["y"] + 40]).all(1) & (depth[late] > 0)
    inner &= (uv[late] < [box["x"] + box["width"] - 60, box["y"] + box["height"] - 40]).all(1)
    far = np.linalg.norm(uv[late[inner], None] - uv, axis=2)  # to all points
    alone = np.sort(far, axis=1)[:, 1] > 12
    last = late[inner][alone][:3]
    assert len(last) == 3
    for point in last:
        large.page.mouse.click(*uv[point])
        assert large.state("picked") == [point]
    large.page.wait_for_function(QUIET)


def test_a_lasso_takes_all_points(large):
    code = """x.setLasso(true);
      const [panel] = x.panels, [w, h] = [panel.width, panel.height];
      x.selection.ofLasso([[0, 0], [w, 0], [w, h], [0, h]], panel);
      x.setLasso(false);
      return x.selection.numbers.size"""
    uv, depth = large.places()
    box = large.page.locator(".kx-cloud").bounding_box()
    low = np.array([box["x"], box["y"]])
    inside = (depth > 0.2) & (uv > low).all(1) & (uv < low + [box["width"], box["height"]]).all(1)
    assert abs(large.run(code) - inside.sum()) <= 2
    large.run("x.select(new Int32Array(0), 'cloud')")
    large.page.wait_for_function(QUIET)


def reload(page, code: str):
    """Send the points again with other limits of the GPU."""
    page.run(code + "; x.cloud.load(x.data); x.loadCloud(); x.refresh(['mode'])")
    page.page.wait_for_function(QUIET)


def test_features_have_the_same_colours_in_wider_textures(large):
    settled(large, mode="features", side_by_side=True)
    before = [large.colours(number) for number in range(3)]
    reload(large, "x.cloud.leastWidth = 64")
    assert large.run("return x.cloud.widths[2]") > 64
    for number, colours in enumerate(before):
        np.testing.assert_array_equal(large.colours(number), colours)
    reload(large, "x.cloud.leastWidth = 2048")
    settled(large, side_by_side=False)


def test_features_without_a_texture_are_named_and_other_modes_go_on(large):
    settled(large, mode="similarity", picked=[300], side_by_side=False)
    reload(large, "x.most = x.cloud.mostTexels; x.cloud.mostTexels = 100")
    assert "too large for this graphics card" in large.page.locator(".kx-hint").inner_text()
    settled(large, mode="height")
    assert large.page.locator(".kx-hint").inner_text() == "" and large.errors == []
    reload(large, "x.cloud.mostTexels = x.most")
    settled(large, mode="similarity", picked=[])
