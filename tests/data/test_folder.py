import json

import jsonschema
import numpy as np
import pytest
import small_layouts
import torch
from own_recording import NAMES, SIZE, K, T, picture, rows, write_labelled, write_recording

import kit
from kit.__main__ import main
from kit.data.folder.description import SCHEMA
from kit.data.folder.propose import propose
from kit.data.keyframe import Dataset
from kit.lens import BrownConrady
from kit.student.waffleiron.config import WaffleIronConfig
from kit.student.waffleiron.model import WaffleIron

LIDAR = {"files": "lidar", "columns": list(NAMES)}
FRONT = {"images": "images/front", "K": K, "T_cam_lidar": T}


def true_pixels(points, T=T):
    """Independent: column, row and whether they are visible."""
    cam = points.astype(np.float64) @ np.array(T)[:3, :3].T + np.array(T)[:3, 3]
    u, v = (cam @ np.array(K).T)[:, :2].T / cam[:, 2]
    seen = (cam[:, 2] > 1) & (u > 0) & (u < SIZE[1] - 1) & (v > 0) & (v < SIZE[0] - 1)
    return np.stack([u, v], 1), seen


def poses(speed=10.0, count=3, interval=0.1):
    """The car drives along y, the lidar's forward axis."""
    made = np.tile(np.eye(4), (count, 1, 1))
    made[:, 1, 3] = speed * interval * np.arange(count)
    return made


def write_poses(root, made):
    lines = [" ".join(map(str, pose[:3].ravel())) for pose in made]
    (root / "poses.txt").write_text("\n".join(lines))


def test_a_folder_gives_the_same_pairs_as_an_independent_projection(tmp_path):
    dataset = kit.open_dataset(write_recording(tmp_path / "drive"))
    assert isinstance(dataset, Dataset) and dataset.tokens == ["000", "001", "002"]
    assert dataset.name == "drive" and set(dataset.scenes) == {"drive"}
    for number in range(3):
        keyframe = dataset[number]
        assert np.array_equal(keyframe.points, rows(number)[:, :3])
        assert np.array_equal(keyframe.intensity, rows(number)[:, 3])
        assert np.array_equal(keyframe.cameras["front"].pixels(), np.asarray(picture(number)))
        pairs = kit.find_pairs(keyframe.points, keyframe.cameras)
        uv, seen = true_pixels(rows(number)[:, :3])
        assert pairs.point.tolist() == seen.nonzero()[0].tolist()
        assert np.abs(pairs.uv.numpy() - uv[seen]).max() < 1e-3
    values = np.concatenate([rows(number)[:, 3] for number in range(3)])
    assert dataset.sensor.intensity_mean == pytest.approx(values.mean(), rel=1e-5)


def test_the_lens_of_a_camera_is_read(tmp_path):
    distortion = {"model": "radtan", "coefficients": [-0.3, 0.1, 0, 0]}
    root = write_recording(tmp_path, cameras={"front": FRONT | {"distortion": distortion}})
    assert kit.open_dataset(root)[0].cameras["front"].lens == BrownConrady(-0.3, 0.1)


def test_images_are_matched_by_name_index_or_time(tmp_path):
    names = ["1000.00", "1000.10", "1000.20"]
    root = write_recording(tmp_path / "a", names=names)
    (root / "images/front/1000.10.png").unlink()
    dataset = kit.open_dataset(root)
    assert [list(each.cameras) for each in dataset] == [["front"], [], ["front"]]
    assert "1 images" in repr(dataset)

    for number, name in enumerate(names):  # taken 20 ms later
        old = root / f"images/front/{name}.png"
        old.unlink(missing_ok=True)
        picture(number).save(root / f"images/front/1000.{number}2.png")
    described = json.loads((root / "recording.json").read_text())
    with pytest.raises(ValueError, match=r"images/front: no image has the name.*match to .index"):
        kit.open_dataset(root)
    (root / "recording.json").write_text(json.dumps(described | {"match": "index"}))
    assert np.array_equal(image_of(kit.open_dataset(root)[2]), np.asarray(picture(2)))

    stamped = described | {"match": "time", "time_unit": "s", "max_gap": 0.03}
    for each in (stamped["lidar"], stamped["cameras"]["front"]):
        each["timestamps"] = "file names"
    (root / "recording.json").write_text(json.dumps(stamped))
    (root / "images/front/1000.12.png").unlink()
    dataset = kit.open_dataset(root)
    assert [list(each.cameras) for each in dataset] == [["front"], [], ["front"]]
    assert np.array_equal(image_of(dataset[2]), np.asarray(picture(2)))
    assert [each.timestamp for each in dataset] == [1_000_000_000, 1_000_100_000, 1_000_200_000]


