"""The training loop: the loss falls, and a run that was killed ends with the same weights."""

import signal
import socket
import time
from dataclasses import replace
from unittest.mock import Mock

import psutil
import pytest
import tiny_distillation
import torch
import torch.nn.functional as F
from launchers import sbatch, srun, torchrun
from lightning.fabric import Fabric
from tiny_distillation import (
    CONFIG,
    interrupted_child,
    program,
    run,
    same_weights,
    small_teacher,
    street,
)

from kit import extract, space_of, store
from kit.distill.loop import SWITCHES, distill, make_fabric, processes_and_nodes
from kit.distill.losses import LOSSES
from kit.distill.run_folder import check_ranks
from kit.distill.step import DistillStep
from kit.student.checkpoints import load_student
from kit.student.presets import build_student
from kit.student.waffleiron.model import WaffleIron


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that was never stopped."""
    return run(tmp_path_factory.mktemp("whole"))


def stop_before(number, step):
    """A step during which the user presses Ctrl-C when it is called this many times."""
    calls = []

    def interrupted(self, batch, lr):
        calls.append(1)
        if len(calls) == number:
            signal.raise_signal(signal.SIGINT)
        return step(self, batch, lr)

    return interrupted


def test_the_loss_falls():
    history = run(config=replace(CONFIG, steps=40, lr=1e-2)).history
    first, last = (sum(row["loss"] for row in rows) / 5 for rows in (history[:5], history[-5:]))
    assert last < first - 0.1


def test_same_seed_same_weights_other_seed_others(whole):
    assert same_weights(whole.student, run().student)
    assert not same_weights(whole.student, run(config=replace(CONFIG, seed=1)).student)


def test_a_cache_of_feature_maps_changes_little_and_is_filled(whole, tmp_path):
    cache = store.FeatureCache(tmp_path)
    cached = run(cache=cache)
    assert cache.size() > 0
    losses = [[row["loss"] for row in r.history] for r in (whole, cached)]
    assert losses[1] == pytest.approx(losses[0], abs=2e-3)  # the maps are kept in half precision


def test_worker_processes_change_nothing(whole):
    assert same_weights(whole.student, run(config=replace(CONFIG, num_workers=2)).student)


def test_mixed_precision_learns_nearly_the_same(whole):
    losses = [row["loss"] for row in run(config=replace(CONFIG, precision="bf16-mixed")).history]
    assert losses == pytest.approx([row["loss"] for row in whole.history], abs=0.02)
    assert losses != [row["loss"] for row in whole.history]


@pytest.mark.parametrize("switch", SWITCHES)
def test_layers_are_compiled_or_fused_for_the_steps_only(switch, monkeypatch):
    switched = []
    monkeypatch.setattr(WaffleIron, SWITCHES[switch], lambda _, on=True: switched.append(on))
    run(config=replace(CONFIG, steps=1, **{switch: True}))
    assert switched == [True, False]


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_student_that_cannot_be_compiled_or_fused_is_named(switch):
    pytest.importorskip("kit.student.minkunet.model")
    teacher = small_teacher()
    student = build_student("minkunet-18", teacher.dim)
    method = SWITCHES[switch]
    with pytest.raises(ValueError, match=f"{switch}=True: a MinkUNet has no method {method}"):
        distill(street(), teacher, student, replace(CONFIG, **{switch: True}))


@pytest.mark.skipif(torch.cuda.is_available(), reason="the kernels can run")
def test_without_a_gpu_fused_layers_run_unfused_and_one_line_says_so(whole):
    with pytest.warns(
        UserWarning, match="on the CPU: the kernels need a GPU; layers run unfus"
    ) as w:
        unfused = run(config=replace(CONFIG, fused=True))
    assert len(w) == 1
    assert same_weights(unfused.student, whole.student)


def test_the_folder_holds_how_it_was_made(whole):
    made = store.read_json(whole.folder / "run.json")
    assert made["config"]["distill"]["steps"] == 8
    assert made["config"]["teacher"]["name"] == "efficientnet_lite0"
    assert len(made["config"]["data"]["tokens"]) == 2
    assert [row["step"] for row in store.read_jsonl(whole.folder / "history.jsonl")] == list(
        range(8)
    )
    assert same_weights(load_student(whole.folder / "student.safetensors"), whole.student)


def test_learning_rate_follows_the_schedule(whole):
    rates = [row["lr"] for row in whole.history]
    assert rates.index(max(rates)) == 2 and max(rates) == pytest.approx(CONFIG.lr)
    assert rates[-1] < 0.1 * CONFIG.lr
    rsqrt = [replace(CONFIG, schedule="rsqrt", steps=650).lr_at(step) for step in range(650)]
    assert max(rsqrt) == pytest.approx(CONFIG.lr, rel=0.01) and 0 < rsqrt[-1] < 0.01 * CONFIG.lr


def test_a_distilled_student_names_its_teacher_and_shares_its_space(whole):
    teacher = small_teacher()
    loaded = load_student(whole.folder / "student.safetensors")
    for student in (whole.student, loaded):
        assert student.distilled_from.name == teacher.name
        assert student.distilled_from.lidar == street().sensor
        assert space_of(student) == space_of(teacher)
        assert extract(student, street()[0]).space == space_of(teacher)


def test_the_settings_of_the_command_are_in_the_folder(tmp_path):
    settings = {"student": "wi-6-64", "distill": CONFIG}
    run(tmp_path, replace(CONFIG, steps=1), settings=settings)
    assert store.read_json(tmp_path / "run.json")["settings"] == store.to_plain(settings)


def test_a_finished_run_is_not_repeated(whole):
    again = run(whole.folder)
    assert same_weights(again.student, whole.student) and len(again.history) == 8


def test_another_setting_in_the_same_folder_is_refused(whole):
    with pytest.raises(ValueError, match=r"distill\.lr"):
        run(whole.folder, replace(CONFIG, lr=1e-3))
    with pytest.raises(ValueError, match=r"data\.tokens"):
        run(whole.folder, keyframes=[0])


def test_a_teacher_of_another_width_is_refused():
    with pytest.raises(ValueError, match="432"):
        distill(street(), small_teacher(), build_student("wi-6-64", 99), CONFIG)


def test_keyframes_without_images_are_told_at_the_start_and_runs_go_on_bit_for_bit(
    tmp_path, monkeypatch, capsys
):
    class Partial(type(street())):
        def __getitem__(self, index):
            keyframe = super().__getitem__(index)
            return replace(keyframe, cameras={}) if index == 1 else keyframe

    partial = Partial(num_scenes=1, keyframes_per_scene=2, image_size=(56, 112))
    monkeypatch.setattr(tiny_distillation, "street", lambda: partial)
    config = replace(CONFIG, steps=4)
    whole = run(config=config)
    assert "1 of 2 keyframes left out (without images: 1;" in capsys.readouterr().out
    with monkeypatch.context() as patch:
        patch.setattr(DistillStep, "__call__", stop_before(2, DistillStep.__call__))
        assert not run(tmp_path, config).finished
    assert same_weights(run(tmp_path, config).student, whole.student)


def test_a_run_from_before_a_setting_existed_continues(tmp_path, monkeypatch):
    half = replace(CONFIG, steps=8)
    monkeypatch.setattr(DistillStep, "__call__", stop_before(5, DistillStep.__call__))
    run(tmp_path, half)
    monkeypatch.undo()
    checkpoint = store.load_checkpoint(tmp_path)
    meta = checkpoint.meta
    for part, name in (("distill", "loss"), ("distill", "fused"), ("student", "type")):
        del meta[part][name]
    tensors, header = store.load_tensors(tmp_path / store.CHECKPOINT)
    store.save_tensors(tmp_path / store.CHECKPOINT, tensors, {**header, "meta": meta})
    with pytest.raises(ValueError, match=r"distill\.loss: l2 there, cosine now"):
        run(tmp_path, replace(half, loss="cosine"))
    assert run(tmp_path, half).finished


def superpixel_loss(student_feat, teacher_feat, superpixels):
    """Distance between the mean features of each superpixel: a loss of three arrays."""
    _, row = superpixels.unique(return_inverse=True)
    sums = torch.zeros(2, int(row.max()) + 1, student_feat.shape[1])
    sums = sums.index_add(1, row, torch.stack([student_feat, teacher_feat]))
    return (F.normalize(sums[0]) - F.normalize(sums[1])).norm(dim=1).mean()


def test_a_superpixel_loss_is_one_line_and_learns(monkeypatch, tmp_path):
    monkeypatch.setitem(LOSSES, "superpixels", superpixel_loss)
    config = replace(CONFIG, steps=30, lr=1e-2, loss="superpixels")
    cache = store.FeatureCache(tmp_path)
    done = run(config=config, cache=cache)
    first, last = (
        sum(r["loss"] for r in rows) / 5 for rows in (done.history[:5], done.history[-5:])
    )
    assert last < first - 0.1
    assert done.seconds["superpixels"] > 0


def test_a_loss_that_needs_what_is_not_there_is_refused(monkeypatch):
    monkeypatch.setitem(LOSSES, "odd", lambda student_feat, weather: student_feat.mean())
    with pytest.raises(ValueError, match="the loss 'odd' needs weather"):
        run(config=replace(CONFIG, loss="odd"))


def test_an_interrupted_run_keeps_its_steps_and_continues(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(DistillStep, "__call__", stop_before(4, DistillStep.__call__))
    stopped = run(tmp_path)
    assert stopped.interrupted and not stopped.finished and len(stopped.history) == 4
    assert store.load_checkpoint(tmp_path).step == 4
    monkeypatch.undo()
    assert same_weights(run(tmp_path).student, whole.student)


def launched(out, *launcher, kill_at=None):
    """Distil in another process; kill it and its processes after `kill_at` steps."""
    child = program("distill", out, *launcher)
    history, deadline = out / "history.jsonl", time.time() + 120
    while kill_at and child.poll() is None and time.time() < deadline:
        if history.exists() and history.read_bytes().count(b"\n") >= kill_at:
            for process in psutil.Process(child.pid).children(recursive=True):
                process.kill()
            child.kill()
            break
        time.sleep(0.005)
    assert child.wait(timeout=120) == (-signal.SIGKILL if kill_at else 0)


def launched_by_srun(out):
    """Distil in two processes that have the variables of `srun --ntasks-per-node=2`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"SLURM_JOB_NAME": "train", "SLURM_NODELIST": "127.0.0.1", "MASTER_PORT": port}
    children = [
        program("distill", out, variables={**of_one, **shared}) for of_one in srun(2, per_node=2)
    ]
    assert [child.wait(timeout=120) for child in children] == [0, 0]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, (1, 1)),
        (srun(1)[0], (1, 1)),
        (srun(8, per_node=4)[5], (4, 2)),
        (sbatch(8, per_node=4), (1, 1)),
        ({**sbatch(8, per_node=4), "SLURM_JOB_NAME": "bash"}, (1, 1)),
        (torchrun(8, per_node=4, inside=srun(2, per_node=1))[5], (4, 2)),
    ],
)
def test_processes_are_those_of_torchrun_or_srun(variables, expected, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert processes_and_nodes() == expected


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (srun(8)[0], "srun started 8 processes: give it --ntasks-per-node"),
        ({"RANK": "1", "WORLD_SIZE": "8"}, "LOCAL_WORLD_SIZE is missing: start .* with torchrun"),
    ],
)
def test_an_unknown_number_of_processes_for_a_machine_is_refused(variables, expected, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=expected):
        processes_and_nodes()


