"""Only regular files are opened: nothing blocks, and devices are not read."""

import os
import socket

import pytest

from kit.store.reading import open_regular, read_regular


def test_a_file_and_a_link_to_it_are_read(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert read_regular(tmp_path / "file") == read_regular(str(tmp_path / "link")) == b"abc"


def test_pipes_devices_folders_and_sockets_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket"))
        for path, kind in (
            (tmp_path / "pipe", "a named pipe"),
            (tmp_path / "link", "a named pipe"),
            (tmp_path / "socket", "a socket"),
            ("/dev/zero", "a device"),
            (tmp_path, "a folder"),
        ):
            with pytest.raises(
                ValueError, match=f"{path}: expected a regular file, this is {kind}"
            ):
                open_regular(path)


def test_a_pipe_that_takes_the_place_of_a_file_does_not_block(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    before = os.stat(tmp_path / "file")
    monkeypatch.setattr(os, "stat", lambda path: before)
    with pytest.raises(ValueError, match="this is a named pipe"):
        open_regular(tmp_path / "pipe")


def test_missing_files_and_impossible_names_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone"):
        open_regular(tmp_path / "gone")
    with pytest.raises(OSError, match="too long"):
        open_regular(tmp_path / ("x" * 300))
    with pytest.raises(ValueError, match="no file name"):
        open_regular("a\0b")
