"""A street exported in the nuScenes schema, read back by nuscenes-devkit and by the kit."""

import re
import shutil
from collections import Counter

import numpy as np
import pytest
import torch
from nuscenes.eval.lidarseg.utils import LidarsegClassMapper
from nuscenes.nuscenes import NuScenes
from nuscenes.utils.color_map import get_colormap
from nuscenes.utils.data_classes import LidarPointCloud
from nuscenes.utils.geometry_utils import BoxVisibility, points_in_box, view_points
from roots import sensor_files

from kit import geometry, open_dataset
from kit.__main__ import main
from kit.data.classes import CATEGORIES
from kit.street.dataroot.tables import LIDAR, VERSION, make_tables, sample_data_of, token_of
from kit.street.dataroot.writer import beam_of_point, draw_map, write_dataroot
from kit.street.dataset import Street

SIZE = (56, 112)
OPTIONS = ("--scenes", "2", "--keyframes", "2", "--image-size", "56", "112")


@pytest.fixture(scope="module")
def street():
    return Street(2, 2, image_size=SIZE)


@pytest.fixture(scope="module")
def root(street, tmp_path_factory):
    root = tmp_path_factory.mktemp("street") / "root"
    write_dataroot(street, root)
    return root


@pytest.fixture(scope="module")
def tables(root):
    return NuScenes(VERSION, str(root), verbose=False)


@pytest.fixture
def copy(root, tmp_path):
    return shutil.copytree(root, tmp_path / "copy")


def annotated(street, tables):
    """Iterate over keyframes with their samples and their pairs of box and annotation."""
    for keyframe in street:
        sample = tables.get("sample", token_of(street, "sample", keyframe.token))
        pairs = []
        for box in keyframe.boxes:
            token = token_of(street, "annotation", keyframe.token, box.track)
            if token in sample["anns"]:
                pairs.append((box, tables.get("sample_annotation", token)))
        assert len(pairs) == len(sample["anns"])
        yield keyframe, sample, pairs


def files_of(root):
    return {path.relative_to(root): path for path in sorted(root.rglob("*")) if path.is_file()}


# Read by the devkit


def test_the_devkit_counts_what_was_written(street, tables):
    count = {name: len(getattr(tables, name)) for name in tables.table_names}
    boxes = sum(
        len(k.annotations.object_of_point.unique()) - 1 for k in (street[i] for i in range(4))
    )
    assert count.pop("instance") < count.pop("sample_annotation") == boxes
    assert count == {
        "category": 32, "attribute": 8, "visibility": 4, "sensor": 7, "calibrated_sensor": 7,
        "log": 2, "map": 2, "scene": 2, "sample": 4, "sample_data": 28, "ego_pose": 28,
        "lidarseg": 4,
    }  # fmt: skip
    assert [row["name"] for row in tables.scene] == ["street-s000", "street-s001"]
    assert all(len(sample["data"]) == 7 for sample in tables.sample)
    assert tables.lidarseg_idx2name_mapping == dict(
        enumerate(get_colormap())
    )  # in the devkit's order


def test_lists_and_statistics_of_the_devkit_run(street, tables, capsys):
    tables.list_scenes()
    tables.list_categories()
    tables.list_attributes()
    tables.list_sample(tables.sample[0]["token"])
    tables.list_lidarseg_categories()
    assert "street-s001" in capsys.readouterr().out
    tables.get_sample_lidarseg_stats(tables.sample[0]["token"])
    counts = re.findall(r" (\S+) +n= *([\d,]+)", capsys.readouterr().out)
    assert sum(int(n.replace(",", "")) for _, n in counts) == len(street[0].points)
    assert "flat.driveable_surface" in dict(counts) and "vehicle.car" in dict(counts)


def test_tokens_are_unique_and_refer_to_records(tables):
    for name in tables.table_names:
        tokens = [row["token"] for row in getattr(tables, name)]
        assert len(set(tokens)) == len(tokens)
        assert name == "visibility" or all(re.fullmatch("[0-9a-f]{32}", t) for t in tokens)
    for row in tables.sample_annotation:
        tables.get("visibility", row["visibility_token"])
        for token in row["attribute_tokens"]:
            tables.get("attribute", token)


