"""Killed processes, full disks, several processes at once: files stay complete."""

import json
import pathlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from kit import store
from kit.store import files

# A process that has imported torch; it forks for each piece of code that it reads.
FORK_SERVER = """
import json, os, random, resource, shutil, signal, sys, time, warnings
from pathlib import Path
import safetensors.torch, torch
from kit import store

torch.set_num_threads(1)
for line in sys.stdin:
    request = json.loads(line)
    child = os.fork()
    if child == 0:
        folder = Path(request["folder"])
        try:
            exec(request["code"], globals())
            result = {"result": main(folder, *request["words"])}
        except BaseException as error:
            result = {"error": repr(error)}
        print(json.dumps(result), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.fixture(scope="module")
def server():
    command = [sys.executable, "-c", FORK_SERVER]
    root = Path(__file__).parents[2]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=root, stdin=pipe, stdout=pipe, text=True) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def in_child(server, tmp_path):
    """Run the function `main(folder, *words)` of a piece of code in another process."""

    def run(code: str, *words):
        request = {"code": code, "folder": str(tmp_path), "words": words}
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        answer = json.loads(server.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["result"]

    return run


def leftovers(folder: Path) -> list[Path]:
    return list(folder.rglob(f"*{store.PART}"))


def states_while(folder: Path, write) -> list[dict[str, bytes]]:
    """The content of `folder` after a kill at each line of kit/store/files.py that a write runs.

    Lines of pathlib count too, because it may write. A killed process loses its own buffers, but
    nothing that is already in a file.
    """
    states = []

    def look(frame, event, arg):
        sys.settrace(None)  # this function uses pathlib itself
        state = {path.name: path.read_bytes() for path in folder.iterdir()}
        sys.settrace(watch)
        if event == "line" and state not in states:
            states.append(state)
        return look

    def watch(frame, event, arg):
        return look if frame.f_code.co_filename in (files.__file__, pathlib.__file__) else None

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        write()
    finally:
        sys.settrace(before)
    return states


def lay_out(folder: Path, state: dict[str, bytes]) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    for name, data in state.items():
        (folder / name).write_bytes(data)


def stored_value(path: Path, require_checksum: bool) -> float | None:
    try:
        return store.load_tensors(path, require_checksum)[0]["x"].unique().item()
    except FileNotFoundError:
        return None


@pytest.mark.parametrize(
    "start, allowed", [("checked", {1, 2}), ("by hand", {1, 2}), ("nothing", {None, 2})]
)
def test_a_kill_at_any_line_leaves_the_old_or_the_new_tensors(tmp_path, start, allowed):
    path, one = tmp_path / "a.safetensors", {"x": torch.full((9,), 1.0)}
    if start == "checked":
        store.save_tensors(path, one)
    if start == "by hand":
        path.write_bytes(safetensors.torch.save(one))
    strict = start != "by hand"  # before the first write there is no checksum
    first = states_while(tmp_path, lambda: store.save_tensors(path, {"x": one["x"] * 2}))
    assert len(first) >= 5
    seen = set()
    for state in first:
        lay_out(tmp_path, state)
        seen.add(stored_value(path, strict))
        for again in states_while(tmp_path, lambda: store.save_tensors(path, {"x": one["x"] * 3})):
            lay_out(tmp_path, again)  # killed a second time
            assert stored_value(path, strict) in allowed | {3}
        store.save_tensors(path, {"x": one["x"] * 4})
        assert stored_value(path, True) == 4
        assert len((tmp_path / "a.safetensors.sha256").read_text().splitlines()) == 1
    assert seen == allowed


def test_a_kill_at_any_line_leaves_complete_rows(tmp_path):
    path = tmp_path / "history.jsonl"
    for step in range(3):
        store.append_jsonl(path, {"step": step})

    def write():
        store.truncate_jsonl(path, lambda row: row["step"] < 1)
        store.append_jsonl(path, {"step": 7})

    seen = []
    for state in states_while(tmp_path, write):
        lay_out(tmp_path, state)
        steps = [row["step"] for row in store.read_jsonl(path)]
        if steps not in seen:
            seen.append(steps)
    assert seen == [[0, 1, 2], [0], [0, 7]]


def test_kills_at_random_moments_leave_one_complete_version(in_child):
    code = """
def main(folder):
    path, seen = folder / "a.safetensors", []
    store.save_tensors(path, {"x": torch.zeros(400_000)}, {"version": 0})
    for kill in range(20):
        child = os.fork()
        if child == 0:
            for version in range(1, 10_000):
                x = torch.full((400_000,), version)
                store.save_tensors(path, {"x": x}, {"version": version})
        time.sleep(random.uniform(0.01, 0.1))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        tensors, meta = store.load_tensors(path, require_checksum=True)
        assert (tensors["x"] == meta["version"]).all(), meta
        seen.append(meta["version"])
    return seen
