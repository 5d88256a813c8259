"""What all formats of recordings have in common: recognition, partial downloads, use."""

import pickle
import time

import pytest
import small_layouts as small
import torch

import kit
from kit.data import FORMATS, open_dataset
from kit.data.pandaset import T_EGO_LIDAR
from kit.data.recording import FilesOnDisk, Recording, spaced

WRITERS = {
    "KittiObjects": small.write_kitti,
    "KittiRaw": small.write_raw,
    "SemanticKitti": small.write_sequences,
    "Rellis3D": lambda root: small.write_sequences(root, ids=(3, 4), name=""),
    "PandaSet": lambda root: small.write_pandaset(root, T_EGO_LIDAR.numpy()),
    "Argoverse2": small.write_argoverse2,
}


@pytest.fixture(params=WRITERS)
def written(request, tmp_path):
    """The name of a format, and a small root of it."""
    return request.param, WRITERS[request.param](tmp_path / "a data set")


def test_each_is_recognised_and_read_by_its_path_alone(written):
    name, root = written
    dataset = open_dataset(root)
    assert type(dataset).__name__ == name and isinstance(dataset, Recording)
    assert len(set(dataset.tokens)) == len(dataset) >= 2
    for keyframe in dataset:
        assert len(keyframe.cameras) == 1 and keyframe.sensor == dataset.sensor
        assert len(kit.find_pairs(keyframe.points, keyframe.cameras)) > 20
    text = repr(dataset)
    assert text.startswith(f"{name} ") and "missing    nothing" in text


def test_worker_processes_get_a_small_copy(written):
    _, root = written
    dataset = open_dataset(root)
    dataset[0]
    data = pickle.dumps(dataset)
    copy = pickle.loads(data)
    assert len(data) < 5000 and torch.equal(copy[-1].points, dataset[len(dataset) - 1].points)
    assert copy.content() == dataset.content()
    with pytest.raises(IndexError, match=f"which has {len(dataset)}"):
        copy[len(copy)]


def test_the_content_tells_two_recordings_apart(written, tmp_path):
    name, root = written
    before = open_dataset(root).content()
    other = open_dataset(WRITERS[name](tmp_path / "other"))
    if name != "PandaSet":  # gzip stores the time of writing
        assert other.content() == before
    scan = other.root / other.frames[0].scan
    scan.write_bytes(scan.read_bytes()[:-16] + bytes(16))
    assert other.content() != before


def test_every_format_says_what_it_looks_for_and_where_one_is(tmp_path):
    (tmp_path / "nothing").mkdir()
    with pytest.raises(FileNotFoundError) as error:
        open_dataset(tmp_path / "nothing")
    assert all(f"{name}: " in str(error.value) for name in FORMATS)
    root = small.write_kitti(tmp_path / "downloads/kitti", frames=1)
    with pytest.raises(FileNotFoundError, match=r"Did you mean .*downloads/kitti \(kitti\)"):
        open_dataset(tmp_path / "downloads")
    with pytest.raises(FileNotFoundError, match=r"Did you mean .*/training \(kitti\)"):
        open_dataset(root / "training/velodyne")


def test_the_metadata_of_another_program_makes_no_bag(written):
    """Nor does a single file of a bag in the root of another data set."""
    name, root = written
    for text in ("author: someone", "[]", "{", ""):
        (root / "metadata.yaml").write_text(text)
        assert type(open_dataset(root)).__name__ == name
    (root / "drive.mcap").write_bytes(b"")
    assert type(open_dataset(root)).__name__ == name


def test_a_folder_with_metadata_of_another_program_is_not_recognised(tmp_path):
    (tmp_path / "metadata.yaml").write_text("author: someone")
    with pytest.raises(FileNotFoundError, match="not recognised.*of rosbag2"):
        open_dataset(tmp_path)
    (tmp_path / "metadata.yaml").write_text("rosbag2_bagfile_information: 7")
    with pytest.raises(ValueError, match="metadata.yaml: no description of a ROS 2 bag"):
        open_dataset(tmp_path)


def test_every_format_leaves_out_other_files(written):
    _, root = written
    count = len(open_dataset(root))
    folder = next(path.parent for path in sorted(root.rglob("*")) if path.suffix in SCANS)
    for name in (".hidden.bin", "notes.txt", "._a.feather", "Thumbs.db"):
        (folder / name).write_bytes(b"1")
    assert len(open_dataset(root)) == count


SCANS = (".bin", ".feather", ".gz")


def test_spaced_indices_include_both_ends():
    assert spaced(3) == [0, 1, 2] and spaced(100)[::7] == [0, 99] and len(spaced(100)) == 8
    assert spaced(1) == [0]


def test_files_on_disk_lists_missing_folders_as_empty(tmp_path):
    disk = FilesOnDisk(tmp_path)
    assert "a/b" not in disk and disk.names("a") == set()


@pytest.mark.parametrize(
    "name", ["kitti", "semantickitti", "rellis3d", "pandaset_native", "argoverse2"]
)
def test_real_samples_open_fast(shared_data, name):
    """Less than 1 s after imports; `python -m kit bench` is for exact times."""
    open_dataset(shared_data / name)  # imports
    start = time.perf_counter()
    dataset = open_dataset(shared_data / name)
    assert len(dataset) >= 1 and time.perf_counter() - start < 5  # with types checked, busy machine