SINCE_1970 = 1_700_000_000


@pytest.mark.parametrize(
    ("lines", "unit", "expected"),
    [
        # As numpy.savetxt writes them by default: float64 has steps of 0.24 us here.
        ([f"{SINCE_1970 + 0.1 * n:.18e}" for n in range(3)], "s", [0, 100_000, 200_000]),
        (
            [f"{float(10**9 * SINCE_1970 + 10**8 * n):.18e}" for n in range(3)],
            "ns",
            [0, 10**5, 2 * 10**5],
        ),
        ([f"{SINCE_1970}.{n}00000999" for n in range(3)], "s", [1, 100_001, 200_001]),
        ([f"{SINCE_1970}{n}00000999" for n in range(3)], "ns", [0, 100_000, 200_000]),
        (["0.000000e+00", "1.000000e-01", "2.000000e-01"], "s", None),
    ],
)
def test_time_stamps_are_read_as_numpy_writes_them(tmp_path, lines, unit, expected):
    root = write_recording(tmp_path, lidar=LIDAR | {"timestamps": "times.txt"}, time_unit=unit)
    (root / "times.txt").write_text("# seconds\n\n" + "\n  # more\n".join(lines) + "\n\n")
    start = 0 if expected is None else 10**6 * SINCE_1970
    found = [each.timestamp - start for each in kit.open_dataset(root)]
    assert found == (expected or [0, 100_000, 200_000])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1.7000000e+09", r"written in steps of 100 s\. Write all digits"),
        ("1.700000001e+09", "written in steps of 1 s"),
        ("-1.0", "expected a time stamp of 0 or more, got '-1.0'"),
        ("1,700", "expected a time stamp of 0 or more"),
        ("nan", "expected a time stamp of 0 or more"),
        ("1.000000000000000000e+99", "too large for its time_unit|written in steps"),
    ],
)
def test_lines_of_time_stamps_are_counted_as_editors_do(tmp_path, line, message):
    root = write_recording(tmp_path, lidar=LIDAR | {"timestamps": "times.txt"}, time_unit="s")
    (root / "times.txt").write_text(f"# seconds\n\n1\n2\n# the last\n{line}\n")
    with pytest.raises(ValueError, match=f"times.txt: line 6: .*{message}"):
        kit.open_dataset(root)


def test_lines_of_poses_are_counted_as_editors_do(tmp_path):
    root = write_recording(tmp_path, poses="poses.txt")
    row = "1 0 0 0 0 1 0 0 0 0 1 0"
    (root / "poses.txt").write_text(f"# poses\n\n{row}\n{row[:-2]}\n{row}\n")
    with pytest.raises(ValueError, match="poses.txt: line 4: expected 12 numbers, got 11"):
        kit.open_dataset(root)


def test_two_images_or_labels_of_one_name_are_refused(tmp_path):
    root = write_recording(tmp_path / "a")
    picture(7).save(root / "images/front/001.jpg")
    with pytest.raises(ValueError, match="images/front: two images are named 001: 001.* and 001"):
        kit.open_dataset(root)
    root = write_labelled(tmp_path / "b", 400)
    np.save(root / "labels/000.npy", np.zeros(400, np.uint8))
    with pytest.raises(ValueError, match="labels.files: two label files are named 000"):
        kit.open_dataset(root)


def test_poses_without_time_stamps_leave_the_times_of_sweeps_unknown(tmp_path):
    root = write_recording(tmp_path, poses="poses.txt")
    write_poses(root, poses())
    joined = kit.accumulate(kit.open_dataset(root), 2, 2)
    assert len(joined.points) == 1200 and joined.time is None


def image_of(keyframe):
    return keyframe.cameras["front"].pixels()


