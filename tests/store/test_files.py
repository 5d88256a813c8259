"""Files: complete or absent, checked, and never executed."""

import ast
import hashlib
import json
import os
import pickle
import random
import shutil
import stat
import subprocess
import warnings
from pathlib import Path
from urllib.parse import unquote

import pytest
import safetensors.torch
import torch
from hypothesis import example, given
from hypothesis import strategies as st

import kit
from kit import store
from kit.store import files
from kit.store.serialisation import parse_json_lines


def leftovers(folder: Path) -> list[Path]:
    return list(folder.rglob(f"*{store.PART}"))


def test_an_interruption_removes_the_temporary_file(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.write_bytes(tmp_path / "a", b"new")
    with pytest.raises(KeyboardInterrupt):
        store.save_tensors(tmp_path / "b", {})
    assert leftovers(tmp_path) == [] and not (tmp_path / "a").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"file/sub/a.json.*Check the folder"):
        store.write_json(tmp_path / "file" / "sub" / "a.json", 1)


@pytest.mark.parametrize("umask, mode", [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_new_files_follow_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        store.write_text(tmp_path / "deep" / "a.txt", "a")
        store.append_jsonl(tmp_path / "a.jsonl", {})
        store.save_tensors(tmp_path / "a.safetensors", {"x": torch.ones(2)})
    finally:
        os.umask(before)
    files = ["deep/a.txt", "a.jsonl", "a.safetensors", "a.safetensors.sha256", store.LOCK]
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in files} == {mode}


def test_an_existing_file_keeps_its_permissions(tmp_path):
    path = tmp_path / "private.json"
    store.write_json(path, 1)
    path.chmod(0o640)
    store.write_json(path, 2)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_stays_a_link_and_its_target_changes(tmp_path):
    real, link = tmp_path / "disk" / "real.safetensors", tmp_path / "link.safetensors"
    store.save_tensors(real, {"x": torch.zeros(2)})
    link.symlink_to(real)
    store.save_tensors(link, {"x": torch.ones(2)})
    assert link.is_symlink() and not real.is_symlink()
    for path in (real, link):
        assert store.load_tensors(path, require_checksum=True)[0]["x"].tolist() == [1, 1]


def test_folders_and_devices_are_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(ValueError, match="folder or a device"):
            store.write_bytes(path, b"")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe", b"\x00" * 20])
def test_broken_json_is_named(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(ValueError, match="run.json: expected JSON"):
        store.read_json(tmp_path / "run.json")


def test_a_history_cut_at_any_byte_is_read_and_repaired(tmp_path):
    path = tmp_path / "history.jsonl"
    rows = [{"step": 1, "loss": 0.25}, {"step": 2, "name": "über"}, {"step": 3, "loss": 1e-5}]
    for row in rows:
        store.append_jsonl(path, row)
    data = path.read_bytes()
    lines = [json.loads(line) for line in data.decode().split("\n")[:-1]]
    assert [
        {**row, "digest": line["digest"]} for row, line in zip(rows, lines, strict=True)
    ] == lines
    for length in range(len(data)):
        path.write_bytes(data[:length])
        whole = sum(
            data[:length].endswith(e) or e + b"\n" in data[:length] for e in data.splitlines()
        )
        assert store.read_jsonl(path) == rows[:whole]
        store.append_jsonl(path, {"step": 9})
        assert store.read_jsonl(path) == [*rows[:whole], {"step": 9}]
        assert path.read_bytes().endswith(b"}\n")


def test_a_broken_line_in_the_middle_is_named(tmp_path):
    (tmp_path / "history.jsonl").write_text('{"a": 1}\n{"a": \n{"a": 3}\n')
    with pytest.raises(ValueError, match="history.jsonl: line 2"):
        store.read_jsonl(tmp_path / "history.jsonl")


def each_flip(data, every_value=False):
    """The bytes with one of them changed: every place, and a few or all other values."""
    for place in range(len(data)):
        others = range(256) if every_value else (data[place] ^ 1, data[place] ^ 32, 10, 13, 92)
        for value in others:
            if value != data[place]:
                yield data[:place] + bytes([value]) + data[place + 1 :]


@pytest.mark.parametrize(
    "rows", [[{}], [{"a": 1}], [{"step": 1, "loss": 0.5}, {}, {"name": "a b"}]]
)
@pytest.mark.parametrize("first", [b"", b'{"step": 0}\n{"loss": 2.5, "step": 1}\n'])
def test_every_flipped_byte_of_a_history_is_found(tmp_path, rows, first):
    path = tmp_path / "history.jsonl"
    path.write_bytes(first)  # rows of an earlier version have no digest
    before = store.read_jsonl(path)
    for row in rows:
        store.append_jsonl(path, row)
    data = path.read_bytes()
    assert store.read_jsonl(path) == before + rows
    for bad in each_flip(data, every_value=len(data) < 60):
        with pytest.raises(ValueError, match="damaged|expected JSON|expected names"):
            parse_json_lines(bad)


def test_every_flipped_byte_of_json_with_a_checksum_is_found(tmp_path):
    path, sidecar = tmp_path / "metrics.json", tmp_path / "metrics.json.sha256"
    store.write_json(path, {"loss": 0.25, "probe": [1, 2]}, checksum=True)
    for file in (path, sidecar):
        data = file.read_bytes()
        for bad in list(each_flip(data))[::3]:  # one or two values at every place
            file.write_bytes(bad)
            with pytest.raises(ValueError, match=r"metrics\.json.* damaged"):
                store.read_json(path)
        file.write_bytes(data)
    store.write_json(path, {"loss": 0.5})  # a checksum that is there is kept up to date
    assert store.read_json(path) == {"loss": 0.5}
    sidecar.unlink()
    path.write_text('{"loss": 1}')  # files of before have none
    assert store.read_json(path) == {"loss": 1}


def test_removed_exchanged_and_mixed_lines_are_found(tmp_path):
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    for step in range(4):
        store.append_jsonl(one, {"step": step})
        store.append_jsonl(other, {"step": step, "lr": 1})
    a, b, c, d = one.read_bytes().splitlines(keepends=True)
    foreign = other.read_bytes().splitlines(keepends=True)[3]
    for lines in ([b, c], [a, c, d], [a, c, b], [a, b, c, foreign], [a, a, b]):
        with pytest.raises(ValueError, match="damaged"):
            parse_json_lines(b"".join(lines))
    assert len(parse_json_lines(a + b + c)) == 3


def test_rows_of_an_earlier_version_get_digests_when_a_run_goes_on(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_text('{"step": 0}\n{"step": 1}\n{"st')
    store.append_jsonl(path, {"step": 2})
    assert path.read_text().count("digest") == 1
    store.truncate_jsonl(path, lambda row: row["step"] < 2)
    assert path.read_text().count("digest") == 2
    store.append_jsonl(path, {"step": 2})
    assert [row["step"] for row in store.read_jsonl(path)] == [0, 1, 2]


def test_the_name_of_the_digest_is_reserved(tmp_path):
    with pytest.raises(ValueError, match="a.jsonl: the name 'digest'"):
        store.append_jsonl(tmp_path / "a.jsonl", {"digest": 1})


def test_resuming_drops_the_rows_after_the_checkpoint(tmp_path):
    path = tmp_path / "history.jsonl"
    store.truncate_jsonl(path, lambda row: True)
    assert not path.exists()
    for step in range(5):
        store.append_jsonl(path, {"step": step})
    store.truncate_jsonl(path, lambda row: row["step"] <= 2)
    assert [row["step"] for row in store.read_jsonl(path)] == [0, 1, 2]


def test_loaded_tensors_may_be_changed(tmp_path):
    store.save_tensors(tmp_path / "a.safetensors", {"x": torch.zeros(3)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensors, _ = store.load_tensors(tmp_path / "a.safetensors")
        tensors["x"] += 1
    assert store.load_tensors(tmp_path / "a.safetensors")[0]["x"].sum() == 0


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs the program sha256sum")
def test_sha256sum_agrees(tmp_path):
    for value in (1, 2):
        store.save_tensors(tmp_path / "my student.safetensors", {"x": torch.full((3,), value)})
        command = ["sha256sum", "-c", "--strict", "my student.safetensors.sha256"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, "my student.safetensors: OK\n")
        sidecar = tmp_path / "my student.safetensors.sha256"
        assert sidecar.read_text().startswith(store.sha256_of(tmp_path / "my student.safetensors"))


def test_every_flipped_byte_is_found(tmp_path):
    data, sidecar = tmp_path / "a.safetensors", tmp_path / "a.safetensors.sha256"
    store.save_tensors(data, {"x": torch.randn(50)}, {"step": 1})
    places = random.Random(0)
    header = 8 + int.from_bytes(data.read_bytes()[:8], "little")
    positions = [(data, places.randrange(data.stat().st_size)) for _ in range(60)]
    positions += [(data, places.randrange(header)) for _ in range(20)]
    positions += [(sidecar, place) for place in range(sidecar.stat().st_size)]
    for path, place in positions:
        good = path.read_bytes()
        bad = bytearray(good)
        bad[place] ^= places.randrange(1, 256)
        path.write_bytes(bad)
        with pytest.raises(ValueError, match="damaged"):
            store.load_tensors(data)
        path.write_bytes(good)
    store.load_tensors(data)


def test_a_truncated_file_is_found(tmp_path):
    path = tmp_path / "a.safetensors"
    store.save_tensors(path, {"x": torch.randn(50)})
    data = path.read_bytes()
    (tmp_path / "a.safetensors.sha256").unlink()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(ValueError, match="a.safetensors: expected a complete safetensors file"):
            store.load_tensors(path)


def test_a_file_brought_by_hand_loads_unless_a_checksum_is_required(tmp_path):
    path = tmp_path / "published.safetensors"
    safetensors.torch.save_file({"w": torch.ones(2)}, path, metadata={"format": "pt"})
    tensors, meta = store.load_tensors(path)
    assert tensors["w"].tolist() == [1, 1] and meta == {"format": "pt"}
    with pytest.raises(FileNotFoundError, match="sha256sum published.safetensors >"):
        store.load_tensors(path, require_checksum=True)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (tmp_path / "published.safetensors.sha256").write_text(f"{digest}  published.safetensors\n")
    store.load_tensors(path, require_checksum=True)


class Bomb:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", [0, 2, 5, "torch"])
def test_a_pickle_is_named_and_never_run(tmp_path, monkeypatch, protocol):
    path, trace = tmp_path / "a.safetensors", tmp_path / "it-ran"
    if protocol == "torch":
        torch.save({"x": Bomb(trace)}, path)
    else:
        path.write_bytes(pickle.dumps(Bomb(trace), protocol))

    def never(*_, **__):
        raise AssertionError("a pickle was opened")

    for module, name in [
        (torch, "load"),
        (pickle, "load"),
        (pickle, "loads"),
        (pickle, "Unpickler"),
    ]:
        monkeypatch.setattr(module, name, never)
    with pytest.raises(
        ValueError, match="a.safetensors: expected a complete safetensors.*executed"
    ):
        store.load_tensors(path)
    path.rename(tmp_path / store.CHECKPOINT)
    with pytest.raises((ValueError, FileNotFoundError)):
        store.load_checkpoint(tmp_path)
    store.save_tensors(path, {"x": torch.ones(2)})
    store.load_tensors(path)
    assert not trace.exists()


def test_old_temporary_files_are_removed_and_new_ones_stay(tmp_path):
    old, young = tmp_path / f".1{store.PART}", tmp_path / f".2{store.PART}"
    old.touch(), young.touch()
    os.utime(old, (0, 0))
    files.remove_leftovers(tmp_path)
    assert leftovers(tmp_path) == [young]


def test_nothing_is_written_if_the_condition_is_true_under_the_lock(tmp_path):
    path = tmp_path / "a.safetensors"
    store.save_tensors(path, {"x": torch.ones(2)}, unless=lambda: True)
    assert not path.exists()
    store.save_tensors(path, {"x": torch.ones(2)}, unless=lambda: False)
    store.save_tensors(path, {"x": torch.zeros(2)}, unless=path.exists)
    assert store.load_tensors(path)[0]["x"].tolist() == [1, 1]


@given(st.lists(st.text(st.characters(exclude_categories=())), max_size=4))
@example(["..", ".", "", "/etc/passwd", "a/b", "a%2Fb", "x" * 300, "x" * 301, "~", "\udcff", "\0"])
@example(["ü" * 101, "ü" * 102, "a\\b", "C:x", "CON", " ", "straße ünï", "u\u0308"])
def test_any_text_gives_its_own_file_inside_the_folder(texts):
    folder = Path("/some/folder")
    paths = {text: store.path_for(folder, text, ".safetensors") for text in texts}
    assert len(set(paths.values())) == len(paths)
    for text, path in paths.items():
        assert path.parent == folder and os.path.normpath(path) == str(path)
        assert len(path.name.encode()) <= 240 and not path.name.startswith(".")
        if "~" not in path.name:
            stem = path.name.removesuffix(".safetensors")
            assert unquote(stem, errors="surrogatepass") == text


def test_usual_tokens_are_file_names_as_they_are():
    for token in ("4f2cb3e0aa", "street-s000-k01", "Straße 1", "a+b=c@d"):
        assert store.path_for("out", token, ".npz") == Path("out") / f"{token}.npz"


def writing_calls(path: Path):
    """The calls in a module that write files."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        owner, _, verb = name.rpartition(".")
        words = [*node.args, *(keyword.value for keyword in node.keywords)]
        modes = [word.value for word in words if isinstance(word, ast.Constant)]
        opens = verb == "open" and any(str(mode).strip("bt+") in ("w", "a", "x") for mode in modes)
        puts = verb in ("write_text", "write_bytes", "save_file", "tofile") and owner != "store"
        if opens or puts or name in ("torch.save", "np.save", "np.savez", "os.replace"):
            yield f"line {node.lineno}: {name}"


def test_no_other_module_of_the_kit_writes():
    room = Path(kit.__file__).parent
    writers = {
        str(path.relative_to(room)): calls
        for path in room.rglob("*.py")
        if (calls := list(writing_calls(path)))
    }
    assert set(writers) == {"store/files.py"}, writers
