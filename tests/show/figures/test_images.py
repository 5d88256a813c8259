import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from kit import show
from kit.show.features import check_map
from kit.teacher.feature_maps import FeatureMaps


def pixels_of(trace) -> np.ndarray:
    with Image.open(io.BytesIO(base64.b64decode(trace.source.split(",", 1)[1]))) as image:
        return np.asarray(image.convert("RGB"))


def corners_of(trace) -> tuple[float, float, float, float]:
    """Left, top, right and bottom border of an image trace, in axis units."""
    height, width = pixels_of(trace).shape[:2]
    left, top = trace.x0 - trace.dx / 2, trace.y0 - trace.dy / 2
    return left, top, left + trace.dx * width, top + trace.dy * height


def picture(height: int = 90, width: int = 160) -> torch.Tensor:
    image = torch.zeros(3, height, width)
    image[0, : height // 2] = 0.9  # red above, blue below
    image[2, height // 2 :] = 0.9
    return image


def test_points_keep_their_pixels_over_an_image_stored_smaller():
    uv = torch.tensor([[0.5, 0.5], [1999.0, 999.0], [1000.0, 250.0]])
    figure = show.overlay(picture(1000, 2000), uv, torch.tensor([1.0, 2.0, 3.0]), max_width=500)
    image, points = figure.data
    assert pixels_of(image).shape == (250, 500, 3)
    assert corners_of(image) == pytest.approx((0, 0, 2000, 1000))
    np.testing.assert_array_equal(points.x, uv[:, 0])
    np.testing.assert_array_equal(points.y, uv[:, 1])
    assert figure.layout.yaxis.range == (1000, 0)  # rows downwards
    assert pixels_of(image)[10, 10, 0] > 200 > 50 > pixels_of(image)[240, 10, 0]
    assert "depth" in figure.layout.coloraxis.colorbar.title.text


def test_points_outside_the_image_are_left_out_with_their_colour():
    uv = torch.tensor([[-1.0, 5.0], [10.0, 5.0], [160.0, 5.0], [20.0, 89.9], [20.0, 90.0]])
    points = show.overlay(picture(), uv, torch.arange(5.0)).data[1]
    np.testing.assert_array_equal(points.marker.color, [1.0, 3.0])
    np.testing.assert_array_equal(points.x, [10.0, 20.0])


def test_a_large_overlay_stays_below_a_megabyte():
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(3, 1080, 1920, generator=generator) * 0.2 + 0.4
    uv = torch.rand(20_000, 2, generator=generator) * torch.tensor([1920.0, 1080.0])
    figure = show.overlay(noise, uv, uv[:, 0])
    assert len(figure.to_json()) < 1.0e6
    assert figure.layout.title.subtitle.text == "12,000 of 20,000 points"


def test_bad_overlays_are_named():
    uv = torch.tensor([[10.0, 5.0], [torch.nan, torch.nan]])
    with pytest.raises(ValueError, match=r"1 of 2 rows are NaN; pass uv\[visible\]"):
        show.overlay(picture(), uv, torch.ones(2))
    with pytest.raises(ValueError, match="3 rows of colour for 2"):
        show.overlay(picture(), uv, torch.ones(3))
    with pytest.raises(ValueError, match="none of the 1 points .* 90x160"):
        show.overlay(picture(), torch.tensor([[500.0, 5.0]]), torch.ones(1))
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        show.overlay(picture() * 255, uv[:1], torch.ones(1))


def test_the_cells_of_a_map_have_the_colours_of_the_basis():
    feature_map = torch.randn(8, 4, 6, generator=torch.Generator().manual_seed(0))
    rows = feature_map.flatten(1).T  # (24, 8), row by row
    basis = show.fit_basis(rows)
    cells = pixels_of(show.feature_image(feature_map, basis).data[0])
    np.testing.assert_array_equal(cells.reshape(-1, 3), basis.colours(rows).numpy())
    np.testing.assert_array_equal(cells[1, 3], basis.colours(feature_map[:, 1, 3][None])[0].numpy())


def test_a_map_beside_its_image_covers_the_same_pixels():
    feature_map = torch.randn(8, 4, 6, generator=torch.Generator().manual_seed(0))
    basis = show.fit_basis(feature_map.flatten(1).T)
    figure = show.feature_image(feature_map, basis, picture())
    photo, cells = figure.data
    assert corners_of(photo) == pytest.approx(corners_of(cells)) == (0, 0, 160, 90)
    assert (photo.xaxis, cells.xaxis) == ("x", "x2")
    assert cells.zsmooth is False
    with pytest.raises(ValueError, match="5 channels.*8"):
        show.feature_image(torch.randn(5, 4, 6), basis)


def test_the_feature_maps_of_an_image_are_drawn_at_the_finest_ones_cells():
    coarse, fine = torch.zeros(1, 40, 2, 4), torch.zeros(1, 8, 4, 8)
    coarse[:, 0], fine[:, 0] = 1, 1
    fine[0, :, 1, 6] = torch.eye(8)[3] * 2
    maps = FeatureMaps((coarse, fine), (64, 128))
    cells = check_map(maps)  # each map at unit length, as the teacher's features of points are
    assert cells.shape == (48, 4, 8) and cells[0].allclose(torch.ones(4, 8))
    assert cells[40:, 0, 0].norm() == pytest.approx(1, abs=1e-6)
    basis = show.fit_basis(cells.flatten(1).T)
    drawn = pixels_of(show.feature_image(maps, basis).data[0])
    np.testing.assert_array_equal(
        drawn.reshape(-1, 3), basis.colours(cells.flatten(1).T.contiguous()).numpy()
    )


def test_images_stand_row_by_row_in_the_order_given():
    names = ["a", "b", "c", "d"]
    figure = show.image_grid({name: picture(20 + i, 40) for i, name in enumerate(names)})
    assert [note.text for note in figure.layout.annotations] == names
    shapes = [pixels_of(trace).shape[0] for trace in figure.data]
    assert shapes == [20, 21, 22, 23]
    first, second, fourth = (figure.layout[f"xaxis{i}"].domain for i in ("", 2, 4))
    assert first[1] < second[0] and fourth == first
    assert figure.layout.yaxis4.domain[1] < figure.layout.yaxis.domain[0]
    with pytest.raises(ValueError, match="at least one image"):
        show.image_grid({})
