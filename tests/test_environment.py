"""The four lists of packages (pyproject, lock, environment.yml, what is installed) say the same."""

import ast
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
SET_UP = (
    "pyproject.toml",
    "requirements.lock",
    "requirements.hashes",
    "environment.yml",
    "Makefile",
    "setup.sh",
    ".ci/run",
)
NAMED = "jupyterlab torch spconv-cu120 timm open3d plotly ipywidgets nuscenes-devkit".split()
COMPANIONS = {"cumm"}  # comes with spconv, at the version spconv asks for
BOTH_PYTHONS = [pytest.param(version, id=f"python{version}") for version in ("3.11", "3.12")]


def read_lock() -> list[Requirement]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def read_project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def read_pip_section() -> list[str]:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    return next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))


def pins(python: str, machine: str = "x86_64", platform: str = "linux") -> dict[str, str]:
    """Name -> version of what the lock installs there."""
    place = {"python_version": python, "platform_machine": machine, "sys_platform": platform}
    place = {**default_environment(), **place}
    chosen = [entry for entry in read_lock() if not entry.marker or entry.marker.evaluate(place)]
    return {canonicalize_name(entry.name): str(entry.specifier)[2:] for entry in chosen}


def imported_modules(file: Path) -> set[str]:
    """Top-level names a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - COMPANIONS - {"kit"}


def test_lock_pins_every_package_once_and_exactly():
    for entry in read_lock():
        assert re.fullmatch(r"==[\d.]+", str(entry.specifier)), f"{entry} is not an exact pin"
    assert len({canonicalize_name(entry.name) for entry in read_lock()}) == len(read_lock())


@pytest.mark.parametrize("python", BOTH_PYTHONS)
def test_lock_meets_every_bound_of_pyproject(python):
    project = read_project()
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    locked = pins(python)
    for entry in map(Requirement, wanted):
        if entry.marker and not entry.marker.evaluate({"python_version": python}):
            continue
        version = locked.get(canonicalize_name(entry.name))
        assert version, f"requirements.lock has no {entry.name} for Python {python}"
        assert entry.specifier.contains(version), (
            f"{entry.name} {version} is outside {entry.specifier}"
        )


def test_lock_is_complete_for_the_packages_it_holds():
    """Nothing a locked package needs here is missing; torch's CUDA build pins its own libraries."""
    locked = pins(f"{sys.version_info.major}.{sys.version_info.minor}")
    for name, version in locked.items():
        for text in importlib.metadata.requires(name) or []:
            need = Requirement(text)
            needed = canonicalize_name(need.name)
            if need.marker and not need.marker.evaluate({"extra": ""}):
                continue
            if name == "torch" and needed.startswith(("nvidia-", "cuda-", "triton")):
                continue
            assert needed in locked, f"{name} {version} needs {need}: add it to requirements.lock"
            assert need.specifier.contains(locked[needed]), f"{name} {version} needs {need}"


def test_every_pin_but_torch_has_hashes():
    text = (ROOT / "requirements.hashes").read_text().replace("\\\n", " ")
    entries = [line.split() for line in text.splitlines() if not line.startswith("#")]
    hashed = {Requirement(" ".join(w for w in words if "--hash" not in w)) for words in entries}
    both = {Requirement(str(r)) for r in read_lock() if r.name in ("torch", "torchvision")}
    assert len(both) == 2
    assert hashed == set(read_lock()) - both, "run: python .ci/hashes.py"
    for words in entries:
        digests = [word.removeprefix("--hash=sha256:") for word in words if "--hash" in word]
        assert digests and all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)


def test_spconv_is_taken_only_where_it_has_wheels():
    def spconv(*place):
        return {name for name in pins(*place) if name.startswith(("spconv", "cumm"))}

    assert spconv("3.11") == {"spconv-cu120", "cumm-cu120"}
    assert spconv("3.12") == {"spconv-cu126", "cumm-cu126"}
    assert spconv("3.11", "arm64", "darwin") == spconv("3.11", "aarch64") == set()


def test_installed_versions_are_the_locked_ones():
    wrong = []
    for name, version in pins(f"{sys.version_info.major}.{sys.version_info.minor}").items():
        try:
            found = importlib.metadata.version(name).split("+")[0]  # 2.13.0+cpu is 2.13.0
        except importlib.metadata.PackageNotFoundError:
            found = "missing"
        if found != version:
            wrong.append(f"{name} {version} is locked, {found} is installed")
    assert not wrong, "; ".join(wrong) + ". Run: make setup"


