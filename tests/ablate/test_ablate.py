"""Ablations: which runs, the comparison, going on after a crash, both engines."""

import hashlib
import json
from dataclasses import fields, replace

import pytest

import kit
from kit.ablate import run as module
from kit.ablate.grid import grid, setting_named
from kit.ablate.settings import AblationConfig
from kit.ablate.table import AblationTable
from kit.demo import DemoConfig, plain_config, spread
from kit.distill.settings import DistillConfig
from kit.evaluate.fine_tuning import FineTuneConfig
from kit.evaluate.probe import ProbeConfig
from kit.street.dataroot.writer import write_dataroot
from kit.street.dataset import Street
from kit.student.scans import InputConfig
from kit.student.waffleiron.config import WaffleIronConfig
from kit.teacher.presets import TeacherConfig

BASE = DemoConfig(
    teacher=TeacherConfig(image_size=(64, 128)),
    student=WaffleIronConfig(1, 8, inputs=InputConfig(voxel_size=0.3, max_points=500)),
    distill=DistillConfig(steps=3, batch_size=2),
    probe=ProbeConfig(steps=3, points_per_keyframe=500),
)


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    """A street of two scenes, as a folder: a worker process opens it by its path."""
    folder = tmp_path_factory.mktemp("street")
    write_dataroot(Street(2, 1, (56, 112)), folder)
    return str(folder)


def test_a_grid_is_every_combination_with_every_seed_and_the_base_first():
    runs = grid(BASE, {"loss": ["cosine", "l2"], "student.width": [8, 16]}, repeats=2)
    assert len(runs) == 8 and len({run.key for run in runs}) == 8
    assert [run.is_base for run in runs] == [True, True] + [False] * 6
    assert runs[0].changes == {"distill.loss": "l2", "student.width": 8}
    assert [run.config.distill.seed for run in runs] == [0, 1] * 4
    assert runs[-1].config.student.width == 16


def test_a_later_setting_does_not_change_the_keys_of_stored_runs():
    (run,) = grid(BASE, {"distill.loss": ["l2"]}, repeats=1)
    plain = plain_config(run.config)
    assert plain["distill"].pop("moment_step") == 1
    assert plain["distill"].pop("balance") == 0
    assert plain["distill"].pop("class_token") == 0 and plain.pop("sweeps") == 0
    text = json.dumps(plain, sort_keys=True)
    assert run.key == hashlib.sha256(text.encode()).hexdigest()[:16]
    other = grid(BASE, {"moment_step": [1, 2]}, repeats=1)
    assert other[0].key == run.key != other[1].key


def test_the_base_is_added_where_no_axis_holds_its_value():
    runs = grid(BASE, {"distill.lr": [1e-3]}, repeats=1)
    assert [run.changes for run in runs] == [{"distill.lr": 2e-3}, {"distill.lr": 1e-3}]
    assert len(grid(BASE, {"loss": ["l2", "l2"]}, repeats=1)) == 1  # the same one twice


def test_one_axis_at_a_time_leaves_the_others_as_in_the_base():
    axes = {"loss": ["cosine", "ppkt"], "student.width": [8, 16]}
    runs = grid(BASE, axes, repeats=2, one_at_a_time=True)
    assert [tuple(run.changes.values()) for run in runs[::2]] == [
        ("l2", 8),
        ("cosine", 8),
        ("ppkt", 8),
        ("l2", 16),
    ]
    assert [run.is_base for run in runs] == [True] * 2 + [False] * 6
    table = AblationTable(
        [
            {**r.changes, "seed": 0, "is_base": r.is_base, "miou": float(i)}
            for i, r in enumerate(runs)
        ],
        ("distill.loss", "student.width"),
    )
    assert [each.name for each in table.compare()] == [
        "width 16",
        "loss ppkt",
        "loss cosine",
        "base",
    ]