def test_the_motion_between_scan_and_image_is_in_the_extrinsics(tmp_path):
    root = write_recording(tmp_path, names=["100", "200", "300"])  # ms
    for number in range(3):
        (root / f"images/front/{number + 1}00.png").unlink()
        picture(number).save(root / f"images/front/{number + 1}40.png")  # 40 ms later
    write_poses(root, poses())
    content = json.loads((root / "recording.json").read_text())
    content |= {"match": "time", "time_unit": "ms", "poses": "poses.txt"}
    content["lidar"]["timestamps"] = content["cameras"]["front"]["timestamps"] = "file names"
    (root / "recording.json").write_text(json.dumps(content))
    dataset = kit.open_dataset(root)
    for index, keyframe in enumerate(dataset):
        # 10 m/s for 40 ms: the camera is 0.4 m nearer to what is ahead
        expected = np.array(T)
        expected[2, 3] -= 0.4
        assert np.allclose(keyframe.cameras["front"].T_cam_lidar, expected)
        assert np.allclose(keyframe.T_global_lidar, poses()[index])
    joined = kit.accumulate(dataset, 2, 1)  # the poses are those of sweeps, too
    earlier = joined.points[len(dataset[2].points) :].numpy()
    assert np.allclose(earlier, rows(1)[:, :3] - [0, 1, 0], atol=1e-4)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_time_stamps_come_from_a_text_file_in_any_unit(tmp_path, unit):
    factor = {"s": 1, "ms": 1000, "us": 10**6, "ns": 10**9}[unit]
    root = write_recording(tmp_path, lidar=LIDAR | {"timestamps": "t.txt"}, time_unit=unit)
    stamps = [1_700_000_000, 1_700_000_001, 1_700_000_003]
    (root / "t.txt").write_text("# seconds\n" + "\n".join(str(t * factor) for t in stamps) + "\n")
    assert [each.timestamp for each in kit.open_dataset(root)] == [t * 10**6 for t in stamps]


def test_labels_come_from_files_or_a_column_with_a_class_map(tmp_path):
    classes = {"0": None, "10": "car", "252": "car", "40": "road"}
    ids = np.array([0, 10, 252, 40] * 100, np.uint32)
    for name, change in {
        "label": lambda file: (ids | (7 << 16)).tofile(file.with_suffix(".label")),
        "npy": lambda file: np.save(file.with_suffix(".npy"), ids.astype(np.int16)),
    }.items():
        entry = {"files": "labels", "classes": classes, "dtype": "uint32", "mask": 65535}
        root = write_recording(tmp_path / name, labels=entry)
        (root / "labels").mkdir()
        change(root / "labels/001")
        dataset = kit.open_dataset(root)
        assert dataset.has_labels and dataset.num_labelled == 1 and dataset[0].labels is None
        assert dataset.classes.names == ("car", "road")
        assert dataset[1].labels[:4].tolist() == [kit.IGNORE, 0, 0, 1]

    root = write_recording(
        tmp_path / "column",
        lidar={"files": "points"},
        cameras=None,
        labels={"column": "Label", "classes": classes},
    )
    (root / "points").mkdir()
    points = rows().copy()
    points[2, 0] = np.nan
    columns = dict(zip(NAMES, points.T, strict=True))
    np.savez(root / "points/a.npz", **columns, label=ids.astype(np.int64))
    keyframe = kit.open_dataset(root)[0]
    assert keyframe.labels[:3].tolist() == [kit.IGNORE, 0, 1] and keyframe.num_dropped == 1


def test_one_scan_with_one_photo_needs_no_folders(tmp_path):
    np.savez(tmp_path / "scan.npz", points=rows()[:, :3], intensity=rows()[:, 3])
    picture().save(tmp_path / "photo.jpg")
    front = {"images": "photo.jpg", "K": K, "T_cam_lidar": T}
    content = {"lidar": {"files": "scan.npz"}, "cameras": {"front": front}}
    (tmp_path / "recording.json").write_text(json.dumps(content))
    for source in (tmp_path, tmp_path / "recording.json"):
        (keyframe,) = kit.open_dataset(source)
        assert len(kit.find_pairs(keyframe.points, keyframe.cameras)) > 100


def test_a_recording_distils(tmp_path):
    dataset = kit.open_dataset(write_recording(tmp_path, count=1))
    teacher = kit.build_teacher(image_size=(64, 96))
    student = WaffleIron(WaffleIronConfig(2, 8, head=(teacher.dim,)))
    settings = kit.DistillConfig(steps=2, batch_size=1)
    run = kit.distill(dataset, teacher, student, settings, keyframes=[0])
    assert len(kit.extract(run.student, dataset[0]).feat) == 400


