"""How a run is made: package versions, the kit's own commit, processor, cores and memory."""

import ctypes
import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import torch

from kit.store.serialisation import to_plain

T = TypeVar("T")

PACKAGES = (
    "lidar-distillation-kit torch torchvision timm numpy lightning torchmetrics safetensors "
    "spconv-cu120 spconv-cu126 open3d pykdtree nuscenes-devkit plotly anywidget"
).split()


def versions() -> dict[str, str]:
    """Versions of Python and of those packages that figures depend on, as far as installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit(root: Path | None = None) -> tuple[str | None, bool | None]:
    """Git commit of the kit's checkout and whether `kit/` differs from it; None without one.

    A repository further up (a project whose virtual environment holds the kit) is not the kit's.
    """
    root = (root or Path(__file__).parents[1]).resolve()
    top, head = _git(root, "rev-parse", "--show-toplevel"), _git(root, "rev-parse", "HEAD")
    if not top or not head or Path(top).resolve() != root:
        return None, None
    changes = _git(root, "status", "--porcelain", "--", "kit")
    return head, None if changes is None else bool(changes)


def _git(root: Path, *words: str) -> str | None:
    # Inside a git hook GIT_DIR and its kin point at whatever repository the hook is for.
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env["GIT_OPTIONAL_LOCKS"] = "0"
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words], env=env, capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def describe_run(config: Any, seed: int | None) -> dict:
    """How a run is made: configuration, seed, versions, the kit's commit, machine, start (UTC).

    Args:
        config: a dataclass or dictionary of what `formats.to_plain` takes.
        seed: the one seed of the run.
    """
    head, dirty = commit()
    return {
        "config": to_plain(config, "config"),
        "seed": seed,
        "versions": versions(),
        "commit": head,
        "dirty": dirty,
        "machine": machine(),
        "num_threads": torch.get_num_threads(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def machine() -> dict:
    """Processor, cores this process may use, memory in GB, GPU or None, platform; no host name."""
    return {
        "cpu": _cpu_model(),
        "cores": num_cores(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "platform": platform.platform(),
    }


def num_cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def peak_memory() -> float:
    """Most memory this process held at once so far, in MB (1e6 bytes)."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1e6 if sys.platform == "darwin" else most * 1024 / 1e6


def keep_freed_memory() -> bool:
    """Let the C library keep freed memory for the next array, from now on; whether it will.

    By default glibc returns large blocks to the system at once and asks for fresh ones, page by
    page, for the next array: a tenth of a training's time on a virtual machine.

    Source: mallopt(3), M_MMAP_THRESHOLD (32 MB is the most it takes) and M_TRIM_THRESHOLD.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return False
    return bool(mallopt(-3, 32 * 2**20) and mallopt(-1, 2**31 - 1))


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def fast(normal: T, small: T) -> T:
    """Choose a setting: `normal` for a reader, `small` where `KIT_FAST` is set, as tests do.

    Notebooks name both values where a setting is chosen, so that one file serves both:

        STEPS = kit.fast(300, 20)

    An empty `KIT_FAST` and `KIT_FAST=0` count as not set.
    """
    return small if os.environ.get("KIT_FAST", "") not in ("", "0") else normal
