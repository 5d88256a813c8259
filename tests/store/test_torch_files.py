"""Files of torch.save: read in every form, never executed, and refused with the reason."""

import io
import os
import pickle
import random
import shutil
import tarfile
import warnings
import zipfile

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from kit.store import read_torch_file

CONTENT = {"model": {"weight": torch.arange(6.0).reshape(2, 3)}, "epoch": 3, "lr": [0.1]}


class Evil:
    """Creates a file when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch gotcha",)

    def __repr__(self):
        return "Evil()"


def archive(path, *files, mode="w:gz"):
    with tarfile.open(path, mode) as tar:
        for file in files:
            tar.add(file, f"logs/{file.name}")
    return path


@pytest.fixture
def file(tmp_path):
    torch.save(CONTENT, tmp_path / "a.pth")
    return tmp_path / "a.pth"


def same(content):
    return torch.equal(content["model"]["weight"], CONTENT["model"]["weight"]) and (
        content["epoch"],
        content["lr"],
    ) == (3, [0.1])


def test_both_formats_of_torch_save_are_read(tmp_path, file):
    torch.save(CONTENT, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert (tmp_path / "old.pt").read_bytes()[:1] == b"\x80" and file.read_bytes()[:2] == b"PK"
    assert same(read_torch_file(file)) and same(read_torch_file(tmp_path / "old.pt"))


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("ending", ["pth", "pt", "ckpt"])
def test_the_only_checkpoint_of_an_archive_is_read(tmp_path, file, mode, ending):
    (tmp_path / "readme.txt").write_text("no checkpoint")
    inside = file.rename(tmp_path / f"a.{ending}")
    path = archive(tmp_path / "a.tar.gz", tmp_path / "readme.txt", inside, mode=mode)
    inside.unlink()
    assert same(read_torch_file(path))
    assert {entry.name for entry in tmp_path.iterdir()} == {"readme.txt", "a.tar.gz"}


def test_an_archive_with_two_checkpoints_or_none_is_refused(tmp_path, file):
    (tmp_path / "b.pt").write_bytes(file.read_bytes())
    (tmp_path / "readme.txt").write_text("no checkpoint")
    two = archive(tmp_path / "two.tar.gz", file, tmp_path / "b.pt")
    with pytest.raises(ValueError, match=r"two\.tar\.gz: .* found logs/a.pth, logs/b.pt\. Unpack"):
        read_torch_file(two)
    none = archive(tmp_path / "none.tar.gz", tmp_path / "readme.txt")
    with pytest.raises(ValueError, match=r"none\.tar\.gz: expected one .* found none"):
        read_torch_file(none)


@pytest.mark.parametrize("form", ["zip", "old", "tar.gz"])
def test_a_file_with_code_is_refused_and_the_code_is_not_run(tmp_path, monkeypatch, form):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.pth"
    torch.save({"x": Evil()}, path, _use_new_zipfile_serialization=form != "old")
    if form == "tar.gz":
        path = archive(tmp_path / "evil.tar.gz", path)
    with pytest.raises(ValueError, match=f"{path.name}: holds Python objects.* could run code .*"):
        read_torch_file(path)
    assert not (tmp_path / "gotcha").exists()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<html>not found</html>", "it is a web page"),
        (b"\xef\xbb\xbf\n\n<!DOCTYPE html><html>404</html>", "it is a web page"),
        (b'{"error": "not found"}', "it is JSON, perhaps an error message"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (safetensors.torch.save({"x": torch.ones(2)}), "must be named .safetensors"),
        (pickle.dumps({"x": Evil()}, 0), "of another format"),
        (b"", "of another format"),
    ],
)
def test_files_of_other_formats_are_named(tmp_path, monkeypatch, data, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pth").write_bytes(data)
    with pytest.raises(ValueError, match=rf"a\.pth: expected a file of torch\.save, .*{words}"):
        read_torch_file(tmp_path / "a.pth")
    assert not (tmp_path / "gotcha").exists()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.pth: there is no such file"):
        read_torch_file(tmp_path / "gone.pth")


@pytest.mark.parametrize("form", ["zip", "old", "tar.gz"])
def test_a_file_that_is_cut_short_is_named(tmp_path, file, form):
    path = file
    if form == "old":
        torch.save(CONTENT, path, _use_new_zipfile_serialization=False)
    if form == "tar.gz":
        path = archive(tmp_path / "a.tar.gz", file)
    data = path.read_bytes()
    for length in range(0, len(data) - 12, 17):
        path.write_bytes(data[:length])
        if form == "tar.gz" and length > 0.8 * len(data):  # only the end of the archive is missing
            break
        with pytest.raises(ValueError, match=rf"{path.name}: "):
            read_torch_file(path)


def changed(data, count=None):
    """The bytes with one of them changed: every place, or `count` of them."""
    places = range(len(data)) if count is None else random.Random(0).sample(range(len(data)), count)
    for place in places:
        for change in (1, 0x80, 0xFF):
            yield data[:place] + bytes([data[place] ^ change]) + data[place + 1 :]


def unchanged_or_refused(path, wanted):
    """Read a file; whether it was refused. Other content than that wanted is an error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = read_torch_file(path)
    except ValueError as error:
        assert str(path) in str(error)
        return True
    assert wanted(content)
    return False