@pytest.mark.parametrize("table", ["sample", "sample_data", "sample_annotation"])
def test_rows_are_linked_in_both_directions_of_time(tables, table):
    rows, linked = getattr(tables, table), 0
    for row in rows:
        if row["next"]:
            after, linked = tables.get(table, row["next"]), linked + 1
            assert after["prev"] == row["token"] and row["token"] != after["token"]
            same = {"sample": "scene_token", "sample_data": "channel"}.get(table, "instance_token")
            assert after[same] == row[same]
            if "timestamp" in row:
                assert after["timestamp"] - row["timestamp"] == 500_000
    ends = {"sample": 2, "sample_data": 14, "sample_annotation": len(tables.instance)}[table]
    assert linked == len(rows) - ends and sum(row["prev"] == "" for row in rows) == ends
    for row in tables.instance:
        first = tables.get("sample_annotation", row["first_annotation_token"])
        last = tables.get("sample_annotation", row["last_annotation_token"])
        assert first["prev"] == last["next"] == "" and 1 <= row["nbr_annotations"] <= 2


def test_box_poses_equal_those_of_the_street(street, tables):
    for _, sample, pairs in annotated(street, tables):
        _, boxes, _ = tables.get_sample_data(sample["data"][LIDAR])
        theirs = {box.token: box for box in boxes}
        for box, row in pairs:
            other, (length, width, height) = theirs[row["token"]], box.size
            assert np.abs(other.center - box.T_lidar_box[:3, 3].numpy()).max() < 1e-6
            assert np.abs(other.rotation_matrix - box.T_lidar_box[:3, :3].numpy()).max() < 1e-6
            assert other.wlh.tolist() == [width, length, height] and other.name == box.category


def test_boxes_contain_the_stated_number_of_points(street, tables):
    for keyframe, sample, pairs in annotated(street, tables):
        file, boxes, _ = tables.get_sample_data(sample["data"][LIDAR])
        points, theirs = LidarPointCloud.from_file(file).points[:3], {b.token: b for b in boxes}
        objects, counts = keyframe.annotations.object_of_point.numpy(), []
        for box, row in pairs:
            inside = points_in_box(theirs[row["token"]], points)
            assert abs(inside.sum() - row["num_lidar_pts"]) <= 2
            if box.category.startswith("vehicle."):
                counts.append(inside[objects == keyframe.boxes.index(box)].sum())
        on_vehicles = sum(
            keyframe.boxes[i].category.startswith("vehicle.") for i in objects if i >= 0
        )
        assert sum(counts) > 0.85 * on_vehicles > 1000  # others: range noise of 2 cm


def test_velocities_equal_those_of_the_street(street, tables):
    speeds = []
    for keyframe, _, pairs in annotated(street, tables):
        for box, row in pairs:
            velocity = tables.box_velocity(row["token"])
            if np.isfinite(velocity).all():
                ahead = (keyframe.T_global_lidar @ box.T_lidar_box)[:3, 0].numpy()
                assert np.abs(velocity - box.speed * ahead).max() < 0.1 * box.speed + 1e-6
                speeds.append(np.linalg.norm(velocity))
    assert len(speeds) > 100 and max(speeds) > 5


def test_projected_boxes_contain_the_pixels_of_their_objects(street, tables):
    checked = 0
    for keyframe, sample, pairs in annotated(street, tables):
        track_of = {row["token"]: keyframe.boxes.index(box) for box, row in pairs}
        for name in keyframe.cameras:
            everything = BoxVisibility.ANY
            _, boxes, K = tables.get_sample_data(sample["data"][name], box_vis_level=everything)
            shown = keyframe.annotations.pixels(name).objects
            for box in boxes:
                rows, columns = np.nonzero(shown == track_of[box.token])
                corners = box.corners()
                if len(rows) > 5 and corners[2].min() > 0.5:
                    u, v, _ = view_points(corners, K, normalize=True)
                    assert u.min() - 1 < columns.min() and columns.max() < u.max() + 1
                    assert v.min() - 1 < rows.min() and rows.max() < v.max() + 1
                    checked += 1
    assert checked > 50


def test_attributes_and_visibility_follow_the_exact_annotations(street, tables):
    seen, visibility = Counter(), Counter()
    for keyframe, _, pairs in annotated(street, tables):
        hidden = torch.stack(list(keyframe.annotations.hidden.values())).any(0)
        for box, row in pairs:
            names = [tables.get("attribute", t)["name"] for t in row["attribute_tokens"]]
            seen[(box.category.split(".")[-1], box.speed > 0, *names)] += 1
            level = tables.get("visibility", row["visibility_token"])["level"]
            low, high = map(int, level[1:].split("-"))
            mine = keyframe.annotations.object_of_point == keyframe.boxes.index(box)
            assert low - 1e-9 <= 100 * (1 - hidden[mine].double().mean()) <= high
            visibility[level] += 1
    assert seen["car", True, "vehicle.moving"] and seen["car", False, "vehicle.parked"]
    assert seen["bicycle", True, "cycle.with_rider"] and seen["adult", False, "pedestrian.standing"]
    assert seen["bicycle", False, "cycle.without_rider"] and seen["trafficcone", False]
    assert visibility["v80-100"] > visibility["v0-40"] > 0