def test_the_number_of_keyframes_is_an_axis():
    assert spread(range(10), None) == tuple(range(10)) and spread((3, 4, 5), 2) == (3, 5)
    with pytest.raises(ValueError, match="keyframes must be at most 3 here, got 4"):
        spread((3, 4, 5), 4)
    (_, few) = grid(BASE, {"keyframes": [1]}, repeats=1)
    assert few.config.keyframes == 1
    with pytest.raises(ValueError, match="keyframes"):
        grid(BASE, {"keyframes": [0]}, repeats=1)


def test_a_preset_by_name_keeps_the_inputs():
    runs = grid(BASE, {"student": ["minkunet-18"], "teacher": ["dinov2_vits14"]}, repeats=1)
    assert runs[0].changes == {"student": "base", "teacher": "base"}
    assert type(runs[1].config.student).__name__ == "MinkUNetConfig"
    assert runs[1].config.student.inputs.max_points == BASE.student.inputs.max_points
    assert runs[1].config.teacher.name == "dinov2_vits14"


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"los": ["l2"]}, "no setting 'los'; did you mean loss"),
        ({"lr": [1.0]}, "'lr' is ambiguous: choose one of distill.lr, probe.lr"),
        ({"loss": []}, "axis 'distill.loss' has no values"),
        ({"loss": ["l3"]}, "distill.loss='l3': .*loss must be one of"),
        ({"student.width": ["wide"]}, "student.width='wide': .*expected int"),
        ({"distill.seed": [1]}, "repeats runs every setting with several seeds"),
    ],
)
def test_a_wrong_axis_is_named(axes, message):
    with pytest.raises(ValueError, match=message):
        grid(BASE, axes, repeats=1)


def test_every_setting_of_the_dataclasses_can_be_an_axis():
    plain = plain_config(BASE)
    for name in ("distill.augment", "probe.steps", "student.inputs.fov", "teacher.name", "data"):
        assert setting_named(name, plain) == name


def rows(values):
    """Rows from {value of the axis: [metric of seed 0, seed 1, ...]}; the first is the base."""
    return [
        {"distill.loss": name, "seed": seed, "is_base": i == 0, "miou": value}
        for i, (name, metrics) in enumerate(values.items())
        for seed, value in enumerate(metrics)
    ]


def test_a_difference_counts_only_beyond_its_error():
    table = AblationTable(
        rows(
            {
                "l2": [0.5, 0.6, 0.7],
                "a": [0.52, 0.62, 0.721],
                "b": [0.9, 0.3, 0.7],
                "c": [0.1],
                "d": [0.6, 0.8, 0.7],
            }
        ),
        ("distill.loss",),
    )
    found = {each.changes["distill.loss"]: each for each in table.compare()}
    assert found["l2"].verdict == "base" and found["l2"].difference is None
    assert found["a"].verdict == "better"  # the same gain with every seed
    assert found["a"].difference == pytest.approx(0.061 / 3)
    assert found["b"].verdict == "not decided"
    assert found["b"].error == pytest.approx(0.3512 / 3**0.5, rel=1e-3)  # of +0.4, -0.3, 0
    assert found["c"].verdict == "one seed"
    # of +0.1, +0.2, 0: beyond the standard error, 0.058, but not beyond 4.303 (t, 2 degrees) of it
    assert found["d"].verdict == "not decided" and found["d"].difference == pytest.approx(0.1)
    assert found["d"].limit == pytest.approx(4.3027 * 0.1 / 3**0.5, rel=1e-4)
    assert table.compare(larger_is_better=False)[0].changes["distill.loss"] == "c"
    assert "better (3 seeds)" in table.summary()


