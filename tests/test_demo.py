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
from kit.teacher.presets import build_teacher

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
def on_the_street_and_limit(tmp_path_factory):
    """A run with a limit of three minutes; how many of them the steps may take, and messages."""
    out = tmp_path_factory.mktemp("street")
    street = open_dataset("street", num_scenes=2, keyframes_per_scene=1, image_size=(56, 112))
    asked, said = [], []

    def steps_within(minutes, *arguments):
        asked.append(minutes)
        return 2, 0.1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "steps_within", steps_within)
        metrics = demo.demo(replace(SMALL, minutes=3.0), out, said.append, street)
    return out, metrics, asked[0], "\n".join(said)


@pytest.fixture(scope="module")
def on_the_street(on_the_street_and_limit):
    return on_the_street_and_limit[:2]


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


@pytest.mark.parametrize(
    ("command", "augmented"),
    [
        ("demo", True),
        ("demo --no-augment", False),
        ("distill", True),
        ("distill --no-augment", False),
    ],
)
def test_scans_are_augmented_by_default(command, augmented):
    name, *options = command.split()
    assert parse(name, options).config.distill.augment is augmented


def test_a_demo_starts_from_the_student_that_comes_with_the_kit():
    config = parse("demo", ["--data", "d"]).config
    assert config == replace(demo.FIVE_MINUTES, data="d")
    assert (config.init, config.minutes) == ("street", 5.0)
    assert parse("demo", ["--data", "d", "--student", "wi-12-128"]).config == config
    assert parse("demo", []).config == demo.FIVE_MINUTES
    demo.initial_student(config, build_teacher())  # it has the size of the one that it starts from


@pytest.mark.parametrize(
    ("options", "init", "minutes"),
    [
        ("--data d --student wi-6-64", "none", 5.0),
        ("--data d --student wi-6-64 --init some.safetensors", "some.safetensors", 5.0),
        ("--config scalr", "none", None),
        ("--data d --steps 2000", "street", None),
        ("--data d --steps=2000 --minutes 3", "street", 3.0),
        ("--steps 20", "street", None),
    ],
)
def test_a_start_or_a_limit_that_does_not_fit_the_other_options_is_left_out(options, init, minutes):
    config = parse("demo", options.split()).config
    assert (config.init, config.minutes) == (init, minutes)
    if "--student" in options:
        assert config.distill.lr == demo.LearnConfig().distill.lr


def test_settings_of_a_run_before_there_was_a_start_mean_random_weights(tmp_path):
    settings = demo.plain_config(SMALL)
    del settings["init"], settings["minutes"]
    store.write_json(tmp_path / "run.json", {"settings": settings})
    config = parse("demo", ["--config", str(tmp_path / "run.json")]).config
    assert config == SMALL and (config.init, config.minutes) == ("none", None)


def test_the_time_limit_counts_the_probes_too(on_the_street_and_limit):
    """What the probes take, and what the pictures need, is no longer there for the steps."""
    _, metrics, minutes, said = on_the_street_and_limit
    assert 0 < minutes < 3.0 - demo.PICTURES / 60
    assert metrics["config"]["minutes"] is None and metrics["config"]["distill"]["steps"] == 2
    assert "2 steps of 0.10 s" in said and "everything about" in said
    assert list(metrics["linear_probe"]) == ["position", "random", "distilled", "teacher"]


def test_every_picture_is_there_and_not_blank(on_the_street):
    out, _ = on_the_street
    for name in ("features", "similarity", "labels", "errors", "loss", "iou"):
        with Image.open(out / f"{name}.png") as image:
            assert image.width > 600 and len(image.convert("RGB").getcolors(1 << 24)) > 20


def test_without_labels_probing_is_skipped_and_says_why(no_labels):
    out, metrics, said = no_labels
    assert metrics["linear_probe"] is None
    assert metrics["data"]["split"] == "trained on all 1 keyframes"  # nothing is tested
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


def test_sweeps_are_added_for_learning_and_for_probes(tmp_path):
    street = open_dataset("street", num_scenes=2, keyframes_per_scene=2, image_size=(56, 112))
    said = []
    metrics = demo.demo(replace(SMALL, sweeps=2), tmp_path, said.append, street)
    assert metrics["data"]["name"] == "street with 2 sweeps"
    assert len(demo.open_data(replace(SMALL, sweeps=2), street)[1].points) > len(street[1].points)
    with pytest.raises(ValueError, match="data.name: street with 2 sweeps there, street now"):
        demo.demo(SMALL, tmp_path, said.append, street)
    exact = replace(SMALL.distill, hidden="exact")
    with pytest.raises(ValueError, match="sweeps have no exact annotations"):
        replace(SMALL, distill=exact, sweeps=2)
