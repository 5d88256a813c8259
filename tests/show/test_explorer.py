import base64
import json
import struct
from pathlib import Path

import numpy as np
import open3d
import pytest
import torch
import traitlets
from explorer_scene import HOSTILE, explorer, features, keyframe  # noqa: E402
from PIL import Image

from kit.show import Explorer
from kit.show.explorer import payload as blob
from kit.show.explorer.export import fallback_page
from kit.show.explorer.paint import colours_of, view_of
from kit.show.explorer.state import cells_of


def array_of(header: dict, data: bytes, name: str) -> np.ndarray:
    place = header["arrays"][name]
    return np.frombuffer(data, place["type"], place["count"], place["start"])


def test_it_shows_features_first_and_has_a_mode_for_all_it_was_given():
    shown = explorer()
    own = "height intensity colour features similarity labels predictions errors".split()
    assert shown.modes == [*own, "foreground", "car"]
    assert (shown.mode, shown.feature_set) == ("features", "teacher")
    bare = Explorer(keyframe())
    assert bare.modes == ["height", "intensity", "colour", "labels"] and bare.mode == "height"


def test_the_block_holds_the_points_as_they_are():
    shown = explorer()
    header, data = blob.pack_keyframe(shown.content, 0)
    frame = shown.content.keyframes[0]
    np.testing.assert_array_equal(array_of(header, data, "position"), frame.points.numpy().ravel())
    np.testing.assert_array_equal(array_of(header, data, "labels"), frame.labels.numpy())
    assert all(place["start"] % 4 == 0 for place in header["arrays"].values())
    seen = shown.content.features["teacher"][0].rows
    has = np.flatnonzero(array_of(header, data, "length/0"))
    np.testing.assert_array_equal(has, seen)


def test_pairs_and_camera_colours_are_those_of_the_projection():
    shown = explorer()
    header, data = blob.pack_keyframe(shown.content, 0)
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


def test_a_click_reaches_python_with_what_is_picked_then():
    shown, heard = explorer(), []
    shown.on_click(heard.append)
    message = {"type": "click", "row": 7, "kind": "positive", "keyframe": 0, "place": "cloud"}
    shown._hear(shown, message | {"picked": [3, 7], "negatives": []}, [])
    assert shown.clicks == heard and heard[0].row == 7 and heard[0].picked == (3, 7)
    shown._hear(shown, {"type": "select"}, [np.array([5, 9], "<i4").tobytes()])
    assert shown.selected.tolist() == [5, 9]


