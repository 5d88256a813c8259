"""Recognise the format of a file by its first bytes, for messages about unexpected files."""

from collections.abc import Mapping

# In a file of plain numbers, two given bytes stand at the beginning once in 65,536 files.
SURE = 4  # bytes of a signature that numbers practically never have
FORMATS: Mapping[bytes, str] = {
    b"\x93NUMPY": "a NumPy file (.npy)",
    b"PK\x03\x04": "a zip archive, as torch.save and numpy.savez write",
    b"\x80": "a pickle",
    b"# .PCD": "a PCD file of the Point Cloud Library",
    b"VERSION .7": "a PCD file of the Point Cloud Library",
    b"VERSION 0.7": "a PCD file of the Point Cloud Library",
    b"ply\n": "a PLY file",
    b"ply\r\n": "a PLY file",
    b"LASF": "a LAS file",
    b"\x1f\x8b\x08\x00": "a gzip file; unpack it",
    b"\x1f\x8b\x08\x08": "a gzip file; unpack it",
    b"\x89HDF": "an HDF5 file",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff\xe0": "an image",
    b"\xff\xd8\xff\xe1": "an image",
    b"%PDF": "a PDF document",
    b"version https://git-lfs": "a pointer of Git LFS; `git lfs pull` fetches the file",
    b"\x00\x05\x16\x07": "macOS's metadata of the file of this name without ._",
    b"<": "a web page, perhaps an error message. Download it again",
    b"{": "JSON, perhaps an error message. Download it again",
}


def format_of(data: bytes, least: int = 1) -> str | None:
    """The format that a file's first bytes are those of, in words; None if they are not known.

    Args:
        data: the file, or its beginning.
        least: only signatures of as many bytes; `SURE` where the right content is plain numbers.
    """
    text = data.removeprefix(b"\xef\xbb\xbf").lstrip(b" \r\n\t")
    for start, words in FORMATS.items():
        if len(start) >= least and (data.startswith(start) or text.startswith(start)):
            return words
    return None
