"""The bench of transfer on a small street, with a small student, and its options."""

from dataclasses import replace

import pytest
import torch

import kit
from kit.ask.queries import Query
from kit.bench import transfer
from kit.commands.parsing import parse
from kit.evaluate.transfer import extractor
from kit.features.spaces import space_of
from kit.student.student import DistilledFrom


@pytest.fixture(scope="module")
def street():
    return kit.open_dataset("street", num_scenes=1, keyframes_per_scene=2, image_size=(56, 112))


@pytest.fixture(scope="module")
def rows_and_matrix(street):
    student = kit.build_student("wi-6-64", 16, depth=2, width=8).eval()
    student.distilled_from = DistilledFrom("made", "made")
    query = Query("car", space_of(student), torch.randn(16), 0.0, "made")
    queries, matrix = {"car": query, "road": replace(query, name="road")}, {}
    found = [
        transfer.Part("street, 64 beams", street, (0,), (1,)),
        transfer.Part("SemanticKITTI", street, (), (1,)),
    ]
    source = "student of the street"
    rows = transfer._of_source(source, extractor(student), found, queries, {}, matrix)
    return list(rows), matrix


def test_all_that_is_read_on_is_measured(rows_and_matrix):
    rows, matrix = rows_and_matrix
    names = [row.name for row in rows]
    assert len(set(names)) == len(names)
    start, learned = "student of the street", "street, 64 beams"
    assert set(matrix) == {(learned, learned), (learned, "SemanticKITTI")}
    assert matrix[learned, learned] == matrix[learned, "SemanticKITTI"]  # here, the same scan
    for name in (
        f"{start}: {learned} -> SemanticKITTI, seen by no camera",
        f"{start}: {learned} -> SemanticKITTI, outside of it",
        f"{start}: {learned} -> SemanticKITTI, road",
        f"{start}, asked for road on {learned}",
        f"{start}, foreground of SemanticKITTI, AP",
        f"{start}, {learned} turned by 90 degrees, cosine",
        f"{start}, {learned} every second beam, mIoU",
    ):
        assert name in names
    assert set(transfer.TARGETS) - set(names)  # of recordings
    assert f"{start}, foreground of SemanticKITTI, AP" in transfer.TARGETS


def test_the_matrix_is_a_table():
    values = {("street, 32 beams", "street, 32 beams"): 50.0, ("PandaSet", "SemanticKITTI"): 20.25}
    lines = transfer.table(values).splitlines()
    assert lines[0].split() == ["32", "beams", "S.KITTI"]
    assert lines[1].split() == ["street,", "32", "beams", "50.0", "-"]
    assert lines[2].split() == ["PandaSet", "-", "20.2"]


def test_recordings_that_are_not_there_are_left_out_with_a_line(
    tmp_path, monkeypatch, capsys, shared_data
):
    monkeypatch.setattr(transfer, "STREETS", {})
    (tmp_path / "semantickitti").symlink_to(shared_data / "semantickitti")
    found = transfer.parts(str(tmp_path))
    assert [(part.name, part.learn, part.read) for part in found] == [("SemanticKITTI", (), (0,))]
    said = capsys.readouterr().out
    assert f"PandaSet is left out: there is no folder {tmp_path / 'pandaset'}" in said
    with pytest.raises(FileNotFoundError, match="nowhere: expected a folder that holds PandaSet"):
        transfer.parts("nowhere")
    assert transfer.parts(None) == [] and "--data" in capsys.readouterr().out


def test_only_this_bench_takes_a_student():
    assert parse("bench", ["transfer", "--student", "s.safetensors"]).student == "s.safetensors"
    with pytest.raises(ValueError, match="the bench crowded compares no student"):
        kit.bench.run("crowded", student="s.safetensors")


def test_keyframes_are_evenly_spread():
    assert transfer._some((4, 5, 6, 7, 8), 3) == (4, 6, 8)
    assert transfer._some((4, 5), 3) == (4, 5)
