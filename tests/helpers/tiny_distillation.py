"""A distillation of seconds, in this process or as a program: `distill OUT` or `demo OUT`."""

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
from kit.distill.loop import distill
from kit.distill.settings import DistillConfig
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
    {"distill": run, "demo": demo}[sys.argv[1]](sys.argv[2])
