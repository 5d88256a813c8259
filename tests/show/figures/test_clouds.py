import json

import numpy as np
import pytest
import torch
from explorer_scene import bare, features_of
from handmade import ground, shell

from kit import show
from kit.show.arrays import to_numpy
from kit.show.features import check_features
from kit.show.figures.clouds import cosine_to


def scan(count: int = 400, seed: int = 0) -> torch.Tensor:
    spread = torch.tensor([25.0, 25.0, 2.0])
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(seed)) * spread


def features(count: int = 400, dim: int = 16, seed: int = 1) -> torch.Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed))


def clouds_of(figure) -> list:
    return [t for t in figure.data if t.mode == "markers" and t.name != "ego"]


def colours_of(trace, figure) -> np.ndarray:
    """Red, green, blue of each point, from the palette in the layout."""
    scale = figure.layout[trace.marker.coloraxis].colorscale
    table = np.array([[int(stop[at : at + 2], 16) for at in (1, 3, 5)] for _, stop in scale])
    return table[np.asarray(trace.marker.color)]


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
    assert figure.layout.coloraxis.colorbar.title.text == "height above the ground (m)"
    flat = torch.cat([ground(), shell(5.0, 5.0, count=1500)])
    tilted = flat + torch.tensor([0.0, 0.0, 0.1]) * flat[:, :1]  # a slope of 10 %
    colours = [clouds_of(show.points(each))[0].marker.color for each in (flat, tilted)]
    np.testing.assert_allclose(*colours, atol=0.1)
    given = show.points(scan(), scan()[:, 2])
    assert given.layout.coloraxis.colorbar.title.text == "height z (m)"
    np.testing.assert_array_equal(clouds_of(given)[0].marker.color, cloud.z)
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


def test_thinned_points_keep_their_index_and_the_subtitle_counts_them():
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
    frame, feat = bare(scan()), features()
    figure = show.feature_pca(frame, {"teacher": feat, "student": feat.clone()})
    teacher, student = clouds_of(figure)
    np.testing.assert_array_equal(colours_of(teacher, figure), colours_of(student, figure))
    assert len(np.unique(colours_of(teacher, figure), axis=0)) > 200


def test_the_basis_is_the_teachers_whatever_the_student_is():
    frame, feat = bare(scan()), features()
    basis = show.fit_basis(feat)
    alone = show.feature_pca(frame, {"teacher": feat})
    beside = show.feature_pca(frame, {"teacher": feat, "random": features(seed=9)})
    given = show.feature_pca(frame, {"other": features(seed=9)}, basis)
    expected = [colours_of(cloud, beside) for cloud in clouds_of(beside)]
    np.testing.assert_array_equal(colours_of(clouds_of(alone)[0], alone), expected[0])
    np.testing.assert_array_equal(colours_of(clouds_of(given)[0], given), expected[1])
    np.testing.assert_array_equal(expected[1], basis.colours(features(seed=9)).numpy())


def test_one_point_among_others_keeps_its_colour_in_every_panel():
    frame, feat = bare(scan(6000)), features(6000)
    crop = torch.cat([feat[:100], features(200, seed=5)])
    of_crop = features_of(crop, torch.arange(300), 6000)
    figure = show.feature_pca(frame, {"all": feat, "crop": of_crop})
    whole, part = (colours_of(cloud, figure) for cloud in clouds_of(figure))
    assert len(np.unique(whole, axis=0)) > 1000
    np.testing.assert_array_equal(part[:100], whole[:100])


def test_a_panel_draws_the_points_that_have_a_feature():
    frame, feat = bare(scan()), features()
    index = torch.arange(0, 400, 5)
    teacher = features_of(feat[index], index, 400)
    for figure in (
        show.feature_pca(frame, {"teacher": teacher, "student": feat}),
        show.similarity(frame, {"teacher": teacher, "student": feat}, 5),
    ):
        some, everything = clouds_of(figure)
        np.testing.assert_array_equal(some.x, frame.points[index, 0])
        np.testing.assert_array_equal(to_numpy(some.customdata), index)
        assert len(everything.x) == 400
        assert figure.layout.title.subtitle.text == "teacher: 80 points · student: 400 points"


@pytest.mark.parametrize("centred", [True, False])
def test_similarity_to_itself_is_one_and_equals_the_cosine(centred):
    frame, feat = bare(scan()), features()
    figure = show.similarity(frame, feat, 17, **({} if centred else {"centred": False}))
    drawn = np.asarray(clouds_of(figure)[0].marker.color)
    if centred:
        unit = torch.nn.functional.normalize(feat, dim=1)
        feat = unit - unit.mean(0)
    expected = torch.nn.functional.cosine_similarity(feat, feat[17:18]).numpy()
    np.testing.assert_allclose(drawn, expected, atol=1e-6)
    assert drawn[17] == pytest.approx(1, abs=1e-6)
    axis = figure.layout.coloraxis
    assert axis.cmax == 1 and axis.cmin == pytest.approx(np.percentile(expected, 2), abs=1e-6)
    assert f"{axis.cmin:.2f} to 1.00" in axis.colorbar.title.text