def test_a_script_of_sbatch_trains_in_one_process(monkeypatch):
    """Fabric alone would refuse it, or wait for processes that nobody started."""
    for name, value in sbatch(9, per_node=3).items():
        monkeypatch.setenv(name, value)
    fabric = make_fabric(CONFIG)
    assert (fabric.world_size, fabric.global_rank) == (1, 0)


def test_one_process_of_srun_in_a_job_for_more_trains_alone(monkeypatch):
    for name, value in {**srun(1)[0], "SLURM_NTASKS_PER_NODE": "4", "SLURM_NNODES": "2"}.items():
        monkeypatch.setenv(name, value)
    assert make_fabric(CONFIG).world_size == 1


def test_srun_inside_salloc_trains_in_its_processes(monkeypatch):
    """Fabric alone would take them for one process each, because of the name of the job."""
    for name, value in {**srun(4, per_node=2)[3], "SLURM_JOB_NAME": "interactive"}.items():
        monkeypatch.setenv(name, value)
    with monkeypatch.context() as patch:
        patch.setattr(Fabric, "launch", lambda fabric: None)  # nobody else would answer
        fabric = make_fabric(CONFIG)
    assert (fabric.world_size, fabric.global_rank) == (4, 3)


def test_processes_with_different_settings_refuse():
    def ranks(*lrs):
        found = [{"distill": {"lr": lr, "num_workers": n}} for n, lr in enumerate(lrs)]
        fabric = Mock(Fabric, world_size=len(lrs))
        fabric.broadcast.side_effect = lambda _, src: found[src]
        return fabric

    check_ranks({}, ranks(0.1, 0.1))  # the number of workers may differ
    with pytest.raises(ValueError, match="distill.lr: 0.1 in process 0, 0.2 in process 2"):
        check_ranks({}, ranks(0.1, 0.1, 0.2))