FORMS = ["zip", "zip in tar.gz", "old in tar.gz", "zip in zip"]  # all that have a checksum


def small_file(folder, form):
    path = folder / "a.pth"
    torch.save(CONTENT, path, _use_new_zipfile_serialization="old" not in form)
    if form.endswith("tar.gz"):
        return archive(folder / "a.tar.gz", path)
    if form == "zip in zip":
        with zipfile.ZipFile(folder / "a.zip", "w") as outer:
            outer.write(path, "logs/a.pth")
        return folder / "a.zip"
    return path


@pytest.mark.parametrize("form", FORMS)
def test_changed_bytes_are_found_or_change_nothing(tmp_path, form):
    path = small_file(tmp_path, form)
    data, refused = path.read_bytes(), 0
    for bad in changed(data, count=150):
        path.write_bytes(bad)
        refused += unchanged_or_refused(path, same)
    assert refused > 100


PLACES = 64  # the weights are a hundredth of the file


@given(
    form=st.sampled_from(FORMS), place=st.floats(0, 1, exclude_max=True), bits=st.integers(1, 255)
)
def test_any_byte_in_any_place_is_found_or_changes_nothing(tmp_path_factory, form, place, bits):
    folder = tmp_path_factory.mktemp("changed")
    path = small_file(folder, form)
    data = path.read_bytes()
    for each in range(PLACES):  # one byte at a time, in all parts of the file
        at = int((place + each / PLACES) % 1 * len(data))
        path.write_bytes(data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :])
        unchanged_or_refused(path, same)
    shutil.rmtree(folder)


