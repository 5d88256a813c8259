from dataclasses import replace
from pathlib import Path

import numpy as np
import open3d
import pytest
import torch
import traitlets
import trimesh
from explorer_scene import HOSTILE, bare, explorer, features, features_of, keyframe
from PIL import Image

from kit.show import Explorer
from kit.show.explorer.export import fallback_page
from kit.show.explorer.modules import compact, script_of
from kit.show.explorer.paint import colours_of, paint, scene_of
from kit.show.explorer.payload import keyframe_payload
from kit.show.scene import Viewpoint


def array_of(header: dict, data: bytes, name: str) -> np.ndarray:
    place = header["arrays"][name]
    return np.frombuffer(data, place["type"], place["count"], place["start"])


def test_features_are_shown_first_and_every_argument_has_its_mode():
    shown = explorer()
    own = "height intensity colour features similarity labels predictions errors agreement".split()
    assert shown.modes == [*own, "foreground", "car"]
    assert (shown.mode, shown.feature_set) == ("features", "teacher")
    plain = Explorer(keyframe())
    assert plain.modes == ["height", "intensity", "colour", "labels"] and plain.mode == "height"


def test_the_payload_holds_the_points_as_they_are():
    shown = explorer()
    header, data = keyframe_payload(shown.content, 0)
    frame = shown.content.keyframes[0]
    np.testing.assert_array_equal(array_of(header, data, "position"), frame.points.numpy().ravel())
    np.testing.assert_array_equal(array_of(header, data, "labels"), frame.labels.numpy())
    assert all(place["start"] % 4 == 0 for place in header["arrays"].values())
    seen = shown.content.features["teacher"][0].index
    has = np.flatnonzero(array_of(header, data, "length/0"))
    np.testing.assert_array_equal(has, seen)


def test_pairs_and_camera_colours_are_those_of_the_projection():
    shown = explorer()
    header, data = keyframe_payload(shown.content, 0)
    frame = shown.content.keyframes[0]
    colour = array_of(header, data, "colour").reshape(-1, 4)
    for camera in header["cameras"]:
        sensor = frame.cameras[camera["name"]]
        point = array_of(header, data, f"pairs/{camera['number']}/point")
        uv = array_of(header, data, f"pairs/{camera['number']}/uv").reshape(-1, 2) / 65535
        homogeneous = np.c_[frame.points.numpy()[point], np.ones(len(point))].T
        u, v, w = sensor.K.numpy() @ (sensor.T_cam_lidar.numpy() @ homogeneous)[:3]
        np.testing.assert_allclose(uv, np.c_[u / w / 480, v / w / 240], atol=2e-5)
        pixels = sensor.pixels()[(v / w).astype(int), (u / w).astype(int)]
        ours = (colour[point, :3] == pixels).all(1)
        assert ours.mean() > 0.75  # where two cameras see a point, the later one's colour stays
        assert (colour[point, 3] == 255).all()


def test_a_click_arrives_in_python_with_the_points_picked_then():
    shown, heard = explorer(), []
    shown.on_click(heard.append)
    message = {"type": "click", "point": 7, "kind": "positive", "keyframe": 0, "place": "cloud"}
    shown._receive(shown, message | {"picked": [3, 7], "negatives": []}, [])
    assert shown.clicks == heard and heard[0].point == 7 and heard[0].picked == (3, 7)
    shown._receive(shown, {"type": "select", "keyframe": 0}, [np.array([5, 9], "<i4").tobytes()])
    assert shown.selected.tolist() == [5, 9] and shown.selected_in == 0


def test_traits_refuse_unknown_values():
    shown = explorer()
    for name, value, words in [
        ("mode", "depth", "there are height"),
        ("feature_set", "dino", "there are teacher"),
        ("keyframe", 1, "0 to 0"),
        ("picked", [900], "point 900"),
        ("hidden_classes", [16], "no class 16"),
        ("components", [0, 1, 12], "component 12"),
        ("cosine", "euclid", "centred"),
    ]:
        with pytest.raises(traitlets.TraitError, match=words):
            setattr(shown, name, value)


