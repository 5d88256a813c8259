"""Measure the time and memory of calls, and the limits of the machine."""

import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

# Large enough to use the whole device: rows, columns and inner size of a product; bytes of a copy.
MATRIX = {"cpu": (4096, 768, 768), "cuda": (8192, 8192, 8192)}
COPIED = {"cpu": 200_000_000, "cuda": 2_000_000_000}


def seconds(run: Callable, repeats: int) -> float:
    """Median time of a call, after one call that does not count."""
    run()
    return median(_once(run) for _ in range(repeats))


def alternate(one: Callable, other: Callable, repeats: int) -> tuple[float, float, float]:
    """Run two calls in turn: median seconds of both, and the median ratio of `other` to `one`.

    A short call is repeated before it counts, so that its time does not depend on what the other
    call left in the caches and on the heap.
    """
    short = _once(one) < 0.5, _once(other) < 0.5
    pairs = []
    for _ in range(repeats):
        pair = []
        for run, again in zip((one, other), short, strict=True):
            if again:
                run()
            pair.append(_once(run))
        pairs.append(pair)
    return (
        median(a for a, _ in pairs),
        median(b for _, b in pairs),
        median(b / a for a, b in pairs),
    )


def _once(run: Callable) -> float:
    began = now()
    run()
    return now() - began


def now() -> float:
    """Seconds on a clock, after the work on a GPU is finished."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def matrix_rate(device: str, dtype: torch.dtype = torch.float32) -> float:
    """Floating-point operations a second of a matrix product of the sizes in `MATRIX`."""
    rows, columns, inner = MATRIX[device]
    a = torch.randn(rows, inner, device=device, dtype=dtype)
    b = torch.randn(inner, columns, device=device, dtype=dtype)
    return 2 * rows * columns * inner / seconds(lambda: a @ b, 15)


def copy_rate(device: str) -> float:
    """Bytes read and written a second by a copy into existing memory."""
    source = torch.randn(COPIED[device] // 4, device=device)
    target = torch.empty_like(source)
    return 2 * source.numel() * 4 / seconds(lambda: target.copy_(source), 5)


def peak_extra_memory(run: Callable, device: str) -> float:
    """The most bytes of tensors held at once during a call, without those held before it."""
    run()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return float(torch.cuda.max_memory_allocated() - before)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        run()
    events = [e for e in profiled.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = most = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return float(most)


def train_run(network: nn.Module, batch) -> Callable[[], Tensor]:
    """A call that runs a network forward and backward and returns its output."""

    def run() -> Tensor:
        network.train().zero_grad()
        output = network(batch)
        output.backward(output.detach())  # the gradient of the loss output.square().sum() / 2
        return output.detach()

    return run


def infer_run(network: nn.Module, batch) -> Callable[[], Tensor]:
    """A call that computes point features in eval mode, as feature extraction does."""

    @torch.no_grad()
    def run() -> Tensor:
        return network.eval().features(batch)

    return run