def test_the_map_contains_the_path_of_the_car(street, tables):
    mask = tables.map[1]["mask"]
    poses = [p for p in tables.ego_pose if p["timestamp"] > 1_577_836_800_000_000 + 1_800_000_000]
    x, y, _ = np.array([pose["translation"] for pose in poses]).T
    assert len(poses) == 14 and mask.is_on_mask(x, y).all()
    scene = street.moments[2].draw_scene()
    for beyond, inside in ((-0.3, True), (0.3, False)):
        edge = np.array(scene.pose(0.0, scene.half + beyond)[:2]) + (1250, 870)
        assert mask.is_on_mask(*edge).item() is inside


# Read by the kit


def test_the_kit_reads_the_same_street(street, root):
    dataset = open_dataset(root)
    assert dataset.scenes == street.scenes and dataset.classes == street.classes
    assert dataset.tokens == [sample_data_of(street, i)[LIDAR]["token"] for i in range(4)]
    assert dataset.sensor.name == "nuscenes LIDAR_TOP, intensity measured on 4 keyframes"
    for mine, theirs in zip(street, dataset, strict=True):
        assert torch.equal(mine.points, theirs.points) and torch.equal(mine.labels, theirs.labels)
        assert torch.equal(mine.intensity, theirs.intensity) and theirs.num_dropped == 0
        assert (mine.T_global_lidar - theirs.T_global_lidar).abs().max() < 1e-9
        assert set(theirs.cameras) == set(mine.cameras)
        for name, camera in theirs.cameras.items():
            original = mine.cameras[name]
            assert (camera.T_cam_lidar - original.T_cam_lidar).abs().max() < 1e-6
            assert torch.equal(camera.K, original.K) and camera.image_size == SIZE
            assert (
                camera.image - original.image
            ).abs().mean() < 0.035  # JPEG of a small noisy image


def test_raw_labels_equal_the_categories_of_objects(street, root, tables):
    keyframe, token = street[0], sample_data_of(street, 0)[LIDAR]["token"]
    raw = np.fromfile(root / "lidarseg" / VERSION / f"{token}_lidarseg.bin", np.uint8)
    assert np.array_equal(LidarsegClassMapper(tables).convert_label(raw) - 1, keyframe.labels)
    objects, names = keyframe.annotations.object_of_point.numpy(), np.array(CATEGORIES)[raw]
    for index in np.unique(objects[objects >= 0]):
        assert set(names[objects == index]) == {keyframe.boxes[index].category}
    assert set(names[objects < 0]) <= {
        name for name in CATEGORIES if name[:5] in ("flat.", "stati")
    }


def test_rings_are_beams_from_the_lowest(street, root):
    up = np.radians([-10.0, 4.0, -2.0, 4.9, -30.0])
    points = torch.from_numpy(np.stack([0 * up, 7 * np.cos(up), 7 * np.sin(up)], 1)).float()
    assert beam_of_point(points, (5.0, -20.0, -10.0, -1.0)).tolist() == [1, 3, 2, 3, 0]
    rows = np.fromfile(sensor_files(root, LIDAR)[0], "<f4").reshape(-1, 5)
    assert len(np.unique(rows[:, 4])) > 25 and rows[:, 4].max() == 31
    far = np.hypot(*rows[:, :2].T) > 10
    up = np.degrees(np.arctan2(rows[:, 2], np.hypot(*rows[:, :2].T)))
    beam = np.array(street.rig.lidar.elevations)[rows[:, 4].astype(int)]
    assert np.abs(up - beam)[far].max() < 0.7  # half the angle between beams


# Contents of the folder


def test_only_missing_files_are_written_again(street, copy, capsys):
    before = {name: (f.read_bytes(), f.stat().st_mtime_ns) for name, f in files_of(copy).items()}
    sensor_files(copy, "CAM_BACK")[1].unlink()
    shutil.rmtree(copy / VERSION)  # as if interrupted
    write_dataroot(street, copy)
    assert "4 keyframes (1 new) in 2 scenes, 24 images" in capsys.readouterr().out
    after = files_of(copy)
    assert {name: f.read_bytes() for name, f in after.items()} == {
        n: b for n, (b, _) in before.items()
    }
    anew = {str(n) for n, f in after.items() if f.stat().st_mtime_ns != before[n][1]}
    kept = {name for name in map(str, after) if "s001" in name or "k00" in name or "maps" in name}
    assert not anew & kept and "street/street-s000-k01.json" in anew


