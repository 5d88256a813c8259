"""A saved page in Chromium, compared with numpy: clicks, colours, images, text from data."""

import explorer_scene as scene
import numpy as np
import pytest
import torch

MODES = (
    "height intensity colour features similarity labels predictions errors agreement foreground car"
)


def expected(shown, picked, negatives=(), name="distilled", cosine="centred"):
    asked = {"picked": picked, "negatives": negatives}
    for trait, rows in asked.items():
        shown.explorer.set_trait(trait, [int(row) for row in rows])
    shown.explorer.cosine, shown.explorer.keyframe = cosine, 0
    return shown.explorer.similarity(name)


def close(shown, name="distilled") -> float:
    """The largest error of a cosine that quantisation explains, from its measured percentile."""
    return 2.5 * shown.explorer.content.quantisers[name].error_99


def agrees(shown, picture, reference, most=3):
    """Whether colours agree up to rounding, but for a few that quantisation changes more."""
    apart = np.abs(picture.astype(int) - reference.astype(int)).max(1)
    return (apart <= most).mean() > 0.97 and apart.max() <= 24


def test_it_needs_no_other_file_and_logs_no_error(shown):
    assert shown.requests == [shown.path.as_uri()]
    assert shown.errors == []
    assert shown.page.title() == "a scene"
    policy = shown.page.locator("meta[http-equiv=Content-Security-Policy]").get_attribute("content")
    assert policy.startswith("default-src 'none'; script-src 'sha256-") and "unsafe" not in policy


