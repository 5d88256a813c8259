"""The report as text and as a page, and the command line."""

import numpy as np
import pytest
from own_recording import write_recording

import kit
from kit.__main__ import main

NAME = '<script>alert(1)</script>"&'
K = [[80.0, 0, 50], [0, 80, 30], [0, 0, 1]]
T = [[1.0, 0, 0, 0.1], [0, 0, -1, 0], [0, 1, 0, 0.2], [0, 0, 0, 1]]


@pytest.fixture
def keyframe():
    rng = np.random.default_rng(0)
    points = rng.normal(0, 8, (2000, 3)) * [1, 1, 0] - [0, 0, 1.7]
    image = {NAME: rng.integers(0, 255, (60, 100, 3), np.uint8)}
    return kit.keyframe(points, rng.random(2000), image, K=K, T_cam_lidar=T, scene=NAME)


def test_the_page_needs_no_network_and_names_are_escaped(keyframe, tmp_path):
    page = kit.doctor(keyframe).to_html(tmp_path / "report.html").read_text()
    assert "<script" not in page and "&lt;script&gt;" in page
    assert "http:" not in page and "https:" not in page and "src=" in page
    assert page.count("src=") == page.count('src="data:image/jpeg;base64,')
    assert "prefers-color-scheme: dark" in page


def test_the_text_is_aligned_and_short(keyframe):
    report = kit.doctor(keyframe)
    assert all(len(line) <= 120 for line in repr(report).splitlines())
    levels = [finding.level for finding in report.findings]
    assert levels == sorted(levels, key=("problem", "warning", "note").index)


def test_a_scan_of_one_point_is_examined():
    report = kit.doctor(kit.keyframe([[1.0, 2, 3]]))
    assert report.exit_code == 0 and report.works()["distillation"] == "no images"


def test_the_command_tells_problems_by_its_exit_status(tmp_path, capsys):
    root = write_recording(tmp_path / "recording", count=1)
    assert main(["doctor", str(root), "--out", str(tmp_path / "r.html")]) == 0
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    with pytest.raises(SystemExit, match="1"):
        main(["doctor", str(tmp_path / "nothing")])
    assert "no such folder" in " ".join(capsys.readouterr().out.split())


def test_a_motion_is_refused_with_its_names():
    with pytest.raises(ValueError, match="pitch, yaw, roll"):
        kit.doctor.motion(left=1.0)