def test_the_seeds_that_a_difference_needs():
    table = AblationTable(
        rows({"l2": [0.5, 0.6, 0.7], "a": [0.51, 0.62, 0.73], "b": [0.5, 0.6, 0.7]}),
        ("distill.loss",),
    )
    # Variances of the differences: 0.01^2 and 0. With two seeds t is 12.706.
    assert table.detectable(2) == pytest.approx(12.706 * (0.01**2 / 2 / 2) ** 0.5, rel=1e-4)
    assert table.detectable(3) < table.detectable(2) / 3
    # With three seeds t is 4.303, and the standard error 0.01 / sqrt(2) / sqrt(3).
    assert table.summary().endswith(
        "With 3 seeds, a verdict usually needs a difference of 1.8 points."
    )
    assert not AblationTable(rows({"l2": [0.5], "a": [0.6]}), ("distill.loss",)).limit_of_verdicts()
    assert AblationTable(rows({"l2": [0.5], "a": [0.6]}), ("distill.loss",)).detectable(2) is None
    with pytest.raises(ValueError, match="at least 2 seeds"):
        table.detectable(1)


def test_a_part_of_a_grid_is_compared_with_another_base():
    miou = {(300, 32): 0.2, (300, 64): 0.3, (1000, 32): 0.4, (1000, 64): 0.7}
    found = [
        {"steps": s, "width": w, "seed": r, "miou": v + 0.01 * r, "is_base": (s, w) == (300, 64)}
        for (s, w), v in miou.items()
        for r in (0, 1)
    ]
    table = AblationTable(found, ("steps", "width"))
    wide, narrow = table.within({"steps": 1000}, {"width": 32}).compare()
    assert (wide.name, narrow.name) == ("64", "32") and narrow.verdict == "base"
    assert wide.difference == pytest.approx(0.3) and wide.count == 2
    assert [row["is_base"] for row in table.rows] == [False, False, True, True] + [False] * 4
    with pytest.raises(ValueError, match="'depth' is no axis of the table; it has steps, width"):
        table.within({"depth": 6}, {})
    with pytest.raises(ValueError, match="no run has the values"):
        table.within({"steps": 1000}, {"width": 16})


def test_a_table_as_records_sorted_and_without_columns():
    table = AblationTable(rows({"l2": [0.5, 0.4], "a": [0.7, 0.1]}), ("distill.loss",))
    best = table.records()[0]
    assert best["distill.loss"] == "l2" and best["mean"] == pytest.approx(0.45)
    assert [row["miou"] for row in table.sort_by("miou").rows] == [0.7, 0.5, 0.4, 0.1]
    table.rows[0]["miou"] = None
    assert table.sort_by("miou", largest_first=False).rows[-1]["miou"] is None
    assert {each.name: each.count for each in table.compare()} == {"l2": 1, "a": 2}
    assert "is_base" not in table.without("is_base", "config").rows[0]
    with pytest.raises(ValueError, match="no column 'loss'; it has distill.loss, seed"):
        table.sort_by("loss")


def test_stored_tables_are_found_by_name():
    with pytest.raises(ValueError, match="no table 'losses_moon' comes with the kit"):
        AblationTable.stored("losses_moon")


def test_a_table_is_kept_and_a_damaged_one_is_named(tmp_path):
    table = AblationTable(rows({"l2": [0.5]}), ("distill.loss",), {"commit": "1234"})
    table.save(tmp_path / "t.jsonl")
    assert AblationTable.load(tmp_path / "t.jsonl") == table
    (tmp_path / "t.jsonl").write_text('{"axes": ["a"]}\n{"a": 1')
    with pytest.raises(ValueError, match="t.jsonl, line 2: not JSON"):
        AblationTable.load(tmp_path / "t.jsonl")
    (tmp_path / "t.jsonl").write_text("")
    with pytest.raises(ValueError, match="no table of an ablation"):
        AblationTable.load(tmp_path / "t.jsonl")


