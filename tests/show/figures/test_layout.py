"""Where things stand in a figure: nothing covers points, nothing is cut, no large gaps."""

import numpy as np
import pytest
import torch
from explorer_scene import bare

from kit import show
from kit.data.classes import NUSCENES
from kit.show.chart import Axis
from kit.show.figures.axes import axis_around, log_ticks, names_above
from kit.show.figures.render import picture_of
from kit.show.picture import text_width
from kit.show.png.render_scene import draw_scene

LETTER = 7.0  # pixels, a wide letter of a text 12 pixels high


def scan(count: int = 400) -> torch.Tensor:
    spread = torch.tensor([25.0, 25.0, 2.0])
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(0)) * spread


def image(height: int, width: int) -> torch.Tensor:
    return torch.zeros(3, height, width)


def panels(number: int):
    return show.side_by_side({f"panel {i}": (scan(), scan()[:, 0]) for i in range(number)})


def drawn_size(figure, trace, width: int = 900) -> tuple[float, float]:
    """Height and width in pixels of an image on a page of this width."""
    margin, axis = figure.layout.margin, trace.xaxis.removeprefix("x")
    across, up = (figure.layout[f"{name}axis{axis}"].domain for name in "xy")
    room = (width - margin.l - margin.r) * (across[1] - across[0])
    tall = (figure.layout.height - margin.t - margin.b) * (up[1] - up[0])
    limits = figure.layout[f"xaxis{axis}"].range, figure.layout[f"yaxis{axis}"].range
    columns, rows = limits[0][1], limits[1][0]
    zoom = min(room / columns, tall / rows)
    return rows * zoom, columns * zoom


def test_the_legend_of_classes_stands_beside_the_cloud():
    labels = torch.arange(400) % 16
    for figure in (
        show.labels(scan(), labels, NUSCENES),
        show.errors(scan(), labels.flip(0), labels, NUSCENES),
    ):
        legend, scene = figure.layout.legend, figure.layout.scene
        assert legend.xanchor == "left" and legend.x > scene.domain.x[1]
        names = {trace.name for trace in figure.data if trace.showlegend}
        # Width of the longest entry with its sign; without room plotly would shrink the cloud.
        assert figure.layout.margin.r >= 30 + 6.5 * max(map(len, names))


@pytest.mark.parametrize("count", [16, 7, 3])
def test_no_class_name_below_bars_is_cut(count):
    best_first = ("driveable_surface", *(n for n in NUSCENES.names if n != "driveable_surface"))
    iou = {name: 0.9 - 0.05 * i for i, name in enumerate(best_first[:count])}
    figure = show.iou_bars({"teacher": {"miou": 0.5, "iou": iou}})
    margin, tilt = figure.layout.margin, np.radians(-(figure.layout.xaxis.tickangle or 0))
    slot = (660 - margin.l - margin.r) / count
    for i, name in enumerate(figure.data[0].x):
        width = text_width(name, 12)
        if tilt == 0:
            assert width < slot
            continue
        assert width * np.cos(tilt) <= margin.l + (i + 0.5) * slot
        assert width * np.sin(tilt) + 15 <= margin.b


@pytest.mark.parametrize("limits", [(0.1, 9.0), (52, 460), (0.5, 3), (110, 190), (1e-3, 1e6)])
def test_a_logarithmic_axis_has_few_ticks_with_short_numbers(limits):
    ticks = log_ticks(*limits)
    assert 3 <= len(ticks) <= 7 and len(set(ticks)) == len(ticks)
    assert limits[0] <= min(ticks) and max(ticks) <= limits[1]
    assert all(len(f"{tick:g}") <= 6 for tick in ticks)
    assert log_ticks(0.1, 9.0) == (0.1, 0.2, 0.5, 1, 2, 5)


