"""Chromium and a JupyterLab for the benches and tests of the explorer."""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kit.store import files as store

NAMES = ("chromium", "chromium-browser", "google-chrome")
INSTALL = "sudo apt-get install -y chromium"


def why_no_browser() -> str | None:
    """Why there is no browser, Playwright or Chromium being missing; None if there is one."""
    if importlib.util.find_spec("playwright") is None:
        return "needs the Python package playwright (in requirements.lock)"
    if find_chromium() is None:
        return f"needs Chromium: {INSTALL}, or name one with KIT_CHROMIUM"
    return None


def find_chromium() -> str | None:
    """The path of the browser: KIT_CHROMIUM, or an installed Chromium or Chrome; None without."""
    asked = os.environ.get("KIT_CHROMIUM")
    return asked or next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def playwright():
    """Playwright's driver; a process can have one at a time."""
    with importlib.import_module("playwright.sync_api").sync_playwright() as driver:
        yield driver


@contextmanager
def chromium(driver, *, webgl: bool = True):
    """A headless Chromium that draws with the CPU (SwiftShader) and needs no graphics card.

    Args:
        driver: from `playwright`.
        webgl: False switches WebGL off, as on a machine that offers none.
    """
    drawing = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    switches = drawing if webgl else ["--disable-gpu", "--disable-3d-apis"]
    if os.geteuid() == 0:
        switches.append("--no-sandbox")
    browser = driver.chromium.launch(executable_path=find_chromium(), args=switches)
    try:
        yield browser
    finally:
        browser.close()


@contextmanager
def jupyterlab(folder: Path, timeout: int = 90) -> Iterator[str]:
    """Run a JupyterLab on this machine; yields its address and ends it afterwards.

    Args:
        folder: where its notebooks are.
        timeout: seconds until it must have started.
    """
    port, home = free_port(), tempfile.mkdtemp(prefix="kit-lab-")
    settings = {"page_config_data": {"buildCheck": False, "buildAvailable": False}}
    names = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
    places = {f"JUPYTER_{name}": f"{home}/{name.lower()}" for name in names}
    places["JUPYTERLAB_SETTINGS_DIR"] = f"{home}/settings"
    places["JUPYTERLAB_WORKSPACES_DIR"] = f"{home}/workspaces"
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1"]
    command += [
        f"--port={port}",
        "--ServerApp.port_retries=0",
        "--IdentityProvider.token=",
        "--ServerApp.password=",
    ]
    command += [f"--ServerApp.root_dir={folder}", f"--ServerApp.tornado_settings={settings}"]
    if os.geteuid() == 0:
        command.append("--allow-root")
    _disable_news(Path(home) / "settings")
    log = tempfile.TemporaryFile()
    server = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | places)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/api", server, timeout)
        yield address
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        log.close()
        shutil.rmtree(home, ignore_errors=True)


def write_notebook(path: Path, cells: Sequence[str]) -> None:
    """A notebook of code cells only."""
    code = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {
        "cells": [code | {"id": f"cell-{i}", "source": text} for i, text in enumerate(cells)],
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    store.write_json(path, notebook)


def open_notebook(page, address: str, name: str, timeout: int = 60_000) -> None:
    """Open a notebook of that JupyterLab and wait until its kernel is idle."""
    page.goto(f"{address}/lab/tree/{name}?reset", timeout=timeout)
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=timeout)
    page.wait_for_selector('[data-status="idle"]', state="attached", timeout=timeout)


def run_cell(page, index: int, timeout: int = 60) -> None:
    """Run one code cell to its end.

    A click on its prompt selects the cell. A JupyterLab that has just opened may ignore keys, or
    drop a cell that was about to run, so the keys are pressed again until the prompt has a new
    number.

    Raises:
        TimeoutError: the prompt has no new number after `timeout` seconds.
    """
    prompt = page.locator(".jp-Notebook .jp-CodeCell").nth(index).locator(".jp-InputPrompt")
    before, end = prompt.inner_text(), time.monotonic() + timeout
    while time.monotonic() < end:
        shown = prompt.inner_text()
        if shown != before and any(sign.isdigit() for sign in shown):
            return
        if "*" not in shown:
            prompt.click()
            page.keyboard.press("Control+Enter")
        page.wait_for_timeout(1000)
    raise TimeoutError(f"cell {index} did not run to its end within {timeout} s")


def _disable_news(settings: Path) -> None:
    """Switch off JupyterLab's question about news, which would cover the page."""
    file = settings / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    store.write_json(file, {"fetchNews": "false", "checkForUpdates": False})


def free_port() -> int:
    """A port of this machine that no program listens to."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(address: str, server: subprocess.Popen, timeout: int) -> None:
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if server.poll() is not None:
            raise RuntimeError(f"JupyterLab ended at once, with code {server.returncode}")
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise TimeoutError(f"JupyterLab did not answer within {timeout} s")