def test_an_ablation_goes_on_where_it_was_and_gives_the_same(root, tmp_path, monkeypatch):
    axes = {"loss": ["l2", "cosine"]}
    whole = kit.ablate(BASE, axes, root, repeats=1, out=tmp_path / "whole")
    assert len(whole.rows) == 2 and {row["distill.loss"] for row in whole.rows} == {"l2", "cosine"}
    assert all(0 <= row["miou"] <= 1 and 0 < row["held_out_loss"] < 2 for row in whole.rows)

    calls = []

    def stops(run, out):
        calls.append(run)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return one_run(run, out)

    one_run = module.one_run
    monkeypatch.setattr(module, "one_run", stops)
    with pytest.raises(KeyboardInterrupt):
        kit.ablate(BASE, axes, root, repeats=1, out=tmp_path / "cut")
    again = kit.ablate(BASE, axes, root, repeats=1, out=tmp_path / "cut")
    assert len(calls) == 3  # the first run is not repeated
    for one, other in zip(again.rows, whole.rows, strict=True):
        assert one["miou"] == other["miou"] and one["held_out_loss"] == other["held_out_loss"]


def test_the_seconds_of_a_continued_run_count_all_its_parts(root, tmp_path, monkeypatch):
    def earlier(*arguments):
        done = learn(*arguments)
        done.history[-1]["seconds"] = 1000.0  # of all parts, see `kit.distill.loop`
        return done

    learn = module.learn
    monkeypatch.setattr(module, "learn", earlier)
    (row,) = kit.ablate(BASE, {"loss": ["l2"]}, root, repeats=1, out=tmp_path).rows
    assert 1000 < row["seconds"] < 1060


def test_processes_of_this_machine_give_the_same(root, tmp_path):
    axes = {"student.width": [8, 12]}
    one = kit.ablate(BASE, axes, root, repeats=1, out=tmp_path / "one")
    two = kit.ablate(BASE, axes, root, repeats=1, out=tmp_path / "two", workers=2)
    for a, b in zip(one.rows, two.rows, strict=True):
        assert a["miou"] == pytest.approx(b["miou"], abs=0.02)  # another number of threads


def test_the_command_reads_a_grid(root, tmp_path):
    base = {**plain_config(BASE), "data": root}
    content = {"base": base, "axes": {"loss": ["l2"]}, "repeats": 1}
    (tmp_path / "grid.json").write_text(json.dumps(content))
    table = module.from_file(tmp_path / "grid.json", out=tmp_path / "out")
    assert AblationTable.load(tmp_path / "out" / "table.jsonl") == table
    assert table.made["command"] == "python -m kit ablate grid.json"
    repeated = module.again(table, out=tmp_path / "out")  # finished runs are not repeated
    assert repeated.rows == table.rows
    with pytest.raises(ValueError, match="does not say how it was made"):
        module.again(AblationTable([], ("loss",)))
    (tmp_path / "grid.json").write_text('{"axis": {}}')
    with pytest.raises(ValueError, match="grid.json: expected an object with axes"):
        module.from_file(tmp_path / "grid.json", out=tmp_path / "out")


def test_fine_tuning_and_corruptions_are_columns(root, tmp_path):
    tuned = FineTuneConfig(epochs=1, batch_size=1)
    base = AblationConfig(
        **{f.name: getattr(BASE, f.name) for f in fields(BASE)},
        fine_tune=tuned,
        corruptions=("motion blur",),
    )
    table = kit.ablate(base, {"fine_tune.epochs": [8]}, root, repeats=1, out=tmp_path)
    one, other = table.rows
    assert (one["fine_tune.epochs"], other["fine_tune.epochs"]) == (1, 8)
    assert one["miou"] == other["miou"] and one["fine_tuned"] != other["fine_tuned"]
    assert one["mrr"] == other["mrr"] > 0
    blurred = [one[f"motion blur {severity}"] for severity in (1, 2, 3)]
    assert one["mrr"] == pytest.approx(sum(blurred) / 3 / one["clean"])
    assert "motion blur 3 in %" in table.summary("motion blur 3")
    assert table.compare("fine_tuned")[0].mean <= 1
    with pytest.raises(ValueError, match="no corruption 'rain'"):
        replace(base, corruptions=("rain",))


def test_other_seeds_are_other_students():
    first, second = grid(BASE, {"loss": ["l2"]}, repeats=2)
    assert first.config == BASE
    assert second.config == replace(BASE, distill=replace(BASE.distill, seed=1))