def test_a_killed_run_ends_with_the_same_weights(whole, tmp_path):
    launched(tmp_path, kill_at=5)
    assert store.load_checkpoint(tmp_path).step in (2, 4, 6)
    continued = run(tmp_path)
    assert same_weights(continued.student, whole.student)
    for history in (continued.history, store.read_jsonl(tmp_path / "history.jsonl")):
        assert [row["step"] for row in history] == list(range(8))


def test_two_processes_share_the_views_and_continue_when_launched_again(
    whole, tmp_path, monkeypatch
):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # in all, however they are launched
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    launched_by_srun(tmp_path / "whole")
    stopped = tmp_path / "stopped"
    launched(stopped, *torchrun, kill_at=3)
    assert store.load_checkpoint(stopped).step in (2, 4)
    printed, status = interrupted_child("distill", stopped, signal.SIGINT, *torchrun)
    assert status == 0 and "stopped: " in printed
    steps = [row["step"] for row in store.read_jsonl(stopped / "history.jsonl")]
    assert steps == list(range(store.load_checkpoint(stopped).step))
    launched(stopped, *torchrun)
    one, other = (each / "student.safetensors" for each in (tmp_path / "whole", stopped))
    assert same_weights(load_student(one), load_student(other))
    rows = store.read_jsonl(stopped / "history.jsonl")
    assert [row["step"] for row in rows] == list(range(8))
    assert not same_weights(load_student(one), whole.student)  # each process has its own statistics