def test_every_package_the_kit_imports_is_a_dependency():
    distributions = importlib.metadata.packages_distributions()
    declared = {canonicalize_name(Requirement(d).name) for d in read_project()["dependencies"]}
    # triton comes with torch's CUDA build; without these the kit does without, or says what to do
    declared |= {"triton", "dask", "pandas", "py123d", "rerun", "onnx", "onnxscript"}
    for file in sorted((ROOT / "kit").rglob("*.py")):
        for module in imported_modules(file):
            owners = set(map(canonicalize_name, distributions.get(module, [module])))
            assert owners & declared, (
                f"{file.relative_to(ROOT)} imports {module}: name it in pyproject"
            )


@pytest.mark.parametrize("name", NAMED)
def test_environment_names_the_package_with_its_pin_and_the_reason(name):
    lines = (ROOT / "environment.yml").read_text().splitlines()
    (line,) = [line for line in lines if line.strip().startswith(f"- {name}==")]
    entry, reason = line.strip().removeprefix("- ").split(" # ")
    assert Requirement(entry) in read_lock(), (
        "environment.yml and requirements.lock pin it differently"
    )
    assert len(reason.split()) >= 5, f"why this version of {name}?"


def test_environment_takes_python_from_conda_and_the_lock_from_pip():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["dependencies"][:2] == ["python=3.11", "pip"]
    assert "-r requirements.lock" in read_pip_section()
    assert "-e ." in read_pip_section()


@pytest.mark.parametrize("name", SET_UP)
def test_set_up_files_name_no_place_of_one_machine(name):
    text = (ROOT / name).read_text()
    torch_index = "https://download.pytorch.org/whl/cpu"  # the documented home of CPU builds
    assert not re.findall(r"\w+://\S+", text.replace(torch_index, "")), "names a host"
    assert not re.findall(r" @ |--find-links|--index-url|/home/|/root/|/opt/", text)


def test_citation_has_the_fields_of_cff():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == read_project()["version"]
    assert citation["license"] == read_project()["license"]
    assert "arXiv:2310.17504" in str(citation["references"])
    for work in citation["references"]:
        assert {"type", "title", "authors"} <= set(work)


def test_torchvision_timm_and_lightning_import_after_the_kit():
    code = "import kit, torchvision, timm, lightning, torchmetrics; print(torchvision.__version__)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(pins("3.11")["torchvision"])


def copy_project(folder: Path) -> Path:
    for name in ("pyproject.toml", "requirements.lock", "environment.yml", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    if (ROOT / "README.md").exists():
        shutil.copy(ROOT / "README.md", folder)
    shutil.copytree(ROOT / "kit", folder / "kit", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_wheel_holds_every_file_of_the_kit(tmp_path):
    code = "from setuptools import build_meta; print(build_meta.build_wheel('.'))"
    project = copy_project(tmp_path)
    wanted = {str(f.relative_to(project)) for f in (project / "kit").rglob("*") if f.is_file()}
    subprocess.run([sys.executable, "-c", code], cwd=project, check=True, capture_output=True)
    (wheel,) = project.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert wanted <= names, f"left out of the wheel: {sorted(wanted - names)}"
    entry_points = next(name for name in names if name.endswith("entry_points.txt"))
    assert b"kit = kit.__main__:main" in zipfile.ZipFile(wheel).read(entry_points)


@pytest.mark.install
def test_environment_installs_into_a_fresh_place(tmp_path, request):
    """What conda does with environment.yml: its pip lines as one requirements file."""
    asked = os.environ.get("KIT_TEST_INSTALL") == "1" or "install" in request.config.option.markexpr
    if not asked:
        pytest.skip("takes minutes and 3 GB or more; on with KIT_TEST_INSTALL=1 or -m install")
    project, fresh = copy_project(tmp_path), tmp_path / "fresh"
    (project / "from_environment.txt").write_text("\n".join(read_pip_section()))
    started = time.monotonic()
    try:
        venv.create(fresh, with_pip=True)
        pip = [fresh / "bin" / "python", "-m", "pip"]
        install = [*pip, "install", "-q", "--no-cache-dir", "-r", "from_environment.txt"]
        subprocess.run(install, cwd=project, check=True)
        subprocess.run([*pip, "check"], cwd=project, check=True)
        code = (
            "import kit, torch, torchvision, timm, open3d, spconv.pytorch; print(torch.__version__)"
        )
        python = [fresh / "bin" / "python", "-c", code]
        run = subprocess.run(python, cwd=fresh, check=True, capture_output=True, text=True)
        size = sum(f.stat().st_size for f in fresh.rglob("*") if f.is_file()) / 1e9
        print(f"installed in {time.monotonic() - started:.0f} s, {size:.1f} GB, torch {run.stdout}")
        assert run.stdout.startswith(pins("3.11")["torch"])
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