def test_features_that_do_not_fit_the_points_are_named():
    frame = keyframe()
    feat = features(frame, 1)
    nan = feat.clone()
    nan[3, 5] = torch.nan
    some = torch.tensor([4, 4])
    for given, words in [
        (feat[:-1], "899 rows of features for 900 points; give kit.Features"),
        (features_of(feat[:2], some, 900), "must ascend from 0 to 899, each point once"),
        (features_of(feat, torch.arange(900), 901), "901 points, this one has 900"),
        (nan, r"features\['teacher'\]: 1 of 43,200 numbers are NaN"),
        (feat[:, 0], r"must be \(N, D\)"),
        ([feat, feat], "2 entries for 1 keyframes"),
    ]:
        with pytest.raises(ValueError, match=words):
            Explorer(frame, {"teacher": given})
    with pytest.raises(ValueError, match="list with one entry for each of the 2"):
        Explorer([frame, frame], {"teacher": feat})
    with pytest.raises(ValueError, match="of keyframe 1: 899 rows"):
        Explorer([frame, frame], {"teacher": [feat, feat[:-1]]})


def test_other_bad_input_is_named():
    frame = keyframe()
    sets = {"teacher": features(frame, 1)}
    for options, words in [
        (dict(scores={"car": torch.ones(3)}), "3 rows of scores"),
        (dict(scores={"car": torch.full((900,), torch.inf)}), "900 of 900 numbers are NaN"),
        (dict(scores={"height": torch.ones(900)}), "a mode has this name"),
        (dict(predictions={"x": torch.full((900,), 16)}), "class indices 0 to 15"),
        (dict(predictions={"x": torch.ones(900)}), "class indices"),
        (dict(feature_maps={}), "give features too"),
        (dict(features=sets, feature_maps={"CAM": torch.ones(48, 2, 2)}), "no camera 'CAM'"),
        (
            dict(features=sets, feature_maps={"CAM_FRONT": torch.ones(4, 2, 2)}),
            "48 channels of 'teacher'",
        ),
    ]:
        with pytest.raises(ValueError, match=words):
            Explorer(frame, **options)
    with pytest.raises(ValueError, match="a keyframe or a list"):
        Explorer([])


def test_zero_features_are_grey_and_counted_in_a_note():
    frame = keyframe()
    feat = features(frame, 1)
    feat[:30] = 0
    shown = Explorer(frame, {"teacher": feat})
    assert shown.setup["notes"] == ["teacher: 30 features are zero and have no direction: grey"]
    rgb, _ = colours_of(shown)
    assert (rgb[:30] == rgb[0]).all() and len(np.unique(rgb[30:], axis=0)) > 300


def test_one_point_and_no_images(tmp_path):
    lone = bare(keyframe().points[:1])
    shown = Explorer(lone, {"teacher": torch.ones(1, 5)}, picked=[0], mode="similarity")
    score, has = shown.similarity()
    assert score[0] == pytest.approx(1) and has.all()
    assert "colour" not in shown.modes and shown.setup["header"]["cameras"] == []
    program = len(compact(script_of("page.js")))
    assert shown.save(tmp_path / "one.html").stat().st_size - program < 27_000
    assert program < 175_000


def test_a_missing_image_is_named_in_a_note_and_the_others_are_shown():
    frame = keyframe()
    gone = replace(frame.cameras["CAM_RIGHT"], source=Path("nowhere.jpg"))
    shown = Explorer(replace(frame, cameras={**frame.cameras, "CAM_RIGHT": gone}))
    assert [camera["name"] for camera in shown.setup["header"]["cameras"]] == ["CAM_FRONT"]
    assert "nowhere.jpg: this image is missing" in shown.setup["notes"][-1]


def test_more_points_than_can_be_drawn_are_thinned_with_a_note():
    shown = explorer(max_points=100)
    assert shown.setup["notes"] == ["100 of 900 points are drawn"]
    header, data = keyframe_payload(shown.content, 0)
    index = array_of(header, data, "index")
    frame = shown.content.keyframes[0]
    drawn = array_of(header, data, "position").reshape(-1, 3)
    np.testing.assert_array_equal(drawn, frame.points.numpy()[index])
    shown.picked = [int(index[4])]
    other = next(point for point in range(900) if point not in index)
    with pytest.raises(traitlets.TraitError, match="100 points drawn; the next is"):
        shown.picked = [other]