def test_the_pin_stands_on_the_picked_point_and_the_scale_can_be_fixed():
    frame = bare(scan())
    figure = show.similarity(frame, features(), 17, "a car", limits=(-1, 1))
    (pin,) = [trace for trace in figure.data if trace.name == "picked point"]
    assert (pin.x[0], pin.y[0], pin.z[0]) == pytest.approx(frame.points[17].tolist())
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (-1, 1)
    red, blue = figure.layout.coloraxis.colorscale[-1][1], figure.layout.coloraxis.colorscale[0][1]
    assert int(red[1:3], 16) > int(red[5:7], 16) and int(blue[1:3], 16) < int(blue[5:7], 16)


def test_similarities_side_by_side_share_one_scale():
    index = torch.arange(0, 400, 2)
    student = features_of(features(200, 8), index, 400)
    figure = show.similarity(bare(scan()), {"teacher": features(), "student": student}, 10)
    drawn = [np.asarray(cloud.marker.color) for cloud in clouds_of(figure)]
    lowest = min(np.percentile(cosine, 2) for cosine in drawn)
    assert figure.layout.coloraxis.cmin == pytest.approx(lowest, abs=1e-6)
    assert drawn[1][5] == pytest.approx(1, abs=1e-6)  # row 5 of the student is point 10


def test_zero_features_are_similar_to_nothing():
    feat = features(5)
    feat[2] = 0
    of_points = check_features(feat, 5, "features")
    assert cosine_to(of_points, 0)[2] == 0
    assert (cosine_to(of_points, 2) == 0).all()


def test_a_full_scan_stays_about_one_megabyte():
    frame, feat = bare(scan(110_000)), features(110_000, 4)
    for figure in (
        show.points(frame.points),
        show.similarity(frame, feat, 5),
        show.feature_pca(frame, {"teacher": feat}, max_points=35_000),
    ):
        assert len(json.dumps(json.loads(figure.to_json()))) < 1.0e6


@pytest.mark.parametrize("frame", ["torch", "numpy"])
def test_bad_input_is_named_with_its_counts(frame):
    give = (lambda t: t) if frame == "torch" else (lambda t: t.numpy())
    points, feat = scan(), features()
    frame = bare(points)
    with pytest.raises(ValueError, match="399 rows of colour for 400 points"):
        show.points(give(points), give(torch.zeros(399)))
    with pytest.raises(ValueError, match="of teacher.*9 rows of features for 400 points"):
        show.feature_pca(frame, {"teacher": give(feat[:9])})
    with pytest.raises(ValueError, match="0 points"):
        show.points(give(points[:0]))
    broken = points.clone()
    broken[5] = torch.nan
    with pytest.raises(ValueError, match="points: 3 of 1,200 numbers"):
        show.points(give(broken))
    with pytest.raises(ValueError, match="colour: 1 of 400"):
        show.points(give(points), give(broken[:, 0]))
    with pytest.raises(ValueError, match="point 400 is not one of the 400"):
        show.similarity(frame, give(feat), 400)
    with pytest.raises(ValueError, match="point -1"):
        show.similarity(frame, give(feat), -1)
    with pytest.raises(ValueError, match="uint8"):
        show.points(give(points), give(points))
    with pytest.raises(ValueError, match="'rainbow'.*height"):
        show.points(give(points), scale="rainbow")
    with pytest.raises(ValueError, match="16.*12|12.*16"):
        show.feature_pca(frame, {"teacher": give(feat), "s": give(features(dim=12))})
    with pytest.raises(ValueError, match="at least one"):
        show.side_by_side({})
    with pytest.raises(ValueError, match="at least one"):
        show.feature_pca(frame, {})
    with pytest.raises(ValueError, match="at least one"):
        show.similarity(frame, {}, 5)


def test_features_that_do_not_fit_the_keyframe_are_named():
    frame, feat = bare(scan()), features(3)
    index = torch.tensor([2, 7, 30])
    teacher = features_of(feat, index, 400)
    with pytest.raises(ValueError, match="point 3 has no feature in the features of teacher"):
        show.similarity(frame, {"teacher": teacher}, 3)
    with pytest.raises(ValueError, match="of a keyframe with 500 points, this one has 400"):
        show.feature_pca(frame, features_of(feat, index, 500))
    for wrong in ([2, 2, 30], [7, 2, 30], [-1, 2, 30], [2, 7, 400]):
        with pytest.raises(ValueError, match="must ascend from 0 to 399, each point once"):
            show.feature_pca(frame, features_of(feat, torch.tensor(wrong), 400))
