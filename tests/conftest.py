"""Signatures are type-checked in tests; recordings and reference tensors come by fixture."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, Phase, settings
from jaxtyping import install_import_hook

# Without a GPU, Triton's kernels run in its interpreter. It reads this when they are imported.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
CHECK_TYPES = "KIT_UNCHECKED" not in os.environ
KIT = Path(__file__).parents[1] / "kit"


def checked_modules() -> list[str]:
    """All but Triton's kernels, which are compiled from their source as it stands."""
    files = (path.relative_to(KIT.parent).with_suffix("") for path in KIT.rglob("*.py"))
    return [".".join(f.parts) for f in files if f.name != "__init__" and "kernels" not in f.parts]


if CHECK_TYPES:
    install_import_hook(checked_modules(), "beartype.beartype")
import kit  # noqa: E402, F401  (makes torchvision importable before any test asks for it)

# The same few examples in every run of `make test`; `make fuzz` draws new ones, and many more.
settings.register_profile("ci", max_examples=30, deadline=None, derandomize=True, database=None)
settings.register_profile(
    "fuzz", max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
# Of errors that were planted (.ci/planted.py), one example is enough, however long it is.
settings.register_profile(
    "planted", settings.get_profile("ci"), phases=(Phase.explicit, Phase.generate)
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

SHARED = Path(os.environ.get("KIT_SHARED", Path(__file__).parents[2] / "shared"))


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c():
    """A shell starts programs in the background with SIGINT ignored; tests send this signal."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """Tests leave the user's cache of features alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def pytest_collection_modifyitems(config, items):
    """Leave out the tests marked `slow`, unless they are asked for."""
    if "slow" in config.option.markexpr or os.environ.get("KIT_SLOW") == "1":
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="slow; on with -m slow or KIT_SLOW=1"))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem) -> bool | None:
    """Run a test marked `compiles` in its own process: torch.compile cannot trace type checks."""
    if not CHECK_TYPES or pyfuncitem.get_closest_marker("compiles") is None:
        return None
    command = [sys.executable, "-m", "pytest", "-q", "--show-capture=no", pyfuncitem.nodeid]
    environment = {**os.environ, "KIT_UNCHECKED": "1", "KIT_SLOW": "1"}
    root = pyfuncitem.config.rootpath
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:]
    return True


def _folder(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"needs {folder} (set KIT_SHARED to the folder that holds {name}/)")
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real recordings: nuscenes/, pandaset/, kitti/, rellis3d/."""
    return _folder("data")


@pytest.fixture(scope="session")
def oracles() -> Path:
    """Folder of reference tensors made with the published implementations."""
    return _folder("oracles")


@pytest.fixture(scope="session")
def weights() -> Path:
    """Folder with the weights of a ViT-S/14."""
    return _folder("weights")
