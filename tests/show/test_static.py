import io

import numpy as np
import plotly.graph_objects as go
import plotly.io
import pytest
import torch
from PIL import Image

from kit import show
from kit.data.classes import NUSCENES
from kit.show.png.static import to_png
from kit.show.png.static_scene import draw_scene, viewpoint_of
from kit.show.png.static_style import array_of, on_scale


def pixels_of(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def scan(count: int = 500) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, 3, generator=generator) * torch.tensor([20.0, 20.0, 1.0])


def make_figures() -> dict[str, go.Figure]:
    points = scan()
    feat = torch.randn(500, 8, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(500) % 16
    image = torch.rand(3, 60, 100, generator=torch.Generator().manual_seed(2))
    basis = show.fit_basis(feat)
    clouds = {"teacher": (points, feat), "random": (points, feat.flip(0))}
    history = [{"step": i, "loss": 1 / (i + 1), "lr": 0.1} for i in range(60)]
    iou = {"car": 0.5, "road": 0.2, "bus": None}
    return {
        "points": show.points(points, title="points"),
        "points_from_above": show.points_from_above(points),
        "side_by_side": show.side_by_side({"a": (points, feat[:, 0]), "b": (points, feat[:, 1])}),
        "feature_pca": show.feature_pca(clouds),
        "similarity": show.similarity(points, feat, 3),
        "similarity_side_by_side": show.similarity_side_by_side({"a": (points, feat, 3)}),
        "labels": show.labels(points, labels, NUSCENES),
        "errors": show.errors(points, labels.flip(0), labels, NUSCENES),
        "overlay": show.overlay(image, torch.rand(50, 2) * 60, torch.rand(50)),
        "feature_image": show.feature_image(torch.randn(8, 4, 6), basis, image),
        "image_grid": show.image_grid({"A": image, "B": image}),
        "loss_curve": show.loss_curve(history, "loss"),
        "curves": show.curves({"a": {"x": 1.0, "y": 3.0}, "b": {"x": 2.0, "y": 2.5}}, [0.1, 10.0]),
        "iou_bars": show.iou_bars({"teacher": {"miou": 0.35, "iou": iou}}),
    }


@pytest.fixture(scope="module")
def figures() -> dict[str, go.Figure]:
    return make_figures()


NO_FIGURES = ("Explorer", "PcaBasis", "fit_basis", "save_png")
KINDS = [name for name in show.__all__ if name not in NO_FIGURES]


def test_a_logarithmic_axis_is_logarithmic_in_the_png_too():
    rows = {"a": 1.0, "b": 2.0, "c": 3.0}
    columns = []
    for log_x in (True, False):
        figure = show.curves({"one": rows}, [1.0, 10.0, 100.0], log_x=log_x)
        figure.update_traces(mode="markers", marker_size=16)
        pixels = pixels_of(to_png(figure, 600, 400))
        blue = np.abs(pixels - [0x3B, 0x6F, 0xB6]).sum(2) < 40
        at = np.flatnonzero(blue[98:].any(0))  # below the legend
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

    picture, _ = draw_scene(figure, "scene", (300, 400))
    red = np.argwhere((picture[..., 0] > 200) & (picture[..., 1] < 100))[:, ::-1] + 0.5
    assert len(red) > 20
    np.testing.assert_allclose(red.mean(0), expected, atol=0.7)


def test_points_beyond_the_box_are_cut_off_as_plotly_does():
    inside = show.points(scan(), torch.zeros(500, 3, dtype=torch.uint8), limit=50)
    beyond = torch.cat([scan(), torch.tensor([[0.0, 70.0, 0.0]])])
    more = show.points(beyond, torch.zeros(501, 3, dtype=torch.uint8), limit=50)
    more.update_layout(scene=inside.layout.scene)
    first, second = (draw_scene(f, "scene", (200, 300))[0] for f in (inside, more))
    assert (first != 255).any() and np.array_equal(first, second)


def test_a_nearer_trace_hides_a_farther_one_whatever_comes_first():
    tall = torch.cat([scan(), scan() + torch.tensor([0.0, 0.0, 60.0])])
    figure = show.points(tall, torch.full((1000, 3), 220, dtype=torch.uint8))
    view, _, _ = viewpoint_of(figure.layout.scene)
    for share, colour in ((0.8, "#ff0000"), (0.95, "#0000ff")):  # of the way to the centre
        place = view.eye + share * (view.centre - view.eye)
        x, y, z = ([float(value)] for value in place)
        marker = dict(size=20, color=colour)
        figure.add_trace(go.Scatter3d(x=x, y=y, z=z, mode="markers", marker=marker))
    picture, _ = draw_scene(figure, "scene", (200, 300))
    assert picture[100, 150].tolist() == [255, 0, 0]
    figure.data = figure.data[:-2] + (figure.data[-1], figure.data[-2])
    assert draw_scene(figure, "scene", (200, 300))[0][100, 150].tolist() == [255, 0, 0]


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
    pixels = pixels_of(to_png(figure, 440, 296))
    # The plot area is 400 x 200 pixels at (20, 76): two pixels for each of the image.
    red = np.argwhere((pixels[..., 0] > 200) & (pixels[..., 1] < 60))[:, ::-1]
    np.testing.assert_allclose(red.mean(0) + 0.5, [20 + 2 * 50, 76 + 2 * 75], atol=1)


def test_scales_are_interpolated_between_their_stops():
    scale = [[0, "#000000"], [0.5, "#0000ff"], [1, "#ff00ff"]]
    colours = on_scale(np.array([-5.0, 0.0, 1.0, 3.0, 4.0, 9.0]), scale, 0, 4)
    assert colours[:, 0].tolist() == [0, 0, 0, 128, 255, 255]
    assert colours[:, 2].tolist() == [0, 0, 128, 255, 255, 255]


def test_a_heatmap_is_drawn_and_a_pie_is_named():
    z = np.array([[0.0, 1.0], [1.0, 0.0]])
    scale = [[0, "#ffffff"], [1, "#ff0000"]]
    heat = go.Figure(go.Heatmap(z=z, zmin=0, zmax=1, colorscale=scale, x=["a", "b"], y=["a", "b"]))
    pixels = pixels_of(to_png(heat, 300, 300))
    assert (pixels == [255, 0, 0]).all(-1).mean() > 0.2
    with pytest.raises(ValueError, match="cannot draw a 'pie' trace.*scatter3d"):
        to_png(go.Figure(go.Pie(values=[1, 2])))
    with pytest.raises(ValueError, match="aspectmode='manual'"):
        to_png(go.Figure(go.Scatter3d(x=[1], y=[1], z=[1], mode="markers")))
    with pytest.raises(ValueError, match="100 x 100"):
        to_png(heat, 50, 300)


def test_a_figure_read_back_from_json_gives_the_same_picture(figures):
    figure = figures["points"]
    again = plotly.io.from_json(figure.to_json())
    assert to_png(again, 300, 200) == to_png(figure, 300, 200)
    coded = {"dtype": "f4", "bdata": "AACAPwAAAEA=", "shape": "2"}
    assert array_of(coded).tolist() == [1.0, 2.0]