def test_two_million_points_are_thinned_in_seconds():
    count = 2_000_000
    points = torch.randn(count, 3, generator=torch.Generator().manual_seed(0)) * 20
    frame = bare(points)
    shown = Explorer(frame, {"teacher": torch.randn(count, 8)})
    assert shown.setup["notes"] == ["1,000,000 of 2,000,000 points are drawn"]
    assert len(shown.payload) <= 60e6


def test_cameras_are_sorted_from_left_to_right_and_the_view_looks_ahead():
    shown = explorer(names=("CAM_FRONT", "CAM_BACK_LEFT"))
    names = [camera["name"] for camera in shown.setup["header"]["cameras"]]
    assert names == ["CAM_FRONT", "CAM_BACK_LEFT"]
    front = shown.setup["header"]["cameras"][0]
    assert front["azimuth"] == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(front["eye"], [0.1, 0.2, 0.5], atol=1e-9)
    assert shown.view["azimuth"] == 0
    eye = Viewpoint.orbit(**shown.view).eye
    assert eye[1] < -5 and eye[2] > 5  # from behind and above


def test_the_similarity_is_the_mean_cosine_to_picked_minus_negatives():
    shown = explorer()
    feat = shown.content.features["random"][0].feat
    unit = torch.nn.functional.normalize(feat, dim=1)
    plain = (unit @ unit.T).numpy()
    shown.picked, shown.negatives, shown.cosine = [5, 6], [7], "plain"
    score, _ = shown.similarity("random")
    np.testing.assert_allclose(score, plain[:, [5, 6]].mean(1) - plain[:, 7], atol=1e-5)
    mean = shown.content.quantisers["random"].mean
    rows = torch.nn.functional.normalize(unit - mean, dim=1).numpy()
    shown.picked, shown.negatives, shown.cosine = [5], [], "centred"
    score, _ = shown.similarity("random")
    np.testing.assert_allclose(score, rows @ rows[5], atol=1e-5)
    torch.testing.assert_close(mean, unit.mean(0), atol=1e-6, rtol=1e-5)


def test_a_page_holds_no_markup_from_data_and_one_script_that_may_run(tmp_path):
    shown = explorer(names=(HOSTILE, "CAM_FRONT"), scores={HOSTILE: torch.ones(900)})
    text = shown.save(tmp_path / "page.html", title=HOSTILE).read_text(encoding="utf8")
    markup = text.split('<script type="module">')[0]
    assert HOSTILE not in text and markup.count("<img") == markup.count('<img id="kx-poster"') == 1
    assert text.count("</script>") == 3  # traits, one keyframe, the program
    assert "'unsafe" not in text.split("Content-Security-Policy")[1].split(">")[0]
    assert "http://" not in text and "https://" not in text


def test_the_page_must_hold_the_keyframe_of_the_picked_points(tmp_path):
    shown = explorer(num_keyframes=3)
    shown.picked, shown.keyframe = [3], 2
    with pytest.raises(ValueError, match="that of the picked points, 0"):
        shown.save(tmp_path / "page.html")
    assert shown.save(tmp_path / "page.html", keyframes=[0, 2]).exists()


def test_the_png_is_drawn_without_a_browser(tmp_path):
    shown = explorer(point_size=4.0)
    shown.mode, shown.side_by_side, shown.picked = "similarity", True, [300]
    file = shown.save_png(tmp_path / "x.png", image_size=(200, 600), dark=True)
    picture = np.asarray(Image.open(file))
    assert picture.shape == (200, 600, 3)
    thirds = np.split(picture, 3, axis=1)
    drawn = [(third != [17, 20, 25]).any(2).mean() for third in thirds]
    assert min(drawn) > 0.005 and not np.array_equal(thirds[1], thirds[2])


def test_ply_is_read_back_with_its_colours(tmp_path):
    shown = explorer(mode="labels", hidden_classes=[10])
    cloud = open3d.io.read_point_cloud(str(shown.save_ply(tmp_path / "x.ply")))
    rgb, rows = colours_of(shown)
    points = shown.content.keyframes[0].points.numpy()[rows]
    np.testing.assert_allclose(np.asarray(cloud.points), points, atol=1e-5)
    np.testing.assert_allclose(np.asarray(cloud.colors) * 255, rgb, atol=0.6)
    assert shown.save_ply(tmp_path / "new folder" / "x.ply").is_file()


