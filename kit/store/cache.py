"""A cache of tensors on disk, shared by any number of processes."""

import os
import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from torch import Tensor

from kit.store.files import AnyPath, load_tensors, save_tensors
from kit.store.serialisation import sha256


def default_cache_folder() -> Path:
    """The folder of cached features: $KIT_CACHE, otherwise one in the user's cache folder.

    The user's cache folder is $XDG_CACHE_HOME, otherwise ~/Library/Caches on macOS and ~/.cache
    elsewhere.
    """
    if os.environ.get("KIT_CACHE"):
        return Path(os.environ["KIT_CACHE"]).expanduser()
    usual = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return Path(os.environ.get("XDG_CACHE_HOME") or usual) / "lidar-distillation-kit"


class FeatureCache:
    """Tensors on disk, by key. If several processes store the same key, the first one is kept.

    Args:
        folder: by default `default_cache_folder()`. Its size is not limited. It may be deleted at
            any time.
    """

    def __init__(self, folder: AnyPath | None = None):
        self.folder = default_cache_folder() if folder is None else Path(folder)

    def get(self, key: str) -> dict[str, Tensor] | None:
        """Read the tensors of a key; None if there are none, or (with a warning) damaged ones."""
        try:
            return self._read(key)
        except (ValueError, OSError) as error:
            warnings.warn(f"a cache entry is ignored: {error}", stacklevel=2)
            return None

    def put(self, key: str, tensors: Mapping[str, Tensor]) -> None:
        """Store tensors under a key, unless an undamaged entry is already there."""

        def is_there() -> bool:
            with suppress(ValueError, OSError):  # a damaged entry is replaced
                return self._read(key) is not None
            return False

        save_tensors(self._path(key), tensors, {"key": key}, unless=is_there)

    def get_or_compute(
        self, key: str, compute: Callable[[], Mapping[str, Tensor]]
    ) -> dict[str, Tensor]:
        """Read the tensors of a key; if there are none, compute and store them first."""
        stored = self.get(key)
        if stored is None:
            self.put(key, computed := compute())
            stored = self.get(key) or dict(computed)  # another process may have stored it first
        return stored

    def has(self, key: str) -> bool:
        """Whether there is an entry; it is not checked for damage."""
        return self._path(key).exists()

    def is_writable(self) -> bool:
        """Whether entries can be stored; creates the folder if possible."""
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder.is_dir() and os.access(self.folder, os.W_OK)

    def size(self) -> int:
        """Bytes of all entries."""
        return sum(path.stat().st_size for path in self.folder.glob("*/*.safetensors"))

    def _path(self, key: str) -> Path:
        name = sha256(key.encode(errors="surrogatepass"))
        return self.folder / name[:2] / f"{name[2:]}.safetensors"

    def _read(self, key: str) -> dict[str, Tensor] | None:
        path = self._path(key)
        if not path.exists():
            return None
        tensors, meta = load_tensors(path, require_checksum=True)
        if meta.get("key") != key:
            raise ValueError(
                f"{path}: expected the entry of {key!r}, got that of {meta.get('key')!r}"
            )
        return tensors
