"""The main job in small settings: its files, its messages, and when it does not probe."""

from dataclasses import replace

import pytest
from PIL import Image

from kit import demo, store
from kit.__main__ import main
from kit.commands import parse
from kit.data import open_dataset
from kit.data.split import split
from kit.distill.settings import DistillConfig
from kit.evaluate.by_data_set import why_no_probe
from kit.evaluate.probe import ProbeConfig

SMALL = demo.DemoConfig(
    student=demo.small("wi-6-64", depth=2, width=8),
    distill=DistillConfig(steps=2, batch_size=2, augment=False),
    probe=ProbeConfig(steps=2),
)


@pytest.fixture(scope="module")
def no_labels(shared_data, tmp_path_factory):
    out = tmp_path_factory.mktemp("nuscenes")
    said = []
    config = replace(SMALL, data=str(shared_data / "nuscenes"))
    return out, demo.demo(config, out, said.append), "\n".join(said)


@pytest.fixture(scope="module")
def on_the_street(tmp_path_factory):
    out = tmp_path_factory.mktemp("street")
    street = open_dataset("street", num_scenes=2, keyframes_per_scene=1, image_size=(56, 112))
    return out, demo.demo(SMALL, out, lambda line: None, street)


def test_metrics_hold_the_four_probes(on_the_street):
    out, metrics = on_the_street
    assert store.read_json(out / "metrics.json")["linear_probe"].keys() == {
        "position",
        "random",
        "distilled",
        "teacher",
    }
    for probe in metrics["linear_probe"].values():
        present = [iou for iou in probe["iou"].values() if iou is not None]
        assert probe["miou"] == pytest.approx(sum(present) / len(present))
    assert metrics["seconds"] > 0 and 0 < metrics["loss"] < 2
    assert metrics["config"]["distill"]["steps"] == 2 and "torch" in metrics["versions"]


def test_the_demo_does_not_augment_by_default(on_the_street):
    out, _ = on_the_street
    assert store.read_json(out / "run.json")["config"]["distill"]["augment"] is False


@pytest.mark.parametrize(
    ("command", "augmented"),
    [
        ("demo", False),
        ("demo --augment", True),
        ("distill", True),
        ("distill --no-augment", False),
    ],
)
def test_distill_augments_by_default_and_the_demo_does_not(command, augmented):
    name, *options = command.split()
    assert parse(name, options).config.distill.augment is augmented


def test_every_picture_is_there_and_not_blank(on_the_street):
    out, _ = on_the_street
    for name in ("features", "similarity", "labels", "errors", "loss", "iou"):
        with Image.open(out / f"{name}.png") as image:
            assert image.width > 600 and len(image.convert("RGB").getcolors(1 << 24)) > 20


def test_without_labels_probing_is_skipped_and_says_why(no_labels):
    out, metrics, said = no_labels
    assert metrics["linear_probe"] is None
    assert "no point labels" in metrics["linear_probe_skipped"] and "no point labels" in said
    assert (out / "similarity.png").exists() and (out / "student.safetensors").exists()


def test_the_closing_table_lists_present_classes_only():
    probe = {"miou": 0.25, "iou": {"car": 0.5, "bus": None, "road": 0.0}}
    table = demo.summary({"loss": 1.0, "seconds": 2.0, "linear_probe": {"teacher": probe}})
    assert "bus" not in table and "25.0" in table and "50.0" in table


def test_a_single_keyframe_is_not_probed():
    street = open_dataset("street", num_scenes=1, keyframes_per_scene=1, image_size=(28, 56))
    assert "too few" in why_no_probe(street, split(street))


def test_a_missing_folder_is_one_line_on_the_terminal(capsys):
    assert main(["demo", "--data", "no/such/folder"]) == 1
    printed = capsys.readouterr().err
    assert "no/such/folder: no such folder" in printed and "Traceback" not in printed
