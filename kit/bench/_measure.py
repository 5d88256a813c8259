"""Times, memory, the limits of the machine, and what is run to measure a network."""

import ctypes
import gc
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn


def seconds(run: Callable, repeats: int) -> float:
    """Median time of a call, after one that does not count."""
    run()
    return median(_once(run) for _ in range(repeats))


def alternate(one: Callable, other: Callable, repeats: int) -> tuple[float, float, float]:
    """Median seconds of both, run in turn, and the median of how many times longer `other` took."""
    one(), other()
    pairs = [(_once(one), _once(other)) for _ in range(repeats)]
    return (
        median(a for a, _ in pairs),
        median(b for _, b in pairs),
        median(b / a for a, b in pairs),
    )


def _once(run: Callable) -> float:
    began = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def matrix_rate(device: str, dtype: torch.dtype = torch.float32) -> float:
    """Floating-point operations a second of a product of 4096 x 768 with 768 x 768."""
    a, b = (torch.randn(n, 768, device=device, dtype=dtype) for n in (4096, 768))
    return 2 * 4096 * 768**2 / seconds(lambda: a @ b, 15)


def copy_rate(device: str) -> float:
    """Bytes read and written a second when 200 MB are copied to where they were copied before."""
    source = torch.randn(50_000_000, device=device)
    target = torch.empty_like(source)
    return 2 * source.numel() * 4 / seconds(lambda: target.copy_(source), 5)


def peak_extra_memory(run: Callable, device: str) -> float:
    """Most bytes held at once during a call beyond those held before it.

    Linux and CUDA; on other systems NaN.
    """
    run()
    gc.collect()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return float(torch.cuda.max_memory_allocated() - before)
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    ctypes.CDLL(None).malloc_trim(0)  # what the first call freed must count anew
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts again
    before = _kilobytes(status, "VmRSS")
    run()
    return 1024.0 * (_kilobytes(status, "VmHWM") - before)


def _kilobytes(status: Path, name: str) -> int:
    line = next(line for line in status.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1])


def train_run(network: nn.Module, batch) -> Callable[[], Tensor]:
    """Forward and backward through the head; returns the output."""

    def run() -> Tensor:
        network.train().zero_grad()
        output = network(batch)
        output.backward(output.detach())  # the gradient of half its square, at no cost
        return output.detach()

    return run


def infer_run(network: nn.Module, batch) -> Callable[[], Tensor]:
    """Point features in eval mode, as probing and looking use them."""

    @torch.no_grad()
    def run() -> Tensor:
        return network.eval().features(batch)

    return run