"""
    seen = in_child(code)
    assert len(seen) == 20 and max(seen) > 0


# Files of this process are limited to 64 kB; beyond that the system fails as with a full disk.
FULL_DISK = """
def main(folder):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
    big, long, errors = {"x": torch.ones(100_000)}, {"step": "s" * 5000}, {}
    model = torch.nn.Linear(200, 200)
    checkpoint = (1, model, torch.optim.SGD(model.parameters()))
    attempts = {
        "file.bin": lambda path: store.write_bytes(path, bytes(100_000)),
        "file.json": lambda path: store.write_json(path, list(range(100_000))),
        "a.safetensors": lambda path: store.save_tensors(path, big),
        "rows.jsonl": lambda path: [store.append_jsonl(path, long) for _ in range(99)],
        "checkpoint.safetensors": lambda path: store.save_checkpoint(path.parent, *checkpoint),
    }
    for name, attempt in attempts.items():
        try:
            attempt(folder / name)
        except OSError as error:
            errors[name] = [error.errno, str(error)]
    with warnings.catch_warnings(record=True) as said:  # the cache of a job is no reason to stop
        warnings.simplefilter("always")
        for key in ("a", "b"):
            result = store.FeatureCache(folder / "cache").get_or_compute(key, lambda: big)
            assert len(result["x"]) == 100_000
    errors["cache"] = [len(said), str(said[0].message)]
    return errors
"""


def test_a_full_disk_is_a_clear_error_and_the_old_file_stays(in_child, tmp_path):
    store.write_bytes(tmp_path / "file.bin", b"old")
    store.write_json(tmp_path / "file.json", "old")
    store.save_tensors(tmp_path / "a.safetensors", {"x": torch.zeros(3)})
    store.append_jsonl(tmp_path / "rows.jsonl", {"step": "first"})
    errors = in_child(FULL_DISK)
    assert len(errors) == 6 and errors["cache"][0] == 1 and "KIT_CACHE" in errors["cache"][1]
    for name, (number, message) in errors.items():
        assert number, name
        assert str(tmp_path / name) in message and "old file is unchanged" in message
        assert "Free some space" in message
    assert (tmp_path / "file.bin").read_bytes() == b"old"
    assert store.read_json(tmp_path / "file.json") == "old"
    assert store.load_tensors(tmp_path / "a.safetensors", True)[0]["x"].tolist() == [0, 0, 0]
    assert store.load_checkpoint(tmp_path) is None
    assert store.FeatureCache(tmp_path / "cache").get("a") is None
    assert (tmp_path / "rows.jsonl").read_text().endswith("\n")
    rows = store.read_jsonl(tmp_path / "rows.jsonl")
    assert rows[0] == {"step": "first"} and len(rows) == 1 + 65536 // 5043
    assert leftovers(tmp_path) == []


def test_readers_never_get_half_of_a_file_that_others_write(in_child):
    code = """
def work(path, rank):
    end, turns = time.time() + 1, 0
    while time.time() < end or turns < 5:
        turns += 1
        if rank < 2:
            v = turns * 2 + rank
            store.save_tensors(path, {"x": torch.full((1000,), v)}, {"v": v})
        else:
            tensors, meta = store.load_tensors(path, require_checksum=True)
            assert (tensors["x"] == meta["v"]).all()

def main(folder):
    path, children = folder / "a.safetensors", []
    store.save_tensors(path, {"x": torch.zeros(1000)}, {"v": 0})
    for rank in range(4):
        children.append(os.fork())
        if children[-1] == 0:
            work(path, rank)
            os._exit(0)
    return [os.waitpid(child, 0)[1] for child in children]
"""
    assert in_child(code) == [0, 0, 0, 0]


def test_four_processes_fill_one_cache_and_agree(in_child, tmp_path):
    code = """
def work(folder, rank):
    cache, keys = store.FeatureCache(folder), [f"key {i % 40}" for i in range(80)]
    random.Random(rank).shuffle(keys)
    mine = {"rank": torch.tensor(rank), "x": torch.rand(500)}
    got = {key: cache.get_or_compute(key, lambda: mine)["rank"].item() for key in keys}
    store.write_json(folder / f"got{rank}.json", got)

def main(folder):
    warnings.simplefilter("error")
    children = []
    for rank in range(4):
        children.append(os.fork())
        if children[-1] == 0:
            work(folder, rank)
            os._exit(0)
    return [os.waitpid(child, 0)[1] for child in children]
"""
    assert in_child(code) == [0, 0, 0, 0]
    got = [store.read_json(tmp_path / f"got{rank}.json") for rank in range(4)]
    assert got[0] == got[1] == got[2] == got[3] and len(got[0]) == 40
    cache = store.FeatureCache(tmp_path)
    assert {key: cache.get(key)["rank"].item() for key in got[0]} == got[0]
    assert len(set(got[0].values())) > 1, "one process did it all: nothing was tried"