def test_traits_refuse_what_is_not_there():
    shown = explorer()
    for name, value, words in [
        ("mode", "depth", "there are height"),
        ("feature_set", "dino", "there are teacher"),
        ("keyframe", 1, "0 to 0"),
        ("picked", [900], "row 900"),
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
    for given, words in [
        (feat[:-1], "899 rows of features for 900 points; give a tuple"),
        ((torch.arange(5), feat[:6]), "6 rows .* for 5"),
        ((torch.tensor([0, 900]), feat[:2]), "rows 0 to 900 are not among 900"),
        ((torch.tensor([4, 4]), feat[:2]), "named twice"),
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
        (dict(scores={"height": torch.ones(900)}), "a mode of its own"),
        (dict(predictions={"x": torch.full((900,), 16)}), "class indices 0 to 15"),
        (dict(predictions={"x": torch.ones(900)}), "class indices"),
        (dict(grids={}), "give features too"),
        (dict(features=sets, grids={"CAM": torch.ones(48, 2, 2)}), "no camera 'CAM'"),
        (dict(features=sets, grids={"CAM_FRONT": torch.ones(4, 2, 2)}), "48 channels of 'teacher'"),
    ]:
        with pytest.raises(ValueError, match=words):
            Explorer(frame, **options)
    with pytest.raises(ValueError, match="a keyframe or a list"):
        Explorer([])


def test_zero_features_are_grey_and_told():
    frame = keyframe()
    feat = features(frame, 1)
    feat[:30] = 0
    shown = Explorer(frame, {"teacher": feat})
    assert shown.setup["notes"] == ["teacher: 30 features are zero and have no direction: grey"]
    rgb, _ = colours_of(shown)
    assert (rgb[:30] == rgb[0]).all() and len(np.unique(rgb[30:], axis=0)) > 300


def test_one_point_and_no_images(tmp_path):
    from dataclasses import replace

    frame = keyframe()
    lone = replace(
        frame, points=frame.points[:1], intensity=frame.intensity[:1], labels=frame.labels[:1],
        cameras={}, row_in_file=None, num_rows_in_file=None,
    )  # fmt: skip
    shown = Explorer(lone, {"teacher": torch.ones(1, 5)}, picked=[0], mode="similarity")
    score, has = shown.similarity()
    assert score[0] == pytest.approx(1) and has.all()
    assert "colour" not in shown.modes and shown.setup["header"]["cameras"] == []
    assert shown.save(tmp_path / "one.html").stat().st_size < 120_000


def test_a_missing_image_is_told_and_the_rest_is_shown():
    from dataclasses import replace

    frame = keyframe()
    gone = replace(frame.cameras["CAM_RIGHT"], source=Path("nowhere.jpg"))
    shown = Explorer(replace(frame, cameras={**frame.cameras, "CAM_RIGHT": gone}))
    assert [camera["name"] for camera in shown.setup["header"]["cameras"]] == ["CAM_FRONT"]
    assert "nowhere.jpg: this image is missing" in shown.setup["notes"][-1]


def test_more_points_than_can_be_drawn_are_thinned_with_a_note():
    shown = explorer(max_points=100)
    assert shown.setup["notes"] == ["100 of 900 points are drawn"]
    header, data = blob.pack_keyframe(shown.content, 0)
    rows = array_of(header, data, "row")
    frame = shown.content.keyframes[0]
    drawn = array_of(header, data, "position").reshape(-1, 3)
    np.testing.assert_array_equal(drawn, frame.points.numpy()[rows])
    shown.picked = [int(rows[4])]
    other = next(row for row in range(900) if row not in rows)
    with pytest.raises(traitlets.TraitError, match="100 points drawn; the next is"):
        shown.picked = [other]


def test_two_million_points_are_thinned_in_seconds():
    from dataclasses import replace

    count = 2_000_000
    points = torch.randn(count, 3, generator=torch.Generator().manual_seed(0)) * 20
    frame = replace(
        keyframe(), points=points, intensity=torch.rand(count), cameras={}, labels=None,
        row_in_file=None, num_rows_in_file=None,
    )  # fmt: skip
    shown = Explorer(frame, {"teacher": torch.randn(count, 8)})
    assert shown.setup["notes"] == ["300,000 of 2,000,000 points are drawn"]
    assert len(shown.first) < 20e6


def test_cameras_stand_as_one_looks_around_and_the_view_looks_ahead():
    shown = explorer(names=("CAM_FRONT", "CAM_BACK_LEFT"))
    names = [camera["name"] for camera in shown.setup["header"]["cameras"]]
    assert names == ["CAM_FRONT", "CAM_BACK_LEFT"]
    front = shown.setup["header"]["cameras"][0]
    assert front["azimuth"] == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(front["eye"], [0.1, 0.2, 0.5], atol=1e-9)
    assert shown.view["azimuth"] == 0
    eye = view_of(shown.view).eye
    assert eye[1] < -5 and eye[2] > 5  # from behind and above


def test_the_similarity_is_the_mean_cosine_to_picked_minus_negatives():
    shown = explorer()
    feat = shown.content.features["random"][0].feat
    unit = torch.nn.functional.normalize(feat, dim=1)
    plain = (unit @ unit.T).numpy()
    shown.picked, shown.negatives, shown.cosine = [5, 6], [7], "plain"
    score, _ = shown.similarity("random")
    np.testing.assert_allclose(score, plain[:, [5, 6]].mean(1) - plain[:, 7], atol=1e-5)
    mean = shown.content.packings["random"].mean
    rows = torch.nn.functional.normalize(unit - mean, dim=1).numpy()
    shown.picked, shown.negatives, shown.cosine = [5], [], "centred"
    score, _ = shown.similarity("random")
    np.testing.assert_allclose(score, rows @ rows[5], atol=1e-5)
    torch.testing.assert_close(mean, unit.mean(0), atol=1e-6, rtol=1e-5)


def test_a_page_holds_no_markup_from_data_and_one_script_that_may_run(tmp_path):
    shown = explorer(names=(HOSTILE, "CAM_FRONT"), scores={HOSTILE: torch.ones(900)})
    text = shown.save(tmp_path / "page.html", title=HOSTILE).read_text(encoding="utf8")
    assert HOSTILE not in text and "<img" not in text.split('<script type="module">')[0]
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


def test_gltf_says_the_same_as_text_and_as_binary(tmp_path):
    shown = explorer(mode="height")
    text = json.loads(shown.save_gltf(tmp_path / "x.gltf").read_text())
    data = base64.b64decode(text["buffers"][0]["uri"].split(",")[1])
    binary = shown.save_gltf(tmp_path / "x.glb").read_bytes()
    magic, version, size = struct.unpack("<4sII", binary[:12])
    assert (magic, version, size) == (b"glTF", 2, len(binary)) and binary.endswith(data)
    points = shown.content.keyframes[0].points.numpy()
    x, y, z = np.frombuffer(data[: 12 * 900], "<f4").reshape(-1, 3).T
    np.testing.assert_array_equal(np.c_[x, -z, y], points)  # y up in glTF
    colours = np.frombuffer(data[12 * 900 :], np.uint8).reshape(-1, 4)
    np.testing.assert_array_equal(colours[:, :3], colours_of(shown)[0])
    assert text["meshes"][0]["primitives"][0]["mode"] == 0  # points


def test_grids_of_several_maps_are_read_at_the_finest_ones_cells():
    from kit.teacher.feature_maps import FeatureMaps

    coarse, fine = torch.zeros(1, 40, 2, 4), torch.zeros(1, 8, 4, 8)
    coarse[:, 0], fine[:, 0] = 1, 1
    fine[0, :, 1, 6] = torch.eye(8)[3] * 2
    grids = FeatureMaps((coarse, fine), (64, 128))
    shown = explorer(grids={"CAM_FRONT": grids})
    (front, right) = shown.setup["header"]["cameras"]
    assert front["grid"] == [4, 8] and "grid" not in right
    channels = shown.content.packings["teacher"].channels
    assert shown.setup["header"]["arrays"]["grid/0/direction"]["count"] == 4 * 8 * channels
    cells = cells_of(grids)  # each map at unit length, as the teacher's features of points are
    assert cells.shape == (48, 4, 8) and cells[0].allclose(torch.ones(4, 8))
    assert cells[40:, 0, 0].norm() == pytest.approx(1, abs=1e-6)


def test_ten_thousand_points_for_browsers_without_webgl2():
    page = fallback_page(explorer(mode="height"), max_points=100)
    assert "Plotly.newPlot" in page and "100 of 900 points" in page