def test_a_click_picks_the_point_numpy_expects(shown):
    alone = shown.alone()
    assert len(alone) > 15
    for row in alone[:: len(alone) // 6]:
        shown.click(row)
        assert shown.state("picked") == [row]
        assert shown.page.locator(".kx-status").inner_text().startswith(f"point {row} ")


@pytest.mark.parametrize("cosine", ["centred", "plain"])
def test_colours_of_ten_others_are_the_cosine_to_the_picked_one(shown, cosine):
    shown.change(cosine=cosine)
    row = shown.alone()[3]
    shown.click(row)
    cosines, has = expected(shown, [row], cosine=cosine)
    others = shown.alone()[5:15]
    assert has[others].all() and np.ptp(cosines[others]) > 0.1
    assert shown.scores()[row] == pytest.approx(1, abs=0.01)
    error = np.abs(shown.scores() - cosines)
    assert error[others].max() < close(shown) and np.median(error) < close(shown) / 3
    reference, _ = shown.reference()
    assert np.abs(shown.colours()[others, :3].astype(int) - reference[others]).max() <= 8


def test_the_picture_shows_these_colours(shown, tmp_path):
    from PIL import Image

    shown.change(point_size=3.0)
    alone = shown.alone()
    shown.click(alone[3])
    shown.page.mouse.move(2, 2)
    shown.page.wait_for_timeout(150)
    file = tmp_path / "picture.png"
    shown.page.screenshot(path=file)
    pixels = np.asarray(Image.open(file).convert("RGB")).astype(int)
    uv, _ = shown.places()
    for row in alone[5:15]:
        column, line = uv[row].astype(int)
        assert np.abs(pixels[line, column] - shown.colours()[row, :3]).max() <= 1
    shown.change(point_size=1.0)


def test_shift_adds_and_alt_adds_a_negative(shown):
    first, second, third = shown.alone()[[2, 7, 11]]
    shown.click(first)
    shown.click(second, "Shift")
    assert shown.state("picked") == [first, second] and shown.state("negatives") == []
    score, _ = expected(shown, [first, second])
    assert np.abs(shown.scores() - score).max() < close(shown)
    shown.click(third, "Alt")
    assert shown.state("picked") == [first, second] and shown.state("negatives") == [third]
    score, _ = expected(shown, [first, second], [third])
    assert np.abs(shown.scores() - score).max() < 2 * close(shown)
    shown.click(second, "Shift")
    assert shown.state("picked") == [first]
    shown.click(second)
    assert shown.state("picked") == [second] and shown.state("negatives") == []


def test_a_drag_turns_and_picks_nothing(shown):
    uv, _ = shown.places()
    start = uv[shown.alone()[4]]
    before = shown.state("view")
    shown.page.mouse.move(*start)
    shown.page.mouse.down()
    shown.page.mouse.move(start[0] + 60, start[1] + 20, steps=4)
    shown.page.mouse.up()
    shown.wait()
    after = shown.state("view")
    assert shown.state("picked") == []
    assert after["azimuth"] == pytest.approx(before["azimuth"] + 60 * 0.35, abs=0.4)
    assert after["elevation"] > before["elevation"] and after["target"] == before["target"]
    row = shown.alone()[1]
    shown.click(row)  # numpy computes the places in the new view
    assert shown.state("picked") == [row]


@pytest.mark.parametrize("mode", MODES.split())
@pytest.mark.parametrize("name", ["teacher", "distilled"])
def test_every_mode_has_the_colours_numpy_computes(shown, mode, name):
    asked = [int(row) for row in (3, 300)]
    changes = dict(
        mode=mode,
        feature_set=name,
        picked=asked,
        negatives=[90],
        hidden_classes=[10],
        threshold=None,
    )
    shown.change(**changes)
    reference, rows = shown.reference()
    colours = shown.colours()
    np.testing.assert_array_equal(np.flatnonzero(colours[:, 3]), rows)
    exact = mode not in ("features", "similarity")
    assert agrees(shown, colours[rows, :3], reference, 1 if exact else 5)
    if exact:
        assert (colours[rows, :3] == reference).mean() > 0.999


def test_a_click_changes_the_mode_without_a_kernel(shown):
    for mode in ("labels", "height", "similarity"):
        shown.page.locator(f".kx-mode[data-mode={mode}]").click()
        shown.wait()
        assert shown.state("mode") == mode
    assert shown.requests == [shown.path.as_uri()]


def test_components_choose_the_colours(shown):
    shown.change(mode="features", components=[2, 0, 1])
    turned = shown.colours()
    shown.change(components=[0, 1, 2])
    np.testing.assert_array_equal(turned[:, [1, 2, 0]], shown.colours()[:, :3])


def test_points_below_the_threshold_turn_grey(shown):
    values = shown.explorer.content.scores["foreground"][0]
    shown.change(mode="foreground", threshold=0.4)
    assert ((shown.colours()[:, 3] == 255) == (values >= np.float32(0.4))).all()
    shown.page.locator(".kx-threshold").evaluate(
        "(node) => { node.value = 0.7; node.dispatchEvent(new Event('input')); }"
    )
    shown.wait()
    threshold = shown.state("threshold")
    assert threshold == pytest.approx(0.7, abs=0.01)
    assert ((shown.colours()[:, 3] == 255) == (values >= threshold)).all()
    shown.page.locator(".kx-mode[data-mode=car]").click()
    assert shown.state("threshold") is None  # another score, another scale
    shown.page.locator(".kx-mode[data-mode=foreground]").click()
    assert shown.state("threshold") == threshold


def test_the_legend_hides_a_class_and_clicks_go_through_it(shown):
    labels = shown.explorer.content.labels[0]
    shown.change(mode="labels", hidden_classes=[])
    row = next(row for row in shown.alone() if labels[row] == 10)
    shown.page.locator(".kx-class[data-label='10']").click()
    shown.wait()
    assert shown.state("hidden_classes") == [10]
    np.testing.assert_array_equal(shown.colours()[:, 3] == 0, labels == 10)
    shown.click(row)
    assert shown.state("picked") == []
    shown.page.locator(".kx-class[data-label='10']").click()
    shown.click(row)
    assert shown.state("picked") == [row]


def test_side_by_side_has_one_camera_and_each_set_its_own_cosines(shown):
    shown.change(side_by_side=True, picked=[300])
    for number, name in enumerate(("teacher", "random", "distilled")):
        score, has = expected(shown, [300], name=name)
        assert np.abs(shown.scores(number) - score)[has].max() < close(shown, name) + 0.05
        assert (shown.colours(number)[~has, 3] == 96).all()
    panels = shown.run("return x.panels.map(({x, width}) => [x, width])")
    assert len(panels) == 3 and max(width for _, width in panels) - min(w for _, w in panels) <= 1


def pixels_of(shown, camera):
    """Rows of the points a camera sees and their pixel (column, row), projected by numpy."""
    keyframe = shown.explorer.content.keyframes[0]
    sensor = keyframe.cameras[camera]
    homogeneous = np.c_[keyframe.points.numpy().astype(np.float64), np.ones(len(keyframe.points))]
    seen = (sensor.T_cam_lidar.numpy() @ homogeneous.T)[:3]
    uvw = sensor.K.numpy() @ seen
    uv = (uvw[:2] / uvw[2]).T
    height, width = sensor.image_size
    inside = (seen[2] > 1) & (uv > 0).all(1) & (uv < [width - 1, height - 1]).all(1)
    return np.flatnonzero(inside), uv[inside]


def on_page(shown, camera, uv):
    index = shown.run("return x.data.cameras.findIndex((camera) => camera.name === given)", camera)
    box = shown.page.locator(".kx-strip .kx-image").nth(index).bounding_box()
    width = shown.explorer.content.keyframes[0].cameras[camera].image_size[1]
    return uv * box["width"] / width + [box["x"], box["y"]]


def alone_in_image(rows, uv, margin=14):
    apart = np.linalg.norm(uv[:, None] - uv[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    inner = ((uv > 20) & (uv < [460, 220])).all(1)
    return [i for i in np.flatnonzero(inner & (apart.min(1) > margin))]


def test_a_click_in_an_image_picks_the_point_of_that_pixel(shown):
    rows, uv = pixels_of(shown, "CAM_RIGHT")
    for i in alone_in_image(rows, uv)[:4]:
        shown.page.mouse.click(*on_page(shown, "CAM_RIGHT", uv[i]))
        shown.wait()
        assert shown.state("picked") == [rows[i]]


def test_hovering_a_pixel_marks_its_points_in_the_cloud(shown):
    rows, uv = pixels_of(shown, "CAM_FRONT")
    i = alone_in_image(rows, uv)[2]
    shown.page.mouse.move(*on_page(shown, "CAM_FRONT", uv[i]))
    shown.wait()
    assert rows[i] in shown.run("return x.hovered")
    marks = shown.run("return x.marks()")
    assert {"point": int(rows[i]), "kind": "hover"} in marks


def test_hovering_a_point_marks_its_pixel(shown):
    rows, uv = pixels_of(shown, "CAM_FRONT")
    row = next(row for row in shown.alone() if row in rows)
    places, _ = shown.places()
    shown.page.mouse.move(*places[row])
    shown.page.wait_for_function(
        "() => document.querySelector('.kx').explorer.hovered.length === 1"
    )
    assert shown.run("return x.hovered") == [row]
    stored = shown.run(
        "const p = x.pictures.find((each) => each.camera.name === 'CAM_FRONT').pairs;"
        "const i = p.point.indexOf(given); return [p.uv[2 * i] / 65535, p.uv[2 * i + 1] / 65535]",
        int(row),
    )
    place = uv[list(rows).index(row)] / [480, 240]
    assert stored == pytest.approx(place, abs=1e-4)


def test_a_ring_is_drawn_at_the_picked_pixel(shown):
    rows, uv = pixels_of(shown, "CAM_FRONT")
    row = next(row for row in shown.alone() if row in rows)
    column, line = on_page(shown, "CAM_FRONT", uv[list(rows).index(row)])

    def patch():
        clip = {"x": column - 12, "y": line - 12, "width": 24, "height": 24}
        return shown.page.screenshot(clip=clip)

    shown.change(mode="colour")
    before = patch()
    shown.change(picked=[int(row)])
    shown.page.wait_for_timeout(100)
    assert patch() != before


def test_a_box_in_an_image_selects_what_falls_into_it(shown):
    rows, uv = pixels_of(shown, "CAM_FRONT")
    low, high = np.array([150.0, 60.0]), np.array([300.0, 150.0])
    start, end = on_page(shown, "CAM_FRONT", np.stack([low, high]))
    shown.page.mouse.move(*start)
    shown.page.mouse.down()
    shown.page.mouse.move(*end, steps=3)
    shown.page.mouse.up()
    shown.wait()
    front = set(shown.run("return Array.from(x.selection.numbers)"))
    shown.page.get_by_role("button", name="through").click()
    shown.wait()
    chosen = set(shown.run("return Array.from(x.selection.numbers)"))
    assert front < chosen  # at first only points that nothing hides, of about one depth
    slack = 2.5  # the pointer stops at whole pixels of a smaller picture
    sure = set(rows[((uv > low + slack) & (uv < high - slack)).all(1)])
    possible = set(rows[((uv > low - slack) & (uv < high + slack)).all(1)])
    assert len(sure) > 10 and sure <= chosen <= possible
    assert shown.state("picked") == []


def test_the_view_can_be_set(shown):
    """Changes of the model have the same effect as changes from a kernel."""
    shown.run("x.change({view: {...x.state.view, elevation: 90, azimuth: 30}})")
    shown.wait()
    row = shown.alone()[0]
    shown.click(row)
    assert shown.state("picked") == [row]


def test_names_from_data_are_shown_as_text(open_page):
    names = (scene.HOSTILE, "CAM <b>FRONT</b>")
    hostile = scene.explorer(names=names, scores={scene.HOSTILE: np.zeros(900, np.float32) + 0.5})
    page = open_page(hostile)
    assert page.page.title() == "a scene" and page.errors == []
    assert page.page.locator("img").count() == 0 and page.page.locator(".kx b").count() == 0
    shown_names = page.page.locator("figcaption").all_inner_texts()
    assert any("onerror" in name for name in shown_names)
    assert scene.HOSTILE in page.page.locator(".kx-mode").all_inner_texts()
    page.page.locator(".kx-mode").last.click()
    page.wait()
    assert page.page.title() == "a scene" and page.errors == []


def test_the_slider_goes_through_the_keyframes_and_the_picked_point_stays(open_page):
    sequence = scene.explorer(num_keyframes=2)
    sequence.mode, sequence.feature_set, sequence.picked = "similarity", "distilled", [300]
    page = open_page(sequence, keyframes=[0, 1])
    page.drag_slider(".kx-keyframes input", 1)
    page.page.wait_for_function("() => document.querySelector('.kx').explorer.data.keyframe === 1")
    page.wait()
    reference, _ = page.reference()
    assert agrees(page, page.colours()[:, :3], reference, 8)
    row = page.alone()[0]
    page.click(row)
    assert page.state("picked") == [row] and page.state("picked_in") == 1


def test_an_image_with_a_feature_map_is_coloured_cell_by_cell(open_page):
    generator = torch.Generator().manual_seed(5)
    frame = scene.keyframe()
    teacher = scene.features(frame, 1)
    cells_feat = teacher[torch.randint(900, (6 * 12,), generator=generator)].T.reshape(48, 6, 12)
    explorer = scene.explorer(features={"teacher": teacher}, feature_maps={"CAM_FRONT": cells_feat})
    page = open_page(explorer)
    page.change(mode="similarity", picked=[300], similarity_range="fixed")
    explorer.picked = [300]
    code = (
        "const {canvas} = x.mapColours(x.data.cameras[0]);"
        "return Array.from(canvas.getContext('2d').getImageData(0, 0, 12, 6).data)"
    )
    cells = np.array(page.run(code), dtype=np.uint8).reshape(6, 12, 4)
    mean = explorer.content.quantisers["teacher"].mean
    rows = torch.nn.functional.normalize(cells_feat.flatten(1).T, dim=1) - mean
    asked = torch.nn.functional.normalize(teacher[300], dim=0) - mean
    cosine = torch.nn.functional.cosine_similarity(rows, asked[None]).numpy()
    low = explorer.setup["similarity_low"]["centred"]
    ratio = ((cosine - low) / (1 - low)).clip(0, 1).reshape(6, 12)
    np.testing.assert_allclose(cells[..., 3] / 255, 0.35 + 0.65 * ratio, atol=0.03)
    order = np.argsort(ratio.ravel())
    assert cells.reshape(-1, 4)[order[-1], 0] > cells.reshape(-1, 4)[order[0], 0]  # red, not blue
    assert page.run("return x.mapColours(x.data.cameras[1])") is None


def test_a_page_of_many_points_is_small_and_close_to_the_notebook(open_page, tmp_path):
    explorer = scene.explorer(count=24_000, boxes=True)
    exact = explorer.save(tmp_path / "exact.html", exact=True).stat().st_size
    shown = open_page(explorer)
    assert shown.path.stat().st_size < 0.55 * exact and shown.errors == []
    frame = explorer.content.keyframes[0]
    position = np.array(shown.run("return Array.from(x.data.arrays.position)")).reshape(-1, 3)
    np.testing.assert_allclose(position, frame.points.numpy(), atol=0.006)
    pairs = shown.run("return Array.from(x.data.arrays['pairs/0/point'].slice(0, 500))")
    assert pairs == sorted(pairs) and len(set(pairs)) == 500
    for mode in ("height", "labels", "features", "foreground", "agreement"):
        shown.change(mode=mode, feature_set="distilled")
        reference, rows = shown.reference()
        off = np.abs(shown.colours()[rows, :3].astype(int) - reference.astype(int)).max(1)
        assert np.median(off) <= 6 and (off > 40).mean() < 0.02
    shown.change(mode="similarity", picked=[300])
    cosines, has = expected(shown, [300])
    told = shown.run("return x.setup.sets[2].error_99")
    assert np.percentile(np.abs(shown.scores() - cosines)[has], 99) < 2.5 * told < 0.25
