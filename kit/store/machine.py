"""The machine and the software of a run: processor, memory, package versions, the kit's commit."""

import ctypes
import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path
from typing import TypeVar

import psutil
import torch

T = TypeVar("T")

PACKAGES = (
    "lidar-distillation-kit torch torchvision timm numpy lightning torchmetrics safetensors "
    "spconv-cu120 spconv-cu126 open3d pykdtree nuscenes-devkit plotly anywidget"
).split()


def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that figures depend on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit(root: Path | None = None) -> tuple[str | None, bool | None]:
    """The git commit of the kit's checkout, and whether `kit/` differs from it.

    Both are None without a checkout. A repository that only contains the virtual environment in
    which the kit is installed does not count.

    Args:
        root: the folder that holds `kit/`; by default that of this installation.
    """
    root = (root or Path(__file__).parents[2]).resolve()
    top, head = _git(root, "rev-parse", "--show-toplevel"), _git(root, "rev-parse", "HEAD")
    if not top or not head or Path(top).resolve() != root:
        return None, None
    changes = _git(root, "status", "--porcelain", "--", "kit")
    return head, None if changes is None else bool(changes)


def _git(root: Path, *words: str) -> str | None:
    # Inside a git hook, variables such as GIT_DIR name the repository of the hook.
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env["GIT_OPTIONAL_LOCKS"] = "0"
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words], env=env, capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def describe_machine() -> dict:
    """Processor, cores, memory in GB, GPU or None, and platform; without the name of the host."""
    return {
        "cpu": _cpu_model(),
        "cores": num_cores(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "platform": platform.platform(),
    }


def num_cores() -> int:
    """The number of cores that this process may use."""
    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):  # not on macOS
        return len(process.cpu_affinity())
    return psutil.cpu_count() or 1


def peak_memory() -> float:
    """The largest resident memory of this process so far, in MB (1e6 bytes).

    psutil tells the present size only.
    """
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / 1e6 if sys.platform == "darwin" else largest * 1024 / 1e6


def keep_freed_memory() -> bool:
    """Make the C library keep freed memory for later arrays; returns whether it will.

    By default glibc returns large blocks to the system at once, and for the next array it requests
    new ones page by page. On a virtual machine that is a tenth of the time of a training.

    Source: mallopt(3), M_MMAP_THRESHOLD (32 MB is its maximum) and M_TRIM_THRESHOLD.
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
    """Choose between two values of a setting by the environment variable `KIT_FAST`.

    Tests run the notebooks in small settings this way:

        STEPS = kit.fast(300, 20)

    Args:
        normal: the value for a reader.
        small: the value if `KIT_FAST` is set; empty or "0" counts as not set.
    """
    return small if os.environ.get("KIT_FAST", "") not in ("", "0") else normal
