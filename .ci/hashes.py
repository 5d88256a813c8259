"""Write requirements.hashes: every pin of requirements.lock with the sha256 of its files.

    python .ci/hashes.py

Run it after a change of the lock. It asks the package index that pip is set to. Two pins are left
out, because their builds for CPUs and for GPUs come from different indexes.
"""

import concurrent.futures
import json
import os
import re
import subprocess
import urllib.request
from pathlib import Path

from pip._internal.models.index import PyPI

ROOT = Path(__file__).parents[1]
LEFT_OUT = ("torch", "torchvision")
USABLE = re.compile(r"-(cp3\d+-abi3|cp31[12]-cp31[12]|py3|py2\.py3)-|\.tar\.gz$|\.zip$")
HEAD = """\
# Written by `python .ci/hashes.py` from requirements.lock; setup.sh installs only these bytes.
# Left out: torch and torchvision, which setup.sh takes by version, as builds for this machine.
"""


def index_url() -> str:
    """The package index in pip's own settings."""
    found = os.environ.get("PIP_INDEX_URL", "")
    listed = subprocess.run(["pip", "config", "list"], capture_output=True, text=True).stdout
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        if name.split(".")[-1] == "index-url":
            found = found or value.strip("'")
    return (found or PyPI.simple_url).rstrip("/")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def hashes(pin: str) -> list[str]:
    """The sha256 of all files of a pin that Python 3.11 or 3.12 can use."""
    name, version = re.match(r"([\w.-]+)==([\w.]+)", pin).groups()
    accept = {"Accept": "application/vnd.pypi.simple.v1+json"}
    request = urllib.request.Request(f"{index_url()}/{normal(name)}/", headers=accept)
    with urllib.request.urlopen(request, timeout=60) as answer:
        files = json.load(answer)["files"]
    start = re.compile(rf"{normal(name)}-{re.escape(version)}(\.0)*[-.]", re.IGNORECASE)
    return sorted(
        file["hashes"]["sha256"]
        for file in files
        if start.match(re.sub(r"^(.*?)-(?=\d)", lambda m: normal(m[1]) + "-", file["filename"]))
        and USABLE.search(file["filename"])
    )


def main() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    pins = [pin for pin in pins if normal(re.split("[=;]", pin)[0]) not in LEFT_OUT]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = dict(zip(pins, pool.map(hashes, pins), strict=True))
    missing = [pin for pin in pins if not found[pin]]
    if missing:
        raise SystemExit(f"no file with a sha256 was found for {', '.join(missing)}")
    entries = (" \\\n    ".join([pin, *(f"--hash=sha256:{h}" for h in found[pin])]) for pin in pins)
    (ROOT / "requirements.hashes").write_text(HEAD + "\n".join(entries) + "\n")


if __name__ == "__main__":
    main()
