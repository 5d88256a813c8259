"""Read files of `torch.save` without executing anything in them."""

import io
import tarfile
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from kit.store.files import AnyPath
from kit.store.serialisation import recognise

ENDINGS = (".pth", ".pt", ".ckpt")
BEGINNINGS = (b"PK", b"\x80")  # torch.save writes a zip; before version 1.6 it wrote a pickle


def read_torch_file(path: AnyPath) -> Any:
    """Read what `torch.save` wrote: tensors and plain values. Nothing in the file is executed.

    Args:
        path: such a file, or a .tar or .tar.gz archive that holds one file named .pth, .pt or
            .ckpt. Archives are not unpacked on disk.

    Returns:
        What was saved, with its tensors on the CPU.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is of another format or damaged, holds Python objects that could run
            code, or is an archive without exactly one such file. Names the file and what to try.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    with _content_errors(path):
        with open(path, "rb") as file:
            if _is_torch_file(file):
                return torch.load(file, map_location="cpu", weights_only=True)
            if not tarfile.is_tarfile(path):
                raise _Refused(f"{path}: expected a file of torch.save, {_other_format(file)}")
        with io.BytesIO(_member(path)) as file:
            if _is_torch_file(file):
                return torch.load(file, map_location="cpu", weights_only=True)
            raise _Refused(f"{path}: expected a file of torch.save in it, {_other_format(file)}")


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


def _is_torch_file(file: io.BufferedIOBase) -> bool:
    return _beginning(file).startswith(BEGINNINGS)


def _other_format(file: io.BufferedIOBase) -> str:
    data = _beginning(file)
    if data[8:9] == b"{":
        return "it looks like safetensors, which must be named .safetensors"
    return recognise(data) or "its first bytes are those of another format"


def _beginning(file: io.BufferedIOBase) -> bytes:
    data = file.read(64)
    file.seek(0)
    return data


def _member(path: Path) -> bytes:
    """The content of the only checkpoint in a tar archive."""
    with tarfile.open(path) as archive:
        files = [member for member in archive if member.isfile() and member.name.endswith(ENDINGS)]
        if len(files) != 1:
            names = ", ".join(member.name for member in files) or "none"
            raise _Refused(
                f"{path}: expected one .pth, .pt or .ckpt file in the archive, found {names}. "
                "Unpack it, and give the file itself"
            )
        return archive.extractfile(files[0]).read()