def camera(**changes):
    return {"cameras": {"front": FRONT | changes}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lidar": None}, "the file: 'lidar' is a required property"),
        ({"lidars": {}}, "the file: .*'lidars' was unexpected"),
        ({"lidar": []}, r"lidar: expected an object with the files of the scans, got \[\]"),
        ({"lidar": {"files": "../other"}}, "lidar.files: expected a path below"),
        ({"lidar": {"files": "/etc"}}, "lidar.files: expected a path below"),
        ({"lidar": LIDAR | {"columns": ["x", "y"]}}, "lidar.columns: expected the names"),
        ({"lidar": LIDAR | {"columns": ["x", "y", "w"]}}, "lidar.columns: .*x, y and z"),
        ({"lidar": LIDAR | {"dtype": "float"}}, "lidar.dtype: expected one of float16"),
        (camera(K=[[1, 2], [3, 4]]), "cameras.front.K: expected three rows of three numbers"),
        (camera(K=np.array(K).T.tolist()), "cameras.front.K must end in .*transposed"),
        (camera(T_cam_lidar=K), "cameras.front.T_cam_lidar: expected four rows"),
        (camera(T_cam_lidar=np.array(T).T.tolist()), "front.T_cam_lidar must end in .*transposed"),
        (camera(distortion={"model": "fish"}), "cameras.front.distortion model: expected one of"),
        (camera(distortion=[0.1]), "cameras.front.distortion: expected {"),
        (camera(focal=80), "cameras.front: .*'focal' was unexpected"),
        ({"cameras": {"a/b": FRONT}}, "cameras.a/b: expected a name"),
        ({"match": "nearest"}, "match: expected how images belong to scans"),
        ({"match": "time"}, "needs timestamps of the lidar and of every camera"),
        ({"lidar": LIDAR | {"timestamps": "file names"}}, "time_unit: expected"),
        ({"labels": {"classes": {"0": "car"}}}, "labels: expected either files or column"),
        (
            {"labels": {"files": "lidar", "classes": {"car": "0"}}},
            "labels.classes: .*does not match",
        ),
        ({"labels": {"files": "lidar", "classes": {"0": None}}}, "1 to 255 names"),
    ],
)
def test_a_fault_in_the_description_is_named_with_its_field(tmp_path, changes, message):
    root = write_recording(tmp_path, **changes)
    with pytest.raises(ValueError, match=rf"recording.json: .*{message}"):
        kit.open_dataset(root)


@pytest.mark.parametrize("text", ["", "[1, 2", "null", '{"lidar": NaN}', "\xff", "[" * 100_000])
def test_what_is_no_description_is_refused(tmp_path, text):
    (tmp_path / "recording.json").write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match="recording.json: "):
        kit.open_dataset(tmp_path)


def test_files_that_do_not_belong_together_are_named(tmp_path):
    root = write_recording(tmp_path / "a", match="index")
    (root / "images/front/001.png").unlink()
    with pytest.raises(ValueError, match="images/front: .*got 2 images and 3 scans"):
        kit.open_dataset(root)
    root = write_recording(tmp_path / "b", poses="poses.txt")
    write_poses(root, poses(count=2))
    with pytest.raises(ValueError, match="poses.txt: 2 poses for 3 scans"):
        kit.open_dataset(root)
    scaled = poses()
    scaled[1, :3, :3] *= 2
    write_poses(root, scaled)
    with pytest.raises(ValueError, match="poses.txt: pose 2: .*T_global_lidar is not a rigid"):
        kit.open_dataset(root)
    root = write_recording(tmp_path / "c", lidar={"files": "images", "columns": list(NAMES)})
    with pytest.raises(FileNotFoundError, match="images: there is no file of the expected kind"):
        kit.open_dataset(root)
    root = write_labelled(tmp_path / "d", 7)
    with pytest.raises(ValueError, match=r"000.label: labels of the shape \(7,\).*the 400 points"):
        kit.open_dataset(root)[0]


def test_K_of_another_image_size_is_named_with_the_image(tmp_path):
    big = np.diag([3.0, 3, 1]) @ np.array(K)
    root = write_recording(tmp_path, **camera(K=big.tolist()))
    with pytest.raises(ValueError, match="recording.json: K of front.*another image size.*000.png"):
        kit.open_dataset(root)[0]


