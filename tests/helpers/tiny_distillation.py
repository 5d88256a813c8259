"""A distillation of seconds, in this process or as a program: `distill OUT`, `demo OUT`, ..."""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import kit  # isort: skip  (before torch)
import psutil
import torch

from kit import store
from kit.data import open_dataset
from kit.distill.batches import TrainingBatches
from kit.distill.loop import distill, make_fabric
from kit.distill.settings import DistillConfig
from kit.distill.step import DistillStep
from kit.student.waffleiron.config import WaffleIronConfig
from kit.student.waffleiron.model import WaffleIron
from kit.teacher.presets import build_teacher

CONFIG = DistillConfig(steps=8, batch_size=2, checkpoint_every=2, warmup=0.2)


def street():
    return open_dataset("street", num_scenes=1, keyframes_per_scene=2, image_size=(56, 112))


def small_teacher():
    return build_teacher("efficientnet_lite0", image_size=(64, 128))


def run(out=None, config=CONFIG, teacher=None, **options):
    """Distil; a student with batch statistics and drop path, which an interrupt could spoil."""
    teacher = teacher or small_teacher()
    torch.manual_seed(0)
    student = WaffleIron(WaffleIronConfig(2, 8, head=(teacher.dim,), drop_path=0.3))
    return distill(street(), teacher, student, config, out=out, progress=False, **options)


def same_weights(one, other):
    others = other.state_dict()
    return all(torch.equal(value, others[name]) for name, value in one.state_dict().items())


def demo(out):
    """The main job with the same settings; its probes are skipped."""
    from kit import demo

    student = demo.small("wi-6-64", depth=2, width=8)
    config = demo.DemoConfig(student=student, distill=replace(CONFIG, checkpoint_every=100))
    return demo.demo(config, out, dataset=street())


def gradients(out):
    """Loss and gradients of one step with fixed batch statistics, written by the first process.

    Three views: of two processes, one has twice as many as the other.
    """
    teacher = build_teacher("dino_vits16", image_size=(32, 64), weights="random")
    torch.manual_seed(0)
    student = WaffleIron(WaffleIronConfig(2, 8, head=(teacher.dim,)))
    config = replace(CONFIG, batch_size=3, class_token=0.5)
    fabric = make_fabric(config)
    step = DistillStep(teacher, student, config, fabric)
    student.embed.eval()
    ranks = {"rank": fabric.global_rank, "world_size": fabric.world_size}
    inputs, sizes = student.config.inputs, {"batch_size": 3, "steps": 1}
    batch = TrainingBatches(street(), [0, 1], inputs, seed=0, **sizes, **ranks)[0]
    found = {"loss": step(batch, lr=0.0), "pairs": torch.tensor(batch.num_pairs)}
    names = {parameter: name for name, parameter in step.trained.named_parameters()}
    for parameter, state in step.optimizer.state.items():
        found[names[parameter]] = state["exp_avg"] / 0.1  # after one step 1 - beta1 of it
    if fabric.is_global_zero:
        store.save_tensors(out, found)


def program(name, out, *launcher, variables=None, **options):
    """Start this file in another process, with more variables of the environment."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **(variables or {})}
    command = [sys.executable, *launcher, __file__, name, str(out)]
    return subprocess.Popen(command, env=environment, **options)


def interrupted_child(name, out, number, *launcher):
    """Start this file; send it a signal at a random moment after its first step.

    With a launcher, one of the processes that it started gets the signal, which the others have to
    hear of. Returns what was printed, and the exit status.
    """
    began = time.time()
    checkpoint = store.load_checkpoint(out)
    steps = checkpoint.step if checkpoint else 0
    pipe = subprocess.PIPE
    child = program(name, out, *launcher, stdout=pipe, stderr=subprocess.STDOUT, text=True)

    def is_in_a_step():
        run, history = out / "run.json", out / "history.jsonl"
        started = run.exists() and run.stat().st_mtime > began and history.exists()
        return started and history.read_bytes().count(b"\n") > steps

    while not is_in_a_step() and time.time() < began + 120:
        assert child.poll() is None, child.communicate()[0]
        time.sleep(0.005)
    time.sleep(random.uniform(0, 0.1))
    target = psutil.Process(child.pid)
    if launcher:
        target = max(target.children(), key=lambda process: process.pid)
    target.send_signal(number)
    return child.communicate(timeout=120)[0], child.returncode


if __name__ == "__main__":
    # A background job starts with Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    assert kit
    {"distill": run, "demo": demo, "gradients": gradients}[sys.argv[1]](sys.argv[2])
