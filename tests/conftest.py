"""Signatures are type-checked in tests; recordings and reference tensors come by fixture."""

import os
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

install_import_hook("kit", "beartype.beartype")
import kit  # noqa: E402, F401  (makes torchvision importable before any test asks for it)

SHARED = Path(os.environ.get("KIT_SHARED", Path(__file__).parents[2] / "shared"))


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """Tests leave the user's cache of features alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


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
