"""Features in Parquet and LAS files: the same numbers, read by other libraries."""

import io
import sys

import numpy as np
import pytest
import torch

from kit import store
from kit.data import open_dataset
from kit.features.export import write_features
from kit.features.formats import convert_files
from kit.student.checkpoints import save_student
from kit.student.presets import build_student


@pytest.fixture
def files(tmp_path, monkeypatch):
    street = open_dataset("street", num_scenes=1, keyframes_per_scene=2, image_size=(28, 56))
    for module in ("export", "formats"):
        monkeypatch.setattr(f"kit.features.{module}.open_dataset", lambda _: street)
    save_student(build_student("wi-6-64", 5, depth=2, width=4), tmp_path / "student.safetensors")

    def write(**options):
        return write_features("street", tmp_path / "student.safetensors", tmp_path / "f", **options)

    return street, write


@pytest.mark.parametrize("half", [False, True])
def test_parquet_holds_positions_and_features(files, half):
    parquet = pytest.importorskip("pyarrow.parquet")
    street, write = files
    made = write(half=half)
    for index, file in enumerate(convert_files("street", made, "parquet")):
        table, keyframe = parquet.read_table(file), street[index]
        feat = store.load_tensors(made[index])[0]["point_feat"]
        assert feat.dtype == (torch.float16 if half else torch.float32)
        own = np.stack(table["point_feat"].to_numpy())
        assert own.dtype == feat.numpy().dtype and np.array_equal(own, feat.numpy())
        assert np.array_equal(table["x"].to_numpy(), keyframe.points[:, 0].numpy())
        assert table["valid"].to_numpy().all()
        text = {k.decode(): v.decode() for k, v in table.schema.metadata.items()}
        assert text["token"] == keyframe.token
        assert float(text["intensity_mean"]) == keyframe.sensor.intensity_mean


def test_las_holds_positions_and_features(files):
    laspy = pytest.importorskip("laspy")
    street, write = files
    made = write()
    (file, _) = convert_files("street", made, "las")
    read = laspy.read(io.BytesIO(file.read_bytes()))
    feat = store.load_tensors(made[0])[0]["point_feat"]
    assert np.allclose(read.xyz, street[0].points.numpy(), atol=1e-4)
    assert np.allclose(np.stack([read[f"f{i}"] for i in range(4)], 1), feat.numpy())


def test_half_precision_is_near_and_the_header_has_the_scale(files, tmp_path):
    street, write = files
    (first, _) = write(half=True)
    tensors, meta = store.load_tensors(first)
    assert meta["intensity_std"] == street[0].sensor.intensity_std
    with pytest.raises(ValueError, match="holds float16 features"):
        write()
    assert tensors["head_feat"].dtype == torch.float16


def test_an_unknown_format_is_named(files):
    with pytest.raises(ValueError, match="parquet, las, rrd"):
        convert_files("street", [], "xls")


def test_rerun_holds_points_colours_labels_and_cameras(files, tmp_path):
    pytest.importorskip("rerun", reason="writes rrd files: pip install rerun-sdk")
    reader = pytest.importorskip("rerun.dataframe", reason="reads rrd files, up to rerun-sdk 0.22")
    street, write = files
    first, second = convert_files("street", write(), "rrd")
    assert first.suffix == ".rrd" and first.read_bytes()[:4] == b"RRF2"
    for number, file in enumerate((first, second)):
        recording = reader.load_recording(file)
        table = recording.view(index="keyframe", contents="/**").select().read_all()
        row = {
            name: table[name].to_pylist()[-1] for name in table.column_names if "log" not in name
        }
        assert row["keyframe"] == number
        points = np.array(row["/lidar/features:Position3D"], dtype=np.float32)
        assert np.array_equal(points, street[number].points.numpy())
        colours = np.array(row["/lidar/features:Color"], dtype=np.uint32)
        assert len(colours) == len(points) and len(np.unique(colours)) > 100
        known = street[number].labels != 255
        assert len(row["/lidar/labels:ClassId"]) == int(known.sum())
        names = {key.split(":")[0] for key in row}
        assert {f"/lidar/{name}" for name in street[number].cameras} <= names


def test_without_rerun_the_message_says_what_to_install(files, monkeypatch):
    _, write = files
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(ImportError, match=r"lidar-distillation-kit\[rerun\]"):
        convert_files("street", write(), "rrd")
