"""In processes of their own: imports happen once, declared operators cannot be taken back."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
NMS = 'getattr(torch.ops.torchvision, "nms", None)'


def python(code, *paths):
    path = ":".join(map(str, (*paths, ROOT)))
    return subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": path, "PATH": ""},
        capture_output=True,
        text=True,
        cwd=ROOT,
    )


def fake_torchvision(folder, code):
    (folder / "torchvision").mkdir()
    (folder / "torchvision" / "__init__.py").write_text(code)
    (folder / "torchvision" / "ops.py").write_text("loaded = True\n")
    return folder


def test_torchvision_imports_after_kit():
    result = python("import kit, torchvision\nprint(torchvision.ops.__name__)")
    assert result.stdout == "torchvision.ops\n", result.stderr


def test_kit_loads_neither_torch_nor_torchvision():
    result = python("import kit, sys\nprint('torch' in sys.modules, 'torchvision' in sys.modules)")
    assert result.stdout == "False False\n", result.stderr


def test_nothing_is_declared_where_the_pair_matches(tmp_path):
    folder = fake_torchvision(tmp_path, "matching = True\n")
    code = (
        "import kit, torch, torchvision\nfrom kit import _torchvision_pair as torchvision_pair\n"
        f"print(torchvision.matching, torchvision_pair._libraries, {NMS})"
    )
    result = python(code, folder)
    assert result.stdout == "True [] None\n", result.stderr


def test_missing_operators_are_declared_and_the_import_runs_again(tmp_path):
    code = (
        "import torch, torchvision.ops\n"
        f"if {NMS} is None:\n"
        '    raise RuntimeError("operator torchvision::nms does not exist")\n'
        "half_imported = False\n"
    )
    folder = fake_torchvision(tmp_path, code)
    result = python(f"import kit, torch, torchvision\nprint({NMS})\nimport torchvision.ops", folder)
    assert result.returncode == 0, result.stderr
    assert "torchvision.nms" in result.stdout
    assert python("import torchvision", folder).returncode != 0, "the fake must fail without kit"


def test_an_unrelated_error_passes_through(tmp_path):
    folder = fake_torchvision(tmp_path, 'raise RuntimeError("out of cheese")\n')
    code = (
        "import kit, torch\nfrom kit import _torchvision_pair as torchvision_pair\n"
        "try:\n    import torchvision\n"
        f"except RuntimeError as error:\n    print(error, torchvision_pair._libraries, {NMS})"
    )
    assert python(code, folder).stdout == "out of cheese [] None\n"


def test_installing_twice_adds_one_finder():
    code = (
        "import sys, kit\nfrom kit import _torchvision_pair as torchvision_pair\n"
        "before = len(sys.meta_path)\ntorchvision_pair.install()\n"
        "names = [type(finder).__name__ for finder in sys.meta_path]\n"
        "print(len(sys.meta_path) - before, names.count('_TorchvisionFinder'))"
    )
    result = python(code)
    assert result.stdout == "0 1\n", result.stderr


def test_a_missing_torchvision_is_still_a_missing_module():
    code = (
        "import kit, sys\n"
        "sys.path = [path for path in sys.path if 'site-packages' not in path]\n"
        "try:\n    import torchvision\nexcept ModuleNotFoundError as error:\n    print(error.name)"
    )
    assert python(code).stdout == "torchvision\n"