def test_the_ticks_of_curves_are_in_the_figure():
    values = {"wi-6-64": 30.0, "wi-12-128": 38.0, "minkunet-18": 41.0}
    axis = show.curves({"a": values}, [0.13, 0.57, 6.8], log_x=True).layout.xaxis
    assert axis.tickvals == (0.1, 0.2, 0.5, 1, 2, 5) and axis.ticktext[0] == "0.1"
    assert 10 ** axis.range[0] <= 0.1 and 10 ** axis.range[1] > 6.8
    with pytest.raises(ValueError, match="above 0, got 0"):
        show.curves({"a": values}, [0, 1, 2], log_x=True)


def test_names_of_places_cover_no_point_and_lie_within_the_figure():
    x, sizes = [0.13, 0.5, 0.57, 6.8], ("wi-6-64", "wi-12-128", "wi-24-128", "minkunet-18")
    series = {
        name: dict(zip(sizes, heights, strict=True))
        for name, heights in {"a": (30, 31, 35, 40), "b": (31, 33, 34, 39)}.items()
    }
    figure = show.curves(series, x, log_x=True)
    low, high = figure.layout.xaxis.range
    bottom, top = figure.layout.yaxis.range
    across = (660 - figure.layout.margin.l - figure.layout.margin.r) / (high - low)
    up = (figure.layout.height - figure.layout.margin.t - figure.layout.margin.b) / (top - bottom)
    boxes = []
    for note in figure.layout.annotations:
        middle, y = (note.x - low) * across, (note.y - bottom) * up + note.yshift
        boxes.append((middle, LETTER * len(note.text) / 2, y))
    for (middle, half, y), note in zip(boxes, figure.layout.annotations, strict=True):
        assert -figure.layout.margin.l < middle - half
        assert middle + half < 660 - figure.layout.margin.l, note.text
        for line in figure.data:
            for u, v in zip((np.log10(line.x) - low) * across, line.y, strict=True):
                inside = abs(u - middle) < half and y - 3 < (v - bottom) * up < y + 13
                assert not inside, note.text
    for i, (middle, half, y) in enumerate(boxes):
        for other, other_half, other_y in boxes[:i]:
            assert abs(y - other_y) >= 14 or abs(middle - other) >= half + other_half - 4


def test_one_place_and_a_place_without_a_value_get_an_axis():
    assert axis_around([3.0], "x").limits == pytest.approx((2.76, 3.24))
    assert axis_around([], "x") == Axis("x")
    axes = Axis(limits=(0, 1)), Axis(limits=(0, 1))
    assert names_above({"a": {"b": np.nan}}, {"b": 0.5}, *axes).texts == ()


@pytest.mark.parametrize(("height", "width"), [(448, 896), (300, 300), (900, 400)])
def test_images_fill_the_height_of_their_figure(height, width):
    picture, grid = image(height, width), {}
    for number in (1, 2, 4, 6):
        grid = {f"camera {i}": picture for i in range(number)}
        figure = show.image_grid(grid)
        margin = figure.layout.margin
        rows = -(-number // 3)
        tall, _ = drawn_size(figure, figure.data[0])
        plot = figure.layout.height - margin.t - margin.b
        assert plot == pytest.approx(rows * tall + (rows - 1) * 38, abs=2)
        assert margin.t <= 50  # no title: the names of the images only
    uv = torch.tensor([[5.0, 5.0]])
    for figure in (
        show.overlay(picture, uv, torch.ones(1)),
        show.feature_image(torch.rand(8, 4, 6), show.fit_basis(torch.randn(50, 8)), picture),
    ):
        margin = figure.layout.margin
        tall, wide = drawn_size(figure, figure.data[0])
        assert tall == pytest.approx(figure.layout.height - margin.t - margin.b, abs=1)
        assert tall == pytest.approx(800, abs=1) or wide > 0.45 * (900 - margin.l - margin.r)


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 7])
def test_panels_in_space_are_not_narrow(number):
    figure = panels(number)
    margin, used = figure.layout.margin, []
    plot = figure.layout.height - margin.t - margin.b
    for i in range(number):
        domain = figure.layout[f"scene{i + 1 if i else ''}"].domain
        used.append((round(domain.x[0], 3), round(domain.y[0], 3)))
        width = (900 - margin.l - margin.r) * (domain.x[1] - domain.x[0])
        height = plot * (domain.y[1] - domain.y[0])
        assert width >= 250 and height >= 280
        assert number == 1 or 0.8 < width / height < 1.3
    assert len(set(used)) == number