def test_init_recording_writes_a_first_description_and_never_overwrites(tmp_path, capsys):
    root = write_recording(tmp_path)
    (root / "recording.json").unlink()
    assert main(["init-recording", str(root)]) == 0
    told = capsys.readouterr().out
    assert "3 point files in lidar/" in told and "Fill in K" in told
    content = json.loads((root / "recording.json").read_text())
    jsonschema.validate(content, json.loads(SCHEMA.read_text()))
    assert content["lidar"] == LIDAR | {"dtype": "float32"} and content["match"] == "name"
    dataset = kit.open_dataset(root)
    assert np.array_equal(dataset[0].points, rows(0)[:, :3]) and not dataset[0].cameras
    assert "1 cameras without K or T_cam_lidar" in repr(dataset)
    content["cameras"]["front"] |= {"K": K, "T_cam_lidar": T}
    (root / "recording.json").write_text(json.dumps(content))
    assert list(kit.open_dataset(root)[0].cameras) == ["front"]
    before = (root / "recording.json").read_text()
    assert main(["init-recording", str(root)]) == 1
    assert "not overwritten" in capsys.readouterr().err
    assert (root / "recording.json").read_text() == before


@pytest.mark.parametrize(
    ("option", "value", "field"),
    [
        ("columns", list(NAMES), "lidar.columns"),
        ("dtype", "float64", "lidar.dtype"),
        ("dtype", "float32", "lidar.dtype"),
        ("intensity", "ambient", "lidar.intensity"),
        ("time", "t", "lidar.point_times.column"),
        ("time_unit", "us", "lidar.point_times.unit"),
    ],
)
def test_an_option_that_a_folder_would_ignore_says_where_to_write_it(
    tmp_path, option, value, field
):
    root = write_recording(tmp_path)
    for source in (root, root / "recording.json"):
        with pytest.raises(ValueError, match=rf"{option}=.*write {field} into .*recording.json"):
            kit.open_dataset(source, **{option: value})
    fields = json.loads(SCHEMA.read_text())["properties"]["lidar"]["properties"]
    for part in field.split(".")[1:]:
        fields = fields[part].get("properties", {})  # KeyError: the schema has no such field


def test_the_type_of_numbers_is_an_option_of_bin_files_only(tmp_path):
    np.save(tmp_path / "a.npy", rows()[:, :3])
    with pytest.raises(ValueError, match="dtype: .*a.npy tells its types"):
        kit.open_dataset(tmp_path / "a.npy", dtype="float64")


def test_init_recording_sees_other_layouts(tmp_path, capsys):
    (tmp_path / "scans").mkdir()
    for number in range(2):
        wide = np.column_stack([rows(number), rows(number)[:, :2]]).astype("<f8")
        wide.tofile(tmp_path / f"scans/{number}.bin")
    for name in ("left", "right"):
        (tmp_path / f"cams/{name}/data").mkdir(parents=True)
        for number in range(2):
            picture(number).save(tmp_path / f"cams/{name}/data/img{number}.jpg")
    assert main(["init-recording", str(tmp_path)]) == 0
    content = json.loads((tmp_path / "recording.json").read_text())
    assert content["lidar"]["dtype"] == "float64" and len(content["lidar"]["columns"]) == 6
    assert list(content["cameras"]) == ["left", "right"] and content["match"] == "index"
    assert content["cameras"]["left"]["images"] == "cams/left/data"
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="init-recording FOLDER"):
        kit.open_dataset(tmp_path / "empty")
    assert main(["init-recording", str(tmp_path / "empty")]) == 1
    assert "no point file" in capsys.readouterr().err


@pytest.mark.parametrize("lidar", ["points", "velodyne_points_all", "labelled/x"])
@pytest.mark.parametrize("labels", ["labels", "semantic_labels/classes", "lidarseg"])
def test_init_recording_proposes_no_labels_as_lidar(tmp_path, lidar, labels):
    for folder, kind in ((lidar, np.float32), (labels, np.uint8)):
        (tmp_path / folder).mkdir(parents=True)
        for number in range(3):
            rows(number).astype(kind).tofile(tmp_path / folder / f"{number}.bin")
    content, notes = propose(tmp_path)
    assert content["lidar"]["files"] == lidar
    assert f"not used: 3 point files in {labels}/" in notes


