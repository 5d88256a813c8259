"""A cache of tensors on disk, shared by any number of processes."""

import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from torch import Tensor

from kit.store.cache_files import parse_size, remove_least_recent
from kit.store.files import AnyPath, load_tensors, save_tensors
from kit.store.serialisation import sha256

ATTEMPTS = 3  # to store an entry while others delete the folder

_failed: set[Path] = set()  # folders whose failure was reported in this process


def default_cache_folder() -> Path:
    """The folder of cached features: $KIT_CACHE, otherwise one in the user's cache folder.

    The user's cache folder is $XDG_CACHE_HOME, otherwise ~/Library/Caches on macOS and ~/.cache
    elsewhere. Where there is no home folder, it is the folder of temporary files.

    Raises:
        ValueError: KIT_CACHE names the home folder of a user that does not exist.
    """
    if os.environ.get("KIT_CACHE"):
        try:
            return Path(os.environ["KIT_CACHE"]).expanduser()
        except RuntimeError as error:
            raise ValueError(f"KIT_CACHE={os.environ['KIT_CACHE']}: {error}") from error
    try:
        usual = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    except RuntimeError:  # a container's user without an entry in /etc/passwd
        usual = Path(tempfile.gettempdir()) / f"cache-{os.getuid()}"
    return Path(os.environ.get("XDG_CACHE_HOME") or usual) / "lidar-distillation-kit"


def default_cache_limit() -> int | None:
    """The largest size of a cache in bytes: $KIT_CACHE_LIMIT, e.g. 20GB; None: no limit.

    Raises:
        ValueError: it is no size.
    """
    text = os.environ.get("KIT_CACHE_LIMIT")
    return parse_size(text, "KIT_CACHE_LIMIT") if text else None


class FeatureCache:
    """Tensors on disk, by key. If several processes store the same key, the first one is kept.

    A cache that does not work (a full disk, a folder that is not writable) is no error: nothing is
    stored then, and the first failure of a process gives a warning.

    Args:
        folder: by default `default_cache_folder()`. It may be deleted at any time.
        limit: bytes. When entries take more, those that were not used for the longest time are
            deleted. By default `default_cache_limit()`.
    """

    def __init__(self, folder: AnyPath | None = None, limit: int | None = None):
        self.folder = default_cache_folder() if folder is None else Path(folder)
        self.limit = default_cache_limit() if limit is None else limit
        self._since_counted: int | None = None  # bytes stored; None: the size is not known yet

    def get(self, key: str) -> dict[str, Tensor] | None:
        """Read the tensors of a key; None if there are none, or (with a warning) damaged ones."""
        path = self._path(key)
        try:
            tensors = self._read(key)
        except (ValueError, OSError) as error:
            if self.has(key):  # otherwise it was deleted just now
                warnings.warn(f"a cache entry is ignored: {error}", stacklevel=2)
            return None
        with suppress(OSError):
            os.utime(path)  # the time of the last use
        return tensors

    def put(self, key: str, tensors: Mapping[str, Tensor]) -> None:
        """Store tensors under a key, unless an undamaged entry is already there."""

        def is_there() -> bool:
            with suppress(ValueError, OSError):  # a damaged entry is replaced
                return self._read(key) is not None
            return False

        for attempt in range(ATTEMPTS):
            try:
                save_tensors(self._path(key), tensors, {"key": key}, unless=is_there)
                return self._keep_limit(sum(each.nbytes for each in tensors.values()))
            except FileNotFoundError as error:  # the folder was deleted in the meantime
                if attempt == ATTEMPTS - 1:
                    self._tell(error)
            except (OSError, ValueError) as error:
                return self._tell(error)

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
        with suppress(OSError):
            return self._path(key).exists()
        return False

    def is_writable(self) -> bool:
        """Whether entries can be stored; creates the folder if possible."""
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder.is_dir() and os.access(self.folder, os.W_OK)

    def size(self) -> int:
        """Bytes of all entries."""
        return sum(path.stat().st_size for path in self.folder.glob("*/*.safetensors"))

    def _keep_limit(self, stored: int) -> None:
        """Delete old entries after one was stored, if all together may be above the limit.

        To count them takes time, so it is done once per twentieth of the limit.
        """
        if self.limit is None:
            return
        if self._since_counted is not None:
            self._since_counted += stored
        if self._since_counted is None or self._since_counted > self.limit / 20:
            self._since_counted = 0
            remove_least_recent(self.folder, self.limit * 19 // 20)

    def _tell(self, error: Exception) -> None:
        if self.folder not in _failed:
            _failed.add(self.folder)
            warnings.warn(
                "the cache cannot store entries, so they are computed again every time. The "
                f"environment variable KIT_CACHE can name another folder. {error}",
                stacklevel=3,
            )

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
