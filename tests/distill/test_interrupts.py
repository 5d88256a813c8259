"""Ctrl-C and SIGTERM: a run that was interrupted ends with the weights of one that was not."""

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_distillation
from hypothesis import given, settings
from hypothesis import strategies as st
from jupyter_client import KernelManager
from tiny_distillation import CONFIG, interrupted_child, run, same_weights, small_teacher

from kit import store
from kit.distill import interrupts, step
from kit.student.checkpoints import load_student

ROOT = Path(__file__).parents[2]
RARE = replace(CONFIG, checkpoint_every=100)  # every checkpoint is the interrupt's
# Each example is a run and its continuation, so there are few; with `make fuzz` 30.
SOME = settings(max_examples=max(settings.default.max_examples // 100, 3))


@pytest.fixture(scope="module")
def teacher():
    return small_teacher()


@pytest.fixture(scope="module")
def whole(teacher):
    """A run that was never stopped."""
    return run(config=RARE, teacher=teacher)


@pytest.fixture
def outer():
    """Signals that reach the handlers that were there before the run."""
    with caught() as received:
        yield received


class caught:
    def __enter__(self):
        received = []
        self.before = {
            each: signal.signal(each, lambda number, _: received.append(number))
            for each in interrupts.SIGNALS
        }
        return received

    def __exit__(self, *_):
        for each, handler in self.before.items():
            signal.signal(each, handler)


def in_the_middle_of_a_step(monkeypatch, *signals, number=3, where="compute_loss"):
    """Send signals when the student's batch statistics have changed and its weights have not."""
    calls, original = [], getattr(step, where)

    def interrupted(*args):
        calls.append(1)
        if len(calls) == number:
            for each in signals:
                signal.raise_signal(each)
        return original(*args)

    monkeypatch.setattr(step, where, interrupted)


@pytest.mark.parametrize("number", interrupts.SIGNALS)
def test_an_interrupt_in_the_middle_of_a_step_finishes_and_saves_it(
    whole, teacher, tmp_path, monkeypatch, capsys, outer, number
):
    in_the_middle_of_a_step(monkeypatch, number)
    stopped = run(tmp_path, RARE, teacher)
    assert stopped.interrupted and not stopped.finished
    assert store.load_checkpoint(tmp_path).step == len(stopped.history) == 3
    printed = capsys.readouterr()
    assert "the step that has begun is finished and saved" in printed.err
    assert f"stopped: 3 of 8 steps are done and saved in {tmp_path}" in printed.out
    assert outer == [signal.SIGTERM] * (number == signal.SIGTERM)  # sent again after saving
    assert same_weights(run(tmp_path, RARE, teacher).student, whole.student)


def test_a_second_interrupt_says_that_the_run_is_being_saved(
    teacher, tmp_path, monkeypatch, capsys, outer
):
    in_the_middle_of_a_step(monkeypatch, signal.SIGINT, signal.SIGINT)
    assert len(run(tmp_path, RARE, teacher).history) == 3
    printed = capsys.readouterr().err
    assert "still being finished and saved" in printed and f"kill -9 {os.getpid()}" in printed


def test_an_interrupt_while_saving_is_kept_for_afterwards(
    whole, teacher, tmp_path, monkeypatch, outer
):
    save = store.save_checkpoint

    def interrupted(*args):
        signal.raise_signal(signal.SIGINT)
        save(*args)

    monkeypatch.setattr(store, "save_checkpoint", interrupted)
    last = run(tmp_path, RARE, teacher)
    assert last.finished and last.interrupted  # whoever continues after the last step has to know
    assert same_weights(last.student, whole.student)
    assert same_weights(load_student(tmp_path / "student.safetensors"), whole.student)


def test_other_handlers_are_restored_and_ignored_signals_stay_ignored(teacher, monkeypatch, outer):
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    in_the_middle_of_a_step(monkeypatch, signal.SIGINT)
    assert run(config=replace(RARE, steps=4), teacher=teacher).finished
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGTERM) is before


def test_handlers_are_left_alone_outside_the_main_thread(teacher):
    before, done = [signal.getsignal(each) for each in interrupts.SIGNALS], []
    config = replace(RARE, steps=1)
    thread = threading.Thread(target=lambda: done.append(run(config=config, teacher=teacher)))
    thread.start(), thread.join()
    assert done[0].finished and not done[0].interrupted
    assert before == [signal.getsignal(each) for each in interrupts.SIGNALS]


def test_printing_inside_a_handler_never_fails(capfd, monkeypatch):
    def reentrant(*_, **__):
        raise RuntimeError("reentrant call inside <_io.BufferedWriter name='<stderr>'>")

    monkeypatch.setattr("builtins.print", reentrant)
    interrupts._print_in_handler("saving")
    monkeypatch.undo()
    assert capfd.readouterr().err == "\nsaving\n"


@SOME
@given(after=st.floats(0, 1), number=st.sampled_from(interrupts.SIGNALS), workers=st.booleans())
def test_an_interrupt_at_a_random_moment_changes_nothing(
    whole, teacher, tmp_path_factory, after, number, workers
):
    out = tmp_path_factory.mktemp("interrupted")
    config = replace(RARE, num_workers=int(workers))
    duration = 1.3 * whole.history[-1]["seconds"]
    with caught():
        timer = threading.Timer(after * duration, os.kill, (os.getpid(), number))
        timer.start()
        stopped = run(out, config, teacher)
        timer.join()
    assert store.load_checkpoint(out).step == len(stopped.history)
    assert same_weights(run(out, config, teacher).student, whole.student)


def test_the_demo_stops_with_a_message_and_nothing_follows(tmp_path):
    printed, status = interrupted_child("demo", tmp_path, signal.SIGINT)
    assert status and "Ctrl-C: the step that has begun is finished and saved" in printed
    assert "stopped: " in printed and "linear probe" not in printed
    stopped = store.load_checkpoint(tmp_path).step
    assert stopped == len(store.read_jsonl(tmp_path / "history.jsonl")) < 8


def printed_by(client, request):
    """What a cell printed, and the status of its reply."""
    reply = client.get_shell_msg(timeout=120)
    assert reply["parent_header"]["msg_id"] == request
    printed = ""
    while True:
        message = client.get_iopub_msg(timeout=20)
        if message["msg_type"] == "stream":
            printed += message["content"]["text"]
        if message["content"].get("execution_state") == "idle":
            if message["parent_header"]["msg_id"] == request:
                return printed, reply["content"]["status"]


def test_interrupting_a_notebook_stops_the_cell_and_the_next_one_continues(tmp_path):
    helpers, out = str(Path(tiny_distillation.__file__).parent), str(tmp_path)
    kernel = KernelManager(kernel_name="python3")
    kernel.start_kernel(env={**os.environ, "PYTHONPATH": f"{ROOT}:{helpers}"})
    client = kernel.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=120)
        cell = f"import tiny_distillation\ndone = tiny_distillation.run({out!r})\n"
        request = client.execute(cell + "print(done.finished, len(done.history))")
        history = tmp_path / "history.jsonl"
        while not (history.exists() and history.read_bytes()):
            time.sleep(0.005)
        kernel.interrupt_kernel()
        printed, status = printed_by(client, request)
        assert "Ctrl-C: the step that has begun is finished" in printed and status == "ok"
        assert f"False {store.load_checkpoint(tmp_path).step}" in printed
        again = client.execute(f"{cell}print(done.finished)")
        assert printed_by(client, again)[0].strip() == "True"
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)
    done = load_student(tmp_path / "student.safetensors")
    assert same_weights(done, run().student)