def test_an_incomplete_folder_is_not_recognised(copy):
    shutil.rmtree(copy / VERSION)
    with pytest.raises(FileNotFoundError, match="not recognised"):
        open_dataset(copy)


def test_the_command_writes_the_same_bytes(root, tmp_path, capsys):
    assert main(["street", "--out", str(tmp_path / "new"), *OPTIONS]) == 0
    printed = capsys.readouterr().out
    assert f'kit.open_dataset("{tmp_path / "new"}")' in printed and "24 images" in printed
    ours, theirs = files_of(root), files_of(tmp_path / "new")
    assert ours.keys() == theirs.keys()
    assert all(path.read_bytes() == theirs[name].read_bytes() for name, path in ours.items())


def test_folders_with_other_files_raise_and_are_not_changed(root, tmp_path, capsys):
    def refused(folder, *options):
        before = files_of(folder).keys()
        assert main(["street", "--out", str(folder), *OPTIONS, *options]) == 1
        assert files_of(folder).keys() == before
        return capsys.readouterr().err

    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").touch()
    said = refused(tmp_path / "letters")
    assert (
        said.startswith(f"error: {tmp_path / 'letters'}: contains dear.txt")
        and "Choose a new" in said
    )
    (tmp_path / "paris" / "street").mkdir(parents=True)
    (tmp_path / "paris" / "street" / "cafe.jpg").touch()
    assert "contains cafe.jpg" in refused(tmp_path / "paris")
    assert "this is a file" in refused(tmp_path / "letters" / "dear.txt")
    for change in (("--seed", "1"), ("--keyframes", "3"), ("--sensor", "kitti")):
        said = refused(root, *change)
        assert "other settings" in said and "seed 0, nuscenes" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--image-size", "0", "5"), "height of image_size must be at least 1"),
        (("--sensor", "sonar"), "no sensor 'sonar'; there are nuscenes, pandaset, kitti"),
        (("--scenes", "0"), "num_scenes must be at least 1"),
        (("--seed", "-1"), "seed must not be negative"),
    ],
)
def test_invalid_arguments_give_one_line(tmp_path, capsys, options, words):
    assert main(["street", "--out", str(tmp_path / "new"), *options]) == 1
    assert re.match(f"error: .*{words}", capsys.readouterr().err)
    assert not (tmp_path / "new").exists()


def test_an_image_size_that_is_no_size_is_named(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["street", "--out", str(tmp_path / "new"), *OPTIONS, "--image-size", "wide", "5"])
    said = capsys.readouterr().err
    assert "--image-size" in said and "wide" in said
    assert not (tmp_path / "new").exists()


# Without rendering


@pytest.mark.parametrize("sensor", ["nuscenes", "pandaset", "kitti"])
def test_tables_contain_the_sensors_of_every_rig(sensor):
    street = Street(1, 2, image_size=None, sensor=sensor)
    tables = make_tables(street, [[], []])
    channels = [row["channel"] for row in tables["sensor"]]
    assert channels == [LIDAR, *street.rig.cameras]
    for channel, row in zip(channels, tables["calibrated_sensor"], strict=True):
        T = geometry.rigid_transform(row["rotation"], row["translation"]).numpy()
        if channel == LIDAR:
            assert np.abs(T - street.rig.T_ego_lidar).max() < 1e-12
        else:
            mount, shot = street.rig.cameras[channel], sample_data_of(street, 0)[channel]
            assert np.abs(T - mount.T_ego_cam).max() < 1e-12
            assert row["camera_intrinsic"] == mount.intrinsics(mount.size).tolist()
            assert (shot["height"], shot["width"]) == mount.size


def test_tokens_stay_the_same_and_differ_between_streets():
    assert sample_data_of(Street(1, 1), 0)[LIDAR]["token"] == "5bdb0a1822a31b0e3dfab5facac7de02"
    streets = [Street(1, 1), Street(1, 1, seed=1), Street(1, 1, sensor="kitti")]
    assert len({sample_data_of(street, 0)[LIDAR]["token"] for street in streets}) == 3


def test_maps_cover_long_scenes():
    moments = Street(1, 40).moments
    drawing = draw_map(moments)
    x, y = moments[-1].T_world_ego(np.zeros(1))[0, :2, 3] + (1250, 870)
    column, row = int(10 * x), int(drawing.height - 10 * y)
    assert drawing.mode == "L" and drawing.getpixel((column, row)) == 255
    assert min(row, drawing.width - column) > 570  # the devkit plots 40 m around the car, rotated
