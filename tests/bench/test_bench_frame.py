import json
import sys

import pytest

import kit.bench
from kit.bench import Row
from kit.store import files as store

TOY = """
import time

from kit.bench import Row


def rows(data, device):
    time.sleep(0.05)
    yield Row("seconds per step", 0.25, "s", "<= 0.3")
    yield Row("mIoU gain", 11.5, "points", ">= 12", seconds=7.0)
    yield Row("memory", 1234567.8, "MB")
    if data == "breaks":
        raise RuntimeError("no such folder")
    yield Row("GPU time", None, "s", "<= 1")
    yield Row(f"{data} on {device}", 3)
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A folder of benches with one that works, one that is private."""
    folder = tmp_path / "benches"
    folder.mkdir()
    (folder / "toy.py").write_text(TOY)
    (folder / "_helper.py").write_text("")
    monkeypatch.setattr(kit.bench, "__path__", [str(folder)])
    yield
    sys.modules.pop("kit.bench.toy", None)


@pytest.mark.parametrize(
    "value, target, ok",
    [
        (12, ">= 12", True),
        (11.99, ">= 12", False),
        (300, "<= 300", True),
        (300.5, "<=300", False),
        (12, "> 12", False),
        (12.01, "> 12", True),
        (-1, "< -0.5", True),
        (-0.5, "< -0.5", False),
        (0, "== 0", True),
        (1e-7, "<= 2e-6", True),
        (1e-5, "<= 2e-6", False),
        (float("nan"), ">= 0", False),
        (float("nan"), "<= 0", False),
        (None, ">= 0", False),
        (5, None, None),
        (None, None, None),
    ],
)
def test_a_bound_is_kept_or_not(value, target, ok):
    assert Row("a", value, "s", target).ok is ok


@pytest.mark.parametrize("target", ["12", "=> 12", ">= twelve", "", "about 3", ">= 1 2"])
def test_a_bound_that_says_nothing_is_refused(target):
    with pytest.raises(ValueError, match="expected a sign and a number"):
        Row("a", 1, "s", target)


def test_rows_are_printed_and_written(toy, tmp_path, capsys):
    rows = kit.bench.run("toy", "street", tmp_path / "out" / "toy.json")
    report = store.read_json(tmp_path / "out" / "toy.json")
    assert set(report) == {"rows", "machine", "versions", "commit", "date"}
    assert all(
        set(row) == {"name", "value", "unit", "target", "ok", "seconds"} for row in report["rows"]
    )
    assert (
        [row["ok"] for row in report["rows"]]
        == [row.ok for row in rows]
        == [True, False, None, False, None]
    )
    assert report["rows"][0]["seconds"] >= 0.05 and report["rows"][1]["seconds"] == 7.0
    assert report["rows"][2]["seconds"] < 0.05, "counted from the row before"
    assert report["rows"][4]["name"].startswith("street on c")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7 and lines[0].split() == "name value unit target ok seconds".split()
    assert "0.25 s" in lines[1] and "<= 0.3" in lines[1] and "yes" in lines[1]
    assert "NO" in lines[2] and "1,234,568 MB" in lines[3]
    assert lines[-1].startswith("5 rows, 1 of 3 bounds kept, written to")


def test_what_was_measured_before_a_failure_is_kept(toy, tmp_path):
    with pytest.raises(RuntimeError, match="no such folder"):
        kit.bench.run("toy", "breaks", tmp_path / "toy.json")
    report = json.loads((tmp_path / "toy.json").read_text())
    assert [row["name"] for row in report["rows"]] == ["seconds per step", "mIoU gain", "memory"]


def test_an_unknown_name_lists_those_there_are(toy):
    assert kit.bench.names() == ["toy"]
    with pytest.raises(ValueError, match="no bench is called 'speed'. There are: toy$"):
        kit.bench.run("speed")
    with pytest.raises(ValueError, match="There are: toy$"):
        kit.bench.run("_helper")


def test_nothing_is_written_unasked(toy, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    kit.bench.run("toy")
    assert [path.name for path in tmp_path.iterdir()] == ["benches"]
    assert capsys.readouterr().out.endswith("bounds kept\n")
