"""Read files of `torch.save` without executing anything in them."""

import io
import tarfile
import zipfile
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch

from kit.store.files import AnyPath
from kit.store.formats import format_of
from kit.store.reading import open_regular

ENDINGS = (".pth", ".pt", ".ckpt")
ZIP, FOLDER = b"PK", 0x10  # FOLDER: bit of the attributes of a part
BEGINNINGS = (ZIP, b"\x80")  # torch.save writes a zip; before version 1.6 it wrote a pickle
# A float of NumPy, as learning-rate schedules leave it in optimizer states. NumPy 1 and 2 give the
# function that makes it another address.
NUMPY_FLOATS = [
    (np.core.multiarray.scalar, "numpy.core.multiarray.scalar"),
    (np.core.multiarray.scalar, "numpy._core.multiarray.scalar"),
    np.dtype,
    np.dtypes.Float64DType,
]


def read_torch_file(path: AnyPath) -> Any:
    """Read what `torch.save` wrote: tensors, plain values and floats of NumPy; no code is executed.

    Damage is found by the checksums that zip and gzip have (torch.load ignores them). Files of
    PyTorch before 1.6, outside of an archive, have none.

    Args:
        path: such a file, or a .zip, .tar or .tar.gz archive that holds one file named .pth, .pt or
            .ckpt. Archives are not unpacked on disk. Files that macOS adds (._NAME) do not count.

    Returns:
        What was saved, with its tensors on the CPU.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is of another format or damaged, holds Python objects that could run
            code, or is an archive without exactly one such file. Names the file and what to try.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    with open_regular(path) as file, _content_errors(path):
        inner = _archived(path, file)
        if inner is None:
            return _load(path, file, "a file of torch.save")
        with io.BytesIO(inner) as content:
            return _load(path, content, "a file of torch.save in it")


def _load(path: Path, file: io.BufferedIOBase, expected: str) -> Any:
    beginning = _beginning(file)
    if not beginning.startswith(BEGINNINGS):
        raise _Refused(f"{path}: expected {expected}, {_other_format(beginning)}")
    if beginning.startswith(ZIP):
        _check_zip(path, file)
    with torch.serialization.safe_globals(NUMPY_FLOATS):
        return torch.load(file, map_location="cpu", weights_only=True)


def _check_zip(path: Path, file: io.BufferedIOBase) -> None:
    """Compare every part of a zip with its checksum; torch.load does not."""
    with zipfile.ZipFile(file) as archive:
        damaged = archive.testzip()
        # torch.load reads zeros from what is marked as a folder. torch.save marks nothing.
        marked = [each.filename for each in archive.infolist() if each.external_attr & FOLDER]
        damaged = damaged or next(iter(marked), None)
    if damaged is not None:
        raise _Refused(
            f"{path}: damaged, {damaged} in it is not what its checksum says. Download it again"
        )
    file.seek(0)


class _Refused(ValueError):
    """An error whose message is complete."""


@contextmanager
def _content_errors(path: Path):
    """Turn the many errors of damaged content into one ValueError that names the file."""
    try:
        yield
    except (_Refused, PermissionError, MemoryError):
        raise
    except UnpicklingError as error:
        raise ValueError(
            f"{path}: holds Python objects, or is damaged. Reading such objects could run code "
            "from the file, so it was not read. Nothing was run. Download it again; if you trust "
            "it, load it with PyTorch yourself and save only its state dict, best as .safetensors"
        ) from error
    except Exception as error:  # what torch, tarfile, gzip and zlib raise is not documented
        raise ValueError(
            f"{path}: not a PyTorch file, or cut short ({error}). Was the download complete?"
        ) from error


def _other_format(beginning: bytes) -> str:
    if beginning[8:9] == b"{":
        return "it looks like safetensors, which must be named .safetensors"
    return f"it is {format_of(beginning) or 'a file of another format'}"


def _beginning(file: io.BufferedIOBase) -> bytes:
    data = file.read(64)
    file.seek(0)
    return data


def _archived(path: Path, file: io.BufferedIOBase) -> bytes | None:
    """The content of the only checkpoint in a .zip or .tar archive; None if it is no archive."""
    if _beginning(file).startswith(ZIP):
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            if any(name.endswith("data.pkl") for name in names):  # torch.save made it
                inner = None
            else:
                inner = archive.read(_only_checkpoint(path, names))
        file.seek(0)
        return inner
    if not tarfile.is_tarfile(file):
        file.seek(0)
        return None
    file.seek(0)
    with tarfile.open(fileobj=file) as archive:
        files = {member.name: member for member in archive if member.isfile()}
        inner = archive.extractfile(files[_only_checkpoint(path, files)]).read()
        while archive.fileobj.read(1 << 20):  # gzip compares its checksum at the end
            pass
    return inner


def _only_checkpoint(path: Path, names: Iterable[str]) -> str:
    found = [
        name
        for name in names
        if name.endswith(ENDINGS) and not name.rpartition("/")[2].startswith("._")
    ]
    if len(found) != 1:
        raise _Refused(
            f"{path}: expected one .pth, .pt or .ckpt file in the archive, found "
            f"{', '.join(found) or 'none'}. Unpack it, and give the file itself"
        )
    return found[0]