def test_the_name_of_a_panel_in_space_stands_above_it():
    feat = torch.randn(400, 8, generator=torch.Generator().manual_seed(0))
    one = show.feature_pca(bare(scan()), {"random weights, PCA basis of their own": feat})
    for figure, number in ((one, 1), (panels(3), 3), (panels(4), 4)):
        names = figure.layout.annotations
        assert len(names) == number
        for i, name in enumerate(names):
            domain = figure.layout[f"scene{i + 1 if i else ''}"].domain
            assert name.yanchor == "bottom" and name.y == domain.y[1]
            assert name.yshift + 18 <= 28  # room between rows, and in the margin
        title = 22 if figure.layout.title.subtitle.text else 0
        assert figure.layout.margin.t >= title + 28


@pytest.mark.parametrize("aspect", [0.4, 0.7, 1.0, 2.0])
def test_the_radius_of_a_ring_is_written_over_the_points_within_the_panel(aspect):
    for number in (1, 3):
        figure = panels(number)
        notes = figure.layout.scene.annotations
        assert [note.text for note in notes] == ["20 m", "40 m"]
        assert not any(trace.mode == "text" for trace in figure.data)
        height, width = 300, round(300 * aspect)
        picture = picture_of(figure)
        _, labels = draw_scene(picture.panels[0], (height, width), picture.scale)
        assert [label.text for label in labels] == ["20 m", "40 m"]
        for label in labels:
            u, v = label.uv
            assert 15 < u < width - 15 and 8 < v < height - 8
        assert abs(labels[0].uv[1] - labels[1].uv[1]) > 12


def test_few_whole_numbers_get_a_legend():
    number = torch.arange(400) % 2
    for figure in (
        show.points_from_above(scan(), number, legend="keyframe"),
        show.points(scan(), number, legend="keyframe"),
        show.side_by_side({"a": (scan(), number)}, legend="keyframe"),
    ):
        listed = [trace for trace in figure.data if trace.showlegend]
        assert [trace.name for trace in listed] == ["0", "1"]
        assert figure.layout.legend.title.text == "keyframe"
        assert figure.layout.coloraxis.colorbar.title.text is None  # no colour bar
        assert len({trace.marker.color for trace in listed}) == 2
        np.testing.assert_allclose(sorted(listed[1].x), np.sort(scan()[1::2, 0]), rtol=1e-6)
    assert show.points(scan(), number).layout.title.subtitle.text == "400 points"


def test_other_numbers_keep_the_colour_bar():
    for colour, limits in (
        (torch.arange(400) % 9, None),
        ((torch.arange(400) % 2).float(), None),
        (torch.arange(400) % 2, (0, 5)),
    ):
        for draw in (show.points, show.points_from_above):
            figure = draw(scan(), colour, limits=limits)
            assert not any(trace.showlegend for trace in figure.data)
            assert figure.layout.coloraxis.cmax is not None


def test_zero_is_marked_on_a_diverging_scale():
    feat = torch.randn(400, 8, generator=torch.Generator().manual_seed(0))
    (line,) = show.similarity(bare(scan()), feat, 3, limits=(-0.5, 1.0)).layout.shapes
    # The bar covers 0.05 to 0.95 of the plot area; a third of it lies below 0.
    assert line.y0 == line.y1 == pytest.approx(0.05 + 0.9 / 3)
    assert not show.similarity(bare(scan()), feat, 3, limits=(0.1, 1.0)).layout.shapes
    assert not show.points(scan(), scan()[:, 0]).layout.shapes
