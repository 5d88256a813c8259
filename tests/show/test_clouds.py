import json

import numpy as np
import pytest
import torch

from kit import show
from kit.show.arrays import to_numpy
from kit.show.figures.clouds import cosine_to
from kit.show.png.static_style import rgb_of


def scan(count: int = 400, seed: int = 0) -> torch.Tensor:
    spread = torch.tensor([25.0, 25.0, 2.0])
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(seed)) * spread


def features(count: int = 400, dim: int = 16, seed: int = 1) -> torch.Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed))


def clouds_of(figure) -> list:
    return [t for t in figure.data if t.mode == "markers" and t.name != "ego"]


def colours_of(trace, figure) -> np.ndarray:
    return rgb_of(trace.marker, figure.layout, len(trace.x))


def test_every_point_is_in_the_figure_with_its_colour():
    points, values = scan(), torch.arange(400.0)
    figure = show.points(points, values, legend="intensity", scale="intensity")
    (cloud,) = clouds_of(figure)
    np.testing.assert_array_equal(np.stack([cloud.x, cloud.y, cloud.z], 1), points.numpy())
    np.testing.assert_array_equal(cloud.marker.color, values.numpy())
    assert figure.layout.coloraxis.colorbar.title.text == "intensity"
    assert figure.layout.coloraxis.cmin == pytest.approx(np.percentile(values, 1))


def test_without_a_colour_it_is_the_height_and_says_so():
    figure = show.points(scan())
    (cloud,) = clouds_of(figure)
    np.testing.assert_array_equal(cloud.marker.color, cloud.z)
    assert "height" in figure.layout.coloraxis.colorbar.title.text
    assert show.points(scan(), scan()[:, 2]).layout.coloraxis == figure.layout.coloraxis
    other = show.points(scan(), scan()[:, 0])
    assert "height" not in other.layout.coloraxis.colorbar.title.text