def test_a_changed_weight_in_a_zip_is_found_at_every_byte(tmp_path):
    path, weight = tmp_path / "a.pth", torch.full((16,), 1.2345678)
    torch.save({"net": {"w": weight}}, path)
    data, pattern = path.read_bytes(), weight.numpy().tobytes()
    begin = data.index(pattern)
    for place in range(begin, begin + len(pattern)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        with pytest.raises(ValueError, match=r"a\.pth: damaged, a/data/0 in it is not"):
            read_torch_file(path)


def test_a_part_that_is_marked_as_a_folder_is_found(tmp_path, file):
    data = file.read_bytes()
    entry = data.index(b"a/data/0", data.index(b"PK\1\2")) - 46  # in the central directory
    assert data[entry : entry + 4] == b"PK\1\2" and data[entry + 38] == 0
    file.write_bytes(data[: entry + 38] + b"\x10" + data[entry + 39 :])  # the weights become zeros
    with pytest.raises(ValueError, match=r"a\.pth: damaged, a/data/0"):
        read_torch_file(file)


def test_files_that_macos_adds_do_not_count(tmp_path, file):
    metadata = tmp_path / "._a.pth"
    metadata.write_bytes(b"\x00\x05\x16\x07" + bytes(60))
    assert same(read_torch_file(archive(tmp_path / "a.tar.gz", metadata, file)))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as outer:
        outer.write(file, "logs/a.pth")
        outer.write(metadata, "__MACOSX/logs/._a.pth")
    assert same(read_torch_file(tmp_path / "a.zip"))
    with pytest.raises(ValueError, match=r"macOS's metadata .* without \._"):
        read_torch_file(metadata)


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda data: b"PK\3\4" + data))
def test_any_bytes_are_refused_with_the_name_of_the_file(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.pth"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"any\.pth"):
        read_torch_file(path)


def test_tensors_come_to_the_cpu(tmp_path):
    data = io.BytesIO()
    torch.save(torch.ones(3, device="meta"), data)
    (tmp_path / "meta.pth").write_bytes(data.getvalue())
    assert read_torch_file(tmp_path / "meta.pth").device.type in ("cpu", "meta")


def training_file():
    """What ScaLR saves while it trains: NumPy floats in the optimizer and in the schedule."""
    network = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(network.parameters(), lr=np.float64(2e-3))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: np.cos(step / 10.0))
    network(torch.ones(1, 2)).sum().backward()
    optimizer.step(), schedule.step()
    rate = optimizer.param_groups[0]["lr"]
    assert isinstance(rate, np.float64) and isinstance(schedule.get_last_lr()[0], np.float64)
    states = {"optim": optimizer.state_dict(), "scheduler": schedule.state_dict()}
    return {"net": network.state_dict(), **states}


@pytest.mark.parametrize("address", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_the_file_of_a_training_with_numpy_floats_is_read(tmp_path, address):
    content = training_file()
    torch.save(content, tmp_path / "ckpt_last.pth", _use_new_zipfile_serialization=False)
    data = (tmp_path / "ckpt_last.pth").read_bytes()
    assert b"cnumpy.core.multiarray\nscalar" in data
    data = data.replace(b"cnumpy.core.multiarray\n", f"c{address}\n".encode())
    (tmp_path / "ckpt_last.pth").write_bytes(data)  # as NumPy 1 or NumPy 2 writes it
    read = read_torch_file(tmp_path / "ckpt_last.pth")
    assert torch.equal(read["net"]["weight"], content["net"]["weight"])
    rate = content["optim"]["param_groups"][0]["lr"]
    assert read["optim"]["param_groups"][0]["lr"] == rate == read["scheduler"]["_last_lr"][0]


@pytest.mark.parametrize(
    "value",
    [
        np.float32(1),
        np.int64(1),
        np.array([1.0]),
        np.array([Evil()], dtype=object),
        np.float64,
        np.random.default_rng(),
        np.datetime64("2026-01-01"),
        np.dtype([("a", "f8")]),
    ],
    ids=str,
)
def test_everything_else_of_numpy_is_refused(tmp_path, monkeypatch, value):
    monkeypatch.chdir(tmp_path)
    torch.save({"net": {"weight": torch.ones(1)}, "other": value}, "file.pth")
    with pytest.raises(ValueError, match="file.pth"):
        read_torch_file("file.pth")
    assert not any("gotcha" in path.name for path in tmp_path.iterdir())


def test_nothing_stays_allowed_after_a_file_was_read(tmp_path):
    torch.save({"lr": np.float64(1)}, tmp_path / "file.pth")
    before = set(torch.serialization.get_safe_globals())
    assert read_torch_file(tmp_path / "file.pth") == {"lr": 1.0}
    assert set(torch.serialization.get_safe_globals()) == before and np.dtype not in before