@pytest.mark.parametrize("name", ["x.gltf", "x.glb", "new folder/x.glb"])
def test_gltf_is_read_back_with_positions_y_up_and_colours(tmp_path, name):
    shown = explorer(mode="labels", hidden_classes=[10])
    path = shown.save_gltf(tmp_path / name)
    assert path.read_bytes()[:4] == (b"glTF" if path.suffix == ".glb" else b'{"sc')
    (cloud,) = trimesh.load_scene(path).geometry.values()
    rgb, index = colours_of(shown)
    x, y, z = cloud.vertices.T.astype(np.float32)
    points = shown.content.keyframes[0].points.numpy()[index]
    np.testing.assert_array_equal(np.c_[x, -z, y], points)
    np.testing.assert_array_equal(cloud.colors, np.c_[rgb, np.full(len(rgb), 255)])


def test_the_scene_of_a_picture_has_the_points_colours_and_view_of_the_explorer():
    shown = explorer(mode="features", feature_set="teacher", point_size=2.0)
    scene, colours = scene_of(shown, aspect=1.5), paint(shown)
    valued, grey = scene.clouds
    np.testing.assert_array_equal(valued.index, shown.content.features["teacher"][0].index)
    np.testing.assert_array_equal(valued.colour, colours.rgb[colours.has_value])
    assert len(valued.index) + len(grey.index) == 900 and (grey.colour == grey.colour[0]).all()
    assert (valued.size.metres, valued.size.least, valued.size.most) == (0.2, 4, 28)
    assert grey.size.metres == pytest.approx(0.15)
    np.testing.assert_allclose(scene.view.eye, Viewpoint.orbit(**shown.view).eye)


def test_components_without_variance_have_the_middle_value():
    frame = keyframe()
    flat = torch.randn(900, 2, generator=torch.Generator().manual_seed(0))
    two = Explorer(frame, {"two channels": flat})
    assert (colours_of(two)[0][:, 2] == 128).all()
    alike = Explorer(frame, {"all alike": torch.ones(900, 8)})
    assert (colours_of(alike)[0] == 128).all()
    (described,) = alike.setup["sets"]
    assert set(described["component_starts"]) == {0.5} and not any(described["component_weights"])


def test_maps_of_several_layers_are_stored_at_the_finest_ones_cells():
    from kit.teacher.feature_maps import FeatureMaps

    maps = FeatureMaps((torch.ones(1, 40, 2, 4), torch.ones(1, 8, 4, 8)), (64, 128))
    shown = explorer(feature_maps={"CAM_FRONT": maps})
    (front, right) = shown.setup["header"]["cameras"]
    assert front["map_size"] == [4, 8] and "map_size" not in right
    channels = shown.content.quantisers["teacher"].channels
    assert shown.setup["header"]["arrays"]["map/0/direction"]["count"] == 4 * 8 * channels


def test_the_browser_gets_the_names_of_the_state_and_the_table_of_modes():
    shown = explorer()
    assert (
        set(shown.setup["colour_state"])
        < set(shown.setup["state"])
        == set(
            "mode feature_set side_by_side keyframe picked negatives picked_in cosine threshold "
            "thresholds components hidden_classes view point_size density background shading "
            "frusta boxes colour_map palette similarity_range compare_with swipe_with swipe".split()
        )
    )
    script = script_of("widget.js")
    branches = {mode["branch"] for mode in shown.setup["modes"]}
    assert branches == {0, 1, 2, 3, 4, 5}
    assert all(f"u_branch == {branch}" in script for branch in branches)
    legends = script[script.index("const LEGENDS") :].split("};")[0]
    assert all(f"  {mode['kind']}: (" in legends for mode in shown.setup["modes"])


def test_ten_thousand_points_for_browsers_without_webgl2():
    page = fallback_page(explorer(mode="height"), max_points=100)
    assert "Plotly.newPlot" in page and "100 of 900 points" in page
