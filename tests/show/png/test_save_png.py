import copy
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import plotly.io
import pytest
import torch
from explorer_scene import bare
from PIL import Image

from kit import show
from kit.ablate.table import AblationTable
from kit.data.classes import NUSCENES
from kit.show import theme
from kit.show.figures.render import figure_of, picture_of
from kit.show.picture import Picture
from kit.show.png.render import to_png
from kit.show.png.render_scene import draw_scene
from kit.show.scene import Cloud


def pixels_of(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def scan(count: int = 500) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, 3, generator=generator) * torch.tensor([20.0, 20.0, 1.0])


def ablated() -> AblationTable:
    """Three seeds of two settings."""
    rows = [
        {"loss": loss, "seed": seed, "is_base": loss == "l2", "miou": 0.3 + 0.1 * (loss == "l2")}
        for loss in ("l2", "cosine")
        for seed in range(3)
    ]
    return AblationTable(rows, ("loss",))


def make_figures() -> dict[str, go.Figure]:
    frame = bare(scan())
    points = frame.points
    feat = torch.randn(500, 8, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(500) % 16
    image = torch.rand(3, 60, 100, generator=torch.Generator().manual_seed(2))
    basis = show.fit_basis(feat)
    history = [{"step": i, "loss": 1 / (i + 1), "lr": 0.1} for i in range(60)]
    iou = {"car": 0.5, "road": 0.2, "bus": None}
    return {
        "points": show.points(points, title="points"),
        "points_from_above": show.points_from_above(points),
        "side_by_side": show.side_by_side({"a": (points, feat[:, 0]), "b": (points, feat[:, 1])}),
        "feature_pca": show.feature_pca(frame, {"teacher": feat, "random": feat.flip(0)}),
        "similarity": show.similarity(frame, {"a": feat, "b": feat.flip(0)}, 3),
        "labels": show.labels(points, labels, NUSCENES),
        "errors": show.errors(points, labels.flip(0), labels, NUSCENES),
        "overlay": show.overlay(image, torch.rand(50, 2) * 60, torch.rand(50)),
        "feature_image": show.feature_image(torch.randn(8, 4, 6), basis, image),
        "image_grid": show.image_grid({"A": image, "B": image}),
        "loss_curve": show.loss_curve(history, "loss"),
        "curves": show.curves({"a": {"x": 1.0, "y": 3.0}, "b": {"x": 2.0, "y": 2.5}}, [0.1, 10.0]),
        "iou_bars": show.iou_bars({"teacher": {"miou": 0.35, "iou": iou}}),
        "superpixels": show.superpixels(image, {"grid": torch.arange(60).reshape(6, 10)}),
        "ablation": show.ablation(ablated()),
    }


def scene_of(figure: go.Figure):
    return picture_of(figure).panels[0]


@pytest.fixture(scope="module")
def figures() -> dict[str, go.Figure]:
    return make_figures()


NO_FIGURES = ("Explorer", "PcaBasis", "Steps", "fit_basis", "link", "save_png")
KINDS = [name for name in show.__all__ if name not in NO_FIGURES]


def test_a_logarithmic_axis_is_logarithmic_in_the_png_too():
    values = {"a": 1.0, "b": 2.0, "c": 3.0}
    columns = []
    for log_x in (True, False):
        picture = picture_of(show.curves({"one": values}, [1.0, 10.0, 100.0], log_x=log_x))
        (chart,) = picture.panels
        line, _ = chart.marks
        chart = replace(chart, marks=(replace(line, marker=16, width=0),))
        pixels = pixels_of(to_png(figure_of(replace(picture, panels=(chart,))), 600, 400))
        blue = np.abs(pixels - theme.rgb_of(theme.SERIES[0])).sum(2) < 40
        at = np.flatnonzero(blue[40:].any(0))  # below the legend
        groups = np.split(at, np.flatnonzero(np.diff(at) > 3) + 1)
        columns.append([group.mean() for group in groups])
    (low, middle, high), linear = columns
    assert middle == pytest.approx((low + high) / 2, abs=2)
    assert linear[1] - linear[0] < 0.2 * (linear[2] - linear[0])


@pytest.mark.parametrize("name", KINDS)
def test_every_picture_has_a_png_of_its_size_with_something_on_it(name, figures, tmp_path):
    path = tmp_path / "new folder" / f"{name}.png"
    assert show.save_png(figures[name], path, width=640, height=400) == path
    pixels = pixels_of(path.read_bytes())
    assert pixels.shape == (400, 640, 3)
    drawn = (pixels < 250).any(-1)
    assert drawn[90:].mean() > 0.003  # below title and legend
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20


def test_the_same_figure_gives_the_same_bytes(figures):
    again = show.points(scan(), title="points")
    assert to_png(again, 300, 200) == to_png(figures["points"], 300, 200)


def test_a_point_of_the_figure_lands_where_the_scenes_camera_puts_it():
    points = torch.cat([torch.tensor([[6.0, 10.0, 1.0]]), scan()])
    rgb = torch.full((501, 3), 200, dtype=torch.uint8)
    rgb[0] = torch.tensor([255, 0, 0])
    figure = show.points(points, rgb, size=6)
    scene = figure.layout.scene
    # The camera by hand, in half box widths: look-at axes, 45 degrees from low to high.
    middle = [(r[0] + r[1]) / 2 for r in (scene.xaxis.range, scene.yaxis.range, scene.zaxis.range)]
    half = (scene.xaxis.range[1] - scene.xaxis.range[0]) / 2
    point = (np.array([6.0, 10.0, 1.0]) - middle) / half
    eye = np.array([scene.camera.eye[a] for a in "xyz"])
    centre = np.array([scene.camera.center[a] for a in "xyz"])
    ahead = (centre - eye) / np.linalg.norm(centre - eye)
    right = np.cross(ahead, [0, 0, 1])
    right /= np.linalg.norm(right)
    x, y, z = ((point - eye) @ axis for axis in (right, np.cross(right, ahead), ahead))
    focal = 300 / 2 / np.tan(np.radians(45 / 2))
    expected = np.array([400 / 2 + focal * x / z, 300 / 2 - focal * y / z])

    pixels, _ = draw_scene(scene_of(figure), (300, 400))
    red = np.argwhere((pixels[..., 0] > 200) & (pixels[..., 1] < 100))[:, ::-1] + 0.5
    assert len(red) > 20
    np.testing.assert_allclose(red.mean(0), expected, atol=0.7)


def test_points_beyond_the_box_are_cut_off_as_plotly_does():
    inside = scene_of(show.points(scan(), torch.zeros(500, 3, dtype=torch.uint8), limit=50))
    beyond = torch.cat([scan(), torch.tensor([[0.0, 70.0, 0.0]])])
    more = scene_of(show.points(beyond, torch.zeros(501, 3, dtype=torch.uint8), limit=50))
    more = replace(more, box=inside.box, view=inside.view)
    first, second = (draw_scene(scene, (200, 300))[0] for scene in (inside, more))
    assert (first != 255).any() and np.array_equal(first, second)


def test_a_nearer_cloud_hides_a_farther_one_whatever_the_order():
    tall = torch.cat([scan(), scan() + torch.tensor([0.0, 0.0, 60.0])])
    scene = scene_of(show.points(tall, torch.full((1000, 3), 220, dtype=torch.uint8)))
    view, more = scene.view, []
    for ratio, colour in ((0.8, "#ff0000"), (0.95, "#0000ff")):  # of the way to the centre
        place = view.eye + ratio * (view.centre - view.eye)
        more.append(Cloud(place[None], colour, 20, np.zeros(1, dtype=np.int64)))
    for clouds in ((*scene.clouds, *more), (*more[::-1], *scene.clouds)):
        pixels, _ = draw_scene(replace(scene, clouds=clouds), (200, 300))
        assert pixels[100, 150].tolist() == [255, 0, 0]


def test_bars_stand_at_their_height():
    results = {"a": {"miou": 0.5, "iou": {"car": 0.75, "road": 0.25}}}
    figure = show.iou_bars(results)
    pixels = pixels_of(to_png(figure, 800, 500))
    colour = [int(figure.data[0].marker.color[i : i + 2], 16) for i in (1, 3, 5)]
    bar = (np.abs(pixels - colour).sum(-1) < 30)[120:]  # below the legend's sign
    heights = bar.sum(0)
    plot = 500 - figure.layout.margin.t - figure.layout.margin.b
    tall = heights[heights > 0.6 * plot]
    low = heights[(heights > 0) & (heights < 0.5 * plot)]
    np.testing.assert_allclose(np.median(tall), 0.75 * plot, atol=2)
    np.testing.assert_allclose(np.median(low), 0.25 * plot, atol=2)


def test_bars_of_two_results_stand_beside_each_other():
    names = ("a", "b")
    figure = show.iou_bars({n: {"miou": 0.5, "iou": {"car": 0.5, "road": 0.4}} for n in names})
    pixels = pixels_of(to_png(figure, 800, 500))[120:]
    columns = []
    for bar in figure.data:
        colour = [int(bar.marker.color[i : i + 2], 16) for i in (1, 3, 5)]
        columns.append(set(np.flatnonzero((np.abs(pixels - colour).sum(-1) < 30).sum(0) > 50)))
    assert min(len(found) for found in columns) > 100 and not columns[0] & columns[1]


def test_an_overlay_puts_the_point_on_its_pixel():
    image = torch.full((3, 100, 200), 1.0)
    figure = show.overlay(
        image, torch.tensor([[50.0, 75.0]]), torch.tensor([[255, 0, 0]], dtype=torch.uint8), size=9
    )
    assert (figure.layout.margin.l, figure.layout.margin.t) == (14, 38)
    pixels = pixels_of(to_png(figure, 400 + 2 * 14, 200 + 38 + 14))
    # The plot area is 400 x 200 pixels at (14, 38): two pixels for each of the image.
    red = np.argwhere((pixels[..., 0] > 200) & (pixels[..., 1] < 60))[:, ::-1]
    np.testing.assert_allclose(red.mean(0) + 0.5, [14 + 2 * 50, 38 + 2 * 75], atol=1)


@pytest.mark.parametrize("size", [(900, 300), (400, 700)])
def test_an_image_keeps_its_proportions_in_a_png_of_any_shape(size):
    figure = show.image_grid({"one": torch.zeros(3, 100, 200)}, columns=1)
    black = (pixels_of(to_png(figure, *size)) == 0).all(-1)
    rows, columns = black.sum(0).max(), black.sum(1).max()
    assert columns / rows == pytest.approx(2, rel=0.02)


def test_scales_are_interpolated_between_their_stops():
    values = np.array([-5.0, 0.0, 1.0, 3.0, 4.0, 9.0])
    colours = theme.on_scale(values, ("#000000", "#0000ff", "#ff00ff"), 0, 4)
    assert colours[:, 0].tolist() == [0, 0, 0, 128, 255, 255]
    assert colours[:, 2].tolist() == [0, 0, 128, 255, 255, 255]


def test_a_figure_that_kit_show_did_not_make_is_named(figures, tmp_path):
    read_back = plotly.io.from_json(figures["curves"].to_json())
    for foreign in (go.Figure(go.Pie(values=[1, 2])), read_back, copy.deepcopy(figures["curves"])):
        with pytest.raises(
            ValueError, match="figures that functions of kit.show return.*write_html"
        ):
            show.save_png(foreign, tmp_path / "foreign.png")
    with pytest.raises(ValueError, match="100 x 100"):
        to_png(figures["curves"], 50, 300)


def test_a_figure_that_was_changed_is_drawn_as_it_was_made_with_a_warning(recwarn):
    figure = show.points(scan(), title="one")
    before = to_png(figure, 300, 200)
    assert not recwarn.list
    figure.update_layout(title_text="two")
    with pytest.warns(UserWarning, match="changed after kit.show made it"):
        assert to_png(figure, 300, 200) == before


def test_a_description_knows_no_drawing_library():
    for name in ("picture", "scene", "chart", "theme"):
        source = (Path(show.__file__).parent / f"{name}.py").read_text()
        assert "import plotly" not in source and "import matplotlib" not in source
    assert isinstance(picture_of(show.points(scan())), Picture)