def test_rgb_arrives_as_one_byte_a_point():
    rgb = torch.randint(0, 256, (400, 3), generator=torch.Generator().manual_seed(0))
    rgb = (rgb // 64 * 64).to(torch.uint8)  # 64 colours
    figure = show.points(scan(), rgb)
    (cloud,) = clouds_of(figure)
    assert cloud.marker.color.dtype == np.uint8
    axis = figure.layout[cloud.marker.coloraxis]
    stops = [stop for stop, _ in axis.colorscale]
    assert stops[0] == 0 and stops[-1] == 1 and axis.cmax == len(stops) - 1
    assert axis.showscale is False
    np.testing.assert_array_equal(colours_of(cloud, figure), rgb.numpy())


def test_one_colour_for_all_points_is_kept():
    figure = show.points(scan(), torch.tensor([[7, 80, 200]], dtype=torch.uint8).repeat(400, 1))
    (cloud,) = clouds_of(figure)
    assert (colours_of(cloud, figure) == [7, 80, 200]).all()


def test_thinned_points_keep_their_rows_and_the_title_says_so():
    points = scan(5000)
    figure = show.points(points, max_points=300)
    (cloud,) = clouds_of(figure)
    assert len(cloud.x) == 300
    np.testing.assert_array_equal(cloud.x, points[to_numpy(cloud.customdata).astype(int), 0])
    assert figure.layout.title.subtitle.text == "300 of 5,000 points"


def test_axes_are_equal_even_where_far_points_are_cut_off():
    points = torch.cat([scan(), torch.tensor([[400.0, -300.0, 90.0]])])
    figure = show.points(points)
    scene = figure.layout.scene
    spans = [scene[f"{a}axis"].range[1] - scene[f"{a}axis"].range[0] for a in "xyz"]
    ratio = [scene.aspectratio[a] for a in "xyz"]
    np.testing.assert_allclose(np.array(spans) / ratio, spans[0] / ratio[0], rtol=1e-4)
    assert scene.xaxis.range == (-50, 50)
    assert scene.aspectmode == "manual"  # "data" would follow the point at 400 m
    assert max(clouds_of(figure)[0].x) == 400  # the data stays


def test_a_crop_far_away_is_still_seen():
    points = scan(100) * 0.05 + torch.tensor([90.0, 20.0, 0.0])
    scene = show.points(points).layout.scene
    inside = (points[:, 0] > scene.xaxis.range[0]) & (points[:, 0] < scene.xaxis.range[1])
    assert inside.all()


def test_scenes_side_by_side_share_viewpoint_box_and_colour_scale():
    figure = show.side_by_side(
        {"near": (scan(), torch.zeros(400)), "far": (scan(200, 5), torch.ones(200) * 9)}
    )
    first, second = figure.layout.scene, figure.layout.scene2
    assert first.camera == second.camera
    assert first.xaxis.range == second.xaxis.range and first.zaxis.range == second.zaxis.range
    assert first.domain.x[1] <= second.domain.x[0]
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (0, 9)
    assert [note.text for note in figure.layout.annotations] == ["near", "far"]
    assert "near: 400 points" in figure.layout.title.subtitle.text


def test_the_first_view_looks_forward_from_behind_and_above():
    camera = show.points(scan()).layout.scene.camera
    assert camera.eye.y < camera.center.y and camera.eye.z > camera.center.z
    assert camera.up.z == 1


def test_equal_features_of_teacher_and_student_get_equal_colours():
    points, feat = scan(), features()
    figure = show.feature_pca({"teacher": (points, feat), "student": (points, feat.clone())})
    teacher, student = clouds_of(figure)
    np.testing.assert_array_equal(colours_of(teacher, figure), colours_of(student, figure))
    assert len(np.unique(colours_of(teacher, figure), axis=0)) > 200


def test_the_basis_is_the_teachers_whatever_the_student_does():
    points, feat = scan(), features()
    basis = show.fit_basis(feat)
    alone = show.feature_pca({"teacher": (points, feat)})
    beside = show.feature_pca({"teacher": (points, feat), "random": (points, features(seed=9))})
    given = show.feature_pca({"other": (points, features(seed=9))}, basis)
    expected = [colours_of(cloud, beside) for cloud in clouds_of(beside)]
    np.testing.assert_array_equal(colours_of(clouds_of(alone)[0], alone), expected[0])
    np.testing.assert_array_equal(colours_of(clouds_of(given)[0], given), expected[1])
    np.testing.assert_array_equal(expected[1], basis.colours(features(seed=9)).numpy())


def test_one_point_among_others_keeps_its_colour_in_every_cloud():
    feat = features(6000)
    crop = torch.cat([features(200, seed=5), feat[:100]])
    clouds = {"all": (scan(6000), feat), "crop": (scan(300), crop)}
    figure = show.feature_pca(clouds)
    whole, part = (colours_of(cloud, figure) for cloud in clouds_of(figure))
    assert len(np.unique(whole, axis=0)) > 1000
    np.testing.assert_array_equal(part[200:], whole[:100])


def test_similarity_to_itself_is_one_and_equals_the_cosine():
    points, feat = scan(), features()
    figure = show.similarity(points, feat, 17)
    drawn = np.asarray(clouds_of(figure)[0].marker.color)
    expected = torch.nn.functional.cosine_similarity(feat, feat[17:18]).numpy()
    np.testing.assert_allclose(drawn, expected, atol=1e-6)
    assert drawn[17] == pytest.approx(1, abs=1e-6)
    axis = figure.layout.coloraxis
    assert axis.cmax == 1 and axis.cmin == pytest.approx(np.percentile(expected, 2), abs=1e-6)
    assert f"{axis.cmin:.2f} to 1.00" in axis.colorbar.title.text


def test_the_pin_stands_on_the_picked_point_and_the_scale_can_be_fixed():
    points = scan()
    figure = show.similarity(points, features(), 17, "a car", limits=(-1, 1))
    (pin,) = [trace for trace in figure.data if trace.name == "picked point"]
    assert (pin.x[0], pin.y[0], pin.z[0]) == pytest.approx(points[17].tolist())
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (-1, 1)
    red, blue = figure.layout.coloraxis.colorscale[-1][1], figure.layout.coloraxis.colorscale[0][1]
    assert int(red[1:3], 16) > int(red[5:7], 16) and int(blue[1:3], 16) < int(blue[5:7], 16)


def test_similarities_side_by_side_share_one_scale():
    figure = show.similarity_side_by_side(
        {"teacher": (scan(), features(), 3), "student": (scan(200), features(200, 8), 5)}
    )
    teacher, student = (np.asarray(cloud.marker.color) for cloud in clouds_of(figure))
    lowest = min(np.percentile(teacher, 2), np.percentile(student, 2))
    assert figure.layout.coloraxis.cmin == pytest.approx(lowest, abs=1e-6)
    assert student[5] == pytest.approx(1, abs=1e-6)


def test_zero_features_are_similar_to_nothing():
    feat = features(5)
    feat[2] = 0
    assert cosine_to(feat, 0)[2] == 0
    assert (cosine_to(feat, 2) == 0).all()


def test_a_full_scan_stays_about_one_megabyte():
    points = scan(110_000)
    for figure in (
        show.points(points),
        show.similarity(points, features(110_000, 4), 5),
        show.feature_pca({"teacher": (points, features(110_000, 4))}, max_points=35_000),
    ):
        assert len(json.dumps(json.loads(figure.to_json()))) < 1.0e6


@pytest.mark.parametrize("frame", ["torch", "numpy"])
def test_bad_input_is_named_with_its_counts(frame):
    give = (lambda t: t) if frame == "torch" else (lambda t: t.numpy())
    points, feat = scan(), features()
    with pytest.raises(ValueError, match="399 rows of colour for 400 points"):
        show.points(give(points), give(torch.zeros(399)))
    with pytest.raises(ValueError, match="of teacher.*400"):
        show.feature_pca({"teacher": (give(points), give(feat[:9]))})
    with pytest.raises(ValueError, match="0 points"):
        show.points(give(points[:0]))
    broken = points.clone()
    broken[5] = torch.nan
    with pytest.raises(ValueError, match="points: 3 of 1,200 numbers"):
        show.points(give(broken))
    with pytest.raises(ValueError, match="colour: 1 of 400"):
        show.points(give(points), give(broken[:, 0]))
    with pytest.raises(ValueError, match="index 400 is not one of the 400"):
        show.similarity(give(points), give(feat), 400)
    with pytest.raises(ValueError, match="index -1"):
        show.similarity(give(points), give(feat), -1)
    with pytest.raises(ValueError, match="uint8"):
        show.points(give(points), give(points))
    with pytest.raises(ValueError, match="'rainbow'.*height"):
        show.points(give(points), scale="rainbow")
    with pytest.raises(ValueError, match="16.*12|12.*16"):
        show.feature_pca(
            {"teacher": (give(points), give(feat)), "s": (give(points), give(features(dim=12)))}
        )
    for nothing in (show.side_by_side, show.similarity_side_by_side, show.feature_pca):
        with pytest.raises(ValueError, match="at least one"):
            nothing({})
