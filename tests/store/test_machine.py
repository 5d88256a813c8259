"""The machine: commit, versions, cores and memory, against git and psutil."""

import importlib.metadata
import os
import platform
import socket
import subprocess
import sys

import psutil
import pytest
import torch

from kit.store import machine


def git(folder, *words):
    settings = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *settings, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    """A git repository that holds a folder kit/."""
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit" / "loss.py").write_text("a = 1\n")
    (tmp_path / "notes.txt").write_text("a")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_the_commit_is_that_of_the_checkout(checkout):
    assert machine.commit(checkout) == (git(checkout, "rev-parse", "HEAD"), False)


def test_only_changes_of_the_kit_make_it_dirty(checkout):
    (checkout / "notes.txt").write_text("b")
    assert machine.commit(checkout)[1] is False
    (checkout / "kit" / "new.py").write_text("b = 2\n")
    assert machine.commit(checkout)[1] is True


def test_another_projects_repository_is_not_the_kits(checkout):
    installed = checkout / "venv" / "site-packages"
    (installed / "kit").mkdir(parents=True)
    assert machine.commit(installed) == (None, None)


def test_inside_a_git_hook_the_commit_is_the_same(checkout, tmp_path_factory, monkeypatch):
    other = tmp_path_factory.mktemp("other")
    git(other, "init", "-q")
    head = git(checkout, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert machine.commit(checkout)[0] == head


def test_without_git_there_is_no_commit(checkout, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert machine.commit(checkout) == (None, None)


def test_versions_are_those_of_what_is_imported():
    found = machine.versions()
    assert found["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert found["safetensors"] == importlib.metadata.version("safetensors")
    assert all(found.values())


def test_the_machine_is_described_without_its_name():
    found = machine.describe_machine()
    assert found["memory_gb"] == pytest.approx(psutil.virtual_memory().total / 1e9, abs=0.1)
    assert 1 <= found["cores"] <= os.cpu_count() and found["cpu"]
    assert socket.gethostname() not in str(found)


def test_peak_memory_counts_megabytes():
    now = psutil.Process().memory_info().rss / 1e6
    size = max(300.0, machine.peak_memory() - now + 100)
    held = torch.ones(int(size * 1e6 / 4))
    expected = psutil.Process().memory_info().rss / 1e6
    assert machine.peak_memory() == pytest.approx(expected, rel=0.1)
    assert held.sum() > 0


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="how glibc hands memory back")
def test_kept_memory_is_not_fetched_page_by_page_again():
    """In another process, because the setting would stay for all other tests."""
    script = (
        "import resource, torch; from kit.store.machine import keep_freed_memory\n"
        "assert keep_freed_memory()\n"
        "for _ in range(6):\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    arrays = [torch.ones(4_000_000) for _ in range(3)]\n"
        "    del arrays\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    pages_of_one = 16_000_000 // os.sysconf("SC_PAGE_SIZE")
    assert int(done.stdout) < pages_of_one / 10, done.stderr