def test_init_recording_gives_every_folder_of_images_a_camera(tmp_path):
    np.save(tmp_path / "0.npy", rows()[:, :3])
    folders = ["a_b/c", "a/b_c", "x/c"]  # the last parts, and a_b_c, are not unique
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
        picture().save(tmp_path / folder / "0.png")
    cameras = propose(tmp_path)[0]["cameras"]
    assert sorted(each["images"] for each in cameras.values()) == sorted(folders)


def test_init_recording_refuses_a_folder_with_nothing_but_labels(tmp_path):
    (tmp_path / "labels").mkdir()
    np.zeros(9, np.uint8).tofile(tmp_path / "labels/0.bin")
    with pytest.raises(FileNotFoundError, match="folders named like labels are left out"):
        propose(tmp_path)


def test_init_recording_says_that_a_folder_is_a_known_format(tmp_path, capsys):
    root = small_layouts.write_sequences(tmp_path / "drive")
    assert type(kit.open_dataset(root)).__name__ == "SemanticKitti"
    assert main(["init-recording", str(root)]) == 0
    told = capsys.readouterr().out
    assert "opens already, without recording.json, as semantickitti" in told
    content = json.loads((root / "recording.json").read_text())
    assert content["lidar"]["files"].endswith("velodyne")
    assert type(kit.open_dataset(root)).__name__ == "FolderRecording"
    (root / "recording.json").unlink()
    assert type(kit.open_dataset(root)).__name__ == "SemanticKitti"


def test_the_schema_is_valid_and_every_field_has_a_description():
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)

    def check(fields):
        for name, field in fields.items():
            assert "description" in field or "$ref" in field, name
            check(field.get("properties", {}))

    check(schema["properties"])


def test_poses_of_a_recording_are_finite_tensors(tmp_path):
    root = write_recording(tmp_path, poses="poses.txt")
    write_poses(root, poses())
    assert torch.equal(kit.open_dataset(root)[1].T_global_lidar, torch.from_numpy(poses()[1]))


def kitti_calibration(file):
    """K and T_cam_lidar of the left colour camera, by numpy: P2 @ R0_rect @ Tr_velo_to_cam."""
    lines = (line.split(":") for line in file.read_text().splitlines() if ":" in line)
    found = {name: np.array(values.split(), float) for name, values in lines}
    rect, velo, P = np.eye(4), np.eye(4), found["P2"].reshape(3, 4)
    rect[:3, :3] = found["R0_rect"].reshape(3, 3)
    velo[:3] = found["Tr_velo_to_cam"].reshape(3, 4)
    shift = np.eye(4)
    shift[:3, 3] = np.linalg.solve(P[:, :3], P[:, 3])
    return P[:, :3], shift @ rect @ velo


def test_a_kitti_scan_is_read_as_kittis_own_reader_does(shared_data, tmp_path):
    root = shared_data / "kitti"
    theirs = kit.open_dataset(root)
    for number, expected in enumerate(theirs):
        name = expected.token.removeprefix("training_")
        folder = tmp_path / name
        folder.mkdir()
        (folder / "scan.bin").symlink_to(root / f"training/velodyne/{name}.bin")
        image = theirs.frames[number].images["image_2"]
        photo = f"photo{(root / 'training' / image).suffix}"
        (folder / photo).symlink_to(root / "training" / image)
        K, T = kitti_calibration(root / f"training/calib/{name}.txt")
        front = {"images": photo, "K": K.tolist(), "T_cam_lidar": T.tolist()}
        lidar = {"files": "scan.bin", "columns": list(NAMES)}
        content = {"lidar": lidar, "cameras": {"image_2": front}}
        (folder / "recording.json").write_text(json.dumps(content))
        keyframe = kit.open_dataset(folder)[0]
        assert torch.equal(keyframe.points, expected.points)
        assert torch.equal(keyframe.intensity, expected.intensity)
        pairs = kit.find_pairs(keyframe.points, keyframe.cameras)
        own = kit.find_pairs(expected.points, {"image_2": expected.cameras["image_2"]})
        assert torch.equal(pairs.point, own.point) and len(pairs) > 10_000
        assert (pairs.uv - own.uv).abs().max() < 1e-2
